/** @file pool2d.h  Max, average and min pooling, forward.
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

#ifdef __cplusplus
}
#endif

#endif
