/* Depthwise convolution: each output channel has one input channel, oc / multiplier. There are
 * three ways, each with its own source; depthwise.tmpl.c chooses between them:
 *
 *   nhwc    channels in the lanes
 *   nchw    output columns of a plane in the lanes
 *   blocks  NCHW with small planes: transposed, then as nhwc, whose packed weights it takes */
#ifndef EVR_CONV_DEPTHWISE_H
#define EVR_CONV_DEPTHWISE_H

#include "conv/problem.h"
#include "simd/simd.h"

/* Scratch of one thread; saturating. */
size_t EVR_NAME(evr_depthwise_nhwc_slot_bytes)(const evr_conv2d_problem *p);
size_t EVR_NAME(evr_depthwise_nchw_slot_bytes)(const evr_conv2d_problem *p);
size_t EVR_NAME(evr_depthwise_blocks_slot_bytes)(const evr_conv2d_problem *p);

/* For estimates of NHWC: vectors that are copied of an image, columns of its tiles, and whether
 * these know the window. */
typedef struct evr_depthwise_extent {
  double copied, columns;
  bool known;
} evr_depthwise_extent;
evr_depthwise_extent EVR_NAME(evr_depthwise_nhwc_extent)(const evr_conv2d_problem *p);

/* As in evr_kernel, for a problem that this way serves. */
void EVR_NAME(evr_depthwise_nhwc_prepare)(void *problem);
void EVR_NAME(evr_depthwise_nchw_prepare)(void *problem);
void EVR_NAME(evr_depthwise_blocks_prepare)(void *problem);

/* Whether the blocks of one output row need no more scratch than that. */
bool EVR_NAME(evr_depthwise_blocks_fit)(const evr_conv2d_problem *p, int64_t bytes);

/* As in evr_kernel. */
size_t EVR_NAME(evr_depthwise_nhwc_packed_size)(const evr_conv2d_problem *p);
size_t EVR_NAME(evr_depthwise_nchw_packed_size)(const evr_conv2d_problem *p);
void EVR_NAME(evr_depthwise_nhwc_pack)(const evr_conv2d_problem *p, const float *weights,
                                       float *packed);
void EVR_NAME(evr_depthwise_nchw_pack)(const evr_conv2d_problem *p, const float *weights,
                                       float *packed);
void EVR_NAME(evr_depthwise_nhwc_forward)(const evr_conv2d_problem *p, const evr_conv2d_call *call);
void EVR_NAME(evr_depthwise_nchw_forward)(const evr_conv2d_problem *p, const evr_conv2d_call *call);

void EVR_NAME(evr_depthwise_blocks_forward)(const evr_conv2d_problem *p,
                                            const evr_conv2d_call *call);

/* A weight to be packed, of an output channel of all. */
EVR_INLINE const float *evr_weight_of(const evr_conv2d_problem *p, const float *weights, int64_t kh,
                                      int64_t kw, int64_t channel) {
  return evr_weight_at(p, weights, kh, kw, 0, channel / p->group_out, channel % p->group_out);
}

/* Whether those of each channel are so many floats after those of the one before. */
EVR_INLINE bool evr_weights_are_apart(const evr_conv2d_problem *p, int64_t step) {
  const evr_weight_steps *s = &p->weights;
  return (p->group_out == 1 || s->out == step) &&
         (p->desc.groups == 1 || s->group == p->group_out * step);
}

/* Activations that a kernel applies to its sums in registers; the others it leaves to
 * evr_activation_apply. */
EVR_INLINE bool evr_depthwise_activates(evr_activation_kind kind) {
  return kind == EVR_IDENTITY || kind == EVR_RELU || kind == EVR_RELU6;
}

#endif
