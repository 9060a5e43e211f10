/* The gradients of weights and bias as they are taught: every weight adds up, over the batch, what
 * its input was times what its output should change by; block by block. */
#include <math.h>

#include "core/checked.h"
#include "dense/backward.h"

static float weight_gradient(const evr_dense_desc *d, const evr_dense_backward_weights_call *call,
                             int64_t i, int64_t o) {
  float sum = 0.0f;
  for (int64_t block = 0; block < d->batch; block += EVR_DENSE_BLOCK) {
    float of_block = 0.0f;
    for (int64_t n = block; n < evr_min(block + EVR_DENSE_BLOCK, d->batch); n++)
      of_block = fmaf(call->x[n * d->in_features + i], call->g[n * d->out_features + o], of_block);
    sum += of_block;
  }
  return sum;
}

static float bias_gradient(const evr_dense_desc *d, const float *g, int64_t o) {
  float sum = 0.0f;
  for (int64_t block = 0; block < d->batch; block += EVR_DENSE_BLOCK) {
    float of_block = 0.0f;
    for (int64_t n = block; n < evr_min(block + EVR_DENSE_BLOCK, d->batch); n++)
      of_block += g[n * d->out_features + o];
    sum += of_block;
  }
  return sum;
}

static void backward(const void *problem, const void *arguments) {
  const evr_dense_desc *d = &((const evr_dense_problem *)problem)->desc;
  const evr_dense_backward_weights_call *call = arguments;
  for (int64_t i = 0; i < d->in_features; i++)
    for (int64_t o = 0; o < d->out_features; o++) {
      const bool io = d->weights_layout == EVR_IO;
      const int64_t at = io ? i * d->out_features + o : o * d->in_features + i;
      call->dweights[at] = weight_gradient(d, call, i, o);
    }
  for (int64_t o = 0; call->dbias != NULL && o < d->out_features; o++)
    call->dbias[o] = bias_gradient(d, call->g, o);
}

static double cost(const void *problem) {
  return 3.0 * ((const evr_dense_problem *)problem)->multiplies + 100.0;
}

const evr_kernel evr_dense_backward_weights_reference = {.cost = cost, .forward = backward};
