/* The same as test_standard_error.c of the variants of backward weights that serve
 * EVR_MATH_STANDARD and not EVR_MATH_EXACT. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/adversary.h"
#include "support/compare.h"
#include "support/suite.h"
#include "walk/conv2d_backward.h"

/* Images of so many pixels, and windows of one pixel or of 3 x 3 with padding: the fewest pixels
 * that are served, a chunk, one more, a full block, and several blocks. */
typedef struct shape {
  int64_t batch, height, width, kernel;
} shape;
static const shape shapes[] = {{1, 2, 9, 1},   {1, 4, 8, 1},   {1, 3, 11, 1}, {1, 6, 7, 3},
                               {1, 16, 32, 1}, {1, 16, 32, 3}, {3, 20, 20, 3}};
#define SHAPES (int)(sizeof shapes / sizeof shapes[0])

static bool is_standard(const evr_variant *v) {
  return v->operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS && v->math == EVR_SERVES_STANDARD &&
         strncmp(v->name, "fault-", 6) != 0 && variant_runs_here(v);
}

static conv2d_case a_case(shape s, int64_t in_channels, int64_t out_channels) {
  conv2d_case c = {.desc = EVR_CONV2D_DESC_INIT, .values = VALUES_REALS};
  evr_conv2d_desc *d = &c.desc;
  d->batch = s.batch;
  d->in_channels = in_channels;
  d->out_channels = out_channels;
  d->in_height = s.height;
  d->in_width = s.width;
  d->kernel_height = d->kernel_width = s.kernel;
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = s.kernel / 2;
  return c;
}

/* Executes in plain memory; the caller frees dweights. Without a variant: the reference. */
static float *run(const evr_variant *v, const conv2d_case *c, const conv2d_gradient_inputs *in,
                  int threads) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = v != NULL ? EVR_MATH_STANDARD : EVR_MATH_EXACT;
  options.variant = v != NULL ? v->name : "reference";
  options.num_threads = threads;
  float *dweights = malloc((size_t)in->sizes.weights_count * sizeof *dweights);
  if (dweights == NULL) abort();
  const evr_conv2d_backward_weights_arguments a = {.x = in->x, .dy = in->dy, .dweights = dweights};
  ck_assert_msg(evr_conv2d_backward_weights(&c->desc, &options, &a) == EVR_OK, "%s",
                evr_last_error());
  return dweights;
}

static conv2d_gradient_inputs inputs_of(walk *w, const conv2d_case *c) {
  conv2d_gradient_inputs in;
  ck_assert(conv2d_gradient_inputs_make(w, c, &in));
  return in;
}

/* The largest error of a weight, in bounds, and in sums of magnitudes. */
static double worst_error(const conv2d_case *c, const conv2d_gradient_inputs *in,
                          const float *dweights, double *relative) {
  conv2d_gradient_sums exact = conv2d_gradient_oracle(EVR_OP_CONV2D_BACKWARD_WEIGHTS, c, in);
  const double bound = conv2d_gradient_bound(EVR_OP_CONV2D_BACKWARD_WEIGHTS, c, in);
  double worst = 0.0;
  *relative = 0.0;
  for (int64_t i = 0; i < in->sizes.weights_count; i++) {
    const double error = fabs((double)dweights[i] - exact.first[i]);
    worst = fmax(worst, error / (bound * exact.first_magnitude[i]));
    *relative = fmax(*relative, error / exact.first_magnitude[i]);
  }
  conv2d_gradient_sums_free(&exact);
  return worst;
}

START_TEST(error_is_within_the_bound) {
  size_t rows, checked = 0;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!is_standard(&registry[i])) continue;
    checked++;
    printf("  %s, largest error in bounds (and of sum |x||g|; the reference's):\n",
           registry[i].name);
    for (int kind = 0; kind < ADVERSARIES; kind++)
      for (int s = 0; s < SHAPES; s++) {
        walk w;
        walk_begin(&w, &registry[i]);
        const conv2d_case c = a_case(shapes[s], 20, 24);
        conv2d_gradient_inputs in = inputs_of(&w, &c);
        for (int64_t k = 0; k < in.sizes.x_count; k++)
          in.x[k] = adversaries[kind].make(&w.random, k / c.desc.in_channels);
        for (int64_t k = 0; k < in.sizes.y_count; k++)
          in.dy[k] = fabsf(adversaries[kind].make(&w.random, k / c.desc.out_channels));
        double relative, of_reference;
        float *dweights = run(&registry[i], &c, &in, 1), *reference = run(NULL, &c, &in, 1);
        const double worst = worst_error(&c, &in, dweights, &relative);
        worst_error(&c, &in, reference, &of_reference);
        printf("    %-12s %lld images of %2lld x %2lld, window %lld: %.4f  (%.1e; %.1e)\n",
               adversaries[kind].name, (long long)shapes[s].batch, (long long)shapes[s].height,
               (long long)shapes[s].width, (long long)shapes[s].kernel, worst, relative,
               of_reference);
        ck_assert_msg(worst <= 1.0, "%s, %s, shape %d: %g times the bound", registry[i].name,
                      adversaries[kind].name, s, worst);
        /* Or tiles are not what is tested here. */
        ck_assert_int_ne(first_difference(dweights, reference, in.sizes.weights_count), -1);
        free(dweights);
        free(reference);
        conv2d_gradient_inputs_free(&in);
      }
  }
  if (checked == 0) printf("  SKIPPED: this machine or EVR_MAX_ISA allows no such variant\n");
}
END_TEST

/* ---- single values ---- */

