/* The losses and the backward pass of softmax against double: values, and gradients as difference
 * quotients of the loss in double. And the two logarithms over the floats that they are for: every
 * so many from a random start; with EVR_TEST_EXHAUSTIVE=1 all. The bounds are those of
 * docs/numbers.md. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activation/apply.h"
#include "evrisim/loss.h"
#include "support/compare.h"
#include "support/random.h"
#include "support/suite.h"

#define MOST 40

static double log_sum(const double *x, int count) {
  double most = x[0], sum = 0.0;
  for (int i = 1; i < count; i++) most = fmax(most, x[i]);
  for (int i = 0; i < count; i++) sum += exp(x[i] - most);
  return most + log(sum);
}

/* Cross-entropy in double; label -1: of targets. */
static double entropy(const double *x, int count, int label, const float *targets) {
  const double l = log_sum(x, count);
  if (label >= 0) return l - x[label];
  double loss = 0.0;
  for (int i = 0; i < count; i++) loss += (double)targets[i] * (l - x[i]);
  return loss;
}

START_TEST(entropy_has_the_gradient_of_its_loss) {
  test_random r = {test_seed() + (uint64_t)_i};
  const int count = (int)random_between(&r, 1, MOST);
  const bool labelled = _i % 2 == 0;
  float x[MOST], targets[MOST], loss, dx[MOST];
  double wide[MOST];
  random_fill(&r, VALUES_REALS, 1, x, count);
  random_fill(&r, VALUES_REALS, 1, targets, count);
  for (int i = 0; i < count; i++) {
    x[i] *= 5.0f;
    targets[i] = fabsf(targets[i]);
    wide[i] = (double)x[i];
  }
  const int32_t label = (int32_t)random_between(&r, 0, count - 1);
  const evr_softmax_desc d = {1, count, 1, 1, EVR_NHWC};
  const evr_softmax_cross_entropy_arguments a = {
      x, labelled ? &label : NULL, labelled ? NULL : targets, 0.5f, &loss, dx};
  ck_assert_int_eq(evr_softmax_cross_entropy(&d, NULL, &a), EVR_OK);
  const int right = labelled ? label : -1;
  const double exact = entropy(wide, count, right, targets);
  ck_assert_msg(fabs((double)loss - exact) <= 1e-6 * (double)count * (1.0 + exact),
                "loss %.9g, exactly %.9g", (double)loss, exact);
  for (int i = 0; i < count; i++) {
    const double step = 1e-5, at = wide[i];
    wide[i] = at + step;
    double quotient = entropy(wide, count, right, targets);
    wide[i] = at - step;
    quotient = (quotient - entropy(wide, count, right, targets)) / (2.0 * step);
    wide[i] = at;
    ck_assert_msg(fabs((double)dx[i] - 0.5 * quotient) <= 2e-6 * count,
                  "dx[%d] is %.9g, the quotient %.9g", i, (double)dx[i], 0.5 * quotient);
  }
}
END_TEST

START_TEST(softmax_backward_is_its_gradient) {
  test_random r = {test_seed() + 1000u + (uint64_t)_i};
  const int count = (int)random_between(&r, 1, MOST);
  float x[MOST], y[MOST], dy[MOST], dx[MOST];
  double wide[MOST];
  random_fill(&r, VALUES_REALS, 1, x, count);
  random_fill(&r, VALUES_REALS, 1, dy, count);
  for (int i = 0; i < count; i++) wide[i] = (double)(x[i] *= 3.0f);
  const evr_softmax_desc d = {1, count, 1, 1, _i % 2 ? EVR_NHWC : EVR_NCHW};
  ck_assert_int_eq(evr_softmax(&d, NULL, x, y), EVR_OK);
  ck_assert_int_eq(evr_softmax_backward(&d, NULL, dy, y, dx), EVR_OK);
  for (int i = 0; i < count; i++) {
    const double step = 1e-5, at = wide[i];
    double side[2];
    for (int s = 0; s < 2; s++) {
      wide[i] = s ? at + step : at - step;
      const double l = log_sum(wide, count);
      side[s] = 0.0;
      for (int j = 0; j < count; j++) side[s] += (double)dy[j] * exp(wide[j] - l);
    }
    wide[i] = at;
    const double quotient = (side[1] - side[0]) / (2.0 * step);
    ck_assert_msg(fabs((double)dx[i] - quotient) <= 1e-6, "dx[%d] is %.9g, the quotient %.9g", i,
                  (double)dx[i], quotient);
  }
}
END_TEST

static double binary(double x, double t) { return fmax(x, 0.0) - x * t + log1p(exp(-fabs(x))); }

