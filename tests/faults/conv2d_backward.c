/* Backward passes of convolution that are wrong in one thing each: the reference, and then a
 * fault. */
#include <float.h>
#include <math.h>

#include "conv/backward.h"
#include "faults/rows.h"

extern const evr_kernel evr_conv2d_backward_data_reference, evr_conv2d_backward_weights_reference,
    evr_conv2d_transposed_reference;

static double cost(const void *problem) {
  (void)problem;
  return 1e30;
}

#define FAULT(name) const evr_kernel name = {.cost = cost, .forward = name##_backward};

static float next(float value) { return nextafterf(value, INFINITY); }

/* ---- backward data ---- */

static void fault_data_last_bit_backward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *call = arguments;
  evr_conv2d_backward_data_reference.forward(problem, arguments);
  float *last = &call->dx[p->conv.sizes.x_count - 1];
  *last = next(*last);
}
FAULT(fault_data_last_bit)

/* Steps of 1 where the forward pass takes the stride, as in a printed listing. */
static void fault_data_forgets_stride_backward(const void *problem, const void *arguments) {
  evr_conv2d_backward_problem p = *(const evr_conv2d_backward_problem *)problem;
  if (p.conv.sizes.conv_height > 1) p.conv.desc.stride_height = 1;
  evr_conv2d_backward_data_reference.forward(&p, arguments);
}
FAULT(fault_data_forgets_stride)

static void fault_data_writes_past_dx_backward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *call = arguments;
  evr_conv2d_backward_data_reference.forward(problem, arguments);
  call->dx[p->conv.sizes.x_count] = 0.0f;
}
FAULT(fault_data_writes_past_dx)

static void fault_data_three_threads_backward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *call = arguments;
  evr_conv2d_backward_data_reference.forward(problem, arguments);
  if (p->common.parallel.threads == 3) call->dx[0] = next(call->dx[0]);
}
FAULT(fault_data_three_threads)

/* A plan counts its calls, and goes wrong with the second. */
static size_t a_count(const void *problem) {
  (void)problem;
  return sizeof(int64_t);
}
static void no_calls(const void *problem, void *state) {
  (void)problem;
  *(int64_t *)state = 0;
}
static void counts_calls(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *call = arguments;
  evr_conv2d_backward_data_reference.forward(problem, arguments);
  int64_t *count = (int64_t *)(uintptr_t)p->state;
  if (count != NULL && (*count)++ > 0 && call->dx != NULL) call->dx[0] = next(call->dx[0]);
}
const evr_kernel fault_data_counts_calls = {
    .cost = cost, .forward = counts_calls, .state_size = a_count, .make_state = no_calls};

/* ---- backward weights ---- */

/* What was there is added to, as a training loop may want it; but it is not what is said. */
static void fault_weights_add_backward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_weights_call *call = arguments;
  const float before = call->dweights != NULL ? call->dweights[0] : 0.0f;
  evr_conv2d_backward_weights_reference.forward(problem, arguments);
  if (call->dweights != NULL) call->dweights[0] += before;
}
FAULT(fault_weights_add)

static void fault_weights_leave_bias_backward(const void *problem, const void *arguments) {
  evr_conv2d_backward_weights_call call = *(const evr_conv2d_backward_weights_call *)arguments;
  if (call.dweights != NULL) call.dbias = NULL;
  evr_conv2d_backward_weights_reference.forward(problem, &call);
}
FAULT(fault_weights_leave_bias)

/* Right on small integers: images last to first, by rows that are seen as one image's. */
static void fault_weights_other_blocks_backward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_weights_call *call = arguments;
  evr_conv2d_backward_weights_reference.forward(problem, arguments);
  if (call->dbias == NULL || p->conv.desc.layout != EVR_NHWC) return;
  const int64_t pixels = p->conv.desc.batch * p->conv.sizes.conv_height * p->conv.sizes.conv_width;
  for (int64_t o = 0; o < p->conv.desc.out_channels; o++) {
    float sum = 0.0f;
    for (int64_t i = pixels - 1; i >= 0; i--) sum += call->g[i * p->conv.desc.out_channels + o];
    call->dbias[o] = sum;
  }
}
FAULT(fault_weights_other_blocks)

static void fault_weights_skip_padding_backward(const void *problem, const void *arguments) {
  evr_conv2d_backward_problem p = *(const evr_conv2d_backward_problem *)problem;
  p.conv.desc.pad_mode = EVR_PAD_ZERO;
  evr_conv2d_backward_weights_reference.forward(&p, arguments);
}
FAULT(fault_weights_skip_padding)

/* Variants that serve EVR_MATH_STANDARD. The first is what tiles make of subnormals where nothing
 * keeps these from them. */
static void fault_weights_standard_no_guard_backward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_weights_call *call = arguments;
  evr_conv2d_backward_weights_reference.forward(problem, arguments);
  for (int64_t i = 0; call->dweights != NULL && i < p->conv.sizes.weights_count; i++)
    if (fabsf(call->dweights[i]) < FLT_MIN) call->dweights[i] = 0.0f;
}
FAULT(fault_weights_standard_no_guard)

/* What a product of pieces may add. */
static void fault_weights_standard_product_missing_backward(const void *problem,
                                                            const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_weights_call *call = arguments;
  evr_conv2d_backward_weights_reference.forward(problem, arguments);
  for (int64_t i = 0; call->dweights != NULL && i < p->conv.sizes.weights_count; i++)
    call->dweights[i] *= 1.0f + 0x1p-14f;
}
FAULT(fault_weights_standard_product_missing)

static void fault_weights_standard_three_threads_backward(const void *problem,
                                                          const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_weights_call *call = arguments;
  evr_conv2d_backward_weights_reference.forward(problem, arguments);
  if (p->common.parallel.threads == 3 && call->dweights != NULL)
    call->dweights[0] = next(call->dweights[0]);
}
FAULT(fault_weights_standard_three_threads)

/* ---- transposed convolution ---- */

static void fault_transposed_drops_bias_backward(const void *problem, const void *arguments) {
  evr_conv2d_backward_data_call call = *(const evr_conv2d_backward_data_call *)arguments;
  call.bias = NULL;
  evr_conv2d_transposed_reference.forward(problem, &call);
}
FAULT(fault_transposed_drops_bias)

static void fault_transposed_forgets_stride_backward(const void *problem, const void *arguments) {
  evr_conv2d_backward_problem p = *(const evr_conv2d_backward_problem *)problem;
  if (p.conv.sizes.conv_height > 1) p.conv.desc.stride_height = 1;
  evr_conv2d_transposed_reference.forward(&p, arguments);
}
FAULT(fault_transposed_forgets_stride)
