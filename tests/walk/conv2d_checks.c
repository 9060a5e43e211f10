/* What is demanded of every variant of convolution. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "support/hooks.h"
#include "walk/conv2d.h"

conv2d_buffers conv2d_shared_buffers; /* each check runs in a process of its own */

float *conv2d_expected(walk *w, const conv2d_case *c, const conv2d_inputs *in) {
  float *y = malloc((size_t)in->sizes.y_count * sizeof *y);
  if (y == NULL) abort();
  const evr_plan_options options = walk_reference_options();
  const evr_conv2d_arguments a = {
      .x = in->x, .weights = in->weights, .bias = in->bias, .residual = in->residual, .y = y};
  evr_conv2d_plan *plan = NULL;
  evr_status status = evr_conv2d_plan_create(&c->desc, &options, &plan);
  if (status == EVR_OK) status = evr_conv2d_execute(plan, &a);
  if (status != EVR_OK) {
    char text[1024];
    conv2d_describe(c, text, sizeof text);
    walk_fail(w, "the reference: %s: %s", text, evr_last_error());
  }
  evr_conv2d_plan_destroy(plan);
  return y;
}

bool conv2d_run_and_compare(walk *w, const conv2d_case *c, const conv2d_inputs *in,
                            const conv2d_way *way, const float *expected) {
  const float *y = conv2d_run(w, c, in, way, &conv2d_shared_buffers);
  if (y == NULL) return false;
  char text[1024];
  conv2d_describe(c, text, sizeof text);
  const size_t length = strlen(text);
  snprintf(text + length, sizeof text - length, "; %s, %s, %d threads", placement_name(way->where),
           way->packed ? "packed" : "plain weights", way->threads);
  return walk_same(w, expected, y, in->sizes.y_count, text);
}

/* Bits of the reference: flush with either unreadable page and misaligned; plain and packed;
 * workspace given and taken; one thread and several. */
static void against_reference(walk *w, conv2d_case *c) {
  const conv2d_way ways[] = {
      {PLACE_END, false, true, 1, {NULL, NULL}},
      {PLACE_START, true, true, 3, pool_in_reverse()},
      {PLACE_MISALIGNED, w->cases % 2 == 0, w->cases % 4 < 2, 2, pool_in_reverse()},
  };
  w->cases++;
  conv2d_inputs in;
  if (!conv2d_inputs_make(w, c, &in)) return;
  float *expected = NULL;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    /* The first way tells whether the variant serves, before time is spent on the reference. */
    if (i == 0) {
      const float *y = conv2d_run(w, c, &in, &ways[0], &conv2d_shared_buffers);
      if (y == NULL) break;
      w->served++;
      expected = conv2d_settled(w, c, &in);
      if (expected == NULL) break;
    }
    if (!conv2d_run_and_compare(w, c, &in, &ways[i], expected)) break;
  }
  free(expected);
  conv2d_inputs_free(&in);
}

static void check_grid(walk *w) { conv2d_grid(w, against_reference); }

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(1500);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    conv2d_case c;
    while (!conv2d_random_case(w, &c)) continue;
    against_reference(w, &c);
  }
}

/* ---- the oracle ---- */

static const evr_activation no_activation = {EVR_IDENTITY, 0.0f};

typedef bool judge(walk *w, const conv2d_case *c, double exact, double magnitude, float got);

static void against_oracle(walk *w, conv2d_case *c, test_values values, judge *is_right) {
  c->values = values;
  c->desc.activation = no_activation;
  const conv2d_way way = {PLACE_END, w->cases % 2 == 1, true, 1, {NULL, NULL}};
  w->cases++;
  conv2d_inputs in;
  if (!conv2d_inputs_make(w, c, &in)) return;
  const float *y = conv2d_run(w, c, &in, &way, &conv2d_shared_buffers);
  if (y != NULL) {
    w->served++;
    const size_t count = (size_t)in.sizes.y_count;
    double *exact = malloc(2 * count * sizeof *exact);
    if (exact == NULL) abort();
    conv2d_oracle(c, &in, exact, exact + count);
    const bool fast = walk_mode(w) == EVR_MATH_FAST;
    if (fast) conv2d_fast_is_right(w, c, &in, exact, exact + count, y);
    for (size_t i = 0; !fast && i < count; i++)
      if (!is_right(w, c, exact[i], exact[count + i], y[i])) {
        char text[1024];
        conv2d_describe(c, text, sizeof text);
        walk_fail(w, "%s: y[%zu] is %a, the oracle %a, sum of magnitudes %g", text, i, (double)y[i],
                  exact[i], exact[count + i]);
        break;
      }
    free(exact);
  }
  conv2d_inputs_free(&in);
}

