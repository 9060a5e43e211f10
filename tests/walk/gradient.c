#include "walk/gradient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "support/hooks.h"

#define MOST_VARIANTS 64

typedef struct gradient_way {
  placement where;
  bool in_place, own_workspace;
  int threads;
  evr_thread_pool pool;
} gradient_way;

static guarded input_buffers[GRADIENT_INPUTS], output_buffers[GRADIENT_OUTPUTS], workspace_buffer;

float *gradient_floats(walk *w, test_values values, int64_t rarity, int64_t count) {
  float *data = malloc((size_t)count * sizeof *data);
  if (data == NULL) abort();
  random_fill(&w->random, values, rarity, data, count);
  return data;
}

static bool make_plan(walk *w, const gradient_case *c, const evr_plan_options *options, void **plan,
                      const char *what) {
  const evr_status status = c->operation->create(c->desc, options, plan);
  evr_variant_report list[MOST_VARIANTS];
  size_t count = 0;
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

/* The input that the first output is, or -1. */
static int shared_input(const gradient_case *c, const gradient_way *way) {
  for (int i = 0; way->in_place && i < GRADIENT_INPUTS; i++)
    if ((c->in_place & 1u << i) != 0 && c->inputs[i].data != NULL) return i;
  return -1;
}

static bool run(walk *w, const gradient_case *c, const gradient_way *way, const float **results,
                const char *what) {
  evr_plan_options options = walk_options(w, way->threads);
  options.thread_pool = way->pool;
  void *plan;
  if (!make_plan(w, c, &options, &plan, what)) return false;
  float *outputs[GRADIENT_OUTPUTS] = {NULL};
  const void *inputs[GRADIENT_INPUTS] = {NULL};
  for (int i = 0; i < GRADIENT_OUTPUTS; i++) {
    if (c->outputs[i] == 0) continue;
    outputs[i] =
        guarded_place(&output_buffers[i], (size_t)c->outputs[i] * sizeof(float), way->where);
    fill_untouched(outputs[i], c->outputs[i]);
  }
  const int shared = shared_input(c, way);
  for (int i = 0; i < GRADIENT_INPUTS; i++) {
    if (c->inputs[i].data == NULL) continue;
    const size_t bytes = (size_t)c->inputs[i].count * sizeof(float);
    void *placed = i == shared ? outputs[0] : guarded_place(&input_buffers[i], bytes, way->where);
    memcpy(placed, c->inputs[i].data, bytes);
    if (i != shared) guarded_freeze(&input_buffers[i]);
    inputs[i] = placed;
  }
  const size_t bytes = c->operation->workspace != NULL ? c->operation->workspace(plan) : 0;
  void *workspace = NULL;
  if (bytes > 0 && way->own_workspace) {
    workspace = guarded_place(&workspace_buffer, bytes, way->where);
    memset(workspace, 0xff, bytes); /* NaN */
  }
  if (c->operation->execute(plan, inputs, outputs, workspace) != EVR_OK)
    walk_fail(w, "%s: %s", what, evr_last_error());
  for (int i = 0; i < GRADIENT_OUTPUTS; i++)
    if (c->outputs[i] > 0 && !guarded_intact(&output_buffers[i]))
      walk_fail(w, "%s: wrote outside of its output %d", what, i);
  if (workspace != NULL && !guarded_intact(&workspace_buffer))
    walk_fail(w, "%s: wrote outside of its workspace", what);
  c->operation->destroy(plan);
  for (int i = 0; i < GRADIENT_OUTPUTS; i++) results[i] = outputs[i];
  return !walk_failed(w);
}

static void reference(walk *w, const gradient_case *c, float *const *outputs) {
  const evr_plan_options options = walk_reference_options();
  const void *inputs[GRADIENT_INPUTS];
  for (int i = 0; i < GRADIENT_INPUTS; i++) inputs[i] = c->inputs[i].data;
  void *plan = NULL;
  if (c->operation->create(c->desc, &options, &plan) != EVR_OK ||
      c->operation->execute(plan, inputs, outputs, NULL) != EVR_OK)
    walk_fail(w, "%s: the reference: %s", c->text, evr_last_error());
  c->operation->destroy(plan);
}

void gradient_against_reference(walk *w, const gradient_case *c) {
  const gradient_way ways[] = {
      {PLACE_END, false, true, 1, {NULL, NULL}},
      {PLACE_START, w->cases % 2 == 0, false, 3, pool_in_reverse()},
      {PLACE_MISALIGNED, false, true, 2, pool_in_reverse()},
      {PLACE_END, true, true, 7, pool_in_reverse()},
  };
  w->cases++;
  float *expected[GRADIENT_OUTPUTS] = {NULL};
  for (int i = 0; i < GRADIENT_OUTPUTS; i++) {
    if (c->outputs[i] == 0) continue;
    expected[i] = malloc((size_t)c->outputs[i] * sizeof(float));
    if (expected[i] == NULL) abort();
    fill_untouched(expected[i], c->outputs[i]);
  }
  reference(w, c, expected);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0] && !walk_failed(w); i++) {
    gradient_way way = ways[i];
    way.in_place = way.in_place && c->in_place != 0;
    char what[1024];
    snprintf(what, sizeof what, "%s; %s%s, %d threads", c->text, placement_name(way.where),
             way.in_place ? ", in place" : "", way.threads);
    const float *got[GRADIENT_OUTPUTS];
    if (!run(w, c, &way, got, what)) break;
    if (i == 0) w->served++;
    for (int o = 0; o < GRADIENT_OUTPUTS; o++)
      if (c->outputs[o] > 0) walk_same(w, expected[o], got[o], c->outputs[o], what);
  }
  for (int i = 0; i < GRADIENT_OUTPUTS; i++) free(expected[i]);
}

bool gradient_run(walk *w, const gradient_case *c, const float **outputs) {
  const gradient_way way = {PLACE_END, false, true, 1, {NULL, NULL}};
  return run(w, c, &way, outputs, c->text);
}
