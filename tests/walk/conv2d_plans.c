#define _POSIX_C_SOURCE 200112L /* pthread_barrier_t */
/* One plan, executed more than once: with other tensors in between, and by two threads at the same
 * time. A plan may keep what every call lays out alike, and no call may leave anything in it. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "support/hooks.h"
#include "walk/conv2d.h"

typedef struct plan_shape {
  int64_t batch, groups, in_channels, height, width, out_channels, kernel, stride, dilation, pad;
  evr_pad_mode mode;
} plan_shape;

static const plan_shape shapes[] = {
    /* Bands that fit into a plan: taps or whole rows as runs, edges copied, left out or zeros. */
    {1, 1, 17, 3, 4, 19, 3, 1, 1, 1, EVR_PAD_ZERO},
    {2, 1, 5, 3, 4, 7, 3, 1, 1, 1, EVR_PAD_ZERO},
    {1, 1, 17, 5, 7, 19, 3, 2, 1, 1, EVR_PAD_ZERO},
    {1, 1, 19, 3, 4, 17, 3, 1, 2, 2, EVR_PAD_ZERO},
    {1, 1, 3, 4, 5, 8, 3, 1, 1, 0, EVR_PAD_ZERO},
    {2, 1, 9, 2, 5, 33, 1, 1, 1, 0, EVR_PAD_ZERO},
    {2, 2, 34, 3, 4, 38, 3, 1, 1, 1, EVR_PAD_ZERO},
    {1, 1, 17, 3, 4, 19, 3, 1, 1, 1, EVR_PAD_REPLICATE},
    {1, 1, 5, 4, 3, 9, 3, 1, 1, 2, EVR_PAD_REFLECT},
    {1, 1, 20, 7, 7, 16, 3, 1, 1, 1, EVR_PAD_ZERO},
    {1, 1, 4, 11, 10, 16, 5, 2, 1, 2, EVR_PAD_ZERO},
    {1, 21, 21, 4, 5, 21, 3, 1, 1, 1, EVR_PAD_ZERO},
    {1, 20, 20, 5, 6, 20, 3, 2, 1, 1, EVR_PAD_ZERO},
    {1, 1, 20, 5, 18, 3, 3, 1, 1, 1, EVR_PAD_ZERO},
    /* And that do not. */
    {1, 1, 21, 19, 23, 21, 3, 1, 1, 0, EVR_PAD_ZERO},
    {1, 1, 21, 19, 23, 21, 3, 1, 1, 2, EVR_PAD_ZERO},
    {1, 21, 21, 19, 23, 21, 3, 1, 1, 2, EVR_PAD_ZERO},
};
_Static_assert(CONV2D_PLAN_CASES == 2 * sizeof shapes / sizeof shapes[0], "in both layouts");

conv2d_case conv2d_plan_case(int index) {
  const plan_shape *s = &shapes[index / 2];
  const conv2d_shape square = {s->batch,
                               s->groups,
                               s->in_channels,
                               s->height,
                               s->width,
                               s->out_channels,
                               s->kernel,
                               s->stride,
                               index % 2 ? EVR_NCHW : EVR_NHWC,
                               index % 4 < 2 ? EVR_HWIO : EVR_OIHW};
  conv2d_case c = conv2d_shaped_case(&square);
  evr_conv2d_desc *d = &c.desc;
  d->dilation_height = d->dilation_width = s->dilation;
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = s->pad;
  d->pad_mode = s->mode;
  d->activation.kind = index / 2 % 3 == 0 ? EVR_RELU : index / 2 % 3 == 1 ? EVR_SILU : EVR_IDENTITY;
  return c;
}

/* Twice finite inputs; and with a NaN as the first weight and an infinity as the last, so that no
 * tap may be left out because it is of zeros. */
#define INPUTS 3
#define NOT_FINITE 2
typedef struct all_inputs {
  conv2d_inputs in[INPUTS];
  float *expected[INPUTS];
} all_inputs;

static const char *inputs_name(int i) {
  return i == NOT_FINITE ? "NaN and infinite weights" : i == 0 ? "finite" : "finite, the second";
}

static void free_all(all_inputs *all) {
  for (int i = 0; i < INPUTS; i++) {
    free(all->expected[i]);
    conv2d_inputs_free(&all->in[i]);
  }
}

static bool make_all(walk *w, const conv2d_case *c, all_inputs *all) {
  *all = (all_inputs){0};
  for (int i = 0; i < INPUTS; i++) {
    conv2d_inputs *in = &all->in[i];
    if (!conv2d_inputs_make(w, c, in)) return false;
    conv2d_case judged = *c;
    if (i == NOT_FINITE) {
      judged.values = VALUES_SPECIAL;
      in->weights[0] = NAN;
      in->weights[in->sizes.weights_count - 1] = INFINITY;
    }
    all->expected[i] = conv2d_settled(w, &judged, in);
    if (all->expected[i] == NULL) return false;
  }
  return true;
}

/* ---- one call after another ---- */

typedef struct call {
  int inputs; /* which */
  bool packed;
  placement where;
} call;

static const call calls[] = {{0, false, PLACE_END},          {NOT_FINITE, true, PLACE_START},
                             {0, true, PLACE_MISALIGNED},    {1, false, PLACE_START},
                             {NOT_FINITE, false, PLACE_END}, {1, true, PLACE_END},
                             {0, false, PLACE_END}};
#define CALLS (int)(sizeof calls / sizeof calls[0])

