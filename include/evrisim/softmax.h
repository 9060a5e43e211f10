/** @file softmax.h  Softmax over the channels of each pixel, forward and backward.
 *
 *  y[c] = e^(x[c] - max x) / sum over channels of the same; a NaN, or an infinite maximum, gives
 *  NaN as the formula does. For plain rows (batch x classes) leave height and width at 1.
 *
 *  Canonical order of the sum: sixteen partial sums begin at +0; the term of channel c is added to
 *  partial sum c % 16, in order of c; then partial sum j + 8 is added to j for j < 8, j + 4 to j
 *  for j < 4, j + 2 to j for j < 2, and 1 to 0.
 */
#ifndef EVRISIM_SOFTMAX_H
#define EVRISIM_SOFTMAX_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What to compute. Begin with EVR_SOFTMAX_DESC_INIT. */
typedef struct evr_softmax_desc {
  int64_t batch, channels, height, width;
  evr_layout layout;
} evr_softmax_desc;

/** Batch, height, width 1; NHWC. */
#define EVR_SOFTMAX_DESC_INIT \
  { 1, 0, 1, 1, EVR_NHWC }

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_softmax_plan evr_softmax_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_softmax_plan_create(const evr_softmax_desc *desc,
                                           const evr_plan_options *options,
                                           evr_softmax_plan **plan);
/** NULL is allowed. */
EVR_API void evr_softmax_plan_destroy(evr_softmax_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_softmax_plan_variant(const evr_softmax_plan *plan);

/** Executes a plan. x == y is allowed (in place); any other overlap is EVR_OVERLAP. */
EVR_API evr_status evr_softmax_forward(const evr_softmax_plan *plan, const float *x, float *y);

/** Plan, execute, destroy. */
EVR_API evr_status evr_softmax(const evr_softmax_desc *desc, const evr_plan_options *options,
                               const float *x, float *y);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_softmax_list_variants(const evr_softmax_desc *desc,
                                             const evr_plan_options *options,
                                             evr_variant_report *list, size_t capacity,
                                             size_t *count);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_softmax_backward_plan evr_softmax_backward_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_softmax_backward_plan_create(const evr_softmax_desc *desc,
                                                    const evr_plan_options *options,
                                                    evr_softmax_backward_plan **plan);
/** NULL is allowed. */
EVR_API void evr_softmax_backward_plan_destroy(evr_softmax_backward_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_softmax_backward_plan_variant(const evr_softmax_backward_plan *plan);

/** Executes a plan, from the result y of the forward pass: with s the sum over the channels of a
 *  pixel of dy[c] y[c], added up by fma in the canonical order, dx[c] = y[c] (dy[c] - s). dx may be
 *  dy or y itself; any other overlap is EVR_OVERLAP. */
EVR_API evr_status evr_softmax_backward_execute(const evr_softmax_backward_plan *plan,
                                                const float *dy, const float *y, float *dx);

/** Plan, execute, destroy. */
EVR_API evr_status evr_softmax_backward(const evr_softmax_desc *desc,
                                        const evr_plan_options *options, const float *dy,
                                        const float *y, float *dx);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_softmax_backward_list_variants(const evr_softmax_desc *desc,
                                                      const evr_plan_options *options,
                                                      evr_variant_report *list, size_t capacity,
                                                      size_t *count);

#ifdef __cplusplus
}
#endif

#endif
