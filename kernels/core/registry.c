#include "core/registry.h"

#include "core/choose.h"
#if defined(EVR_PLANTED_FAULTS) /* a build for the tests, with deliberately broken variants */
#include "faults/rows.h"
#else
#define PLANTED_FAULTS
#endif

/* Rows for each instruction set of this build, best first. */
#if defined(EVR_BUILD_AVX512)
#define AVX512(...) {__VA_ARGS__},
#else
#define AVX512(...)
#endif
#if defined(EVR_BUILD_AVX2)
#define AVX2(...) {__VA_ARGS__},
#else
#define AVX2(...)
#endif
#if defined(EVR_BUILD_AMX)
#if defined(EVR_AMX_EMULATED) /* tiles by vectors, in builds for the tests */
#define AMX_ISA EVR_ISA_AVX512
#else
#define AMX_ISA EVR_ISA_AMX
#endif
#define AMX(operation, name, math, kernel) {name, operation, AMX_ISA, math, &kernel},
#else
#define AMX(operation, name, math, kernel)
#endif
#if defined(EVR_BUILD_NEON)
#define NEON(...) {__VA_ARGS__},
#else
#define NEON(...)
#endif

/* One row an instruction set, all with one template. */
/* clang-format off */
#define ROWS_SERVING(math, operation, method, kernel)                         \
  AVX512(method "-avx512", operation, EVR_ISA_AVX512, math, &kernel##_avx512) \
  AVX2(method "-avx2", operation, EVR_ISA_AVX2, math, &kernel##_avx2)         \
  NEON(method "-neon", operation, EVR_ISA_NEON, math, &kernel##_neon)         \
  {method "-scalar", operation, EVR_ISA_SCALAR, math, &kernel##_scalar},
/* clang-format on */
#define ROWS(operation, method, kernel) ROWS_SERVING(EVR_SERVES_ALL, operation, method, kernel)

#define REFERENCE(operation, kernel) \
  {"reference", operation, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},

/* Instruction sets that this build lacks leave their declaration unused, which costs nothing. */
#define DECLARE(kernel) \
  extern const evr_kernel kernel##_avx512, kernel##_avx2, kernel##_neon, kernel##_scalar

extern const evr_kernel evr_conv2d_amx_bf16x2, evr_conv2d_amx_bf16x3;
DECLARE(evr_conv2d_depthwise);
DECLARE(evr_conv2d_direct);
DECLARE(evr_conv2d_few_outputs);
DECLARE(evr_conv2d_im2col_gemm);
DECLARE(evr_conv2d_winograd2);
DECLARE(evr_conv2d_winograd4);
DECLARE(evr_dense_direct);
DECLARE(evr_dense_gemm);
extern const evr_kernel evr_conv2d_reference;
/* Backward data and transposed convolution by the forward variant of the name. */
extern const evr_kernel evr_conv2d_turned_amx_bf16x2, evr_conv2d_turned_amx_bf16x3;
DECLARE(evr_conv2d_turned_depthwise);
DECLARE(evr_conv2d_turned_depthwise_stride2);
DECLARE(evr_conv2d_turned_direct);
DECLARE(evr_conv2d_turned_few_outputs);
DECLARE(evr_conv2d_turned_im2col_gemm);
DECLARE(evr_conv2d_turned_winograd2);
DECLARE(evr_conv2d_turned_winograd4);
extern const evr_kernel evr_conv2d_backward_data_reference, evr_conv2d_transposed_reference;
DECLARE(evr_conv2d_backward_weights_depthwise);
DECLARE(evr_conv2d_backward_weights_direct);
DECLARE(evr_conv2d_backward_weights_im2col_gemm);
extern const evr_kernel evr_conv2d_backward_weights_reference;
extern const evr_kernel evr_conv2d_backward_weights_amx_bf16x2,
    evr_conv2d_backward_weights_amx_bf16x3;
extern const evr_kernel evr_dense_reference;
DECLARE(evr_pool2d_direct);
extern const evr_kernel evr_pool2d_reference;
extern const evr_kernel evr_pad2d_copy, evr_pad2d_reference;
DECLARE(evr_activation_direct);
extern const evr_kernel evr_activation_reference_kernel;
DECLARE(evr_activation_backward_direct);
extern const evr_kernel evr_activation_backward_reference;
DECLARE(evr_pool2d_backward_gather);
DECLARE(evr_softmax_backward_direct);
DECLARE(evr_softmax_cross_entropy_direct);
DECLARE(evr_sigmoid_cross_entropy_direct);
DECLARE(evr_dense_backward_weights_direct);
extern const evr_kernel evr_softmax_backward_reference, evr_softmax_cross_entropy_reference,
    evr_sigmoid_cross_entropy_reference, evr_dense_backward_weights_reference;
extern const evr_kernel evr_pool2d_backward_reference;
extern const evr_kernel evr_pad2d_backward_fold, evr_pad2d_backward_reference;
DECLARE(evr_softmax_direct);
extern const evr_kernel evr_softmax_reference;

/* clang-format off */
#define TURNED_ROWS(operation)                                                                \
  ROWS(operation, "depthwise-stride2", evr_conv2d_turned_depthwise_stride2)                   \
  ROWS(operation, "depthwise", evr_conv2d_turned_depthwise)                                   \
  ROWS(operation, "direct", evr_conv2d_turned_direct)                                         \
  ROWS(operation, "few-outputs", evr_conv2d_turned_few_outputs)                               \
  AMX(operation, "amx-bf16x2", EVR_SERVES_FAST, evr_conv2d_turned_amx_bf16x2)                 \
  AMX(operation, "amx-bf16x3", EVR_SERVES_STANDARD, evr_conv2d_turned_amx_bf16x3)             \
  ROWS_SERVING(EVR_SERVES_FAST, operation, "winograd4", evr_conv2d_turned_winograd4)          \
  ROWS_SERVING(EVR_SERVES_FAST, operation, "winograd2", evr_conv2d_turned_winograd2)          \
  ROWS(operation, "im2col-gemm", evr_conv2d_turned_im2col_gemm)

static const evr_variant registry[] = {
    PLANTED_FAULTS
    ROWS(EVR_OP_CONV2D, "depthwise", evr_conv2d_depthwise)
    ROWS(EVR_OP_CONV2D, "direct", evr_conv2d_direct)
    ROWS(EVR_OP_CONV2D, "few-outputs", evr_conv2d_few_outputs)
    AMX(EVR_OP_CONV2D, "amx-bf16x2", EVR_SERVES_FAST, evr_conv2d_amx_bf16x2)
    AMX(EVR_OP_CONV2D, "amx-bf16x3", EVR_SERVES_STANDARD, evr_conv2d_amx_bf16x3)
    ROWS_SERVING(EVR_SERVES_FAST, EVR_OP_CONV2D, "winograd4", evr_conv2d_winograd4)
    ROWS_SERVING(EVR_SERVES_FAST, EVR_OP_CONV2D, "winograd2", evr_conv2d_winograd2)
    ROWS(EVR_OP_CONV2D, "im2col-gemm", evr_conv2d_im2col_gemm)
    REFERENCE(EVR_OP_CONV2D, evr_conv2d_reference)
    TURNED_ROWS(EVR_OP_CONV2D_BACKWARD_DATA)
    REFERENCE(EVR_OP_CONV2D_BACKWARD_DATA, evr_conv2d_backward_data_reference)
    ROWS(EVR_OP_CONV2D_BACKWARD_WEIGHTS, "depthwise", evr_conv2d_backward_weights_depthwise)
    ROWS(EVR_OP_CONV2D_BACKWARD_WEIGHTS, "direct", evr_conv2d_backward_weights_direct)
    AMX(EVR_OP_CONV2D_BACKWARD_WEIGHTS, "amx-bf16x2", EVR_SERVES_FAST,
        evr_conv2d_backward_weights_amx_bf16x2)
    AMX(EVR_OP_CONV2D_BACKWARD_WEIGHTS, "amx-bf16x3", EVR_SERVES_STANDARD,
        evr_conv2d_backward_weights_amx_bf16x3)
    ROWS(EVR_OP_CONV2D_BACKWARD_WEIGHTS, "im2col-gemm", evr_conv2d_backward_weights_im2col_gemm)
    REFERENCE(EVR_OP_CONV2D_BACKWARD_WEIGHTS, evr_conv2d_backward_weights_reference)
    TURNED_ROWS(EVR_OP_CONV2D_TRANSPOSED)
    REFERENCE(EVR_OP_CONV2D_TRANSPOSED, evr_conv2d_transposed_reference)
    ROWS(EVR_OP_POOL2D, "direct", evr_pool2d_direct)
    REFERENCE(EVR_OP_POOL2D, evr_pool2d_reference)
    {"copy", EVR_OP_PAD2D, EVR_ISA_SCALAR, EVR_SERVES_ALL, &evr_pad2d_copy},
    REFERENCE(EVR_OP_PAD2D, evr_pad2d_reference)
    ROWS(EVR_OP_ACTIVATION, "direct", evr_activation_direct)
    REFERENCE(EVR_OP_ACTIVATION, evr_activation_reference_kernel)
    ROWS(EVR_OP_SOFTMAX, "direct", evr_softmax_direct)
    REFERENCE(EVR_OP_SOFTMAX, evr_softmax_reference)
    ROWS(EVR_OP_DENSE, "direct", evr_dense_direct)
    ROWS(EVR_OP_DENSE, "gemm", evr_dense_gemm)
    REFERENCE(EVR_OP_DENSE, evr_dense_reference)
    ROWS(EVR_OP_ACTIVATION_BACKWARD, "direct", evr_activation_backward_direct)
    REFERENCE(EVR_OP_ACTIVATION_BACKWARD, evr_activation_backward_reference)
    {"fold", EVR_OP_PAD2D_BACKWARD, EVR_ISA_SCALAR, EVR_SERVES_ALL, &evr_pad2d_backward_fold},
    REFERENCE(EVR_OP_PAD2D_BACKWARD, evr_pad2d_backward_reference)
    ROWS(EVR_OP_POOL2D_BACKWARD, "gather", evr_pool2d_backward_gather)
    REFERENCE(EVR_OP_POOL2D_BACKWARD, evr_pool2d_backward_reference)
    ROWS(EVR_OP_SOFTMAX_BACKWARD, "direct", evr_softmax_backward_direct)
    REFERENCE(EVR_OP_SOFTMAX_BACKWARD, evr_softmax_backward_reference)
    ROWS(EVR_OP_SOFTMAX_CROSS_ENTROPY, "direct", evr_softmax_cross_entropy_direct)
    REFERENCE(EVR_OP_SOFTMAX_CROSS_ENTROPY, evr_softmax_cross_entropy_reference)
    ROWS(EVR_OP_SIGMOID_CROSS_ENTROPY, "direct", evr_sigmoid_cross_entropy_direct)
    REFERENCE(EVR_OP_SIGMOID_CROSS_ENTROPY, evr_sigmoid_cross_entropy_reference)
    ROWS(EVR_OP_DENSE_BACKWARD_DATA, "direct", evr_dense_direct)
    ROWS(EVR_OP_DENSE_BACKWARD_DATA, "gemm", evr_dense_gemm)
    REFERENCE(EVR_OP_DENSE_BACKWARD_DATA, evr_dense_reference)
    ROWS(EVR_OP_DENSE_BACKWARD_WEIGHTS, "direct", evr_dense_backward_weights_direct)
    REFERENCE(EVR_OP_DENSE_BACKWARD_WEIGHTS, evr_dense_backward_weights_reference)
};
/* clang-format on */

const evr_variant *evr_registry(size_t *count) {
  *count = sizeof registry / sizeof registry[0];
  return registry;
}

bool evr_variant_name_known(const char *name) {
  for (size_t i = 0; i < sizeof registry / sizeof registry[0]; i++)
    if (evr_variant_is_called(&registry[i], name)) return true;
  return false;
}

const char *evr_operation_name(evr_operation operation) {
  switch (operation) {
    case EVR_OP_CONV2D: return "conv2d";
    case EVR_OP_CONV2D_BACKWARD_DATA: return "conv2d_backward_data";
    case EVR_OP_CONV2D_BACKWARD_WEIGHTS: return "conv2d_backward_weights";
    case EVR_OP_CONV2D_TRANSPOSED: return "conv2d_transposed";
    case EVR_OP_POOL2D: return "pool2d";
    case EVR_OP_ACTIVATION: return "activation";
    case EVR_OP_SOFTMAX: return "softmax";
    case EVR_OP_DENSE: return "dense";
    case EVR_OP_PAD2D: return "pad2d";
    case EVR_OP_ACTIVATION_BACKWARD: return "activation_backward";
    case EVR_OP_PAD2D_BACKWARD: return "pad2d_backward";
    case EVR_OP_POOL2D_BACKWARD: return "pool2d_backward";
    case EVR_OP_SOFTMAX_BACKWARD: return "softmax_backward";
    case EVR_OP_SOFTMAX_CROSS_ENTROPY: return "softmax_cross_entropy";
    case EVR_OP_SIGMOID_CROSS_ENTROPY: return "sigmoid_cross_entropy";
    case EVR_OP_DENSE_BACKWARD_DATA: return "dense_backward_data";
    case EVR_OP_DENSE_BACKWARD_WEIGHTS: return "dense_backward_weights";
    case EVR_OPERATIONS: break;
  }
  return "unknown operation";
}
