/* A checked elementwise function, as its kernels see it. */
#ifndef EVR_ACTIVATION_PROBLEM_H
#define EVR_ACTIVATION_PROBLEM_H

#include "core/registry.h"
#include "evrisim/types.h"

typedef struct evr_activation_problem {
  evr_problem common;
  evr_activation activation;
  int64_t count;
  double work; /* of all elements, in floating-point operations */
} evr_activation_problem;

typedef struct evr_activation_call {
  const float *x;
  float *y; /* or x itself */
} evr_activation_call;

/* Rough number of floating-point operations for one element, for estimates. */
double evr_activation_work(evr_activation_kind kind);

#endif
