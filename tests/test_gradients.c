/* Gradients of dense layers, pooling, padding and flatten against differences of the forward pass,
 * which is written out here in double: for every variant that runs here. (Those of convolution:
 * test_conv2d_backward.c.) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/compare.h"
#include "support/functions.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/walk.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* A power of two, so that values on a grid of 2^-6 can be moved by it without rounding. */
#define STEP 0x1p-10

/* ---- differences ---- */

typedef struct layer {
  const void *desc;
  void (*forward)(const struct layer *l, double *z); /* what the activation is applied to */
  evr_activation activation;
  float *inputs[3]; /* x, weights, bias */
  int64_t counts[3], outputs;
  float *dy;
  /* Of a gradient g, in parts of 1 + |g|; 0 where every step of it, and of the difference, is
   * exact: sums of values on a grid. */
  double allowed;
} layer;

static void *take(int64_t count, size_t size) {
  void *made = calloc((size_t)count, size);
  ck_assert(made != NULL);
  return made;
}

static float *grid_values(test_random *random, int64_t count) {
  float *made = take(count, sizeof *made);
  for (int64_t i = 0; i < count; i++) made[i] = (float)random_between(random, -64, 64) * 0x1p-6f;
  return made;
}

static void layer_free(layer *l) {
  for (int i = 0; i < 3; i++) free(l->inputs[i]);
  free(l->dy);
}

/* The derivatives of sum dy y by the values of an input; NAN where there is none. */
static double *slopes(const layer *l, int input) {
  double *made = take(l->counts[input], sizeof *made);
  double *low = take(2 * l->outputs, sizeof *low), *high = low + l->outputs;
  for (int64_t i = 0; i < l->counts[input]; i++) {
    float *value = &l->inputs[input][i];
    const float before = *value;
    *value = before - (float)STEP;
    l->forward(l, low);
    *value = before + (float)STEP;
    l->forward(l, high);
    *value = before;
    for (int64_t o = 0; o < l->outputs; o++) {
      const evr_activation *a = &l->activation;
      if (function_has_kink(a, fmin(low[o], high[o]), fmax(low[o], high[o]))) made[i] = NAN;
      made[i] += (double)l->dy[o] * (function_value(a, high[o]) - function_value(a, low[o]));
    }
    made[i] /= 2.0 * STEP;
  }
  free(low);
  return made;
}

static void compare(const layer *l, const double *expected, const float *gradient, int input,
                    const char *what) {
  int64_t compared = 0;
  for (int64_t i = 0; i < l->counts[input]; i++) {
    if (isnan(expected[i])) continue;
    compared++;
    const double off = fabs((double)gradient[i] - expected[i]);
    ck_assert_msg(off <= l->allowed * (1.0 + fabs(expected[i])), /* false for a NaN */
                  "%s: gradient %lld is %.9g, the difference says %.9g", what, (long long)i,
                  (double)gradient[i], expected[i]);
  }
  ck_assert_msg(compared > 0, "%s: nothing was compared", what);
}

/* That the library's forward pass is the one whose differences are taken. */
static void compare_forward(const layer *l, const float *y, const char *what) {
  double *z = take(l->outputs, sizeof *z);
  l->forward(l, z);
  for (int64_t i = 0; i < l->outputs; i++) {
    const double expected = function_value(&l->activation, z[i]);
    ck_assert_msg(fabs((double)y[i] - expected) <= l->allowed * (1.0 + fabs(expected)),
                  "%s: y[%lld] is %.9g, not %.9g", what, (long long)i, (double)y[i], expected);
  }
  free(z);
}

/* Runs visit for each variant of an operation that runs here. */
static void each_variant(evr_operation operation,
                         void (*visit)(const evr_plan_options *options, void *context),
                         void *context) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int ran = 0;
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != operation || !variant_runs_here(&registry[i])) continue;
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[i].name;
    visit(&options, context);
    ran++;
  }
  ck_assert_int_ge(ran, 2);
}

/* ---- dense layers ---- */

#define IN 19
#define OUT 18 /* a vector of any kind, and a rest */

