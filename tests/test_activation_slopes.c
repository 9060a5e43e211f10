/* Derivatives of the elementwise functions over the range of float: their error against double. The
 * exact derivatives are held to difference quotients of the functions, so that a mistake would have
 * to be made twice. A derivative that is taken from y is compared with that function of y. Every so
 * many floats from a random start; with EVR_TEST_EXHAUSTIVE=1 all of them. The bounds are those of
 * docs/numbers.md. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evrisim/activation.h"
#include "support/compare.h"
#include "support/random.h"
#include "support/suite.h"

#define CHUNK 65536
#define SAMPLE_STEP 997 /* a prime, so that all low bits are met */

static double sigmoid(double z) {
  return z < 0.0 ? exp(z) / (1.0 + exp(z)) : 1.0 / (1.0 + exp(-z));
}

static double value_relu(double z) { return z < 0.0 ? 0.0 : z; }
static double value_leaky(double z) { return z < 0.0 ? (double)0.1f * z : z; }
static double value_falling(double z) { return z < 0.0 ? -0.5 * z : z; }
static double value_relu6(double z) { return z < 0.0 ? 0.0 : z > 6.0 ? 6.0 : z; }
static double value_elu(double z) { return z < 0.0 ? 1.75 * expm1(z) : z; }
static double value_rising_elu(double z) { return z < 0.0 ? -1.75 * expm1(z) : z; }
static double value_scaled_tanh(double z) { return 1.7159 * tanh(2.0 * z / 3.0); }
static double value_hard_swish(double z) {
  return z <= -3.0 ? 0.0 : z >= 3.0 ? z : z * (z + 3.0) / 6.0;
}
static double value_silu(double z) { return z * sigmoid(z); }
static double value_gelu(double z) { return 0.5 * z * erfc(-z * 0.70710678118654752440); }
static double cubic(double z) { return 1.59576912160573071176 * (z + 0.044715 * z * z * z); }
static double value_gelu_tanh(double z) { return z * sigmoid(cubic(z)); }

static double slope_relu(double y) { return y > 0.0 ? 1.0 : 0.0; }
static double slope_leaky(double y) { return y > 0.0 ? 1.0 : (double)0.1f; }
static double slope_falling(double z) { return z > 0.0 ? 1.0 : -0.5; }
static double slope_relu6(double y) { return y > 0.0 && y < 6.0 ? 1.0 : 0.0; }
static double slope_elu(double y) { return y > 0.0 ? 1.0 : y + 1.75; }
static double slope_rising_elu(double z) { return z > 0.0 ? 1.0 : -1.75 * exp(z); }
static double slope_sigmoid(double y) { return y * (1.0 - y); }
static double slope_tanh(double y) { return (1.0 - y) * (1.0 + y); }
static double slope_scaled_tanh(double y) {
  return (1.7159 - y) * (1.7159 + y) * (2.0 / 3.0 / 1.7159);
}
static double slope_hard_swish(double z) {
  return z <= -3.0 ? 0.0 : z >= 3.0 ? 1.0 : (2.0 * z + 3.0) / 6.0;
}
/* Beyond the bounds the products are far below the subnormals, or 1: their limits. */
static double slope_silu(double z) {
  if (fabs(z) > 200.0) return z < 0.0 ? -0.0 : 1.0;
  return sigmoid(z) * (1.0 + z * sigmoid(-z));
}
static double slope_gelu(double z) {
  if (fabs(z) > 30.0) return z < 0.0 ? -0.0 : 1.0;
  return 0.5 * erfc(-z * 0.70710678118654752440) + z * exp(-0.5 * z * z) * 0.39894228040143267794;
}
static double slope_gelu_tanh(double z) {
  if (fabs(z) > 30.0) return z < 0.0 ? -0.0 : 1.0;
  const double steepness = 1.59576912160573071176 * (1.0 + 3.0 * 0.044715 * z * z);
  return sigmoid(cubic(z)) * (1.0 + z * steepness * sigmoid(-cubic(z)));
}

typedef struct function {
  const char *name;
  evr_activation activation;
  double (*value)(double z);
  double (*slope)(double saved);
  double least, most; /* of what is saved: the range of y, or that of float */
  double most_ulp;
  /* Where the slope changes its sign smoothly its error is that of sums near 1/2: within a quarter
   * of there, in units of 2^-25. 0: nowhere. */
  double crossing;
} function;

