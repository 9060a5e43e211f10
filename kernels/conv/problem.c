#include "conv/problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/registry.h"
#include "core/status.h"

static const evr_window_names vertical = {"desc.in_height",     "desc.kernel_height",
                                          "desc.stride_height", "desc.dilation_height",
                                          "desc.pad_top",       "desc.pad_bottom"};
static const evr_window_names horizontal = {"desc.in_width",     "desc.kernel_width",
                                            "desc.stride_width", "desc.dilation_width",
                                            "desc.pad_left",     "desc.pad_right"};

static evr_window vertical_window(const evr_conv2d_desc *d) {
  return (evr_window){d->in_height,       d->kernel_height, d->stride_height,
                      d->dilation_height, d->pad_top,       d->pad_bottom};
}

static evr_window horizontal_window(const evr_conv2d_desc *d) {
  return (evr_window){d->in_width,       d->kernel_width, d->stride_width,
                      d->dilation_width, d->pad_left,     d->pad_right};
}

static evr_status check_channels(const evr_conv2d_desc *d) {
  EVR_TRY(evr_check_at_least("desc.batch", d->batch, 1));
  EVR_TRY(evr_check_at_least("desc.in_channels", d->in_channels, 1));
  EVR_TRY(evr_check_at_least("desc.out_channels", d->out_channels, 1));
  EVR_TRY(evr_check_at_least("desc.groups", d->groups, 1));
  if (d->in_channels % d->groups != 0)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "desc.groups is %" PRId64 ", which does not divide desc.in_channels %" PRId64,
                    d->groups, d->in_channels);
  if (d->out_channels % d->groups != 0)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "desc.groups is %" PRId64 ", which does not divide desc.out_channels %" PRId64,
                    d->groups, d->out_channels);
  return EVR_OK;
}

static evr_status check_enums(const evr_conv2d_desc *d) {
  EVR_TRY(evr_check_pad_mode("desc.pad_mode", d->pad_mode));
  EVR_TRY(evr_check_layout("desc.layout", d->layout));
  if (d->filter_layout != EVR_HWIO && d->filter_layout != EVR_OIHW)
    return evr_fail(EVR_INVALID_ARGUMENT, "desc.filter_layout is %d, which is no evr_filter_layout",
                    (int)d->filter_layout);
  return evr_check_activation("desc.activation", &d->activation);
}

evr_status evr_conv2d_problem_init(evr_conv2d_problem *problem, const evr_conv2d_desc *desc) {
  EVR_TRY(evr_check_pointer("desc", desc));
  const evr_conv2d_desc *d = desc;
  EVR_TRY(check_channels(d));
  EVR_TRY(check_enums(d));
  const evr_window rows = vertical_window(d), columns = horizontal_window(d);
  int64_t extent_h, padded_h, extent_w, padded_w;
  EVR_TRY(evr_check_window(&vertical, &rows, &extent_h, &padded_h));
  EVR_TRY(evr_check_window(&horizontal, &columns, &extent_w, &padded_w));
  EVR_TRY(evr_check_pads(d->pad_mode, "desc.pad_top", d->pad_top, "desc.pad_bottom", d->pad_bottom,
                         "desc.in_height", d->in_height));
  EVR_TRY(evr_check_pads(d->pad_mode, "desc.pad_left", d->pad_left, "desc.pad_right", d->pad_right,
                         "desc.in_width", d->in_width));

  *problem = (evr_conv2d_problem){.desc = *d};
  problem->desc.pool.kind = EVR_POOL_NONE;
  problem->group_in = d->in_channels / d->groups;
  problem->group_out = d->out_channels / d->groups;
  evr_conv2d_sizes *s = &problem->sizes;
  s->conv_height = (padded_h - extent_h) / d->stride_height + 1;
  s->conv_width = (padded_w - extent_w) / d->stride_width + 1;
  /* One channel in and out is the same in both layouts, and so is one pixel; planes are what
   * kernels do better with the former, channels with the latter. */
  if (d->in_channels == 1 && d->out_channels == 1)
    problem->desc.layout = EVR_NCHW;
  else if (d->in_height == 1 && d->in_width == 1 && s->conv_height == 1 && s->conv_width == 1)
    problem->desc.layout = EVR_NHWC;
  s->out_height = s->conv_height;
  s->out_width = s->conv_width;
  s->bias_count = d->out_channels;
  /* A stride that is never taken, or a dilation between no taps, may be any number; kernels
   * multiply with them. */
  if (s->conv_height == 1) problem->desc.stride_height = 1;
  if (s->conv_width == 1) problem->desc.stride_width = 1;
  if (d->kernel_height == 1) problem->desc.dilation_height = 1;
  if (d->kernel_width == 1) problem->desc.dilation_width = 1;
  EVR_TRY(evr_check_count("x", "desc.batch x desc.in_height x desc.in_width x desc.in_channels",
                          d->batch, d->in_height, d->in_width, d->in_channels, &s->x_count));
  EVR_TRY(evr_check_count("the weights",
                          "desc.kernel_height x desc.kernel_width x desc.in_channels / desc.groups "
                          "x desc.out_channels",
                          d->kernel_height, d->kernel_width, problem->group_in, d->out_channels,
                          &s->weights_count));
  EVR_TRY(evr_check_count("the convolution's output",
                          "desc.batch x output height x output width x desc.out_channels", d->batch,
                          s->conv_height, s->conv_width, d->out_channels, &s->y_count));
  /* Kernels may copy padded rows or planes, so a padded image must be countable as well. */
  int64_t padded_count;
  EVR_TRY(evr_check_count("the padded x",
                          "desc.batch x height and width with pads x desc.in_channels", d->batch,
                          padded_h, padded_w, d->in_channels, &padded_count));
  s->residual_count = s->y_count;
  problem->y_plane = problem->residual_plane = s->conv_height * s->conv_width;
  problem->depth = d->kernel_height * d->kernel_width * problem->group_in;
  problem->multiplies = (double)s->y_count * (double)problem->depth;
  problem->weights =
      (evr_weight_steps){.row = evr_weight_offset(problem, 1, 0, 0, 0),
                         .column = evr_weight_offset(problem, 0, 1, 0, 0),
                         .in = evr_weight_offset(problem, 0, 0, 1, 0),
                         .out = evr_weight_offset(problem, 0, 0, 0, 1),
                         .group = evr_weight_offset(problem, 0, 0, 0, problem->group_out)};
  return EVR_OK;
}