typedef struct dense_layer {
  layer l;
  evr_dense_desc desc;
  double *slopes[3]; /* by x, weights, bias */
  float *y, *z, *unknown, *gradient, *dbias;
  char what[128];
} dense_layer;

static void dense_forward(const layer *l, double *z) {
  const evr_dense_desc *d = l->desc;
  const float *x = l->inputs[0], *weights = l->inputs[1], *bias = l->inputs[2];
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t o = 0; o < OUT; o++) {
      double sum = (double)bias[o];
      for (int64_t i = 0; i < IN; i++)
        sum += (double)x[n * IN + i] *
               (double)weights[d->weights_layout == EVR_IO ? i * OUT + o : o * IN + i];
      z[n * OUT + o] = sum;
    }
}

/* What of y and z an execution is given: GIVEN_Y | GIVEN_Z, or neither. */
enum { GIVEN_Y = 1, GIVEN_Z = 2, WAYS = 4 };

typedef evr_status dense_call(dense_layer *c, const evr_plan_options *options, const float *y,
                              const float *z);

static evr_status call_data(dense_layer *c, const evr_plan_options *options, const float *y,
                            const float *z) {
  const evr_dense_backward_data_arguments a = {
      .dy = c->l.dy, .y = y, .z = z, .weights = c->l.inputs[1], .dx = c->gradient};
  return evr_dense_backward_data(&c->desc, options, &a);
}
static evr_status call_weights(dense_layer *c, const evr_plan_options *options, const float *y,
                               const float *z) {
  const evr_dense_backward_weights_arguments a = {.x = c->l.inputs[0],
                                                  .dy = c->l.dy,
                                                  .y = y,
                                                  .z = z,
                                                  .dweights = c->gradient,
                                                  .dbias = c->dbias};
  return evr_dense_backward_weights(&c->desc, options, &a);
}

/* With y, with z, with both, of which the one that is not to be read is NaN; and with neither. */
static void all_ways(dense_layer *c, const evr_plan_options *options, dense_call *call, int input) {
  const bool needs_z = evr_activation_needs_z(&c->desc.activation);
  const bool identity = c->desc.activation.kind == EVR_IDENTITY;
  float *first = NULL;
  const int64_t count = c->l.counts[input];
  for (int way = WAYS - 1; way >= 0; way--) {
    const bool both = way == (GIVEN_Y | GIVEN_Z);
    const float *y = way & GIVEN_Y ? c->y : NULL, *z = way & GIVEN_Z ? c->z : NULL;
    if (both && needs_z) y = c->unknown;
    if (both && !needs_z) z = c->unknown;
    char what[256];
    snprintf(what, sizeof what, "%s, %s%s%s", c->what, options->variant, y != NULL ? ", y" : "",
             z != NULL ? ", z" : "");
    fill_untouched(c->gradient, count);
    fill_untouched(c->dbias, OUT);
    const evr_status status = call(c, options, y, z);
    if (!identity && (needs_z ? z == NULL : way == 0)) {
      ck_assert_msg(status == EVR_INVALID_ARGUMENT, "%s: status %d", what, (int)status);
      const char *missing = needs_z ? "z is NULL" : "y and z are NULL";
      ck_assert_msg(strncmp(evr_last_error(), missing, strlen(missing)) == 0, "%s: %s", what,
                    evr_last_error());
      ck_assert(all_untouched(c->gradient, count) && all_untouched(c->dbias, OUT));
      continue;
    }
    ck_assert_msg(status == EVR_OK, "%s: %s", what, evr_last_error());
    compare(&c->l, c->slopes[input], c->gradient, input, what);
    if (input == 1) compare(&c->l, c->slopes[2], c->dbias, 2, what);
    if (first == NULL) {
      first = take(count, sizeof *first);
      memcpy(first, c->gradient, (size_t)count * sizeof *first);
    }
    ck_assert_msg(first_difference(first, c->gradient, count) < 0, "%s: other bits", what);
  }
  free(first);
}

