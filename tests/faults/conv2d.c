/* Convolutions that are wrong in one thing each. */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "activation/reference.h"
#include "conv/problem.h"
#include "core/checked.h"
#include "core/pixels.h"
#include "faults/rows.h"

typedef enum fault {
  FAULT_NONE,
  FAULT_ROUNDS_TWICE,
  FAULT_OTHER_ORDER,
  FAULT_RIGHT_EDGE,
  FAULT_SKIPS_PADDING,
  FAULT_FLUSHES,
  FAULT_DROPS_NAN,
  FAULT_WRONG_GROUP,
  FAULT_DROPS_RESIDUAL,
  FAULT_BEYOND_THE_BOUND,
  FAULT_NO_GUARD,
  FAULT_PRODUCT_MISSING
} fault;

static float flushed(float value) { return fabsf(value) < FLT_MIN ? 0.0f : value; }

/* What is left of a float after pieces of 8 bits: each takes its nearest one away. */
static void cut_into_pieces(float value, float pieces[3]) {
  for (int i = 0; i < 3; i++) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x8000u) & 0xffff0000u;
    memcpy(&pieces[i], &bits, sizeof bits);
    value -= pieces[i];
    pieces[i] = flushed(pieces[i]);
  }
}

/* x w from products of pieces, in hardware that flushes subnormals, with nobody to ask whether it
 * may be done: infinities become NaN, and small values are lost. */
static float add_pieces(float sum, float x, float w, fault wrong) {
  float a[3], b[3];
  cut_into_pieces(x, a);
  cut_into_pieces(w, b);
  double term = 0.0;
  for (int i = 2; i >= 0; i--)
    for (int j = 2 - i; j >= 0; j--)
      if (wrong != FAULT_PRODUCT_MISSING || j != 2) term += (double)a[i] * (double)b[j];
  return flushed((float)((double)sum + term));
}

/* One term of the sum. */
static float add_term(float sum, float x, float w, fault wrong) {
  if (wrong == FAULT_NO_GUARD) return add_pieces(sum, x, w, wrong);
  if (wrong == FAULT_PRODUCT_MISSING && x != 0.0f && fabsf(x) > 0x1p-40f && fabsf(x) < 0x1p40f &&
      fabsf(w) > 0x1p-40f && fabsf(w) < 0x1p40f)
    return add_pieces(sum, x, w, wrong);
  return wrong == FAULT_ROUNDS_TWICE ? sum + x * w : fmaf(x, w, sum);
}

static float one_output(const evr_conv2d_problem *p, const evr_conv2d_call *call, int64_t n,
                        int64_t oh, int64_t ow, int64_t oc, fault wrong) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t taps = d->kernel_height * d->kernel_width;
  const int64_t group =
      wrong == FAULT_WRONG_GROUP && oc == d->out_channels - 1 ? 0 : oc / p->group_out;
  float sum = 0.0f, magnitude = 0.0f;
  for (int64_t term = 0; term < p->depth; term++) {
    const bool other = wrong == FAULT_OTHER_ORDER; /* channels outermost instead of innermost */
    const int64_t ic = other ? term / taps : term % p->group_in;
    const int64_t tap = other ? term % taps : term / p->group_in;
    const int64_t kh = tap / d->kernel_width, kw = tap % d->kernel_width;
    const int64_t row = evr_window_top(p, oh) + kh * d->dilation_height;
    const int64_t column = ow * d->stride_width - d->pad_left + kw * d->dilation_width;
    const int64_t ih = evr_source_pixel(row, d->in_height, d->pad_mode);
    int64_t iw = evr_source_pixel(column, d->in_width, d->pad_mode);
    if (wrong == FAULT_RIGHT_EDGE && column >= d->in_width) iw = -1;
    const bool padding = ih < 0 || iw < 0;
    if (padding && wrong == FAULT_SKIPS_PADDING) continue;
    const float x = padding ? 0.0f
                            : call->x[evr_offset(d->layout, d->in_channels, d->in_height,
                                                 d->in_width, n, ih, iw, group * p->group_in + ic)];
    const float w = call->weights[evr_weight_offset(p, kh, kw, ic, oc)];
    sum = add_term(sum, x, w, wrong);
    magnitude += fabsf(x * w);
  }
  if (wrong == FAULT_BEYOND_THE_BOUND)
    sum += 4.0f * (float)(p->depth + 2) * FLT_EPSILON * (magnitude + 10.0f);
  return sum;
}

/* residual: of this output, or NULL. */
static float finish(const evr_conv2d_problem *p, const evr_conv2d_call *call, float value,
                    int64_t oc, const float *residual, fault wrong) {
  if (call->bias != NULL) value += call->bias[oc];
  if (residual != NULL && wrong != FAULT_DROPS_RESIDUAL) value += *residual;
  value = evr_activation_reference(&p->desc.activation, value);
  if (wrong == FAULT_FLUSHES && fabsf(value) < FLT_MIN) value = 0.0f;
  if (wrong == FAULT_DROPS_NAN && isnan(value)) value = 0.0f;
  return value;
}

