/** @file dense.h  Fully connected layer, forward and backward.
 *
 *  x: batch x in_features; y: batch x out_features; bias: out_features or NULL.
 *      acc = +0;  for i < in_features: acc = fma(x[i], w[i, o], acc);  y[o] = f(acc + bias)
 */
#ifndef EVRISIM_DENSE_H
#define EVRISIM_DENSE_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Order of the dimensions of a dense layer's weights in memory, outermost first. */
typedef enum evr_dense_layout {
  EVR_IO = 0, /**< in_features, out_features */
  EVR_OI = 1  /**< out_features, in_features */
} evr_dense_layout;

/** What to compute. Begin with EVR_DENSE_DESC_INIT. */
typedef struct evr_dense_desc {
  int64_t batch, in_features, out_features;
  evr_dense_layout weights_layout;
  evr_activation activation;
} evr_dense_desc;

/** Batch 1, weights in-by-out, identity. */
#define EVR_DENSE_DESC_INIT                 \
  {                                         \
    1, 0, 0, EVR_IO, { EVR_IDENTITY, 0.0f } \
  }

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_dense_plan evr_dense_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_dense_plan_create(const evr_dense_desc *desc,
                                         const evr_plan_options *options, evr_dense_plan **plan);
/** NULL is allowed. */
EVR_API void evr_dense_plan_destroy(evr_dense_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_dense_plan_variant(const evr_dense_plan *plan);

/** Bytes of workspace for one execution; 0 for a NULL plan. See evr_conv2d_workspace_size. */
EVR_API size_t evr_dense_workspace_size(const evr_dense_plan *plan, bool packed);

/** Bytes of packed weights; 0 when the variant reads them as they are (or the plan is NULL). A
 * variant may do either, and be quicker with packed ones: it then needs no workspace for plain
 * ones. */
EVR_API size_t evr_dense_packed_size(const evr_dense_plan *plan);

/** Packs weights once for many executions; see evr_conv2d_pack. */
EVR_API evr_status evr_dense_pack(const evr_dense_plan *plan, const float *weights, void *packed);

/** All that an execution can be given. Zero what is not used. */
typedef struct evr_dense_arguments {
  const float *x;
  const float *weights; /**< plain weights; may be NULL where packed is given */
  const void *packed;   /**< from evr_dense_pack, or NULL */
  const float *bias;    /**< or NULL */
  float *y;             /**< overlaps no input */
  void *workspace;      /**< evr_dense_workspace_size bytes, any alignment, or NULL */
} evr_dense_arguments;

/** Executes a plan. */
EVR_API evr_status evr_dense_execute(const evr_dense_plan *plan,
                                     const evr_dense_arguments *arguments);

/** Executes a plan with plain weights. bias and workspace may be NULL. */
EVR_API evr_status evr_dense_forward(const evr_dense_plan *plan, const float *x,
                                     const float *weights, const float *bias, float *y,
                                     void *workspace);

/** Plan, execute, destroy. */
EVR_API evr_status evr_dense(const evr_dense_desc *desc, const evr_plan_options *options,
                             const float *x, const float *weights, const float *bias, float *y);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_dense_list_variants(const evr_dense_desc *desc,
                                           const evr_plan_options *options,
                                           evr_variant_report *list, size_t capacity,
                                           size_t *count);

/* ---- backward ---- */

/** Immutable, as evr_conv2d_plan. The gradient with respect to x, from the forward descriptor. With
 *  g = dy * activation'(...), taken from y or from z as in evr_activation_backward_execute (the
 *  identity needs neither):
 *      acc = +0;  for o < out_features: acc = fma(g[o], w[i, o], acc);  dx[i] = acc
 *  which is a dense layer with inputs and outputs exchanged. */
typedef struct evr_dense_backward_data_plan evr_dense_backward_data_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_dense_backward_data_plan_create(const evr_dense_desc *desc,
                                                       const evr_plan_options *options,
                                                       evr_dense_backward_data_plan **plan);
/** NULL is allowed. */
EVR_API void evr_dense_backward_data_plan_destroy(evr_dense_backward_data_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_dense_backward_data_plan_variant(const evr_dense_backward_data_plan *plan);
/** Bytes of workspace for one execution; 0 for a NULL plan. */
EVR_API size_t evr_dense_backward_data_workspace_size(const evr_dense_backward_data_plan *plan);

/** All that an execution can be given. Zero what is not used. What is written overlaps nothing. */
typedef struct evr_dense_backward_data_arguments {
  const float *dy;      /**< as y */
  const float *y;       /**< the forward pass's output, or NULL */
  const float *z;       /**< what its activation was applied to, or NULL */
  const float *weights; /**< as in the forward pass */
  float *dx;            /**< as x */
  void *workspace;      /**< evr_dense_backward_data_workspace_size bytes, any alignment, or NULL */
} evr_dense_backward_data_arguments;

/** Executes a plan. */
EVR_API evr_status evr_dense_backward_data_execute(
    const evr_dense_backward_data_plan *plan, const evr_dense_backward_data_arguments *arguments);

/** Plan, execute, destroy. */
EVR_API evr_status evr_dense_backward_data(const evr_dense_desc *desc,
                                           const evr_plan_options *options,
                                           const evr_dense_backward_data_arguments *arguments);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_dense_backward_data_list_variants(const evr_dense_desc *desc,
                                                         const evr_plan_options *options,
                                                         evr_variant_report *list, size_t capacity,
                                                         size_t *count);

/** Immutable, as evr_conv2d_plan. The gradients with respect to weights and bias. Sums over the
 *  batch are cut into blocks of 512 rows, ascending:
 *      sum = +0
 *      for each block:
 *        acc = +0;  for its rows n: acc = fma(x[n, i], g[n, o], acc);  sum = sum + acc
 *  and dbias likewise, with acc = acc + g[n, o]. */
typedef struct evr_dense_backward_weights_plan evr_dense_backward_weights_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_dense_backward_weights_plan_create(const evr_dense_desc *desc,
                                                          const evr_plan_options *options,
                                                          evr_dense_backward_weights_plan **plan);
/** NULL is allowed. */
EVR_API void evr_dense_backward_weights_plan_destroy(evr_dense_backward_weights_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_dense_backward_weights_plan_variant(
    const evr_dense_backward_weights_plan *plan);
/** Bytes of workspace for one execution; 0 for a NULL plan. */
EVR_API size_t
evr_dense_backward_weights_workspace_size(const evr_dense_backward_weights_plan *plan);

/** All that an execution can be given. Zero what is not used. What is written overlaps nothing. */
typedef struct evr_dense_backward_weights_arguments {
  const float *x;
  const float *dy; /**< as y */
  const float *y;  /**< the forward pass's output, or NULL */
  const float *z;  /**< what its activation was applied to, or NULL */
  float *dweights; /**< as the weights */
  float *dbias;    /**< out_features, or NULL */
  void *workspace; /**< evr_dense_backward_weights_workspace_size bytes, any alignment, or NULL */
} evr_dense_backward_weights_arguments;

/** Executes a plan. */
EVR_API evr_status
evr_dense_backward_weights_execute(const evr_dense_backward_weights_plan *plan,
                                   const evr_dense_backward_weights_arguments *arguments);

/** Plan, execute, destroy. */
EVR_API evr_status
evr_dense_backward_weights(const evr_dense_desc *desc, const evr_plan_options *options,
                           const evr_dense_backward_weights_arguments *arguments);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_dense_backward_weights_list_variants(const evr_dense_desc *desc,
                                                            const evr_plan_options *options,
                                                            evr_variant_report *list,
                                                            size_t capacity, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
