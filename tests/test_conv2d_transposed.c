/* Transposed convolution with bias and activation against the formula in double; and its gradients,
 * which are had from the calls that docs/backward.md names, against numerical ones. */
#include <math.h>
#include <stdlib.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/functions.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/walk.h"

/* A power of two, so that values on a grid of 2^-6 can be moved by it without rounding. */
#define STEP 0x1p-10

typedef struct layer {
  evr_conv2d_transposed_desc desc;
  evr_conv2d_transposed_sizes sizes;
  float *x, *weights, *bias, *dy;
  double *z, *other;
} layer;

static int64_t at(evr_layout layout, int64_t channels, int64_t height, int64_t width, int64_t n,
                  int64_t h, int64_t w, int64_t c) {
  if (layout == EVR_NHWC) return ((n * height + h) * width + w) * channels + c;
  return ((n * channels + c) * height + h) * width + w;
}

/* z of the formula: each input is spread over a window of outputs. */
static void sum(const layer *l, double *z) {
  const evr_conv2d_transposed_desc *d = &l->desc;
  const evr_conv2d_transposed_sizes *s = &l->sizes;
  const int64_t ins = d->in_channels / d->groups, outs = d->out_channels / d->groups;
  const int64_t pixels = s->out_height * s->out_width;
  for (int64_t i = 0; i < s->y_count; i++)
    z[i] =
        (double)l->bias[d->layout == EVR_NHWC ? i % d->out_channels : i / pixels % d->out_channels];
  for (int64_t i = 0; i < d->batch * d->in_height * d->in_width * d->in_channels; i++) {
    const int64_t ic = i % d->in_channels, iw = i / d->in_channels % d->in_width;
    const int64_t ih = i / d->in_channels / d->in_width % d->in_height;
    const int64_t n = i / d->in_channels / d->in_width / d->in_height;
    const double x =
        (double)l->x[at(d->layout, d->in_channels, d->in_height, d->in_width, n, ih, iw, ic)];
    for (int64_t kh = 0; kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++)
        for (int64_t o = 0; o < outs; o++) {
          const int64_t oh = ih * d->stride_height + kh * d->dilation_height - d->pad_top;
          const int64_t ow = iw * d->stride_width + kw * d->dilation_width - d->pad_left;
          if (oh < 0 || oh >= s->out_height || ow < 0 || ow >= s->out_width) continue;
          const int64_t weight =
              d->filter_layout == EVR_HWIO
                  ? ((kh * d->kernel_width + kw) * outs + o) * d->in_channels + ic
                  : ((ic * outs + o) * d->kernel_height + kh) * d->kernel_width + kw;
          z[at(d->layout, d->out_channels, s->out_height, s->out_width, n, oh, ow,
               ic / ins * outs + o)] += x * (double)l->weights[weight];
        }
  }
}

/* The derivative of sum dy y by one input; NAN where there is none. */
static double slope(const layer *l, float *value) {
  const evr_activation *a = &l->desc.activation;
  const float before = *value;
  *value = before + (float)STEP;
  sum(l, l->z);
  *value = before - (float)STEP;
  sum(l, l->other);
  *value = before;
  double difference = 0.0;
  for (int64_t i = 0; i < l->sizes.y_count; i++) {
    if (function_has_kink(a, fmin(l->z[i], l->other[i]), fmax(l->z[i], l->other[i]))) return NAN;
    difference += (double)l->dy[i] * (function_value(a, l->z[i]) - function_value(a, l->other[i]));
  }
  return difference / (2.0 * STEP);
}

static int64_t compare_slopes(const layer *l, float *inputs, const float *gradient, int64_t count,
                              const char *what) {
  int64_t compared = 0;
  for (int64_t i = 0; i < count; i++) {
    const double expected = slope(l, &inputs[i]);
    if (isnan(expected)) continue;
    compared++;
    ck_assert_msg(fabs((double)gradient[i] - expected) <= 2e-4 * (1.0 + fabs(expected)),
                  "activation %d: %s[%lld] is %.9g, the difference says %.9g",
                  (int)l->desc.activation.kind, what, (long long)i, (double)gradient[i], expected);
  }
  return compared;
}

