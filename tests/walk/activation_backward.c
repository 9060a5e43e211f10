/* Gradients of elementwise functions against the reference, from y, from z and from both. Their
 * errors are measured in test_activation_slopes.c. */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#include "evrisim/activation.h"
#include "support/compare.h"
#include "walk/gradient.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { DY, Y, Z };

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_activation_backward_plan_create(desc, options, (evr_activation_backward_plan **)plan);
}
static void destroy(void *plan) { evr_activation_backward_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_activation_backward_plan_variant(plan); }
static evr_status execute(const void *plan, const void *const *inputs, float *const *outputs,
                          void *workspace) {
  (void)workspace;
  return evr_activation_backward_execute(plan, inputs[DY], inputs[Y], inputs[Z], outputs[0]);
}
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_activation_backward_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation operation = {create, destroy, variant, execute, NULL, list};

typedef struct tensors {
  float *dy, *y, *z;
} tensors;

static tensors make_tensors(walk *w, const evr_activation_desc *d, test_values values) {
  tensors t = {gradient_floats(w, values, 4, d->count), gradient_floats(w, values, 4, d->count),
               gradient_floats(w, values, 4, d->count)};
  const evr_plan_options options = walk_reference_options();
  if (evr_activate(d, &options, t.z, t.y) != EVR_OK) walk_fail(w, "%s", evr_last_error());
  return t;
}

static void free_tensors(tensors *t) {
  free(t->dy);
  free(t->y);
  free(t->z);
}

static gradient_case make_case(const evr_activation_desc *d, const tensors *t, bool y, bool z,
                               test_values values) {
  gradient_case c = {.operation = &operation, .desc = d, .outputs = {d->count}, .in_place = 7};
  c.inputs[DY] = (gradient_input){t->dy, d->count};
  c.inputs[Y] = (gradient_input){y ? t->y : NULL, d->count};
  c.inputs[Z] = (gradient_input){z ? t->z : NULL, d->count};
  snprintf(c.text, sizeof c.text, "kind %d alpha %g count %" PRId64 " %s from%s%s",
           (int)d->activation.kind, (double)d->activation.alpha, d->count, values_name(values),
           y ? " y" : "", z ? " z" : "");
  return c;
}

static void against_reference(walk *w, int kind, float alpha, int64_t count, test_values values) {
  const evr_activation_desc d = {{(evr_activation_kind)kind, alpha}, count};
  const bool needs_z = evr_activation_needs_z(&d.activation);
  tensors t = make_tensors(w, &d, values);
  for (int given = needs_z ? 2 : 1; given <= 3 && !walk_failed(w); given++) {
    gradient_case c = make_case(&d, &t, (given & 1) != 0, (given & 2) != 0, values);
    c.in_place = 1u << random_between(&w->random, DY, Z);
    gradient_against_reference(w, &c);
  }
  free_tensors(&t);
}

static void check_grid(walk *w) {
  static const float alphas[] = {0.1f, -2.0f, 0.0f, -0.0f, 1.0f, FLT_MAX, FLT_MIN};
  static const test_values values[] = {VALUES_WIDE, VALUES_BITS, VALUES_SPECIAL, VALUES_TINY};
  int64_t index = 0;
  for (int kind = EVR_IDENTITY; kind <= EVR_GELU_TANH; kind++) {
    for (int64_t count = 1; count <= 70; count++, index++)
      if (walk_take(w, index))
        against_reference(w, kind, alphas[count % COUNT(alphas)], count,
                          values[count % COUNT(values)]);
    for (int v = 0; v < COUNT(values); v++, index++) /* several tasks, and a tail */
      if (walk_take(w, index)) against_reference(w, kind, 0.25f, 70001, values[v]);
  }
}

/* y and z give the same bits where either will do. */
static void check_either(walk *w) {
  static const test_values values[] = {VALUES_WIDE, VALUES_BITS, VALUES_SPECIAL};
  for (int kind = EVR_IDENTITY; kind <= EVR_GELU_TANH && !walk_failed(w); kind++)
    for (int v = 0; v < COUNT(values); v++) {
      const evr_activation_desc d = {{(evr_activation_kind)kind, 0.75f}, 4000};
      if (evr_activation_needs_z(&d.activation)) continue;
      tensors t = make_tensors(w, &d, values[v]);
      const gradient_case from_y = make_case(&d, &t, true, false, values[v]);
      const gradient_case from_z = make_case(&d, &t, false, true, values[v]);
      w->cases++;
      const float *result[GRADIENT_OUTPUTS];
      if (gradient_run(w, &from_y, result)) {
        float *kept = malloc((size_t)d.count * sizeof *kept);
        if (kept == NULL) abort();
        for (int64_t i = 0; i < d.count; i++) kept[i] = result[0][i];
        if (gradient_run(w, &from_z, result) && walk_same(w, kept, result[0], d.count, from_z.text))
          w->served++;
        free(kept);
      }
      free_tensors(&t);
    }
}

/* Results so large that they go past the caches, to a dx that begins anywhere. */
static void visit_large(walk *w, int64_t index) {
  static const int kinds[] = {EVR_RELU, EVR_TANH, EVR_SILU};
  against_reference(w, kinds[index], 0.0f, (4 << 20) + 9, VALUES_WIDE);
}
static void check_large(walk *w) { walk_list(w, 3, visit_large); }

const walk_check activation_backward_checks[] = {
    {"grid", EVR_OP_ACTIVATION_BACKWARD, check_grid, true},
    {"either", EVR_OP_ACTIVATION_BACKWARD, check_either, true},
    {"large", EVR_OP_ACTIVATION_BACKWARD, check_large, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
