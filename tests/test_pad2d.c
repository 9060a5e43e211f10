/* Padding case by case, in examples worked by hand, for every variant that runs here; and
 * flatten. */
#include <stdio.h>
#include <string.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/compare.h"
#include "support/suite.h"
#include "walk/walk.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define MOST 64

typedef struct worked {
  const char *what;
  evr_pad_mode mode;
  int64_t height, width, top, bottom, left, right;
  float y[MOST];
} worked;

/* Pixel i of every plane is i + 1. */
/* clang-format off */
static const worked cases[] = {
    {"zeros", EVR_PAD_ZERO, 2, 2, 1, 0, 2, 1,
     {0, 0, 0, 0, 0,
      0, 0, 1, 2, 0,
      0, 0, 3, 4, 0}},
    {"the edge again and again", EVR_PAD_REPLICATE, 2, 2, 2, 1, 1, 3,
     {1, 1, 2, 2, 2, 2,
      1, 1, 2, 2, 2, 2,
      1, 1, 2, 2, 2, 2,
      3, 3, 4, 4, 4, 4,
      3, 3, 4, 4, 4, 4}},
    {"the mirror image without the edge", EVR_PAD_REFLECT, 3, 3, 2, 1, 1, 2,
     {8, 7, 8, 9, 8, 7,
      5, 4, 5, 6, 5, 4,
      2, 1, 2, 3, 2, 1,
      5, 4, 5, 6, 5, 4,
      8, 7, 8, 9, 8, 7,
      5, 4, 5, 6, 5, 4}},
    {"no pads", EVR_PAD_REFLECT, 1, 3, 0, 0, 0, 0, {1, 2, 3}},
    {"one pixel", EVR_PAD_REPLICATE, 1, 1, 1, 1, 1, 1, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
};
/* clang-format on */

/* Channel c of image n has 100 (n channels + c) added to its pixels, but zeros stay zeros. */
static void run_case(const worked *k, const char *variant, evr_layout layout, int64_t channels) {
  const evr_pad2d_desc d = {2,         channels, k->height, k->width, k->top,
                            k->bottom, k->left,  k->right,  k->mode,  layout};
  evr_pad2d_sizes s;
  ck_assert_int_eq(evr_pad2d_get_sizes(&d, &s), EVR_OK);
  ck_assert_int_eq(s.out_height, k->height + k->top + k->bottom);
  ck_assert_int_eq(s.out_width, k->width + k->left + k->right);
  static float x[1024], y[1024];
  ck_assert(s.x_count <= COUNT(x) && s.y_count <= COUNT(y));
  const int64_t in = k->height * k->width, out = s.out_height * s.out_width;
  for (int64_t i = 0; i < s.x_count; i++) {
    const int64_t pixel = layout == EVR_NHWC ? i / channels % in : i % in;
    const int64_t c = layout == EVR_NHWC ? i % channels : i / in % channels;
    x[i] = (float)(pixel + 1 + 100 * (i / (in * channels) * channels + c));
  }
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = variant;
  fill_untouched(y, COUNT(y));
  ck_assert_int_eq(evr_pad2d(&d, &options, x, y), EVR_OK);
  for (int64_t i = 0; i < s.y_count; i++) {
    const float pixel = k->y[layout == EVR_NHWC ? i / channels % out : i % out];
    const int64_t c = layout == EVR_NHWC ? i % channels : i / out % channels;
    const float wanted =
        pixel == 0.0f ? 0.0f : pixel + (float)(100 * (i / (out * channels) * channels + c));
    ck_assert_msg(same_float(y[i], wanted),
                  "%s, %s, layout %d, %lld channels: y[%lld] is %g, not %g", k->what, variant,
                  (int)layout, (long long)channels, (long long)i, (double)y[i], (double)wanted);
  }
  ck_assert(all_untouched(y + s.y_count, COUNT(y) - s.y_count));
}

START_TEST(worked_cases) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int variants = 0;
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != EVR_OP_PAD2D || !variant_runs_here(&registry[i])) continue;
    variants++;
    for (int64_t channels = 1; channels <= 5; channels += 2) {
      run_case(&cases[_i], registry[i].name, EVR_NHWC, channels);
      run_case(&cases[_i], registry[i].name, EVR_NCHW, channels);
    }
  }
  ck_assert_int_ge(variants, 2);
}
END_TEST

START_TEST(flatten_keeps_the_order) {
  float x[24], y[24];
  for (int i = 0; i < 24; i++) x[i] = (float)i;
  ck_assert_int_eq(evr_flatten(EVR_NHWC, 2, 3, 2, 2, x, y), EVR_OK);
  ck_assert(memcmp(x, y, sizeof x) == 0);
  fill_untouched(y, 24);
  ck_assert_int_eq(evr_flatten(EVR_NCHW, 1, 3, 2, 2, x, y), EVR_OK);
  ck_assert(memcmp(x, y, 12 * sizeof *x) == 0 && all_untouched(y + 12, 12));
}
END_TEST

START_TEST(flatten_backward_undoes_it) {
  float x[24], y[24], dx[24];
  for (int i = 0; i < 24; i++) x[i] = (float)i;
  for (int layout = EVR_NHWC; layout <= EVR_NCHW; layout++) {
    fill_untouched(dx, 24);
    ck_assert_int_eq(evr_flatten((evr_layout)layout, 2, 3, 1, 3, x, y), EVR_OK);
    ck_assert_int_eq(evr_flatten_backward((evr_layout)layout, 2, 3, 1, 3, y, dx), EVR_OK);
    ck_assert(memcmp(x, dx, 18 * sizeof *x) == 0 && all_untouched(dx + 18, 6));
  }
}
END_TEST

int main(void) {
  suite_begin("test_pad2d");
  Suite *suite = suite_create("pad2d");
  TCase *made = suite_case(suite, "pad2d");
  tcase_add_loop_test(made, worked_cases, 0, COUNT(cases));
  tcase_add_test(made, flatten_keeps_the_order);
  tcase_add_test(made, flatten_backward_undoes_it);
  return suite_end(suite);
}