static void visit_data(const evr_plan_options *options, void *context) {
  all_ways(context, options, call_data, 0);
}
static void visit_weights(const evr_plan_options *options, void *context) {
  all_ways(context, options, call_weights, 1);
}

/* Every activation, with weights of both layouts and slopes of both signs. */
START_TEST(dense_gradients_are_slopes) {
  test_random random = {test_seed() + (uint64_t)_i};
  dense_layer c = {.desc = EVR_DENSE_DESC_INIT};
  evr_dense_desc *d = &c.desc;
  d->batch = 1 + _i % 5;
  d->in_features = IN;
  d->out_features = OUT;
  d->weights_layout = _i / 12 % 2 ? EVR_OI : EVR_IO;
  d->activation = (evr_activation){(evr_activation_kind)(_i % 12), _i / 24 ? 0.75f : -0.5f};
  snprintf(c.what, sizeof c.what, "activation %d, alpha %g, batch %d, %s", _i % 12,
           (double)d->activation.alpha, (int)d->batch, d->weights_layout == EVR_IO ? "IO" : "OI");
  layer *l = &c.l;
  l->desc = d;
  l->forward = dense_forward;
  l->activation = d->activation;
  l->outputs = d->batch * OUT;
  l->dy = grid_values(&random, l->outputs);
  const int64_t counts[] = {d->batch * IN, IN * OUT, OUT};
  memcpy(l->counts, counts, sizeof counts);
  for (int i = 0; i < 3; i++) l->inputs[i] = grid_values(&random, counts[i]);
  const bool by_pieces = d->activation.kind <= EVR_LEAKY_RELU || d->activation.kind == EVR_RELU6;
  l->allowed = by_pieces ? 0.0 : 2e-5;

  c.y = take(l->outputs, sizeof *c.y);
  c.z = take(l->outputs, sizeof *c.z);
  c.unknown = take(l->outputs, sizeof *c.unknown);
  c.gradient = take(IN * OUT, sizeof *c.gradient);
  c.dbias = take(OUT, sizeof *c.dbias);
  double *z = take(l->outputs, sizeof *z);
  dense_forward(l, z);
  for (int64_t i = 0; i < l->outputs; i++) {
    c.z[i] = (float)z[i];
    c.unknown[i] = NAN;
  }
  ck_assert_int_eq(evr_dense(d, NULL, l->inputs[0], l->inputs[1], l->inputs[2], c.y), EVR_OK);
  compare_forward(l, c.y, c.what);
  for (int i = 0; i < 3; i++) c.slopes[i] = slopes(l, i);
  each_variant(EVR_OP_DENSE_BACKWARD_DATA, visit_data, &c);
  each_variant(EVR_OP_DENSE_BACKWARD_WEIGHTS, visit_weights, &c);
  for (int i = 0; i < 3; i++) free(c.slopes[i]);
  free(z);
  free(c.y);
  free(c.z);
  free(c.unknown);
  free(c.gradient);
  free(c.dbias);
  layer_free(l);
}
END_TEST

/* ---- layers of images: x alone ---- */

typedef struct image_layer {
  layer l;
  evr_pool2d_desc pool;
  evr_pad2d_desc pad;
  int64_t height, width; /* of the output */
  double *slopes;
  int32_t *indices;
  float *dx;
  char what[128];
} image_layer;

static int64_t place(evr_layout layout, int64_t channels, int64_t height, int64_t width, int64_t n,
                     int64_t c, int64_t h, int64_t w) {
  return layout == EVR_NHWC ? ((n * height + h) * width + w) * channels + c
                            : ((n * channels + c) * height + h) * width + w;
}

/* Values of which no two are equal or within a step of each other, in random order. */
static float *distinct_values(test_random *random, int64_t count) {
  float *made = take(count, sizeof *made);
  for (int64_t i = 0; i < count; i++) {
    const int64_t at = random_between(random, 0, i);
    made[i] = made[at];
    made[at] = (float)(i - count / 2) * 0x1p-6f;
  }
  return made;
}

