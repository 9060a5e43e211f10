#include "conv/turned.h"

#include <stdio.h>
#include <string.h>

#include "activation/reference.h"
#include "conv/turned_phases.h"
#include "core/check.h"
#include "core/memory.h"

/* Rows are handed out in tasks of about this many floats. */
#define TASK_FLOATS 32768

static evr_direction rows_of(const evr_conv2d_backward_problem *p) {
  const evr_conv2d_desc *d = &p->conv.desc;
  return (evr_direction){d->in_height,     p->conv.sizes.conv_height, d->kernel_height,
                         d->stride_height, d->dilation_height,        d->pad_top};
}

static evr_direction columns_of(const evr_conv2d_backward_problem *p) {
  const evr_conv2d_desc *d = &p->conv.desc;
  return (evr_direction){d->in_width,     p->conv.sizes.conv_width, d->kernel_width,
                         d->stride_width, d->dilation_width,        d->pad_left};
}

/* The pixels of one phase in each direction. */
typedef struct part {
  const evr_conv2d_backward_problem *p;
  evr_phase rows, columns;
  const evr_kernel *kernel;
  evr_conv2d_problem inner; /* the convolution that gives them */
  int64_t first_weight;     /* where its weights begin in those of all parts */
  int64_t first_pixel;      /* likewise its pixels in dx */
  bool copied;              /* of a copy of the gradient, cut or padded already */
  bool direct;              /* dx is written to, else a buffer */
} part;

/* The turned filter's weights, where they lie: the part's taps in descending order, inputs and
 * outputs exchanged. */
static void find_weights(part *t) {
  const evr_weight_steps *s = &t->p->conv.weights;
  const int64_t row = t->rows.tap_step * s->row, column = t->columns.tap_step * s->column;
  t->first_weight = t->rows.tap * s->row + (t->rows.taps - 1) * row + t->columns.tap * s->column +
                    (t->columns.taps - 1) * column;
  t->inner.weights = (evr_weight_steps){
      .row = -row, .column = -column, .in = s->out, .out = s->in, .group = s->group};
}

/* Whether the convolution writes to dx, and where. */
static void find_pixels(part *t) {
  const evr_conv2d_desc *d = &t->p->conv.desc;
  const evr_phase *rows = &t->rows, *columns = &t->columns;
  t->direct = rows->count == d->in_height && columns->count == d->in_width;
  if (t->direct || !t->kernel->spreads || d->layout == EVR_NCHW) return;
  /* A step that is never taken may be any number. */
  const int64_t channels = d->in_channels, line = d->in_width * channels;
  t->direct = true;
  t->first_pixel = rows->first * line + columns->first * channels;
  t->inner.spread = (evr_spread){.pixel = (columns->count > 1 ? d->stride_width : 1) * channels,
                                 .row = (rows->count > 1 ? d->stride_height : 1) * line,
                                 .image = d->in_height * line};
}

static evr_status make_part(part *t) {
  const evr_conv2d_backward_problem *p = t->p;
  const evr_conv2d_desc *d = &p->conv.desc;
  const evr_phase *rows = &t->rows, *columns = &t->columns;
  t->first_pixel = 0;
  t->copied = rows->pad_before < 0 || rows->pad_after < 0 || columns->pad_before < 0 ||
              columns->pad_after < 0;
  evr_conv2d_desc inner = {.batch = d->batch,
                           .groups = d->groups,
                           .in_channels = d->out_channels,
                           .in_height = p->conv.sizes.conv_height,
                           .in_width = p->conv.sizes.conv_width,
                           .out_channels = d->in_channels,
                           .kernel_height = rows->taps,
                           .kernel_width = columns->taps,
                           .stride_height = 1,
                           .stride_width = 1,
                           .dilation_height = rows->dilation,
                           .dilation_width = columns->dilation,
                           .pad_top = rows->pad_before,
                           .pad_bottom = rows->pad_after,
                           .pad_left = columns->pad_before,
                           .pad_right = columns->pad_after,
                           .pad_mode = EVR_PAD_ZERO,
                           .layout = d->layout,
                           .filter_layout = d->filter_layout,
                           .activation = p->activation};
  if (t->copied) {
    inner.in_height = rows->count + (rows->taps - 1) * rows->dilation;
    inner.in_width = columns->count + (columns->taps - 1) * columns->dilation;
    inner.pad_top = inner.pad_bottom = inner.pad_left = inner.pad_right = 0;
  }
  EVR_TRY(evr_conv2d_problem_init(&t->inner, &inner));
  t->inner.common = p->common;
  evr_conv2d_share_scratch(&t->inner, &t->inner.sizes, 0, p->common.parallel.threads);
  find_weights(t);
  find_pixels(t);
  return EVR_OK;
}