static void convolve(const void *problem, const void *arguments, fault wrong) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_call *call = arguments;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < height; oh++)
      for (int64_t ow = 0; ow < width; ow++)
        for (int64_t oc = 0; oc < d->out_channels; oc++) {
          const float *residual = call->residual;
          if (residual != NULL) residual += evr_output_offset(p, p->residual_plane, n, oh, ow, oc);
          call->y[evr_output_offset(p, p->y_plane, n, oh, ow, oc)] =
              finish(p, call, one_output(p, call, n, oh, ow, oc, wrong), oc, residual, wrong);
        }
}

/* Never the cheapest, so that it only runs when it is forced. */
static double cost(const void *problem) {
  (void)problem;
  return 1e30;
}

static int64_t outputs(const evr_conv2d_problem *p) {
  return p->desc.batch * p->sizes.conv_height * p->sizes.conv_width * p->desc.out_channels;
}

/* Wrong in the arithmetic. */
#define ARITHMETIC_FAULT(name, wrong)                                                 \
  static void name##_forward(const void *p, const void *c) { convolve(p, c, wrong); } \
  const evr_kernel name = {.cost = cost, .forward = name##_forward};
ARITHMETIC_FAULT(fault_conv2d_rounds_twice, FAULT_ROUNDS_TWICE)
ARITHMETIC_FAULT(fault_conv2d_other_order, FAULT_OTHER_ORDER)
ARITHMETIC_FAULT(fault_conv2d_right_edge, FAULT_RIGHT_EDGE)
ARITHMETIC_FAULT(fault_conv2d_skips_padding, FAULT_SKIPS_PADDING)
ARITHMETIC_FAULT(fault_conv2d_flushes, FAULT_FLUSHES)
ARITHMETIC_FAULT(fault_conv2d_drops_nan, FAULT_DROPS_NAN)
ARITHMETIC_FAULT(fault_conv2d_wrong_group, FAULT_WRONG_GROUP)
ARITHMETIC_FAULT(fault_conv2d_drops_residual, FAULT_DROPS_RESIDUAL)
ARITHMETIC_FAULT(fault_conv2d_beyond_the_bound, FAULT_BEYOND_THE_BOUND)

/* Right in the arithmetic, and then one statement too many. p and call are at hand. */
#define ADDED_FAULT(name, statement)                                       \
  static void name##_forward(const void *problem, const void *arguments) { \
    const evr_conv2d_problem *p = problem;                                 \
    const evr_conv2d_call *call = arguments;                               \
    convolve(p, call, FAULT_NONE);                                         \
    (void)p;                                                               \
    statement;                                                             \
  }                                                                        \
  const evr_kernel name = {.cost = cost, .forward = name##_forward};

static void look_at(const float *address) {
  const volatile float *there = address;
  (void)*there;
}

static void flip_last_bit(float *value) {
  uint32_t bits;
  memcpy(&bits, value, sizeof bits);
  bits ^= 1;
  memcpy(value, &bits, sizeof bits);
}

ADDED_FAULT(fault_conv2d_last_bit,
            if (p->desc.out_channels % 16 == 15) flip_last_bit(&call->y[outputs(p) - 1]))
ADDED_FAULT(fault_conv2d_reads_past_x, look_at(call->x + p->sizes.x_count))
ADDED_FAULT(fault_conv2d_reads_before_x, look_at(call->x - 1))
ADDED_FAULT(fault_conv2d_reads_past_weights, look_at(call->weights + p->sizes.weights_count))
ADDED_FAULT(fault_conv2d_reads_past_bias,
            if (call->bias != NULL) look_at(call->bias + p->desc.out_channels))
ADDED_FAULT(fault_conv2d_writes_past_y, call->y[outputs(p)] = 1.0f)
ADDED_FAULT(fault_conv2d_writes_before_y, call->y[-1] = 1.0f)
ADDED_FAULT(fault_conv2d_writes_x, *(volatile float *)(uintptr_t)call->x = call->x[0])
ADDED_FAULT(fault_conv2d_leaves_an_output, memset(&call->y[outputs(p) / 2], 0xff, sizeof(float)))
ADDED_FAULT(fault_conv2d_three_threads,
            if (p->common.parallel.threads == 3) call->y[outputs(p) - 1] += 1.0f)
ADDED_FAULT(fault_conv2d_seven_threads,
            if (p->common.parallel.threads == 7) call->y[outputs(p) - 1] += 1.0f)

/* Takes its workspace for zeros. */
static size_t a_cache_line(const void *problem) {
  (void)problem;
  return 64;
}
static void trusts_workspace(const void *problem, const void *arguments) {
  const evr_conv2d_call *call = arguments;
  convolve(problem, arguments, FAULT_NONE);
  const unsigned char *zero = call->workspace;
  if (zero[5] != 0) call->y[0] += 1.0f;
}
const evr_kernel fault_conv2d_trusts_workspace = {
    .cost = cost, .workspace_size = a_cache_line, .forward = trusts_workspace};

static void outgrows_workspace(const void *problem, const void *arguments) {
  const evr_conv2d_call *call = arguments;
  convolve(problem, arguments, FAULT_NONE);
  ((unsigned char *)call->workspace)[64] = 1;
}
const evr_kernel fault_conv2d_outgrows_workspace = {
    .cost = cost, .workspace_size = a_cache_line, .forward = outgrows_workspace};

static size_t packed_size(const void *problem) {
  return evr_size_floats(((const evr_conv2d_problem *)problem)->sizes.weights_count);
}
static void outgrows_packed(const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = problem;
  memcpy(packed, weights, (size_t)p->sizes.weights_count * sizeof(float));
  ((unsigned char *)packed)[packed_size(problem)] = 1;
}
static void forward_packed(const void *problem, const void *arguments) {
  evr_conv2d_call call = *(const evr_conv2d_call *)arguments;
  call.weights = call.packed;
  convolve(problem, &call, FAULT_NONE);
}
const evr_kernel fault_conv2d_outgrows_packed = {
    .cost = cost, .packed_size = packed_size, .pack = outgrows_packed, .forward = forward_packed};

/* Two executions at once share a variable. Each waits a while for the other, so that the fault
 * shows whenever there are two. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int executing;
static void shared_state(const void *problem, const void *arguments) {
  const evr_conv2d_call *call = arguments;
  convolve(problem, arguments, FAULT_NONE);
  bool two = false;
  pthread_mutex_lock(&mutex);
  executing++;
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < 100 && !two; i++) {
    const struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
    pthread_mutex_lock(&mutex);
    two = executing == 2;
    pthread_mutex_unlock(&mutex);
  }
  pthread_mutex_lock(&mutex);
  executing--;
  pthread_mutex_unlock(&mutex);
  if (two) call->y[0] += 1.0f;
}
const evr_kernel fault_conv2d_shared_state = {.cost = cost, .forward = shared_state};

static bool refuses(const void *problem, char *reason) {
  (void)problem;
  snprintf(reason, EVR_REASON_SIZE, "it is a planted fault");
  return false;
}
static bool refuses_silently(const void *problem, char *reason) {
  (void)problem;
  reason[0] = '\0';
  return false;
}
static void right(const void *problem, const void *arguments) {
  convolve(problem, arguments, FAULT_NONE);
}
const evr_kernel fault_conv2d_refuses_all = {.accepts = refuses, .cost = cost, .forward = right};
const evr_kernel fault_conv2d_no_reason = {
    .accepts = refuses_silently, .cost = cost, .forward = right};

/* Variants that serve EVR_MATH_STANDARD and EVR_MATH_FAST. */
ARITHMETIC_FAULT(fault_conv2d_standard_no_guard, FAULT_NO_GUARD)
ARITHMETIC_FAULT(fault_conv2d_standard_product_missing, FAULT_PRODUCT_MISSING)
ARITHMETIC_FAULT(fault_conv2d_standard_drops_nan, FAULT_DROPS_NAN)
ARITHMETIC_FAULT(fault_conv2d_standard_drops_residual, FAULT_DROPS_RESIDUAL)
ADDED_FAULT(fault_conv2d_standard_three_threads,
            if (p->common.parallel.threads == 3) flip_last_bit(&call->y[outputs(p) - 1]))

/* Variants that serve EVR_MATH_FAST alone. The first is what a wrong digit in a coefficient of the
 * transforms makes of every other pixel of a row. */
static void wrong_coefficient(const void *problem, const void *arguments) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_call *call = arguments;
  const evr_conv2d_desc *d = &p->desc;
  convolve(p, call, FAULT_NONE);
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < p->sizes.conv_height; oh++)
      for (int64_t ow = 0; ow < p->sizes.conv_width; ow += 2)
        for (int64_t oc = 0; oc < d->out_channels; oc++)
          call->y[evr_output_offset(p, p->y_plane, n, oh, ow, oc)] *= 1.0001f;
}
const evr_kernel fault_conv2d_fast_coefficient = {.cost = cost, .forward = wrong_coefficient};
ADDED_FAULT(fault_conv2d_fast_three_threads,
            if (p->common.parallel.threads == 3) flip_last_bit(&call->y[outputs(p) - 1]))
ARITHMETIC_FAULT(fault_conv2d_fast_drops_nan, FAULT_DROPS_NAN)
ARITHMETIC_FAULT(fault_conv2d_fast_drops_residual, FAULT_DROPS_RESIDUAL)
ADDED_FAULT(fault_conv2d_fast_reads_past_x, look_at(call->x + p->sizes.x_count))