#define ALL -(double)FLT_MAX, (double)FLT_MAX
static const function functions[] = {
    {"relu", {EVR_RELU, 0.0f}, value_relu, slope_relu, ALL, 0.0, 0.0},
    {"leaky-relu", {EVR_LEAKY_RELU, 0.1f}, value_leaky, slope_leaky, ALL, 0.0, 0.0},
    {"leaky-relu-falling", {EVR_LEAKY_RELU, -0.5f}, value_falling, slope_falling, ALL, 0.0, 0.0},
    {"relu6", {EVR_RELU6, 0.0f}, value_relu6, slope_relu6, ALL, 0.0, 0.0},
    {"elu", {EVR_ELU, 1.75f}, value_elu, slope_elu, -1.75, (double)FLT_MAX, 0.5, 0.0},
    {"elu-rising", {EVR_ELU, -1.75f}, value_rising_elu, slope_rising_elu, -1.0, 1.0, 4.0, 0.0},
    {"sigmoid", {EVR_SIGMOID, 0.0f}, sigmoid, slope_sigmoid, 0.0, 1.0, 2.0, 0.0},
    {"tanh", {EVR_TANH, 0.0f}, tanh, slope_tanh, -1.0, 1.0, 0.5, 0.0},
    {"scaled-tanh",
     {EVR_SCALED_TANH, 0.0f},
     value_scaled_tanh,
     slope_scaled_tanh,
     -1.7159,
     1.7159,
     3.0,
     0.0},
    {"hard-swish", {EVR_HARD_SWISH, 0.0f}, value_hard_swish, slope_hard_swish, ALL, 2.0, 0.0},
    {"silu", {EVR_SILU, 0.0f}, value_silu, slope_silu, ALL, 10.0, -1.2784645},
    {"gelu", {EVR_GELU, 0.0f}, value_gelu, slope_gelu, ALL, 8.0, -0.7517916},
    {"gelu-tanh", {EVR_GELU_TANH, 0.0f}, value_gelu_tanh, slope_gelu_tanh, ALL, 10.0, -0.7524614},
};
#define FUNCTIONS ((int)(sizeof functions / sizeof functions[0]))

/* What the derivative of a function is taken from. */
static double saved_of(const function *f, double z) {
  return evr_activation_needs_z(&f->activation) ? z : f->value(z);
}

START_TEST(slopes_are_difference_quotients) {
  const function *f = &functions[_i];
  const double step = 1e-5;
  int compared = 0;
  for (double z = -9.0; z <= 9.0; z += 0.0137) {
    if (fabs(z) < 0.02 || fabs(fabs(z) - 3.0) < 0.02 || fabs(z - 6.0) < 0.02) continue; /* kinks */
    const double quotient = (f->value(z + step) - f->value(z - step)) / (2.0 * step);
    const double slope = f->slope(saved_of(f, z));
    ck_assert_msg(fabs(slope - quotient) < 1e-8, "%s: at %g the slope is %.12g, the quotient %.12g",
                  f->name, z, slope, quotient);
    compared++;
  }
  ck_assert_int_gt(compared, 1000);
}
END_TEST

/* Units of the last place that a float has at exact; at least unit. */
static double ulp_error(float got, double exact, double unit) {
  int exponent;
  frexp(exact, &exponent);
  const double place = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
  return fabs((double)got - exact) / (place > unit ? place : unit);
}

static void slopes(const function *f, const float *saved, float *slope) {
  static float ones[CHUNK];
  for (int i = 0; i < CHUNK; i++) ones[i] = 1.0f;
  const evr_activation_desc d = {f->activation, CHUNK};
  const bool z = evr_activation_needs_z(&f->activation);
  ck_assert_int_eq(
      evr_activation_backward(&d, NULL, ones, z ? NULL : saved, z ? saved : NULL, slope), EVR_OK);
}

START_TEST(slopes_are_accurate) {
  const function *f = &functions[_i];
  static float saved[CHUNK], slope[CHUNK];
  const bool all = getenv("EVR_TEST_EXHAUSTIVE") != NULL;
  const uint64_t step = all ? 1 : SAMPLE_STEP * (uint64_t)test_scale();
  uint64_t next = all ? 0 : test_seed() % step;
  double worst = 0.0;
  float at = 0.0f;
  int64_t compared = 0;
  while (next < UINT64_C(1) << 32) {
    for (int i = 0; i < CHUNK; i++, next += next < UINT64_C(1) << 32 ? step : 0) {
      const uint32_t bits = (uint32_t)next;
      memcpy(&saved[i], &bits, sizeof bits);
    }
    slopes(f, saved, slope);
    for (int i = 0; i < CHUNK; i++) {
      if (isnan(saved[i])) {
        if (!isnan(slope[i])) ck_abort_msg("%s: NaN gives %g", f->name, (double)slope[i]);
        continue;
      }
      const double from = (double)saved[i];
      if (from < f->least || from > f->most) continue;
      const bool crossing = f->crossing != 0.0 && fabs(from - f->crossing) < 0.25;
      const double ulp = ulp_error(slope[i], f->slope(from), crossing ? 0x1p-25 : 0.0);
      compared++;
      if (ulp <= worst) continue;
      worst = ulp;
      at = saved[i];
    }
  }
  printf("%s: %.3f ulp at %a, of %lld floats\n", f->name, worst, (double)at, (long long)compared);
  ck_assert_msg(worst <= f->most_ulp, "%s: %.3f ulp at %a, more than %g", f->name, worst,
                (double)at, f->most_ulp);
  ck_assert_int_gt(compared, 1000);
}
END_TEST

