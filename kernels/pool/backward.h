/* The backward pass of pooling, as its kernels see it. Its problem is the forward's. */
#ifndef EVR_POOL_BACKWARD_H
#define EVR_POOL_BACKWARD_H

#include "pool/problem.h"

typedef struct evr_pool2d_backward_call {
  const float *dy;
  const int32_t *indices; /* winners, as forward gives them; NULL: of an average, or found from x */
  const float *x;         /* or NULL, where indices are given or not needed */
  float *dx;
  void *workspace; /* aligned */
} evr_pool2d_backward_call;

/* Place of the winner of a window in its plane, ih * in_width + iw, or -1: of the reference. */
int64_t evr_pool2d_winner(const evr_pool2d_problem *problem, const float *x, int64_t n, int64_t oh,
                          int64_t ow, int64_t c);

#endif
