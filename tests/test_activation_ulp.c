/* The elementwise functions over the whole range of float: their error against double, and the same
 * bits from every variant. Every so many floats from a random start, and all of them around the
 * points where something changes; with EVR_TEST_EXHAUSTIVE=1 all 2^32 (about a minute a function;
 * the variants that take a value at a time then keep to the sample). The bounds are those of
 * docs/numbers.md. A hash of the results on fixed floats is the same on every CPU and compiler.
 * CK_RUN_CASE=tanh runs one function alone. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activation/reference.h"
#include "core/registry.h"
#include "evrisim/activation.h"
#include "support/compare.h"
#include "support/random.h"
#include "support/suite.h"

#define CHUNK 65536
#define SAMPLE_STEP 997 /* a prime, so that all low bits are met */
#define HASHED_STEP 40009

typedef struct function {
  const char *name;
  evr_activation activation;
  double (*exact)(double x);
  double most_ulp;
  uint64_t bits; /* hash of the results, the same on every CPU */
} function;

static double exact_identity(double x) { return x; }
static double exact_relu(double x) { return x < 0.0 ? 0.0 : x; }
static double exact_leaky_relu(double x) { return x < 0.0 ? (double)0.1f * x : x; }
static double exact_relu6(double x) { return x < 0.0 ? 0.0 : x > 6.0 ? 6.0 : x; }
static double exact_elu(double x) { return x < 0.0 ? expm1(x) : x; }
static double exact_scaled_elu(double x) { return x < 0.0 ? (double)1.75f * expm1(x) : x; }
static double exact_sigmoid(double x) {
  return x < 0.0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x));
}
static double exact_scaled_tanh(double x) { return 1.7159 * tanh(2.0 * x / 3.0); }
static double exact_hard_swish(double x) {
  return x <= -3.0 ? -0.0 : x >= 3.0 ? x : x * (x + 3.0) / 6.0;
}
/* Below -200 the product with a sigmoid is far below the subnormals: its limit. */
static double exact_silu(double x) { return x < -200.0 ? -0.0 : x * exact_sigmoid(x); }
static double exact_gelu(double x) {
  return x < -30.0 ? -0.0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
}
static double exact_gelu_tanh(double x) {
  if (x < -30.0) return -0.0;
  return x * exact_sigmoid(1.59576912160573071176 * (x + 0.044715 * x * x * x));
}

static const function functions[] = {
    {"identity", {EVR_IDENTITY, 0.0f}, exact_identity, 0.0, UINT64_C(0x6f13516ed16c3496)},
    {"relu", {EVR_RELU, 0.0f}, exact_relu, 0.0, UINT64_C(0xa41086e756fdd5c2)},
    {"leaky-relu", {EVR_LEAKY_RELU, 0.1f}, exact_leaky_relu, 0.5, UINT64_C(0xf7817bd8017752c8)},
    {"relu6", {EVR_RELU6, 0.0f}, exact_relu6, 0.0, UINT64_C(0xd6698b146dd6868e)},
    {"elu", {EVR_ELU, 1.0f}, exact_elu, 1.0, UINT64_C(0x4bdfb16219811f42)},
    {"elu-alpha", {EVR_ELU, 1.75f}, exact_scaled_elu, 2.0, UINT64_C(0xca9ab53c5aa47db5)},
    {"sigmoid", {EVR_SIGMOID, 0.0f}, exact_sigmoid, 3.2, UINT64_C(0x0f72f4dfc7cd1d43)},
    {"tanh", {EVR_TANH, 0.0f}, tanh, 1.4, UINT64_C(0x24c6d026fdde6fce)},
    {"scaled-tanh", {EVR_SCALED_TANH, 0.0f}, exact_scaled_tanh, 2.4, UINT64_C(0xf7617f094913c7b9)},
    {"hard-swish", {EVR_HARD_SWISH, 0.0f}, exact_hard_swish, 2.5, UINT64_C(0x663ca0907889e152)},
    {"silu", {EVR_SILU, 0.0f}, exact_silu, 4.0, UINT64_C(0x61b8b2bf16c023b4)},
    {"gelu", {EVR_GELU, 0.0f}, exact_gelu, 7.0, UINT64_C(0xe45f423e700d8bd4)},
    {"gelu-tanh", {EVR_GELU_TANH, 0.0f}, exact_gelu_tanh, 4.0, UINT64_C(0x1b0e1f2f6aeaeb88)},
};
#define FUNCTIONS ((int)(sizeof functions / sizeof functions[0]))

