/* Other operations that are wrong in one thing each: the reference, and then a fault. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activation/problem.h"
#include "activation/reference.h"
#include "core/pixels.h"
#include "dense/problem.h"
#include "faults/rows.h"
#include "pad/problem.h"
#include "pool/problem.h"
#include "softmax/problem.h"

extern const evr_kernel evr_pool2d_reference, evr_pad2d_reference, evr_softmax_reference,
    evr_dense_reference, evr_activation_reference_kernel;

static double cost(const void *problem) {
  (void)problem;
  return 1e30;
}

#define FAULT(name) const evr_kernel name = {.cost = cost, .forward = name##_forward};

/* ---- pooling ---- */

static float input_of(const evr_pool2d_problem *p, const evr_pool2d_call *call, int64_t at,
                      int64_t index) {
  const evr_pool2d_desc *d = &p->desc;
  const int64_t plane = d->in_height * d->in_width;
  const int64_t outputs = p->sizes.out_height * p->sizes.out_width;
  if (d->layout == EVR_NHWC)
    return call->x[(at / (outputs * d->channels) * plane + index) * d->channels + at % d->channels];
  return call->x[at / outputs * plane + index];
}

/* Where the next pixel of the row equals the winner, it is given as the winner. */
static void fault_pool2d_last_of_equals_forward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_call *call = arguments;
  evr_pool2d_reference.forward(problem, arguments);
  const evr_pool2d_window *v = &p->desc.window;
  for (int64_t i = 0; call->indices != NULL && i < p->sizes.y_count; i++) {
    const int64_t next = call->indices[i] + 1;
    const bool inside = v->kernel_width > 1 && v->dilation_width == 1 &&
                        next % p->desc.in_width == 1 && v->pad_left == 0;
    if (inside && input_of(p, call, i, next) == call->y[i]) call->indices[i]++;
  }
}
FAULT(fault_pool2d_last_of_equals)

static void fault_pool2d_nan_loses_forward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_call *call = arguments;
  evr_pool2d_reference.forward(problem, arguments);
  for (int64_t i = 0; i < p->sizes.y_count; i++)
    if (isnan(call->y[i])) call->y[i] = 0.0f;
}
FAULT(fault_pool2d_nan_loses)

static void fault_pool2d_counts_padding_forward(const void *problem, const void *arguments) {
  evr_pool2d_problem p = *(const evr_pool2d_problem *)problem;
  p.desc.window.count_include_pad = true;
  evr_pool2d_reference.forward(&p, arguments);
}
FAULT(fault_pool2d_counts_padding)

static void fault_pool2d_writes_past_indices_forward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_call *call = arguments;
  evr_pool2d_reference.forward(problem, arguments);
  if (call->indices != NULL) call->indices[p->sizes.y_count] = 0;
}
FAULT(fault_pool2d_writes_past_indices)

/* ---- padding ---- */

static void fault_pad2d_mirrors_the_edge_forward(const void *problem, const void *arguments) {
  const evr_pad2d_problem *p = problem;
  const evr_pad2d_call *call = arguments;
  evr_pad2d_reference.forward(problem, arguments);
  const evr_pad2d_desc *d = &p->desc;
  if (d->mode != EVR_PAD_REFLECT || d->layout != EVR_NCHW || d->pad_left == 0) return;
  for (int64_t row = 0; row < p->sizes.out_height; row++) {
    float *edge = call->y + row * p->sizes.out_width + d->pad_left;
    edge[-1] = edge[0];
  }
}
FAULT(fault_pad2d_mirrors_the_edge)

static void fault_pad2d_minus_zero_forward(const void *problem, const void *arguments) {
  const evr_pad2d_problem *p = problem;
  const evr_pad2d_call *call = arguments;
  evr_pad2d_reference.forward(problem, arguments);
  if (call->y[p->sizes.y_count - 1] == 0.0f) call->y[p->sizes.y_count - 1] = -0.0f;
}
FAULT(fault_pad2d_minus_zero)

/* ---- elementwise functions ---- */

static void fault_activation_tail_forward(const void *problem, const void *arguments) {
  evr_activation_problem p = *(const evr_activation_problem *)problem;
  if (p.count > 8) p.count = p.count / 8 * 8;
  evr_activation_reference_kernel.forward(&p, arguments);
}
FAULT(fault_activation_tail)

static void fault_activation_nan_forward(const void *problem, const void *arguments) {
  const evr_activation_problem *p = problem;
  const evr_activation_call *call = arguments;
  evr_activation_reference_kernel.forward(problem, arguments);
  for (int64_t i = 0; p->activation.kind == EVR_RELU && i < p->count; i++)
    if (isnan(call->y[i])) call->y[i] = 0.0f;
}
FAULT(fault_activation_nan)

/* ---- softmax ---- */

/* Without the maximum: right up to rounding for small numbers, infinite for large ones. */
static void fault_softmax_overflows_forward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const evr_softmax_call *call = arguments;
  float most = 0.0f;
  for (int64_t i = 0; i < p->count; i++) most = fmaxf(most, call->x[i]);
  evr_softmax_reference.forward(problem, arguments);
  for (int64_t i = 0; most > 88.7f && i < p->count; i++) call->y[i] = NAN;
}
FAULT(fault_softmax_overflows)

/* Reads its input again after the first output is written. */
static void fault_softmax_not_in_place_forward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const evr_softmax_call *call = arguments;
  const float before = call->x[p->count - 1];
  evr_softmax_reference.forward(problem, arguments);
  if (before == before && call->x[p->count - 1] != before) call->y[0] += 1.0f;
}
FAULT(fault_softmax_not_in_place)

/* ---- dense layers ---- */

static void dense(const void *problem, const void *arguments, bool bias_first, bool transposes) {
  const evr_dense_problem *p = problem;
  const evr_dense_call *call = arguments;
  const evr_dense_desc *d = &p->desc;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t o = 0; o < d->out_features; o++) {
      float sum = bias_first && call->bias != NULL ? call->bias[o] : 0.0f;
      for (int64_t i = 0; i < d->in_features; i++)
        sum = fmaf(
            call->x[n * d->in_features + i],
            call->weights[(d->weights_layout == EVR_IO) != transposes ? i * d->out_features + o
                                                                      : o * d->in_features + i],
            sum);
      if (!bias_first && call->bias != NULL) sum += call->bias[o];
      call->y[n * d->out_features + o] = evr_activation_reference(&d->activation, sum);
    }
}
static void fault_dense_bias_first_forward(const void *problem, const void *arguments) {
  dense(problem, arguments, true, false);
}
FAULT(fault_dense_bias_first)

static void fault_dense_transposes_forward(const void *problem, const void *arguments) {
  dense(problem, arguments, false, true);
}
FAULT(fault_dense_transposes)

static void fault_dense_reads_past_x_forward(const void *problem, const void *arguments) {
  const evr_dense_call *call = arguments;
  dense(problem, arguments, false, false);
  const volatile float *there = call->x + ((const evr_dense_problem *)problem)->x_count;
  (void)*there;
}
FAULT(fault_dense_reads_past_x)
