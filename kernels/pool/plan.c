/* The public calls of pooling: check, choose, then hand over to the variant. */
#include <inttypes.h>

#include "core/check.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "core/status.h"
#include "pool/problem.h"

struct evr_pool2d_plan {
  evr_plan_head head;
  evr_pool2d_problem problem;
};

evr_status evr_pool2d_get_sizes(const evr_pool2d_desc *desc, evr_pool2d_sizes *sizes) {
  EVR_TRY(evr_check_pointer("sizes", sizes));
  evr_pool2d_problem problem;
  EVR_TRY(evr_pool2d_problem_init(&problem, desc, &evr_pool2d_desc_names));
  *sizes = problem.sizes;
  return EVR_OK;
}

static evr_status prepare(const evr_pool2d_desc *desc, const evr_plan_options *options,
                          evr_pool2d_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_pool2d_problem_init(problem, desc, &evr_pool2d_desc_names));
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&problem->common, settings, problem->work);
  return EVR_OK;
}

evr_status evr_pool2d_plan_create(const evr_pool2d_desc *desc, const evr_plan_options *options,
                                  evr_pool2d_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_pool2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_POOL2D, &settings, &problem, NULL, &variant));
  evr_pool2d_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_pool2d_plan_destroy(evr_pool2d_plan *plan) { evr_plan_free(plan); }

const char *evr_pool2d_plan_variant(const evr_pool2d_plan *plan) { return evr_plan_variant(plan); }

evr_status evr_pool2d_check_indices(const evr_pool2d_desc *d) {
  if (d->window.kind == EVR_POOL_AVERAGE)
    return evr_fail(EVR_INVALID_ARGUMENT, "indices is not NULL, but an average has no winner");
  if (d->in_height * d->in_width > INT32_MAX)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "indices is not NULL, but a plane of %" PRId64 " x %" PRId64
                    " pixels has more than 32-bit indices can tell apart",
                    d->in_height, d->in_width);
  return EVR_OK;
}

evr_status evr_pool2d_forward(const evr_pool2d_plan *plan, const float *x, float *y,
                              int32_t *indices) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("y", y));
  if (indices != NULL) EVR_TRY(evr_pool2d_check_indices(&plan->problem.desc));
  const evr_pool2d_sizes *s = &plan->problem.sizes;
  const evr_buffer buffers[] = {
      {"x", x, (size_t)s->x_count * sizeof *x, false},
      {"y", y, (size_t)s->y_count * sizeof *y, true},
      {"indices", indices, (size_t)s->y_count * sizeof *indices, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  const evr_pool2d_call call = {x, y, indices};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_pool2d(const evr_pool2d_desc *desc, const evr_plan_options *options, const float *x,
                      float *y, int32_t *indices) {
  evr_pool2d_plan *plan;
  EVR_TRY(evr_pool2d_plan_create(desc, options, &plan));
  const evr_status status = evr_pool2d_forward(plan, x, y, indices);
  evr_pool2d_plan_destroy(plan);
  return status;
}

evr_status evr_pool2d_list_variants(const evr_pool2d_desc *desc, const evr_plan_options *options,
                                    evr_variant_report *list, size_t capacity, size_t *count) {
  evr_pool2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_POOL2D, &settings, &problem, NULL, list, capacity, count);
}
