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

/* e^x within 2 ulp, the difference x - max rounded once, sixteen partial sums and a tree, and the
 * quotient: each factor u = 2^-24 once, and x - max as often as it is large. */
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
    double most = -(double)INFINITY, sum = 0.0;
    for (int64_t k = 0; k < d->channels; k++) /* gcc 12 for aarch64 crashes on fmax here */
      if ((double)x[start + k * step] > most) most = (double)x[start + k * step];
    for (int64_t k = 0; k < d->channels; k++) sum += exp((double)x[start + k * step] - most);
    for (int64_t k = 0; k < d->channels; k++) {
      const double below = most - (double)x[start + k * step];
      const double exact = exp(-below) / sum;
      const double got = (double)y[start + k * step];
      const double roundings = below + (double)d->channels / 16.0 + 5.0 + 8.0;
      if (!(fabs(got - exact) <= roundings * 0x1p-24 * exact + 0x1p-148))
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

static void check_threads(walk *w) {
  static const evr_softmax_desc large[] = {
      {301, 1000, 1, 1, EVR_NHWC}, {2, 21, 67, 71, EVR_NCHW}, {1, 21, 97, 71, EVR_NHWC}};
  for (int i = 0; i < COUNT(large); i++)
    if (walk_take(w, i)) against_reference(w, &large[i], VALUES_WIDE);
}

const walk_check softmax_checks[] = {
    {"grid", EVR_OP_SOFTMAX, check_grid, true},
    {"oracle", EVR_OP_SOFTMAX, check_oracle, true},
    {"threads", EVR_OP_SOFTMAX, check_threads, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
