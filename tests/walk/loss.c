/* The backward pass of softmax and the losses, against the reference. Their gradients are held to
 * difference quotients in test_loss.c. */
#include "evrisim/loss.h"

#include <stdio.h>
#include <stdlib.h>

#include "walk/gradient.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- the backward pass of softmax ---- */

enum { DY, Y };

static evr_status create_backward(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_softmax_backward_plan_create(desc, options, (evr_softmax_backward_plan **)plan);
}
static void destroy_backward(void *plan) { evr_softmax_backward_plan_destroy(plan); }
static const char *variant_backward(const void *plan) {
  return evr_softmax_backward_plan_variant(plan);
}
static evr_status execute_backward(const void *plan, const void *const *inputs,
                                   float *const *outputs, void *workspace) {
  (void)workspace;
  return evr_softmax_backward_execute(plan, inputs[DY], inputs[Y], outputs[0]);
}
static evr_status list_backward(const void *desc, const evr_plan_options *options,
                                evr_variant_report *out, size_t capacity, size_t *count) {
  return evr_softmax_backward_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation backward = {
    create_backward, destroy_backward, variant_backward, execute_backward, NULL, list_backward};

/* ---- softmax with cross-entropy ---- */

enum { X, LABELS, TARGETS };
#define SCALE 0.375f

static evr_status create_entropy(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_softmax_cross_entropy_plan_create(desc, options,
                                               (evr_softmax_cross_entropy_plan **)plan);
}
static void destroy_entropy(void *plan) { evr_softmax_cross_entropy_plan_destroy(plan); }
static const char *variant_entropy(const void *plan) {
  return evr_softmax_cross_entropy_plan_variant(plan);
}
static evr_status execute_entropy(const void *plan, const void *const *inputs,
                                  float *const *outputs, void *workspace) {
  (void)workspace;
  const evr_softmax_cross_entropy_arguments a = {.x = inputs[X],
                                                 .labels = inputs[LABELS],
                                                 .targets = inputs[TARGETS],
                                                 .scale = SCALE,
                                                 .loss = outputs[1],
                                                 .dx = outputs[0]};
  return evr_softmax_cross_entropy_execute(plan, &a);
}
static evr_status list_entropy(const void *desc, const evr_plan_options *options,
                               evr_variant_report *out, size_t capacity, size_t *count) {
  return evr_softmax_cross_entropy_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation entropy = {
    create_entropy, destroy_entropy, variant_entropy, execute_entropy, NULL, list_entropy};

/* ---- sigmoid with binary cross-entropy ---- */

static evr_status create_binary(const void *count, const evr_plan_options *options, void **plan) {
  return evr_sigmoid_cross_entropy_plan_create(*(const int64_t *)count, options,
                                               (evr_sigmoid_cross_entropy_plan **)plan);
}
static void destroy_binary(void *plan) { evr_sigmoid_cross_entropy_plan_destroy(plan); }
static const char *variant_binary(const void *plan) {
  return evr_sigmoid_cross_entropy_plan_variant(plan);
}
static evr_status execute_binary(const void *plan, const void *const *inputs, float *const *outputs,
                                 void *workspace) {
  (void)workspace;
  return evr_sigmoid_cross_entropy_execute(plan, inputs[0], inputs[1], SCALE, outputs[1],
                                           outputs[0]);
}
static evr_status list_binary(const void *count, const evr_plan_options *options,
                              evr_variant_report *out, size_t capacity, size_t *number) {
  return evr_sigmoid_cross_entropy_list_variants(*(const int64_t *)count, options, out, capacity,
                                                 number);
}
static const gradient_operation binary = {create_binary,  destroy_binary, variant_binary,
                                          execute_binary, NULL,           list_binary};

/* ---- cases ---- */

typedef void softmax_visit(walk *w, const evr_softmax_desc *d, test_values values);

static gradient_case softmax_case(const gradient_operation *operation, const evr_softmax_desc *d,
                                  test_values values) {
  gradient_case c = {.operation = operation, .desc = d};
  snprintf(c.text, sizeof c.text, "%s %" PRId64 " x %" PRId64 "x%" PRId64 "x%" PRId64 " (h,w,c) %s",
           d->layout == EVR_NHWC ? "NHWC" : "NCHW", d->batch, d->height, d->width, d->channels,
           values_name(values));
  return c;
}

static void visit_backward(walk *w, const evr_softmax_desc *d, test_values values) {
  gradient_case c = softmax_case(&backward, d, values);
  const int64_t count = d->batch * d->channels * d->height * d->width;
  float *dy = gradient_floats(w, values, 5, count), *y = gradient_floats(w, values, 5, count);
  c.inputs[DY] = (gradient_input){dy, count};
  c.inputs[Y] = (gradient_input){y, count};
  c.outputs[0] = count;
  c.in_place = 1u << random_between(&w->random, DY, Y);
  gradient_against_reference(w, &c);
  free(dy);
  free(y);
}

static void visit_entropy(walk *w, const evr_softmax_desc *d, test_values values) {
  const int64_t rows = d->batch * d->height * d->width, count = rows * d->channels;
  float *x = gradient_floats(w, values, 50, count);
  float *targets = gradient_floats(w, values, 50, count);
  int32_t *labels = malloc((size_t)rows * sizeof *labels);
  if (labels == NULL) abort();
  for (int64_t i = 0; i < count; i++) {
    x[i] *= 8.0f;
    if (random_chance(&w->random, 30)) targets[i] = 0.0f;
  }
  for (int64_t i = 0; i < rows; i++)
    labels[i] = (int32_t)random_between(&w->random, 0, d->channels - 1);
  for (int labelled = 0; labelled < 2 && !walk_failed(w); labelled++) {
    gradient_case c = softmax_case(&entropy, d, values);
    c.inputs[X] = (gradient_input){x, count};
    c.inputs[LABELS] = (gradient_input){labelled ? labels : NULL, rows};
    c.inputs[TARGETS] = (gradient_input){labelled ? NULL : targets, count};
    c.outputs[0] = count;
    c.outputs[1] = rows;
    gradient_against_reference(w, &c);
  }
  free(x);
  free(targets);
  free(labels);
}

static void softmax_grid(walk *w, softmax_visit *visit) {
  static const test_values values[] = {VALUES_REALS, VALUES_SPECIAL, VALUES_WIDE, VALUES_TINY};
  int64_t index = 0;
  for (int l = 0; l < 2; l++) {
    const evr_layout layout = l ? EVR_NCHW : EVR_NHWC;
    for (int64_t channels = 1; channels <= 70; channels++, index++) {
      const evr_softmax_desc rows = {3, channels, 1, 1, layout};
      const evr_softmax_desc images = {2, channels, 1 + channels % 3, 1 + channels % 7, layout};
      if (!walk_take(w, index)) continue;
      visit(w, &rows, values[index % COUNT(values)]);
      visit(w, &images, values[(index + 1) % COUNT(values)]);
    }
    const evr_softmax_desc large[] = {
        {70, 1000, 1, 1, layout}, {2, 10, 64, 67, layout}, {1, 5, 1, 3001, layout}};
    for (int i = 0; i < COUNT(large); i++, index++)
      if (walk_take(w, index)) visit(w, &large[i], values[i]);
  }
}

static void check_backward(walk *w) { softmax_grid(w, visit_backward); }
static void check_entropy(walk *w) { softmax_grid(w, visit_entropy); }

static void check_binary(walk *w) {
  static const test_values values[] = {VALUES_WIDE, VALUES_BITS, VALUES_SPECIAL, VALUES_TINY};
  static const int64_t counts[] = {8191, 8192, 8193, 40007};
  for (int64_t index = 1; index <= 70 + COUNT(counts); index++) {
    if (!walk_take(w, index)) continue;
    const int64_t count = index <= 70 ? index : counts[index - 71];
    const test_values kind = values[index % COUNT(values)];
    gradient_case c = {.operation = &binary, .desc = &count};
    snprintf(c.text, sizeof c.text, "count %" PRId64 " %s", count, values_name(kind));
    float *x = gradient_floats(w, kind, 4, count), *t = gradient_floats(w, kind, 4, count);
    c.inputs[0] = (gradient_input){x, count};
    c.inputs[1] = (gradient_input){t, count};
    c.outputs[0] = c.outputs[1] = count;
    gradient_against_reference(w, &c);
    free(x);
    free(t);
  }
}

const walk_check loss_checks[] = {
    {"grid", EVR_OP_SOFTMAX_BACKWARD, check_backward, true},
    {"grid", EVR_OP_SOFTMAX_CROSS_ENTROPY, check_entropy, true},
    {"grid", EVR_OP_SIGMOID_CROSS_ENTROPY, check_binary, true},
    {NULL, EVR_OPERATIONS, NULL, false},
};
