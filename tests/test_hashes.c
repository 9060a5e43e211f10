/* Hashes of outputs that every machine must meet: by every variant, for 1, 2, 3 and 7 threads. The
 * inputs are made by integer arithmetic from fixed seeds, and the outputs are finite. A hash in
 * this table is the reference's; it changes only with the definition of an operation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "evrisim/evrisim.h"
#include "support/compare.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/conv2d_backward.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define MOST_FLOATS 200000
static float x[MOST_FLOATS], weights[MOST_FLOATS], bias[MOST_FLOATS], residual[MOST_FLOATS],
    y[MOST_FLOATS];
static int32_t indices[MOST_FLOATS];

#define POOL_OFF EVR_POOL2D_WINDOW_INIT
#define NO_ACTIVATION \
  { EVR_IDENTITY, 0.0f }

typedef struct conv_row {
  evr_conv2d_desc desc;
  bool bias, residual;
  uint64_t hash;
} conv_row;

/* clang-format off */
static const conv_row conv_rows[] = {
    /* batch groups c h w o, kernel, stride, dilation, pads, mode, layouts, activation, pool */
    {{1, 1, 3, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EVR_PAD_ZERO, EVR_NHWC, EVR_HWIO,
      NO_ACTIVATION, POOL_OFF}, true, false, UINT64_C(0x8fe6b3d01be6b326)},
    {{1, 1, 3, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EVR_PAD_ZERO, EVR_NCHW, EVR_OIHW,
      {EVR_RELU, 0.0f}, POOL_OFF}, true, true, UINT64_C(0x62bdc7a4664ba973)},
    {{1, 1, 64, 14, 14, 67, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EVR_PAD_REFLECT, EVR_NHWC, EVR_OIHW,
      {EVR_SILU, 0.0f}, POOL_OFF}, true, false, UINT64_C(0x3e50d5267cfdd6e6)},
    {{2, 1, 257, 7, 7, 33, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, EVR_PAD_ZERO, EVR_NCHW, EVR_HWIO,
      {EVR_GELU, 0.0f}, POOL_OFF}, false, true, UINT64_C(0x4beb0952755ae97f)},
    {{1, 1, 3, 31, 29, 20, 7, 7, 2, 2, 1, 1, 3, 2, 3, 2, EVR_PAD_REPLICATE, EVR_NHWC,
      EVR_HWIO, {EVR_TANH, 0.0f}, POOL_OFF}, true, false, UINT64_C(0x961edf053aa2089a)},
    {{1, 37, 37, 23, 21, 37, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EVR_PAD_ZERO, EVR_NHWC, EVR_HWIO,
      {EVR_RELU6, 0.0f}, POOL_OFF}, true, false, UINT64_C(0x93c03d053ad51a45)},
    {{1, 19, 19, 23, 21, 38, 5, 3, 2, 1, 1, 2, 2, 2, 1, 1, EVR_PAD_ZERO, EVR_NCHW, EVR_OIHW,
      {EVR_HARD_SWISH, 0.0f}, POOL_OFF}, true, false, UINT64_C(0x15a5ea4a193af85e)},
    {{2, 3, 12, 9, 17, 15, 3, 2, 2, 1, 2, 3, 1, 0, 2, 1, EVR_PAD_REFLECT, EVR_NCHW, EVR_HWIO,
      {EVR_LEAKY_RELU, 0.125f}, POOL_OFF}, true, true, UINT64_C(0xa4a4df41066b4bb5)},
    {{1, 1, 1, 28, 28, 6, 5, 5, 1, 1, 1, 1, 0, 0, 0, 0, EVR_PAD_ZERO, EVR_NHWC, EVR_HWIO,
      {EVR_SCALED_TANH, 0.0f}, {EVR_POOL_AVERAGE, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, false, false,
      false}}, true, false, UINT64_C(0x567416d1a293fa85)},
    {{1, 1, 8, 24, 24, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EVR_PAD_ZERO, EVR_NCHW, EVR_OIHW,
      {EVR_RELU, 0.0f}, {EVR_POOL_MAX, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, true, false, false}},
      true, false, UINT64_C(0x39f51916f0a75c5a)},
};
/* clang-format on */

