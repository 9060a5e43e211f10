/* The backward pass of pooling as it is taught: an average distributes its gradient evenly over its
 * window, and a mask gives that of a maximum (or minimum) to the pixel that won. Windows come in
 * row-major order, and every one adds to what its pixels have: so they meet their windows in the
 * canonical order. */
#include <string.h>

#include "pool/backward.h"

/* Pixels that the forward pass divided by. */
static int64_t count_pixels(const evr_pool2d_problem *p, int64_t oh, int64_t ow) {
  const evr_pool2d_desc *d = &p->desc;
  const evr_pool2d_window *w = &d->window;
  int64_t count = 0;
  for (int64_t kh = 0; kh < w->kernel_height; kh++)
    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
      const int64_t ih = oh * w->stride_height - w->pad_top + kh * w->dilation_height;
      const int64_t iw = ow * w->stride_width - w->pad_left + kw * w->dilation_width;
      const bool beyond = ih >= d->in_height + w->pad_bottom || iw >= d->in_width + w->pad_right;
      const bool padding = ih < 0 || ih >= d->in_height || iw < 0 || iw >= d->in_width;
      if (!beyond && (!padding || w->count_include_pad)) count++;
    }
  return count;
}

static void distribute(const evr_pool2d_problem *p, const evr_pool2d_backward_call *call, int64_t n,
                       int64_t oh, int64_t ow, int64_t c) {
  const evr_pool2d_desc *d = &p->desc;
  const evr_pool2d_window *w = &d->window;
  const int64_t at = evr_pool_offset(d, p->y_plane, p->sizes.out_width, n, oh, ow, c);
  const bool average = w->kind == EVR_POOL_AVERAGE;
  float share = call->dy[at];
  int64_t winner = -1;
  if (average)
    share /= (float)count_pixels(p, oh, ow);
  else
    winner =
        call->indices != NULL ? call->indices[at] : evr_pool2d_winner(p, call->x, n, oh, ow, c);
  for (int64_t kh = 0; kh < w->kernel_height; kh++)
    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
      const int64_t ih = oh * w->stride_height - w->pad_top + kh * w->dilation_height;
      const int64_t iw = ow * w->stride_width - w->pad_left + kw * w->dilation_width;
      if (ih < 0 || ih >= d->in_height || iw < 0 || iw >= d->in_width) continue;
      if (average || ih * d->in_width + iw == winner)
        call->dx[evr_pool_offset(d, p->x_plane, d->in_width, n, ih, iw, c)] += share;
    }
}

static void backward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_backward_call *call = arguments;
  const evr_pool2d_desc *d = &p->desc;
  memset(call->dx, 0, (size_t)p->sizes.x_count * sizeof *call->dx);
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < p->sizes.out_height; oh++)
      for (int64_t ow = 0; ow < p->sizes.out_width; ow++)
        for (int64_t c = 0; c < d->channels; c++) distribute(p, call, n, oh, ow, c);
}

/* About 3 ns for a tap with its tests, twice. */
static double cost(const void *problem) {
  return 6.0 * ((const evr_pool2d_problem *)problem)->taps + 100.0;
}

const evr_kernel evr_pool2d_backward_reference = {.cost = cost, .forward = backward};
