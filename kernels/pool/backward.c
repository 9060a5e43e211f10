/* The public calls of the backward pass of pooling. */
#include "pool/backward.h"

#include "core/check.h"
#include "core/choose.h"
#include "core/memory.h"
#include "core/plan_head.h"
#include "core/status.h"

struct evr_pool2d_backward_plan {
  evr_plan_head head;
  evr_pool2d_problem problem;
  size_t workspace_bytes; /* without slack for alignment */
};

static evr_status prepare(const evr_pool2d_desc *desc, const evr_plan_options *options,
                          evr_pool2d_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_pool2d_problem_init(problem, desc, &evr_pool2d_desc_names));
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&problem->common, settings, problem->work);
  return EVR_OK;
}

evr_status evr_pool2d_backward_plan_create(const evr_pool2d_desc *desc,
                                           const evr_plan_options *options,
                                           evr_pool2d_backward_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_pool2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_POOL2D_BACKWARD, &settings, &problem, NULL, &variant));
  const evr_kernel *kernel = variant->kernel;
  evr_pool2d_backward_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  made->workspace_bytes = kernel->workspace_size != NULL ? kernel->workspace_size(&problem) : 0;
  *plan = made;
  return EVR_OK;
}

void evr_pool2d_backward_plan_destroy(evr_pool2d_backward_plan *plan) { evr_plan_free(plan); }

const char *evr_pool2d_backward_plan_variant(const evr_pool2d_backward_plan *plan) {
  return evr_plan_variant(plan);
}

size_t evr_pool2d_backward_workspace_size(const evr_pool2d_backward_plan *plan) {
  return plan != NULL ? evr_with_slack(plan->workspace_bytes) : 0;
}

static evr_status check_call(const evr_pool2d_backward_plan *plan,
                             const evr_pool2d_backward_call *call) {
  EVR_TRY(evr_check_pointer("dy", call->dy));
  EVR_TRY(evr_check_pointer("dx", call->dx));
  if (call->indices != NULL) EVR_TRY(evr_pool2d_check_indices(&plan->problem.desc));
  const bool average = plan->problem.desc.window.kind == EVR_POOL_AVERAGE;
  if (!average && call->indices == NULL && call->x == NULL)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "indices and x are NULL; the gradient goes to the winner of each window, which "
                    "is given by the indices of the forward pass, or found in x again");
  const evr_pool2d_sizes *s = &plan->problem.sizes;
  const evr_buffer buffers[] = {
      {"dy", call->dy, (size_t)s->y_count * sizeof(float), false},
      {"indices", call->indices, (size_t)s->y_count * sizeof(int32_t), false},
      {"x", call->x, (size_t)s->x_count * sizeof(float), false},
      {"dx", call->dx, (size_t)s->x_count * sizeof(float), true},
      {"workspace", call->workspace, evr_pool2d_backward_workspace_size(plan), true},
  };
  return evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]);
}

evr_status evr_pool2d_backward_execute(const evr_pool2d_backward_plan *plan, const float *dy,
                                       const int32_t *indices, const float *x, float *dx,
                                       void *workspace) {
  EVR_TRY(evr_check_pointer("plan", plan));
  evr_pool2d_backward_call call = {dy, indices, x, dx, workspace};
  EVR_TRY(check_call(plan, &call));
  const size_t bytes = evr_pool2d_backward_workspace_size(plan);
  void *own;
  EVR_TRY(evr_take_workspace(&plan->head.allocator, bytes, workspace, &own, &call.workspace));
  plan->head.variant->kernel->forward(&plan->problem, &call);
  evr_release(&plan->head.allocator, own);
  return EVR_OK;
}

evr_status evr_pool2d_backward(const evr_pool2d_desc *desc, const evr_plan_options *options,
                               const float *dy, const int32_t *indices, const float *x, float *dx) {
  evr_pool2d_backward_plan *plan;
  EVR_TRY(evr_pool2d_backward_plan_create(desc, options, &plan));
  const evr_status status = evr_pool2d_backward_execute(plan, dy, indices, x, dx, NULL);
  evr_pool2d_backward_plan_destroy(plan);
  return status;
}

evr_status evr_pool2d_backward_list_variants(const evr_pool2d_desc *desc,
                                             const evr_plan_options *options,
                                             evr_variant_report *list, size_t capacity,
                                             size_t *count) {
  evr_pool2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_POOL2D_BACKWARD, &settings, &problem, NULL, list, capacity,
                           count);
}