typedef struct pool_row {
  evr_pool2d_desc desc;
  uint64_t hash; /* of y, and of the indices where there are any */
} pool_row;

/* clang-format off */
static const pool_row pool_rows[] = {
    {{2, 33, 23, 29, EVR_NHWC, {EVR_POOL_MAX, 3, 3, 2, 2, 1, 1, 1, 0, 0, 1, false, false,
      false}}, UINT64_C(0xd307bd7e6a2a4799)},
    {{2, 33, 23, 29, EVR_NCHW, {EVR_POOL_MIN, 2, 3, 1, 2, 2, 1, 1, 1, 2, 2, true, false,
      false}}, UINT64_C(0x0bac5bea280e1b9f)},
    {{1, 65, 15, 14, EVR_NHWC, {EVR_POOL_AVERAGE, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, true, false,
      false}}, UINT64_C(0x95e9c631c3544762)},
    {{1, 17, 15, 14, EVR_NCHW, {EVR_POOL_AVERAGE, 3, 2, 1, 1, 1, 1, 2, 2, 1, 1, false, true,
      false}}, UINT64_C(0x53b538cc4ea73ea4)},
    {{3, 50, 7, 7, EVR_NHWC, {EVR_POOL_AVERAGE, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, false, false,
      true}}, UINT64_C(0xca5ead01f58432a8)},
};
/* clang-format on */

static const uint64_t activation_hashes[] = {
    UINT64_C(0xaffb1351f99cf819), UINT64_C(0x0524d6cd6c9b341b), UINT64_C(0x76dcf94ffd0bb255),
    UINT64_C(0xd2f3467eaa34e219), UINT64_C(0x9b4630c1660bc354), UINT64_C(0x2e325cb14e7d4d0c),
    UINT64_C(0xa5f8ecbfc6fab435), UINT64_C(0xb00b9c779a30ce2d), UINT64_C(0xca70f3c78face57b),
    UINT64_C(0x97ac14d1560da5b8), UINT64_C(0x7c49c23c2a46ad84), UINT64_C(0x3c640af03a1f2836),
};

typedef struct softmax_row {
  evr_softmax_desc desc;
  uint64_t hash;
} softmax_row;
static const softmax_row softmax_rows[] = {
    {{5, 1000, 1, 1, EVR_NHWC}, UINT64_C(0x5b30d1b2fd1fc4f3)},
    {{2, 21, 13, 17, EVR_NCHW}, UINT64_C(0x4f2f371d91b6d861)},
    {{1, 10, 7, 3, EVR_NHWC}, UINT64_C(0xcb7626167491007e)},
};

typedef struct dense_row {
  evr_dense_desc desc;
  uint64_t hash;
} dense_row;
static const dense_row dense_rows[] = {
    {{1, 400, 120, EVR_IO, {EVR_SIGMOID, 0.0f}}, UINT64_C(0xcf22bcbccfe0b1ea)},
    {{13, 257, 131, EVR_OI, {EVR_ELU, 1.0f}}, UINT64_C(0x81f40201a176a2fe)},
    {{7, 84, 10, EVR_IO, {EVR_IDENTITY, 0.0f}}, UINT64_C(0xa5e6f208304eab14)},
    {{1030, 17, 33, EVR_OI, {EVR_TANH, 0.0f}}, UINT64_C(0x30b62af7724a050d)},
};

typedef struct pad_row {
  evr_pad2d_desc desc;
  uint64_t hash;
} pad_row;
static const pad_row pad_rows[] = {
    {{2, 7, 9, 11, 2, 1, 3, 0, EVR_PAD_ZERO, EVR_NHWC}, UINT64_C(0x8f3153a455a525fc)},
    {{2, 7, 9, 11, 2, 1, 3, 9, EVR_PAD_REPLICATE, EVR_NCHW}, UINT64_C(0x7bdf1b9e7d9fe3cc)},
    {{2, 7, 9, 11, 8, 1, 3, 10, EVR_PAD_REFLECT, EVR_NHWC}, UINT64_C(0xa856f9e340c242b4)},
};

