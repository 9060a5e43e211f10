#include "pool/problem.h"

#include <inttypes.h>

#include "core/checked.h"
#include "core/status.h"

const evr_pool2d_names evr_pool2d_desc_names = {
    "desc.window.kind",
    {"desc.in_height", "desc.window.kernel_height", "desc.window.stride_height",
     "desc.window.dilation_height", "desc.window.pad_top", "desc.window.pad_bottom"},
    {"desc.in_width", "desc.window.kernel_width", "desc.window.stride_width",
     "desc.window.dilation_width", "desc.window.pad_left", "desc.window.pad_right"}};

const evr_pool2d_names evr_pool2d_trio_names = {
    "desc.pool.kind",
    {"the convolution's height", "desc.pool.kernel_height", "desc.pool.stride_height",
     "desc.pool.dilation_height", "desc.pool.pad_top", "desc.pool.pad_bottom"},
    {"the convolution's width", "desc.pool.kernel_width", "desc.pool.stride_width",
     "desc.pool.dilation_width", "desc.pool.pad_left", "desc.pool.pad_right"}};

static evr_window vertical_window(const evr_pool2d_desc *d) {
  const evr_pool2d_window *w = &d->window;
  return (evr_window){d->in_height,       w->kernel_height, w->stride_height,
                      w->dilation_height, w->pad_top,       w->pad_bottom};
}

static evr_window horizontal_window(const evr_pool2d_desc *d) {
  const evr_pool2d_window *w = &d->window;
  return (evr_window){d->in_width,       w->kernel_width, w->stride_width,
                      w->dilation_width, w->pad_left,     w->pad_right};
}

/* A pad of a whole window would give windows without a pixel. */
static evr_status check_pad(const evr_window_names *names, const char *name, int64_t pad,
                            int64_t extent) {
  if (pad < extent) return EVR_OK;
  return evr_fail(EVR_INVALID_ARGUMENT,
                  "%s is %" PRId64 "; it must be smaller than the window, which spans %" PRId64
                  " (%s)",
                  name, pad, extent, names->kernel);
}

/* Windows in one direction, and how large the padded image is in it. */
static evr_status count_windows(const evr_window_names *names, const evr_window *window,
                                bool ceil_mode, int64_t *windows, int64_t *padded) {
  int64_t extent;
  EVR_TRY(evr_check_window(names, window, &extent, padded));
  EVR_TRY(check_pad(names, names->before, window->before, extent));
  EVR_TRY(check_pad(names, names->after, window->after, extent));
  const int64_t slack = *padded - extent;
  if (!ceil_mode) {
    *windows = slack / window->stride + 1;
    return EVR_OK;
  }
  *windows = evr_ceil_div(slack, window->stride) + 1;
  /* As PyTorch: a last window that starts in the padding behind the image is dropped. */
  if (*windows - 1 > (window->in + window->before - 1) / window->stride) --*windows;
  return EVR_OK;
}

static evr_status check_kind(const char *name, evr_pool_kind kind) {
  if (kind == EVR_POOL_MAX || kind == EVR_POOL_AVERAGE || kind == EVR_POOL_MIN) return EVR_OK;
  return evr_fail(EVR_INVALID_ARGUMENT, "%s is %d, which is no kind of pooling", name, (int)kind);
}

/* The plane as a window. */
static void make_global(evr_pool2d_desc *d) {
  d->window = (evr_pool2d_window){.kind = d->window.kind,
                                  .kernel_height = d->in_height,
                                  .kernel_width = d->in_width,
                                  .stride_height = 1,
                                  .stride_width = 1,
                                  .dilation_height = 1,
                                  .dilation_width = 1,
                                  .global = true};
}

evr_status evr_pool2d_problem_init(evr_pool2d_problem *problem, const evr_pool2d_desc *desc,
                                   const evr_pool2d_names *names) {
  EVR_TRY(evr_check_pointer("desc", desc));
  evr_pool2d_desc d = *desc;
  EVR_TRY(check_kind(names->kind, d.window.kind));
  EVR_TRY(evr_check_layout("desc.layout", d.layout));
  EVR_TRY(evr_check_at_least("desc.batch", d.batch, 1));
  EVR_TRY(evr_check_at_least("desc.channels", d.channels, 1));
  EVR_TRY(evr_check_at_least(names->vertical.in, d.in_height, 1));
  EVR_TRY(evr_check_at_least(names->horizontal.in, d.in_width, 1));
  if (d.window.global) make_global(&d);

  evr_pool2d_sizes s;
  const evr_window rows = vertical_window(&d), columns = horizontal_window(&d);
  int64_t padded_height, padded_width, padded_count;
  EVR_TRY(
      count_windows(&names->vertical, &rows, d.window.ceil_mode, &s.out_height, &padded_height));
  EVR_TRY(
      count_windows(&names->horizontal, &columns, d.window.ceil_mode, &s.out_width, &padded_width));
  EVR_TRY(evr_check_count("x", "desc.batch x desc.in_height x desc.in_width x desc.channels",
                          d.batch, d.in_height, d.in_width, d.channels, &s.x_count));
  EVR_TRY(evr_check_count("y", "desc.batch x output height x output width x desc.channels", d.batch,
                          s.out_height, s.out_width, d.channels, &s.y_count));
  /* So that coordinates of any tap fit, and the product of the kernel's sides. */
  EVR_TRY(evr_check_count("the padded x", "desc.batch x height and width with pads x desc.channels",
                          d.batch, padded_height, padded_width, d.channels, &padded_count));

  *problem = (evr_pool2d_problem){.desc = d,
                                  .sizes = s,
                                  .x_plane = d.in_height * d.in_width,
                                  .y_plane = s.out_height * s.out_width};
  /* A stride that is never taken, or a dilation between no taps, may be any number; kernels
   * multiply with them. */
  evr_pool2d_window *w = &problem->desc.window;
  if (s.out_height == 1) w->stride_height = 1;
  if (s.out_width == 1) w->stride_width = 1;
  if (w->kernel_height == 1) w->dilation_height = 1;
  if (w->kernel_width == 1) w->dilation_width = 1;
  problem->taps = (double)s.y_count * (double)(d.window.kernel_height * d.window.kernel_width);
  const double bytes = 4.0 * ((double)s.x_count + (double)s.y_count);
  problem->work = bytes > problem->taps ? bytes : problem->taps;
  return EVR_OK;
}

evr_status evr_pool2d_set_padding(evr_pool2d_desc *desc, evr_padding_scheme scheme) {
  EVR_TRY(evr_check_pointer("desc", desc));
  evr_pool2d_desc d = *desc;
  if (d.window.global) { /* a scheme is checked, but there is nothing to pad */
    make_global(&d);
    d.window.kernel_height = d.window.kernel_width = 1;
  }
  evr_window rows = vertical_window(&d), columns = horizontal_window(&d);
  EVR_TRY(evr_scheme_pads(scheme, &evr_pool2d_desc_names.vertical, &rows));
  EVR_TRY(evr_scheme_pads(scheme, &evr_pool2d_desc_names.horizontal, &columns));
  desc->window.pad_top = rows.before;
  desc->window.pad_bottom = rows.after;
  desc->window.pad_left = columns.before;
  desc->window.pad_right = columns.after;
  return EVR_OK;
}
