/* The losses, and the backward pass of softmax, as their kernels see them. */
#ifndef EVR_SOFTMAX_LOSS_H
#define EVR_SOFTMAX_LOSS_H

#include "core/choose.h"
#include "evrisim/loss.h"
#include "softmax/problem.h"

/* Checks a descriptor and derives everything: for the plans of all three. */

evr_status evr_softmax_prepare(const evr_softmax_desc *desc, const evr_plan_options *options,
                               evr_softmax_problem *problem, evr_settings *settings);

typedef struct evr_softmax_backward_call {
  const float *dy, *y;
  float *dx; /* or dy or y itself */
} evr_softmax_backward_call;

/* The call of softmax_cross_entropy is its evr_softmax_cross_entropy_arguments. */

typedef struct evr_sigmoid_cross_entropy_problem {
  evr_problem common;
  int64_t count;
} evr_sigmoid_cross_entropy_problem;

typedef struct evr_sigmoid_cross_entropy_call {
  const float *x, *targets;
  float scale;
  float *loss, *dx;
} evr_sigmoid_cross_entropy_call;

/* The elementwise loss over a run of values; scalar is the reference's. */
void evr_sigmoid_cross_entropy_apply_scalar(const evr_sigmoid_cross_entropy_call *call,
                                            int64_t first, int64_t count);

#endif
