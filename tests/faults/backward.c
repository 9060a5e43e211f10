/* Backward operations that are wrong in one thing each: the reference, and then a fault. */
#include <math.h>

#include "activation/backward.h"
#include "faults/rows.h"
#include "pad/problem.h"
#include "pool/backward.h"

extern const evr_kernel evr_activation_backward_reference, evr_pad2d_backward_reference,
    evr_pool2d_backward_reference;

static double cost(const void *problem) {
  (void)problem;
  return 1e30;
}

#define FAULT(name) const evr_kernel name = {.cost = cost, .forward = name##_backward};

/* ---- elementwise functions ---- */

static void fault_slope_of_nan_backward(const void *problem, const void *arguments) {
  const evr_activation_problem *p = problem;
  const evr_activation_backward_call *call = arguments;
  const bool relu = p->activation.kind == EVR_RELU;
  const float nan_at_first = relu ? call->saved.values[0] : 0.0f;
  evr_activation_backward_reference.forward(problem, arguments);
  if (isnan(nan_at_first)) call->dx[0] = 0.0f;
}
FAULT(fault_slope_of_nan)

static void fault_takes_z_for_y_backward(const void *problem, const void *arguments) {
  evr_activation_backward_call call = *(const evr_activation_backward_call *)arguments;
  if (!evr_activation_needs_z(&((const evr_activation_problem *)problem)->activation))
    call.saved.is_z = false;
  evr_activation_backward_reference.forward(problem, &call);
}
FAULT(fault_takes_z_for_y)

static void fault_slope_after_writing_backward(const void *problem, const void *arguments) {
  const evr_activation_problem *p = problem;
  const evr_activation_backward_call *call = arguments;
  for (int64_t i = 0; i < p->count; i++) call->dx[i] = call->dy[i];
  evr_activation_backward_reference.forward(problem, arguments);
}
FAULT(fault_slope_after_writing)

/* ---- padding ---- */

static void fault_leaves_last_row_backward(const void *problem, const void *arguments) {
  evr_pad2d_problem p = *(const evr_pad2d_problem *)problem;
  if (p.desc.pad_bottom > 0 && p.desc.batch == 1) {
    p.desc.pad_bottom--;
    if (p.desc.layout == EVR_NHWC || p.desc.channels == 1) p.sizes.out_height--;
  }
  evr_pad2d_backward_reference.forward(&p, arguments);
}
FAULT(fault_leaves_last_row)

/* Right on small integers: the terms of a sum come from the last to the first. */
static void fault_folds_backwards_backward(const void *problem, const void *arguments) {
  const evr_pad2d_problem *p = problem;
  const evr_pad2d_backward_call *call = arguments;
  const evr_pad2d_desc *d = &p->desc;
  const int64_t plane = p->sizes.out_height * p->sizes.out_width;
  evr_pad2d_backward_reference.forward(problem, arguments);
  if (d->mode != EVR_PAD_REPLICATE || d->in_height > 1 || d->in_width > 1) return;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t c = 0; c < d->channels; c++) {
      float sum = 0.0f;
      for (int64_t i = plane; i-- > 0;)
        sum += call->dy[d->layout == EVR_NHWC ? (n * plane + i) * d->channels + c
                                              : (n * d->channels + c) * plane + i];
      call->dx[n * d->channels + c] = sum;
    }
}
FAULT(fault_folds_backwards)

/* ---- pooling ---- */

static void fault_unpools_by_last_of_equals_backward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_backward_call *call = arguments;
  const evr_pool2d_desc *d = &p->desc;
  evr_pool2d_backward_reference.forward(problem, arguments);
  if (p->y_plane > 1 || d->window.kind == EVR_POOL_AVERAGE || call->indices != NULL) return;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t c = 0; c < d->channels; c++) {
      const int64_t winner = evr_pool2d_winner(p, call->x, n, 0, 0, c);
      const int64_t last = p->x_plane - 1;
      const int64_t from = evr_pool_offset(d, p->x_plane, d->in_width, n, 0, winner, c);
      const int64_t to = evr_pool_offset(d, p->x_plane, d->in_width, n, 0, last, c);
      if (winner < 0 || winner == last || call->x[from] != call->x[to]) continue;
      call->dx[to] = call->dx[from];
      call->dx[from] = 0.0f;
    }
}
FAULT(fault_unpools_by_last_of_equals)

static void fault_unpools_without_padding_backward(const void *problem, const void *arguments) {
  evr_pool2d_problem p = *(const evr_pool2d_problem *)problem;
  p.desc.window.count_include_pad = false;
  evr_pool2d_backward_reference.forward(&p, arguments);
}
FAULT(fault_unpools_without_padding)

/* Sums that begin with what is there. */
static void fault_unpools_onto_backward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_backward_call *call = arguments;
  const float before = call->dx[p->sizes.x_count - 1];
  evr_pool2d_backward_reference.forward(problem, arguments);
  call->dx[p->sizes.x_count - 1] += before;
}
FAULT(fault_unpools_onto)
