/* Pooling against the reference, and against an oracle that shares no code with the library. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/compare.h"
#include "walk/pool2d.h"
#include "walk/unary.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_pool2d_plan_create(desc, options, (evr_pool2d_plan **)plan);
}
static void destroy(void *plan) { evr_pool2d_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_pool2d_plan_variant(plan); }
static evr_status forward(const void *plan, const float *x, float *y, int32_t *indices) {
  return evr_pool2d_forward(plan, x, y, indices);
}
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_pool2d_list_variants(desc, options, out, capacity, count);
}
static const unary_operation operation = {create, destroy, variant, forward, list};

void pool2d_describe(const evr_pool2d_desc *d, bool indices, test_values values, char *text,
                     size_t size) {
  static const char *const kinds[] = {"none", "max", "average", "min"};
  const evr_pool2d_window *v = &d->window;
  snprintf(text, size,
           "%s %s batch %" PRId64 " x %" PRId64 "x%" PRId64 "x%" PRId64 " (h,w,c) kernel %" PRId64
           "x%" PRId64 " stride %" PRId64 ",%" PRId64 " dilation %" PRId64 ",%" PRId64
           " pads t%" PRId64 " b%" PRId64 " l%" PRId64 " r%" PRId64 "%s%s%s%s %s",
           kinds[v->kind], d->layout == EVR_NHWC ? "NHWC" : "NCHW", d->batch, d->in_height,
           d->in_width, d->channels, v->kernel_height, v->kernel_width, v->stride_height,
           v->stride_width, v->dilation_height, v->dilation_width, v->pad_top, v->pad_bottom,
           v->pad_left, v->pad_right, v->ceil_mode ? " ceil" : "",
           v->count_include_pad ? " include_pad" : "", v->global ? " global" : "",
           indices ? " indices" : "", values_name(values));
}

static unary_case make_case(walk *w, const evr_pool2d_desc *d, bool indices, test_values values) {
  evr_pool2d_sizes sizes = {0};
  unary_case c = {.operation = &operation, .desc = d, .values = values, .rarity = 4};
  pool2d_describe(d, indices, values, c.text, sizeof c.text);
  if (evr_pool2d_get_sizes(d, &sizes) != EVR_OK)
    walk_fail(w, "%s: no sizes: %s", c.text, evr_last_error());
  c.x_count = sizes.x_count;
  c.y_count = sizes.y_count;
  c.indices = indices && d->window.kind != EVR_POOL_AVERAGE;
  return c;
}

static void against_reference(walk *w, const evr_pool2d_desc *d, bool indices, test_values values) {
  const unary_case c = make_case(w, d, indices, values);
  if (!walk_failed(w)) unary_against_reference(w, &c);
}

/* ---- descriptors ---- */

static const int64_t channel_tails[] = {1,  2,  3,  4,  5,  7,  8,  9,  11, 15,  16, 17,
                                        23, 31, 32, 33, 48, 63, 64, 65, 97, 128, 131};
static const int64_t widths[] = {3, 5, 6, 7, 8, 9, 13, 15, 16, 17, 18, 31, 32, 33, 35, 67};

static evr_pool2d_desc a_pool(evr_pool_kind kind, evr_layout layout, int64_t height, int64_t width,
                              int64_t channels, int64_t kernel, int64_t stride) {
  evr_pool2d_desc d = EVR_POOL2D_DESC_INIT;
  d.layout = layout;
  d.channels = channels;
  d.in_height = height;
  d.in_width = width;
  d.window.kind = kind;
  d.window.kernel_height = d.window.kernel_width = kernel;
  d.window.stride_height = d.window.stride_width = stride;
  return d;
}

static test_values values_of(int64_t index) {
  static const test_values all[] = {VALUES_SPECIAL, VALUES_REALS, VALUES_INTEGERS, VALUES_TINY,
                                    VALUES_REALS};
  return all[index % COUNT(all)];
}

static bool is_possible(const evr_pool2d_desc *d) {
  const evr_pool2d_window *v = &d->window;
  const int64_t high = v->dilation_height * (v->kernel_height - 1) + 1;
  const int64_t wide = v->dilation_width * (v->kernel_width - 1) + 1;
  return high <= d->in_height + v->pad_top + v->pad_bottom &&
         wide <= d->in_width + v->pad_left + v->pad_right && v->pad_top < high &&
         v->pad_bottom < high && v->pad_left < wide && v->pad_right < wide;
}

