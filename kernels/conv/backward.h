/* The backward passes of convolution, and transposed convolution, as their kernels see them. */
#ifndef EVR_CONV_BACKWARD_H
#define EVR_CONV_BACKWARD_H

#include "conv/problem.h"

/* The first members of all problems of this page. desc and sizes are those of the convolution whose
 * gradients are asked for; but desc.stride_... are as the caller has them even where no step is
 * taken, since backward data counts by them, and desc.activation is the identity: the plan takes
 * the gradient through it. Not to be given to a kernel of the convolution. */
typedef struct evr_conv2d_backward_problem {
  evr_problem common;
  evr_conv2d_problem conv;
  /* Of transposed convolution: what is done to a finished sum, after the bias. */
  evr_activation activation;
  /* What the plan's kernel has worked out for its calls (make_state), of this problem and no copy
   * of it; or NULL. */
  const void *state;
} evr_conv2d_backward_problem;

/* Backward data, of zero padding; and transposed convolution, the same with bias and activation. */
typedef struct evr_conv2d_backward_data_call {
  const float *g;       /* gradient at the convolution's output */
  const float *weights; /* plain; NULL where the variant packs */
  const void *packed;   /* aligned; NULL where the variant does not pack */
  const float *bias;    /* for each channel of dx, or NULL */
  float *dx;
  void *workspace; /* aligned; workspace_size bytes */
} evr_conv2d_backward_data_call;

/* Backward weights. */
typedef struct evr_conv2d_backward_weights_call {
  const float *x;
  const float *g;
  float *dweights; /* or NULL */
  float *dbias;    /* or NULL, not both */
  void *workspace; /* aligned; workspace_size bytes */
} evr_conv2d_backward_weights_call;

/* Checks a forward descriptor and derives everything except common. */
evr_status evr_conv2d_backward_problem_init(evr_conv2d_backward_problem *problem,
                                            const evr_conv2d_desc *desc);

/* Rows of the output that are summed up by themselves, for backward weights. */
static inline int64_t evr_conv2d_block_rows(const evr_conv2d_problem *conv) {
  return conv->sizes.conv_width >= 512 ? 1 : 512 / conv->sizes.conv_width;
}

/* A stride that is never taken may be any number, and as well 1. */
static inline evr_conv2d_problem evr_without_idle_strides(const evr_conv2d_problem *conv) {
  evr_conv2d_problem p = *conv;
  if (p.sizes.conv_height == 1) p.desc.stride_height = 1;
  if (p.sizes.conv_width == 1) p.desc.stride_width = 1;
  return p;
}

#endif
