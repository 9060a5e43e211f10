/* A convolution's weights as a matrix of products: depth in canonical order (kernel row, kernel
 * column, input channel) by the output channels of a group. For templates. */
#ifndef EVR_CONV_WEIGHTS_H
#define EVR_CONV_WEIGHTS_H

#include "conv/problem.h"
#include "core/checked.h"
#include "gemm/gemm.h"
#include "simd/simd.h"

/* Bytes of one group's packed weights: rows of A where the lanes of the product are pixels (NCHW),
 * columns of B where they are output channels (NHWC). Saturating. */
EVR_INLINE size_t evr_conv2d_packed_group_bytes(const evr_conv2d_problem *p) {
  const int64_t unit = p->desc.layout == EVR_NCHW ? EVR_NAME(evr_gemm_tile_rows) : EVR_LANES;
  return evr_size_product(evr_size_floats(p->depth), (size_t)evr_round_up(p->group_out, unit));
}

EVR_INLINE const float *evr_conv2d_packed_group(const evr_conv2d_problem *p, const void *packed,
                                                int64_t group) {
  return (const float *)packed + (size_t)group * (evr_conv2d_packed_group_bytes(p) / sizeof(float));
}

EVR_INLINE size_t evr_conv2d_packed_matrix_size(const evr_conv2d_problem *p) {
  return evr_size_product(evr_conv2d_packed_group_bytes(p), (size_t)p->desc.groups);
}

EVR_INLINE void evr_conv2d_pack_matrix(const evr_conv2d_problem *p, const float *weights,
                                       void *packed) {
  const evr_conv2d_desc *d = &p->desc;
  /* With OIHW, steps of a constant distance are the channels of one tap. */
  const bool by_tap = d->filter_layout == EVR_OIHW;
  const int64_t taps = by_tap ? d->kernel_height * d->kernel_width : 1;
  for (int64_t group = 0; group < d->groups; group++) {
    float *to =
        (float *)packed + (size_t)group * (evr_conv2d_packed_group_bytes(p) / sizeof(float));
    const float *from = weights + evr_weight_offset(p, 0, 0, 0, group * p->group_out);
    for (int64_t tap = 0; tap < taps; tap++) {
      const evr_gemm_source source = {.source = from + tap,
                                      .k_step = by_tap ? taps : d->out_channels,
                                      .lane_step = by_tap ? p->depth : 1,
                                      .k = by_tap ? p->group_in : p->depth,
                                      .lanes = p->group_out};
      if (d->layout == EVR_NCHW)
        EVR_NAME(evr_gemm_pack_a)(&source, tap * p->group_in, p->depth, to);
      else
        EVR_NAME(evr_gemm_pack_b)(&source, tap * p->group_in, p->depth, to);
    }
  }
}

#endif
