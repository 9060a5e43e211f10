/* The backward passes of dense layers against the reference; and, on small integers, where every
 * sum is exact, the adjoint identities <dense(x), dy> = <x, dx> = <weights, dweights>, which hold
 * with ReLU behind the sums as well. */
#include <stdio.h>
#include <stdlib.h>

#include "evrisim/activation.h"
#include "evrisim/dense.h"
#include "walk/gradient.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { DY, Y, Z, OTHER }; /* OTHER: weights, or x */

static evr_status create_data(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_dense_backward_data_plan_create(desc, options, (evr_dense_backward_data_plan **)plan);
}
static void destroy_data(void *plan) { evr_dense_backward_data_plan_destroy(plan); }
static const char *variant_data(const void *plan) {
  return evr_dense_backward_data_plan_variant(plan);
}
static evr_status execute_data(const void *plan, const void *const *inputs, float *const *outputs,
                               void *workspace) {
  const evr_dense_backward_data_arguments a = {.dy = inputs[DY],
                                               .y = inputs[Y],
                                               .z = inputs[Z],
                                               .weights = inputs[OTHER],
                                               .dx = outputs[0],
                                               .workspace = workspace};
  return evr_dense_backward_data_execute(plan, &a);
}
static size_t workspace_data(const void *plan) {
  return evr_dense_backward_data_workspace_size(plan);
}
static evr_status list_data(const void *desc, const evr_plan_options *options,
                            evr_variant_report *out, size_t capacity, size_t *count) {
  return evr_dense_backward_data_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation data = {create_data,  destroy_data,   variant_data,
                                        execute_data, workspace_data, list_data};

static evr_status create_weights(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_dense_backward_weights_plan_create(desc, options,
                                                (evr_dense_backward_weights_plan **)plan);
}
static void destroy_weights(void *plan) { evr_dense_backward_weights_plan_destroy(plan); }
static const char *variant_weights(const void *plan) {
  return evr_dense_backward_weights_plan_variant(plan);
}
static evr_status execute_weights(const void *plan, const void *const *inputs,
                                  float *const *outputs, void *workspace) {
  const evr_dense_backward_weights_arguments a = {.x = inputs[OTHER],
                                                  .dy = inputs[DY],
                                                  .y = inputs[Y],
                                                  .z = inputs[Z],
                                                  .dweights = outputs[0],
                                                  .dbias = outputs[1],
                                                  .workspace = workspace};
  return evr_dense_backward_weights_execute(plan, &a);
}
static size_t workspace_weights(const void *plan) {
  return evr_dense_backward_weights_workspace_size(plan);
}
static evr_status list_weights(const void *desc, const evr_plan_options *options,
                               evr_variant_report *out, size_t capacity, size_t *count) {
  return evr_dense_backward_weights_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation weights = {create_weights,  destroy_weights,   variant_weights,
                                           execute_weights, workspace_weights, list_weights};

static bool is_data(const walk *w) { return w->variant->operation == EVR_OP_DENSE_BACKWARD_DATA; }

static void describe(const evr_dense_desc *d, test_values values, char *text, size_t size) {
  snprintf(text, size, "%s batch %" PRId64 " in %" PRId64 " out %" PRId64 " activation %d %s",
           d->weights_layout == EVR_IO ? "IO" : "OI", d->batch, d->in_features, d->out_features,
           (int)d->activation.kind, values_name(values));
}

/* What the derivative may be taken from: y, z, or both, in turn; the identity needs neither. */
static void give_saved(const walk *w, const evr_dense_desc *d, gradient_case *c, const float *y,
                       const float *z) {
  if (d->activation.kind == EVR_IDENTITY) return;
  const bool needs_z = evr_activation_needs_z(&d->activation);
  const int64_t way = w->cases % 3, count = d->batch * d->out_features;
  if (needs_z ? way == 0 : way != 1) c->inputs[Y] = (gradient_input){y, count};
  if (needs_z || way != 2) c->inputs[Z] = (gradient_input){z, count};
}

static void against_reference(walk *w, const evr_dense_desc *d, test_values values) {
  const bool of_data = is_data(w);
  gradient_case c = {.operation = of_data ? &data : &weights, .desc = d};
  describe(d, values, c.text, sizeof c.text);
  const int64_t x_count = d->batch * d->in_features, y_count = d->batch * d->out_features;
  const int64_t w_count = d->in_features * d->out_features;
  float *dy = gradient_floats(w, values, 40, y_count), *y = gradient_floats(w, values, 40, y_count);
  float *z = gradient_floats(w, values, 40, y_count);
  float *other = gradient_floats(w, values, 40, of_data ? w_count : x_count);
  c.inputs[DY] = (gradient_input){dy, y_count};
  give_saved(w, d, &c, y, z);
  c.inputs[OTHER] = (gradient_input){other, of_data ? w_count : x_count};
  c.outputs[0] = of_data ? x_count : w_count;
  if (!of_data && w->cases % 3 != 0) c.outputs[1] = d->out_features;
  gradient_against_reference(w, &c);
  free(dy);
  free(y);
  free(z);
  free(other);
}

static evr_dense_desc random_dense(test_random *r) {
  static const int64_t tails[] = {1,  2,  5,  7,  8,  9,  15, 16, 17,
                                  31, 33, 47, 48, 63, 64, 65, 97, 130};
  evr_dense_desc d = EVR_DENSE_DESC_INIT;
  d.batch = random_chance(r, 80) ? random_between(r, 1, 20) : random_between(r, 505, 520);
  d.in_features = random_of(r, tails, COUNT(tails));
  d.out_features = random_of(r, tails, COUNT(tails));
  d.weights_layout = random_chance(r, 50) ? EVR_IO : EVR_OI;
  static const evr_activation_kind kinds[] = {EVR_IDENTITY, EVR_RELU, EVR_TANH, EVR_SILU};
  d.activation.kind = kinds[random_between(r, 0, COUNT(kinds) - 1)];
  return d;
}

static void check_random(walk *w) {
  static const test_values values[] = {VALUES_REALS, VALUES_SPECIAL, VALUES_WIDE, VALUES_TINY};
  const int64_t rounds = test_rounds(300);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    const evr_dense_desc d = random_dense(&w->random);
    against_reference(w, &d, values[i % COUNT(values)]);
  }
}

static void visit_large(walk *w, int64_t index) { /* three blocks, the last of one row; threads */
  const evr_dense_desc d = {1025, 67, 131, index ? EVR_OI : EVR_IO, {EVR_RELU, 0.0f}};
  against_reference(w, &d, VALUES_REALS);
}
static void check_large(walk *w) { walk_list(w, 2, visit_large); }

static int64_t inner(const float *a, const float *b, int64_t count) {
  int64_t sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (int64_t)a[i] * (int64_t)b[i];
  return sum;
}

/* Gradients so large that they go past the caches; of one example, and with rows of whole vectors
 * or not. */
static void visit_past_caches(walk *w, int64_t index) {
  static const evr_dense_desc large[] = {
      {1, 1027, 4096, EVR_IO, {EVR_IDENTITY, 0.0f}}, {3, 1027, 4096, EVR_IO, {EVR_IDENTITY, 0.0f}},
      {1, 4096, 1027, EVR_OI, {EVR_IDENTITY, 0.0f}}, {3, 4096, 1027, EVR_OI, {EVR_IDENTITY, 0.0f}},
      {1, 1027, 4100, EVR_IO, {EVR_IDENTITY, 0.0f}}, {3, 1027, 4100, EVR_IO, {EVR_IDENTITY, 0.0f}}};
  against_reference(w, &large[index], VALUES_REALS);
}
static void check_past_caches(walk *w) { walk_list(w, 6, visit_past_caches); }

static void check_adjoint(walk *w) {
  const int64_t rounds = test_rounds(200);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    evr_dense_desc d = random_dense(&w->random);
    const evr_activation identity = {EVR_IDENTITY, 0.0f}, relu = {EVR_RELU, 0.0f};
    d.activation = identity;
    const bool of_data = is_data(w);
    gradient_case c = {.operation = of_data ? &data : &weights, .desc = &d};
    describe(&d, VALUES_INTEGERS, c.text, sizeof c.text);
    const int64_t x_count = d.batch * d.in_features, y_count = d.batch * d.out_features;
    const int64_t w_count = d.in_features * d.out_features;
    float *dy = gradient_floats(w, VALUES_INTEGERS, 1, y_count);
    float *y = gradient_floats(w, VALUES_INTEGERS, 1, y_count);
    float *z = gradient_floats(w, VALUES_INTEGERS, 1, y_count);
    float *x = gradient_floats(w, VALUES_INTEGERS, 1, x_count);
    float *parameters = gradient_floats(w, VALUES_INTEGERS, 1, w_count);
    const evr_plan_options options = walk_reference_options();
    if (evr_dense(&d, &options, x, parameters, NULL, z) != EVR_OK)
      walk_fail(w, "%s: %s", c.text, evr_last_error());
    d.activation = i % 2 ? relu : identity;
    describe(&d, VALUES_INTEGERS, c.text, sizeof c.text);
    if (evr_dense(&d, &options, x, parameters, NULL, y) != EVR_OK)
      walk_fail(w, "%s: %s", c.text, evr_last_error());
    give_saved(w, &d, &c, y, z);
    c.inputs[DY] = (gradient_input){dy, y_count};
    c.inputs[OTHER] =
        of_data ? (gradient_input){parameters, w_count} : (gradient_input){x, x_count};
    c.outputs[0] = of_data ? x_count : w_count;
    c.outputs[1] = of_data ? 0 : d.out_features;
    const float *result[GRADIENT_OUTPUTS];
    w->cases++;
    if (gradient_run(w, &c, result)) {
      w->served++;
      const int64_t forward = inner(y, dy, y_count);
      const int64_t back =
          of_data ? inner(x, result[0], x_count) : inner(parameters, result[0], w_count);
      if (forward != back)
        walk_fail(
            w, "%s: <dense(x), dy> is %" PRId64 ", the other product %" PRId64 ", not the adjoint",
            c.text, forward, back);
      for (int64_t o = 0; !of_data && o < d.out_features && !walk_failed(w); o++) {
        int64_t sum = 0;
        for (int64_t at = o; at < y_count; at += d.out_features)
          if (i % 2 == 0 || z[at] > 0.0f) sum += (int64_t)dy[at];
        if ((int64_t)result[1][o] != sum)
          walk_fail(w, "%s: dbias[%" PRId64 "] is %g, not %" PRId64, c.text, o,
                    (double)result[1][o], sum);
      }
    }
    free(dy);
    free(y);
    free(z);
    free(x);
    free(parameters);
  }
}

const walk_check dense_backward_checks[] = {
    {"random", EVR_OP_DENSE_BACKWARD_DATA, check_random, true},
    {"large", EVR_OP_DENSE_BACKWARD_DATA, check_large, false},
    {"adjoint", EVR_OP_DENSE_BACKWARD_DATA, check_adjoint, true},
    {"random", EVR_OP_DENSE_BACKWARD_WEIGHTS, check_random, true},
    {"large", EVR_OP_DENSE_BACKWARD_WEIGHTS, check_large, false},
    {"past caches", EVR_OP_DENSE_BACKWARD_WEIGHTS, check_past_caches, false},
    {"adjoint", EVR_OP_DENSE_BACKWARD_WEIGHTS, check_adjoint, true},
    {NULL, EVR_OPERATIONS, NULL, false},
};
