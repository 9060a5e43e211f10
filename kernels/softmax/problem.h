/* A checked softmax, as its kernels see it. */
#ifndef EVR_SOFTMAX_PROBLEM_H
#define EVR_SOFTMAX_PROBLEM_H

#include "core/registry.h"
#include "evrisim/softmax.h"

/* Partial sums of the canonical order (evrisim/softmax.h). */
#define EVR_SOFTMAX_SUMS 16

typedef struct evr_softmax_problem {
  evr_problem common;
  evr_softmax_desc desc;
  int64_t pixels; /* of one image */
  int64_t count;  /* floats of x, and of y */
  double work;    /* in floating-point operations */
} evr_softmax_problem;

typedef struct evr_softmax_call {
  const float *x;
  float *y; /* or x itself */
} evr_softmax_call;

#endif
