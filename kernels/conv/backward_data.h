/* What backward data and transposed convolution share. */
#ifndef EVR_CONV_BACKWARD_DATA_H
#define EVR_CONV_BACKWARD_DATA_H

#include "conv/backward.h"
#include "core/trial.h"

/* One dx before bias and activation, in canonical order (backward_data_reference.c). */
float evr_conv2d_backward_data_sum(const evr_conv2d_backward_problem *problem,
                                   const evr_conv2d_backward_data_call *call, int64_t n, int64_t ih,
                                   int64_t iw, int64_t ic);

/* Nanoseconds that the plain loops take. */
double evr_conv2d_backward_data_reference_cost(const void *problem);

extern const evr_trial evr_conv2d_backward_data_trial;

#endif
