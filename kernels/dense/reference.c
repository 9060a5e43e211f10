/* A fully connected layer as it is taught: every output is a weighted sum of all inputs. */
#include <math.h>

#include "activation/reference.h"
#include "dense/problem.h"

static void forward(const void *problem, const void *arguments) {
  const evr_dense_problem *p = problem;
  const evr_dense_call *call = arguments;
  const evr_dense_desc *d = &p->desc;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t o = 0; o < d->out_features; o++) {
      float sum = 0.0f;
      for (int64_t i = 0; i < d->in_features; i++) {
        const int64_t at =
            d->weights_layout == EVR_IO ? i * d->out_features + o : o * d->in_features + i;
        sum = fmaf(call->x[n * d->in_features + i], call->weights[at], sum);
      }
      if (call->bias != NULL) sum += call->bias[o];
      call->y[n * d->out_features + o] = evr_activation_reference(&d->activation, sum);
    }
}

/* About 3 ns for a multiply-add with the call of fmaf. */
static double cost(const void *problem) {
  return 3.0 * ((const evr_dense_problem *)problem)->multiplies + 100.0;
}

const evr_kernel evr_dense_reference = {.cost = cost, .forward = forward};
