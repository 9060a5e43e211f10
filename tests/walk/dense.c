/* Dense layers against the reference and an oracle. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evrisim/dense.h"
#include "support/compare.h"
#include "support/guard.h"
#include "support/hooks.h"
#include "walk/walk.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define MOST_VARIANTS 64

typedef struct dense_case {
  evr_dense_desc desc;
  bool bias;
  test_values values;
} dense_case;

typedef struct dense_inputs {
  float *x, *weights, *bias;
  int64_t x_count, weights_count, y_count;
} dense_inputs;

typedef struct dense_way {
  placement where;
  bool packed, own_workspace;
  int threads;
  evr_thread_pool pool;
} dense_way;

static struct { guarded x, weights, bias, y, packed, workspace; } buffers;

static float *fill(walk *w, test_values values, int64_t rarity, int64_t count) {
  float *data = malloc((size_t)count * sizeof *data);
  if (data == NULL) abort();
  random_fill(&w->random, values, rarity, data, count);
  return data;
}

static dense_inputs make_inputs(walk *w, const dense_case *c) {
  const evr_dense_desc *d = &c->desc;
  dense_inputs in = {.x_count = d->batch * d->in_features,
                     .weights_count = d->in_features * d->out_features,
                     .y_count = d->batch * d->out_features};
  in.x = fill(w, c->values, 4 * d->in_features, in.x_count);
  in.weights = fill(w, c->values, 4 * d->in_features, in.weights_count);
  if (c->bias) in.bias = fill(w, c->values, 6, d->out_features);
  return in;
}

static void free_inputs(dense_inputs *in) {
  free(in->x);
  free(in->weights);
  free(in->bias);
}

static void describe(const dense_case *c, const dense_way *way, char *text, size_t size) {
  const evr_dense_desc *d = &c->desc;
  snprintf(text, size,
           "batch %" PRId64 " in %" PRId64 " out %" PRId64
           " %s activation %d%s %s; %s, %s, %d threads",
           d->batch, d->in_features, d->out_features, d->weights_layout == EVR_IO ? "IO" : "OI",
           (int)d->activation.kind, c->bias ? " bias" : "", values_name(c->values),
           placement_name(way->where), way->packed ? "packed" : "plain weights", way->threads);
}

static const float *place(guarded *b, const float *data, int64_t count, placement where) {
  if (data == NULL) return NULL;
  float *placed = guarded_place(b, (size_t)count * sizeof *data, where);
  memcpy(placed, data, (size_t)count * sizeof *data);
  guarded_freeze(b);
  return placed;
}

static void *scratch(guarded *b, size_t bytes, placement where) {
  void *placed = guarded_place(b, bytes, where);
  memset(placed, 0xa5, bytes);
  return placed;
}

static void execute(walk *w, const evr_dense_plan *plan, const dense_case *c,
                    const dense_inputs *in, const dense_way *way, const char *what) {
  evr_dense_arguments a = {0};
  a.x = place(&buffers.x, in->x, in->x_count, way->where);
  a.weights = place(&buffers.weights, in->weights, in->weights_count, way->where);
  a.bias = place(&buffers.bias, in->bias, c->desc.out_features, way->where);
  a.y = guarded_place(&buffers.y, (size_t)in->y_count * sizeof(float), way->where);
  fill_untouched(a.y, in->y_count);
  const size_t packed_bytes = evr_dense_packed_size(plan);
  if (way->packed && packed_bytes > 0) {
    void *packed = scratch(&buffers.packed, packed_bytes, way->where);
    if (evr_dense_pack(plan, a.weights, packed) != EVR_OK || !guarded_intact(&buffers.packed)) {
      walk_fail(w, "%s: packing failed or wrote too much: %s", what, evr_last_error());
      return;
    }
    guarded_freeze(&buffers.packed);
    a.packed = packed;
    a.weights = NULL;
  }
  const size_t bytes = evr_dense_workspace_size(plan, a.packed != NULL);
  if (way->own_workspace && bytes > 0) a.workspace = scratch(&buffers.workspace, bytes, way->where);
  if (evr_dense_execute(plan, &a) != EVR_OK)
    walk_fail(w, "%s: %s", what, evr_last_error());
  else if (!guarded_intact(&buffers.y) ||
           (a.workspace != NULL && !guarded_intact(&buffers.workspace)))
    walk_fail(w, "%s: wrote outside of its buffers", what);
}

static const float *run(walk *w, const dense_case *c, const dense_inputs *in, const dense_way *way,
                        const char *what) {
  evr_plan_options options = walk_options(w, way->threads);
  options.thread_pool = way->pool;
  evr_dense_plan *plan;
  const evr_status status = evr_dense_plan_create(&c->desc, &options, &plan);
  evr_variant_report list[MOST_VARIANTS];
  size_t count = 0;
  if (evr_dense_list_variants(&c->desc, &options, list, MOST_VARIANTS, &count) != EVR_OK)
    walk_fail(w, "%s: no list: %s", what, evr_last_error());
  const bool serves = !walk_failed(w) && walk_serves(w, status, list, count, what);
  if (serves && strcmp(evr_dense_plan_variant(plan), w->variant->name) != 0)
    walk_fail(w, "%s: the plan took %s", what, evr_dense_plan_variant(plan));
  if (serves && !walk_failed(w)) execute(w, plan, c, in, way, what);
  evr_dense_plan_destroy(plan);
  return serves && !walk_failed(w) ? (const float *)(const void *)buffers.y.data : NULL;
}

static float *expected_output(walk *w, const dense_case *c, const dense_inputs *in) {
  float *y = malloc((size_t)in->y_count * sizeof *y);
  if (y == NULL) abort();
  const evr_plan_options options = walk_reference_options();
  if (evr_dense(&c->desc, &options, in->x, in->weights, in->bias, y) != EVR_OK)
    walk_fail(w, "the reference: %s", evr_last_error());
  return y;
}

typedef void dense_visit(walk *w, const dense_case *c);

static void compare(walk *w, const dense_case *c, const dense_way *ways, int count) {
  w->cases++;
  dense_inputs in = make_inputs(w, c);
  float *expected = NULL;
  for (int i = 0; i < count && !walk_failed(w); i++) {
    char what[512];
    describe(c, &ways[i], what, sizeof what);
    const float *y = run(w, c, &in, &ways[i], what);
    if (y == NULL) break;
    if (i == 0) {
      w->served++;
      expected = expected_output(w, c, &in);
    }
    walk_same(w, expected, y, in.y_count, what);
  }
  free(expected);
  free_inputs(&in);
}

static void against_reference(walk *w, const dense_case *c) {
  const dense_way ways[] = {
      {PLACE_END, false, true, 1, {NULL, NULL}},
      {PLACE_START, true, true, 3, pool_in_reverse()},
      {PLACE_MISALIGNED, w->cases % 2 == 0, w->cases % 4 < 2, 2, pool_in_reverse()},
  };
  compare(w, c, ways, COUNT(ways));
}

/* Integers exactly, reals within gamma_n (sum |x||w| + |b|), n = K + 1. */
static void against_oracle(walk *w, const dense_case *given) {
  dense_case c = *given;
  c.desc.activation = (evr_activation){EVR_IDENTITY, 0.0f};
  c.values = w->cases % 2 ? VALUES_REALS : VALUES_INTEGERS;
  const dense_way way = {PLACE_END, w->cases % 4 < 2, true, 1, {NULL, NULL}};
  w->cases++;
  const evr_dense_desc *d = &c.desc;
  dense_inputs in = make_inputs(w, &c);
  char what[512];
  describe(&c, &way, what, sizeof what);
  const float *y = run(w, &c, &in, &way, what);
  const double n = (double)d->in_features + 1.0, u = 0x1p-24;
  const double gamma = n * u / (1.0 - n * u);
  for (int64_t at = 0; y != NULL && at < in.y_count && !walk_failed(w); at++) {
    const int64_t o = at % d->out_features;
    double sum = in.bias != NULL ? (double)in.bias[o] : 0.0, size = fabs(sum);
    for (int64_t i = 0; i < d->in_features; i++) {
      const float weight = in.weights[d->weights_layout == EVR_IO ? i * d->out_features + o
                                                                  : o * d->in_features + i];
      const double term = (double)in.x[at / d->out_features * d->in_features + i] * (double)weight;
      sum += term;
      size += fabs(term);
    }
    const bool right = c.values == VALUES_INTEGERS
                           ? (double)y[at] == sum
                           : fabs((double)y[at] - sum) <= (gamma + n * 0x1p-53) * size;
    if (!right)
      walk_fail(w, "%s: y[%" PRId64 "] is %a, the oracle %a", what, at, (double)y[at], sum);
  }
  w->served += y != NULL;
  free_inputs(&in);
}