/* Visits every part, as kernel makes it; stops, and returns false, where one cannot be made or
 * visit says so. */
typedef bool part_visit(const part *t, void *argument);

static bool for_each_part(const evr_conv2d_backward_problem *p, const evr_kernel *kernel,
                          part_visit *visit, void *argument) {
  const evr_direction rows = rows_of(p), columns = columns_of(p);
  part t = {.p = p, .kernel = kernel};
  for (int64_t i = 0; i < evr_phase_count(&rows); i++) {
    t.rows = evr_phase_of(&rows, i);
    if (t.rows.taps == 0) continue;
    for (int64_t j = 0; j < evr_phase_count(&columns); j++) {
      t.columns = evr_phase_of(&columns, j);
      if (t.columns.taps == 0) continue;
      if (make_part(&t) != EVR_OK || !visit(&t, argument)) return false;
    }
  }
  return true;
}

/* Whether some pixels are in no part. */
static bool leaves_pixels(const evr_direction *d) {
  for (int64_t i = 0; i < evr_phase_count(d); i++)
    if (evr_phase_of(d, i).taps == 0) return true;
  return false;
}

/* ---- may it, and what does it take ---- */

static bool accepts_part(const part *t, void *argument) {
  char reason[EVR_REASON_SIZE];
  if (t->kernel->accepts == NULL || t->kernel->accepts(&t->inner, reason)) return true;
  snprintf(argument, EVR_REASON_SIZE, "as a convolution of dy: %.130s", reason);
  return false;
}

bool evr_turned_accepts(const void *problem, const evr_kernel *inner, char *reason) {
  snprintf(reason, EVR_REASON_SIZE, "its convolutions of dy are too large");
  return for_each_part(problem, inner, accepts_part, reason);
}

/* What does not pack reads its weights one after the other: these are copied, so that an execution
 * with packed weights needs no others. */
static bool packs(const part *t) {
  return t->kernel->packed_size != NULL && t->kernel->packed_size(&t->inner) > 0;
}

static size_t packed_bytes(const part *t) {
  return packs(t) ? evr_size_lines(t->kernel->packed_size(&t->inner))
                  : evr_size_floats(t->inner.sizes.weights_count);
}

static bool add_packed(const part *t, void *argument) {
  size_t *bytes = argument;
  *bytes = evr_size_sum(*bytes, packed_bytes(t));
  return true;
}

size_t evr_turned_packed_size(const void *problem, const evr_kernel *inner) {
  size_t bytes = 0;
  for_each_part(problem, inner, add_packed, &bytes);
  return bytes;
}

/* Scratch of the largest part, in this order. */
typedef struct scratch {
  size_t gradient, inner_bytes, output;
} scratch;

static void enlarge(size_t *bytes, size_t wanted) {
  if (*bytes < wanted) *bytes = wanted;
}

static bool measure_part(const part *t, void *argument) {
  scratch *s = argument;
  const evr_kernel *inner = t->kernel;
  const evr_conv2d_sizes *sizes = &t->inner.sizes;
  if (t->copied) enlarge(&s->gradient, evr_size_floats(sizes->x_count));
  if (!t->direct) enlarge(&s->output, evr_size_floats(sizes->y_count));
  if (inner->workspace_size != NULL)
    enlarge(&s->inner_bytes, evr_size_lines(inner->workspace_size(&t->inner)));
  return true;
}

static scratch measure(const evr_conv2d_backward_problem *p, const evr_kernel *inner) {
  scratch s = {0};
  for_each_part(p, inner, measure_part, &s);
  return s;
}

size_t evr_turned_workspace_size(const void *problem, const evr_kernel *inner) {
  const scratch s = measure(problem, inner);
  return evr_size_sum(evr_size_sum(s.gradient, s.inner_bytes), s.output);
}

/* A float is moved in half a nanosecond. Packing is left out, as it is in the forward pass: all
 * that could be chosen pack alike. */
static bool price_part(const part *t, void *argument) {
  double *nanoseconds = argument;
  const evr_conv2d_sizes *s = &t->inner.sizes;
  *nanoseconds += t->kernel->cost(&t->inner) + 60.0 + (t->copied ? 0.3 * (double)s->x_count : 0.0) +
                  (t->direct ? 0.0 : 0.5 * (double)s->y_count);
  return true;
}

