/* The backward pass of padding by runs of memory: a row of the image collects the padded rows that
 * show it, from top to bottom, and each of these gives it what lies left of the image, the image's
 * own columns, and what lies right: so every pixel meets its places in row-major order. A pixel is
 * all channels (NHWC), or one of batch x channels planes has pixels of one float (NCHW). */
#include <string.h>

#include "core/checked.h"
#include "core/pixels.h"
#include "pad/problem.h"

/* Rows are handed out in tasks of about this many floats. */
#define TASK_FLOATS 32768

typedef struct rows {
  const evr_pad2d_problem *problem;
  const evr_pad2d_backward_call *call;
  int64_t pixel; /* floats of one pixel */
  int64_t count; /* rows of the image, of all planes */
  int64_t a_task;
} rows;

typedef struct range {
  int64_t first, end;
} range;

/* The rows above, and below, the image that show row ih of it. */
static range rows_above(const evr_pad2d_desc *d, int64_t ih) {
  const range none = {0, 0};
  if (d->mode == EVR_PAD_REPLICATE) return ih == 0 ? (range){0, d->pad_top} : none;
  const int64_t mirrored = d->pad_top - ih;
  if (d->mode == EVR_PAD_REFLECT && ih > 0 && mirrored >= 0) return (range){mirrored, mirrored + 1};
  return none;
}

static range rows_below(const evr_pad2d_desc *d, int64_t ih, int64_t out_height) {
  const range none = {0, 0};
  const int64_t last = d->in_height - 1;
  if (d->mode == EVR_PAD_REPLICATE)
    return ih == last ? (range){d->pad_top + d->in_height, out_height} : none;
  const int64_t mirrored = d->pad_top + 2 * last - ih;
  if (d->mode == EVR_PAD_REFLECT && ih < last && mirrored < out_height)
    return (range){mirrored, mirrored + 1};
  return none;
}

static void add(float *restrict dx, const float *restrict dy, int64_t count) {
  for (int64_t i = 0; i < count; i++) dx[i] += dy[i];
}

/* count pixels of the padding, from column first of the padded row on. */
static void add_pads(const rows *r, float *dx, const float *dy, int64_t first, int64_t count) {
  const evr_pad2d_desc *d = &r->problem->desc;
  if (d->mode == EVR_PAD_ZERO) return;
  for (int64_t i = 0; i < count; i++) {
    const int64_t iw = evr_source_pixel(first + i - d->pad_left, d->in_width, d->mode);
    add(dx + iw * r->pixel, dy + (first + i) * r->pixel, r->pixel);
  }
}

static void add_row(const rows *r, float *dx, const float *dy) {
  const evr_pad2d_desc *d = &r->problem->desc;
  add_pads(r, dx, dy, 0, d->pad_left);
  add(dx, dy + d->pad_left * r->pixel, d->in_width * r->pixel);
  add_pads(r, dx, dy, d->pad_left + d->in_width, d->pad_right);
}

static void fold_row(const rows *r, int64_t row) {
  const evr_pad2d_desc *d = &r->problem->desc;
  const evr_pad2d_sizes *s = &r->problem->sizes;
  const int64_t plane = row / d->in_height, ih = row % d->in_height;
  const int64_t stride = s->out_width * r->pixel;
  float *dx = r->call->dx + row * d->in_width * r->pixel;
  const float *dy = r->call->dy + plane * s->out_height * stride;
  const range above = rows_above(d, ih), below = rows_below(d, ih, s->out_height);
  memset(dx, 0, (size_t)(d->in_width * r->pixel) * sizeof *dx);
  for (int64_t oh = above.first; oh < above.end; oh++) add_row(r, dx, dy + oh * stride);
  add_row(r, dx, dy + (d->pad_top + ih) * stride);
  for (int64_t oh = below.first; oh < below.end; oh++) add_row(r, dx, dy + oh * stride);
}

static void fold_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const rows *r = argument;
  const int64_t end = evr_min(r->count, (task + 1) * r->a_task);
  for (int64_t row = task * r->a_task; row < end; row++) fold_row(r, row);
}

static void backward(const void *problem, const void *arguments) {
  const evr_pad2d_problem *p = problem;
  const evr_pad2d_desc *d = &p->desc;
  const bool nhwc = d->layout == EVR_NHWC;
  rows r = {.problem = p, .call = arguments, .pixel = nhwc ? d->channels : 1};
  r.count = (nhwc ? d->batch : d->batch * d->channels) * d->in_height;
  r.a_task = evr_max(1, TASK_FLOATS / (p->sizes.out_width * r.pixel));
  evr_parallel_for(&p->common.parallel, evr_ceil_div(r.count, r.a_task), fold_rows, &r);
}

static double cost(const void *problem) {
  const evr_pad2d_problem *p = problem;
  const double rows_of_planes = (double)p->desc.batch * (double)p->sizes.out_height *
                                (p->desc.layout == EVR_NCHW ? (double)p->desc.channels : 1.0);
  return 0.5 * (double)p->sizes.y_count + 10.0 * rows_of_planes + 50.0;
}

const evr_kernel evr_pad2d_backward_fold = {.cost = cost, .forward = backward};
