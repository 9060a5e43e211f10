/* A checked dense layer, as its kernels see it. */
#ifndef EVR_DENSE_PROBLEM_H
#define EVR_DENSE_PROBLEM_H

#include "core/registry.h"
#include "evrisim/dense.h"

typedef struct evr_dense_problem {
  evr_problem common;
  evr_dense_desc desc;
  int64_t x_count, weights_count, y_count;
  double multiplies; /* multiply-adds of the whole operation */
} evr_dense_problem;

typedef struct evr_dense_call {
  const float *x;
  const float *weights; /* plain; NULL where the variant packs */
  const void *packed;   /* aligned; NULL where the variant does not pack, or can do without */
  const float *bias;    /* or NULL */
  float *y;
} evr_dense_call;

/* Estimated nanoseconds to read the weights once: at about 25 GB/s out of memory, or 100 out of the
 * caches. */
static inline double evr_dense_weights_cost(const evr_dense_problem *p) {
  return (double)p->weights_count * (p->weights_count > ((int64_t)4 << 20) ? 0.16 : 0.04);
}

/* Checks a descriptor and derives everything except common. */
evr_status evr_dense_problem_init(evr_dense_problem *problem, const evr_dense_desc *desc);

#endif
