/* What the plans of the backward passes and of transposed convolution have in common. */
#ifndef EVR_CONV_BACKWARD_PLAN_H
#define EVR_CONV_BACKWARD_PLAN_H

#include "conv/backward.h"
#include "core/choose.h"
#include "core/plan_head.h"

/* What every one of these plans is. */
typedef struct evr_backward_plan {
  evr_plan_head head;
  evr_conv2d_backward_problem problem;
  evr_conv2d_sizes sizes; /* of the forward pass that the caller has */
  size_t scratch_bytes;   /* the variant's workspace, in whole lines */
} evr_backward_plan;

/* Options, and the threads that the work is worth. */
evr_status evr_backward_settle(evr_operation operation, const evr_plan_options *options,
                               evr_conv2d_backward_problem *problem, evr_settings *settings);

/* Chooses a variant and makes a plan. */
evr_status evr_backward_plan_new(evr_operation operation, const evr_settings *settings,
                                 const evr_conv2d_backward_problem *problem,
                                 const evr_conv2d_sizes *sizes, const evr_trial *trial,
                                 evr_backward_plan **plan);

/* 0 for NULL, both. */
int evr_backward_plan_threads(const evr_backward_plan *plan);
size_t evr_backward_workspace_size(const evr_backward_plan *plan);

/* The workspace that is given, or one of the library's own, which *own is set to; aligned.
 * evr_release frees *own. */
evr_status evr_backward_take_workspace(const evr_backward_plan *plan, void *given, void **own,
                                       void **workspace);

/* One line about a problem for a measured choice. */
void evr_backward_describe(const void *problem, char *text, size_t size);

#endif
