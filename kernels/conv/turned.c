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
  evr_conv2d_problem inner; /* the convolution that gives them */
  bool copied;              /* of a copy of the gradient, cut or padded already */
  bool plain_weights;       /* with the weights as they are */
  bool whole;               /* which are all that there are, so dx is written to */
} part;

static evr_status make_part(part *t, const evr_conv2d_backward_problem *p) {
  const evr_conv2d_desc *d = &p->conv.desc;
  const evr_phase *rows = &t->rows, *columns = &t->columns;
  t->p = p;
  t->copied = rows->pad_before < 0 || rows->pad_after < 0 || columns->pad_before < 0 ||
              columns->pad_after < 0;
  t->whole = rows->count == d->in_height && columns->count == d->in_width;
  /* With one tap a filter is a matrix, and one layout's matrix is the other's, exchanged. */
  t->plain_weights = d->groups == 1 && d->kernel_height == 1 && d->kernel_width == 1;
  const bool other = t->plain_weights && d->filter_layout == EVR_HWIO;
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
                           .filter_layout = other ? EVR_OIHW : EVR_HWIO,
                           .activation = p->activation};
  if (t->copied) {
    inner.in_height = rows->count + (rows->taps - 1) * rows->dilation;
    inner.in_width = columns->count + (columns->taps - 1) * columns->dilation;
    inner.pad_top = inner.pad_bottom = inner.pad_left = inner.pad_right = 0;
  }
  EVR_TRY(evr_conv2d_problem_init(&t->inner, &inner));
  t->inner.common = p->common;
  evr_conv2d_share_scratch(&t->inner, &t->inner.sizes, 0, p->common.parallel.threads);
  return EVR_OK;
}

/* Visits every part; stops, and returns false, where one cannot be made or visit says so. */
typedef bool part_visit(const part *t, void *argument);

