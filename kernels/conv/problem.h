/* A checked convolution, as its kernels see it. */
#ifndef EVR_CONV_PROBLEM_H
#define EVR_CONV_PROBLEM_H

#include "core/pixels.h"
#include "core/registry.h"
#include "evrisim/conv2d.h"

typedef struct evr_conv2d_problem {
  evr_problem common;
  evr_conv2d_desc desc; /* pool.kind is EVR_POOL_NONE: the plan runs the pooling;
                            layout may be the other one where both are the same, and
                            a stride or dilation that has no effect is 1 */
  evr_conv2d_sizes sizes;
  int64_t group_in;  /* input channels of a group */
  int64_t group_out; /* output channels of a group */
  int64_t depth;     /* terms of one sum: kernel_height * kernel_width * group_in */
  double multiplies; /* multiply-adds of the whole operation */
} evr_conv2d_problem;

typedef struct evr_conv2d_call {
  const float *x;
  const float *weights;  /* plain; NULL where the variant packs */
  const void *packed;    /* aligned; NULL where the variant does not pack */
  const float *bias;     /* or NULL */
  const float *residual; /* or NULL */
  float *y;
  void *workspace; /* aligned; workspace_size bytes */
} evr_conv2d_call;

/* Checks a descriptor (but for its pool) and derives everything except common. */
evr_status evr_conv2d_problem_init(evr_conv2d_problem *problem, const evr_conv2d_desc *desc);

/* Offset of one weight: ic counts within the group, oc over all groups. */
static inline int64_t evr_weight_offset(const evr_conv2d_problem *p, int64_t kh, int64_t kw,
                                        int64_t ic, int64_t oc) {
  const evr_conv2d_desc *d = &p->desc;
  return d->filter_layout == EVR_HWIO
             ? ((kh * d->kernel_width + kw) * p->group_in + ic) * d->out_channels + oc
             : ((oc * p->group_in + ic) * d->kernel_height + kh) * d->kernel_width + kw;
}

#endif
