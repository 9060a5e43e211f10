/** @file pool2d.h  Max, average and min pooling, forward and backward.
 *
 *  x and y are dense tensors of one layout with the same channels. Where indices are asked for
 *  (max and min only), indices has the shape of y and each is the winner's place in its input
 *  plane, ih * in_width + iw, or -1 for a window without pixels.
 */
#ifndef EVRISIM_POOL2D_H
#define EVRISIM_POOL2D_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What to compute. Begin with EVR_POOL2D_DESC_INIT. */
typedef struct evr_pool2d_desc {
  int64_t batch, channels, in_height, in_width;
  evr_layout layout;
  evr_pool2d_window window;
} evr_pool2d_desc;

/** Batch 1, NHWC, a window with stride and dilation 1. */
#define EVR_POOL2D_DESC_INIT \
  { 1, 0, 0, 0, EVR_NHWC, EVR_POOL2D_WINDOW_INIT }

/** Sizes that follow from a descriptor; counts are in elements. */
typedef struct evr_pool2d_sizes {
  int64_t out_height, out_width;
  int64_t x_count, y_count;
} evr_pool2d_sizes;

/** Checks the descriptor and computes its sizes. */
EVR_API evr_status evr_pool2d_get_sizes(const evr_pool2d_desc *desc, evr_pool2d_sizes *sizes);

/** Sets the four pads from sizes, strides and dilations that are already in the descriptor. */
EVR_API evr_status evr_pool2d_set_padding(evr_pool2d_desc *desc, evr_padding_scheme scheme);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_pool2d_plan evr_pool2d_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_pool2d_plan_create(const evr_pool2d_desc *desc,
                                          const evr_plan_options *options, evr_pool2d_plan **plan);
/** NULL is allowed. */
EVR_API void evr_pool2d_plan_destroy(evr_pool2d_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_pool2d_plan_variant(const evr_pool2d_plan *plan);

/** Executes a plan. indices may be NULL; asked for with an average, or where a plane has more than
 *  2^31 - 1 pixels, it is EVR_INVALID_ARGUMENT. y and indices must not overlap x or each other. */
EVR_API evr_status evr_pool2d_forward(const evr_pool2d_plan *plan, const float *x, float *y,
                                      int32_t *indices);

/** Plan, execute, destroy. */
EVR_API evr_status evr_pool2d(const evr_pool2d_desc *desc, const evr_plan_options *options,
                              const float *x, float *y, int32_t *indices);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_pool2d_list_variants(const evr_pool2d_desc *desc,
                                            const evr_plan_options *options,
                                            evr_variant_report *list, size_t capacity,
                                            size_t *count);

/** Immutable, as evr_conv2d_plan. */
typedef struct evr_pool2d_backward_plan evr_pool2d_backward_plan;

/** Makes a plan; see evr_conv2d_plan_create. */
EVR_API evr_status evr_pool2d_backward_plan_create(const evr_pool2d_desc *desc,
                                                   const evr_plan_options *options,
                                                   evr_pool2d_backward_plan **plan);
/** NULL is allowed. */
EVR_API void evr_pool2d_backward_plan_destroy(evr_pool2d_backward_plan *plan);
/** Name of the chosen variant, static storage; "" for NULL. */
EVR_API const char *evr_pool2d_backward_plan_variant(const evr_pool2d_backward_plan *plan);

/** Bytes of workspace for one execution; 0 for a NULL plan. See evr_conv2d_workspace_size. */
EVR_API size_t evr_pool2d_backward_workspace_size(const evr_pool2d_backward_plan *plan);

/** Executes a plan. dy has the shape of y, dx that of x.
 *
 *  Average: each window gives dy / count to each of its pixels, with the count that the forward
 *  pass divided by. Max and min: each window gives dy to its winner, and nothing to its other
 *  pixels. Winners are read from indices, as evr_pool2d_forward writes them; where indices is NULL,
 *  they are found in x again, with the same rules for ties and NaN. An index outside of its window
 *  is nobody's. A value of dx begins at +0 and adds what the windows that hold its pixel give it,
 *  in row-major order of the windows.
 *
 *  An average needs neither indices (NULL, or EVR_INVALID_ARGUMENT) nor x (not read). dx must not
 *  overlap any other buffer. workspace: any alignment, or NULL to let the library take its own. */
EVR_API evr_status evr_pool2d_backward_execute(const evr_pool2d_backward_plan *plan,
                                               const float *dy, const int32_t *indices,
                                               const float *x, float *dx, void *workspace);

/** Plan, execute, destroy. */
EVR_API evr_status evr_pool2d_backward(const evr_pool2d_desc *desc, const evr_plan_options *options,
                                       const float *dy, const int32_t *indices, const float *x,
                                       float *dx);

/** As evr_conv2d_list_variants. */
EVR_API evr_status evr_pool2d_backward_list_variants(const evr_pool2d_desc *desc,
                                                     const evr_plan_options *options,
                                                     evr_variant_report *list, size_t capacity,
                                                     size_t *count);

#ifdef __cplusplus
}
#endif

#endif
