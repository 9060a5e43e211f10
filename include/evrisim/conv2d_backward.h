/** @file conv2d_backward.h  Gradients of two-dimensional convolution, and transposed convolution.
 *
 *  All plans are made from the forward descriptor (conv2d.h), whose shapes and layouts these
 *  calls share: dx is as x, dweights as weights, dbias as bias; dy, y, z, dresidual and g are
 *  as the convolution's output. Every gradient is overwritten, not added to.
 *
 *  With a fused activation g = dy * activation'(...), else g = dy. A descriptor with fused
 *  pooling is refused: plan the convolution without it, and let pool2d's backward pass make dy.
 *
 *  Buffers need only the alignment of float. What is written must not overlap anything else.
 */
#ifndef EVRISIM_CONV2D_BACKWARD_H
#define EVRISIM_CONV2D_BACKWARD_H

#include "conv2d.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- backward data: the gradient with respect to x ---- */

/** Immutable, as evr_conv2d_plan.
 *
 *  The sum of one dx[ih, iw, ic] in its canonical order, with zero padding:
 *      acc = +0
 *      for kh from kernel_height - 1 down to 0 where stride_height divides
 *          ih + pad_top - kh dilation_height, oh being the quotient
 *        for kw likewise, downwards, ow
 *          for oc of the group:
 *            acc = fma(oh, ow inside of the output ? g[oh, ow, oc] : +0, w[kh, kw, ic, oc], acc)
 *  So with stride 1 it is the convolution of g with the filters turned by 180 degrees, inputs and
 *  outputs exchanged (Dumoulin and Visin, A guide to convolution arithmetic, 2016, chapter 4); a
 *  larger stride makes stride_height stride_width such convolutions. A pixel that no window
 *  reaches is +0. */
typedef struct evr_conv2d_backward_data_plan evr_conv2d_backward_data_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_conv2d_backward_data_plan_create(const evr_conv2d_desc *desc,
                                                        const evr_plan_options *options,
                                                        evr_conv2d_backward_data_plan **plan);
