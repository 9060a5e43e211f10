/* The public calls of the backward passes of dense layers. */
#include "dense/backward.h"

#include "activation/backward.h"
#include "core/check.h"
#include "core/checked.h"
#include "core/memory.h"
#include "core/plan_head.h"
#include "core/status.h"

/* g = dy * activation'(...), which the identity needs no pass and no memory for. */
typedef struct slope_step {
  const evr_variant *variant; /* NULL: of the identity */
  evr_activation_problem problem;
  size_t bytes; /* of g */
} slope_step;

static evr_status plan_slope(const evr_dense_problem *p, const evr_plan_options *options,
                             slope_step *step) {
  *step = (slope_step){.problem.activation = p->desc.activation};
  if (p->desc.activation.kind == EVR_IDENTITY) return EVR_OK;
  const evr_activation_desc desc = {p->desc.activation, p->y_count};
  evr_settings settings;
  EVR_TRY(evr_activation_prepare(&desc, options, &step->problem, &settings));
  settings.variant = NULL; /* a name that is forced is one of a dense layer's */
  step->bytes = evr_size_floats(p->y_count);
  return evr_choose(EVR_OP_ACTIVATION_BACKWARD, &settings, &step->problem, NULL, &step->variant);
}

/* dy, or g made of it in memory. */
static const float *run_slope(const slope_step *step, const float *dy, evr_saved saved,
                              void *memory) {
  if (step->variant == NULL) return dy;
  const evr_activation_backward_call call = {dy, saved, memory};
  step->variant->kernel->forward(&step->problem, &call);
  return memory;
}

static evr_status prepare(const evr_dense_desc *desc, const evr_plan_options *options,
                          evr_dense_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_dense_problem_init(problem, desc));
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&problem->common, settings, 2.0 * problem->multiplies);
  return EVR_OK;
}

/* The layer whose forward pass takes g to dx. */
static evr_status exchange(evr_dense_problem *problem) {
  const evr_problem common = problem->common;
  evr_dense_desc d = problem->desc;
  d.in_features = problem->desc.out_features;
  d.out_features = problem->desc.in_features;
  d.weights_layout = d.weights_layout == EVR_IO ? EVR_OI : EVR_IO;
  d.activation = (evr_activation){EVR_IDENTITY, 0.0f};
  EVR_TRY(evr_dense_problem_init(problem, &d));
  problem->common = common;
  return EVR_OK;
}

/* ---- backward data ---- */

struct evr_dense_backward_data_plan {
  evr_plan_head head;
  evr_dense_problem problem; /* exchanged */
  slope_step slope;
  size_t packed_bytes; /* of the weights */
};

evr_status evr_dense_backward_data_plan_create(const evr_dense_desc *desc,
                                               const evr_plan_options *options,
                                               evr_dense_backward_data_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_dense_problem problem;
  evr_settings settings;
  slope_step slope;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  EVR_TRY(plan_slope(&problem, options, &slope));
  EVR_TRY(exchange(&problem));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_DENSE_BACKWARD_DATA, &settings, &problem, NULL, &variant));
  evr_dense_backward_data_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  made->slope = slope;
  const evr_kernel *kernel = variant->kernel;
  made->packed_bytes =
      kernel->packed_size != NULL && !kernel->reads_plain ? kernel->packed_size(&problem) : 0;
  *plan = made;
  return EVR_OK;
}