/* Distance of a result from the exact value in units of the last place that a float has there.
 * Infinity counts as the next float after the largest would. NaN where only one is a NaN. */
static double ulp_error(float got, double exact) {
  if (isnan(got) && isnan(exact)) return 0.0;
  if (isnan(got) || isnan(exact)) return NAN;
  const double beyond = 0x1p128;
  const double a = isinf(got) ? copysign(beyond, (double)got) : (double)got;
  const double b = fabs(exact) >= beyond ? copysign(beyond, exact) : exact;
  int64_t bits;
  memcpy(&bits, &b, sizeof bits);
  int64_t exponent = ((bits >> 52) & 2047) - 23;
  if (exponent < 1023 - 149) exponent = 1023 - 149;
  if (exponent > 1023 + 104) exponent = 1023 + 104;
  bits = exponent << 52;
  double unit;
  memcpy(&unit, &bits, sizeof unit);
  return fabs(a - b) / unit;
}

typedef struct error {
  double ulp;
  float at;
} error;

static void check_errors(const char *name, double (*exact)(double), const float *x, const float *y,
                         error *worst) {
  for (int i = 0; i < CHUNK; i++) {
    const double want = exact((double)x[i]);
    const double ulp = ulp_error(y[i], want);
    /* ck_assert would tell the parent process of every value. */
    if (isnan(ulp) || (y[i] == 0.0f && !signbit(y[i]) != !signbit(want)))
      ck_abort_msg("%s(%a) is %a; it should be %a", name, (double)x[i], (double)y[i], want);
    if (ulp > worst->ulp) *worst = (error){ulp, x[i]};
  }
}

/* The floats of one pass, by their bits. */
typedef struct sweep {
  uint64_t next, step;
  size_t point;      /* of points, once the range is through */
  int64_t neighbour; /* of that point */
} sweep;

/* Where a branch, a clamp, a power of two or a limit of the format changes something. */
static const float points[] = {0.0f,    FLT_MIN,  FLT_MAX,  INFINITY, 1.0f,     3.0f,     6.0f,
                               0.625f,  0.9375f,  10.0f,    11.0f,    15.0f,    20.0f,    0.34657f,
                               1.0397f, 1.7329f,  9.0109f,  16.635f,  17.3287f, 14.17f,   14.44f,
                               10.06f,  10.8f,    22.5f,    87.3365f, 88.3763f, 88.7228f, 89.0f,
                               92.0f,   103.279f, 103.972f, 104.0f,   108.6f,   120.0f,   1.5e-5f,
                               3.4e-4f, 0.02166f, 0.06498f, 18.0f,    30.0f,    60.0f,    88.0297f};
#define POINTS (sizeof points / sizeof points[0])
#define NEIGHBOURS 1500 /* on either side */

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Fills a chunk; false when there is nothing left. What is left of the last one repeats its end. */
static bool sweep_next(sweep *s, float *x) {
  int n = 0;
  for (; n < CHUNK && s->next < UINT64_C(1) << 32; s->next += s->step)
    x[n++] = float_of((uint32_t)s->next);
  while (n < CHUNK && s->point < 2 * POINTS) {
    const uint32_t sign = s->point % 2 == 0 ? 0 : UINT32_C(1) << 31;
    x[n++] = float_of((float_bits(points[s->point / 2]) | sign) + (uint32_t)s->neighbour);
    if (++s->neighbour > NEIGHBOURS) {
      s->neighbour = -NEIGHBOURS;
      s->point++;
    }
  }
  for (int i = n; i < CHUNK && n > 0; i++) x[i] = x[n - 1];
  return n > 0;
}