/** NULL is allowed. */
EVR_API void evr_conv2d_backward_data_plan_destroy(evr_conv2d_backward_data_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. It is that of the forward convolution
 *  that the variant makes of the gradient, but for depthwise-stride2, which makes none. */
EVR_API const char *evr_conv2d_backward_data_plan_variant(
    const evr_conv2d_backward_data_plan *plan);
/** Most threads that the plan uses. 0 for NULL. */
EVR_API int evr_conv2d_backward_data_plan_threads(const evr_conv2d_backward_data_plan *plan);
/** Bytes of workspace for one execution, with room to pack plain weights. 0 for a NULL plan.
 *
 *  The tensors' size is no limit to it, as it is in the forward pass. It is the sum of what
 *  applies: the packed weights; g, with a fused activation; the gradient of the padded image, with
 *  EVR_PAD_REPLICATE or EVR_PAD_REFLECT; and for the largest of the convolutions of g a copy of the
 *  part of g that they read, with its pads, where they do not read all of g; their result, where it
 *  cannot be written to dx in place; and the forward variant's scratch, which may be so much for
 *  each thread. Where few-outputs takes the convolutions of a stride together, it is that of one
 *  whose windows hold all of theirs; of depthwise-stride2, zeros for one pixel.
 *  options.num_threads limits that. */
EVR_API size_t evr_conv2d_backward_data_workspace_size(const evr_conv2d_backward_data_plan *plan);

/** Bytes of packed weights; 0 when the variant reads them as they are (or the plan is NULL). */
EVR_API size_t evr_conv2d_backward_data_packed_size(const evr_conv2d_backward_data_plan *plan);

/** Packs weights, turned, once for several executions of this plan, as evr_conv2d_pack does for the
 *  forward pass: where weights stay for a while, of a frozen layer, or when gradients of several
 *  batches are added up before a step. packed has evr_conv2d_backward_data_packed_size bytes, any
 *  alignment. */
EVR_API evr_status evr_conv2d_backward_data_pack(const evr_conv2d_backward_data_plan *plan,
                                                 const float *weights, void *packed);

/** All that an execution can be given. Zero what is not used. */
typedef struct evr_conv2d_backward_data_arguments {
  const float *dy;
  const float *weights; /**< plain weights; may be NULL where packed is given */
  const void *packed;   /**< from evr_conv2d_backward_data_pack, or NULL */
  const float *y;       /**< the forward pass's output, or NULL; see evr_conv2d_backward_weights */
  const float *z;       /**< what its activation was applied to, or NULL; likewise */
  float *dx;            /**< the gradient with respect to x */
  float *dresidual;     /**< with respect to the residual, which is g; or NULL */
  void *workspace;      /**< evr_conv2d_backward_data_workspace_size bytes, any alignment; NULL: the
                               library allocates and releases one */
} evr_conv2d_backward_data_arguments;

/** Executes a plan. */
EVR_API evr_status evr_conv2d_backward_data_execute(
    const evr_conv2d_backward_data_plan *plan, const evr_conv2d_backward_data_arguments *arguments);

/** Plan, execute, destroy. */
EVR_API evr_status evr_conv2d_backward_data(const evr_conv2d_desc *desc,
                                            const evr_plan_options *options,
                                            const evr_conv2d_backward_data_arguments *arguments);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_conv2d_backward_data_list_variants(const evr_conv2d_desc *desc,
                                                          const evr_plan_options *options,
                                                          evr_variant_report *list, size_t capacity,
                                                          size_t *count);

/* ---- backward weights: the gradients with respect to weights and bias ---- */

/** Immutable, as evr_conv2d_plan.
 *
 *  The sum of one dweights[kh, kw, ic, oc] in its canonical order: of blocks, which are
 *  max(1, 512 / output width) whole rows of the output of one image, the last of an image maybe
 *  fewer; blocks ascend, images too:
 *      sum = +0
 *      for each block:
 *        acc = +0
 *        for the block's pixels (oh, ow) in row-major order:
 *          acc = fma(x[oh stride - pad + kh dilation, ow ..., ic], g[oh, ow, oc], acc)
 *        sum = sum + acc
 *  where padding reads as it does in the forward pass. dbias[oc] likewise, with acc = acc + g. The
 *  cut depends on the shape alone, and in EVR_MATH_STANDARD the error is at most
 *  gamma_n (sum |x||g|), n = pixels of a block + blocks (Higham, Accuracy and Stability of
 *  Numerical Algorithms, 2002, section 4.2). */
typedef struct evr_conv2d_backward_weights_plan evr_conv2d_backward_weights_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_conv2d_backward_weights_plan_create(const evr_conv2d_desc *desc,
                                                           const evr_plan_options *options,
                                                           evr_conv2d_backward_weights_plan **plan);
/** NULL is allowed. */
EVR_API void evr_conv2d_backward_weights_plan_destroy(evr_conv2d_backward_weights_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_conv2d_backward_weights_plan_variant(
    const evr_conv2d_backward_weights_plan *plan);
/** Most threads that the plan uses. 0 for NULL. */
EVR_API int evr_conv2d_backward_weights_plan_threads(const evr_conv2d_backward_weights_plan *plan);
/** Bytes of workspace for one execution. 0 for a NULL plan.
 *
 *  The tensors' size is no limit to it. It is the sum of what applies: g, with a fused activation;
 *  for each thread what one block needs, the rows of the padded image under it and its g, of some
 *  of the channels, packed or not, sums, and lists of where pixels lie; of the direct variants a
 *  padded copy of x with its channels last (none where x is that already); and of these and the
 *  depthwise ones the sums of all blocks, where threads share out blocks and these sums are no
 *  larger than x and y. The reference needs nothing but g. */
EVR_API size_t
evr_conv2d_backward_weights_workspace_size(const evr_conv2d_backward_weights_plan *plan);

/** All that an execution can be given. Zero what is not used. */
typedef struct evr_conv2d_backward_weights_arguments {
  const float *x; /**< may be NULL where dweights is */
  const float *dy;
  /** Of y and z a fused activation needs one: y, or where its derivative is no function of y, z;
   *  see activation.h. Without an activation neither is read. */
  const float *y;
  const float *z;
  float *dweights; /**< or NULL where dbias is given */
  float *dbias;    /**< or NULL where dweights is given */
  void *workspace; /**< evr_conv2d_backward_weights_workspace_size bytes, any alignment; NULL: the
                              library allocates and releases one */
} evr_conv2d_backward_weights_arguments;

/** Executes a plan. */
EVR_API evr_status
evr_conv2d_backward_weights_execute(const evr_conv2d_backward_weights_plan *plan,
                                    const evr_conv2d_backward_weights_arguments *arguments);

/** Plan, execute, destroy. */
EVR_API evr_status
evr_conv2d_backward_weights(const evr_conv2d_desc *desc, const evr_plan_options *options,
                            const evr_conv2d_backward_weights_arguments *arguments);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_conv2d_backward_weights_list_variants(const evr_conv2d_desc *desc,
                                                             const evr_plan_options *options,
                                                             evr_variant_report *list,
                                                             size_t capacity, size_t *count);

/* ---- transposed convolution ---- */

/** A layer that computes what the backward pass of a convolution does: x takes the place of the
 *  gradient, y that of the image. Begin with EVR_CONV2D_TRANSPOSED_DESC_INIT.
 *
 *  The height of y is (in_height - 1) stride_height - pad_top - pad_bottom +
 *  dilation_height (kernel_height - 1) + output_padding_height + 1, and the sums are those of
 *  evr_conv2d_backward_data_plan, with y = activation(acc + bias). */
typedef struct evr_conv2d_transposed_desc {
  int64_t batch;
  int64_t groups; /**< divides in_channels and out_channels */
  int64_t in_channels, in_height, in_width;
  int64_t out_channels;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t dilation_height, dilation_width;          /**< 1 is dense */
  int64_t pad_top, pad_bottom, pad_left, pad_right; /**< taken off y */
  /** Rows and columns added to y at the bottom and on the right, which tells apart the images that
   *  a strided convolution makes the same size of; smaller than stride or dilation. */
  int64_t output_padding_height, output_padding_width;
  evr_layout layout; /**< of x and y */
  /** Of weights, in the words of the convolution whose gradient this is: EVR_OIHW is in_channels x
   *  out_channels / groups x kernel_height x kernel_width, EVR_HWIO is kernel_height x kernel_width
   *  x out_channels / groups x in_channels. */
  evr_filter_layout filter_layout;
  evr_activation activation;
} evr_conv2d_transposed_desc;

/** Batch, groups, strides, dilations 1; pads 0; NHWC, HWIO; identity. */
#define EVR_CONV2D_TRANSPOSED_DESC_INIT                                         \
  {                                                                             \
    1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, EVR_NHWC, EVR_HWIO, { \
      EVR_IDENTITY, 0.0f                                                        \
    }                                                                           \
  }

/** Sizes that follow from a descriptor; counts are in floats. */
typedef struct evr_conv2d_transposed_sizes {
  int64_t out_height, out_width; /**< of y */
  int64_t x_count, weights_count, bias_count, y_count;
} evr_conv2d_transposed_sizes;

/** Checks the descriptor and computes its sizes. */
EVR_API evr_status evr_conv2d_transposed_get_sizes(const evr_conv2d_transposed_desc *desc,
                                                   evr_conv2d_transposed_sizes *sizes);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_conv2d_transposed_plan evr_conv2d_transposed_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_conv2d_transposed_plan_create(const evr_conv2d_transposed_desc *desc,
                                                     const evr_plan_options *options,
                                                     evr_conv2d_transposed_plan **plan);
/** NULL is allowed. */
EVR_API void evr_conv2d_transposed_plan_destroy(evr_conv2d_transposed_plan *plan);
/** As evr_conv2d_backward_data_plan_variant. */
EVR_API const char *evr_conv2d_transposed_plan_variant(const evr_conv2d_transposed_plan *plan);
/** Most threads that the plan uses. 0 for NULL. */
EVR_API int evr_conv2d_transposed_plan_threads(const evr_conv2d_transposed_plan *plan);
/** As evr_conv2d_backward_data_workspace_size. */
EVR_API size_t evr_conv2d_transposed_workspace_size(const evr_conv2d_transposed_plan *plan);

/** Executes a plan. bias and workspace may be NULL. */
EVR_API evr_status evr_conv2d_transposed_forward(const evr_conv2d_transposed_plan *plan,
                                                 const float *x, const float *weights,
                                                 const float *bias, float *y, void *workspace);

/** Plan, execute, destroy. */
EVR_API evr_status evr_conv2d_transposed(const evr_conv2d_transposed_desc *desc,
                                         const evr_plan_options *options, const float *x,
                                         const float *weights, const float *bias, float *y);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_conv2d_transposed_list_variants(const evr_conv2d_transposed_desc *desc,
                                                       const evr_plan_options *options,
                                                       evr_variant_report *list, size_t capacity,
                                                       size_t *count);

#ifdef __cplusplus
}
#endif

#endif