static float *room(int64_t count) {
  float *made = malloc((size_t)count * sizeof *made);
  ck_assert(made != NULL);
  return made;
}

static float *grid_values(test_random *random, int64_t count) {
  float *made = room(count);
  for (int64_t i = 0; i < count; i++) made[i] = (float)random_between(random, -64, 64) * 0x1p-6f;
  return made;
}

static layer make_layer(int index) {
  test_random random = {test_seed() + (uint64_t)index};
  layer l = {.desc = EVR_CONV2D_TRANSPOSED_DESC_INIT};
  evr_conv2d_transposed_desc *d = &l.desc;
  d->batch = 1 + index % 2;
  d->groups = index % 3 == 1 ? 2 : 1;
  d->in_channels = 4;
  d->out_channels = index % 5 == 1 ? 4 : 2;
  d->in_height = 3;
  d->in_width = 4;
  d->kernel_height = 3;
  d->kernel_width = 2 + index % 2;
  d->stride_height = 1 + index % 2;
  d->stride_width = 1 + index / 2 % 3;
  d->dilation_width = 1 + index / 3 % 2;
  d->pad_top = index % 3;
  d->pad_bottom = index / 2 % 2;
  d->pad_left = 1;
  d->pad_right = index / 4 % 2;
  d->output_padding_height = index / 3 % d->stride_height;
  d->output_padding_width = index / 5 % d->stride_width;
  d->layout = index / 5 % 2 ? EVR_NCHW : EVR_NHWC;
  d->filter_layout = index / 7 % 2 ? EVR_OIHW : EVR_HWIO;
  d->activation = (evr_activation){(evr_activation_kind)(index % 12), index % 2 ? 0.75f : -0.5f};
  ck_assert_msg(evr_conv2d_transposed_get_sizes(d, &l.sizes) == EVR_OK, "%s", evr_last_error());
  const evr_conv2d_transposed_sizes *s = &l.sizes;
  l.x = grid_values(&random, s->x_count);
  l.weights = grid_values(&random, s->weights_count);
  l.bias = grid_values(&random, s->bias_count);
  l.dy = grid_values(&random, s->y_count);
  l.z = malloc(2 * (size_t)s->y_count * sizeof *l.z);
  ck_assert(l.z != NULL);
  l.other = l.z + s->y_count;
  return l;
}

static void free_layer(layer *l) {
  free(l->x);
  free(l->weights);
  free(l->bias);
  free(l->dy);
  free(l->z);
}

/* Every variant computes y of the formula. */
static void compare_outputs(layer *l) {
  const evr_conv2d_transposed_desc *d = &l->desc;
  const evr_conv2d_transposed_sizes *s = &l->sizes;
  float *y = room(s->y_count);
  sum(l, l->z);
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int served = 0;
  for (size_t v = 0; v < rows; v++) {
    if (registry[v].operation != EVR_OP_CONV2D_TRANSPOSED || !variant_runs_here(&registry[v]) ||
        (registry[v].math & EVR_SERVES(EVR_MATH_EXACT)) == 0)
      continue;
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[v].name;
    const evr_status status = evr_conv2d_transposed(d, &options, l->x, l->weights, l->bias, y);
    if (status == EVR_UNSUPPORTED) continue;
    ck_assert_msg(status == EVR_OK, "%s: %s", registry[v].name, evr_last_error());
    served++;
    for (int64_t i = 0; i < s->y_count; i++) {
      const double expected = function_value(&d->activation, l->z[i]);
      ck_assert_msg(fabs((double)y[i] - expected) <= 1e-5 * (1.0 + fabs(expected)),
                    "%s, activation %d: y[%lld] is %.9g, the formula says %.9g", registry[v].name,
                    (int)d->activation.kind, (long long)i, (double)y[i], expected);
    }
  }
  ck_assert_int_ge(served, 2);
  free(y);
}

