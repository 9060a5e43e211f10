/* Pooling case by case: what its descriptor's words mean, in examples worked by hand, for every
 * variant that runs here and both layouts; and shapes where the direct variants change their way.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/compare.h"
#include "support/guard.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/walk.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define INF INFINITY
#define MOST 64
#define NO -1 /* index of a window without pixels */

typedef struct worked {
  const char *what;
  int64_t height, width;
  evr_pool2d_window window;
  float x[MOST];
  int64_t out_height, out_width;
  float y[MOST];
  int32_t indices[MOST]; /* of a maximum or minimum */
} worked;

#define MAXIMUM .kind = EVR_POOL_MAX
#define MINIMUM .kind = EVR_POOL_MIN
#define AVERAGE .kind = EVR_POOL_AVERAGE
#define KERNEL(h, w) .kernel_height = (h), .kernel_width = (w)
#define STRIDE(h, w) .stride_height = (h), .stride_width = (w)
#define DENSE .dilation_height = 1, .dilation_width = 1
#define DILATION(h, w) .dilation_height = (h), .dilation_width = (w)
#define PADS(p) .pad_top = (p), .pad_bottom = (p), .pad_left = (p), .pad_right = (p)
#define COUNTING_FROM_1 \
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25

/* clang-format off */
static const worked cases[] = {
    {"maximum of 2 x 2",
     4, 4, {MAXIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE},
     {1, 3, 2, 9, 5, 4, 7, 8, -1, -2, 0, 0, -3, -4, 0, 6},
     2, 2, {5, 9, -1, 6}, {4, 3, 8, 15}},
    {"minimum of 2 x 2",
     4, 4, {MINIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE},
     {1, 3, 2, 9, 5, 4, 7, 8, -1, -2, 0, 0, -3, -4, 0, 6},
     2, 2, {1, 2, -4, 0}, {0, 2, 13, 10}},
    {"average of 2 x 2",
     4, 4, {AVERAGE, KERNEL(2, 2), STRIDE(2, 2), DENSE},
     {1, 3, 2, 9, 5, 4, 7, 8, -1, -2, 0, 0, -3, -4, 0, 6},
     2, 2, {3.25f, 6.5f, -2.5f, 1.5f}, {0}},
    {"overlapping windows",
     3, 4, {MAXIMUM, KERNEL(2, 3), STRIDE(1, 1), DENSE},
     {1, 5, 2, 4, 0, 3, 9, 8, 7, 6, 1, 2},
     2, 2, {9, 9, 9, 9}, {6, 6, 6, 6}},
    {"the first of equals wins",
     2, 4, {MAXIMUM, KERNEL(2, 2), STRIDE(1, 1), DENSE},
     {7, 7, 1, 2, 7, 7, 2, 2},
     1, 3, {7, 7, 2}, {0, 1, 3}},
    {"zeros of both signs are equal",
     2, 4, {MAXIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE},
     {-0.0f, 0.0f, 0.0f, -0.0f, 0.0f, -0.0f, -0.0f, 0.0f},
     1, 2, {-0.0f, 0.0f}, {0, 2}},
    {"the first NaN wins over all, before and behind the greatest",
     2, 6, {MAXIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE},
     {INF, 1, NAN, INF, 3, 4, NAN, NAN, 5, 6, 7, NAN},
     1, 3, {NAN, NAN, NAN}, {6, 2, 11}},
    {"the first NaN wins over the smallest",
     2, 4, {MINIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE},
     {NAN, -INF, 3, 4, NAN, -INF, -INF, NAN},
     1, 2, {NAN, NAN}, {0, 7}},
    {"a NaN makes an average one",
     1, 4, {AVERAGE, KERNEL(1, 2), STRIDE(1, 2), DENSE}, {1, NAN, INF, -INF},
     1, 2, {NAN, NAN}, {0}},
    {"a pixel of -inf wins over padding",
     2, 2, {MAXIMUM, KERNEL(2, 2), STRIDE(1, 1), DENSE, PADS(1)},
     {-INF, -INF, -INF, 1},
     3, 3, {-INF, -INF, -INF, -INF, 1, 1, -INF, 1, 1}, {0, 0, 1, 0, 3, 3, 2, 3, 3}},
    {"padding is no zero",
     2, 2, {MAXIMUM, KERNEL(3, 3), STRIDE(2, 2), DENSE, PADS(1)}, {-5, -6, -7, -8},
     1, 1, {-5}, {0}},
    {"neither is it for a minimum",
     2, 2, {MINIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE, PADS(1)}, {5, 6, 7, 8},
     2, 2, {5, 6, 7, 8}, {0, 1, 2, 3}},
    {"pads of four sizes",
     2, 3,
     {MAXIMUM, KERNEL(3, 3), STRIDE(1, 2), DENSE, .pad_top = 2, .pad_left = 1, .pad_right = 2},
     {1, 2, 3, 6, 5, 4},
     2, 2, {2, 3, 6, 5}, {1, 2, 3, 4}},
    {"floor leaves out the last row and column",
     5, 5, {MAXIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE}, {COUNTING_FROM_1},
     2, 2, {7, 9, 17, 19}, {6, 8, 16, 18}},
    {"ceil_mode takes them in",
     5, 5, {MAXIMUM, KERNEL(2, 2), STRIDE(2, 2), DENSE, .ceil_mode = true}, {COUNTING_FROM_1},
     3, 3, {7, 9, 10, 17, 19, 20, 22, 24, 25}, {6, 8, 9, 16, 18, 19, 21, 23, 24}},
    {"ceil_mode drops a window that starts in the padding behind",
     5, 5, {MAXIMUM, KERNEL(2, 2), STRIDE(3, 3), DENSE, PADS(1), .ceil_mode = true},
     {COUNTING_FROM_1},
     2, 2, {1, 4, 16, 19}, {0, 3, 15, 18}},
    {"dilation",
     3, 4, {MAXIMUM, KERNEL(2, 2), STRIDE(1, 1), DILATION(2, 2)},
     {1, 9, 2, 8, 99, 99, 99, 99, 3, 4, 5, 6},
     1, 2, {5, 9}, {10, 1}},
    {"a dilated window without a pixel",
     1, 1, {MAXIMUM, KERNEL(2, 2), STRIDE(1, 1), DILATION(2, 2), PADS(1)}, {3},
     1, 1, {-INF}, {NO}},
    {"the smallest of no pixel",
     1, 2, {MINIMUM, KERNEL(2, 1), STRIDE(1, 1), DILATION(2, 1), .pad_top = 1, .pad_bottom = 1},
     {3, 4},
     1, 2, {INF, INF}, {NO, NO}},
    {"the average of no pixel",
     1, 1, {AVERAGE, KERNEL(2, 2), STRIDE(1, 1), DILATION(2, 2), PADS(1)}, {3},
     1, 1, {0}, {0}},
    {"padding does not count",
     3, 3, {AVERAGE, KERNEL(3, 3), STRIDE(2, 2), DENSE, PADS(1)}, {1, 2, 3, 4, 5, 6, 7, 8, 9},
     2, 2, {3, 4, 6, 7}, {0}},
    {"padding counts where asked for",
     3, 3, {AVERAGE, KERNEL(3, 3), STRIDE(2, 2), DENSE, PADS(1), .count_include_pad = true},
     {9, 9, 9, 9, 9, 9, 9, 9, 9},
     2, 2, {4, 4, 4, 4}, {0}},
    /* The last windows span 3 rows or columns, one of them of the image, one of padding, and one
     * that only ceil_mode added. */
    {"what ceil_mode adds beyond the padding never counts",
     4, 4, {AVERAGE, KERNEL(3, 3), STRIDE(2, 2), DENSE, PADS(1), .ceil_mode = true,
            .count_include_pad = true},
     {9, 9, 9, 18, 9, 9, 9, 18, 9, 9, 9, 18, 12, 12, 12, 24},
     3, 3, {4, 8, 6, 60.0f / 9.0f, 120.0f / 9.0f, 10, 4, 8, 6}, {0}},
    {"sums go along rows first",
     2, 2, {AVERAGE, KERNEL(2, 2), STRIDE(1, 1), DENSE}, {1e8f, -1e8f, 1, 1},
     1, 1, {0.5f}, {0}},
    {"and in order",
     1, 3, {AVERAGE, KERNEL(1, 3), STRIDE(1, 1), DENSE}, {1e8f, 1, -1e8f},
     1, 1, {0}, {0}},
    {"a sum of nothing but -0 is +0",
     1, 2, {AVERAGE, KERNEL(1, 2), STRIDE(1, 1), DENSE}, {-0.0f, -0.0f},
     1, 1, {0.0f}, {0}},
    {"one division, not a reciprocal",
     1, 3, {AVERAGE, KERNEL(1, 3), STRIDE(1, 1), DENSE}, {5, 0, 0},
     1, 1, {5.0f / 3.0f}, {0}},
    {"a global maximum reads no other size",
     2, 3, {MAXIMUM, KERNEL(0, -1), STRIDE(0, 0), PADS(-7), .global = true}, {1, 4, 2, 0, 4, 3},
     1, 1, {4}, {1}},
    {"a global average",
     2, 3, {AVERAGE, .global = true, .count_include_pad = true}, {1, 4, 2, 0, 4, 3},
     1, 1, {14.0f / 6.0f}, {0}},
};
/* clang-format on */

