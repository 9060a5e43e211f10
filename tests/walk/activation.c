/* Elementwise functions against the reference. Their errors are measured in test_ulp.c. */
#include <float.h>
#include <stdio.h>

#include "evrisim/activation.h"
#include "walk/unary.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_activation_plan_create(desc, options, (evr_activation_plan **)plan);
}
static void destroy(void *plan) { evr_activation_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_activation_plan_variant(plan); }
static evr_status forward(const void *plan, const float *x, float *y, int32_t *indices) {
  (void)indices;
  return evr_activation_forward(plan, x, y);
}
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_activation_list_variants(desc, options, out, capacity, count);
}
static const unary_operation operation = {create, destroy, variant, forward, list};

static void against_reference(walk *w, int kind, float alpha, int64_t count, test_values values) {
  const evr_activation_desc desc = {{(evr_activation_kind)kind, alpha}, count};
  unary_case c = {.operation = &operation,
                  .desc = &desc,
                  .x_count = count,
                  .y_count = count,
                  .in_place = true,
                  .values = values,
                  .rarity = 4};
  snprintf(c.text, sizeof c.text, "kind %d alpha %g count %" PRId64 " %s", kind, (double)alpha,
           count, values_name(values));
  unary_against_reference(w, &c);
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

const walk_check activation_checks[] = {
    {"grid", EVR_OP_ACTIVATION, check_grid, true},
    {NULL, EVR_OPERATIONS, NULL, false},
};