void evr_conv2d_share_scratch(evr_conv2d_problem *p, const evr_conv2d_sizes *s, int64_t taken,
                              int64_t threads) {
  /* In whole lines, and with slack to align. */
  const int64_t stack = EVR_CONV2D_STACK_BYTES;
  const int64_t tensors =
      (s->x_count + s->y_count + s->weights_count) * (int64_t)sizeof(float) - 2 * 64;
  p->tensors = evr_max(tensors, stack);
  const int64_t left = evr_max(p->tensors - taken, stack / 4);
  p->scratch = left / 64 * 64;
  p->scratch_share = left / threads / 64 * 64;
  p->scratch_threads = threads;
}

size_t evr_name_reach(const evr_conv2d_desc *d, const char *direction, char *text, size_t size,
                      size_t used) {
  const bool is_height = strcmp(direction, "height") == 0;
  const int64_t kernel = is_height ? d->kernel_height : d->kernel_width;
  const int64_t dilation = is_height ? d->dilation_height : d->dilation_width;
  char *end = text + used;
  const size_t left = size - used;
  /* A dilation between no taps is not as it was given. */
  const int length =
      kernel == 1 ? snprintf(end, left, "desc.kernel_%s 1", direction)
                  : snprintf(end, left, "desc.kernel_%s %" PRId64 " with desc.dilation_%s %" PRId64,
                             direction, kernel, direction, dilation);
  used += (size_t)length;
  return used < size ? used : size - 1;
}

void evr_refuse_scratch(const evr_conv2d_problem *p, size_t bytes, char *reason) {
  const evr_conv2d_desc *d = p->part_of != NULL ? p->part_of : &p->desc;
  const bool tall =
      (d->kernel_height - 1) * d->dilation_height >= (d->kernel_width - 1) * d->dilation_width;
  size_t used;
  if (d->kernel_height == 1 && d->kernel_width == 1) {
    used = (size_t)snprintf(reason, EVR_REASON_SIZE,
                            "desc.%s_channels %" PRId64 " with desc.stride_width %" PRId64,
                            evr_in_name(p), p->desc.in_channels, d->stride_width);
  } else {
    used = (size_t)snprintf(reason, EVR_REASON_SIZE, "windows of ");
    used = evr_name_reach(d, tall ? "height" : "width", reason, EVR_REASON_SIZE, used);
  }
  snprintf(reason + used, EVR_REASON_SIZE - used,
           " need %zu bytes of scratch, and there may be %" PRId64, bytes, p->scratch);
}

evr_status evr_conv2d_set_padding(evr_conv2d_desc *desc, evr_padding_scheme scheme) {
  EVR_TRY(evr_check_pointer("desc", desc));
  evr_window rows = vertical_window(desc), columns = horizontal_window(desc);
  EVR_TRY(evr_scheme_pads(scheme, &vertical, &rows));
  EVR_TRY(evr_scheme_pads(scheme, &horizontal, &columns));
  desc->pad_top = rows.before;
  desc->pad_bottom = rows.after;
  desc->pad_left = columns.before;
  desc->pad_right = columns.after;
  return EVR_OK;
}