/* A sum of integers below 2^24 is exact in any order. */
static bool is_exact(walk *w, const conv2d_case *c, double exact, double magnitude, float got) {
  if (magnitude >= 0x1p24) {
    char text[1024];
    conv2d_describe(c, text, sizeof text);
    walk_fail(w, "%s: the test's sums are not exact", text);
  }
  return (double)got == exact;
}

static bool is_within_bound(walk *w, const conv2d_case *c, double exact, double magnitude,
                            float got) {
  (void)w;
  return fabs((double)got - exact) <= conv2d_bound(c, magnitude);
}

static void integers_visit(walk *w, conv2d_case *c) {
  against_oracle(w, c, VALUES_INTEGERS, is_exact);
}
static void reals_visit(walk *w, conv2d_case *c) {
  against_oracle(w, c, VALUES_REALS, is_within_bound);
}
/* The oracle costs as much as the reference; a third of the grid has every kind of case in it. */
static void third(walk *w, conv2d_case *c, conv2d_visit *visit) {
  static int64_t index;
  if (index++ % 3 == 0) visit(w, c);
}
static void integers_third(walk *w, conv2d_case *c) { third(w, c, integers_visit); }
static void reals_third(walk *w, conv2d_case *c) { third(w, c, reals_visit); }
static void check_integers(walk *w) { conv2d_grid(w, integers_third); }
static void check_reals(walk *w) { conv2d_grid(w, reals_third); }

/* ---- threads ---- */

/* Large enough that the shipped library would use several threads as well (a million operations
 * each), in both directions that work can be cut: many pixels, many channels. */
static const conv2d_shape threaded_shapes[] = {
    {1, 1, 16, 41, 43, 67, 3, 1, EVR_NHWC, EVR_HWIO},
    {1, 1, 64, 7, 7, 257, 3, 1, EVR_NCHW, EVR_OIHW},
    {2, 1, 129, 14, 13, 97, 1, 1, EVR_NHWC, EVR_OIHW},
    {1, 97, 97, 61, 59, 97, 3, 1, EVR_NHWC, EVR_HWIO},
    {2, 33, 33, 77, 79, 33, 3, 1, EVR_NCHW, EVR_OIHW},
    {1, 1, 3, 95, 97, 33, 5, 1, EVR_NCHW, EVR_HWIO},
    /* Several blocks of channels, the last vector of which overlaps the one before. */
    {1, 261, 261, 31, 29, 261, 3, 1, EVR_NHWC, EVR_HWIO},
    {1, 261, 261, 29, 31, 261, 3, 1, EVR_NCHW, EVR_HWIO},
    {1, 1024, 1024, 17, 15, 1024, 3, 1, EVR_NHWC, EVR_HWIO},
};

conv2d_case conv2d_shaped_case(const conv2d_shape *s) {
  conv2d_case c = {.desc = EVR_CONV2D_DESC_INIT, .bias = true, .values = VALUES_REALS};
  evr_conv2d_desc *d = &c.desc;
  d->batch = s->batch;
  d->groups = s->groups;
  d->in_channels = s->in_channels;
  d->in_height = s->height;
  d->in_width = s->width;
  d->out_channels = s->out_channels;
  d->kernel_height = d->kernel_width = s->kernel;
  d->stride_height = d->stride_width = s->stride;
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = s->kernel / 2;
  d->layout = s->layout;
  d->filter_layout = s->filter_layout;
  return c;
}

