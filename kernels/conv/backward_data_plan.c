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
      .g = b->x, .weights = b->weights, .packed = b->packed, .dx = b->y, .workspace = b->workspace};
  kernel->forward(problem, &call);
}

const evr_trial evr_conv2d_backward_data_trial = {
    evr_backward_describe, count, evr_backward_kept_size, evr_backward_keep, execute_trial};

/* Padding other than zeros: the variants see an image that is padded already, and give its
 * gradient, which is folded back. *pad is that padding, and *padded whether there is any. */
static evr_status pad_image(evr_conv2d_backward_problem *problem, evr_pad2d_problem *pad,
                            bool *padded) {
  evr_conv2d_problem *p = &problem->conv;
  evr_conv2d_desc *d = &p->desc;
  *padded =
      d->pad_mode != EVR_PAD_ZERO && d->pad_top + d->pad_bottom + d->pad_left + d->pad_right > 0;
  if (!*padded) return EVR_OK;
  const evr_pad2d_desc desc = {.batch = d->batch,
                               .channels = d->in_channels,
                               .in_height = d->in_height,
                               .in_width = d->in_width,
                               .pad_top = d->pad_top,
                               .pad_bottom = d->pad_bottom,
                               .pad_left = d->pad_left,
                               .pad_right = d->pad_right,
                               .mode = d->pad_mode,
                               .layout = d->layout};
  EVR_TRY(evr_pad2d_problem_init(pad, &desc));
  d->in_height = pad->sizes.out_height;
  d->in_width = pad->sizes.out_width;
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = 0;
  p->sizes.x_count = pad->sizes.y_count;
  return EVR_OK;
}

/* A problem, and what is around it. */
typedef struct prepared {
  evr_conv2d_backward_problem problem;
  evr_conv2d_sizes sizes; /* as the caller has them */
  evr_pad2d_problem pad;
  bool padded;
  evr_settings settings;
} prepared;

static evr_status prepare(const evr_conv2d_desc *desc, const evr_plan_options *options,
                          prepared *p) {
  EVR_TRY(evr_conv2d_backward_problem_init(&p->problem, desc));
  p->sizes = p->problem.conv.sizes;
  EVR_TRY(pad_image(&p->problem, &p->pad, &p->padded));
  return evr_backward_settle(EVR_OP_CONV2D_BACKWARD_DATA, options, &p->problem, &p->settings);
}

evr_status evr_conv2d_backward_data_plan_create(const evr_conv2d_desc *desc,
                                                const evr_plan_options *options,
                                                evr_conv2d_backward_data_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  prepared p;
  EVR_TRY(prepare(desc, options, &p));
  evr_backward_plan *made;
  EVR_TRY(evr_backward_plan_new(EVR_OP_CONV2D_BACKWARD_DATA, &p.settings, &p.problem, &p.sizes,
                                &evr_conv2d_backward_data_trial, &made));
  EVR_TRY(evr_backward_plan_add(&made, options, &p.settings, &desc->activation,
                                p.padded ? &p.pad : NULL));
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

size_t evr_conv2d_backward_data_packed_size(const evr_conv2d_backward_data_plan *plan) {
  return plan != NULL ? evr_with_slack(plan->plan.packed_bytes) : 0;
}

evr_status evr_conv2d_backward_data_pack(const evr_conv2d_backward_data_plan *plan,
                                         const float *weights, void *packed) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("weights", weights));
  const evr_backward_plan *p = &plan->plan;
  if (p->packed_bytes == 0) return EVR_OK;
  EVR_TRY(evr_check_pointer("packed", packed));
  const evr_buffer buffers[] = {
      {"weights", weights, (size_t)p->sizes.weights_count * sizeof(float), false},
      {"packed", packed, evr_conv2d_backward_data_packed_size(plan), true},
  };
  EVR_TRY(evr_check_buffers(buffers, 2));
  p->head.variant->kernel->pack(&p->problem, weights, evr_align(packed));
  return EVR_OK;
}

static evr_status check_call(const evr_backward_plan *plan,
                             const evr_conv2d_backward_data_arguments *a) {
  const evr_backward_given given = {a->dy, a->y, a->z};
  EVR_TRY(evr_backward_check_given(plan, &given));
  const bool packed = a->packed != NULL && plan->packed_bytes > 0;
  if (!packed) EVR_TRY(evr_check_pointer("weights", a->weights));
  EVR_TRY(evr_check_pointer("dx", a->dx));
  const evr_conv2d_sizes *s = &plan->sizes;
  const size_t y_bytes = (size_t)s->y_count * sizeof(float);
  const bool read = plan->slope != NULL;
  const evr_buffer buffers[] = {
      {"dy", a->dy, y_bytes, false},
      {"y", read ? a->y : NULL, y_bytes, false},
      {"z", read ? a->z : NULL, y_bytes, false},
      {"weights", packed ? NULL : a->weights, (size_t)s->weights_count * sizeof(float), false},
      {"packed", packed ? a->packed : NULL, evr_with_slack(plan->packed_bytes), false},
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
  EVR_TRY(evr_take_workspace(&p->head.allocator, evr_backward_workspace_size(p), a->workspace, &own,
                             &workspace));
  float *dx = a->dx;
  if (p->fold != NULL)
    dx = (float *)(void *)((char *)workspace + p->scratch_bytes + p->gradient_bytes);
  const evr_backward_given given = {a->dy, a->y, a->z};
  const evr_conv2d_backward_data_call call = {
      .g = evr_backward_gradient(p, &given, workspace, a->dresidual),
      .weights = a->weights,
      .packed = evr_backward_packed(p, a->weights, a->packed, workspace),
      .dx = dx,
      .workspace = workspace};
  p->head.variant->kernel->forward(&p->problem, &call);
  if (p->fold != NULL) {
    const evr_pad2d_backward_call fold = {call.dx, a->dx};
    p->fold->forward(&p->pad, &fold);
  }
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
  prepared p;
  EVR_TRY(prepare(desc, options, &p));
  return evr_list_variants(EVR_OP_CONV2D_BACKWARD_DATA, &p.settings, &p.problem,
                           &evr_conv2d_backward_data_trial, list, capacity, count_of_list);
}