/* Of the backward passes, by the descriptors above without their fused pooling. */
static const uint64_t conv_data_hashes[COUNT(conv_rows)] = {
    UINT64_C(0x93c2633b5b372769), UINT64_C(0x64cf85aafcef6f51), UINT64_C(0xde6001c403010e39),
    UINT64_C(0xd3525195014987b3), UINT64_C(0x75aa28ceb2688892), UINT64_C(0x007d0de792d5c0cc),
    UINT64_C(0x063705f812ed193a), UINT64_C(0x11cdf85bca25d081), UINT64_C(0x261a597a060d7ed8),
    UINT64_C(0x0d9814bf9f9ccc09),
};
static const uint64_t conv_weights_hashes[COUNT(conv_rows)] = {
    UINT64_C(0x0c6bfcc9bdaf4b1b), UINT64_C(0x6ad6742f69cb5cf7), UINT64_C(0x8675b090a7c44bd1),
    UINT64_C(0x65df44e507a5eea7), UINT64_C(0x392ee16d10c38e81), UINT64_C(0x112f0da573fa89b4),
    UINT64_C(0x0e2207063c520ab8), UINT64_C(0xa90b47f85d1ef383), UINT64_C(0xfb114d2b4f5dea79),
    UINT64_C(0xbcaf70c170801bf7),
};
static const uint64_t transposed_hashes[COUNT(conv_rows)] = {
    UINT64_C(0xf52f210c6af83d12), UINT64_C(0x546d59d04378001c), UINT64_C(0x518a76286b212793),
    UINT64_C(0x4023f6375343ed22), UINT64_C(0x6650302fce90fe64), UINT64_C(0x69ff52a864d3d5e3),
    UINT64_C(0xb2266e6498d8e0f2), UINT64_C(0xc76bfb2e227a8288), UINT64_C(0xa87fc80a93f3e992),
    UINT64_C(0x672a5fcd3df2f1dc),
};
static const uint64_t pool_backward_hashes[COUNT(pool_rows)] = {
    UINT64_C(0xbf80ce3b8620fda5), UINT64_C(0x18feb335c2f9c445), UINT64_C(0x5ab7cc36e1549b5c),
    UINT64_C(0x7ba77fa9ac2450f6), UINT64_C(0xacfee255885108c7),
};
static const uint64_t activation_backward_hashes[COUNT(activation_hashes)] = {
    UINT64_C(0x10ffec72e9a6c0fa), UINT64_C(0x8b1df35d9362866b), UINT64_C(0x405bc8b3ca4357f5),
    UINT64_C(0xb0e84877d4ac8261), UINT64_C(0x29665077050123d2), UINT64_C(0x3bd680b701e4614a),
    UINT64_C(0x53c2a815b474ef62), UINT64_C(0x81d5ba2247c04df9), UINT64_C(0x876a13f232b0961c),
    UINT64_C(0x2de958f10f3b9cab), UINT64_C(0xe991cd1f696a6775), UINT64_C(0xe4bdeabd194a9874),
};
static const uint64_t softmax_backward_hashes[COUNT(softmax_rows)] = {
    UINT64_C(0x9c08d83317d75943),
    UINT64_C(0xcab5664c83e99a36),
    UINT64_C(0x50777087c33767e0),
};
static const uint64_t softmax_entropy_hashes[COUNT(softmax_rows)] = {
    UINT64_C(0xab0dd9f773fd8f67),
    UINT64_C(0x12ed55632ba4a759),
    UINT64_C(0xb02a01252306c4bf),
};
static const uint64_t sigmoid_entropy_hash = UINT64_C(0xf0a1510634ed0b24);
static const uint64_t dense_data_hashes[COUNT(dense_rows)] = {
    UINT64_C(0xe2c49810ea6df6b4),
    UINT64_C(0x33f8eebae5170c01),
    UINT64_C(0x0973c8bdde72130d),
    UINT64_C(0x15fb73fbdc665409),
};
static const uint64_t dense_weights_hashes[COUNT(dense_rows)] = {
    UINT64_C(0x45fbdf39dcdf250e),
    UINT64_C(0xfe8cdbb8f5c1565a),
    UINT64_C(0x8b32a1c4432936fc),
    UINT64_C(0xc001198e726423d1),
};
static const uint64_t pad_backward_hashes[COUNT(pad_rows)] = {
    UINT64_C(0x35d5564637a65e35),
    UINT64_C(0x466afad007653ab2),
    UINT64_C(0xd94434108c37c8e7),
};

