#include "conv/backward_plan.h"

#include <stdio.h>
#include <string.h>

#include "conv/trial.h"
#include "core/check.h"
#include "core/checked.h"
#include "core/memory.h"
#include "core/status.h"

evr_status evr_backward_settle(evr_operation operation, const evr_plan_options *options,
                               evr_conv2d_backward_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&problem->common, settings, 0.0);
  evr_problem_take_threads(operation, settings, &problem->common);
  return EVR_OK;
}

evr_status evr_backward_plan_new(evr_operation operation, const evr_settings *settings,
                                 const evr_conv2d_backward_problem *problem,
                                 const evr_conv2d_sizes *sizes, const evr_trial *trial,
                                 evr_backward_plan **plan) {
  const evr_variant *variant;
  EVR_TRY(evr_choose(operation, settings, problem, trial, &variant));
  const evr_kernel *kernel = variant->kernel;
  const size_t begin = evr_size_lines(sizeof(evr_backward_plan));
  const size_t state = kernel->state_size != NULL ? kernel->state_size(problem) : 0;
  evr_backward_plan *made = evr_plan_new(&settings->allocator, variant, begin + state);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = *problem;
  made->problem.state = state > 0 ? (char *)made + begin : NULL;
  if (state > 0) kernel->make_state(&made->problem, (char *)made + begin);
  made->sizes = *sizes;
  made->slope = made->fold = NULL;
  made->gradient_bytes = made->padded_bytes = 0;
  /* It fits: a variant of more than EVR_MOST_MEMORY is not chosen. */
  made->scratch_bytes =
      kernel->workspace_size != NULL ? evr_size_lines(kernel->workspace_size(problem)) : 0;
  made->packed_bytes =
      kernel->packed_size != NULL ? evr_size_lines(kernel->packed_size(problem)) : 0;
  *plan = made;
  return EVR_OK;
}

/* A forced name binds these too where they have a variant so called; see choose_pool in plan.c. */
static evr_status choose_leniently(evr_operation operation, const evr_settings *settings,
                                   const void *problem, const evr_kernel **kernel) {
  evr_settings lenient = *settings;
  lenient.variant_may_be_missing = true;
  const evr_variant *variant;
  EVR_TRY(evr_choose(operation, &lenient, problem, NULL, &variant));
  *kernel = variant->kernel;
  return EVR_OK;
}

static evr_status add_activation(evr_backward_plan *plan, const evr_plan_options *options,
                                 const evr_settings *settings, const evr_activation *activation) {
  if (activation->kind == EVR_IDENTITY) return EVR_OK;
  const evr_activation_desc desc = {*activation, plan->sizes.y_count};
  evr_settings same;
  EVR_TRY(evr_activation_prepare(&desc, options, &plan->activation, &same));
  plan->gradient_bytes = evr_size_floats(plan->sizes.y_count);
  return choose_leniently(EVR_OP_ACTIVATION_BACKWARD, settings, &plan->activation, &plan->slope);
}

static evr_status add_fold(evr_backward_plan *plan, const evr_settings *settings,
                           const evr_pad2d_problem *pad) {
  if (pad == NULL) return EVR_OK;
  plan->pad = *pad;
  evr_problem_init(&plan->pad.common, settings,
                   4.0 * ((double)pad->sizes.x_count + (double)pad->sizes.y_count));
  plan->padded_bytes = evr_size_floats(pad->sizes.y_count);
  return choose_leniently(EVR_OP_PAD2D_BACKWARD, settings, &plan->pad, &plan->fold);
}

evr_status evr_backward_plan_add(evr_backward_plan **plan, const evr_plan_options *options,
                                 const evr_settings *settings, const evr_activation *activation,
                                 const evr_pad2d_problem *pad) {
  evr_backward_plan *p = *plan;
  evr_status status = add_activation(p, options, settings, activation);
  if (status == EVR_OK) status = add_fold(p, settings, pad);
  if (status == EVR_OK && evr_size_sum(evr_size_sum(p->scratch_bytes, p->packed_bytes),
                                       evr_size_sum(p->gradient_bytes, p->padded_bytes)) >
                              (size_t)PTRDIFF_MAX - EVR_ALIGNMENT)
    status =
        evr_fail(EVR_OVERFLOW, "the workspace of %s does not fit in memory", p->head.variant->name);
  if (status == EVR_OK) return EVR_OK;
  evr_plan_free(p);
  *plan = NULL;
  return status;
}

evr_status evr_backward_check_given(const evr_backward_plan *plan,
                                    const evr_backward_given *given) {
  EVR_TRY(evr_check_pointer("dy", given->dy));
  if (plan->slope == NULL) return EVR_OK;
  evr_saved saved;
  return evr_activation_find_saved(&plan->activation.activation, given->y, given->z, &saved);
}

const float *evr_backward_gradient(const evr_backward_plan *plan, const evr_backward_given *given,
                                   void *workspace, float *to) {
  if (plan->slope == NULL) {
    if (to != NULL) memcpy(to, given->dy, (size_t)plan->sizes.y_count * sizeof *to);
    return given->dy;
  }
  if (to == NULL) to = (float *)(void *)((char *)workspace + plan->scratch_bytes);
  evr_activation_backward_call call = {.dy = given->dy, .dx = to};
  evr_activation_find_saved(&plan->activation.activation, given->y, given->z, &call.saved);
  plan->slope->forward(&plan->activation, &call);
  return to;
}

int evr_backward_plan_threads(const evr_backward_plan *plan) {
  return plan != NULL ? plan->problem.common.parallel.threads : 0;
}

size_t evr_backward_workspace_size(const evr_backward_plan *plan) {
  if (plan == NULL) return 0;
  return evr_with_slack(plan->scratch_bytes + plan->gradient_bytes + plan->padded_bytes +
                        plan->packed_bytes);
}

const void *evr_backward_packed(const evr_backward_plan *plan, const float *weights,
                                const void *packed, void *workspace) {
  if (plan->packed_bytes == 0) return NULL;
  if (packed != NULL) return evr_align((void *)(uintptr_t)packed);
  void *to = (char *)workspace + plan->scratch_bytes + plan->gradient_bytes + plan->padded_bytes;
  plan->head.variant->kernel->pack(&plan->problem, weights, to);
  return to;
}

/* The forward pass's line, and what of the descriptor that lacks. */
void evr_backward_describe(const void *problem, char *text, size_t size) {
  const evr_conv2d_backward_problem *p = problem;
  evr_conv2d_trial.describe(&p->conv, text, size);
  const size_t length = strlen(text);
  snprintf(text + length, size - length, " then %d", (int)p->activation.kind);
}

size_t evr_backward_kept_size(const evr_kernel *kernel, const void *problem) {
  const size_t state = kernel->state_size != NULL ? kernel->state_size(problem) : 0;
  return state > 0 ? evr_size_sum(evr_size_lines(sizeof(evr_conv2d_backward_problem)), state) : 0;
}

const void *evr_backward_keep(const evr_kernel *kernel, const void *problem, void *memory) {
  evr_conv2d_backward_problem *kept = memory;
  memcpy(kept, problem, sizeof *kept);
  void *state = (char *)memory + evr_size_lines(sizeof *kept);
  kept->state = state;
  kernel->make_state(kept, state);
  return kept;
}
