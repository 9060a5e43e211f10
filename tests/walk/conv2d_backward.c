/* What is demanded of every variant of the backward passes of convolution. */
#include "walk/conv2d_backward.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "support/hooks.h"

static double *zeros_of(int64_t count) {
  double *made = calloc((size_t)count, sizeof *made);
  if (made == NULL) abort();
  return made;
}

static conv2d_gradient_buffers shared_buffers; /* each check runs in a process of its own */

/* What an operation does not take is left out of a case; every third case of the grid has all kinds
 * in it. */
static void adapt(walk *w, conv2d_case *c) {
  evr_conv2d_desc *d = &c->desc;
  const evr_operation operation = w->variant->operation;
  if (operation == EVR_OP_CONV2D_TRANSPOSED) d->pad_mode = EVR_PAD_ZERO;
  /* What is behind a sum is the forward variant's, which is tested for it. */
  if (walk_mode(w) != EVR_MATH_EXACT) d->activation = (evr_activation){EVR_IDENTITY, 0.0f};
  c->residual = false;
  c->bias = operation == EVR_OP_CONV2D_TRANSPOSED && c->bias;
}

static bool same_gradients(walk *w, const conv2d_case *c, const conv2d_gradient_inputs *in,
                           const conv2d_gradient_way *way, const gradients *expected,
                           const gradients *got) {
  char what[1024];
  conv2d_describe(c, what, sizeof what);
  const size_t length = strlen(what);
  snprintf(what + length, sizeof what - length, "; %s, %d threads", placement_name(way->where),
           way->threads);
  int64_t first, second;
  conv2d_gradient_counts(w->variant->operation, &in->sizes, &first, &second);
  if (got->first != NULL && !walk_same(w, expected->first, got->first, first, what)) return false;
  snprintf(what + length, sizeof what - length, "; second gradient, %s, %d threads",
           placement_name(way->where), way->threads);
  return got->second == NULL || walk_same(w, expected->second, got->second, second, what);
}

/* The first gradient is settled, the second is the reference's in all modes. */
static gradients settled(walk *w, const conv2d_case *c, const conv2d_gradient_inputs *in) {
  gradients g = conv2d_gradient_expected(w, c, in);
  if (walk_mode(w) == EVR_MATH_EXACT || walk_failed(w)) return g;
  free(g.first);
  g.first = conv2d_gradient_settled(w, c, in, &shared_buffers);
  return g;
}

static void free_gradients(gradients *g) {
  free(g->first);
  free(g->second);
}

static void against_reference(walk *w, conv2d_case *c) {
  const bool weights = w->variant->operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS;
  const conv2d_gradient_way ways[] = {
      {PLACE_END, true, true, true, 1, {NULL, NULL}, false},
      {PLACE_START, false, true, weights || w->cases % 2 == 0, 3, pool_in_reverse(), true},
      {PLACE_MISALIGNED, w->cases % 4 < 2, !weights || w->cases % 2 == 0, w->cases % 3 > 0, 2,
       pool_in_reverse(), false},
  };
  adapt(w, c);
  w->cases++;
  conv2d_gradient_inputs in;
  if (!conv2d_gradient_inputs_make(w, c, &in)) return;
  gradients expected = {NULL, NULL}, got;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    conv2d_gradient_way way = ways[i];
    if (!way.first) way.second = true;
    if (!conv2d_gradient_run(w, c, &in, &way, &shared_buffers, &got)) break;
    if (i == 0) {
      w->served++;
      /* Before the reference runs, which takes time; it does not touch the buffers. */
      expected = settled(w, c, &in);
      if (walk_failed(w) || (walk_mode(w) != EVR_MATH_EXACT &&
                             !conv2d_gradient_run(w, c, &in, &way, &shared_buffers, &got)))
        break;
    }
    if (!same_gradients(w, c, &in, &way, &expected, &got)) break;
  }
  free_gradients(&expected);
  conv2d_gradient_inputs_free(&in);
}

