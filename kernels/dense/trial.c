#include "dense/trial.h"

#include <inttypes.h>
#include <stdio.h>

#include "dense/problem.h"

static void describe(const void *problem, char *text, size_t size) {
  const evr_dense_desc *d = &((const evr_dense_problem *)problem)->desc;
  snprintf(text, size, "batch %" PRId64 " in %" PRId64 " out %" PRId64 " %s activation %d",
           d->batch, d->in_features, d->out_features, d->weights_layout == EVR_IO ? "IO" : "OI",
           (int)d->activation.kind);
}

static void count(const void *problem, int64_t *x, int64_t *weights, int64_t *y) {
  const evr_dense_problem *p = problem;
  *x = p->x_count;
  *weights = p->weights_count;
  *y = p->y_count;
}

static void execute(const evr_kernel *kernel, const void *problem, const evr_trial_buffers *b) {
  const evr_dense_call call = {.x = b->x, .weights = b->weights, .packed = b->packed, .y = b->y};
  kernel->forward(problem, &call);
}

const evr_trial evr_dense_trial = {describe, count, NULL, NULL, execute};