static bool for_each_part(const evr_conv2d_backward_problem *p, part_visit *visit, void *argument) {
  const evr_direction rows = rows_of(p), columns = columns_of(p);
  part t;
  for (int64_t i = 0; i < evr_phase_count(&rows); i++) {
    t.rows = evr_phase_of(&rows, i);
    if (t.rows.taps == 0) continue;
    for (int64_t j = 0; j < evr_phase_count(&columns); j++) {
      t.columns = evr_phase_of(&columns, j);
      if (t.columns.taps == 0) continue;
      if (make_part(&t, p) != EVR_OK || !visit(&t, argument)) return false;
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

typedef struct question {
  const evr_kernel *inner;
  char *reason;
} question;

static bool accepts_part(const part *t, void *argument) {
  const question *q = argument;
  char reason[EVR_REASON_SIZE];
  if (q->inner->accepts == NULL || q->inner->accepts(&t->inner, reason)) return true;
  snprintf(q->reason, EVR_REASON_SIZE, "as a convolution of dy: %.130s", reason);
  return false;
}

bool evr_turned_accepts(const void *problem, const evr_kernel *inner, char *reason) {
  question q = {inner, reason};
  snprintf(reason, EVR_REASON_SIZE, "its convolutions of dy are too large");
  return for_each_part(problem, accepts_part, &q);
}

/* Scratch of the largest part, in this order. */
typedef struct scratch {
  const evr_kernel *inner;
  size_t gradient, weights, packed, inner_bytes, output;
} scratch;

static void enlarge(size_t *bytes, size_t wanted) {
  if (*bytes < wanted) *bytes = wanted;
}

static bool measure_part(const part *t, void *argument) {
  scratch *s = argument;
  const evr_kernel *inner = s->inner;
  const evr_conv2d_sizes *sizes = &t->inner.sizes;
  if (t->copied) enlarge(&s->gradient, evr_size_floats(sizes->x_count));
  if (!t->plain_weights) enlarge(&s->weights, evr_size_floats(sizes->weights_count));
  if (!t->whole) enlarge(&s->output, evr_size_floats(sizes->y_count));
  if (inner->packed_size != NULL)
    enlarge(&s->packed, evr_size_lines(inner->packed_size(&t->inner)));
  if (inner->workspace_size != NULL)
    enlarge(&s->inner_bytes, evr_size_lines(inner->workspace_size(&t->inner)));
  return true;
}

static scratch measure(const evr_conv2d_backward_problem *p, const evr_kernel *inner) {
  scratch s = {.inner = inner};
  for_each_part(p, measure_part, &s);
  return s;
}

size_t evr_turned_workspace_size(const void *problem, const evr_kernel *inner) {
  const scratch s = measure(problem, inner);
  return evr_size_sum(evr_size_sum(evr_size_sum(s.gradient, s.weights), s.packed),
                      evr_size_sum(s.inner_bytes, s.output));
}

typedef struct price {
  const evr_kernel *inner;
  double nanoseconds;
} price;

/* About a nanosecond to turn and pack a weight, and half of one to move a float. */
static bool price_part(const part *t, void *argument) {
  price *q = argument;
  const evr_conv2d_sizes *s = &t->inner.sizes;
  const double weights = (double)s->weights_count;
  q->nanoseconds += q->inner->cost(&t->inner) + 60.0 + (t->plain_weights ? 0.0 : weights) +
                    (q->inner->packed_size != NULL ? 0.5 * weights : 0.0) +
                    (t->copied ? 0.3 * (double)s->x_count : 0.0) +
                    (t->whole ? 0.0 : 0.5 * (double)s->y_count);
  return true;
}

double evr_turned_cost(const void *problem, const evr_kernel *inner) {
  price q = {inner, 100.0};
  for_each_part(problem, price_part, &q);
  return q.nanoseconds;
}

/* ---- the parts of an execution ---- */

/* The part's taps in descending order, [tap][output of the group][input], which is what the
 * convolution of the gradient takes as HWIO. */
static void turn_weights(const part *t, const float *weights, evr_turn *turn, float *turned) {
  const evr_conv2d_problem *p = &t->p->conv;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t ic_step = evr_weight_offset(p, 0, 0, 1, 0);
  const int64_t oc_step = evr_weight_offset(p, 0, 0, 0, 1);
  for (int64_t h = t->rows.taps - 1; h >= 0; h--)
    for (int64_t w = t->columns.taps - 1; w >= 0; w--) {
      const float *tap =
          weights + evr_weight_offset(p, t->rows.tap + h * t->rows.tap_step,
                                      t->columns.tap + w * t->columns.tap_step, 0, 0);
      const bool each = p->group_in == 1 && p->group_out == 1 && oc_step == 1;
      if (each) memcpy(turned, tap, (size_t)d->in_channels * sizeof *turned);
      for (int64_t group = 0; group < d->groups && !each; group++) {
        const float *from = tap + group * p->group_out * oc_step;
        float *to = turned + group * p->group_in;
        if (oc_step == 1)
          turn(from, ic_step, to, d->in_channels, p->group_in, p->group_out);
        else
          for (int64_t oc = 0; oc < p->group_out; oc++)
            for (int64_t ic = 0; ic < p->group_in; ic++)
              to[oc * d->in_channels + ic] = from[ic * ic_step + oc * oc_step];
      }
      turned += p->group_out * d->in_channels;
    }
}

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
  const evr_conv2d_desc *d = &j->t->inner.desc;
  /* The inner problem's layout, for one channel in and out has only the one. */
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

/* What a pixel is that no window reaches: the activation of the bias alone. */
static void fill(const evr_conv2d_backward_problem *p, const evr_conv2d_backward_data_call *call) {
  const evr_conv2d_desc *d = &p->conv.desc;
  const int64_t plane = d->in_height * d->in_width;
  if (call->bias == NULL && p->activation.kind == EVR_IDENTITY) {
    memset(call->dx, 0, (size_t)p->conv.sizes.x_count * sizeof *call->dx);
    return;
  }
  for (int64_t c = 0; c < d->in_channels; c++) {
    const float sum = call->bias != NULL ? 0.0f + call->bias[c] : 0.0f;
    const float value = evr_activation_reference(&p->activation, sum);
    const bool nhwc = d->layout == EVR_NHWC;
    for (int64_t n = 0; n < d->batch; n++) {
      float *dx =
          call->dx + (nhwc ? n * plane * d->in_channels + c : (n * d->in_channels + c) * plane);
      for (int64_t i = 0; i < plane; i++) dx[i * (nhwc ? d->in_channels : 1)] = value;
    }
  }
}

typedef struct execution {
  evr_turn *turn;
  const evr_conv2d_backward_data_call *call;
  scratch s;
} execution;

static bool run_part(const part *t, void *argument) {
  const execution *e = argument;
  const evr_kernel *inner = e->s.inner;
  const evr_conv2d_problem *p = &t->inner;
  char *gradient = e->call->workspace, *weights = gradient + e->s.gradient;
  char *packed = weights + e->s.weights, *workspace = packed + e->s.packed;
  char *output = workspace + e->s.inner_bytes;
  evr_conv2d_call call = {.x = e->call->g,
                          .weights = e->call->weights,
                          .bias = e->call->bias,
                          .y = t->whole ? e->call->dx : (float *)(void *)output,
                          .workspace = workspace};
  if (t->copied) {
    copy_job j = {.t = t, .from = e->call->g, .to = (float *)(void *)gradient};
    j.height = p->desc.in_height;
    run_copy(&j, p->desc.in_channels, p->desc.in_width, copy_gradient_rows);
    call.x = j.to;
  }
  if (!t->plain_weights) {
    turn_weights(t, e->call->weights, e->turn, (float *)(void *)weights);
    call.weights = (float *)(void *)weights;
  }
  if (inner->packed_size != NULL && inner->packed_size(p) > 0) {
    inner->pack(p, call.weights, packed);
    call.packed = packed;
  }
  inner->forward(p, &call);
  if (!t->whole) {
    copy_job j = {.t = t, .from = call.y, .to = e->call->dx, .height = t->rows.count};
    run_copy(&j, p->desc.out_channels, t->columns.count, spread_rows);
  }
  return true;
}

void evr_turned_forward(const void *problem, const evr_kernel *inner, evr_turn *turn,
                        const void *call) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_direction rows = rows_of(p), columns = columns_of(p);
  if (leaves_pixels(&rows) || leaves_pixels(&columns)) fill(p, call);
  execution e = {turn, call, measure(p, inner)};
  for_each_part(p, run_part, &e);
}