/* The same plane in each channel. */
static void spread(const float *plane, int64_t pixels, int64_t channels, evr_layout layout,
                   float *out) {
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < pixels; i++)
      out[layout == EVR_NHWC ? i * channels + c : c * pixels + i] = plane[i];
}

static void run_case(const worked *k, const char *variant, evr_layout layout, int64_t channels) {
  evr_pool2d_desc d = {1, channels, k->height, k->width, layout, k->window};
  evr_pool2d_sizes s;
  ck_assert_msg(evr_pool2d_get_sizes(&d, &s) == EVR_OK, "%s: %s", k->what, evr_last_error());
  ck_assert_msg(s.out_height == k->out_height && s.out_width == k->out_width,
                "%s: output %lld x %lld, not %lld x %lld", k->what, (long long)s.out_height,
                (long long)s.out_width, (long long)k->out_height, (long long)k->out_width);
  const int64_t pixels = s.out_height * s.out_width;
  float *x = malloc((size_t)s.x_count * sizeof *x), *y = malloc((size_t)s.y_count * sizeof *y);
  int32_t *indices = malloc((size_t)s.y_count * sizeof *indices);
  ck_assert(x != NULL && y != NULL && indices != NULL);
  spread(k->x, k->height * k->width, channels, layout, x);
  const bool winners = k->window.kind != EVR_POOL_AVERAGE;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = variant;
  for (int with_indices = 0; with_indices <= winners; with_indices++) {
    fill_untouched(y, s.y_count);
    ck_assert_msg(evr_pool2d(&d, &options, x, y, with_indices ? indices : NULL) == EVR_OK,
                  "%s, %s: %s", k->what, variant, evr_last_error());
    for (int64_t i = 0; i < s.y_count; i++) {
      const int64_t pixel = layout == EVR_NHWC ? i / channels : i % pixels;
      ck_assert_msg(same_float(y[i], k->y[pixel]), "%s, %s, layout %d, %lld channels: %a, not %a",
                    k->what, variant, (int)layout, (long long)channels, (double)y[i],
                    (double)k->y[pixel]);
      ck_assert_msg(!with_indices || indices[i] == k->indices[pixel],
                    "%s, %s, layout %d, %lld channels: index %d, not %d", k->what, variant,
                    (int)layout, (long long)channels, indices[i], k->indices[pixel]);
    }
  }
  free(x);
  free(y);
  free(indices);
}