void evr_dense_backward_data_plan_destroy(evr_dense_backward_data_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_dense_backward_data_plan_variant(const evr_dense_backward_data_plan *plan) {
  return evr_plan_variant(plan);
}

size_t evr_dense_backward_data_workspace_size(const evr_dense_backward_data_plan *plan) {
  if (plan == NULL) return 0;
  return evr_with_slack(evr_size_sum(plan->slope.bytes, plan->packed_bytes));
}

evr_status evr_dense_backward_data_list_variants(const evr_dense_desc *desc,
                                                 const evr_plan_options *options,
                                                 evr_variant_report *list, size_t capacity,
                                                 size_t *count) {
  evr_dense_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  EVR_TRY(exchange(&problem));
  return evr_list_variants(EVR_OP_DENSE_BACKWARD_DATA, &settings, &problem, NULL, list, capacity,
                           count);
}

evr_status evr_dense_backward_data_execute(const evr_dense_backward_data_plan *plan,
                                           const evr_dense_backward_data_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_dense_backward_data_arguments *a = arguments;
  EVR_TRY(evr_check_pointer("dy", a->dy));
  EVR_TRY(evr_check_pointer("weights", a->weights));
  EVR_TRY(evr_check_pointer("dx", a->dx));
  evr_saved saved;
  EVR_TRY(evr_activation_find_saved(&plan->slope.problem.activation, a->y, a->z, &saved));
  const evr_dense_problem *p = &plan->problem;
  const size_t workspace_bytes = evr_dense_backward_data_workspace_size(plan);
  const size_t g_bytes = (size_t)p->x_count * sizeof(float);
  const evr_buffer buffers[] = {
      {"dy", a->dy, g_bytes, false},
      {"y", a->y, g_bytes, false},
      {"z", a->z, g_bytes, false},
      {"weights", a->weights, (size_t)p->weights_count * sizeof(float), false},
      {"dx", a->dx, (size_t)p->y_count * sizeof(float), true},
      {"workspace", a->workspace, workspace_bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  void *own, *memory;
  EVR_TRY(evr_take_workspace(&plan->head.allocator, workspace_bytes, a->workspace, &own, &memory));
  const evr_kernel *kernel = plan->head.variant->kernel;
  evr_dense_call call = {.weights = a->weights, .y = a->dx};
  call.x = run_slope(&plan->slope, a->dy, saved, memory);
  if (plan->packed_bytes > 0) {
    void *packed = (char *)memory + plan->slope.bytes;
    kernel->pack(p, a->weights, packed);
    call.packed = packed;
  }
  kernel->forward(p, &call);
  evr_release(&plan->head.allocator, own);
  return EVR_OK;
}

evr_status evr_dense_backward_data(const evr_dense_desc *desc, const evr_plan_options *options,
                                   const evr_dense_backward_data_arguments *arguments) {
  evr_dense_backward_data_plan *plan;
  EVR_TRY(evr_dense_backward_data_plan_create(desc, options, &plan));
  const evr_status status = evr_dense_backward_data_execute(plan, arguments);
  evr_dense_backward_data_plan_destroy(plan);
  return status;
}

/* ---- backward weights ---- */

struct evr_dense_backward_weights_plan {
  evr_plan_head head;
  evr_dense_problem problem;
  slope_step slope;
};

evr_status evr_dense_backward_weights_plan_create(const evr_dense_desc *desc,
                                                  const evr_plan_options *options,
                                                  evr_dense_backward_weights_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_dense_problem problem;
  evr_settings settings;
  slope_step slope;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  EVR_TRY(plan_slope(&problem, options, &slope));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_DENSE_BACKWARD_WEIGHTS, &settings, &problem, NULL, &variant));
  evr_dense_backward_weights_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  made->slope = slope;
  *plan = made;
  return EVR_OK;
}

void evr_dense_backward_weights_plan_destroy(evr_dense_backward_weights_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_dense_backward_weights_plan_variant(const evr_dense_backward_weights_plan *plan) {
  return evr_plan_variant(plan);
}

size_t evr_dense_backward_weights_workspace_size(const evr_dense_backward_weights_plan *plan) {
  return plan != NULL ? evr_with_slack(plan->slope.bytes) : 0;
}

evr_status evr_dense_backward_weights_list_variants(const evr_dense_desc *desc,
                                                    const evr_plan_options *options,
                                                    evr_variant_report *list, size_t capacity,
                                                    size_t *count) {
  evr_dense_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_DENSE_BACKWARD_WEIGHTS, &settings, &problem, NULL, list, capacity,
                           count);
}

evr_status evr_dense_backward_weights_execute(
    const evr_dense_backward_weights_plan *plan,
    const evr_dense_backward_weights_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_dense_backward_weights_arguments *a = arguments;
  EVR_TRY(evr_check_pointer("x", a->x));
  EVR_TRY(evr_check_pointer("dy", a->dy));
  EVR_TRY(evr_check_pointer("dweights", a->dweights));
  evr_saved saved;
  EVR_TRY(evr_activation_find_saved(&plan->slope.problem.activation, a->y, a->z, &saved));
  const evr_dense_problem *p = &plan->problem;
  const size_t workspace_bytes = evr_dense_backward_weights_workspace_size(plan);
  const size_t g_bytes = (size_t)p->y_count * sizeof(float);
  const evr_buffer buffers[] = {
      {"x", a->x, (size_t)p->x_count * sizeof(float), false},
      {"dy", a->dy, g_bytes, false},
      {"y", a->y, g_bytes, false},
      {"z", a->z, g_bytes, false},
      {"dweights", a->dweights, (size_t)p->weights_count * sizeof(float), true},
      {"dbias", a->dbias, (size_t)p->desc.out_features * sizeof(float), true},
      {"workspace", a->workspace, workspace_bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  void *own, *memory;
  EVR_TRY(evr_take_workspace(&plan->head.allocator, workspace_bytes, a->workspace, &own, &memory));
  const float *g = run_slope(&plan->slope, a->dy, saved, memory);
  const evr_dense_backward_weights_call call = {a->x, g, a->dweights, a->dbias};
  plan->head.variant->kernel->forward(p, &call);
  evr_release(&plan->head.allocator, own);
  return EVR_OK;
}

evr_status evr_dense_backward_weights(const evr_dense_desc *desc, const evr_plan_options *options,
                                      const evr_dense_backward_weights_arguments *arguments) {
  evr_dense_backward_weights_plan *plan;
  EVR_TRY(evr_dense_backward_weights_plan_create(desc, options, &plan));
  const evr_status status = evr_dense_backward_weights_execute(plan, arguments);
  evr_dense_backward_weights_plan_destroy(plan);
  return status;
}