/* Runs one row by one variant and thread count, and gives the outputs' count. */
typedef evr_status run_row(int row, const evr_plan_options *options, int64_t *outputs);

static evr_status run_conv(int row, const evr_plan_options *options, int64_t *outputs) {
  const conv_row *r = &conv_rows[row];
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&r->desc, &s), EVR_OK);
  ck_assert(s.x_count <= MOST_FLOATS && s.weights_count <= MOST_FLOATS &&
            s.y_count <= MOST_FLOATS && s.residual_count <= MOST_FLOATS);
  *outputs = s.y_count;
  evr_conv2d_plan *plan;
  const evr_status status = evr_conv2d_plan_create(&r->desc, options, &plan);
  if (status != EVR_OK) return status;
  const evr_conv2d_arguments a = {.x = x,
                                  .weights = weights,
                                  .bias = r->bias ? bias : NULL,
                                  .residual = r->residual ? residual : NULL,
                                  .y = y};
  const evr_status executed = evr_conv2d_execute(plan, &a);
  evr_conv2d_plan_destroy(plan);
  return executed;
}

static evr_status run_pool(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_pool2d_desc *d = &pool_rows[row].desc;
  evr_pool2d_sizes s;
  ck_assert_int_eq(evr_pool2d_get_sizes(d, &s), EVR_OK);
  ck_assert(s.x_count <= MOST_FLOATS && 2 * s.y_count <= MOST_FLOATS);
  const bool winners = d->window.kind != EVR_POOL_AVERAGE;
  const evr_status status = evr_pool2d(d, options, x, y, winners ? indices : NULL);
  for (int64_t i = 0; winners && i < s.y_count; i++) y[s.y_count + i] = (float)indices[i];
  *outputs = winners ? 2 * s.y_count : s.y_count;
  return status;
}

#define ACTIVATED 20011
static evr_status run_activation(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_activation_desc d = {{(evr_activation_kind)row, 0.75f}, ACTIVATED};
  *outputs = d.count;
  return evr_activate(&d, options, x, y);
}

static evr_status run_softmax(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_softmax_desc *d = &softmax_rows[row].desc;
  *outputs = d->batch * d->channels * d->height * d->width;
  return evr_softmax(d, options, x, y);
}

static evr_status run_dense(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_dense_desc *d = &dense_rows[row].desc;
  *outputs = d->batch * d->out_features;
  return evr_dense(d, options, x, weights, bias, y);
}

static evr_status run_pad(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_pad2d_desc *d = &pad_rows[row].desc;
  evr_pad2d_sizes s;
  ck_assert_int_eq(evr_pad2d_get_sizes(d, &s), EVR_OK);
  *outputs = s.y_count;
  return evr_pad2d(d, options, x, y);
}

/* ---- backward: x holds dy ---- */

static evr_conv2d_desc conv_backward_desc(int row, evr_conv2d_sizes *s) {
  evr_conv2d_desc d = conv_rows[row].desc;
  d.pool = (evr_pool2d_window)POOL_OFF;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, s), EVR_OK);
  ck_assert(s->x_count + s->y_count <= MOST_FLOATS &&
            s->weights_count + s->bias_count <= MOST_FLOATS);
  return d;
}

/* dx, and the gradient at the residual. */
static evr_status run_conv_data(int row, const evr_plan_options *options, int64_t *outputs) {
  evr_conv2d_sizes s;
  const evr_conv2d_desc d = conv_backward_desc(row, &s);
  *outputs = s.x_count + s.y_count;
  const evr_conv2d_backward_data_arguments a = {.dy = x,
                                                .weights = weights,
                                                .y = residual,
                                                .z = residual,
                                                .dx = y,
                                                .dresidual = y + s.x_count};
  return evr_conv2d_backward_data(&d, options, &a);
}

static evr_status run_conv_weights(int row, const evr_plan_options *options, int64_t *outputs) {
  evr_conv2d_sizes s;
  const evr_conv2d_desc d = conv_backward_desc(row, &s);
  *outputs = s.weights_count + s.bias_count;
  const evr_conv2d_backward_weights_arguments a = {.x = bias,
                                                   .dy = x,
                                                   .y = residual,
                                                   .z = residual,
                                                   .dweights = y,
                                                   .dbias = y + s.weights_count};
  return evr_conv2d_backward_weights(&d, options, &a);
}

