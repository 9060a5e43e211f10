/* Backward operations that are wrong in one thing each: the reference, and then a fault. */
#include <math.h>

#include "activation/backward.h"
#include "dense/backward.h"
#include "faults/rows.h"
#include "pad/problem.h"
#include "pool/backward.h"
#include "softmax/loss.h"

extern const evr_kernel evr_activation_backward_reference, evr_pad2d_backward_reference,
    evr_pool2d_backward_reference, evr_softmax_backward_reference,
    evr_softmax_cross_entropy_reference, evr_sigmoid_cross_entropy_reference, evr_dense_reference,
    evr_dense_backward_weights_reference;

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

/* ---- softmax and the losses ---- */

/* One sum in order of the channels, rather than sixteen. */
static void fault_softmax_slope_in_order_backward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  evr_softmax_backward_call call = *(const evr_softmax_backward_call *)arguments;
  if (p->desc.layout != EVR_NHWC || call.dx == call.dy || call.dx == call.y) {
    evr_softmax_backward_reference.forward(problem, arguments);
    return;
  }
  const int64_t channels = p->desc.channels;
  for (int64_t row = 0; row < p->count; row += channels) {
    float sum = 0.0f;
    for (int64_t c = row; c < row + channels; c++) sum = fmaf(call.dy[c], call.y[c], sum);
    for (int64_t c = row; c < row + channels; c++) call.dx[c] = call.y[c] * (call.dy[c] - sum);
  }
}
FAULT(fault_softmax_slope_in_order)

static void fault_entropy_forgets_scale_backward(const void *problem, const void *arguments) {
  evr_softmax_cross_entropy_arguments a = *(const evr_softmax_cross_entropy_arguments *)arguments;
  if (a.labels != NULL) a.scale = 1.0f;
  evr_softmax_cross_entropy_reference.forward(problem, &a);
}
FAULT(fault_entropy_forgets_scale)

static void fault_binary_loss_tail_backward(const void *problem, const void *arguments) {
  evr_sigmoid_cross_entropy_problem p = *(const evr_sigmoid_cross_entropy_problem *)problem;
  if (p.count > 8) p.count = p.count / 8 * 8;
  evr_sigmoid_cross_entropy_reference.forward(&p, arguments);
}
FAULT(fault_binary_loss_tail)

/* ---- dense layers ---- */

static void fault_dense_forgets_an_output_backward(const void *problem, const void *arguments) {
  const evr_dense_problem *p = problem;
  const evr_dense_call *call = arguments;
  evr_dense_reference.forward(problem, arguments);
  if (p->desc.out_features > 1) call->y[p->desc.out_features - 1] = 0.0f;
}
FAULT(fault_dense_forgets_an_output)

/* Right on small integers: the batch is one block. */
static void fault_dense_one_block_backward(const void *problem, const void *arguments) {
  const evr_dense_problem *p = problem;
  const evr_dense_desc *d = &p->desc;
  const evr_dense_backward_weights_call *call = arguments;
  evr_dense_backward_weights_reference.forward(problem, arguments);
  float sum = 0.0f;
  for (int64_t n = 0; n < d->batch; n++)
    sum = fmaf(call->x[n * d->in_features], call->g[n * d->out_features], sum);
  call->dweights[0] = sum + 0.0f;
}
FAULT(fault_dense_one_block)

static void fault_dense_bias_of_half_backward(const void *problem, const void *arguments) {
  const evr_dense_backward_weights_call *call = arguments;
  evr_dense_backward_weights_reference.forward(problem, arguments);
  if (call->dbias != NULL) call->dbias[0] *= 0.5f;
}
FAULT(fault_dense_bias_of_half)
