/* Depthwise convolution: the row of the registry, and which source serves which layout. */
#include "conv/depthwise.h"

#include <inttypes.h>
#include <stdio.h>

#include "conv/pace.h"
#include "core/checked.h"

/* A window spread by dilation over millions of pixels would want scratch for all of them. */
#define MOST_SLOT_BYTES ((size_t)1 << 24)
/* Beyond this a block is no longer at home in the second level cache. */
#define MOST_BLOCK_BYTES ((size_t)1 << 20)

typedef enum way { WAY_NHWC, WAY_NCHW, WAY_BLOCKS } way;

/* Planes of which as many as fill a block are transposed, unless their rows fill vectors so well
 * that common kernels need no transposing. */
static way way_of(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  if (d->layout == EVR_NHWC) return WAY_NHWC;
  const bool wide = p->sizes.conv_width >= 64 && d->dilation_height == 1 &&
                    d->dilation_width == 1 && d->kernel_height == d->kernel_width &&
                    (d->kernel_width == 3 || (d->kernel_width == 5 && EVR_LANES == 16)) &&
                    d->stride_width == d->stride_height && d->stride_width <= 2;
  if (EVR_LANES == 1 || 2 * d->out_channels <= EVR_LANES || wide ||
      EVR_NAME(evr_depthwise_blocks_slot_bytes)(p) > MOST_BLOCK_BYTES)
    return WAY_NCHW;
  return WAY_BLOCKS;
}

static size_t slot_bytes(const evr_conv2d_problem *p) {
  switch (way_of(p)) {
    case WAY_NHWC: return EVR_NAME(evr_depthwise_nhwc_slot_bytes)(p);
    case WAY_NCHW: return EVR_NAME(evr_depthwise_nchw_slot_bytes)(p);
    case WAY_BLOCKS: break;
  }
  return EVR_NAME(evr_depthwise_blocks_slot_bytes)(p);
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = problem;
  if (p->group_in != 1) {
    snprintf(reason, EVR_REASON_SIZE,
             "needs one input channel a group; desc.groups is %" PRId64 " for %" PRId64
             " input channels",
             p->desc.groups, p->desc.in_channels);
    return false;
  }
  if (slot_bytes(p) > MOST_SLOT_BYTES) {
    snprintf(reason, EVR_REASON_SIZE, "its rows and windows need more than %zu bytes of scratch",
             MOST_SLOT_BYTES);
    return false;
  }
  return true;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  return evr_size_product(slot_bytes(p), (size_t)p->common.parallel.threads);
}

static size_t packed_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  return way_of(p) == WAY_NCHW ? EVR_NAME(evr_depthwise_nchw_packed_size)(p)
                               : EVR_NAME(evr_depthwise_nhwc_packed_size)(p);
}

static void pack(const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = problem;
  if (way_of(p) == WAY_NCHW)
    EVR_NAME(evr_depthwise_nchw_pack)(p, weights, packed);
  else
    EVR_NAME(evr_depthwise_nhwc_pack)(p, weights, packed);
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_problem *p = problem;
  switch (way_of(p)) {
    case WAY_NHWC: EVR_NAME(evr_depthwise_nhwc_forward)(p, call); return;
    case WAY_NCHW: EVR_NAME(evr_depthwise_nchw_forward)(p, call); return;
    case WAY_BLOCKS: break;
  }
  EVR_NAME(evr_depthwise_blocks_forward)(p, call);
}

/* Multiply-adds, and what is read and written: out of a cache, or in NCHW also in and out of a copy.
 * Measured on an EPYC (Zen 4). */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  const double floats = (double)(p->sizes.x_count + p->sizes.y_count);
  const bool few_registers = EVR_REGISTERS < 32, nchw = p->desc.layout == EVR_NCHW;
  double multiplying = p->multiplies / EVR_LANES * evr_step_time(8.0) / 8.0;
  double pace = nchw ? (few_registers ? 9.0 : 10.0) : (few_registers ? 22.0 : 30.0);
  if (EVR_LANES > 1 && few_registers) multiplying *= 1.2;
  /* Several outputs of a channel: in NHWC they lie side by side, and its pixels must be spread; in
   * NCHW its plane is copied for each. */
  if (EVR_LANES > 1 && p->group_out > 1) {
    multiplying = p->multiplies / ((nchw ? 2.0 : 0.5) * EVR_LANES);
    pace = 5.0;
  }
  return multiplying + floats / pace + 300.0;
}

const evr_kernel EVR_NAME(evr_conv2d_depthwise) = {
    .accepts = accepts,
    .cost = cost,
    .packed_size = packed_size,
    .workspace_size = workspace_size,
    .pack = pack,
    .forward = forward,
};