static void visit_one(walk *w, pool2d_visit *visit, evr_pool2d_desc d, int64_t *index) {
  const int64_t i = (*index)++;
  if (is_possible(&d) && walk_take(w, i)) visit(w, &d, i % 3 == 0, values_of(i));
}

void pool2d_grid(walk *w, pool2d_visit *visit) {
  int64_t index = 0;
  for (int kind = EVR_POOL_MAX; kind <= EVR_POOL_MIN; kind++)
    for (int l = 0; l < 2; l++) {
      const evr_pool_kind k = (evr_pool_kind)kind;
      const evr_layout layout = l ? EVR_NCHW : EVR_NHWC;
      /* tails: channels, and pixels of a row */
      for (int c = 0; c < COUNT(channel_tails); c++)
        for (int64_t kernel = 2; kernel <= 3; kernel++) {
          evr_pool2d_desc d = a_pool(k, layout, 5, 7, channel_tails[c], kernel, kernel - 1);
          d.window.pad_left = d.window.pad_bottom = 1;
          visit_one(w, visit, d, &index);
        }
      for (int i = 0; i < COUNT(widths); i++)
        for (int64_t kernel = 1; kernel <= 4; kernel++)
          for (int64_t stride = 1; stride <= 3; stride++) {
            evr_pool2d_desc d = a_pool(k, layout, 4, widths[i], 3, kernel, stride);
            d.window.pad_top = d.window.pad_right = kernel / 2;
            d.window.pad_left = (kernel - 1) / 2;
            visit_one(w, visit, d, &index);
          }
      /* windows */
      for (int64_t kernel = 1; kernel <= 4; kernel++)
        for (int64_t stride = 1; stride <= 3; stride++)
          for (int64_t dilation = 1; dilation <= 3; dilation++)
            for (int pads = 0; pads < 4; pads++)
              for (int mode = 0; mode < 4; mode++) {
                evr_pool2d_desc d = a_pool(k, layout, 6, 9, 5, kernel, stride);
                d.batch = 1 + (kernel + pads) % 2;
                d.window.dilation_height = dilation;
                d.window.dilation_width = (dilation + kernel) % 3 + 1;
                const int64_t high = dilation * (kernel - 1);
                const int64_t wide = d.window.dilation_width * (kernel - 1);
                d.window.pad_top = pads & 1 ? high : 0;
                d.window.pad_bottom = pads & 2 ? (high + 1) / 2 : 0;
                d.window.pad_left = pads & 2 ? wide : 0;
                d.window.pad_right = pads & 1 ? wide : 0;
                d.window.ceil_mode = mode & 1;
                d.window.count_include_pad = mode & 2;
                visit_one(w, visit, d, &index);
              }
      /* windows and strides that are not square */
      for (int64_t high = 1; high <= 6; high++)
        for (int64_t wide = 1; wide <= 4; wide++)
          for (int64_t strides = 0; strides < 4; strides++) {
            evr_pool2d_desc d = a_pool(k, layout, 13, 37, 2, high, 1);
            d.window.kernel_width = wide;
            d.window.stride_height = 1 + strides % 2;
            d.window.stride_width = 1 + strides / 2;
            d.window.pad_top = d.window.pad_bottom = high / 2;
            d.window.pad_left = strides < 2 ? wide / 2 : 0;
            visit_one(w, visit, d, &index);
          }
      /* the whole plane, larger kernels, windows without a pixel */
      for (int c = 0; c < COUNT(channel_tails); c += 3) {
        evr_pool2d_desc d = a_pool(k, layout, 1 + c % 8, 1 + c % 5, channel_tails[c], 1, 1);
        d.window.global = true;
        visit_one(w, visit, d, &index);
        d = a_pool(k, layout, 1, 1, channel_tails[c], 2, 1);
        d.window.dilation_height = d.window.dilation_width = 3;
        d.window.pad_top = d.window.pad_left = d.window.pad_bottom = d.window.pad_right = 2;
        visit_one(w, visit, d, &index);
        d = a_pool(k, layout, 14, 13, channel_tails[c], 7, 2);
        visit_one(w, visit, d, &index);
        d = a_pool(k, layout, 3, 7, channel_tails[c], 1, INT64_MAX); /* legal and huge */
        d.window.dilation_height = d.window.dilation_width = INT64_MAX;
        d.window.ceil_mode = c % 2 == 0;
        visit_one(w, visit, d, &index);
      }
      /* many channels: pixels of large windows are taken by sevens, then threes, then one by one */
      for (int64_t wide = 4; wide <= 6; wide++)
        for (int64_t odd = 0; odd <= 7; odd += 7) {
          evr_pool2d_desc d = a_pool(k, layout, 5, wide, 1024 + odd, 1, 1);
          d.window.global = true;
          visit_one(w, visit, d, &index);
        }
    }
}