double evr_turned_cost(const void *problem, const evr_kernel *inner) {
  double nanoseconds = 100.0;
  for_each_part(problem, inner, price_part, &nanoseconds);
  return nanoseconds;
}

/* ---- packing ---- */

typedef struct packing {
  const float *weights;
  char *to;
} packing;

static bool pack_part(const part *t, void *argument) {
  packing *k = argument;
  const float *weights = k->weights + t->first_weight;
  if (packs(t))
    t->kernel->pack(&t->inner, weights, k->to);
  else
    memcpy(k->to, weights, (size_t)t->inner.sizes.weights_count * sizeof *weights);
  k->to += packed_bytes(t);
  return true;
}

void evr_turned_pack(const void *problem, const evr_kernel *inner, const float *weights,
                     void *packed) {
  packing k = {weights, packed};
  for_each_part(problem, inner, pack_part, &k);
}

/* ---- the parts of an execution ---- */

/* Rows of images (NHWC) or planes (NCHW), to be copied in parallel. */
typedef struct copy_job {
  const part *t;
  const float *from;
  float *to;
  int64_t planes; /* images, or images times channels */
  int64_t pixel;  /* floats of one pixel */
  int64_t height; /* rows of one plane, and how many are one task */
  int64_t a_task;
} copy_job;

static void run_copy(copy_job *j, int64_t channels, int64_t width, evr_task *body) {
  /* That of the whole: a single pixel may be seen in the other one (problem.c). */
  const evr_conv2d_desc *d = &j->t->p->conv.desc;
  const bool nhwc = d->layout == EVR_NHWC;
  j->planes = nhwc ? d->batch : d->batch * channels;
  j->pixel = nhwc ? channels : 1;
  j->a_task = evr_max(1, TASK_FLOATS / (width * j->pixel));
  evr_parallel_for(&j->t->inner.common.parallel, evr_ceil_div(j->planes * j->height, j->a_task),
                   body, j);
}

/* The gradient with its pads, or without what they take away. */
static void copy_gradient_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const copy_job *j = argument;
  const part *t = j->t;
  const evr_conv2d_sizes *s = &t->p->conv.sizes;
  const int64_t width = t->inner.desc.in_width, before = t->columns.pad_before;
  const int64_t begin = evr_min(evr_max(before, 0), width);
  const int64_t end = evr_max(evr_min(before + s->conv_width, width), begin);
  const int64_t last = evr_min((task + 1) * j->a_task, j->planes * j->height);
  for (int64_t i = task * j->a_task; i < last; i++) {
    float *to = j->to + i * width * j->pixel;
    const int64_t row = i % j->height - t->rows.pad_before;
    if (row < 0 || row >= s->conv_height || begin == end) {
      memset(to, 0, (size_t)(width * j->pixel) * sizeof *to);
      continue;
    }
    const float *from =
        j->from +
        ((i / j->height * s->conv_height + row) * s->conv_width + begin - before) * j->pixel;
    memset(to, 0, (size_t)(begin * j->pixel) * sizeof *to);
    memcpy(to + begin * j->pixel, from, (size_t)((end - begin) * j->pixel) * sizeof *to);
    memset(to + end * j->pixel, 0, (size_t)((width - end) * j->pixel) * sizeof *to);
  }
}

/* The part's pixels to where they belong. */
static void spread_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const copy_job *j = argument;
  const part *t = j->t;
  const evr_conv2d_desc *d = &t->p->conv.desc;
  const int64_t count = t->columns.count, pixel = j->pixel;
  const int64_t step = d->stride_width;
  const int64_t last = evr_min((task + 1) * j->a_task, j->planes * j->height);
  for (int64_t i = task * j->a_task; i < last; i++) {
    const float *from = j->from + i * count * pixel;
    const int64_t row = t->rows.first + i % j->height * (t->rows.count > 1 ? d->stride_height : 0);
    float *to =
        j->to + ((i / j->height * d->in_height + row) * d->in_width + t->columns.first) * pixel;
    if (pixel == 1)
      for (int64_t m = 0; m < count; m++) to[count > 1 ? m * step : 0] = from[m];
    else
      for (int64_t m = 0; m < count; m++)
        memcpy(to + (m > 0 ? m * step : 0) * pixel, from + m * pixel, (size_t)pixel * sizeof *to);
  }
}