/* Channels: fewer than any vector has lanes, one more than the most, and several vectors. */
static const int64_t some_channels[] = {1, 3, 17, 70};

START_TEST(worked_cases) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int variants = 0;
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != EVR_OP_POOL2D || !variant_runs_here(&registry[i])) continue;
    variants++;
    for (int c = 0; c < COUNT(some_channels); c++) {
      run_case(&cases[_i], registry[i].name, EVR_NHWC, some_channels[c]);
      run_case(&cases[_i], registry[i].name, EVR_NCHW, some_channels[c]);
    }
  }
  ck_assert_int_ge(variants, 2);
}
END_TEST

/* Shapes at which the direct variants change from one way of working to another: rows of several
 * strips, windows too wide for a strip, planes about the size of a block, narrow and tall ones. */
typedef struct shape {
  int64_t channels, height, width;
  int64_t kernel_height, kernel_width, stride_height, stride_width;
  int64_t dilation_height, dilation_width;
  int64_t pad; /* top and left, where the kernel is larger */
  evr_layout layout;
  bool global;
} shape;

static const shape shapes[] = {
    {1, 5, 1100, 3, 3, 1, 1, 1, 1, 1, EVR_NCHW, false},
    {2, 7, 1500, 3, 3, 2, 2, 1, 1, 1, EVR_NCHW, false},
    {2, 6, 1301, 2, 2, 2, 2, 1, 1, 0, EVR_NCHW, false},
    {1, 40, 2050, 5, 5, 3, 3, 2, 2, 4, EVR_NCHW, false},
    {3, 4, 700, 3, 3, 1, 1, 1, 1, 1, EVR_NHWC, false},
    {7, 9, 150, 2, 5, 1, 1, 2, 2, 1, EVR_NHWC, false},
    {3, 6, 301, 3, 3, 2, 2, 1, 1, 1, EVR_NHWC, false},
    {1, 3, 200, 2, 64, 1, 1, 1, 1, 0, EVR_NCHW, false},
    {1, 3, 200, 2, 65, 1, 3, 1, 1, 30, EVR_NCHW, false},
    {2, 3, 400, 3, 2, 1, 70, 1, 1, 0, EVR_NCHW, false},
    {2, 3, 400, 3, 3, 1, 70, 1, 40, 20, EVR_NCHW, false},
    {1, 400, 90, 300, 20, 7, 3, 1, 1, 11, EVR_NCHW, false},
    {1, 400, 20, 3, 3, 100, 1, 99, 1, 2, EVR_NCHW, false},
    {40, 16, 16, 3, 3, 1, 1, 1, 1, 1, EVR_NCHW, false},
    {40, 16, 17, 3, 3, 1, 1, 1, 1, 1, EVR_NCHW, false},
    {33, 13, 13, 3, 3, 2, 2, 1, 1, 0, EVR_NCHW, false},
    {19, 256, 1, 3, 1, 1, 1, 1, 1, 0, EVR_NCHW, false},
    {19, 3, 3, 3, 3, 1, 1, 1, 1, 2, EVR_NCHW, false},
    {37, 7, 7, 0, 0, 0, 0, 0, 0, 0, EVR_NCHW, true},
    {5, 61, 63, 0, 0, 0, 0, 0, 0, 0, EVR_NCHW, true},
    {150, 7, 9, 0, 0, 0, 0, 0, 0, 0, EVR_NHWC, true},
};

