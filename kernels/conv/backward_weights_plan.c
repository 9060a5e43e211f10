/* The public calls of backward weights: check, choose, then hand over to the variant. */
#include "conv/backward_plan.h"
#include "core/check.h"
#include "core/memory.h"
#include "core/status.h"
#include "evrisim/conv2d_backward.h"

struct evr_conv2d_backward_weights_plan {
  evr_backward_plan plan; /* all that there is; the type is for the caller's compiler */
};

static void count(const void *problem, int64_t *x, int64_t *weights, int64_t *y) {
  const evr_conv2d_sizes *s = &((const evr_conv2d_backward_problem *)problem)->conv.sizes;
  *x = s->x_count;
  *weights = s->y_count;
  *y = s->weights_count;
}

static void execute_trial(const evr_kernel *kernel, const void *problem,
                          const evr_trial_buffers *b) {
  const evr_conv2d_backward_weights_call call = {
      .x = b->x, .g = b->weights, .dweights = b->y, .workspace = b->workspace};
  kernel->forward(problem, &call);
}

static const evr_trial trial = {evr_backward_describe, count, evr_backward_kept_size,
                                evr_backward_keep, execute_trial};

static evr_status prepare(const evr_conv2d_desc *desc, const evr_plan_options *options,
                          evr_conv2d_backward_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_conv2d_backward_problem_init(problem, desc));
  return evr_backward_settle(EVR_OP_CONV2D_BACKWARD_WEIGHTS, options, problem, settings);
}

evr_status evr_conv2d_backward_weights_plan_create(const evr_conv2d_desc *desc,
                                                   const evr_plan_options *options,
                                                   evr_conv2d_backward_weights_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_conv2d_backward_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  evr_backward_plan *made;
  EVR_TRY(evr_backward_plan_new(EVR_OP_CONV2D_BACKWARD_WEIGHTS, &settings, &problem,
                                &problem.conv.sizes, &trial, &made));
  EVR_TRY(evr_backward_plan_add(&made, options, &settings, &desc->activation, NULL));
  *plan = (evr_conv2d_backward_weights_plan *)made;
  return EVR_OK;
}

void evr_conv2d_backward_weights_plan_destroy(evr_conv2d_backward_weights_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_conv2d_backward_weights_plan_variant(const evr_conv2d_backward_weights_plan *plan) {
  return evr_plan_variant(plan);
}

int evr_conv2d_backward_weights_plan_threads(const evr_conv2d_backward_weights_plan *plan) {
  return evr_backward_plan_threads((const evr_backward_plan *)plan);
}

size_t evr_conv2d_backward_weights_workspace_size(const evr_conv2d_backward_weights_plan *plan) {
  return evr_backward_workspace_size((const evr_backward_plan *)plan);
}

static evr_status check_call(const evr_backward_plan *plan,
                             const evr_conv2d_backward_weights_arguments *a) {
  const evr_backward_given given = {a->dy, a->y, a->z};
  EVR_TRY(evr_backward_check_given(plan, &given));
  if (a->dweights == NULL && a->dbias == NULL)
    return evr_fail(EVR_INVALID_ARGUMENT, "dweights is NULL, and so is dbias; give one of them");
  if (a->dweights != NULL) EVR_TRY(evr_check_pointer("x", a->x));
  const evr_conv2d_sizes *s = &plan->sizes;
  const size_t y_bytes = (size_t)s->y_count * sizeof(float);
  const bool read = plan->slope != NULL;
  const evr_buffer buffers[] = {
      {"x", a->dweights != NULL ? a->x : NULL, (size_t)s->x_count * sizeof(float), false},
      {"dy", a->dy, y_bytes, false},
      {"y", read ? a->y : NULL, y_bytes, false},
      {"z", read ? a->z : NULL, y_bytes, false},
      {"dweights", a->dweights, (size_t)s->weights_count * sizeof(float), true},
      {"dbias", a->dbias, (size_t)s->bias_count * sizeof(float), true},
      {"workspace", a->workspace, evr_backward_workspace_size(plan), true},
  };
  return evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]);
}

evr_status evr_conv2d_backward_weights_execute(
    const evr_conv2d_backward_weights_plan *plan,
    const evr_conv2d_backward_weights_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_backward_plan *p = &plan->plan;
  const evr_conv2d_backward_weights_arguments *a = arguments;
  EVR_TRY(check_call(p, a));
  void *own, *workspace;
  EVR_TRY(evr_take_workspace(&p->head.allocator, evr_backward_workspace_size(p), a->workspace, &own,
                             &workspace));
  const evr_backward_given given = {a->dy, a->y, a->z};
  const evr_conv2d_backward_weights_call call = {
      .x = a->x,
      .g = evr_backward_gradient(p, &given, workspace, NULL),
      .dweights = a->dweights,
      .dbias = a->dbias,
      .workspace = workspace};
  p->head.variant->kernel->forward(&p->problem, &call);
  evr_release(&p->head.allocator, own);
  return EVR_OK;
}

evr_status evr_conv2d_backward_weights(const evr_conv2d_desc *desc, const evr_plan_options *options,
                                       const evr_conv2d_backward_weights_arguments *arguments) {
  evr_conv2d_backward_weights_plan *plan;
  EVR_TRY(evr_conv2d_backward_weights_plan_create(desc, options, &plan));
  const evr_status status = evr_conv2d_backward_weights_execute(plan, arguments);
  evr_conv2d_backward_weights_plan_destroy(plan);
  return status;
}

evr_status evr_conv2d_backward_weights_list_variants(const evr_conv2d_desc *desc,
                                                     const evr_plan_options *options,
                                                     evr_variant_report *list, size_t capacity,
                                                     size_t *count_of_list) {
  evr_conv2d_backward_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_CONV2D_BACKWARD_WEIGHTS, &settings, &problem, &trial, list,
                           capacity, count_of_list);
}