static conv2d_case threaded_case(const conv2d_shape *s) {
  conv2d_case c = conv2d_shaped_case(s);
  /* Depthwise, one that follows in place, and must meet each output once. */
  c.desc.activation.kind = s->groups > 1 ? EVR_GELU_TANH : EVR_RELU;
  c.residual = s->layout == EVR_NCHW;
  return c;
}

static void visit_threaded(walk *w, int64_t index) {
  static const int counts[] = {1, 2, 3, 7};
  const conv2d_case threaded = threaded_case(&threaded_shapes[index]), *c = &threaded;
  w->cases++;
  conv2d_inputs in;
  if (!conv2d_inputs_make(w, c, &in)) return;
  float *expected = NULL;
  for (int i = 0; i < 4 && !walk_failed(w); i++) {
    const evr_thread_pool pools[] = {{NULL, NULL}, pool_of_threads(), pool_in_reverse()};
    for (int p = 0; p < 3 && !walk_failed(w); p++) {
      const conv2d_way way = {PLACE_END, p == 1, true, counts[i], pools[p]};
      const float *y = conv2d_run(w, c, &in, &way, &conv2d_shared_buffers);
      if (y == NULL) goto refused;
      if (expected == NULL) {
        expected = conv2d_settled(w, c, &in);
        if (expected == NULL) break;
        w->served++;
      }
      conv2d_run_and_compare(w, c, &in, &way, expected);
    }
  }
refused:
  free(expected);
  conv2d_inputs_free(&in);
}
static void check_threads(walk *w) {
  walk_list(w, sizeof threaded_shapes / sizeof threaded_shapes[0], visit_threaded);
}

/* ---- the library's own choice ---- */

/* Whatever variant the library chooses in exact mode, and however many threads it takes: the bits
 * are the reference's. Nothing is forced, so this is done once, on the reference's account. */
static void check_chosen(walk *w) {
  const int64_t rounds = test_rounds(500);
  if (strcmp(w->variant->name, "reference") != 0) return;
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    conv2d_case c;
    while (!conv2d_random_case(w, &c)) continue;
    conv2d_inputs in;
    if (!conv2d_inputs_make(w, &c, &in)) return;
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.math = EVR_MATH_EXACT;
    evr_conv2d_plan *plan;
    float *expected = conv2d_expected(w, &c, &in),
          *y = malloc((size_t)in.sizes.y_count * sizeof *y);
    if (y == NULL) abort();
    const evr_conv2d_arguments a = {
        .x = in.x, .weights = in.weights, .bias = in.bias, .residual = in.residual, .y = y};
    char text[1024];
    conv2d_describe(&c, text, sizeof text);
    if (evr_conv2d_plan_create(&c.desc, &options, &plan) != EVR_OK ||
        evr_conv2d_execute(plan, &a) != EVR_OK)
      walk_fail(w, "%s: the library's choice: %s", text, evr_last_error());
    const size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, "; the library chose %s",
             evr_conv2d_plan_variant(plan));
    if (!walk_failed(w)) walk_same(w, expected, y, in.sizes.y_count, text);
    w->cases++;
    w->served++;
    evr_conv2d_plan_destroy(plan);
    free(y);
    free(expected);
    conv2d_inputs_free(&in);
  }
}

const walk_check conv2d_checks[] = {
    {"grid", EVR_OP_CONV2D, check_grid, true},
    {"random", EVR_OP_CONV2D, check_random, false},
    {"integers", EVR_OP_CONV2D, check_integers, true},
    {"bound", EVR_OP_CONV2D, check_reals, true},
    {"threads", EVR_OP_CONV2D, check_threads, false},
    {"shared plan", EVR_OP_CONV2D, conv2d_check_shared_plan, true},
    {"kept plan", EVR_OP_CONV2D, conv2d_check_kept_plan, true},
    {"chosen", EVR_OP_CONV2D, check_chosen, false},
    {"trio", EVR_OP_CONV2D, conv2d_check_trio, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
