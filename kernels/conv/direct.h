/* The two halves of direct convolution: direct.tmpl.c serves NHWC and hands NCHW to
 * direct_nchw.tmpl.c. The functions are those of evr_kernel. */
#ifndef EVR_CONV_DIRECT_H
#define EVR_CONV_DIRECT_H

#include "conv/problem.h"
#include "simd/instances.h"

#define EVR_DIRECT_DECLARE(isa)                                                                   \
  double evr_conv2d_direct_nchw_cost_##isa(const evr_conv2d_problem *problem);                    \
  size_t evr_conv2d_direct_nchw_packed_size_##isa(const evr_conv2d_problem *problem);             \
  size_t evr_conv2d_direct_nchw_workspace_size_##isa(const evr_conv2d_problem *problem);          \
  void evr_conv2d_direct_nchw_pack_##isa(const evr_conv2d_problem *problem, const float *weights, \
                                         void *packed);                                           \
  void evr_conv2d_direct_nchw_prepare_##isa(void *problem);                                       \
  void evr_conv2d_direct_nchw_forward_##isa(const evr_conv2d_problem *problem,                    \
                                            const evr_conv2d_call *call);
EVR_FOR_EACH_INSTANCE(EVR_DIRECT_DECLARE)

#endif