static void begin_image(image_layer *c, test_random *random, int64_t x_count, int64_t y_count) {
  c->l.desc = c;
  c->l.counts[0] = x_count;
  c->l.outputs = y_count;
  c->l.inputs[0] = distinct_values(random, x_count);
  c->l.dy = grid_values(random, y_count);
  c->dx = take(x_count, sizeof *c->dx);
}

static void end_image(image_layer *c) {
  free(c->slopes);
  free(c->indices);
  free(c->dx);
  layer_free(&c->l);
}

/* ---- pooling ---- */

static double pool_window(const image_layer *c, int64_t n, int64_t channel, int64_t oh,
                          int64_t ow) {
  const evr_pool2d_desc *d = &c->pool;
  evr_pool2d_window v = d->window;
  if (v.global)
    v = (evr_pool2d_window){.kind = v.kind,
                            .kernel_height = d->in_height,
                            .kernel_width = d->in_width,
                            .dilation_height = 1,
                            .dilation_width = 1};
  double sum = 0.0, least = INFINITY, most = -INFINITY;
  int64_t counted = 0;
  for (int64_t kh = 0; kh < v.kernel_height; kh++)
    for (int64_t kw = 0; kw < v.kernel_width; kw++) {
      const int64_t h = oh * v.stride_height + kh * v.dilation_height - v.pad_top;
      const int64_t w = ow * v.stride_width + kw * v.dilation_width - v.pad_left;
      if (h >= d->in_height + v.pad_bottom || w >= d->in_width + v.pad_right) continue;
      const bool inside = h >= 0 && h < d->in_height && w >= 0 && w < d->in_width;
      if (inside || v.count_include_pad) counted++;
      if (!inside) continue;
      const double x = (double)c->l.inputs[0][place(d->layout, d->channels, d->in_height,
                                                    d->in_width, n, channel, h, w)];
      sum += x;
      least = fmin(least, x);
      most = fmax(most, x);
    }
  if (v.kind == EVR_POOL_AVERAGE) return sum / (double)counted;
  return v.kind == EVR_POOL_MAX ? most : least;
}

static void pool_forward(const layer *l, double *z) {
  const image_layer *c = l->desc;
  const evr_pool2d_desc *d = &c->pool;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t channel = 0; channel < d->channels; channel++)
      for (int64_t h = 0; h < c->height; h++)
        for (int64_t w = 0; w < c->width; w++)
          z[place(d->layout, d->channels, c->height, c->width, n, channel, h, w)] =
              pool_window(c, n, channel, h, w);
}

static void visit_pool(const evr_plan_options *options, void *context) {
  image_layer *c = context;
  char what[256];
  snprintf(what, sizeof what, "%s, %s", c->what, options->variant);
  const bool average = c->pool.window.kind == EVR_POOL_AVERAGE;
  for (int by_indices = 0; by_indices <= !average; by_indices++) {
    fill_untouched(c->dx, c->l.counts[0]);
    ck_assert_msg(
        evr_pool2d_backward(&c->pool, options, c->l.dy, by_indices ? c->indices : NULL,
                            average || by_indices ? NULL : c->l.inputs[0], c->dx) == EVR_OK,
        "%s: %s", what, evr_last_error());
    compare(&c->l, c->slopes, c->dx, 0, what);
  }
}

#define KERNEL(h, w) .kernel_height = (h), .kernel_width = (w)
#define STRIDE(h, w) .stride_height = (h), .stride_width = (w)
#define DILATION(h, w) .dilation_height = (h), .dilation_width = (w)
#define PADS(t, b, l, r) .pad_top = (t), .pad_bottom = (b), .pad_left = (l), .pad_right = (r)
static const evr_pool2d_window windows[] = {
    {KERNEL(2, 2), STRIDE(2, 2), DILATION(1, 1)},
    {KERNEL(3, 3), STRIDE(2, 2), DILATION(1, 1), PADS(1, 1, 1, 1)},
    {KERNEL(3, 3), STRIDE(1, 1), DILATION(1, 1), PADS(1, 1, 1, 1)},
    {KERNEL(3, 3), STRIDE(2, 2), DILATION(1, 1), PADS(0, 1, 1, 0), .ceil_mode = true},
    {KERNEL(2, 2), STRIDE(3, 3), DILATION(1, 1)}, /* some pixels are in no window */
    {KERNEL(4, 2), STRIDE(1, 3), DILATION(1, 2), PADS(3, 0, 2, 1), .ceil_mode = true},
    {KERNEL(2, 3), STRIDE(2, 1), DILATION(3, 2), PADS(0, 2, 1, 0)},
    {.global = true},
};