static void third(walk *w, conv2d_case *c, conv2d_visit *visit) {
  static int64_t index;
  if (index++ % 3 == 0) visit(w, c);
}
static void reference_third(walk *w, conv2d_case *c) { third(w, c, against_reference); }
static void check_grid(walk *w) { conv2d_grid(w, reference_third); }

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(700);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    conv2d_case c;
    while (!conv2d_random_case(w, &c)) continue;
    against_reference(w, &c);
  }
}

/* ---- the oracle ---- */

static void compare_sums(walk *w, const conv2d_case *c, const double *exact,
                         const double *magnitude, const float *got, int64_t count, double bound) {
  for (int64_t i = 0; i < count && got != NULL; i++) {
    const bool integers = c->values == VALUES_INTEGERS && bound < 1.0;
    if (integers && magnitude[i] >= 0x1p24) walk_fail(w, "the test's sums are not exact");
    const double allowed = integers ? 0.0 : bound * magnitude[i];
    if (fabs((double)got[i] - exact[i]) <= allowed) continue;
    char text[1024];
    conv2d_describe(c, text, sizeof text);
    walk_fail(w, "%s: gradient %" PRId64 " is %a, the oracle %a, sum of magnitudes %g", text, i,
              (double)got[i], exact[i], magnitude[i]);
    return;
  }
}

/* Relative L2 error of a whole gradient, as EVR_MATH_FAST promises. */
static void compare_lengths(walk *w, const conv2d_case *c, const double *exact,
                            const double *magnitude, const float *got, int64_t count) {
  double error = 0.0, size = 0.0, magnitudes = 0.0;
  for (int64_t i = 0; i < count; i++) {
    error += ((double)got[i] - exact[i]) * ((double)got[i] - exact[i]);
    size += exact[i] * exact[i];
    magnitudes += magnitude[i] * magnitude[i];
  }
  const evr_conv2d_desc *d = &c->desc;
  double terms = (double)(d->kernel_height * d->kernel_width * (d->out_channels / d->groups) + 1);
  double products = (double)d->out_channels;
  if (w->variant->operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS) {
    evr_conv2d_sizes sizes;
    if (evr_conv2d_get_sizes(d, &sizes) != EVR_OK) walk_fail(w, "%s", evr_last_error());
    terms = products = (double)(d->batch * sizes.conv_height * sizes.conv_width);
  }
  /* Where a few terms cancel, what is expected of random signs; see conv2d_fast.c for both. */
  const double of = fmax(sqrt(size), sqrt(magnitudes / terms));
  const double underflow = sqrt((double)count) * 74.0 * products * 0x1p-149;
  if (sqrt(error) <= 2e-5 * of + underflow) return;
  char text[1024];
  conv2d_describe(c, text, sizeof text);
  walk_fail(w, "%s: the L2 error is %g of %g", text, sqrt(error), of);
}

static void against_oracle(walk *w, conv2d_case *c, test_values values) {
  adapt(w, c);
  c->values = values;
  c->desc.activation = (evr_activation){EVR_IDENTITY, 0.0f};
  const conv2d_gradient_way way = {PLACE_END, w->cases % 2 == 1, true, true,
                                   1,         {NULL, NULL},      false};
  w->cases++;
  conv2d_gradient_inputs in;
  if (!conv2d_gradient_inputs_make(w, c, &in)) return;
  gradients got;
  if (conv2d_gradient_run(w, c, &in, &way, &shared_buffers, &got)) {
    w->served++;
    int64_t first, second;
    const evr_operation operation = w->variant->operation;
    conv2d_gradient_counts(operation, &in.sizes, &first, &second);
    conv2d_gradient_sums exact = conv2d_gradient_oracle(operation, c, &in);
    const double bound = conv2d_gradient_bound(operation, c, &in);
    if (walk_mode(w) == EVR_MATH_FAST)
      compare_lengths(w, c, exact.first, exact.first_magnitude, got.first, first);
    else
      compare_sums(w, c, exact.first, exact.first_magnitude, got.first, first, bound);
    compare_sums(w, c, exact.second, exact.second_magnitude, got.second, second, bound);
    conv2d_gradient_sums_free(&exact);
  }
  conv2d_gradient_inputs_free(&in);
}

