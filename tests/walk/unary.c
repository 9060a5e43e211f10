#include "walk/unary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "support/hooks.h"

typedef struct unary_way {
  placement where;
  bool in_place;
  int threads;
  evr_thread_pool pool;
} unary_way;

static struct { guarded x, y, indices; } buffers;

#define INDEX_UNTOUCHED INT32_C(-77)
#define MOST_VARIANTS 64

float *unary_input(walk *w, const unary_case *c) {
  float *x = malloc((size_t)c->x_count * sizeof *x);
  if (x == NULL) abort();
  random_fill(&w->random, c->values, c->rarity, x, c->x_count);
  return x;
}

static bool make_plan(walk *w, const unary_case *c, const evr_plan_options *options, void **plan,
                      const char *what) {
  const evr_status status = c->operation->create(c->desc, options, plan);
  if (strcmp(options->variant, w->variant->name) != 0) { /* the reference */
    if (status != EVR_OK) walk_fail(w, "%s: the reference: %s", what, evr_last_error());
    return status == EVR_OK;
  }
  evr_variant_report list[MOST_VARIANTS];
  size_t count = 0;
  char sentence[512];
  snprintf(sentence, sizeof sentence, "%s", evr_last_error());
  if (c->operation->list(c->desc, options, list, MOST_VARIANTS, &count) != EVR_OK)
    walk_fail(w, "%s: no list: %s", what, evr_last_error());
  const bool serves = !walk_failed(w) && walk_serves(w, status, list, count, what);
  if (serves && strcmp(c->operation->variant(*plan), w->variant->name) != 0)
    walk_fail(w, "%s: the plan took %s", what, c->operation->variant(*plan));
  if (!serves || walk_failed(w)) {
    c->operation->destroy(*plan);
    return false;
  }
  return true;
}

static const float *run(walk *w, const unary_case *c, const float *x, const unary_way *way,
                        const int32_t **indices, const char *what) {
  evr_plan_options options = walk_options(w, way->threads);
  options.thread_pool = way->pool;
  void *plan;
  if (!make_plan(w, c, &options, &plan, what)) return NULL;
  float *y = guarded_place(&buffers.y, (size_t)c->y_count * sizeof *y, way->where);
  const float *from = y;
  if (way->in_place) {
    memcpy(y, x, (size_t)c->x_count * sizeof *x);
  } else {
    fill_untouched(y, c->y_count);
    void *placed = guarded_place(&buffers.x, (size_t)c->x_count * sizeof *x, way->where);
    memcpy(placed, x, (size_t)c->x_count * sizeof *x);
    guarded_freeze(&buffers.x);
    from = placed;
  }
  int32_t *found = NULL;
  if (c->indices) {
    found = guarded_place(&buffers.indices, (size_t)c->y_count * sizeof *found, way->where);
    for (int64_t i = 0; i < c->y_count; i++) found[i] = INDEX_UNTOUCHED;
  }
  if (c->operation->forward(plan, from, y, found) != EVR_OK)
    walk_fail(w, "%s: %s", what, evr_last_error());
  else if (!guarded_intact(&buffers.y) || (found != NULL && !guarded_intact(&buffers.indices)))
    walk_fail(w, "%s: wrote outside of its buffers", what);
  c->operation->destroy(plan);
  if (indices != NULL) *indices = found;
  return walk_failed(w) ? NULL : y;
}

static void reference(walk *w, const unary_case *c, const float *x, float *y, int32_t *indices) {
  const evr_plan_options options = walk_reference_options();
  void *plan = NULL;
  if (c->operation->create(c->desc, &options, &plan) != EVR_OK ||
      c->operation->forward(plan, x, y, indices) != EVR_OK)
    walk_fail(w, "%s: the reference: %s", c->text, evr_last_error());
  c->operation->destroy(plan);
}

static void same_indices(walk *w, const int32_t *expected, const int32_t *got, int64_t count,
                         const char *what) {
  for (int64_t i = 0; i < count; i++)
    if (expected[i] != got[i]) {
      walk_fail(w, "%s: indices[%" PRId64 "] is %d, expected %d", what, i, got[i], expected[i]);
      return;
    }
}

void unary_against_reference(walk *w, const unary_case *c) {
  const unary_way ways[] = {
      {PLACE_END, false, 1, {NULL, NULL}},
      {PLACE_START, w->cases % 2 == 0, 3, pool_in_reverse()},
      {PLACE_MISALIGNED, false, 2, pool_in_reverse()},
      {PLACE_END, true, 7, pool_in_reverse()},
  };
  const size_t count = sizeof ways / sizeof ways[0];
  w->cases++;
  float *x = unary_input(w, c);
  float *expected = malloc((size_t)c->y_count * sizeof *expected);
  int32_t *winners = c->indices ? malloc((size_t)c->y_count * sizeof *winners) : NULL;
  if (expected == NULL || (c->indices && winners == NULL)) abort();
  reference(w, c, x, expected, winners);
  for (size_t i = 0; i < count && !walk_failed(w); i++) {
    unary_way way = ways[i];
    if (way.in_place && !c->in_place) {
      if (i == count - 1) break;
      way.in_place = false;
    }
    char what[1024];
    snprintf(what, sizeof what, "%s; %s%s, %d threads", c->text, placement_name(way.where),
             way.in_place ? ", in place" : "", way.threads);
    const int32_t *found;
    const float *y = run(w, c, x, &way, &found, what);
    if (y == NULL) break;
    if (i == 0) w->served++;
    walk_same(w, expected, y, c->y_count, what);
    if (c->indices) same_indices(w, winners, found, c->y_count, what);
  }
  free(winners);
  free(expected);
  free(x);
}

const float *unary_run(walk *w, const unary_case *c, const float *x, const int32_t **indices) {
  const unary_way way = {PLACE_END, false, 1, {NULL, NULL}};
  return run(w, c, x, &way, indices, c->text);
}