/* Rows of dx, of which some pixels are reached by no window. */
typedef struct fill_job {
  const evr_conv2d_backward_problem *p;
  const evr_conv2d_backward_data_call *call;
  evr_direction rows, columns;
  bool in_all_rows; /* for there are such columns */
} fill_job;

/* So many pixels side by side, the channels of plane i, or of NHWC all of them. */
static void fill_pixels(const fill_job *j, float *to, int64_t pixels, int64_t plane) {
  const evr_conv2d_desc *d = &j->p->conv.desc;
  const bool nhwc = d->layout == EVR_NHWC;
  const float *bias = j->call->bias;
  if (bias == NULL && j->p->activation.kind == EVR_IDENTITY) {
    memset(to, 0, (size_t)(pixels * (nhwc ? d->in_channels : 1)) * sizeof *to);
    return;
  }
  for (int64_t c = 0; c < (nhwc ? d->in_channels : 1); c++) {
    const int64_t channel = nhwc ? c : plane % d->in_channels;
    const float sum = bias != NULL ? 0.0f + bias[channel] : 0.0f;
    const float value = evr_activation_reference(&j->p->activation, sum);
    for (int64_t i = 0; i < pixels; i++) to[nhwc ? i * d->in_channels + c : i] = value;
  }
}

static bool is_reached(const evr_direction *d, int64_t pixel) {
  return evr_phase_of(d, pixel % d->stride).taps > 0;
}

static void fill_row(void *argument, int64_t task, int slot) {
  (void)slot;
  const fill_job *j = argument;
  const evr_conv2d_desc *d = &j->p->conv.desc;
  const int64_t pixel = d->layout == EVR_NHWC ? d->in_channels : 1;
  const int64_t plane = task / d->in_height;
  float *to = j->call->dx + task * d->in_width * pixel;
  /* A row of one plane is filled sooner than every other float of it; the parts come after. */
  if ((d->layout == EVR_NCHW && j->in_all_rows) || !is_reached(&j->rows, task % d->in_height)) {
    fill_pixels(j, to, d->in_width, plane);
    return;
  }
  for (int64_t first = 0; first < evr_phase_count(&j->columns); first++) {
    if (is_reached(&j->columns, first)) continue;
    for (int64_t i = first; i < d->in_width; i += evr_min(d->stride_width, d->in_width))
      fill_pixels(j, to + i * pixel, 1, plane);
  }
}

/* What a pixel is that no window reaches: the activation of the bias alone. */
static void fill(const evr_conv2d_backward_problem *p, const evr_conv2d_backward_data_call *call) {
  fill_job j = {.p = p, .call = call, .rows = rows_of(p), .columns = columns_of(p)};
  j.in_all_rows = leaves_pixels(&j.columns);
  if (!j.in_all_rows && !leaves_pixels(&j.rows)) return;
  const evr_conv2d_desc *d = &p->conv.desc;
  const int64_t planes = d->batch * (d->layout == EVR_NHWC ? 1 : d->in_channels);
  evr_parallel_for(&p->common.parallel, planes * d->in_height, fill_row, &j);
}

typedef struct execution {
  const evr_conv2d_backward_data_call *call;
  scratch s;
  const char *packed; /* of the next part */
} execution;

static bool run_part(const part *t, void *argument) {
  execution *e = argument;
  const evr_conv2d_problem *p = &t->inner;
  char *gradient = e->call->workspace, *workspace = gradient + e->s.gradient;
  char *output = workspace + e->s.inner_bytes;
  evr_conv2d_call call = {
      .x = e->call->g,
      .weights = (const float *)(const void *)e->packed, /* of what does not pack */
      .packed = e->packed,
      .bias = e->call->bias,
      .y = t->direct ? e->call->dx + t->first_pixel : (float *)(void *)output,
      .workspace = workspace};
  e->packed += packed_bytes(t);
  if (t->copied) {
    copy_job j = {.t = t, .from = e->call->g, .to = (float *)(void *)gradient};
    j.height = p->desc.in_height;
    run_copy(&j, p->desc.in_channels, p->desc.in_width, copy_gradient_rows);
    call.x = j.to;
  }
  t->kernel->forward(p, &call);
  if (!t->direct) {
    copy_job j = {.t = t, .from = call.y, .to = e->call->dx, .height = t->rows.count};
    run_copy(&j, p->desc.out_channels, t->columns.count, spread_rows);
  }
  return true;
}

void evr_turned_forward(const void *problem, const evr_kernel *inner, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *call = arguments;
  fill(p, call);
  execution e = {call, measure(p, inner), call->packed};
  for_each_part(p, inner, run_part, &e);
}
