/* The public calls of dense layers: check, choose, then hand over to the variant. */
#include "core/check.h"
#include "core/choose.h"
#include "core/memory.h"
#include "core/plan_head.h"
#include "core/status.h"
#include "dense/problem.h"
#include "dense/trial.h"

/* No variant needs scratch beside packed weights, and some can do without those. */
struct evr_dense_plan {
  evr_plan_head head;
  evr_dense_problem problem;
  size_t packed_bytes; /* without slack for alignment */
};

static evr_status prepare(const evr_dense_desc *desc, const evr_plan_options *options,
                          evr_dense_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_dense_problem_init(problem, desc));
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&problem->common, settings, 2.0 * problem->multiplies);
  return EVR_OK;
}

evr_status evr_dense_plan_create(const evr_dense_desc *desc, const evr_plan_options *options,
                                 evr_dense_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_dense_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_DENSE, &settings, &problem, &evr_dense_trial, &variant));
  const evr_kernel *kernel = variant->kernel;
  const size_t packed = kernel->packed_size != NULL ? kernel->packed_size(&problem) : 0;
  evr_dense_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  made->packed_bytes = packed;
  *plan = made;
  return EVR_OK;
}

void evr_dense_plan_destroy(evr_dense_plan *plan) { evr_plan_free(plan); }

const char *evr_dense_plan_variant(const evr_dense_plan *plan) { return evr_plan_variant(plan); }

size_t evr_dense_packed_size(const evr_dense_plan *plan) {
  return plan != NULL ? evr_with_slack(plan->packed_bytes) : 0;
}

size_t evr_dense_workspace_size(const evr_dense_plan *plan, bool packed) {
  const bool none = packed || plan == NULL || plan->head.variant->kernel->reads_plain;
  return none ? 0 : evr_dense_packed_size(plan);
}

evr_status evr_dense_pack(const evr_dense_plan *plan, const float *weights, void *packed) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("weights", weights));
  if (plan->packed_bytes == 0) return EVR_OK;
  EVR_TRY(evr_check_pointer("packed", packed));
  const evr_buffer buffers[] = {
      {"weights", weights, (size_t)plan->problem.weights_count * sizeof *weights, false},
      {"packed", packed, evr_dense_packed_size(plan), true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  plan->head.variant->kernel->pack(&plan->problem, weights, evr_align(packed));
  return EVR_OK;
}

static evr_status check_call(const evr_dense_plan *plan, const evr_dense_arguments *a,
                             bool packed) {
  EVR_TRY(evr_check_pointer("x", a->x));
  EVR_TRY(evr_check_pointer("y", a->y));
  if (!packed) EVR_TRY(evr_check_pointer("weights", a->weights));
  const evr_dense_problem *p = &plan->problem;
  const size_t bias_bytes = (size_t)p->desc.out_features * sizeof(float);
  const evr_buffer buffers[] = {
      {"x", a->x, (size_t)p->x_count * sizeof(float), false},
      {"weights", packed ? NULL : a->weights, (size_t)p->weights_count * sizeof(float), false},
      {"packed", packed ? a->packed : NULL, evr_dense_packed_size(plan), false},
      {"bias", a->bias, bias_bytes, false},
      {"y", a->y, (size_t)p->y_count * sizeof(float), true},
      {"workspace", a->workspace, evr_dense_workspace_size(plan, packed), true},
  };
  return evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]);
}

evr_status evr_dense_execute(const evr_dense_plan *plan, const evr_dense_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_dense_arguments *a = arguments;
  const bool packed = a->packed != NULL && plan->packed_bytes > 0;
  EVR_TRY(check_call(plan, a, packed));
  const size_t bytes = evr_dense_workspace_size(plan, packed);
  void *own, *workspace;
  EVR_TRY(evr_take_workspace(&plan->head.allocator, bytes, a->workspace, &own, &workspace));
  evr_dense_call call = {.x = a->x, .weights = a->weights, .bias = a->bias, .y = a->y};
  if (packed) {
    call.packed = evr_align((void *)(uintptr_t)a->packed);
  } else if (plan->packed_bytes > 0 && !plan->head.variant->kernel->reads_plain) {
    plan->head.variant->kernel->pack(&plan->problem, a->weights, workspace);
    call.packed = workspace;
  }
  plan->head.variant->kernel->forward(&plan->problem, &call);
  evr_release(&plan->head.allocator, own);
  return EVR_OK;
}

evr_status evr_dense_forward(const evr_dense_plan *plan, const float *x, const float *weights,
                             const float *bias, float *y, void *workspace) {
  const evr_dense_arguments arguments = {
      .x = x, .weights = weights, .bias = bias, .y = y, .workspace = workspace};
  return evr_dense_execute(plan, &arguments);
}

evr_status evr_dense(const evr_dense_desc *desc, const evr_plan_options *options, const float *x,
                     const float *weights, const float *bias, float *y) {
  evr_dense_plan *plan;
  EVR_TRY(evr_dense_plan_create(desc, options, &plan));
  const evr_status status = evr_dense_forward(plan, x, weights, bias, y, NULL);
  evr_dense_plan_destroy(plan);
  return status;
}

evr_status evr_dense_list_variants(const evr_dense_desc *desc, const evr_plan_options *options,
                                   evr_variant_report *list, size_t capacity, size_t *count) {
  evr_dense_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_DENSE, &settings, &problem, &evr_dense_trial, list, capacity,
                           count);
}