/* What single values leave of the weights, by every number of threads. places: 1 in x, 2 in g. */
static void check_single(const evr_variant *v, conv2d_case *c, float value, float around,
                         int places) {
  walk w;
  walk_begin(&w, v);
  c->values = VALUES_SPECIAL;
  conv2d_gradient_inputs in = inputs_of(&w, c);
  random_fill(&w.random, VALUES_REALS, 1, in.x, in.sizes.x_count);
  random_fill(&w.random, VALUES_REALS, 1, in.dy, in.sizes.y_count);
  for (int64_t i = 0; i < in.sizes.x_count; i++) in.x[i] *= around;
  if ((places & 1) != 0) in.x[random_between(&w.random, 0, in.sizes.x_count - 1)] = value;
  if ((places & 2) != 0) in.dy[random_between(&w.random, 0, in.sizes.y_count - 1)] = value;
  const int64_t count = in.sizes.weights_count;
  float *reference = run(NULL, c, &in, 1), *first = NULL;
  for (int threads = 1; threads <= 3; threads++) {
    float *dweights = run(v, c, &in, threads);
    if (first == NULL) {
      conv2d_gradient_judge_standard(&w, c, &in, reference, dweights, count);
      first = dweights;
      continue;
    }
    walk_same(&w, first, dweights, count, "another number of threads");
    free(dweights);
  }
  free(first);
  free(reference);
  conv2d_gradient_inputs_free(&in);
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
        conv2d_case c = a_case((shape){1 + around % 2, 9, 12, 3}, 40, 35);
        c.desc.layout = places % 2 == 0 ? EVR_NCHW : EVR_NHWC;
        check_single(&registry[i], &c, single_values[_i], surroundings[around], places);
      }
  }
}
END_TEST

/* ---- what one value out of range changes ---- */

/* Weights, HWIO, of input channels or output channels on one side of a limit. */
static int64_t differing(const conv2d_case *c, const float *a, const float *b, int64_t limit,
                         bool of_outputs, bool above) {
  const int64_t in = c->desc.in_channels, out = c->desc.out_channels;
  int64_t found = 0;
  for (int64_t i = 0; i < c->desc.kernel_height * c->desc.kernel_width * in * out; i++) {
    const int64_t channel = of_outputs ? i % out : i / out % in;
    if ((channel >= limit) == above && !same_float(a[i], b[i])) found++;
  }
  return found;
}

/* A value out of range gives the reference's bits to its 32 channels, and changes no others. */
START_TEST(other_channels_stay_as_they_are) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!is_standard(&registry[i])) continue;
    const bool of_outputs = _i == 1;
    walk w;
    walk_begin(&w, &registry[i]);
    const conv2d_case c = a_case((shape){1, 14, 14, 3}, 60, 50);
    conv2d_gradient_inputs in = inputs_of(&w, &c);
    float *plain = run(&registry[i], &c, &in, 1);
    if (of_outputs)
      in.dy[20 * c.desc.out_channels + 40] = 1e-39f;
    else
      in.x[20 * c.desc.in_channels + 40] = 1e-39f;
    float *marked = run(&registry[i], &c, &in, 1), *reference = run(NULL, &c, &in, 1);
    ck_assert_int_eq(differing(&c, plain, marked, 32, of_outputs, false), 0);
    ck_assert_int_eq(differing(&c, reference, marked, 32, of_outputs, true), 0);
    ck_assert_int_gt(differing(&c, reference, marked, 32, of_outputs, false), 0);
    ck_assert_int_gt(differing(&c, plain, marked, 32, of_outputs, true), 0);
    free(plain);
    free(marked);
    free(reference);
    conv2d_gradient_inputs_free(&in);
  }
}
END_TEST

/* Of two images, a block each, one out of range: the sum of the other's tiles and its canonical
 * sum. */
START_TEST(other_blocks_stay_as_they_are) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!is_standard(&registry[i])) continue;
    walk w;
    walk_begin(&w, &registry[i]);
    conv2d_case both = a_case((shape){2, 14, 14, 3}, 20, 24), one = both;
    one.desc.batch = 1;
    conv2d_gradient_inputs in = inputs_of(&w, &both), second = inputs_of(&w, &one);
    in.x[in.sizes.x_count - 77] = 1e-39f;
    memcpy(second.x, in.x + second.sizes.x_count, (size_t)second.sizes.x_count * sizeof *in.x);
    memcpy(second.dy, in.dy + second.sizes.y_count, (size_t)second.sizes.y_count * sizeof *in.dy);
    float *sum = run(&registry[i], &both, &in, 1), *reference = run(NULL, &both, &in, 1);
    float *of_first = run(&registry[i], &one, &in, 1), *of_second = run(NULL, &one, &second, 1);
    const int64_t count = in.sizes.weights_count;
    for (int64_t k = 0; k < count; k++) of_first[k] += of_second[k];
    ck_assert_int_eq(first_difference(of_first, sum, count), -1);
    ck_assert_int_ne(first_difference(reference, sum, count), -1);
    free(sum);
    free(reference);
    free(of_first);
    free(of_second);
    conv2d_gradient_inputs_free(&in);
    conv2d_gradient_inputs_free(&second);
  }
}
END_TEST

int main(void) {
  suite_begin("standard error backward");
  Suite *suite = suite_create("standard error backward");
  TCase *all = suite_case(suite, "backward weights");
  tcase_add_test(all, error_is_within_the_bound);
  tcase_add_loop_test(all, single_values_are_kept, 0, SINGLE_VALUES);
  tcase_add_loop_test(all, other_channels_stay_as_they_are, 0, 2);
  tcase_add_test(all, other_blocks_stay_as_they_are);
  return suite_end(suite);
}
