/* What the plans of the backward passes and of transposed convolution have in common. */
#ifndef EVR_CONV_BACKWARD_PLAN_H
#define EVR_CONV_BACKWARD_PLAN_H

#include "activation/backward.h"
#include "conv/backward.h"
#include "core/choose.h"
#include "core/plan_head.h"
#include "pad/problem.h"

/* What every one of these plans is. */
typedef struct evr_backward_plan {
  evr_plan_head head;
  evr_conv2d_backward_problem problem;
  evr_conv2d_sizes sizes; /* of the forward pass that the caller has */
  /* The activation's backward pass makes g of dy; NULL: there is none, and g is dy. */
  const evr_kernel *slope;
  evr_activation_problem activation;
  /* Backward data with padding other than zeros: the problem's image is the padded one, and its
   * gradient is folded back; NULL: there is none. */
  const evr_kernel *fold;
  evr_pad2d_problem pad;
  /* Workspace in this order, in whole lines: the variant's own, g, the padded gradient, and weights
   * packed for the variant, unless the caller has packed them. */
  size_t scratch_bytes, gradient_bytes, padded_bytes, packed_bytes;
} evr_backward_plan;

/* Options, and the threads that the work is worth. */
evr_status evr_backward_settle(evr_operation operation, const evr_plan_options *options,
                               evr_conv2d_backward_problem *problem, evr_settings *settings);

/* Chooses a variant and makes a plan. */
evr_status evr_backward_plan_new(evr_operation operation, const evr_settings *settings,
                                 const evr_conv2d_backward_problem *problem,
                                 const evr_conv2d_sizes *sizes, const evr_trial *trial,
                                 evr_backward_plan **plan);

/* Chooses how the plan takes gradients through an activation, and folds those of a padded image
 * (pad NULL: of none). Releases the plan where it fails. */
evr_status evr_backward_plan_add(evr_backward_plan **plan, const evr_plan_options *options,
                                 const evr_settings *settings, const evr_activation *activation,
                                 const evr_pad2d_problem *pad);

/* What an execution is given for the activation; and the buffers of it, for evr_check_buffers. */
typedef struct evr_backward_given {
  const float *dy, *y, *z;
} evr_backward_given;
evr_status evr_backward_check_given(const evr_backward_plan *plan, const evr_backward_given *given);

/* g: dy itself, or made in `to`, or where that is NULL in the plan's workspace. */
const float *evr_backward_gradient(const evr_backward_plan *plan, const evr_backward_given *given,
                                   void *workspace, float *to);

/* Packed weights: those of the caller, or where there are none, packed in the workspace. */
const void *evr_backward_packed(const evr_backward_plan *plan, const float *weights,
                                const void *packed, void *workspace);

/* 0 for NULL, both. */
int evr_backward_plan_threads(const evr_backward_plan *plan);
size_t evr_backward_workspace_size(const evr_backward_plan *plan);

/* What a measured choice (core/trial.h) asks of a problem: one line about it, and the problem with
 * what a kernel keeps for its calls. */
void evr_backward_describe(const void *problem, char *text, size_t size);
size_t evr_backward_kept_size(const evr_kernel *kernel, const void *problem);
const void *evr_backward_keep(const evr_kernel *kernel, const void *problem, void *memory);

#endif
