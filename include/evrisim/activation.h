/** @file activation.h  Elementwise functions, forward and backward. Their errors in ulp stand in
 * docs/numbers.md. */
#ifndef EVRISIM_ACTIVATION_H
#define EVRISIM_ACTIVATION_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What to compute: y[i] = activation(x[i]) for i < count. */
typedef struct evr_activation_desc {
  evr_activation activation;
  int64_t count; /**< elements, at least 1 */
} evr_activation_desc;

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_activation_plan evr_activation_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_activation_plan_create(const evr_activation_desc *desc,
                                              const evr_plan_options *options,
                                              evr_activation_plan **plan);
/** NULL is allowed. */
EVR_API void evr_activation_plan_destroy(evr_activation_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_activation_plan_variant(const evr_activation_plan *plan);

/** Executes a plan. x == y is allowed (in place); any other overlap is EVR_OVERLAP. */
EVR_API evr_status evr_activation_forward(const evr_activation_plan *plan, const float *x,
                                          float *y);

/** Plan, execute, destroy. */
EVR_API evr_status evr_activate(const evr_activation_desc *desc, const evr_plan_options *options,
                                const float *x, float *y);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_activation_list_variants(const evr_activation_desc *desc,
                                                const evr_plan_options *options,
                                                evr_variant_report *list, size_t capacity,
                                                size_t *count);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_activation_backward_plan evr_activation_backward_plan;

/** Whether the derivative is no function of the result y, so that the backward pass needs the
 *  argument z: leaky ReLU and ELU with a negative alpha, hard-swish, SiLU and both GELUs. NULL:
 *  false. */
EVR_API bool evr_activation_needs_z(const evr_activation *activation);

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_activation_backward_plan_create(const evr_activation_desc *desc,
                                                       const evr_plan_options *options,
                                                       evr_activation_backward_plan **plan);
/** NULL is allowed. */
EVR_API void evr_activation_backward_plan_destroy(evr_activation_backward_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_activation_backward_plan_variant(const evr_activation_backward_plan *plan);

/** Executes a plan: dx[i] = dy[i] activation'(z[i]), with y[i] = activation(z[i]).
 *
 *  y or z may be NULL. The derivative is taken from y where it is a function of y, and y is given;
 *  else from z. Where only z is given and y would do, the result has the bits that the y of
 *  evr_activation_forward gives. The identity needs neither. What is missing is
 *  EVR_INVALID_ARGUMENT.
 *
 *  At a kink the derivative is 0 for ReLU (at 0), ReLU6 (at 0 and 6) and hard-swish at -3, 1 for
 *  hard-swish at 3, and alpha for leaky ReLU and ELU (at 0). The product is formed even where the
 *  derivative is 0, so NaN in dy or in what the derivative is taken from gives NaN, and so does an
 *  infinite dy times 0. dx may be dy, y or z itself; any other overlap is EVR_OVERLAP. */
EVR_API evr_status evr_activation_backward_execute(const evr_activation_backward_plan *plan,
                                                   const float *dy, const float *y, const float *z,
                                                   float *dx);

/** Plan, execute, destroy. */
EVR_API evr_status evr_activation_backward(const evr_activation_desc *desc,
                                           const evr_plan_options *options, const float *dy,
                                           const float *y, const float *z, float *dx);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_activation_backward_list_variants(const evr_activation_desc *desc,
                                                         const evr_plan_options *options,
                                                         evr_variant_report *list, size_t capacity,
                                                         size_t *count);

#ifdef __cplusplus
}
#endif

#endif
