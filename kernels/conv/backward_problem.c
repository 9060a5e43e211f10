#include "conv/backward.h"

#include "core/check.h"
#include "core/status.h"

evr_status evr_conv2d_backward_problem_init(evr_conv2d_backward_problem *problem,
                                            const evr_conv2d_desc *desc) {
  *problem = (evr_conv2d_backward_problem){0};
  EVR_TRY(evr_conv2d_problem_init(&problem->conv, desc));
  if (desc->pool.kind != EVR_POOL_NONE)
    return evr_fail(EVR_UNSUPPORTED,
                    "desc.pool.kind is %d; a backward pass is planned without pooling, and takes "
                    "what the backward pass of pool2d gives as its dy",
                    (int)desc->pool.kind);
  problem->conv.desc.stride_height = desc->stride_height;
  problem->conv.desc.stride_width = desc->stride_width;
  problem->conv.desc.activation = (evr_activation){EVR_IDENTITY, 0.0f};
  return EVR_OK;
}