static guarded buffers[3];

static void run_shape(const shape *s, evr_pool_kind kind, bool with_indices, test_values values,
                      placement where) {
  const evr_pool2d_desc d = {
      2,
      s->channels,
      s->height,
      s->width,
      s->layout,
      {kind, s->kernel_height, s->kernel_width, s->stride_height, s->stride_width,
       s->dilation_height, s->dilation_width, s->kernel_height > s->pad ? s->pad : 0, 0,
       s->kernel_width > s->pad ? s->pad : 0, 0, true, true, s->global}};
  evr_pool2d_sizes z;
  ck_assert_msg(evr_pool2d_get_sizes(&d, &z) == EVR_OK, "%s", evr_last_error());
  const size_t bytes = (size_t)z.y_count * sizeof(float);
  float *x = guarded_place(&buffers[0], (size_t)z.x_count * sizeof *x, where);
  test_random random = {test_seed()};
  random_fill(&random, values, 20, x, z.x_count);
  guarded_freeze(&buffers[0]);
  float *expected = malloc(bytes);
  int32_t *winners = malloc(bytes);
  ck_assert(expected != NULL && winners != NULL);
  evr_plan_options options = walk_reference_options();
  ck_assert_int_eq(evr_pool2d(&d, &options, x, expected, with_indices ? winners : NULL), EVR_OK);
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != EVR_OP_POOL2D || !variant_runs_here(&registry[i])) continue;
    options.variant = registry[i].name;
    options.num_threads = 1 + (int)(i % 3);
    float *y = guarded_place(&buffers[1], bytes, where);
    int32_t *indices = guarded_place(&buffers[2], bytes, where);
    fill_untouched(y, z.y_count);
    memset(indices, 0xa5, bytes);
    ck_assert_int_eq(evr_pool2d(&d, &options, x, y, with_indices ? indices : NULL), EVR_OK);
    const int64_t at = first_difference(expected, y, z.y_count);
    ck_assert_msg(at < 0, "%s, shape %d, kind %d, %s: y[%lld] is %a, not %a", registry[i].name,
                  (int)(s - shapes), (int)kind, values_name(values), (long long)at,
                  (double)y[at < 0 ? 0 : at], (double)expected[at < 0 ? 0 : at]);
    ck_assert_msg(!with_indices || memcmp(indices, winners, bytes) == 0,
                  "%s, shape %d, kind %d, %s: indices differ", registry[i].name, (int)(s - shapes),
                  (int)kind, values_name(values));
    ck_assert(guarded_intact(&buffers[1]) && guarded_intact(&buffers[2]));
  }
  free(expected);
  free(winners);
}