/* The layer whose gradient a row's convolution would be, with zeros for its pads. */
static evr_status run_transposed(int row, const evr_plan_options *options, int64_t *outputs) {
  evr_conv2d_sizes s;
  const evr_conv2d_desc d = conv_backward_desc(row, &s);
  const evr_conv2d_transposed_desc transposed = transposed_of(&d, &s);
  *outputs = s.x_count;
  return evr_conv2d_transposed(&transposed, options, x, weights, conv_rows[row].bias ? bias : NULL,
                               y);
}

/* By indices, and where there are any, by the input as well. */
static evr_status run_pool_backward(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_pool2d_desc *d = &pool_rows[row].desc;
  const evr_plan_options forward = walk_reference_options();
  evr_pool2d_sizes s;
  ck_assert_int_eq(evr_pool2d_get_sizes(d, &s), EVR_OK);
  ck_assert(2 * s.x_count <= MOST_FLOATS && s.y_count <= MOST_FLOATS);
  const bool winners = d->window.kind != EVR_POOL_AVERAGE;
  *outputs = winners ? 2 * s.x_count : s.x_count;
  if (!winners) return evr_pool2d_backward(d, options, x, NULL, NULL, y);
  ck_assert_int_eq(evr_pool2d(d, &forward, residual, y, indices), EVR_OK);
  const evr_status status = evr_pool2d_backward(d, options, x, indices, NULL, y);
  if (status != EVR_OK) return status;
  return evr_pool2d_backward(d, options, x, NULL, residual, y + s.x_count);
}

/* Of z between -8 and 8. */
static evr_status run_activation_backward(int row, const evr_plan_options *options,
                                          int64_t *outputs) {
  const evr_activation_desc d = {{(evr_activation_kind)row, 0.75f}, ACTIVATED};
  *outputs = d.count;
  for (int64_t i = 0; i < d.count; i++) bias[i] = residual[i] * 8.0f;
  return evr_activation_backward(&d, options, x, NULL, bias, y);
}

static int64_t softmax_count(const evr_softmax_desc *d) {
  return d->batch * d->channels * d->height * d->width;
}

static evr_status run_softmax_backward(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_softmax_desc *d = &softmax_rows[row].desc;
  const evr_plan_options forward = walk_reference_options();
  *outputs = softmax_count(d);
  ck_assert_int_eq(evr_softmax(d, &forward, residual, bias), EVR_OK);
  return evr_softmax_backward(d, options, x, bias, y);
}

/* The loss has one variant for planes of channels, so these rows have them together. */
static evr_status run_softmax_entropy(int row, const evr_plan_options *options, int64_t *outputs) {
  evr_softmax_desc desc = softmax_rows[row].desc, *d = &desc;
  d->layout = EVR_NHWC;
  const int64_t pixels = d->batch * d->height * d->width;
  *outputs = softmax_count(d) + pixels;
  for (int64_t i = 0; i < pixels; i++) indices[i] = (int32_t)(i * 7 % d->channels);
  const evr_softmax_cross_entropy_arguments a = {
      .x = x, .labels = indices, .scale = 0.125f, .loss = y, .dx = y + pixels};
  return evr_softmax_cross_entropy(d, options, &a);
}

static evr_status run_sigmoid_entropy(int row, const evr_plan_options *options, int64_t *outputs) {
  (void)row;
  *outputs = 2 * ACTIVATED;
  for (int64_t i = 0; i < ACTIVATED; i++) bias[i] = fabsf(residual[i]);
  return evr_sigmoid_cross_entropy(ACTIVATED, options, x, bias, 0.125f, y, y + ACTIVATED);
}

static evr_status run_dense_data(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_dense_desc *d = &dense_rows[row].desc;
  *outputs = d->batch * d->in_features;
  const evr_dense_backward_data_arguments a = {
      .dy = x, .y = residual, .z = residual, .weights = weights, .dx = y};
  return evr_dense_backward_data(d, options, &a);
}

