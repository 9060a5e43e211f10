/* The convolutions that serve EVR_MATH_STANDARD and not EVR_MATH_EXACT: their error against the
 * bound, on random and on adversarial values (what docs/numbers.md says of it), and single values
 * that such arithmetic could lose. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/adversary.h"
#include "support/compare.h"
#include "support/suite.h"
#include "walk/conv2d.h"

/* ---- error and bound ---- */

static const int64_t channels[] = {16, 32, 33, 128, 1024};
#define DEPTHS (int)(sizeof channels / sizeof channels[0])

static bool is_standard(const evr_variant *v) {
  return v->operation == EVR_OP_CONV2D && v->math == EVR_SERVES_STANDARD &&
         strncmp(v->name, "fault-", 6) != 0 && variant_runs_here(v);
}

static conv2d_case a_case(int64_t in_channels, int64_t kernel) {
  conv2d_case c = {.desc = EVR_CONV2D_DESC_INIT, .values = VALUES_REALS};
  evr_conv2d_desc *d = &c.desc;
  d->in_channels = in_channels;
  d->out_channels = 32;
  d->in_height = d->in_width = 10;
  d->kernel_height = d->kernel_width = kernel;
  return c;
}

/* Executes in plain memory; the caller frees y. */
static float *run(const evr_variant *v, evr_math math, const conv2d_case *c,
                  const conv2d_inputs *in, int threads) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = math;
  options.variant = v != NULL ? v->name : "reference";
  options.num_threads = threads;
  float *y = malloc((size_t)in->sizes.y_count * sizeof *y);
  if (y == NULL) abort();
  evr_conv2d_plan *plan;
  ck_assert_msg(evr_conv2d_plan_create(&c->desc, &options, &plan) == EVR_OK, "%s",
                evr_last_error());
  const evr_conv2d_arguments a = {
      .x = in->x, .weights = in->weights, .bias = in->bias, .residual = in->residual, .y = y};
  ck_assert_int_eq(evr_conv2d_execute(plan, &a), EVR_OK);
  evr_conv2d_plan_destroy(plan);
  return y;
}

/* The largest error of an output, in bounds, and in sums of magnitudes. */
static double worst_error(const conv2d_case *c, const conv2d_inputs *in, const float *y,
                          double *relative) {
  const int64_t count = in->sizes.y_count;
  double *exact = malloc((size_t)count * 2 * sizeof *exact), worst = 0.0;
  if (exact == NULL) abort();
  conv2d_oracle(c, in, exact, exact + count);
  for (int64_t i = 0; i < count; i++) {
    const double error = fabs((double)y[i] - exact[i]), size = exact[count + i];
    worst = fmax(worst, error / conv2d_bound(c, size));
    *relative = fmax(*relative, error / size);
  }
  free(exact);
  return worst;
}

START_TEST(error_is_within_the_bound) {
  size_t rows, checked = 0;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!is_standard(&registry[i])) continue;
    checked++;
    printf("  %s, largest error in bounds (and of sum |x||w|; the reference's):\n",
           registry[i].name);
    for (int kind = 0; kind < ADVERSARIES; kind++)
      for (int depth = 0; depth < DEPTHS; depth++) {
        walk w;
        walk_begin(&w, &registry[i]);
        const conv2d_case c = a_case(channels[depth], depth == 3 ? 3 : 1);
        conv2d_inputs in;
        ck_assert(conv2d_inputs_make(&w, &c, &in));
        for (int64_t k = 0; k < in.sizes.x_count; k++)
          in.x[k] = adversaries[kind].make(&w.random, k % channels[depth]);
        for (int64_t k = 0; k < in.sizes.weights_count; k++)
          in.weights[k] = fabsf(adversaries[kind].make(&w.random, k / c.desc.out_channels));
        double relative = 0.0, relative_reference = 0.0;
        float *y = run(&registry[i], EVR_MATH_STANDARD, &c, &in, 1);
        const double worst = worst_error(&c, &in, y, &relative);
        free(y);
        y = run(NULL, EVR_MATH_EXACT, &c, &in, 1);
        worst_error(&c, &in, y, &relative_reference);
        free(y);
        conv2d_inputs_free(&in);
        printf("    %-12s K = %4lld: %.4f  (%.1e; %.1e)\n", adversaries[kind].name,
               (long long)(channels[depth] * c.desc.kernel_height * c.desc.kernel_width), worst,
               relative, relative_reference);
        ck_assert_msg(worst <= 1.0, "%s, %s, %lld channels: %g times the bound", registry[i].name,
                      adversaries[kind].name, (long long)channels[depth], worst);
      }
  }
  if (checked == 0) printf("  SKIPPED: this machine or EVR_MAX_ISA allows no such variant\n");
}
END_TEST