static void check_grid(walk *w) { pool2d_grid(w, against_reference); }

static void random_window(test_random *r, int64_t *kernel, int64_t *stride, int64_t *dilation,
                          int64_t *before, int64_t *after) {
  *kernel = random_between(r, 1, 5);
  *stride = random_between(r, 1, 4);
  *dilation = random_chance(r, 70) ? 1 : random_between(r, 1, 3);
  const int64_t reach = *dilation * (*kernel - 1);
  *before = random_chance(r, 50) ? random_between(r, 0, reach) : 0;
  *after = random_chance(r, 50) ? random_between(r, 0, reach) : 0;
}

evr_pool2d_desc pool2d_random(test_random *r) {
  evr_pool2d_desc d;
  do {
    d = a_pool(EVR_POOL_MAX, EVR_NHWC, 1, 1, 1, 1, 1);
    d.window.kind = (evr_pool_kind)random_between(r, EVR_POOL_MAX, EVR_POOL_MIN);
    d.layout = random_chance(r, 50) ? EVR_NHWC : EVR_NCHW;
    d.in_height = random_between(r, 1, 15);
    d.in_width = random_between(r, 1, 40);
    d.channels = random_of(r, channel_tails, COUNT(channel_tails));
    d.batch = random_chance(r, 70) ? 1 : random_between(r, 1, 3);
    evr_pool2d_window *v = &d.window;
    random_window(r, &v->kernel_height, &v->stride_height, &v->dilation_height, &v->pad_top,
                  &v->pad_bottom);
    random_window(r, &v->kernel_width, &v->stride_width, &v->dilation_width, &v->pad_left,
                  &v->pad_right);
    v->ceil_mode = random_chance(r, 40);
    v->count_include_pad = random_chance(r, 40);
    v->global = random_chance(r, 10);
  } while (!is_possible(&d));
  return d;
}

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(1000);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    const evr_pool2d_desc d = pool2d_random(&w->random);
    against_reference(w, &d, i % 2 == 0, (test_values)(i % (VALUES_SPECIAL + 1)));
  }
}

/* ---- the oracle ---- */

/* Windows in one direction, counted one by one in the padded image. */
static int64_t count_windows(int64_t in, int64_t extent, int64_t stride, int64_t before,
                             int64_t after, bool ceil_mode) {
  int64_t windows = 0;
  const int64_t padded = in + before + after;
  for (int64_t start = 0; start <= padded; start += stride) {
    const bool fits = start + extent <= padded;
    const bool wanted = start == 0 || start - stride + extent < padded;
    if (!fits && !(ceil_mode && wanted && start < in + before)) break;
    windows++;
  }
  return windows;
}

typedef struct condensed {
  double value, magnitude; /* of an average: also the sum of magnitudes over the divisor */
  int64_t index;
} condensed;

static condensed condense(const evr_pool2d_desc *d, const evr_pool2d_window *v, const float *x,
                          int64_t n, int64_t c, int64_t oh, int64_t ow) {
  condensed r = {v->kind == EVR_POOL_MAX ? -(double)INFINITY : (double)INFINITY, 0.0, -1};
  double sum = 0.0, size = 0.0;
  int64_t pixels = 0, places = 0;
  for (int64_t kh = 0; kh < v->kernel_height; kh++)
    for (int64_t kw = 0; kw < v->kernel_width; kw++) {
      const int64_t ih = oh * v->stride_height + kh * v->dilation_height - v->pad_top;
      const int64_t iw = ow * v->stride_width + kw * v->dilation_width - v->pad_left;
      places += ih < d->in_height + v->pad_bottom && iw < d->in_width + v->pad_right;
      if (ih < 0 || ih >= d->in_height || iw < 0 || iw >= d->in_width) continue;
      pixels++;
      const int64_t at = d->layout == EVR_NHWC
                             ? ((n * d->in_height + ih) * d->in_width + iw) * d->channels + c
                             : ((n * d->channels + c) * d->in_height + ih) * d->in_width + iw;
      const double value = (double)x[at];
      sum += value;
      size += fabs(value);
      const bool better = v->kind == EVR_POOL_MAX ? value > r.value : value < r.value;
      if (r.index < 0 || (!isnan(r.value) && (isnan(value) || better))) {
        r.value = value;
        r.index = ih * d->in_width + iw;
      }
    }
  if (v->kind != EVR_POOL_AVERAGE) return r;
  const double divisor = (double)(v->count_include_pad ? places : pixels);
  return (condensed){divisor > 0.0 ? sum / divisor : 0.0, divisor > 0.0 ? size / divisor : 0.0, -1};
}

