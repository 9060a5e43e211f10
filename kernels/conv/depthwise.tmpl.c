/* Depthwise convolution: the row of the registry, and which source serves which layout. */
#include "conv/depthwise.h"
#include "conv/depthwise_work.h"

#include <inttypes.h>
#include <stdio.h>

#include "conv/pace.h"
#include "core/checked.h"

/* Beyond this a block is no longer at home in the second level cache. */
#define MOST_BLOCK_BYTES ((int64_t)1 << 20)

typedef enum way { WAY_NHWC, WAY_NCHW, WAY_BLOCKS } way;

/* Planes of which as many as fill a block are transposed, unless their rows fill vectors so well
 * that common kernels need no transposing. Weights are packed for it, so it must not depend on the
 * threads, nor on what these leave for scratch. */
static way way_of(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  if (d->layout == EVR_NHWC) return WAY_NHWC;
  const bool wide = p->sizes.conv_width >= 64 && d->dilation_height == 1 &&
                    d->dilation_width == 1 && d->kernel_height == d->kernel_width &&
                    (d->kernel_width == 3 || (d->kernel_width == 5 && EVR_LANES == 16)) &&
                    d->stride_width == d->stride_height && d->stride_width <= 2;
  if (EVR_LANES == 1 || 2 * d->out_channels <= EVR_LANES || wide ||
      !EVR_NAME(evr_depthwise_blocks_fit)(p, evr_min(MOST_BLOCK_BYTES, p->tensors / 4)))
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
             "needs one %sput channel a group; desc.%s_channels is %" PRId64
             " and desc.groups %" PRId64,
             evr_in_name(p), evr_in_name(p), p->desc.in_channels, p->desc.groups);
    return false;
  }
  /* With as many threads as there are each may have too little: then there are fewer. */
  evr_conv2d_problem alone = *p;
  alone.common.parallel.threads = 1;
  alone.scratch_share = p->scratch;
  alone.scratch_threads = 1;
  const size_t bytes = slot_bytes(&alone);
  if (bytes <= (size_t)p->scratch) return true;
  evr_refuse_scratch(p, bytes, reason);
  return false;
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

static void prepare(void *problem) {
  switch (way_of(problem)) {
    case WAY_NHWC: EVR_NAME(evr_depthwise_nhwc_prepare)(problem); return;
    case WAY_NCHW: EVR_NAME(evr_depthwise_nchw_prepare)(problem); return;
    case WAY_BLOCKS: break;
  }
  EVR_NAME(evr_depthwise_blocks_prepare)(problem);
}

/* The way that was prepared, which tells without working it out; else way_of. */
static way prepared_way(const evr_conv2d_problem *p) {
  if (p->prepared.by == EVR_NAME(evr_depthwise_nhwc_prepare)) return WAY_NHWC;
  if (p->prepared.by == EVR_NAME(evr_depthwise_nchw_prepare)) return WAY_NCHW;
  if (p->prepared.by == EVR_NAME(evr_depthwise_blocks_prepare)) return WAY_BLOCKS;
  return way_of(p);
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_problem *p = problem;
  switch (prepared_way(p)) {
    case WAY_NHWC: EVR_NAME(evr_depthwise_nhwc_forward)(p, call); return;
    case WAY_NCHW: EVR_NAME(evr_depthwise_nchw_forward)(p, call); return;
    case WAY_BLOCKS: break;
  }
  EVR_NAME(evr_depthwise_blocks_forward)(p, call);
}

/* What one step of all outputs takes, in whole vectors; several times as much where no tile is made
 * for the window. */
static double multiply_time(double vectors, double taps, double slower) {
  return vectors * taps * slower * evr_step_time(8.0) / 8.0;
}

/* The product, pixels and rows to go through, and copies (pace.h). */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const double batch = (double)d->batch, taps = (double)p->depth;
  const double height = (double)p->sizes.conv_height, width = (double)p->sizes.conv_width;
  const double in_height = (double)d->in_height, in_width = (double)d->in_width;
  const double pixels = height * width;
  const double vectors = (double)evr_ceil_div(d->out_channels, EVR_LANES);
  const bool common = EVR_NAME(evr_depthwise_kind_of)(d)->kernel != 0;
  const double widths = (double)evr_ceil_div(p->sizes.conv_width, EVR_LANES);
  switch (way_of(p)) {
    case WAY_NHWC: {
      const evr_depthwise_extent extent = EVR_NAME(evr_depthwise_nhwc_extent)(p);
      const double strips = (double)evr_ceil_div(p->sizes.conv_width, 8);
      const double copying = EVR_BY_WIDTH(0.44, 0.63) * extent.copied;
      /* With 16 registers the weights of a wide window do not stay in them. */
      const double covered = height * extent.columns;
      const double slower = !extent.known                       ? EVR_BY_WIDTH(1.9, 2.6)
                            : taps > 25.0 && EVR_REGISTERS < 32 ? 1.5
                                                                : EVR_BY_WIDTH(1.1, 1.7);
      const double a_row = copying > 0.0 ? 11.0 : 3.5;
      const double image = multiply_time(covered * vectors, taps, slower) + a_row * height +
                           EVR_BY_WIDTH(2.3, 1.9) * pixels +
                           EVR_BY_WIDTH(2.4, 3.6) * height * strips * vectors + copying;
      return EVR_BY_WIDTH(57.0, 52.0) + batch * image;
    }
    case WAY_NCHW: {
      const bool tiled = common && 5 * p->sizes.conv_width >= 3 * (int64_t)widths * EVR_LANES;
      const double out_plane =
          EVR_BY_WIDTH(3.4, 8.5) +
          multiply_time(height * widths, taps,
                        tiled ? EVR_BY_WIDTH(1.6, 1.8) : EVR_BY_WIDTH(1.7, 2.0)) +
          EVR_BY_WIDTH(1.6, 0.55) * height + EVR_BY_WIDTH(0.16, 0.47) * height * widths;
      const double in_plane =
          in_height * (EVR_BY_WIDTH(3.3, 2.8) +
                       EVR_BY_WIDTH(0.99, 1.7) * (double)evr_ceil_div(d->in_width, EVR_LANES));
      const double finding_taps = tiled ? 0.0 : 8.3 * taps;
      return EVR_BY_WIDTH(27.0, 23.0) + finding_taps +
             batch * ((double)d->out_channels * out_plane + (double)d->in_channels * in_plane);
    }
    case WAY_BLOCKS: break;
  }
  const double block =
      24.0 + EVR_BY_WIDTH(3.5, 2.8) * EVR_LANES +
      multiply_time(pixels, taps, common ? EVR_BY_WIDTH(1.2, 1.4) : EVR_BY_WIDTH(1.8, 2.3)) +
      EVR_BY_WIDTH(0.33, 0.62) * in_height * in_width + EVR_BY_WIDTH(1.0, 1.3) * pixels +
      EVR_BY_WIDTH(2.4, 2.9) * height + EVR_BY_WIDTH(4.0, 4.3) * in_height;
  return EVR_BY_WIDTH(25.0, 12.0) + batch * vectors * block;
}

const evr_kernel EVR_NAME(evr_conv2d_depthwise) = {
    .accepts = accepts,
    .cost = cost,
    .packed_size = packed_size,
    .workspace_size = workspace_size,
    .pack = pack,
    .forward = forward,
    .prepare = prepare,
    .prepares_bands = true,
    .spreads = true,
};
