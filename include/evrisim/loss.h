/** @file loss.h  Losses of classification fused with the function before them: each call gives the
 *  loss and its gradient with respect to the logits, and overflows nowhere.
 *
 *  Both gradients are multiplied by scale: 1 / (rows of the batch) for the mean of the losses.
 */
#ifndef EVRISIM_LOSS_H
#define EVRISIM_LOSS_H

#include "softmax.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- softmax with cross-entropy ---- */

/** Immutable, as evr_conv2d_plan. The descriptor is that of softmax: logits are x, and a pixel (a
 *  row, where height and width are 1) is one example. */
typedef struct evr_softmax_cross_entropy_plan evr_softmax_cross_entropy_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_softmax_cross_entropy_plan_create(const evr_softmax_desc *desc,
                                                         const evr_plan_options *options,
                                                         evr_softmax_cross_entropy_plan **plan);
/** NULL is allowed. */
EVR_API void evr_softmax_cross_entropy_plan_destroy(evr_softmax_cross_entropy_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_softmax_cross_entropy_plan_variant(
    const evr_softmax_cross_entropy_plan *plan);

/** All that an execution can be given: labels or targets, and everything else. */
typedef struct evr_softmax_cross_entropy_arguments {
  const float *x;        /**< logits */
  const int32_t *labels; /**< the right channel of each pixel, from 0; or NULL */
  const float *targets;  /**< how likely each channel should be, as x laid out; or NULL */
  float scale;           /**< of dx */
  float *loss;           /**< batch height width */
  float *dx;             /**< as x; overlaps nothing */
} evr_softmax_cross_entropy_arguments;

/** Executes a plan. With m the maximum over the channels of a pixel, e[c] = exp(x[c] - m) and s
 *  their sum (as in softmax), L = log s:
 *      label k:    loss = L - (x[k] - m);                dx[c] = (e[c] / s - [c = k]) scale
 *      targets t:  loss = sum of t[c] (L - (x[c] - m));  dx[c] = fma(e[c] / s, T, -t[c]) scale
 *  T is the sum of t, 1 for a distribution; both sums in the canonical order of softmax. A t[c] of
 *  0 adds 0 to the loss, whatever x[c]. */
EVR_API evr_status
evr_softmax_cross_entropy_execute(const evr_softmax_cross_entropy_plan *plan,
                                  const evr_softmax_cross_entropy_arguments *arguments);

/** Plan, execute, destroy. */
EVR_API evr_status evr_softmax_cross_entropy(const evr_softmax_desc *desc,
                                             const evr_plan_options *options,
                                             const evr_softmax_cross_entropy_arguments *arguments);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_softmax_cross_entropy_list_variants(const evr_softmax_desc *desc,
                                                           const evr_plan_options *options,
                                                           evr_variant_report *list,
                                                           size_t capacity, size_t *count);

/* ---- sigmoid with binary cross-entropy ---- */

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_sigmoid_cross_entropy_plan evr_sigmoid_cross_entropy_plan;

/** Makes a plan for count logits, at least 1; see evr_conv2d_plan_create. */
EVR_API evr_status evr_sigmoid_cross_entropy_plan_create(int64_t count,
                                                         const evr_plan_options *options,
                                                         evr_sigmoid_cross_entropy_plan **plan);
/** NULL is allowed. */
EVR_API void evr_sigmoid_cross_entropy_plan_destroy(evr_sigmoid_cross_entropy_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_sigmoid_cross_entropy_plan_variant(
    const evr_sigmoid_cross_entropy_plan *plan);

/** Executes a plan: for logits x and targets t between 0 and 1,
 *      loss[i] = fma(-x, t, max(x, 0)) + log(1 + e^-|x|);  dx[i] = (sigmoid(x) - t) scale
 *  loss and dx overlap nothing. */
EVR_API evr_status evr_sigmoid_cross_entropy_execute(const evr_sigmoid_cross_entropy_plan *plan,
                                                     const float *x, const float *targets,
                                                     float scale, float *loss, float *dx);

/** Plan, execute, destroy. */
EVR_API evr_status evr_sigmoid_cross_entropy(int64_t count, const evr_plan_options *options,
                                             const float *x, const float *targets, float scale,
                                             float *loss, float *dx);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_sigmoid_cross_entropy_list_variants(int64_t count,
                                                           const evr_plan_options *options,
                                                           evr_variant_report *list,
                                                           size_t capacity, size_t *count_of_list);

#ifdef __cplusplus
}
#endif

#endif
