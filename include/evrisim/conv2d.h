/** @file conv2d.h  Two-dimensional convolution, forward: filter, and optionally detect and
 * condense.
 *
 *  Shapes (row-major, dense):
 *  - x: batch x in_height x in_width x in_channels (NHWC), or batch x in_channels x in_height x
 *    in_width (NCHW)
 *  - weights: HWIO or OIHW, see evr_filter_layout; output channel o belongs to group
 *    o / (out_channels / groups)
 *  - bias: out_channels values, or NULL for none
 *  - residual: the shape of the convolution's own output (before pooling), or NULL for none
 *  - y: the convolution's output, or where desc.pool.kind is set the pooled output
 *
 *  The sum of one output (cross-correlation, as in all networks) in its canonical order:
 *      acc = +0
 *      for kh, for kw, for ic:  acc = fma(x[oh*stride - pad + kh*dilation, ow..., ic], w, acc)
 *      y = activation((acc + bias) + residual)
 *  A missing bias or residual is not added at all. Depthwise is groups == in_channels, with
 *  out_channels a multiple of it.
 *
 *  Buffers need only the alignment of float. y must not overlap any input.
 */
#ifndef EVRISIM_CONV2D_H
#define EVRISIM_CONV2D_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What to compute. Begin with EVR_CONV2D_DESC_INIT. All counts are elements. */
typedef struct evr_conv2d_desc {
  int64_t batch;
  int64_t groups; /**< divides in_channels and out_channels */
  int64_t in_channels, in_height, in_width;
  int64_t out_channels;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t dilation_height, dilation_width; /**< 1 is dense */
  int64_t pad_top, pad_bottom, pad_left, pad_right;
  evr_pad_mode pad_mode;
  evr_layout layout;               /**< of x, residual and y */
  evr_filter_layout filter_layout; /**< of weights */
  evr_activation activation;
  evr_pool2d_window pool; /**< kind EVR_POOL_NONE: no pooling */
} evr_conv2d_desc;

/** Batch, groups, strides, dilations 1; pads 0; NHWC, HWIO; identity; no pooling. */
#define EVR_CONV2D_DESC_INIT                                                          \
  {                                                                                   \
    1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, EVR_PAD_ZERO, EVR_NHWC, EVR_HWIO, \
        {EVR_IDENTITY, 0.0f}, EVR_POOL2D_WINDOW_INIT                                  \
  }

/** Sizes that follow from a descriptor; counts are in floats. */
typedef struct evr_conv2d_sizes {
  int64_t conv_height, conv_width; /**< of the convolution, before any pooling */
  int64_t out_height, out_width;   /**< of y */
  int64_t x_count, weights_count, bias_count, residual_count, y_count;
} evr_conv2d_sizes;

/** Checks the descriptor and computes its sizes. The convolution's height is
 *  floor((in + pads - (dilation (kernel - 1) + 1)) / stride) + 1. */
EVR_API evr_status evr_conv2d_get_sizes(const evr_conv2d_desc *desc, evr_conv2d_sizes *sizes);

/** Sets the four pads from sizes, strides and dilations that are already in the descriptor. */
EVR_API evr_status evr_conv2d_set_padding(evr_conv2d_desc *desc, evr_padding_scheme scheme);

/** A descriptor with its variant chosen. Immutable: any number of threads may execute one plan at
 *  once, each with its own workspace. */
typedef struct evr_conv2d_plan evr_conv2d_plan;

/** Makes a plan. options NULL: defaults. On failure *plan is set to NULL (where plan is given).
 *  The caller destroys the plan; the allocator and thread pool must outlive it. */
EVR_API evr_status evr_conv2d_plan_create(const evr_conv2d_desc *desc,
                                          const evr_plan_options *options, evr_conv2d_plan **plan);
/** NULL is allowed. */
EVR_API void evr_conv2d_plan_destroy(evr_conv2d_plan *plan);

/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_conv2d_plan_variant(const evr_conv2d_plan *plan);

/** Most threads that the plan uses. 0 for NULL. */
EVR_API int evr_conv2d_plan_threads(const evr_conv2d_plan *plan);

/** Bytes of workspace for one execution; with plain weights this includes room to pack them.
 *  packed: whether the execution is given packed weights. 0 for a NULL plan. Beside packed weights
 *  no variant that a plan chooses, but im2col-gemm, wants more than x, y and the packed weights
 *  take together. Up to 32 KiB of scratch are on the stack of whoever executes, not counted. */
EVR_API size_t evr_conv2d_workspace_size(const evr_conv2d_plan *plan, bool packed);

/** Bytes of packed weights; 0 when the variant reads them as they are (or the plan is NULL). */
EVR_API size_t evr_conv2d_packed_size(const evr_conv2d_plan *plan);

/** Packs weights once for many executions of this plan. packed has evr_conv2d_packed_size bytes,
 *  any alignment; NULL is allowed where that size is 0. Packed weights serve this plan, and plans
 *  of the same descriptor, variant and library version. They begin at the buffer's first multiple
 *  of 64 bytes, so a copy serves only at an address with the same remainder modulo 64. */
EVR_API evr_status evr_conv2d_pack(const evr_conv2d_plan *plan, const float *weights, void *packed);

/** All that an execution can be given. Zero what is not used. */
typedef struct evr_conv2d_arguments {
  const float *x;
  const float *weights;  /**< plain weights; may be NULL where packed is given */
  const void *packed;    /**< from evr_conv2d_pack, or NULL */
  const float *bias;     /**< or NULL */
  const float *residual; /**< or NULL */
  float *y;
  void *workspace; /**< evr_conv2d_workspace_size bytes, any alignment; NULL: the library
                              allocates and releases one */
} evr_conv2d_arguments;

/** Executes a plan. */
EVR_API evr_status evr_conv2d_execute(const evr_conv2d_plan *plan,
                                      const evr_conv2d_arguments *arguments);

/** Executes a plan with plain weights and no residual. bias and workspace may be NULL. */
EVR_API evr_status evr_conv2d_forward(const evr_conv2d_plan *plan, const float *x,
                                      const float *weights, const float *bias, float *y,
                                      void *workspace);

/** Plan, execute, destroy: one line for one call. options may be NULL. */
EVR_API evr_status evr_conv2d(const evr_conv2d_desc *desc, const evr_plan_options *options,
                              const float *x, const float *weights, const float *bias, float *y);

/** Lists every variant of this operation, best first, with the reason for each refusal.
 *  Writes at most capacity reports and sets *count to the number that there are; list may be NULL
 *  where capacity is 0. A forced variant that cannot serve is not an error here. */
EVR_API evr_status evr_conv2d_list_variants(const evr_conv2d_desc *desc,
                                            const evr_plan_options *options,
                                            evr_variant_report *list, size_t capacity,
                                            size_t *count);

#ifdef __cplusplus
}
#endif

#endif