static void kept_plan(walk *w, const conv2d_case *c, int threads) {
  static conv2d_buffers buffers[INPUTS]; /* so that the inputs lie apart */
  evr_plan_options options = walk_options(w, threads);
  options.thread_pool = pool_of_threads();
  evr_conv2d_plan *plan;
  w->cases++;
  if (evr_conv2d_plan_create(&c->desc, &options, &plan) != EVR_OK) return;
  w->served++;
  all_inputs all;
  const bool made = make_all(w, c, &all);
  for (int i = 0; made && i < CALLS && !walk_failed(w); i++) {
    const call *k = &calls[i];
    const conv2d_way way = {k->where, k->packed, i % 2 == 0, threads, options.thread_pool};
    conv2d_buffers *b = &buffers[k->inputs];
    char what[1024];
    conv2d_describe(c, what, sizeof what);
    const size_t length = strlen(what);
    snprintf(what + length, sizeof what - length, "; call %d of one plan, %s, %s, %d threads",
             i + 1, inputs_name(k->inputs), k->packed ? "packed" : "plain", threads);
    if (conv2d_execute(w, plan, &all.in[k->inputs], &way, b, what))
      walk_same(w, all.expected[k->inputs], (const float *)(const void *)b->y.data,
                all.in[0].sizes.y_count, what);
  }
  free_all(&all);
  evr_conv2d_plan_destroy(plan);
}

void conv2d_check_kept_plan(walk *w) {
  for (int i = 0; i < CONV2D_PLAN_CASES && !walk_failed(w); i++) {
    const conv2d_case c = conv2d_plan_case(i);
    kept_plan(w, &c, 1);
    kept_plan(w, &c, 2);
  }
}

/* ---- two threads ---- */

static pthread_barrier_t both;

void conv2d_wait_for_both(void) { pthread_barrier_wait(&both); }

void conv2d_run_two(void *(*run)(void *), void *first, void *second) {
  pthread_t threads[2];
  if (pthread_barrier_init(&both, NULL, 2) != 0) abort();
  for (int i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, run, i == 0 ? first : second) != 0) abort();
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&both);
}

/* What one of the threads does: the same inputs again and again, into its own output. */
typedef struct execution {
  const evr_conv2d_plan *plan;
  const conv2d_inputs *inputs;
  const float *expected;
  float *y;
  void *workspace;
  evr_status status;
  bool same;
} execution;

static void *execute_often(void *argument) {
  execution *e = argument;
  const conv2d_inputs *in = e->inputs;
  const evr_conv2d_arguments a = {.x = in->x,
                                  .weights = in->weights,
                                  .bias = in->bias,
                                  .residual = in->residual,
                                  .y = e->y,
                                  .workspace = e->workspace};
  conv2d_wait_for_both();
  for (int i = 0; i < CONV2D_TIMES && e->status == EVR_OK; i++) {
    fill_untouched(e->y, in->sizes.y_count);
    e->status = evr_conv2d_execute(e->plan, &a);
    e->same = e->same && first_difference(e->expected, e->y, in->sizes.y_count) < 0;
  }
  return NULL;
}

static void execute_two(walk *w, const conv2d_case *c, const evr_conv2d_plan *plan,
                        const all_inputs *all, int other) {
  const int inputs[] = {0, other};
  execution runs[2];
  for (int i = 0; i < 2; i++) {
    const conv2d_inputs *in = &all->in[inputs[i]];
    runs[i] = (execution){plan,
                          in,
                          all->expected[inputs[i]],
                          malloc((size_t)in->sizes.y_count * sizeof(float)),
                          malloc(evr_conv2d_workspace_size(plan, false) + 1),
                          EVR_OK,
                          true};
    if (runs[i].y == NULL || runs[i].workspace == NULL) abort();
  }
  conv2d_run_two(execute_often, &runs[0], &runs[1]);
  for (int i = 0; i < 2; i++) {
    const execution *e = &runs[i];
    char what[1024];
    conv2d_describe(c, what, sizeof what);
    const size_t length = strlen(what);
    snprintf(what + length, sizeof what - length, "; one plan by two threads, %s",
             inputs_name(inputs[i]));
    if (e->status != EVR_OK) walk_fail(w, "%s: %s", what, evr_status_name(e->status));
    walk_same(w, e->expected, e->y, e->inputs->sizes.y_count, what);
    if (!e->same) walk_fail(w, "%s: other bits in a call before the last", what);
    free(e->y);
    free(e->workspace);
  }
}

static void shared_plan(walk *w, const conv2d_case *c, int threads) {
  evr_plan_options options = walk_options(w, threads);
  options.thread_pool = pool_of_threads();
  evr_conv2d_plan *plan;
  w->cases++;
  if (evr_conv2d_plan_create(&c->desc, &options, &plan) != EVR_OK) return;
  w->served++;
  all_inputs all;
  if (make_all(w, c, &all))
    for (int other = 1; other < INPUTS && !walk_failed(w); other++)
      execute_two(w, c, plan, &all, other);
  free_all(&all);
  evr_conv2d_plan_destroy(plan);
}

void conv2d_check_shared_plan(walk *w) {
  for (int i = 0; i < CONV2D_PLAN_CASES && !walk_failed(w); i++) {
    const conv2d_case c = conv2d_plan_case(i);
    shared_plan(w, &c, 1); /* what is cut for several threads is not kept */
    shared_plan(w, &c, 2);
  }
}
