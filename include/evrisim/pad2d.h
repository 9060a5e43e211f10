/** @file pad2d.h  Padding of the two image dimensions, forward and backward; and flatten. */
#ifndef EVRISIM_PAD2D_H
#define EVRISIM_PAD2D_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What to compute. Begin with EVR_PAD2D_DESC_INIT. */
typedef struct evr_pad2d_desc {
  int64_t batch, channels, in_height, in_width;
  int64_t pad_top, pad_bottom, pad_left, pad_right;
  evr_pad_mode mode;
  evr_layout layout;
} evr_pad2d_desc;

/** Batch 1, no pads, zeros, NHWC. */
#define EVR_PAD2D_DESC_INIT \
  { 1, 0, 0, 0, 0, 0, 0, 0, EVR_PAD_ZERO, EVR_NHWC }

/** Sizes that follow from a descriptor; counts are in floats. */
typedef struct evr_pad2d_sizes {
  int64_t out_height, out_width;
  int64_t x_count, y_count;
} evr_pad2d_sizes;

/** Checks the descriptor and computes its sizes. */
EVR_API evr_status evr_pad2d_get_sizes(const evr_pad2d_desc *desc, evr_pad2d_sizes *sizes);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_pad2d_plan evr_pad2d_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_pad2d_plan_create(const evr_pad2d_desc *desc,
                                         const evr_plan_options *options, evr_pad2d_plan **plan);
/** NULL is allowed. */
EVR_API void evr_pad2d_plan_destroy(evr_pad2d_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_pad2d_plan_variant(const evr_pad2d_plan *plan);

/** Executes a plan. y must not overlap x. */
EVR_API evr_status evr_pad2d_forward(const evr_pad2d_plan *plan, const float *x, float *y);

/** Plan, execute, destroy. */
EVR_API evr_status evr_pad2d(const evr_pad2d_desc *desc, const evr_plan_options *options,
                             const float *x, float *y);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_pad2d_list_variants(const evr_pad2d_desc *desc,
                                           const evr_plan_options *options,
                                           evr_variant_report *list, size_t capacity,
                                           size_t *count);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_pad2d_backward_plan evr_pad2d_backward_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_pad2d_backward_plan_create(const evr_pad2d_desc *desc,
                                                  const evr_plan_options *options,
                                                  evr_pad2d_backward_plan **plan);
/** NULL is allowed. */
EVR_API void evr_pad2d_backward_plan_destroy(evr_pad2d_backward_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_pad2d_backward_plan_variant(const evr_pad2d_backward_plan *plan);

/** Executes a plan. dy has the shape of the padded image, dx that of the image. Each value of dx is
 *  the sum of dy over the places of the padded image that show its pixel, added to +0 in row-major
 *  order. dx must not overlap dy. */
EVR_API evr_status evr_pad2d_backward_execute(const evr_pad2d_backward_plan *plan, const float *dy,
                                              float *dx);

/** Plan, execute, destroy. */
EVR_API evr_status evr_pad2d_backward(const evr_pad2d_desc *desc, const evr_plan_options *options,
                                      const float *dy, float *dx);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_pad2d_backward_list_variants(const evr_pad2d_desc *desc,
                                                    const evr_plan_options *options,
                                                    evr_variant_report *list, size_t capacity,
                                                    size_t *count);

/** Makes one row of each image: y[n] is x[n] in the order of its own layout (height, width, channel
 *  for NHWC; channel, height, width for NCHW), so y has batch rows of channels * height * width.
 *  y must not overlap x. */
EVR_API evr_status evr_flatten(evr_layout layout, int64_t batch, int64_t channels, int64_t height,
                               int64_t width, const float *x, float *y);

/** Backward of evr_flatten: dx[n] is row n of dy, an image again. dx must not overlap dy. */
EVR_API evr_status evr_flatten_backward(evr_layout layout, int64_t batch, int64_t channels,
                                        int64_t height, int64_t width, const float *dy, float *dx);

#ifdef __cplusplus
}
#endif

#endif
