/* The public calls of the backward pass of padding, and its reference. */
#include <string.h>

#include "core/check.h"
#include "core/choose.h"
#include "core/pixels.h"
#include "core/plan_head.h"
#include "pad/problem.h"

struct evr_pad2d_backward_plan {
  evr_plan_head head;
  evr_pad2d_problem problem;
};

static evr_status prepare(const evr_pad2d_desc *desc, const evr_plan_options *options,
                          evr_pad2d_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_pad2d_problem_init(problem, desc));
  EVR_TRY(evr_settings_get(options, settings));
  const double bytes = 4.0 * ((double)problem->sizes.x_count + (double)problem->sizes.y_count);
  evr_problem_init(&problem->common, settings, bytes);
  return EVR_OK;
}

evr_status evr_pad2d_backward_plan_create(const evr_pad2d_desc *desc,
                                          const evr_plan_options *options,
                                          evr_pad2d_backward_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_pad2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_PAD2D_BACKWARD, &settings, &problem, NULL, &variant));
  evr_pad2d_backward_plan *made = evr_plan_new(&settings.allocator, variant, sizeof *made);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->problem = problem;
  *plan = made;
  return EVR_OK;
}

void evr_pad2d_backward_plan_destroy(evr_pad2d_backward_plan *plan) { evr_plan_free(plan); }

const char *evr_pad2d_backward_plan_variant(const evr_pad2d_backward_plan *plan) {
  return evr_plan_variant(plan);
}

evr_status evr_pad2d_backward_execute(const evr_pad2d_backward_plan *plan, const float *dy,
                                      float *dx) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("dy", dy));
  EVR_TRY(evr_check_pointer("dx", dx));
  const evr_pad2d_sizes *s = &plan->problem.sizes;
  const evr_buffer buffers[] = {
      {"dy", dy, (size_t)s->y_count * sizeof *dy, false},
      {"dx", dx, (size_t)s->x_count * sizeof *dx, true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  const evr_pad2d_backward_call call = {dy, dx};
  plan->head.variant->kernel->forward(&plan->problem, &call);
  return EVR_OK;
}

evr_status evr_pad2d_backward(const evr_pad2d_desc *desc, const evr_plan_options *options,
                              const float *dy, float *dx) {
  evr_pad2d_backward_plan *plan;
  EVR_TRY(evr_pad2d_backward_plan_create(desc, options, &plan));
  const evr_status status = evr_pad2d_backward_execute(plan, dy, dx);
  evr_pad2d_backward_plan_destroy(plan);
  return status;
}

evr_status evr_pad2d_backward_list_variants(const evr_pad2d_desc *desc,
                                            const evr_plan_options *options,
                                            evr_variant_report *list, size_t capacity,
                                            size_t *count) {
  evr_pad2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_PAD2D_BACKWARD, &settings, &problem, NULL, list, capacity, count);
}

/* Every place of the padded image gives its gradient to the pixel that it shows. */
static void reference(const void *problem, const void *arguments) {
  const evr_pad2d_problem *p = problem;
  const evr_pad2d_backward_call *call = arguments;
  const evr_pad2d_desc *d = &p->desc;
  const int64_t height = p->sizes.out_height, width = p->sizes.out_width;
  memset(call->dx, 0, (size_t)p->sizes.x_count * sizeof *call->dx);
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < height; oh++)
      for (int64_t ow = 0; ow < width; ow++)
        for (int64_t c = 0; c < d->channels; c++) {
          const int64_t ih = evr_source_pixel(oh - d->pad_top, d->in_height, d->mode);
          const int64_t iw = evr_source_pixel(ow - d->pad_left, d->in_width, d->mode);
          if (ih < 0 || iw < 0) continue;
          call->dx[evr_offset(d->layout, d->channels, d->in_height, d->in_width, n, ih, iw, c)] +=
              call->dy[evr_offset(d->layout, d->channels, height, width, n, oh, ow, c)];
        }
}

static double cost(const void *problem) {
  return 3.0 * (double)((const evr_pad2d_problem *)problem)->sizes.y_count + 100.0;
}

const evr_kernel evr_pad2d_backward_reference = {.cost = cost, .forward = reference};