/* Maximum, minimum, and the average that counts padding and that does not. */
#define POOL_KINDS 4
#define POOL_CASES (COUNT(windows) * POOL_KINDS * 2)

START_TEST(pooling_gradients_are_slopes) {
  static const evr_pool_kind kinds[] = {EVR_POOL_MAX, EVR_POOL_MIN, EVR_POOL_AVERAGE,
                                        EVR_POOL_AVERAGE};
  const int kind = _i / 2 % POOL_KINDS, window = _i / 2 / POOL_KINDS;
  test_random random = {test_seed() + (uint64_t)_i};
  image_layer c = {.pool = {2, 3, 7, 8, _i % 2 ? EVR_NCHW : EVR_NHWC, windows[window]}};
  evr_pool2d_desc *d = &c.pool;
  if (window % 2 == 0) {
    d->batch = 1;
    d->channels = 17; /* a vector of any kind, and a rest */
  }
  d->window.kind = kinds[kind];
  d->window.count_include_pad = kind == 3;
  snprintf(c.what, sizeof c.what, "window %d, kind %d, %s", window, kind, _i % 2 ? "NCHW" : "NHWC");
  evr_pool2d_sizes s;
  ck_assert_msg(evr_pool2d_get_sizes(d, &s) == EVR_OK, "%s: %s", c.what, evr_last_error());
  c.height = s.out_height;
  c.width = s.out_width;
  begin_image(&c, &random, s.x_count, s.y_count);
  c.l.forward = pool_forward;
  /* Shares are rounded, and at most a dozen of them added. */
  c.l.allowed = kinds[kind] == EVR_POOL_AVERAGE ? 0x1p-19 : 0.0;
  float *y = take(s.y_count, sizeof *y);
  if (kinds[kind] != EVR_POOL_AVERAGE) c.indices = take(s.y_count, sizeof *c.indices);
  ck_assert_int_eq(evr_pool2d(d, NULL, c.l.inputs[0], y, c.indices), EVR_OK);
  compare_forward(&c.l, y, c.what);
  c.slopes = slopes(&c.l, 0);
  each_variant(EVR_OP_POOL2D_BACKWARD, visit_pool, &c);
  free(y);
  end_image(&c);
}
END_TEST

/* ---- padding ---- */

/* The place of the image that a place of the padded one shows; -1: none. */
static int64_t shown(evr_pad_mode mode, int64_t at, int64_t pad, int64_t size) {
  const int64_t i = at - pad;
  if (i >= 0 && i < size) return i;
  if (mode == EVR_PAD_ZERO) return -1;
  if (mode == EVR_PAD_REPLICATE) return i < 0 ? 0 : size - 1;
  return i < 0 ? -i : 2 * (size - 1) - i;
}

static void pad_forward(const layer *l, double *z) {
  const image_layer *c = l->desc;
  const evr_pad2d_desc *d = &c->pad;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t channel = 0; channel < d->channels; channel++)
      for (int64_t oh = 0; oh < c->height; oh++)
        for (int64_t ow = 0; ow < c->width; ow++) {
          const int64_t h = shown(d->mode, oh, d->pad_top, d->in_height);
          const int64_t w = shown(d->mode, ow, d->pad_left, d->in_width);
          double *to = &z[place(d->layout, d->channels, c->height, c->width, n, channel, oh, ow)];
          *to = h < 0 || w < 0 ? 0.0
                               : (double)c->l.inputs[0][place(d->layout, d->channels, d->in_height,
                                                              d->in_width, n, channel, h, w)];
        }
}

