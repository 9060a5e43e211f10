/* The public calls of transposed convolution, which is backward data of a convolution from y's
 * shape to x's. */
#include <inttypes.h>

#include "conv/backward_data.h"
#include "conv/backward_plan.h"
#include "core/check.h"
#include "core/checked.h"
#include "core/memory.h"
#include "core/status.h"
#include "evrisim/conv2d_backward.h"

struct evr_conv2d_transposed_plan {
  evr_backward_plan plan; /* all that there is; the type is for the caller's compiler */
};

/* One direction, with the names of its fields. */
typedef struct direction {
  evr_window_names names;
  const char *extra_name, *out_name;
  evr_window window; /* of the transposed convolution: in is x's */
  int64_t extra;
} direction;

/* The size of y, and with its pads. */
static evr_status output_size(const direction *d, int64_t *out, int64_t *padded) {
  const evr_window *w = &d->window;
  EVR_TRY(evr_check_at_least(d->names.in, w->in, 1));
  EVR_TRY(evr_check_at_least(d->names.kernel, w->kernel, 1));
  EVR_TRY(evr_check_at_least(d->names.stride, w->stride, 1));
  EVR_TRY(evr_check_at_least(d->names.dilation, w->dilation, 1));
  EVR_TRY(evr_check_at_least(d->names.before, w->before, 0));
  EVR_TRY(evr_check_at_least(d->names.after, w->after, 0));
  EVR_TRY(evr_check_at_least(d->extra_name, d->extra, 0));
  if (d->extra >= evr_max(w->stride, w->dilation))
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "%s is %" PRId64 "; it must be smaller than %s %" PRId64 " or %s %" PRId64,
                    d->extra_name, d->extra, d->names.stride, w->stride, d->names.dilation,
                    w->dilation);
  int64_t steps, reach, pads, end;
  if (!evr_multiply(w->in - 1, w->stride, &steps) ||
      !evr_multiply(w->kernel - 1, w->dilation, &reach) || !evr_sum(steps, reach, &end) ||
      !evr_sum(end, 1, &end) || !evr_sum(end, d->extra, &end) ||
      !evr_sum(w->before, w->after, &pads))
    return evr_fail(EVR_OVERFLOW,
                    "%s does not fit: %s is %" PRId64 " with %s %" PRId64 ", %s %" PRId64
                    ", %s %" PRId64 ", %s %" PRId64 " and %s %" PRId64,
                    d->out_name, d->names.in, w->in, d->names.stride, w->stride, d->names.kernel,
                    w->kernel, d->names.dilation, w->dilation, d->names.before, w->before,
                    d->names.after, w->after);
  *padded = end;
  *out = end - pads;
  if (*out < 1)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "%s %" PRId64 " and %s %" PRId64 " leave nothing of %s, which is %" PRId64
                    " without them",
                    d->names.before, w->before, d->names.after, w->after, d->out_name, end);
  return EVR_OK;
}

/* Here, for the convolution's checks would call inputs outputs. */
static evr_status check_channels(const evr_conv2d_transposed_desc *d) {
  EVR_TRY(evr_check_at_least("desc.batch", d->batch, 1));
  EVR_TRY(evr_check_at_least("desc.in_channels", d->in_channels, 1));
  EVR_TRY(evr_check_at_least("desc.out_channels", d->out_channels, 1));
  EVR_TRY(evr_check_at_least("desc.groups", d->groups, 1));
  const bool in = d->in_channels % d->groups != 0;
  if (in || d->out_channels % d->groups != 0)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "desc.groups is %" PRId64 ", which does not divide desc.%s_channels %" PRId64,
                    d->groups, in ? "in" : "out", in ? d->in_channels : d->out_channels);
  return EVR_OK;
}