static bool exhaustive(void) {
  const char *value = getenv("EVR_TEST_EXHAUSTIVE");
  return value != NULL && strcmp(value, "1") == 0;
}

static sweep sweep_begin(bool all) {
  test_random random = {test_seed()};
  const uint64_t step = all ? 1 : (uint64_t)(SAMPLE_STEP * test_scale());
  return (sweep){all ? 0 : random_bits(&random) % step, step, 0, -NEIGHBOURS};
}

#define MOST_VARIANTS 16

/* A plan of one variant. */
static evr_status make_plan(const evr_variant *variant, const evr_activation *activation,
                            evr_activation_plan **plan) {
  const evr_activation_desc desc = {*activation, CHUNK};
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = variant->name;
  options.num_threads = 1;
  return evr_activation_plan_create(&desc, &options, plan);
}

/* Plans of every variant that runs here, the reference first; of the vector ones alone where all
 * floats are to be run through. */
static int make_plans(const evr_activation *activation, bool all, evr_activation_plan **plans) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int count = 0;
  for (size_t i = rows; i-- > 0;) {
    if (registry[i].operation != EVR_OP_ACTIVATION) continue;
    if (all && registry[i].isa == EVR_ISA_SCALAR) continue;
    ck_assert_int_lt(count, MOST_VARIANTS);
    if (make_plan(&registry[i], activation, &plans[count]) == EVR_OK) count++;
  }
  ck_assert_int_ge(count, all ? 1 : 2);
  return count;
}

/* Names the variants that cannot run here, and counts the vector ones that can. */
static int vector_variants(void) {
  int count = 0;
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    evr_activation_plan *plan;
    if (registry[i].operation != EVR_OP_ACTIVATION) continue;
    if (make_plan(&registry[i], &functions[0].activation, &plan) != EVR_OK) {
      printf("SKIPPED: activation %s: %s\n", registry[i].name, evr_last_error());
      continue;
    }
    count += registry[i].isa != EVR_ISA_SCALAR;
    evr_activation_plan_destroy(plan);
  }
  return count;
}

static float x[CHUNK], first[CHUNK], other[CHUNK];

static void run_function(const function *f, bool all) {
  evr_activation_plan *plans[MOST_VARIANTS];
  const int count = make_plans(&f->activation, all, plans);
  error worst = {0.0, 0.0f};
  sweep s = sweep_begin(all);
  while (sweep_next(&s, x)) {
    ck_assert_int_eq(evr_activation_forward(plans[0], x, first), EVR_OK);
    check_errors(f->name, f->exact, x, first, &worst);
    for (int p = 1; p < count; p++) {
      ck_assert_int_eq(evr_activation_forward(plans[p], x, other), EVR_OK);
      const int64_t at = first_difference(first, other, CHUNK);
      ck_assert_msg(at < 0, "%s(%a) is %a by %s and %a by %s", f->name, (double)x[at],
                    (double)first[at], evr_activation_plan_variant(plans[0]), (double)other[at],
                    evr_activation_plan_variant(plans[p]));
    }
  }
  printf("  %-12s %.3f ulp at %a, %d variants%s\n", f->name, worst.ulp, (double)worst.at, count,
         all ? ", all floats" : "");
  ck_assert_msg(worst.ulp <= f->most_ulp, "%s(%a) is off by %.3f ulp; %.1f are stated", f->name,
                (double)worst.at, worst.ulp, f->most_ulp);
  for (int p = 0; p < count; p++) evr_activation_plan_destroy(plans[p]);
}

START_TEST(function_within_bound) { run_function(&functions[_i], false); }
END_TEST

