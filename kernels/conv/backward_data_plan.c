/* The public calls of backward data: check, choose, then hand over to the variant. */
#include "conv/backward_data.h"
#include "conv/backward_plan.h"
#include "core/check.h"
#include "core/memory.h"
#include "core/status.h"
#include "evrisim/conv2d_backward.h"

struct evr_conv2d_backward_data_plan {
  evr_backward_plan plan; /* all that there is; the type is for the caller's compiler */
};

static void count(const void *problem, int64_t *x, int64_t *weights, int64_t *y) {
  const evr_conv2d_sizes *s = &((const evr_conv2d_backward_problem *)problem)->conv.sizes;
  *x = s->y_count;
  *weights = s->weights_count;
  *y = s->x_count;
}

static void execute_trial(const evr_kernel *kernel, const void *problem,
                          const evr_trial_buffers *b) {
  const evr_conv2d_backward_data_call call = {
      .g = b->x, .weights = b->weights, .dx = b->y, .workspace = b->workspace};
  kernel->forward(problem, &call);
}

const evr_trial evr_conv2d_backward_data_trial = {evr_backward_describe, count, execute_trial};

static evr_status prepare(const evr_conv2d_desc *desc, const evr_plan_options *options,
                          evr_conv2d_backward_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_conv2d_backward_problem_init(problem, desc));
  if (desc->activation.kind != EVR_IDENTITY || desc->pad_mode != EVR_PAD_ZERO)
    return evr_fail(EVR_UNSUPPORTED,
                    "desc.activation.kind is %d and desc.pad_mode %d; backward data takes neither "
                    "an activation nor a padding other than zeros yet",
                    (int)desc->activation.kind, (int)desc->pad_mode);
  return evr_backward_settle(EVR_OP_CONV2D_BACKWARD_DATA, options, problem, settings);
}

evr_status evr_conv2d_backward_data_plan_create(const evr_conv2d_desc *desc,
                                                const evr_plan_options *options,
                                                evr_conv2d_backward_data_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_conv2d_backward_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  evr_backward_plan *made;
  EVR_TRY(evr_backward_plan_new(EVR_OP_CONV2D_BACKWARD_DATA, &settings, &problem,
                                &problem.conv.sizes, &evr_conv2d_backward_data_trial, &made));
  *plan = (evr_conv2d_backward_data_plan *)made;
  return EVR_OK;
}

void evr_conv2d_backward_data_plan_destroy(evr_conv2d_backward_data_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_conv2d_backward_data_plan_variant(const evr_conv2d_backward_data_plan *plan) {
  return evr_plan_variant(plan);
}

int evr_conv2d_backward_data_plan_threads(const evr_conv2d_backward_data_plan *plan) {
  return evr_backward_plan_threads((const evr_backward_plan *)plan);
}

size_t evr_conv2d_backward_data_workspace_size(const evr_conv2d_backward_data_plan *plan) {
  return evr_backward_workspace_size((const evr_backward_plan *)plan);
}

static evr_status check_call(const evr_backward_plan *plan,
                             const evr_conv2d_backward_data_arguments *a) {
  EVR_TRY(evr_check_pointer("dy", a->dy));
  EVR_TRY(evr_check_pointer("weights", a->weights));
  EVR_TRY(evr_check_pointer("dx", a->dx));
  const evr_conv2d_sizes *s = &plan->sizes;
  const size_t y_bytes = (size_t)s->y_count * sizeof(float);
  const evr_buffer buffers[] = {
      {"dy", a->dy, y_bytes, false},
      {"weights", a->weights, (size_t)s->weights_count * sizeof(float), false},
      {"dx", a->dx, (size_t)s->x_count * sizeof(float), true},
      {"dresidual", a->dresidual, y_bytes, true},
      {"workspace", a->workspace, evr_backward_workspace_size(plan), true},
  };
  return evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]);
}

evr_status evr_conv2d_backward_data_execute(const evr_conv2d_backward_data_plan *plan,
                                            const evr_conv2d_backward_data_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_backward_plan *p = &plan->plan;
  const evr_conv2d_backward_data_arguments *a = arguments;
  EVR_TRY(check_call(p, a));
  void *own, *workspace;
  EVR_TRY(evr_backward_take_workspace(p, a->workspace, &own, &workspace));
  if (a->dresidual != NULL) memcpy(a->dresidual, a->dy, (size_t)p->sizes.y_count * sizeof *a->dy);
  const evr_conv2d_backward_data_call call = {
      .g = a->dy, .weights = a->weights, .dx = a->dx, .workspace = workspace};
  p->head.variant->kernel->forward(&p->problem, &call);
  evr_release(&p->head.allocator, own);
  return EVR_OK;
}

evr_status evr_conv2d_backward_data(const evr_conv2d_desc *desc, const evr_plan_options *options,
                                    const evr_conv2d_backward_data_arguments *arguments) {
  evr_conv2d_backward_data_plan *plan;
  EVR_TRY(evr_conv2d_backward_data_plan_create(desc, options, &plan));
  const evr_status status = evr_conv2d_backward_data_execute(plan, arguments);
  evr_conv2d_backward_data_plan_destroy(plan);
  return status;
}

evr_status evr_conv2d_backward_data_list_variants(const evr_conv2d_desc *desc,
                                                  const evr_plan_options *options,
                                                  evr_variant_report *list, size_t capacity,
                                                  size_t *count_of_list) {
  evr_conv2d_backward_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_CONV2D_BACKWARD_DATA, &settings, &problem,
                           &evr_conv2d_backward_data_trial, list, capacity, count_of_list);
}