/* ---- single values ---- */

/* What single values leave of the outputs in every layout and by every number of threads: the
 * bound, and where the reference has no number, or such a small or large value is among the terms,
 * the reference's bits. */
static void check_single(const evr_variant *v, conv2d_case *c, float value, float around,
                         int places) {
  walk w;
  walk_begin(&w, v);
  c->values = VALUES_SPECIAL;
  conv2d_inputs in;
  ck_assert(conv2d_inputs_make(&w, c, &in));
  random_fill(&w.random, VALUES_REALS, 1, in.x, in.sizes.x_count);
  random_fill(&w.random, VALUES_REALS, 1, in.weights, in.sizes.weights_count);
  for (int64_t i = 0; i < in.sizes.x_count; i++) in.x[i] *= around;
  if ((places & 1) != 0) in.x[random_between(&w.random, 0, in.sizes.x_count - 1)] = value;
  if ((places & 2) != 0)
    in.weights[random_between(&w.random, 0, in.sizes.weights_count - 1)] = value;
  const int64_t count = in.sizes.y_count;
  double *exact = malloc((size_t)count * 2 * sizeof *exact);
  if (exact == NULL) abort();
  conv2d_oracle(c, &in, exact, exact + count);
  float *reference = run(NULL, EVR_MATH_EXACT, c, &in, 1), *first = NULL;
  for (int threads = 1; threads <= 3; threads++) {
    float *y = run(v, EVR_MATH_STANDARD, c, &in, threads);
    if (first == NULL) {
      conv2d_standard_is_right(&w, c, &in, exact, exact + count, reference, y);
      first = y;
      continue;
    }
    walk_same(&w, first, y, count, "another number of threads");
    free(y);
  }
  free(first);
  free(reference);
  free(exact);
  conv2d_inputs_free(&in);
  ck_assert_msg(!walk_failed(&w), "%a among %a, %d: %s", (double)value, (double)around, places,
                w.failure);
}

START_TEST(single_values_are_kept) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!is_standard(&registry[i])) continue;
    for (int around = 0; around < SURROUNDINGS; around++)
      for (int places = 1; places <= 3; places++) {
        conv2d_case c = a_case(40, 3);
        c.desc.in_height = 14;
        c.desc.pad_top = c.desc.pad_left = 1;
        c.desc.layout = places % 2 == 0 ? EVR_NCHW : EVR_NHWC;
        c.bias = around % 2 == 0;
        check_single(&registry[i], &c, single_values[_i], surroundings[around], places);
      }
  }
}
END_TEST

/* One value out of range changes the bits of no output that does not see its row. */
START_TEST(other_rows_stay_as_they_are) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!is_standard(&registry[i])) continue;
    walk w;
    walk_begin(&w, &registry[i]);
    conv2d_case c = a_case(64, 3);
    c.desc.in_height = 20;
    conv2d_inputs in;
    ck_assert(conv2d_inputs_make(&w, &c, &in));
    float *plain = run(&registry[i], EVR_MATH_STANDARD, &c, &in, 1);
    float *reference = run(NULL, EVR_MATH_EXACT, &c, &in, 1);
    const int64_t row = c.desc.in_width * c.desc.in_channels;
    in.x[9 * row + 5] = 1e-39f;
    float *marked = run(&registry[i], EVR_MATH_STANDARD, &c, &in, 1);
    float *marked_reference = run(NULL, EVR_MATH_EXACT, &c, &in, 1);
    const int64_t out = in.sizes.conv_width * c.desc.out_channels;
    ck_assert_int_eq(first_difference(plain, marked, 7 * out), -1);
    ck_assert_int_eq(first_difference(plain + 10 * out, marked + 10 * out, 8 * out), -1);
    ck_assert_int_eq(first_difference(marked_reference + 7 * out, marked + 7 * out, 3 * out), -1);
    /* Or tiles are not what is tested here. */
    ck_assert_int_ne(first_difference(plain, reference, in.sizes.y_count), -1);
    free(plain);
    free(reference);
    free(marked);
    free(marked_reference);
    conv2d_inputs_free(&in);
  }
}
END_TEST

int main(void) {
  suite_begin("standard error");
  Suite *suite = suite_create("standard error");
  TCase *all = suite_case(suite, "convolution");
  tcase_add_test(all, error_is_within_the_bound);
  tcase_add_loop_test(all, single_values_are_kept, 0, SINGLE_VALUES);
  tcase_add_test(all, other_rows_stay_as_they_are);
  return suite_end(suite);
}
