/* Softmax against the reference and an oracle in double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "evrisim/softmax.h"
#include "walk/unary.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_softmax_plan_create(desc, options, (evr_softmax_plan **)plan);
}
static void destroy(void *plan) { evr_softmax_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_softmax_plan_variant(plan); }
static evr_status forward(const void *plan, const float *x, float *y, int32_t *indices) {
  (void)indices;
  return evr_softmax_forward(plan, x, y);
}
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_softmax_list_variants(desc, options, out, capacity, count);
}
static const unary_operation operation = {create, destroy, variant, forward, list};

static unary_case make_case(const evr_softmax_desc *d, test_values values) {
  const int64_t count = d->batch * d->channels * d->height * d->width;
  unary_case c = {.operation = &operation,
                  .desc = d,
                  .x_count = count,
                  .y_count = count,
                  .in_place = true,
                  .values = values,
                  .rarity = 2 * d->channels};
  snprintf(c.text, sizeof c.text,
           "%s batch %" PRId64 " %" PRId64 "x%" PRId64 "x%" PRId64 " (h,w,c) %s",
           d->layout == EVR_NHWC ? "NHWC" : "NCHW", d->batch, d->height, d->width, d->channels,
           values_name(values));
  return c;
}

typedef void softmax_visit(walk *w, const evr_softmax_desc *d, test_values values);

static void against_reference(walk *w, const evr_softmax_desc *d, test_values values) {
  const unary_case c = make_case(d, values);
  unary_against_reference(w, &c);
}

/* How often u = 2^-24 enters the relative error of one output, e[c] / sum(e):
 * - x - max is rounded once: the error u (max - x) of the exponent is one of that size of e[c];
 * - e^x is within one ulp (docs/numbers.md), which is at most 2 u;
 * - the sum has both errors of every e[k], each weighted with its share of the sum: 2 u, and u
 * times the mean of max - x under these weights;
 * - a term goes through at most channels / 16 additions, less one, and the 4 of the tree;
 * - and the quotient is rounded.
 * Terms of higher order are in the denominator, as in every gamma_n. An e[c] that is subnormal is
 * within 2^-149, and its quotient rounded by 2^-150: together below 2^-148. */
static double error_bound(const evr_softmax_desc *d, double below, double mean_below) {
  const double additions = ceil((double)d->channels / 16.0) - 1.0 + 4.0;
  const double roundings = below + 2.0 + mean_below + 2.0 + additions + 1.0;
  return roundings * 0x1p-24 / (1.0 - roundings * 0x1p-24);
}

static void against_oracle(walk *w, const evr_softmax_desc *d, test_values values) {
  const unary_case c = make_case(d, values);
  w->cases++;
  float *x = unary_input(w, &c);
  const float *y = unary_run(w, &c, x, NULL);
  const int64_t pixels = d->height * d->width;
  const int64_t step = d->layout == EVR_NHWC ? 1 : pixels;
  for (int64_t i = 0; y != NULL && i < d->batch * pixels && !walk_failed(w); i++) {
    const int64_t start =
        d->layout == EVR_NHWC ? i * d->channels : i / pixels * d->channels * pixels + i % pixels;
    double most = -(double)INFINITY, sum = 0.0, below_sum = 0.0;
    for (int64_t k = 0; k < d->channels; k++) /* gcc 12 for aarch64 crashes on fmax here */
      if ((double)x[start + k * step] > most) most = (double)x[start + k * step];
    for (int64_t k = 0; k < d->channels; k++) {
      const double below = most - (double)x[start + k * step];
      sum += exp(-below);
      below_sum += below * exp(-below);
    }
    for (int64_t k = 0; k < d->channels; k++) {
      const double below = most - (double)x[start + k * step];
      const double exact = exp(-below) / sum;
      const double got = (double)y[start + k * step];
      const double bound = error_bound(d, below, below_sum / sum);
      if (!(fabs(got - exact) <= bound * exact + 0x1p-148))
        walk_fail(w, "%s: pixel %" PRId64 " channel %" PRId64 " is %a, the oracle %a", c.text, i, k,
                  got, exact);
    }
  }
  w->served += y != NULL;
  free(x);
}

static void softmax_grid(walk *w, softmax_visit *visit, const test_values *values, int count) {
  static const int64_t channels[] = {1,  2,  3,  4,  7,  8,  9,  10, 15,  16,  17,  31,
                                     32, 33, 47, 48, 49, 63, 64, 65, 100, 257, 1000};
  static const int64_t images[][3] = {{1, 1, 1}, {3, 1, 1}, {1, 3, 5}, {2, 1, 7}, {1, 9, 15}};
  int64_t index = 0;
  for (int c = 0; c < COUNT(channels); c++)
    for (int i = 0; i < COUNT(images); i++)
      for (int l = 0; l < 2; l++) {
        const evr_softmax_desc d = {images[i][0], channels[c], images[i][1], images[i][2],
                                    l ? EVR_NCHW : EVR_NHWC};
        if (walk_take(w, index)) visit(w, &d, values[index % count]);
        index++;
      }
}

static void check_grid(walk *w) {
  static const test_values values[] = {VALUES_WIDE, VALUES_REALS, VALUES_SPECIAL, VALUES_BITS,
                                       VALUES_WIDE, VALUES_TINY,  VALUES_INTEGERS};
  softmax_grid(w, against_reference, values, COUNT(values));
}

static void check_oracle(walk *w) {
  static const test_values values[] = {VALUES_WIDE, VALUES_REALS, VALUES_TINY, VALUES_INTEGERS,
                                       VALUES_WIDE};
  softmax_grid(w, against_oracle, values, COUNT(values));
}

static void visit_threaded(walk *w, int64_t index) {
  static const evr_softmax_desc large[] = {
      {301, 1000, 1, 1, EVR_NHWC}, {2, 21, 67, 71, EVR_NCHW}, {1, 21, 97, 71, EVR_NHWC}};
  against_reference(w, &large[index], VALUES_WIDE);
}
static void check_threads(walk *w) { walk_list(w, 3, visit_threaded); }

const walk_check softmax_checks[] = {
    {"grid", EVR_OP_SOFTMAX, check_grid, true},
    {"oracle", EVR_OP_SOFTMAX, check_oracle, true},
    {"threads", EVR_OP_SOFTMAX, check_threads, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