static void integers_visit(walk *w, conv2d_case *c) { against_oracle(w, c, VALUES_INTEGERS); }
static void reals_visit(walk *w, conv2d_case *c) { against_oracle(w, c, VALUES_REALS); }
static void integers_third(walk *w, conv2d_case *c) { third(w, c, integers_visit); }
static void reals_third(walk *w, conv2d_case *c) { third(w, c, reals_visit); }
static void check_integers(walk *w) { conv2d_grid(w, integers_third); }
static void check_reals(walk *w) { conv2d_grid(w, reals_third); }

/* Ones where a value is extreme, or everywhere: see conv2d_judge.c. NULL of NULL. */
static float *marks(const float *values, int64_t count, bool everywhere) {
  if (values == NULL) return NULL;
  float *made = malloc((size_t)count * sizeof *made);
  if (made == NULL) abort();
  for (int64_t i = 0; i < count; i++) {
    const float size = fabsf(values[i]);
    made[i] = everywhere || !(size < 0x1p127f) || (size != 0.0f && size < 0x1p-103f) ? 1.0f : 0.0f;
  }
  return made;
}

/* How many terms of each sum have an extreme value. */
static double *count_extremes(evr_operation operation, const conv2d_case *c,
                              const conv2d_gradient_inputs *in, int64_t count) {
  double *found = zeros_of(count);
  for (int i = 0; i < 2; i++) {
    conv2d_gradient_inputs marked = {
        .sizes = in->sizes,
        .dy = marks(in->dy, in->sizes.y_count, i == 0),
        .x = marks(in->x, in->sizes.x_count, i == 1),
        .weights = marks(in->weights, in->sizes.weights_count, i == 1)};
    conv2d_gradient_sums sums = conv2d_gradient_oracle(operation, c, &marked);
    for (int64_t o = 0; o < count; o++) found[o] += sums.first[o];
    conv2d_gradient_sums_free(&sums);
    conv2d_gradient_inputs_free(&marked);
  }
  return found;
}

void conv2d_gradient_judge_standard(walk *w, const conv2d_case *c, const conv2d_gradient_inputs *in,
                                    const float *reference, const float *got, int64_t count) {
  const evr_operation operation = w->variant->operation;
  conv2d_gradient_sums exact = conv2d_gradient_oracle(operation, c, in);
  const double bound = conv2d_gradient_bound(operation, c, in);
  const bool one_place = operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS
                             ? conv2d_gradient_blocks(c, in) == 1
                             : c->desc.pad_mode == EVR_PAD_ZERO;
  double *extremes =
      c->values == VALUES_SPECIAL ? count_extremes(operation, c, in, count) : zeros_of(count);
  for (int64_t i = 0; i < count; i++) {
    const bool extreme =
        c->values == VALUES_TINY || !isfinite(reference[i]) || (extremes[i] > 0.0 && one_place);
    if (extreme ? same_float(reference[i], got[i])
                : fabs((double)got[i] - exact.first[i]) <= bound * exact.first_magnitude[i])
      continue;
    char text[1024];
    conv2d_describe(c, text, sizeof text);
    walk_fail(
        w, "%s: gradient %" PRId64 " is %a, the reference %a, the oracle %a, %sallowed to be off",
        text, i, (double)got[i], (double)reference[i], exact.first[i], extreme ? "not " : "");
    break;
  }
  free(extremes);
  conv2d_gradient_sums_free(&exact);
}