START_TEST(function_has_the_bits_of_every_cpu) {
  const function *f = &functions[_i];
  evr_activation_plan *plans[MOST_VARIANTS];
  const int count = make_plans(&f->activation, false, plans);
  for (int p = 0; p < count; p++) {
    sweep s = {0, HASHED_STEP, 0, -NEIGHBOURS};
    uint64_t hash = 0;
    while (sweep_next(&s, x)) {
      ck_assert_int_eq(evr_activation_forward(plans[p], x, first), EVR_OK);
      for (int i = 0; i < CHUNK; i++)
        if (isnan(first[i])) first[i] = float_of(UINT32_C(0x7fc00000));
      hash = hash * 31 + hash_floats(first, CHUNK);
    }
    ck_assert_msg(hash == f->bits,
                  "%s by %s: the hash is 0x%016" PRIx64 "; it should be 0x%016" PRIx64, f->name,
                  evr_activation_plan_variant(plans[p]), hash, f->bits);
    evr_activation_plan_destroy(plans[p]);
  }
}
END_TEST

START_TEST(function_exhaustively) { run_function(&functions[_i], true); }
END_TEST

/* The exponential of softmax is no operation of its own; its other instruction sets are held to
 * these bits by the softmax tests. */
START_TEST(exponential_within_bound) {
  error worst = {0.0, 0.0f};
  sweep s = sweep_begin(exhaustive());
  while (sweep_next(&s, x)) {
    for (int i = 0; i < CHUNK; i++) first[i] = evr_exp_reference(x[i]);
    check_errors("exp", exp, x, first, &worst);
  }
  printf("  %-12s %.3f ulp at %a\n", "exp", worst.ulp, (double)worst.at);
  ck_assert_msg(worst.ulp <= 1.0, "exp(%a) is off by %.3f ulp; 1.0 is stated", (double)worst.at,
                worst.ulp);
}
END_TEST

/* More results than the caches hold are written another way, a vector at a time from the first that
 * is aligned: the same bits, and nothing beside them. */
#define MANY (((int64_t)16 << 20) / (int64_t)sizeof(float) + 1037)

START_TEST(many_values_have_the_same_bits) {
  const evr_activation activation = {_i == 0 ? EVR_RELU : EVR_SIGMOID, 0.0f};
  float *from = malloc((size_t)MANY * sizeof *from), *to = malloc((size_t)(MANY + 2) * sizeof *to);
  ck_assert(from != NULL && to != NULL);
  for (int64_t i = 0; i < MANY; i++) from[i] = (float)(i * 7919 % 20011 - 10000) * 0x1p-10f;
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    const evr_activation_desc desc = {activation, MANY};
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[i].name;
    options.num_threads = 2;
    evr_activation_plan *plan;
    if (registry[i].operation != EVR_OP_ACTIVATION ||
        evr_activation_plan_create(&desc, &options, &plan) != EVR_OK)
      continue;
    to[0] = to[MANY + 1] = 77.0f;
    ck_assert_int_eq(evr_activation_forward(plan, from, to + 1), EVR_OK);
    int64_t wrong = to[0] != 77.0f || to[MANY + 1] != 77.0f;
    for (int64_t k = 0; k < MANY; k++)
      wrong += to[k + 1] != evr_activation_reference(&activation, from[k]);
    ck_assert_msg(wrong == 0, "%s: %" PRId64 " values are wrong", registry[i].name, wrong);
    evr_activation_plan_destroy(plan);
  }
  free(from);
  free(to);
}
END_TEST

int main(void) {
  suite_begin("activation ulp");
  const int vectors = vector_variants();
  if (exhaustive() && vectors == 0) printf("SKIPPED: all floats: no vector variant runs here\n");
  Suite *suite = suite_create("activation ulp");
  for (int i = 0; i < FUNCTIONS; i++) {
    TCase *one = suite_case(suite, functions[i].name);
    tcase_add_loop_test(one, function_within_bound, i, i + 1);
    tcase_add_loop_test(one, function_has_the_bits_of_every_cpu, i, i + 1);
    if (exhaustive() && vectors > 0) tcase_add_loop_test(one, function_exhaustively, i, i + 1);
  }
  tcase_add_test(suite_case(suite, "exp"), exponential_within_bound);
  tcase_add_loop_test(suite_case(suite, "many"), many_values_have_the_same_bits, 0, 2);
  return suite_end(suite);
}