START_TEST(binary_has_the_gradient_of_its_loss) {
  float x[400], t[400], loss[400], dx[400];
  test_random r = {test_seed()};
  random_fill(&r, VALUES_REALS, 1, t, 400);
  for (int i = 0; i < 400; i++) {
    x[i] = ((float)i - 199.5f) * 0.25f;
    t[i] = i % 3 == 0 ? 0.0f : i % 3 == 1 ? 1.0f : fabsf(t[i]);
  }
  ck_assert_int_eq(evr_sigmoid_cross_entropy(400, NULL, x, t, 2.0f, loss, dx), EVR_OK);
  for (int i = 0; i < 400; i++) {
    const double at = (double)x[i], target = (double)t[i], step = 1e-5;
    const double exact = binary(at, target);
    ck_assert_msg(fabs((double)loss[i] - exact) <= 0x1p-22 * (exact + 0x1p-24 * fabs(at)),
                  "loss of %g, %g is %.9g, exactly %.9g", at, target, (double)loss[i], exact);
    const double quotient = (binary(at + step, target) - binary(at - step, target)) / step;
    ck_assert_msg(fabs((double)dx[i] - quotient) <= 1e-6, "dx of %g, %g is %.9g, the quotient %.9g",
                  at, target, (double)dx[i], quotient);
  }
}
END_TEST

/* Where formulas that are not fused overflow, or lose everything. */
START_TEST(losses_are_stable) {
  const float x[] = {-3e38f, 1000.0f, 3e38f}, huge[] = {3e38f, -3e38f}, ones[] = {1.0f, 0.0f};
  float loss[3], dx[3];
  const int32_t wrong = 1;
  const evr_softmax_desc d = {1, 3, 1, 1, EVR_NHWC};
  evr_softmax_cross_entropy_arguments a = {x, &wrong, NULL, 1.0f, loss, dx};
  ck_assert_int_eq(evr_softmax_cross_entropy(&d, NULL, &a), EVR_OK);
  ck_assert(loss[0] == 3e38f && dx[0] == 0.0f && dx[1] == -1.0f && dx[2] == 1.0f);
  ck_assert_int_eq(evr_sigmoid_cross_entropy(2, NULL, huge, ones, 1.0f, loss, dx), EVR_OK);
  ck_assert(loss[0] == 0.0f && loss[1] == 0.0f && dx[0] == 0.0f && dx[1] == 0.0f);
  /* a channel that is masked out, and not wanted */
  const float masked[] = {2.0f, -INFINITY, 1.0f}, targets[] = {0.5f, 0.0f, 0.5f};
  a = (evr_softmax_cross_entropy_arguments){masked, NULL, targets, 1.0f, loss, dx};
  ck_assert_int_eq(evr_softmax_cross_entropy(&d, NULL, &a), EVR_OK);
  ck_assert(fabsf(loss[0] - 0.81326169f) < 1e-6f && dx[1] == 0.0f);
  const float unknown[] = {2.0f, NAN, 1.0f};
  a.x = unknown;
  ck_assert_int_eq(evr_softmax_cross_entropy(&d, NULL, &a), EVR_OK);
  ck_assert(isnan(loss[0]) && isnan(dx[0]) && isnan(dx[1]) && isnan(dx[2]));
}
END_TEST

/* ---- the logarithms ---- */

static double worst_log(bool plus_one, float from, float to, double *places) {
  const uint32_t step = getenv("EVR_TEST_EXHAUSTIVE") != NULL ? 1 : 997 * (uint32_t)test_scale();
  double worst = 0.0;
  *places = 0.0;
  for (uint64_t bits = float_bits(from) + test_seed() % step; bits <= float_bits(to);
       bits += step, ++*places) {
    const uint32_t low = (uint32_t)bits;
    float x, y;
    memcpy(&x, &low, sizeof x);
    if (plus_one)
      evr_log1p_apply_scalar(&x, &y, 1);
    else
      evr_log_apply_scalar(&x, &y, 1);
    const double exact = plus_one ? log1p((double)x) : log((double)x);
    int exponent;
    frexp(exact, &exponent);
    const double unit = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
    worst = fmax(worst, fabs((double)y - exact) / unit);
  }
  return worst;
}

START_TEST(logarithms_are_accurate) {
  double places;
  double worst = worst_log(false, FLT_MIN, FLT_MAX, &places);
  printf("log: %.3f ulp, of %.0f floats\n", worst, places);
  ck_assert_msg(worst <= 1.5, "log: %.3f ulp", worst);
  worst = worst_log(true, 0.0f, 1.0f, &places);
  printf("log1p: %.3f ulp, of %.0f floats\n", worst, places);
  ck_assert_msg(worst <= 1.5, "log1p: %.3f ulp", worst);
  const float nan = NAN;
  float y;
  evr_log_apply_scalar(&nan, &y, 1);
  ck_assert(isnan(y));
  evr_log1p_apply_scalar(&nan, &y, 1);
  ck_assert(isnan(y));
}
END_TEST

int main(void) {
  suite_begin("loss");
  Suite *suite = suite_create("loss");
  TCase *all = suite_case(suite, "loss");
  tcase_add_loop_test(all, entropy_has_the_gradient_of_its_loss, 0, 60);
  tcase_add_loop_test(all, softmax_backward_is_its_gradient, 0, 60);
  tcase_add_test(all, binary_has_the_gradient_of_its_loss);
  tcase_add_test(all, losses_are_stable);
  tcase_add_test(all, logarithms_are_accurate);
  return suite_end(suite);
}