/* Maxima and minima exactly with their places; averages of integers exactly, since their sums are
 * exact; other averages within gamma_n of the sum of magnitudes, n the window's size. */
static void against_oracle(walk *w, const evr_pool2d_desc *d, bool indices, test_values values) {
  (void)indices;
  if (d->window.kind == EVR_POOL_AVERAGE && values == VALUES_SPECIAL) values = VALUES_REALS;
  const unary_case c = make_case(w, d, true, values);
  if (walk_failed(w)) return;
  w->cases++;
  evr_pool2d_window v = d->window;
  if (v.global) {
    v = (evr_pool2d_window){v.kind, d->in_height, d->in_width, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, true};
  }
  const int64_t height = count_windows(d->in_height, v.dilation_height * (v.kernel_height - 1) + 1,
                                       v.stride_height, v.pad_top, v.pad_bottom, v.ceil_mode);
  const int64_t width = count_windows(d->in_width, v.dilation_width * (v.kernel_width - 1) + 1,
                                      v.stride_width, v.pad_left, v.pad_right, v.ceil_mode);
  if (c.y_count != d->batch * d->channels * height * width) {
    walk_fail(w, "%s: %" PRId64 " outputs, expected %" PRId64 "x%" PRId64 " each plane", c.text,
              c.y_count, height, width);
    return;
  }
  float *x = unary_input(w, &c);
  const int32_t *found;
  const float *y = unary_run(w, &c, x, &found);
  const double n = (double)(v.kernel_height * v.kernel_width) + 1.0;
  const double gamma = n * 0x1p-24 / (1.0 - n * 0x1p-24);
  for (int64_t i = 0; y != NULL && i < c.y_count && !walk_failed(w); i++) {
    const int64_t channel =
        d->layout == EVR_NHWC ? i % d->channels : i / (height * width) % d->channels;
    const int64_t pixel =
        d->layout == EVR_NHWC ? i / d->channels % (height * width) : i % (height * width);
    const condensed r = condense(d, &v, x, i / (height * width * d->channels), channel,
                                 pixel / width, pixel % width);
    const bool exact = v.kind != EVR_POOL_AVERAGE || values == VALUES_INTEGERS;
    const bool right = exact ? same_float(y[i], (float)r.value)
                             : fabs((double)y[i] - r.value) <= gamma * r.magnitude + 0x1p-149;
    if (!right || (c.indices && found[i] != r.index))
      walk_fail(w, "%s: y[%" PRId64 "] is %a, the oracle %a at %" PRId64 " (index %d)", c.text, i,
                (double)y[i], r.value, r.index, c.indices ? found[i] : -2);
  }
  w->served += y != NULL;
  free(x);
}

static void check_oracle(walk *w) { pool2d_grid(w, against_oracle); }

evr_pool2d_desc pool2d_large(evr_pool_kind kind, evr_layout layout) {
  evr_pool2d_desc d = a_pool(kind, layout, 127, 131, 37, 3, 2);
  d.batch = 2;
  d.window.pad_top = d.window.pad_right = 1;
  return d;
}

static void visit_threaded(walk *w, int64_t index) {
  const int64_t kind = EVR_POOL_MAX + index / 2;
  const evr_pool2d_desc d = pool2d_large((evr_pool_kind)kind, index % 2 ? EVR_NCHW : EVR_NHWC);
  against_reference(w, &d, false, VALUES_REALS);
}
static void check_threads(walk *w) {
  walk_list(w, 2 * (EVR_POOL_MIN - EVR_POOL_MAX + 1), visit_threaded);
}

const walk_check pool2d_checks[] = {
    {"grid", EVR_OP_POOL2D, check_grid, true},     {"random", EVR_OP_POOL2D, check_random, false},
    {"oracle", EVR_OP_POOL2D, check_oracle, true}, {"threads", EVR_OP_POOL2D, check_threads, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