static evr_status run_dense_weights(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_dense_desc *d = &dense_rows[row].desc;
  *outputs = (d->in_features + 1) * d->out_features;
  const evr_dense_backward_weights_arguments a = {.x = bias,
                                                  .dy = x,
                                                  .y = residual,
                                                  .z = residual,
                                                  .dweights = y,
                                                  .dbias = y + d->in_features * d->out_features};
  return evr_dense_backward_weights(d, options, &a);
}

static evr_status run_pad_backward(int row, const evr_plan_options *options, int64_t *outputs) {
  const evr_pad2d_desc *d = &pad_rows[row].desc;
  *outputs = d->batch * d->channels * d->in_height * d->in_width;
  return evr_pad2d_backward(d, options, x, y);
}

/* One row by every variant and thread count. */
static void check_row(evr_operation operation, int row, run_row *run, test_values values,
                      uint64_t expected) {
  static const int threads[] = {1, 2, 3, 7};
  test_random random = {UINT64_C(0x657672) * 1000 + (uint64_t)operation * 100 + (uint64_t)row};
  random_fill(&random, values, 1, x, MOST_FLOATS);
  random_fill(&random, VALUES_REALS, 1, weights, MOST_FLOATS);
  random_fill(&random, VALUES_REALS, 1, bias, MOST_FLOATS);
  random_fill(&random, VALUES_REALS, 1, residual, MOST_FLOATS);
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int served = 0;
  for (size_t i = rows; i-- > 0;) { /* the reference first */
    if (registry[i].operation != operation || !variant_runs_here(&registry[i])) continue;
    for (int t = 0; t < COUNT(threads); t++) {
      evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
      options.math = EVR_MATH_EXACT;
      options.variant = registry[i].name;
      options.num_threads = threads[t];
      int64_t outputs;
      fill_untouched(y, MOST_FLOATS);
      const evr_status status = run(row, &options, &outputs);
      if (status == EVR_UNSUPPORTED) break;
      ck_assert_msg(status == EVR_OK, "%s", evr_last_error());
      bool finite = true; /* one assertion for all: each costs a system call */
      for (int64_t o = 0; o < outputs; o++) finite = finite && isfinite(y[o]);
      ck_assert(finite);
      const uint64_t hash = hash_floats(y, outputs);
      ck_assert_msg(
          hash == expected, "%s row %d: %s, %d threads: 0x%016" PRIx64 ", expected 0x%016" PRIx64,
          evr_operation_name(operation), row, registry[i].name, threads[t], hash, expected);
      served++;
    }
  }
  ck_assert_int_ge(served, 2 * COUNT(threads));
}

/* This program's library cuts the smallest work, or seven threads would be one. */
START_TEST(work_is_cut) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.num_threads = 7;
  evr_conv2d_plan *plan;
  ck_assert_int_eq(evr_conv2d_plan_create(&conv_rows[0].desc, &options, &plan), EVR_OK);
  ck_assert_int_eq(evr_conv2d_plan_threads(plan), 7);
  evr_conv2d_plan_destroy(plan);
}
END_TEST

START_TEST(conv_hash) { check_row(EVR_OP_CONV2D, _i, run_conv, VALUES_REALS, conv_rows[_i].hash); }
END_TEST
START_TEST(pool_hash) { check_row(EVR_OP_POOL2D, _i, run_pool, VALUES_REALS, pool_rows[_i].hash); }
END_TEST
START_TEST(activation_hash) {
  check_row(EVR_OP_ACTIVATION, _i, run_activation, VALUES_WIDE, activation_hashes[_i]);
}
END_TEST
START_TEST(softmax_hash) {
  check_row(EVR_OP_SOFTMAX, _i, run_softmax, VALUES_WIDE, softmax_rows[_i].hash);
}
END_TEST
START_TEST(dense_hash) {
  check_row(EVR_OP_DENSE, _i, run_dense, VALUES_REALS, dense_rows[_i].hash);
}
END_TEST
START_TEST(pad_hash) { check_row(EVR_OP_PAD2D, _i, run_pad, VALUES_REALS, pad_rows[_i].hash); }
END_TEST