/* The convolution whose gradient the layer is: its image is y, its output x. */
static evr_conv2d_desc convolution_of(const layer *l) {
  const evr_conv2d_transposed_desc *d = &l->desc;
  evr_conv2d_desc c = EVR_CONV2D_DESC_INIT;
  c.batch = d->batch;
  c.groups = d->groups;
  c.in_channels = d->out_channels;
  c.in_height = l->sizes.out_height;
  c.in_width = l->sizes.out_width;
  c.out_channels = d->in_channels;
  c.kernel_height = d->kernel_height;
  c.kernel_width = d->kernel_width;
  c.stride_height = d->stride_height;
  c.stride_width = d->stride_width;
  c.dilation_height = d->dilation_height;
  c.dilation_width = d->dilation_width;
  c.pad_top = d->pad_top;
  c.pad_bottom = d->pad_bottom;
  c.pad_left = d->pad_left;
  c.pad_right = d->pad_right;
  c.layout = d->layout;
  c.filter_layout = d->filter_layout;
  return c;
}

/* Any convolution whose output is of y's shape has the bias's gradient. */
static evr_conv2d_desc pointwise_of(const layer *l) {
  evr_conv2d_desc c = EVR_CONV2D_DESC_INIT;
  c.batch = l->desc.batch;
  c.in_channels = 1;
  c.out_channels = l->desc.out_channels;
  c.in_height = l->sizes.out_height;
  c.in_width = l->sizes.out_width;
  c.kernel_height = c.kernel_width = 1;
  c.layout = l->desc.layout;
  return c;
}

START_TEST(gradients_are_slopes) {
  layer l = make_layer(_i);
  const evr_conv2d_transposed_sizes *s = &l.sizes;
  const evr_activation *a = &l.desc.activation;
  compare_outputs(&l);

  float *z = room(s->y_count), *y = room(s->y_count), *g = room(s->y_count);
  float *dx = room(s->x_count), *dw = room(s->weights_count), *db = room(s->bias_count);
  sum(&l, l.z);
  for (int64_t i = 0; i < s->y_count; i++) {
    z[i] = (float)l.z[i];
    y[i] = (float)function_value(a, l.z[i]);
  }
  const bool by_z = evr_activation_needs_z(a) || _i % 4 == 0;
  const evr_activation_desc activation = {*a, s->y_count};
  const evr_conv2d_desc c = convolution_of(&l), pointwise = pointwise_of(&l);
  const evr_conv2d_backward_weights_arguments weights = {.x = g, .dy = l.x, .dweights = dw};
  const evr_conv2d_backward_weights_arguments bias = {.dy = g, .dbias = db};
  ck_assert_msg(evr_activation_backward(&activation, NULL, l.dy, by_z ? NULL : y, by_z ? z : NULL,
                                        g) == EVR_OK,
                "%s", evr_last_error());
  ck_assert_msg(evr_conv2d(&c, NULL, g, l.weights, NULL, dx) == EVR_OK, "%s", evr_last_error());
  ck_assert_msg(evr_conv2d_backward_weights(&c, NULL, &weights) == EVR_OK, "%s", evr_last_error());
  ck_assert_msg(evr_conv2d_backward_weights(&pointwise, NULL, &bias) == EVR_OK, "%s",
                evr_last_error());
  ck_assert_int_gt(compare_slopes(&l, l.x, dx, s->x_count, "dx"), 0);
  ck_assert_int_gt(compare_slopes(&l, l.weights, dw, s->weights_count, "dweights"), 0);
  /* A bias moves so many outputs that one may always be at a kink, where there is one. */
  const bool smooth = !function_has_kink(a, -HUGE_VAL, HUGE_VAL);
  ck_assert_int_ge(compare_slopes(&l, l.bias, db, s->bias_count, "dbias"),
                   smooth ? s->bias_count : 0);
  free(db);
  free(dw);
  free(dx);
  free(g);
  free(y);
  free(z);
  free_layer(&l);
}
END_TEST

int main(void) {
  suite_begin("conv2d transposed");
  Suite *suite = suite_create("conv2d transposed");
  tcase_add_loop_test(suite_case(suite, "slopes"), gradients_are_slopes, 0, 72);
  return suite_end(suite);
}
