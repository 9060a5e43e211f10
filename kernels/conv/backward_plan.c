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
  evr_backward_plan *made = evr_plan_new(&settings->allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = *problem;
  made->sizes = *sizes;
  /* It fits: a variant of more than EVR_MOST_MEMORY is not chosen. */
  made->scratch_bytes =
      kernel->workspace_size != NULL ? evr_size_lines(kernel->workspace_size(problem)) : 0;
  *plan = made;
  return EVR_OK;
}

int evr_backward_plan_threads(const evr_backward_plan *plan) {
  return plan != NULL ? plan->problem.common.parallel.threads : 0;
}

size_t evr_backward_workspace_size(const evr_backward_plan *plan) {
  if (plan == NULL || plan->scratch_bytes == 0) return 0;
  return plan->scratch_bytes + EVR_ALIGNMENT - 1;
}

evr_status evr_backward_take_workspace(const evr_backward_plan *plan, void *given, void **own,
                                       void **workspace) {
  const size_t bytes = evr_backward_workspace_size(plan);
  *own = *workspace = NULL;
  if (bytes == 0) return EVR_OK;
  if (given == NULL) {
    *own = evr_allocate(&plan->head.allocator, bytes);
    if (*own == NULL)
      return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes of workspace", bytes);
  }
  *workspace = evr_align(given != NULL ? given : *own);
  return EVR_OK;
}

/* The forward pass's line, and what of the descriptor that lacks. */
void evr_backward_describe(const void *problem, char *text, size_t size) {
  const evr_conv2d_backward_problem *p = problem;
  evr_conv2d_trial.describe(&p->conv, text, size);
  const size_t length = strlen(text);
  snprintf(text + length, size - length, " then %d", (int)p->activation.kind);
}
