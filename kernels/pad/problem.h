/* A checked padding, as its kernels see it. */
#ifndef EVR_PAD_PROBLEM_H
#define EVR_PAD_PROBLEM_H

#include "core/registry.h"
#include "evrisim/pad2d.h"

typedef struct evr_pad2d_problem {
  evr_problem common;
  evr_pad2d_desc desc;
  evr_pad2d_sizes sizes;
} evr_pad2d_problem;

typedef struct evr_pad2d_call {
  const float *x;
  float *y;
} evr_pad2d_call;

/* The problem of pad2d_backward is the forward's. */
typedef struct evr_pad2d_backward_call {
  const float *dy; /* y_count */
  float *dx;       /* x_count */
} evr_pad2d_backward_call;

/* Checks a descriptor and derives everything except common. */
evr_status evr_pad2d_problem_init(evr_pad2d_problem *problem, const evr_pad2d_desc *desc);

#endif