static void dense_grid(walk *w, dense_visit *visit) {
  static const int64_t outs[] = {1,  2,  3,  4,  5,  7,  8,  9,  15, 16,  17, 31,
                                 32, 33, 47, 48, 63, 64, 65, 84, 97, 127, 129};
  static const int64_t ins[] = {1, 2, 3, 5, 8, 13, 16, 17, 33, 64, 127, 400, 1025};
  static const int64_t batches[] = {1, 2, 5, 6, 7, 8, 12, 13, 14, 15, 29};
  int64_t index = 0;
  for (int o = 0; o < COUNT(outs); o++)
    for (int i = 0; i < COUNT(ins); i++)
      for (int l = 0; l < 2; l++, index++) {
        static const test_values values[] = {VALUES_REALS, VALUES_SPECIAL, VALUES_TINY,
                                             VALUES_INTEGERS, VALUES_REALS};
        dense_case c = {.desc = EVR_DENSE_DESC_INIT,
                        .bias = index % 3 != 0,
                        .values = values[index % COUNT(values)]};
        c.desc.batch = ins[i] * outs[o] > 20000 ? 1 + index % 2 : batches[index % COUNT(batches)];
        c.desc.in_features = ins[i];
        c.desc.out_features = outs[o];
        c.desc.weights_layout = l ? EVR_OI : EVR_IO;
        c.desc.activation.kind = (evr_activation_kind)(index % (EVR_GELU_TANH + 1));
        c.desc.activation.alpha = 0.5f;
        if (walk_take(w, index)) visit(w, &c);
      }
}

