/* The backward pass of elementwise functions: as a plan's kernels see it, and over a run of values
 * for other operations' backward passes. */
#ifndef EVR_ACTIVATION_BACKWARD_H
#define EVR_ACTIVATION_BACKWARD_H

#include "activation/problem.h"
#include "core/choose.h"
#include "evrisim/activation.h"
#include "simd/instances.h"

/* What the derivative is taken from. */
typedef struct evr_saved {
  const float *values; /* NULL for the identity, which needs none */
  bool is_z;           /* the function's argument rather than its result */
} evr_saved;

/* y where it will do, else z; of a call that lacks what is needed, a sentence. */
evr_status evr_activation_find_saved(const evr_activation *activation, const float *y,
                                     const float *z, evr_saved *saved);

/* dx[i] = dy[i] f'(saved.values[i]) for i < n; dx may be dy or saved.values. */
#define EVR_DECLARE(isa)                                                                      \
  void evr_activation_backward_apply_##isa(const evr_activation *activation, const float *dy, \
                                           evr_saved saved, float *dx, int64_t n);
EVR_FOR_EACH_INSTANCE(EVR_DECLARE)
#undef EVR_DECLARE

/* The problem of activation_backward is the forward's. */
typedef struct evr_activation_backward_call {
  const float *dy;
  evr_saved saved;
  float *dx;
} evr_activation_backward_call;

/* Checks a descriptor and derives everything: for the plans of both directions. */
evr_status evr_activation_prepare(const evr_activation_desc *desc, const evr_plan_options *options,
                                  evr_activation_problem *problem, evr_settings *settings);

#endif
