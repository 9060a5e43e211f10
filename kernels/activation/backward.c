/* The public calls of the gradients of elementwise functions, and their reference: one value after
 * the other, by derivatives.h in its plain C form. */
#include "activation/backward.h"

#include "core/check.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "core/status.h"

struct evr_activation_backward_plan {
  evr_plan_head head;
  evr_activation_problem problem;
};

bool evr_activation_needs_z(const evr_activation *activation) {
  if (activation == NULL) return false;
  switch (activation->kind) {
    case EVR_LEAKY_RELU:
    case EVR_ELU: return activation->alpha < 0.0f; /* two arguments may then have one result */
    case EVR_HARD_SWISH:
    case EVR_SILU:
    case EVR_GELU:
    case EVR_GELU_TANH: return true;
    default: return false;
  }
}

evr_status evr_activation_find_saved(const evr_activation *activation, const float *y,
                                     const float *z, evr_saved *saved) {
  const bool needs_z = evr_activation_needs_z(activation);
  *saved = (evr_saved){needs_z || y == NULL ? z : y, needs_z || y == NULL};
  if (activation->kind == EVR_IDENTITY) saved->values = NULL;
  if (activation->kind == EVR_IDENTITY || saved->values != NULL) return EVR_OK;
  if (needs_z)
    return evr_fail(
        EVR_INVALID_ARGUMENT,
        "z is NULL; the derivative of desc.activation.kind %d with alpha %g needs the "
        "value before the activation, for its result does not tell which of two that was",
        (int)activation->kind, (double)activation->alpha);
  return evr_fail(EVR_INVALID_ARGUMENT,
                  "y and z are NULL; the derivative of desc.activation.kind %d needs the result of "
                  "the forward pass, or the value before the activation",
                  (int)activation->kind);
}

evr_status evr_activation_backward_plan_create(const evr_activation_desc *desc,
                                               const evr_plan_options *options,
                                               evr_activation_backward_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_activation_problem problem;
  evr_settings settings;
  EVR_TRY(evr_activation_prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_ACTIVATION_BACKWARD, &settings, &problem, NULL, &variant));
  evr_activation_backward_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_activation_backward_plan_destroy(evr_activation_backward_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_activation_backward_plan_variant(const evr_activation_backward_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_activation_backward_execute(const evr_activation_backward_plan *plan,
                                           const float *dy, const float *y, const float *z,
                                           float *dx) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("dy", dy));
  EVR_TRY(evr_check_pointer("dx", dx));
  evr_activation_backward_call call = {.dy = dy, .dx = dx};
  EVR_TRY(evr_activation_find_saved(&plan->problem.activation, y, z, &call.saved));
  const size_t bytes = (size_t)plan->problem.count * sizeof(float);
  const evr_buffer buffers[] = {
      {"dy", dy == dx ? NULL : dy, bytes, false},
      {"y", y == dx ? NULL : y, bytes, false},
      {"z", z == dx ? NULL : z, bytes, false},
      {"dx", dx, bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_activation_backward(const evr_activation_desc *desc, const evr_plan_options *options,
                                   const float *dy, const float *y, const float *z, float *dx) {
  evr_activation_backward_plan *plan;
  EVR_TRY(evr_activation_backward_plan_create(desc, options, &plan));
  const evr_status status = evr_activation_backward_execute(plan, dy, y, z, dx);
  evr_activation_backward_plan_destroy(plan);
  return status;
}

evr_status evr_activation_backward_list_variants(const evr_activation_desc *desc,
                                                 const evr_plan_options *options,
                                                 evr_variant_report *list, size_t capacity,
                                                 size_t *count) {
  evr_activation_problem problem;
  evr_settings settings;
  EVR_TRY(evr_activation_prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_ACTIVATION_BACKWARD, &settings, &problem, NULL, list, capacity,
                           count);
}

static void reference(const void *problem, const void *arguments) {
  const evr_activation_problem *p = problem;
  const evr_activation_backward_call *call = arguments;
  for (int64_t i = 0; i < p->count; i++) {
    evr_saved one = call->saved;
    if (one.values != NULL) one.values += i;
    evr_activation_backward_apply_scalar(&p->activation, call->dy + i, one, call->dx + i, 1);
  }
}

static double cost(const void *problem) {
  return 100.0 + ((const evr_activation_problem *)problem)->work;
}

const evr_kernel evr_activation_backward_reference = {.cost = cost, .forward = reference};