/* One derivative after the other, where it is decided rather than computed. */
START_TEST(kinks_and_limits) {
  static const struct {
    evr_activation activation;
    float saved, slope;
  } rows[] = {
      {{EVR_IDENTITY, 0.0f}, -3.0f, 1.0f},
      {{EVR_RELU, 0.0f}, 0.0f, 0.0f},
      {{EVR_RELU, 0.0f}, -0.0f, 0.0f},
      {{EVR_RELU, 0.0f}, INFINITY, 1.0f},
      {{EVR_RELU6, 0.0f}, 0.0f, 0.0f},
      {{EVR_RELU6, 0.0f}, 6.0f, 0.0f},
      {{EVR_RELU6, 0.0f}, 5.9999995f, 1.0f},
      {{EVR_LEAKY_RELU, 0.25f}, 0.0f, 0.25f},
      {{EVR_LEAKY_RELU, 0.25f}, -INFINITY, 0.25f},
      {{EVR_LEAKY_RELU, -0.25f}, 0.0f, -0.25f},
      {{EVR_LEAKY_RELU, -0.25f}, 1.0f, 1.0f},
      {{EVR_ELU, 0.5f}, 0.0f, 0.5f},
      {{EVR_ELU, 0.5f}, -0.5f, 0.0f},
      {{EVR_ELU, 0.5f}, FLT_MIN, 1.0f},
      {{EVR_ELU, -0.5f}, -INFINITY, 0.0f},
      {{EVR_SIGMOID, 0.0f}, 1.0f, 0.0f},
      {{EVR_SIGMOID, 0.0f}, 0.5f, 0.25f},
      {{EVR_TANH, 0.0f}, -1.0f, 0.0f},
      {{EVR_TANH, 0.0f}, 0.0f, 1.0f},
      {{EVR_HARD_SWISH, 0.0f}, -3.0f, 0.0f},
      {{EVR_HARD_SWISH, 0.0f}, 3.0f, 1.0f},
      {{EVR_HARD_SWISH, 0.0f}, -1.5f, 0.0f},
      {{EVR_HARD_SWISH, 0.0f}, -INFINITY, 0.0f},
      {{EVR_SILU, 0.0f}, 0.0f, 0.5f},
      {{EVR_SILU, 0.0f}, INFINITY, 1.0f},
      {{EVR_SILU, 0.0f}, -INFINITY, 0.0f},
      {{EVR_GELU, 0.0f}, 0.0f, 0.5f},
      {{EVR_GELU, 0.0f}, INFINITY, 1.0f},
      {{EVR_GELU, 0.0f}, -INFINITY, 0.0f},
      {{EVR_GELU_TANH, 0.0f}, 0.0f, 0.5f},
      {{EVR_GELU_TANH, 0.0f}, INFINITY, 1.0f},
      {{EVR_GELU_TANH, 0.0f}, -INFINITY, 0.0f},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const evr_activation_desc d = {rows[i].activation, 1};
    const bool z = evr_activation_needs_z(&d.activation);
    const float dy = 2.0f;
    float dx;
    ck_assert_int_eq(evr_activation_backward(&d, NULL, &dy, z ? NULL : &rows[i].saved,
                                             z ? &rows[i].saved : NULL, &dx),
                     EVR_OK);
    ck_assert_msg(dx == 2.0f * rows[i].slope, "row %zu: twice the slope is %g", i, (double)dx);
  }
  const evr_activation_desc relu = {{EVR_RELU, 0.0f}, 2}, same = {{EVR_IDENTITY, 0.0f}, 2};
  const float dy[] = {NAN, INFINITY}, y[] = {0.0f, -1.0f};
  float dx[2];
  ck_assert_int_eq(evr_activation_backward(&relu, NULL, dy, y, NULL, dx), EVR_OK);
  ck_assert(isnan(dx[0]) && isnan(dx[1]));
  ck_assert_int_eq(evr_activation_backward(&same, NULL, y, NULL, NULL, dx), EVR_OK);
  ck_assert(same_float(dx[0], y[0]) && same_float(dx[1], y[1]));
  ck_assert(!evr_activation_needs_z(NULL) && !evr_activation_needs_z(&relu.activation));
}
END_TEST

int main(void) {
  suite_begin("activation slopes");
  Suite *suite = suite_create("activation slopes");
  TCase *all = suite_case(suite, "slopes");
  tcase_add_loop_test(all, slopes_are_difference_quotients, 0, FUNCTIONS);
  tcase_add_loop_test(all, slopes_are_accurate, 0, FUNCTIONS);
  tcase_add_test(all, kinks_and_limits);
  return suite_end(suite);
}