static void check_grid(walk *w) { dense_grid(w, against_reference); }
static void check_oracle(walk *w) { dense_grid(w, against_oracle); }

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(500);
  test_random *r = &w->random;
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    dense_case c = {.desc = EVR_DENSE_DESC_INIT};
    c.bias = random_chance(r, 60);
    c.values = (test_values)random_between(r, VALUES_INTEGERS, VALUES_SPECIAL);
    c.desc.batch = random_between(r, 1, 20);
    c.desc.in_features = random_between(r, 1, 80);
    c.desc.out_features = random_between(r, 1, 140);
    c.desc.weights_layout = random_chance(r, 50) ? EVR_IO : EVR_OI;
    c.desc.activation.kind = (evr_activation_kind)random_between(r, EVR_IDENTITY, EVR_GELU_TANH);
    c.desc.activation.alpha = 0.25f;
    against_reference(w, &c);
  }
}

/* Work for several threads: a long vector by a matrix, and many rows. */
static void visit_threaded(walk *w, int64_t i) {
  static const int64_t sizes[][3] = {{1, 1031, 4001}, {70, 257, 301}};
  dense_case c = {.desc = EVR_DENSE_DESC_INIT, .bias = true, .values = VALUES_REALS};
  c.desc.batch = sizes[i / 2][0];
  c.desc.in_features = sizes[i / 2][1];
  c.desc.out_features = sizes[i / 2][2];
  c.desc.weights_layout = i % 2 ? EVR_OI : EVR_IO;
  const dense_way ways[] = {
      {PLACE_END, false, true, 1, {NULL, NULL}},     {PLACE_END, true, true, 2, {NULL, NULL}},
      {PLACE_END, true, true, 3, pool_of_threads()}, {PLACE_END, false, true, 7, {NULL, NULL}},
      {PLACE_END, true, true, 7, pool_in_reverse()},
  };
  compare(w, &c, ways, COUNT(ways));
}
static void check_threads(walk *w) { walk_list(w, 4, visit_threaded); }

const walk_check dense_checks[] = {
    {"grid", EVR_OP_DENSE, check_grid, true},      {"oracle", EVR_OP_DENSE, check_oracle, true},
    {"random", EVR_OP_DENSE, check_random, false}, {"threads", EVR_OP_DENSE, check_threads, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
