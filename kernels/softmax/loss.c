/* The public calls of the backward pass of softmax, and of the losses. */
#include <inttypes.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "core/status.h"
#include "softmax/loss.h"

struct evr_softmax_backward_plan {
  evr_plan_head head;
  evr_softmax_problem problem;
};
struct evr_softmax_cross_entropy_plan {
  evr_plan_head head;
  evr_softmax_problem problem;
};
struct evr_sigmoid_cross_entropy_plan {
  evr_plan_head head;
  evr_sigmoid_cross_entropy_problem problem;
};

/* ---- softmax ---- */

evr_status evr_softmax_backward_plan_create(const evr_softmax_desc *desc,
                                            const evr_plan_options *options,
                                            evr_softmax_backward_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_softmax_problem problem;
  evr_settings settings;
  EVR_TRY(evr_softmax_prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_SOFTMAX_BACKWARD, &settings, &problem, NULL, &variant));
  evr_softmax_backward_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_softmax_backward_plan_destroy(evr_softmax_backward_plan *plan) { evr_plan_free(plan); }

const char *evr_softmax_backward_plan_variant(const evr_softmax_backward_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_softmax_backward_list_variants(const evr_softmax_desc *desc,
                                              const evr_plan_options *options,
                                              evr_variant_report *list, size_t capacity,
                                              size_t *count) {
  evr_softmax_problem problem;
  evr_settings settings;
  EVR_TRY(evr_softmax_prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_SOFTMAX_BACKWARD, &settings, &problem, NULL, list, capacity,
                           count);
}

evr_status evr_softmax_backward_execute(const evr_softmax_backward_plan *plan, const float *dy,
                                        const float *y, float *dx) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("dy", dy));
  EVR_TRY(evr_check_pointer("y", y));
  EVR_TRY(evr_check_pointer("dx", dx));
  const size_t bytes = (size_t)plan->problem.count * sizeof(float);
  const evr_buffer buffers[] = {
      {"dy", dy == dx ? NULL : dy, bytes, false},
      {"y", y == dx ? NULL : y, bytes, false},
      {"dx", dx, bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  const evr_softmax_backward_call call = {dy, y, dx};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_softmax_backward(const evr_softmax_desc *desc, const evr_plan_options *options,
                                const float *dy, const float *y, float *dx) {
  evr_softmax_backward_plan *plan;
  EVR_TRY(evr_softmax_backward_plan_create(desc, options, &plan));
  const evr_status status = evr_softmax_backward_execute(plan, dy, y, dx);
  evr_softmax_backward_plan_destroy(plan);
  return status;
}

/* ---- softmax with cross-entropy ---- */

evr_status evr_softmax_cross_entropy_plan_create(const evr_softmax_desc *desc,
                                                 const evr_plan_options *options,
                                                 evr_softmax_cross_entropy_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_softmax_problem problem;
  evr_settings settings;
  EVR_TRY(evr_softmax_prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_SOFTMAX_CROSS_ENTROPY, &settings, &problem, NULL, &variant));
  evr_softmax_cross_entropy_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_softmax_cross_entropy_plan_destroy(evr_softmax_cross_entropy_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_softmax_cross_entropy_plan_variant(const evr_softmax_cross_entropy_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_softmax_cross_entropy_list_variants(const evr_softmax_desc *desc,
                                                   const evr_plan_options *options,
                                                   evr_variant_report *list, size_t capacity,
                                                   size_t *count) {
  evr_softmax_problem problem;
  evr_settings settings;
  EVR_TRY(evr_softmax_prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_SOFTMAX_CROSS_ENTROPY, &settings, &problem, NULL, list, capacity,
                           count);
}

static evr_status check_labels(const int32_t *labels, int64_t rows, int64_t channels) {
  for (int64_t i = 0; i < rows; i++)
    if (labels[i] < 0 || labels[i] >= channels)
      return evr_fail(EVR_INVALID_ARGUMENT,
                      "labels[%" PRId64 "] is %" PRId32 "; it must be from 0 to %" PRId64, i,
                      labels[i], channels - 1);
  return EVR_OK;
}

evr_status evr_softmax_cross_entropy_execute(const evr_softmax_cross_entropy_plan *plan,
                                             const evr_softmax_cross_entropy_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_softmax_cross_entropy_arguments *a = arguments;
  EVR_TRY(evr_check_pointer("x", a->x));
  EVR_TRY(evr_check_pointer("loss", a->loss));
  EVR_TRY(evr_check_pointer("dx", a->dx));
  if ((a->labels == NULL) == (a->targets == NULL))
    return evr_fail(EVR_INVALID_ARGUMENT, "labels and targets are %s; give one of them",
                    a->labels == NULL ? "NULL" : "both given");
  const int64_t rows = plan->problem.desc.batch * plan->problem.pixels;
  const size_t bytes = (size_t)plan->problem.count * sizeof(float);
  const evr_buffer buffers[] = {
      {"x", a->x, bytes, false},
      {"labels", a->labels, (size_t)rows * sizeof(int32_t), false},
      {"targets", a->targets, bytes, false},
      {"loss", a->loss, (size_t)rows * sizeof(float), true},
      {"dx", a->dx, bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  if (a->labels != NULL) EVR_TRY(check_labels(a->labels, rows, plan->problem.desc.channels));
  plan->head.variant->kernel->forward(&plan->problem, a);
  return EVR_OK;
}

evr_status evr_softmax_cross_entropy(const evr_softmax_desc *desc, const evr_plan_options *options,
                                     const evr_softmax_cross_entropy_arguments *arguments) {
  evr_softmax_cross_entropy_plan *plan;
  EVR_TRY(evr_softmax_cross_entropy_plan_create(desc, options, &plan));
  const evr_status status = evr_softmax_cross_entropy_execute(plan, arguments);
  evr_softmax_cross_entropy_plan_destroy(plan);
  return status;
}

/* ---- sigmoid with binary cross-entropy ---- */

static evr_status prepare_binary(int64_t count, const evr_plan_options *options,
                                 evr_sigmoid_cross_entropy_problem *problem,
                                 evr_settings *settings) {
  EVR_TRY(evr_check_at_least("count", count, 1));
  int64_t floats;
  if (!evr_count_floats(count, 1, 1, 1, &floats))
    return evr_fail(EVR_OVERFLOW, "count is %" PRId64 " floats, which do not fit", count);
  EVR_TRY(evr_settings_get(options, settings));
  *problem = (evr_sigmoid_cross_entropy_problem){.count = floats};
  evr_problem_init(&problem->common, settings, 80.0 * (double)floats);
  return EVR_OK;
}

evr_status evr_sigmoid_cross_entropy_plan_create(int64_t count, const evr_plan_options *options,
                                                 evr_sigmoid_cross_entropy_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_sigmoid_cross_entropy_problem problem;
  evr_settings settings;
  EVR_TRY(prepare_binary(count, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_SIGMOID_CROSS_ENTROPY, &settings, &problem, NULL, &variant));
  evr_sigmoid_cross_entropy_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_sigmoid_cross_entropy_plan_destroy(evr_sigmoid_cross_entropy_plan *plan) {
  evr_plan_free(plan);
}

const char *evr_sigmoid_cross_entropy_plan_variant(const evr_sigmoid_cross_entropy_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_sigmoid_cross_entropy_execute(const evr_sigmoid_cross_entropy_plan *plan,
                                             const float *x, const float *targets, float scale,
                                             float *loss, float *dx) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("targets", targets));
  EVR_TRY(evr_check_pointer("loss", loss));
  EVR_TRY(evr_check_pointer("dx", dx));
  const size_t bytes = (size_t)plan->problem.count * sizeof(float);
  const evr_buffer buffers[] = {
      {"x", x, bytes, false},
      {"targets", targets, bytes, false},
      {"loss", loss, bytes, true},
      {"dx", dx, bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  const evr_sigmoid_cross_entropy_call call = {x, targets, scale, loss, dx};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_sigmoid_cross_entropy(int64_t count, const evr_plan_options *options, const float *x,
                                     const float *targets, float scale, float *loss, float *dx) {
  evr_sigmoid_cross_entropy_plan *plan;
  EVR_TRY(evr_sigmoid_cross_entropy_plan_create(count, options, &plan));
  const evr_status status = evr_sigmoid_cross_entropy_execute(plan, x, targets, scale, loss, dx);
  evr_sigmoid_cross_entropy_plan_destroy(plan);
  return status;
}

evr_status evr_sigmoid_cross_entropy_list_variants(int64_t count, const evr_plan_options *options,
                                                   evr_variant_report *list, size_t capacity,
                                                   size_t *count_of_list) {
  evr_sigmoid_cross_entropy_problem problem;
  evr_settings settings;
  EVR_TRY(prepare_binary(count, options, &problem, &settings));
  return evr_list_variants(EVR_OP_SIGMOID_CROSS_ENTROPY, &settings, &problem, NULL, list, capacity,
                           count_of_list);
}
