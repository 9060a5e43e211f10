/* Filter, detect, condense: with a pool, a plan does what its convolution and then the pooling
 * would do. */
#include <stdlib.h>

#include "evrisim/pool2d.h"
#include "support/hooks.h"
#include "walk/conv2d.h"

/* One direction of a window that is no larger than the image, and pads that are smaller. */
static void choose_window(test_random *r, int64_t image, int64_t *kernel, int64_t *dilation,
                          int64_t *before, int64_t *after) {
  *kernel = random_between(r, 1, image < 4 ? image : 4);
  *dilation = *kernel > 1 ? random_between(r, 1, (image - 1) / (*kernel - 1) < 2 ? 1 : 2) : 1;
  const int64_t extent = (*kernel - 1) * *dilation + 1;
  *before = random_between(r, 0, extent - 1);
  *after = random_chance(r, 50) ? 0 : random_between(r, 0, extent - 1);
}

void conv2d_check_trio(walk *w) {
  static const int threads[] = {1, 2, 3, 7};
  const int64_t rounds = test_rounds(300);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    conv2d_case c;
    while (!conv2d_random_case(w, &c)) continue;
    evr_conv2d_sizes sizes;
    if (evr_conv2d_get_sizes(&c.desc, &sizes) != EVR_OK) abort();
    test_random *r = &w->random;
    evr_pool2d_window pool = EVR_POOL2D_WINDOW_INIT;
    pool.kind = (evr_pool_kind)random_between(r, EVR_POOL_MAX, EVR_POOL_MIN);
    choose_window(r, sizes.conv_height, &pool.kernel_height, &pool.dilation_height, &pool.pad_top,
                  &pool.pad_bottom);
    choose_window(r, sizes.conv_width, &pool.kernel_width, &pool.dilation_width, &pool.pad_left,
                  &pool.pad_right);
    pool.stride_height = random_between(r, 1, 3);
    pool.stride_width = random_between(r, 1, 3);
    pool.ceil_mode = random_chance(r, 30);
    pool.count_include_pad = random_chance(r, 30);
    pool.global = random_chance(r, 10);

    conv2d_case fused = c;
    fused.desc.pool = pool;
    conv2d_inputs in;
    if (!conv2d_inputs_make(w, &fused, &in)) return;
    const conv2d_way way = {(placement)(i % PLACEMENTS), i % 2 == 0, i % 3 != 0,
                            threads[random_between(r, 0, 3)],
                            i % 5 == 0 ? pool_of_threads() : pool_in_reverse()};
    const float *y = conv2d_run(w, &fused, &in, &way, &conv2d_shared_buffers);
    w->cases++;
    if (y != NULL) {
      w->served++;
      conv2d_inputs alone = in;
      alone.sizes = sizes;
      float *map = conv2d_settled(w, &c, &alone);
      if (map == NULL) {
        conv2d_inputs_free(&in);
        return;
      }
      const evr_pool2d_desc desc = {c.desc.batch,     c.desc.out_channels, sizes.conv_height,
                                    sizes.conv_width, c.desc.layout,       pool};
      const evr_plan_options options = walk_reference_options();
      float *expected = malloc((size_t)in.sizes.y_count * sizeof *expected);
      if (evr_pool2d(&desc, &options, map, expected, NULL) != EVR_OK)
        walk_fail(w, "the pooling: %s", evr_last_error());
      else
        conv2d_run_and_compare(w, &fused, &in, &way, expected);
      free(expected);
      free(map);
    }
    conv2d_inputs_free(&in);
  }
}