START_TEST(conv_data_hash) {
  check_row(EVR_OP_CONV2D_BACKWARD_DATA, _i, run_conv_data, VALUES_REALS, conv_data_hashes[_i]);
}
END_TEST
START_TEST(conv_weights_hash) {
  check_row(EVR_OP_CONV2D_BACKWARD_WEIGHTS, _i, run_conv_weights, VALUES_REALS,
            conv_weights_hashes[_i]);
}
END_TEST
START_TEST(transposed_hash) {
  check_row(EVR_OP_CONV2D_TRANSPOSED, _i, run_transposed, VALUES_REALS, transposed_hashes[_i]);
}
END_TEST
START_TEST(pool_backward_hash) {
  check_row(EVR_OP_POOL2D_BACKWARD, _i, run_pool_backward, VALUES_REALS, pool_backward_hashes[_i]);
}
END_TEST
START_TEST(activation_backward_hash) {
  check_row(EVR_OP_ACTIVATION_BACKWARD, _i, run_activation_backward, VALUES_WIDE,
            activation_backward_hashes[_i]);
}
END_TEST
START_TEST(softmax_backward_hash) {
  check_row(EVR_OP_SOFTMAX_BACKWARD, _i, run_softmax_backward, VALUES_REALS,
            softmax_backward_hashes[_i]);
}
END_TEST
START_TEST(softmax_entropy_hash) {
  check_row(EVR_OP_SOFTMAX_CROSS_ENTROPY, _i, run_softmax_entropy, VALUES_WIDE,
            softmax_entropy_hashes[_i]);
}
END_TEST
START_TEST(sigmoid_entropy) {
  check_row(EVR_OP_SIGMOID_CROSS_ENTROPY, 0, run_sigmoid_entropy, VALUES_WIDE,
            sigmoid_entropy_hash);
}
END_TEST
START_TEST(dense_data_hash) {
  check_row(EVR_OP_DENSE_BACKWARD_DATA, _i, run_dense_data, VALUES_REALS, dense_data_hashes[_i]);
}
END_TEST
START_TEST(dense_weights_hash) {
  check_row(EVR_OP_DENSE_BACKWARD_WEIGHTS, _i, run_dense_weights, VALUES_REALS,
            dense_weights_hashes[_i]);
}
END_TEST
START_TEST(pad_backward_hash) {
  check_row(EVR_OP_PAD2D_BACKWARD, _i, run_pad_backward, VALUES_REALS, pad_backward_hashes[_i]);
}
END_TEST

int main(void) {
  suite_begin("hashes");
  Suite *suite = suite_create("hashes");
  TCase *all = suite_case(suite, "hashes");
  tcase_add_test(all, work_is_cut);
  tcase_add_loop_test(all, conv_hash, 0, COUNT(conv_rows));
  tcase_add_loop_test(all, pool_hash, 0, COUNT(pool_rows));
  tcase_add_loop_test(all, activation_hash, 0, COUNT(activation_hashes));
  tcase_add_loop_test(all, softmax_hash, 0, COUNT(softmax_rows));
  tcase_add_loop_test(all, dense_hash, 0, COUNT(dense_rows));
  tcase_add_loop_test(all, pad_hash, 0, COUNT(pad_rows));
  TCase *backward = suite_case(suite, "backward");
  tcase_add_loop_test(backward, conv_data_hash, 0, COUNT(conv_rows));
  tcase_add_loop_test(backward, conv_weights_hash, 0, COUNT(conv_rows));
  tcase_add_loop_test(backward, transposed_hash, 0, COUNT(conv_rows));
  tcase_add_loop_test(backward, pool_backward_hash, 0, COUNT(pool_rows));
  tcase_add_loop_test(backward, activation_backward_hash, 0, COUNT(activation_hashes));
  tcase_add_loop_test(backward, softmax_backward_hash, 0, COUNT(softmax_rows));
  tcase_add_loop_test(backward, softmax_entropy_hash, 0, COUNT(softmax_rows));
  tcase_add_test(backward, sigmoid_entropy);
  tcase_add_loop_test(backward, dense_data_hash, 0, COUNT(dense_rows));
  tcase_add_loop_test(backward, dense_weights_hash, 0, COUNT(dense_rows));
  tcase_add_loop_test(backward, pad_backward_hash, 0, COUNT(pad_rows));
  return suite_end(suite);
}
