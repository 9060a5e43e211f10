/* The public calls of the elementwise functions: check, choose, then hand over to the variant. */
#include <inttypes.h>

#include "activation/backward.h"
#include "core/check.h"
#include "core/checked.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "core/status.h"

struct evr_activation_plan {
  evr_plan_head head;
  evr_activation_problem problem;
};

double evr_activation_work(evr_activation_kind kind) {
  switch (kind) {
    case EVR_IDENTITY:
    case EVR_RELU:
    case EVR_LEAKY_RELU:
    case EVR_RELU6:
    case EVR_HARD_SWISH: return 8.0; /* bytes moved count more than arithmetic */
    case EVR_ELU: return 20.0;
    case EVR_SIGMOID:
    case EVR_TANH:
    case EVR_SCALED_TANH:
    case EVR_SILU: return 40.0;
    case EVR_GELU:
    case EVR_GELU_TANH: return 60.0;
  }
  return 60.0;
}

evr_status evr_activation_prepare(const evr_activation_desc *desc, const evr_plan_options *options,
                                  evr_activation_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_check_pointer("desc", desc));
  EVR_TRY(evr_check_activation("desc.activation", &desc->activation));
  EVR_TRY(evr_check_at_least("desc.count", desc->count, 1));
  int64_t count;
  if (!evr_count_floats(desc->count, 1, 1, 1, &count))
    return evr_fail(EVR_OVERFLOW, "desc.count is %" PRId64 " floats, which do not fit",
                    desc->count);
  EVR_TRY(evr_settings_get(options, settings));
  *problem = (evr_activation_problem){.activation = desc->activation, .count = count};
  problem->work = (double)count * evr_activation_work(desc->activation.kind);
  evr_problem_init(&problem->common, settings, problem->work);
  return EVR_OK;
}

evr_status evr_activation_plan_create(const evr_activation_desc *desc,
                                      const evr_plan_options *options, evr_activation_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_activation_problem problem;
  evr_settings settings;
  EVR_TRY(evr_activation_prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_ACTIVATION, &settings, &problem, NULL, &variant));
  evr_activation_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_activation_plan_destroy(evr_activation_plan *plan) { evr_plan_free(plan); }

const char *evr_activation_plan_variant(const evr_activation_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_activation_forward(const evr_activation_plan *plan, const float *x, float *y) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("y", y));
  const size_t bytes = (size_t)plan->problem.count * sizeof(float);
  const evr_buffer buffers[] = {
      {"x", x == y ? NULL : x, bytes, false},
      {"y", y, bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, 2));
  const evr_activation_call call = {x, y};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_activate(const evr_activation_desc *desc, const evr_plan_options *options,
                        const float *x, float *y) {
  evr_activation_plan *plan;
  EVR_TRY(evr_activation_plan_create(desc, options, &plan));
  const evr_status status = evr_activation_forward(plan, x, y);
  evr_activation_plan_destroy(plan);
  return status;
}

evr_status evr_activation_list_variants(const evr_activation_desc *desc,
                                        const evr_plan_options *options, evr_variant_report *list,
                                        size_t capacity, size_t *count) {
  evr_activation_problem problem;
  evr_settings settings;
  EVR_TRY(evr_activation_prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_ACTIVATION, &settings, &problem, NULL, list, capacity, count);
}
