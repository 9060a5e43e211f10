/* Gradients of dense weights that are sums of a million terms, against the bound of blocked
 * summation in docs/numbers.md. */
#include <math.h>
#include <stdlib.h>

#include "core/registry.h"
#include "evrisim/dense.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/walk.h"

#define BLOCK 512
#define BATCH ((int64_t)(1 << 20) + 77) /* the last block is a short one */
#define INPUTS 3
#define OUTPUTS 5

typedef struct sums {
  double exact[INPUTS + 1][OUTPUTS], size[INPUTS + 1][OUTPUTS]; /* of weights, and of the bias */
  float plain;                                                  /* the first bias's, in one go */
} sums;

static sums add_up(const float *x, const float *dy) {
  sums s = {.plain = 0.0f};
  for (int64_t n = 0; n < BATCH; n++) {
    s.plain += dy[n * OUTPUTS];
    for (int i = 0; i <= INPUTS; i++)
      for (int o = 0; o < OUTPUTS; o++) {
        const double term =
            (i < INPUTS ? (double)x[n * INPUTS + i] : 1.0) * (double)dy[n * OUTPUTS + o];
        s.exact[i][o] += term;
        s.size[i][o] += fabs(term);
      }
  }
  return s;
}

static void hold_to_bound(const sums *s, const char *variant, evr_dense_layout layout,
                          const float *x, const float *dy, double gamma) {
  const evr_dense_desc d = {BATCH, INPUTS, OUTPUTS, layout, {EVR_IDENTITY, 0.0f}};
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = variant;
  float weights[INPUTS * OUTPUTS], bias[OUTPUTS];
  const evr_dense_backward_weights_arguments a = {
      .x = x, .dy = dy, .dweights = weights, .dbias = bias};
  ck_assert_msg(evr_dense_backward_weights(&d, &options, &a) == EVR_OK, "%s: %s", variant,
                evr_last_error());
  for (int i = 0; i <= INPUTS; i++)
    for (int o = 0; o < OUTPUTS; o++) {
      const float got = i == INPUTS        ? bias[o]
                        : layout == EVR_IO ? weights[i * OUTPUTS + o]
                                           : weights[o * INPUTS + i];
      ck_assert_msg(fabs((double)got - s->exact[i][o]) <= gamma * s->size[i][o],
                    "%s: gradient %d, %d is %.9g, exactly %.9g; it may be off by %g", variant, i, o,
                    (double)got, s->exact[i][o], gamma * s->size[i][o]);
    }
}

/* _i: 0 random values; 1 all the same, of a sum that loses with every term where it is large. */
START_TEST(million_terms_keep_the_bound) {
  float *x = malloc((size_t)BATCH * INPUTS * sizeof *x);
  float *dy = malloc((size_t)BATCH * OUTPUTS * sizeof *dy);
  ck_assert(x != NULL && dy != NULL);
  test_random random = {test_seed()};
  random_fill(&random, VALUES_REALS, 1, x, BATCH * INPUTS);
  random_fill(&random, VALUES_REALS, 1, dy, BATCH * OUTPUTS);
  for (int64_t i = 0; _i == 1 && i < BATCH * INPUTS; i++) x[i] = 1.0f;
  for (int64_t i = 0; _i == 1 && i < BATCH * OUTPUTS; i++) dy[i] = 1.03f;
  const sums s = add_up(x, dy);
  const double n = BLOCK + (double)((BATCH + BLOCK - 1) / BLOCK);
  const double gamma = n * 0x1p-24 / (1.0 - n * 0x1p-24);
  if (_i == 1) /* or the test could not fail */
    ck_assert(fabs((double)s.plain - s.exact[INPUTS][0]) > gamma * s.size[INPUTS][0]);
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int ran = 0;
  for (size_t v = 0; v < rows; v++) {
    if (registry[v].operation != EVR_OP_DENSE_BACKWARD_WEIGHTS || !variant_runs_here(&registry[v]))
      continue;
    hold_to_bound(&s, registry[v].name, EVR_IO, x, dy, gamma);
    hold_to_bound(&s, registry[v].name, EVR_OI, x, dy, gamma);
    ran++;
  }
  ck_assert_int_ge(ran, 2);
  free(x);
  free(dy);
}
END_TEST

int main(void) {
  suite_begin("dense backward");
  Suite *suite = suite_create("dense backward");
  tcase_add_loop_test(suite_case(suite, "long sums"), million_terms_keep_the_bound, 0, 2);
  return suite_end(suite);
}
