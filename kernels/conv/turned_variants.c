/* A variant of backward data for each variant of the forward pass, under the same name. */
#include "conv/turned.h"

#define TURNED(method)                                                                            \
  extern const evr_kernel evr_conv2d_##method;                                                    \
  static bool accepts_##method(const void *p, char *reason) {                                     \
    return evr_turned_accepts(p, &evr_conv2d_##method, reason);                                   \
  }                                                                                               \
  static double cost_##method(const void *p) { return evr_turned_cost(p, &evr_conv2d_##method); } \
  static size_t packed_##method(const void *p) {                                                  \
    return evr_turned_packed_size(p, &evr_conv2d_##method);                                       \
  }                                                                                               \
  static size_t workspace_##method(const void *p) {                                               \
    return evr_turned_workspace_size(p, &evr_conv2d_##method);                                    \
  }                                                                                               \
  static size_t state_##method(const void *p) {                                                   \
    return evr_turned_state_size(p, &evr_conv2d_##method);                                        \
  }                                                                                               \
  static void make_##method(const void *p, void *state) {                                         \
    evr_turned_make_state(p, &evr_conv2d_##method, state);                                        \
  }                                                                                               \
  static void pack_##method(const void *p, const float *weights, void *packed) {                  \
    evr_turned_pack(p, &evr_conv2d_##method, weights, packed);                                    \
  }                                                                                               \
  static void forward_##method(const void *p, const void *call) {                                 \
    evr_turned_forward(p, &evr_conv2d_##method, call);                                            \
  }                                                                                               \
  extern const evr_kernel evr_conv2d_turned_##method;                                             \
  const evr_kernel evr_conv2d_turned_##method = {.accepts = accepts_##method,                     \
                                                 .cost = cost_##method,                           \
                                                 .packed_size = packed_##method,                  \
                                                 .workspace_size = workspace_##method,            \
                                                 .pack = pack_##method,                           \
                                                 .forward = forward_##method,                     \
                                                 .state_size = state_##method,                    \
                                                 .make_state = make_##method};

#define TURNED_ISA(isa)     \
  TURNED(depthwise_##isa)   \
  TURNED(direct_##isa)      \
  TURNED(few_outputs_##isa) \
  TURNED(winograd4_##isa)   \
  TURNED(winograd2_##isa)   \
  TURNED(im2col_gemm_##isa)

TURNED_ISA(scalar)
#if defined(EVR_BUILD_AVX2)
TURNED_ISA(avx2)
#endif
#if defined(EVR_BUILD_AVX512)
TURNED_ISA(avx512)
#endif
#if defined(EVR_BUILD_NEON)
TURNED_ISA(neon)
#endif
#if defined(EVR_BUILD_AMX)
TURNED(amx_bf16x2)
TURNED(amx_bf16x3)
#endif