START_TEST(shapes_of_all_ways) {
  for (int kind = EVR_POOL_MAX; kind <= EVR_POOL_MIN; kind++)
    for (int where = 0; where < PLACEMENTS; where++) {
      const test_values values = where == PLACE_END ? VALUES_SPECIAL : VALUES_REALS;
      run_shape(&shapes[_i], (evr_pool_kind)kind, false, values, (placement)where);
      if (kind != EVR_POOL_AVERAGE)
        run_shape(&shapes[_i], (evr_pool_kind)kind, true, values, (placement)where);
    }
}
END_TEST

START_TEST(schemes_of_padding) {
  evr_pool2d_desc d = EVR_POOL2D_DESC_INIT;
  d.channels = 1;
  d.in_height = 6;
  d.in_width = 7;
  d.window.kind = EVR_POOL_MAX;
  d.window.kernel_height = d.window.kernel_width = 3;
  d.window.stride_height = d.window.stride_width = 2;
  evr_pool2d_sizes s;
  ck_assert_int_eq(evr_pool2d_set_padding(&d, EVR_SAME_UPPER), EVR_OK);
  ck_assert(d.window.pad_top == 0 && d.window.pad_bottom == 1);
  ck_assert(d.window.pad_left == 1 && d.window.pad_right == 1);
  ck_assert_int_eq(evr_pool2d_get_sizes(&d, &s), EVR_OK);
  ck_assert(s.out_height == 3 && s.out_width == 4);
  ck_assert_int_eq(evr_pool2d_set_padding(&d, EVR_SAME_LOWER), EVR_OK);
  ck_assert(d.window.pad_top == 1 && d.window.pad_bottom == 0);
  ck_assert_int_eq(evr_pool2d_set_padding(&d, EVR_VALID), EVR_OK);
  ck_assert(d.window.pad_top == 0 && d.window.pad_left == 0 && d.window.pad_right == 0);
  d.window.global = true;
  d.window.kernel_height = -5; /* not read */
  ck_assert_int_eq(evr_pool2d_set_padding(&d, EVR_SAME_UPPER), EVR_OK);
  ck_assert(d.window.pad_top == 0 && d.window.pad_bottom == 0);
}
END_TEST

START_TEST(indices_that_cannot_be) {
  evr_pool2d_desc d = EVR_POOL2D_DESC_INIT;
  d.channels = d.in_height = d.in_width = 2;
  d.window.kind = EVR_POOL_AVERAGE;
  d.window.global = true;
  const float x[8] = {0};
  float y[2];
  int32_t indices[2] = {7, 7};
  fill_untouched(y, 2);
  ck_assert_int_eq(evr_pool2d(&d, NULL, x, y, indices), EVR_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "indices"));
  ck_assert(all_untouched(y, 2) && indices[0] == 7 && indices[1] == 7);
  /* A plane of 2^31 pixels: never read, for the check comes first. */
  d.window.kind = EVR_POOL_MAX;
  d.channels = 1;
  d.in_height = (int64_t)1 << 16;
  d.in_width = (int64_t)1 << 15;
  ck_assert_int_eq(evr_pool2d(&d, NULL, x, y, indices), EVR_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "65536 x 32768"));
}
END_TEST

int main(void) {
  suite_begin("test_pool2d");
  Suite *suite = suite_create("pool2d");
  TCase *semantics = suite_case(suite, "semantics");
  tcase_add_loop_test(semantics, worked_cases, 0, COUNT(cases));
  tcase_add_test(semantics, schemes_of_padding);
  tcase_add_test(semantics, indices_that_cannot_be);
  tcase_add_loop_test(suite_case(suite, "shapes"), shapes_of_all_ways, 0, COUNT(shapes));
  return suite_end(suite);
}
