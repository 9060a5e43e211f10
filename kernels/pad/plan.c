/* The public calls of padding: check, choose, then hand over to the variant. */
#include "core/check.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "pad/problem.h"

struct evr_pad2d_plan {
  evr_plan_head head;
  evr_pad2d_problem problem;
};

evr_status evr_pad2d_get_sizes(const evr_pad2d_desc *desc, evr_pad2d_sizes *sizes) {
  EVR_TRY(evr_check_pointer("sizes", sizes));
  evr_pad2d_problem problem;
  EVR_TRY(evr_pad2d_problem_init(&problem, desc));
  *sizes = problem.sizes;
  return EVR_OK;
}

static evr_status prepare(const evr_pad2d_desc *desc, const evr_plan_options *options,
                          evr_pad2d_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_pad2d_problem_init(problem, desc));
  EVR_TRY(evr_settings_get(options, settings));
  const double bytes = 4.0 * ((double)problem->sizes.x_count + (double)problem->sizes.y_count);
  evr_problem_init(&problem->common, settings, bytes);
  return EVR_OK;
}

evr_status evr_pad2d_plan_create(const evr_pad2d_desc *desc, const evr_plan_options *options,
                                 evr_pad2d_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_pad2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_PAD2D, &settings, &problem, NULL, &variant));
  evr_pad2d_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_pad2d_plan_destroy(evr_pad2d_plan *plan) { evr_plan_free(plan); }

const char *evr_pad2d_plan_variant(const evr_pad2d_plan *plan) { return evr_plan_variant(plan); }

evr_status evr_pad2d_forward(const evr_pad2d_plan *plan, const float *x, float *y) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("y", y));
  const evr_pad2d_sizes *s = &plan->problem.sizes;
  const evr_buffer buffers[] = {
      {"x", x, (size_t)s->x_count * sizeof *x, false},
      {"y", y, (size_t)s->y_count * sizeof *y, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  const evr_pad2d_call call = {x, y};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_pad2d(const evr_pad2d_desc *desc, const evr_plan_options *options, const float *x,
                     float *y) {
  evr_pad2d_plan *plan;
  EVR_TRY(evr_pad2d_plan_create(desc, options, &plan));
  const evr_status status = evr_pad2d_forward(plan, x, y);
  evr_pad2d_plan_destroy(plan);
  return status;
}

evr_status evr_pad2d_list_variants(const evr_pad2d_desc *desc, const evr_plan_options *options,
                                   evr_variant_report *list, size_t capacity, size_t *count) {
  evr_pad2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_PAD2D, &settings, &problem, NULL, list, capacity, count);
}