static evr_status init(evr_conv2d_backward_problem *problem,
                       const evr_conv2d_transposed_desc *desc) {
  EVR_TRY(evr_check_pointer("desc", desc));
  const evr_conv2d_transposed_desc *d = desc;
  const direction rows = {{"desc.in_height", "desc.kernel_height", "desc.stride_height",
                           "desc.dilation_height", "desc.pad_top", "desc.pad_bottom"},
                          "desc.output_padding_height",
                          "the height of y",
                          {d->in_height, d->kernel_height, d->stride_height, d->dilation_height,
                           d->pad_top, d->pad_bottom},
                          d->output_padding_height};
  const direction columns = {
      {"desc.in_width", "desc.kernel_width", "desc.stride_width", "desc.dilation_width",
       "desc.pad_left", "desc.pad_right"},
      "desc.output_padding_width",
      "the width of y",
      {d->in_width, d->kernel_width, d->stride_width, d->dilation_width, d->pad_left, d->pad_right},
      d->output_padding_width};
  EVR_TRY(check_channels(d));
  int64_t height, width, padded_height, padded_width, count;
  EVR_TRY(output_size(&rows, &height, &padded_height));
  EVR_TRY(output_size(&columns, &width, &padded_width));
  EVR_TRY(evr_check_count("y", "desc.batch x height of y x width of y x desc.out_channels",
                          d->batch, height, width, d->out_channels, &count));
  EVR_TRY(evr_check_count("the padded y",
                          "desc.batch x height and width of y with pads x desc.out_channels",
                          d->batch, padded_height, padded_width, d->out_channels, &count));
  EVR_TRY(evr_check_count("x", "desc.batch x desc.in_height x desc.in_width x desc.in_channels",
                          d->batch, d->in_height, d->in_width, d->in_channels, &count));
  int64_t weights_count;
  EVR_TRY(
      evr_check_count("the weights",
                      "desc.kernel_height x desc.kernel_width x desc.out_channels / desc.groups "
                      "x desc.in_channels",
                      d->kernel_height, d->kernel_width, d->out_channels / d->groups,
                      d->in_channels, &weights_count));
  const evr_conv2d_desc conv = {.batch = d->batch,
                                .groups = d->groups,
                                .in_channels = d->out_channels,
                                .in_height = height,
                                .in_width = width,
                                .out_channels = d->in_channels,
                                .kernel_height = d->kernel_height,
                                .kernel_width = d->kernel_width,
                                .stride_height = d->stride_height,
                                .stride_width = d->stride_width,
                                .dilation_height = d->dilation_height,
                                .dilation_width = d->dilation_width,
                                .pad_top = d->pad_top,
                                .pad_bottom = d->pad_bottom,
                                .pad_left = d->pad_left,
                                .pad_right = d->pad_right,
                                .layout = d->layout,
                                .filter_layout = d->filter_layout,
                                .activation = d->activation};
  EVR_TRY(evr_conv2d_backward_problem_init(problem, &conv));
  problem->activation = d->activation;
  problem->conv.exchanged = true;
  /* Output padding of a stride or more would be further outputs of that convolution. */
  evr_conv2d_problem *p = &problem->conv;
  p->sizes.conv_height = p->sizes.out_height = d->in_height;
  p->sizes.conv_width = p->sizes.out_width = d->in_width;
  p->sizes.y_count = p->sizes.residual_count = count;
  p->y_plane = p->residual_plane = d->in_height * d->in_width;
  p->multiplies = (double)count * (double)p->depth;
  return EVR_OK;
}

evr_status evr_conv2d_transposed_get_sizes(const evr_conv2d_transposed_desc *desc,
                                           evr_conv2d_transposed_sizes *sizes) {
  EVR_TRY(evr_check_pointer("sizes", sizes));
  evr_conv2d_backward_problem problem;
  EVR_TRY(init(&problem, desc));
  const evr_conv2d_sizes *s = &problem.conv.sizes;
  *sizes = (evr_conv2d_transposed_sizes){.out_height = problem.conv.desc.in_height,
                                         .out_width = problem.conv.desc.in_width,
                                         .x_count = s->y_count,
                                         .weights_count = s->weights_count,
                                         .bias_count = desc->out_channels,
                                         .y_count = s->x_count};
  return EVR_OK;
}

