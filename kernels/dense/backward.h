/* The backward passes of dense layers, as their kernels see them. */
#ifndef EVR_DENSE_BACKWARD_H
#define EVR_DENSE_BACKWARD_H

#include "dense/problem.h"

/* Backward data is the forward pass of g, with inputs and outputs exchanged: it has the kernels,
 * the problem and the call of that. The problem of backward weights is the forward's. */

/* Rows of the batch in a block of the sums. */
#define EVR_DENSE_BLOCK 512

typedef struct evr_dense_backward_weights_call {
  const float *x, *g;
  float *dweights;
  float *dbias; /* or NULL */
} evr_dense_backward_weights_call;

#endif
