/* The public calls of softmax: check, choose, then hand over to the variant. */
#include "core/check.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "softmax/loss.h"

/* An exponential, a maximum, a sum and a division for each element. */
#define WORK_OF_ELEMENT 30.0

struct evr_softmax_plan {
  evr_plan_head head;
  evr_softmax_problem problem;
};

evr_status evr_softmax_prepare(const evr_softmax_desc *desc, const evr_plan_options *options,
                               evr_softmax_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_check_pointer("desc", desc));
  const evr_softmax_desc *d = desc;
  EVR_TRY(evr_check_at_least("desc.batch", d->batch, 1));
  EVR_TRY(evr_check_at_least("desc.channels", d->channels, 1));
  EVR_TRY(evr_check_at_least("desc.height", d->height, 1));
  EVR_TRY(evr_check_at_least("desc.width", d->width, 1));
  EVR_TRY(evr_check_layout("desc.layout", d->layout));
  int64_t count;
  EVR_TRY(evr_check_count("x", "desc.batch x desc.height x desc.width x desc.channels", d->batch,
                          d->height, d->width, d->channels, &count));
  EVR_TRY(evr_settings_get(options, settings));
  *problem = (evr_softmax_problem){.desc = *d,
                                   .pixels = d->height * d->width,
                                   .count = count,
                                   .work = (double)count * WORK_OF_ELEMENT};
  evr_problem_init(&problem->common, settings, problem->work);
  return EVR_OK;
}

evr_status evr_softmax_plan_create(const evr_softmax_desc *desc, const evr_plan_options *options,
                                   evr_softmax_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_softmax_problem problem;
  evr_settings settings;
  EVR_TRY(evr_softmax_prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_SOFTMAX, &settings, &problem, NULL, &variant));
  evr_softmax_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_softmax_plan_destroy(evr_softmax_plan *plan) { evr_plan_free(plan); }

const char *evr_softmax_plan_variant(const evr_softmax_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_softmax_forward(const evr_softmax_plan *plan, const float *x, float *y) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("y", y));
  const size_t bytes = (size_t)plan->problem.count * sizeof(float);
  const evr_buffer buffers[] = {
      {"x", x == y ? NULL : x, bytes, false},
      {"y", y, bytes, true},
  };
  EVR_TRY(evr_check_buffers(buffers, 2));
  const evr_softmax_call call = {x, y};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_softmax(const evr_softmax_desc *desc, const evr_plan_options *options,
                       const float *x, float *y) {
  evr_softmax_plan *plan;
  EVR_TRY(evr_softmax_plan_create(desc, options, &plan));
  const evr_status status = evr_softmax_forward(plan, x, y);
  evr_softmax_plan_destroy(plan);
  return status;
}

evr_status evr_softmax_list_variants(const evr_softmax_desc *desc, const evr_plan_options *options,
                                     evr_variant_report *list, size_t capacity, size_t *count) {
  evr_softmax_problem problem;
  evr_settings settings;
  EVR_TRY(evr_softmax_prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_SOFTMAX, &settings, &problem, NULL, list, capacity, count);
}