float *conv2d_gradient_settled(walk *w, const conv2d_case *c, const conv2d_gradient_inputs *in,
                               conv2d_gradient_buffers *buffers) {
  const conv2d_gradient_way way = {PLACE_END, true, true, false, 1, {NULL, NULL}, false};
  gradients got;
  if (!conv2d_gradient_run(w, c, in, &way, buffers, &got)) return NULL;
  int64_t count, second;
  conv2d_gradient_counts(w->variant->operation, &in->sizes, &count, &second);
  float *made = malloc((size_t)count * sizeof *made);
  if (made == NULL) abort();
  memcpy(made, got.first, (size_t)count * sizeof *made);
  gradients reference = conv2d_gradient_expected(w, c, in);
  if (walk_mode(w) == EVR_MATH_STANDARD) {
    conv2d_gradient_judge_standard(w, c, in, reference.first, made, count);
  } else if (c->values != VALUES_SPECIAL) {
    conv2d_gradient_sums exact = conv2d_gradient_oracle(w->variant->operation, c, in);
    compare_lengths(w, c, exact.first, exact.first_magnitude, made, count);
    conv2d_gradient_sums_free(&exact);
  } else {
    for (int64_t i = 0; i < count; i++)
      if (!isfinite(reference.first[i]) && isfinite(made[i]))
        walk_fail(w, "gradient %" PRId64 ": a NaN or an infinity is in its sum, and is lost", i);
  }
  free_gradients(&reference);
  return made;
}

/* ---- the adjoint ---- */

static double inner_product(const float *a, const float *b, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* <conv(x, w), dy> = <x, dx> = <w, dw>, exactly: all are sums of integers. And of transposed
 * convolution without a bias, whose x is what dy is here, <conv(y), x> = <y, T(x)>. */
static void adjoint(walk *w, conv2d_case *c) {
  adapt(w, c);
  c->bias = false;
  c->desc.activation = (evr_activation){EVR_IDENTITY, 0.0f};
  c->values = VALUES_INTEGERS;
  w->cases++;
  conv2d_gradient_inputs in;
  if (!conv2d_gradient_inputs_make(w, c, &in)) return;
  gradients got;
  const conv2d_gradient_way way = {PLACE_END, true, true, false, 2, pool_in_reverse(), false};
  if (conv2d_gradient_run(w, c, &in, &way, &shared_buffers, &got)) {
    w->served++;
    const evr_conv2d_sizes *s = &in.sizes;
    const bool of_weights = w->variant->operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS;
    float *other = malloc((size_t)(of_weights ? s->weights_count : s->x_count) * sizeof *other);
    float *y = malloc((size_t)s->y_count * sizeof *y);
    if (other == NULL || y == NULL) abort();
    random_fill(&w->random, VALUES_INTEGERS, 1, other, of_weights ? s->weights_count : s->x_count);
    const evr_plan_options options = walk_reference_options();
    if (evr_conv2d(&c->desc, &options, of_weights ? in.x : other, of_weights ? other : in.weights,
                   NULL, y) != EVR_OK)
      walk_fail(w, "the forward pass: %s", evr_last_error());
    const double forward = inner_product(y, in.dy, s->y_count);
    const double backward =
        inner_product(other, got.first, of_weights ? s->weights_count : s->x_count);
    if (forward != backward && !(walk_mode(w) == EVR_MATH_FAST &&
                                 fabs(forward - backward) <= 1e-3 * fabs(forward) + 1.0)) {
      char text[1024];
      conv2d_describe(c, text, sizeof text);
      walk_fail(w, "%s: <conv(x), dy> is %a, and of the gradient %a", text, forward, backward);
    }
    free(y);
    free(other);
  }
  conv2d_gradient_inputs_free(&in);
}

static void check_adjoint(walk *w) {
  const int64_t rounds = test_rounds(400);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    conv2d_case c;
    while (!conv2d_random_case(w, &c)) continue;
    adjoint(w, &c);
  }
}

/* ---- threads ---- */

