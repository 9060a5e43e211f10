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
#include "walk/walk.h"

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

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

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
  return suite_end(suite);
}
