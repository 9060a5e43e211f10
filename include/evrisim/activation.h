/** @file activation.h  Elementwise functions, forward. Their errors in ulp stand in
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

#ifdef __cplusplus
}
#endif

#endif