static const conv2d_shape threaded_shapes[] = {
    {1, 1, 16, 41, 43, 67, 3, 1, EVR_NHWC, EVR_HWIO},
    {2, 1, 64, 14, 14, 97, 3, 2, EVR_NCHW, EVR_OIHW},
    {2, 1, 129, 14, 13, 97, 1, 1, EVR_NHWC, EVR_OIHW},
    {1, 97, 97, 61, 59, 97, 3, 1, EVR_NHWC, EVR_HWIO},
    {2, 33, 33, 77, 79, 33, 3, 2, EVR_NCHW, EVR_OIHW},
    {1, 1, 3, 95, 97, 33, 5, 2, EVR_NHWC, EVR_HWIO},
    {1, 1, 3, 95, 97, 33, 5, 1, EVR_NCHW, EVR_HWIO},
    {3, 4, 32, 31, 29, 24, 3, 1, EVR_NHWC, EVR_OIHW},
    {2, 83, 83, 49, 67, 83, 3, 2, EVR_NHWC, EVR_OIHW},
    /* So few channels that threads share out the blocks of a depthwise sum. */
    {5, 64, 64, 81, 83, 64, 3, 2, EVR_NHWC, EVR_HWIO},
    {5, 128, 128, 45, 43, 128, 3, 1, EVR_NHWC, EVR_OIHW},
    /* Rows so long that output channels and depth are cut as well, to fit a cache. */
    {1, 1, 3, 2, 4099, 67, 3, 1, EVR_NCHW, EVR_OIHW},
    {1, 1, 3, 2, 4099, 67, 3, 1, EVR_NHWC, EVR_HWIO},
};

static void visit_threaded(walk *w, int64_t index) {
  static const int counts[] = {1, 2, 3, 7};
  conv2d_case c = conv2d_shaped_case(&threaded_shapes[index]);
  adapt(w, &c);
  w->cases++;
  conv2d_gradient_inputs in;
  if (!conv2d_gradient_inputs_make(w, &c, &in)) return;
  gradients expected = {NULL, NULL}, got;
  const evr_thread_pool pools[] = {{NULL, NULL}, pool_of_threads(), pool_in_reverse()};
  for (int i = 0; i < 12 && !walk_failed(w); i++) {
    const conv2d_gradient_way way = {PLACE_END,     true,         true, true,
                                     counts[i / 3], pools[i % 3], false};
    if (i == 0) {
      if (!conv2d_gradient_run(w, &c, &in, &way, &shared_buffers, &got)) break;
      expected = settled(w, &c, &in);
      w->served++;
    }
    if (walk_failed(w) || !conv2d_gradient_run(w, &c, &in, &way, &shared_buffers, &got) ||
        !same_gradients(w, &c, &in, &way, &expected, &got))
      break;
  }
  free_gradients(&expected);
  conv2d_gradient_inputs_free(&in);
}
static void check_threads(walk *w) {
  walk_list(w, sizeof threaded_shapes / sizeof threaded_shapes[0], visit_threaded);
}

/* ---- one plan, executed more than once ---- */

/* The same inputs again and again, into outputs of one's own. */
typedef struct execution {
  evr_operation operation;
  const void *plan;
  conv2d_gradient_inputs inputs;
  int64_t first, second; /* outputs */
  gradients expected, got;
  void *workspace;
  evr_status status;
  bool same, alone; /* alone: there is no other thread to wait for */
} execution;

static void *execute_often(void *argument) {
  execution *e = argument;
  if (!e->alone) conv2d_wait_for_both();
  for (int i = 0; i < (e->alone ? 1 : CONV2D_TIMES) && e->status == EVR_OK; i++) {
    fill_untouched(e->got.first, e->first);
    if (e->second > 0) fill_untouched(e->got.second, e->second);
    e->status = conv2d_gradient_execute(e->operation, e->plan, &e->inputs, &e->got, e->workspace);
    e->same =
        e->same && first_difference(e->expected.first, e->got.first, e->first) < 0 &&
        (e->second == 0 || first_difference(e->expected.second, e->got.second, e->second) < 0);
  }
  return NULL;
}

static float *floats_of(int64_t count) {
  float *made = malloc((size_t)(count + 1) * sizeof *made);
  if (made == NULL) abort();
  return made;
}

