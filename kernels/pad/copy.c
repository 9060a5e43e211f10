/* Padding by runs of memory: a row of the image is one copy, and only its two ends go pixel by
 * pixel. What a row holds is the same in both layouts: pixels of all channels (NHWC), or pixels of
 * one channel in each of batch x channels planes (NCHW). */
#include <string.h>

#include "core/checked.h"
#include "core/pixels.h"
#include "pad/problem.h"

/* Rows are handed out in tasks of about this many floats. */
#define TASK_FLOATS 32768

typedef struct rows {
  const evr_pad2d_problem *problem;
  const evr_pad2d_call *call;
  int64_t pixel; /* floats of one pixel */
  int64_t count; /* output rows of all planes */
  int64_t a_task;
} rows;

/* count pixels of the padding, from column first of the padded row on. */
static void pad_pixels(const evr_pad2d_desc *d, int64_t pixel, const float *source, float *y,
                       int64_t first, int64_t count) {
  if (d->mode == EVR_PAD_ZERO) {
    memset(y, 0, (size_t)(count * pixel) * sizeof *y);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    const int64_t iw = evr_source_pixel(first + i - d->pad_left, d->in_width, d->mode);
    if (pixel == 1) /* a call of memcpy costs more than one float */
      y[i] = source[iw];
    else
      memcpy(y + i * pixel, source + iw * pixel, (size_t)pixel * sizeof *y);
  }
}

static void pad_row(const rows *r, int64_t row) {
  const evr_pad2d_desc *d = &r->problem->desc;
  const int64_t height = r->problem->sizes.out_height, width = r->problem->sizes.out_width;
  const int64_t plane = row / height, oh = row % height;
  const int64_t ih = evr_source_pixel(oh - d->pad_top, d->in_height, d->mode);
  float *y = r->call->y + row * width * r->pixel;
  if (ih < 0) {
    memset(y, 0, (size_t)(width * r->pixel) * sizeof *y);
    return;
  }
  const float *x = r->call->x + (plane * d->in_height + ih) * d->in_width * r->pixel;
  const int64_t end = d->pad_left + d->in_width;
  pad_pixels(d, r->pixel, x, y, 0, d->pad_left);
  memcpy(y + d->pad_left * r->pixel, x, (size_t)(d->in_width * r->pixel) * sizeof *y);
  pad_pixels(d, r->pixel, x, y + end * r->pixel, end, d->pad_right);
}

static void pad_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const rows *r = argument;
  const int64_t end = evr_min(r->count, (task + 1) * r->a_task);
  for (int64_t row = task * r->a_task; row < end; row++) pad_row(r, row);
}

static void forward(const void *problem, const void *arguments) {
  const evr_pad2d_problem *p = problem;
  const evr_pad2d_desc *d = &p->desc;
  const bool nhwc = d->layout == EVR_NHWC;
  rows r = {.problem = p, .call = arguments, .pixel = nhwc ? d->channels : 1};
  r.count = (nhwc ? d->batch : d->batch * d->channels) * p->sizes.out_height;
  r.a_task = evr_max(1, TASK_FLOATS / (p->sizes.out_width * r.pixel));
  evr_parallel_for(&p->common.parallel, evr_ceil_div(r.count, r.a_task), pad_rows, &r);
}

/* About 10 bytes a nanosecond, and some arithmetic for each row. */
static double cost(const void *problem) {
  const evr_pad2d_problem *p = problem;
  const double rows_of_planes = (double)p->desc.batch * (double)p->sizes.out_height *
                                (p->desc.layout == EVR_NCHW ? (double)p->desc.channels : 1.0);
  return 0.4 * (double)p->sizes.y_count + 10.0 * rows_of_planes + 50.0;
}

const evr_kernel evr_pad2d_copy = {.cost = cost, .forward = forward};