static evr_status prepare(const evr_conv2d_transposed_desc *desc, const evr_plan_options *options,
                          evr_conv2d_backward_problem *problem, evr_settings *settings) {
  EVR_TRY(init(problem, desc));
  return evr_backward_settle(EVR_OP_CONV2D_TRANSPOSED, options, problem, settings);
}

evr_status evr_conv2d_transposed_plan_create(const evr_conv2d_transposed_desc *desc,
                                             const evr_plan_options *options,
                                             evr_conv2d_transposed_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_conv2d_backward_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  evr_backward_plan *made;
  EVR_TRY(evr_backward_plan_new(EVR_OP_CONV2D_TRANSPOSED, &settings, &problem, &problem.conv.sizes,
                                &evr_conv2d_backward_data_trial, &made));
  *plan = (evr_conv2d_transposed_plan *)made;
  return EVR_OK;
}

void evr_conv2d_transposed_plan_destroy(evr_conv2d_transposed_plan *plan) { evr_plan_free(plan); }

const char *evr_conv2d_transposed_plan_variant(const evr_conv2d_transposed_plan *plan) {
  return evr_plan_variant(plan);
}

int evr_conv2d_transposed_plan_threads(const evr_conv2d_transposed_plan *plan) {
  return evr_backward_plan_threads((const evr_backward_plan *)plan);
}

size_t evr_conv2d_transposed_workspace_size(const evr_conv2d_transposed_plan *plan) {
  return evr_backward_workspace_size((const evr_backward_plan *)plan);
}

evr_status evr_conv2d_transposed_forward(const evr_conv2d_transposed_plan *plan, const float *x,
                                         const float *weights, const float *bias, float *y,
                                         void *workspace) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("weights", weights));
  EVR_TRY(evr_check_pointer("y", y));
  const evr_backward_plan *p = &plan->plan;
  const evr_conv2d_sizes *s = &p->sizes;
  const evr_buffer buffers[] = {
      {"x", x, (size_t)s->y_count * sizeof(float), false},
      {"weights", weights, (size_t)s->weights_count * sizeof(float), false},
      {"bias", bias, (size_t)p->problem.conv.desc.in_channels * sizeof(float), false},
      {"y", y, (size_t)s->x_count * sizeof(float), true},
      {"workspace", workspace, evr_backward_workspace_size(p), true},
  };
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  void *own, *scratch;
  EVR_TRY(evr_take_workspace(&p->head.allocator, evr_backward_workspace_size(p), workspace, &own,
                             &scratch));
  const evr_conv2d_backward_data_call call = {
      .g = x,
      .weights = weights,
      .packed = evr_backward_packed(p, weights, NULL, scratch),
      .bias = bias,
      .dx = y,
      .workspace = scratch};
  p->head.variant->kernel->forward(&p->problem, &call);
  evr_release(&p->head.allocator, own);
  return EVR_OK;
}

evr_status evr_conv2d_transposed(const evr_conv2d_transposed_desc *desc,
                                 const evr_plan_options *options, const float *x,
                                 const float *weights, const float *bias, float *y) {
  evr_conv2d_transposed_plan *plan;
  EVR_TRY(evr_conv2d_transposed_plan_create(desc, options, &plan));
  const evr_status status = evr_conv2d_transposed_forward(plan, x, weights, bias, y, NULL);
  evr_conv2d_transposed_plan_destroy(plan);
  return status;
}

evr_status evr_conv2d_transposed_list_variants(const evr_conv2d_transposed_desc *desc,
                                               const evr_plan_options *options,
                                               evr_variant_report *list, size_t capacity,
                                               size_t *count) {
  evr_conv2d_backward_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_CONV2D_TRANSPOSED, &settings, &problem,
                           &evr_conv2d_backward_data_trial, list, capacity, count);
}