/* Inputs of which the second have a NaN; a plan has no part in them. */
static bool make_execution(walk *w, const conv2d_case *c, bool special, execution *e) {
  *e = (execution){.operation = w->variant->operation, .status = EVR_OK, .same = true};
  if (!conv2d_gradient_inputs_make(w, c, &e->inputs)) return false;
  conv2d_case judged = *c;
  if (special) {
    judged.values = VALUES_SPECIAL;
    (e->inputs.weights != NULL ? e->inputs.weights : e->inputs.x)[0] = NAN;
  }
  e->expected = settled(w, &judged, &e->inputs);
  conv2d_gradient_counts(e->operation, &e->inputs.sizes, &e->first, &e->second);
  e->got.first = floats_of(e->first);
  if (e->second > 0) e->got.second = floats_of(e->second);
  return !walk_failed(w);
}

static void free_execution(execution *e) {
  conv2d_gradient_inputs_free(&e->inputs);
  free_gradients(&e->expected);
  free_gradients(&e->got);
  free(e->workspace);
}

static void judge_execution(walk *w, const conv2d_case *c, const execution *e, const char *how) {
  if (e->same && e->status == EVR_OK) return;
  char what[1024];
  conv2d_describe(c, what, sizeof what);
  walk_fail(w, "%s; one plan %s: %s, gradients are %sas expected", what, how,
            evr_status_name(e->status), e->same ? "" : "not ");
}

static void shared_plan(walk *w, const conv2d_case *c, int threads) {
  evr_plan_options options = walk_options(w, threads);
  options.thread_pool = pool_of_threads();
  execution runs[2] = {{.plan = NULL}, {.plan = NULL}};
  const evr_operation operation = w->variant->operation;
  evr_conv2d_sizes sizes;
  void *plan = NULL;
  w->cases++;
  if (evr_conv2d_get_sizes(&c->desc, &sizes) != EVR_OK) {
    walk_fail(w, "no sizes: %s", evr_last_error());
    return;
  }
  if (conv2d_gradient_plan_create(operation, c, &sizes, &options, &plan) != EVR_OK) return;
  w->served++;
  if (make_execution(w, c, false, &runs[0]) && make_execution(w, c, true, &runs[1])) {
    for (int i = 0; i < 2; i++) {
      runs[i].plan = plan;
      runs[i].workspace = malloc(conv2d_gradient_workspace_size(operation, plan) + 1);
      if (runs[i].workspace == NULL) abort();
      runs[i].alone = true;
    }
    for (int i = 0; i < 4; i++) {
      execute_often(&runs[i % 2]);
      judge_execution(w, c, &runs[i % 2], "call after call");
    }
    runs[0].alone = runs[1].alone = false;
    conv2d_run_two(execute_often, &runs[0], &runs[1]);
    for (int i = 0; i < 2; i++) judge_execution(w, c, &runs[i], "by two threads");
  }
  for (int i = 0; i < 2; i++) free_execution(&runs[i]);
  conv2d_gradient_plan_destroy(operation, plan);
}

static void check_shared_plan(walk *w) {
  for (int i = 0; i < CONV2D_PLAN_CASES && !walk_failed(w); i++) {
    conv2d_case c = conv2d_plan_case(i);
    adapt(w, &c);
    shared_plan(w, &c, 1);
    shared_plan(w, &c, 2);
  }
}

#define CHECKS(operation)                                                                         \
  {"grid", operation, check_grid, true}, {"random", operation, check_random, false},              \
      {"integers", operation, check_integers, true}, {"bound", operation, check_reals, true},     \
      {"adjoint", operation, check_adjoint, false}, {"threads", operation, check_threads, false}, \
  {                                                                                               \
    "shared plan", operation, check_shared_plan, true                                             \
  }

const walk_check conv2d_backward_checks[] = {
    CHECKS(EVR_OP_CONV2D_BACKWARD_DATA),
    CHECKS(EVR_OP_CONV2D_BACKWARD_WEIGHTS),
    CHECKS(EVR_OP_CONV2D_TRANSPOSED),
    {NULL, EVR_OPERATIONS, NULL, false},
};