static void visit_pad(const evr_plan_options *options, void *context) {
  image_layer *c = context;
  char what[256];
  snprintf(what, sizeof what, "%s, %s", c->what, options->variant);
  fill_untouched(c->dx, c->l.counts[0]);
  ck_assert_msg(evr_pad2d_backward(&c->pad, options, c->l.dy, c->dx) == EVR_OK, "%s: %s", what,
                evr_last_error());
  compare(&c->l, c->slopes, c->dx, 0, what);
}

/* Top, bottom, left, right. */
static const int64_t pads[][4] = {{1, 1, 1, 1}, {3, 0, 0, 4}, {0, 2, 1, 0}, {0, 0, 0, 0}};
#define PAD_CASES (COUNT(pads) * 3 * 2)

START_TEST(padding_gradients_are_slopes) {
  const int64_t *p = pads[_i / 6];
  test_random random = {test_seed() + (uint64_t)_i};
  image_layer c = {.pad = {2, 3, 4, 5, p[0], p[1], p[2], p[3], (evr_pad_mode)(_i / 2 % 3),
                           _i % 2 ? EVR_NCHW : EVR_NHWC}};
  snprintf(c.what, sizeof c.what, "pads %d, mode %d, %s", _i / 6, _i / 2 % 3,
           _i % 2 ? "NCHW" : "NHWC");
  evr_pad2d_sizes s;
  ck_assert_msg(evr_pad2d_get_sizes(&c.pad, &s) == EVR_OK, "%s: %s", c.what, evr_last_error());
  c.height = s.out_height;
  c.width = s.out_width;
  begin_image(&c, &random, s.x_count, s.y_count);
  c.l.forward = pad_forward;
  float *y = take(s.y_count, sizeof *y);
  ck_assert_int_eq(evr_pad2d(&c.pad, NULL, c.l.inputs[0], y), EVR_OK);
  compare_forward(&c.l, y, c.what);
  c.slopes = slopes(&c.l, 0);
  each_variant(EVR_OP_PAD2D_BACKWARD, visit_pad, &c);
  free(y);
  end_image(&c);
}
END_TEST

/* ---- flatten ---- */

static void flatten_forward(const layer *l, double *z) {
  for (int64_t i = 0; i < l->outputs; i++) z[i] = (double)l->inputs[0][i];
}

START_TEST(flatten_gradients_are_slopes) {
  enum { BATCH = 2, CHANNELS = 3, HEIGHT = 4, WIDTH = 5, ALL = BATCH * CHANNELS * HEIGHT * WIDTH };
  const evr_layout layout = _i ? EVR_NCHW : EVR_NHWC;
  test_random random = {test_seed() + (uint64_t)_i};
  image_layer c = {.what = "flatten"};
  begin_image(&c, &random, ALL, ALL);
  c.l.forward = flatten_forward;
  float y[ALL];
  ck_assert_int_eq(evr_flatten(layout, BATCH, CHANNELS, HEIGHT, WIDTH, c.l.inputs[0], y), EVR_OK);
  compare_forward(&c.l, y, c.what);
  c.slopes = slopes(&c.l, 0);
  fill_untouched(c.dx, ALL);
  ck_assert_int_eq(evr_flatten_backward(layout, BATCH, CHANNELS, HEIGHT, WIDTH, c.l.dy, c.dx),
                   EVR_OK);
  compare(&c.l, c.slopes, c.dx, 0, c.what);
  end_image(&c);
}
END_TEST

int main(void) {
  suite_begin("gradients");
  Suite *suite = suite_create("gradients");
  TCase *all = suite_case(suite, "slopes");
  tcase_add_loop_test(all, dense_gradients_are_slopes, 0, 48);
  tcase_add_loop_test(all, pooling_gradients_are_slopes, 0, POOL_CASES);
  tcase_add_loop_test(all, padding_gradients_are_slopes, 0, PAD_CASES);
  tcase_add_loop_test(all, flatten_gradients_are_slopes, 0, 2);
  return suite_end(suite);
}
