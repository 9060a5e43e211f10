/* Winograd's convolution for windows of 3x3 that move by 1: F(4x4, 3x3) takes 36 multiplications
 * for what direct convolution takes 144 for, F(2x2, 3x3) 16 for 36. */
#include "conv/winograd.h"

#include <inttypes.h>
#include <stdio.h>

#include "conv/pace.h"
#include "conv/weights.h"
#include "conv/winograd_nchw.h"
#include "conv/winograd_nhwc.h"
#include "core/cpu.h"
#include "gemm/tile.h"

/* Floats between the planes of V and M beyond what they hold: planes that are a power of 2 apart
 * would share few lines of the first level cache. */
#define APART 16

/* Tiles of a block: enough of them share each panel of weights, which come from the third level
 * cache or memory; more gain nothing. And the least that a block is cut to for threads. */
#define BLOCK_TILES 48
#define LEAST_TILES 24

/* Whether a field of the caller has the value that is needed. Of backward data it is what the
 * caller's stride in that direction leaves of it. */
static bool has(const char *field, const char *direction, int64_t needed, int64_t value,
                int64_t left, int64_t stride, char *reason) {
  if (left == needed) return true;
  const int length =
      snprintf(reason, EVR_REASON_SIZE, "needs desc.%s_%s %" PRId64 "; it is %" PRId64, field,
               direction, needed, value);
  if (left != value)
    snprintf(reason + length, EVR_REASON_SIZE - (size_t)length,
             ", of which desc.stride_%s %" PRId64 " leaves %" PRId64, direction, stride, left);
  return false;
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc, *c = p->part_of != NULL ? p->part_of : d;
  const int64_t rows = c->stride_height, columns = c->stride_width;
  const bool fits =
      has("kernel", "height", 3, c->kernel_height, d->kernel_height, rows, reason) &&
      has("kernel", "width", 3, c->kernel_width, d->kernel_width, columns, reason) &&
      has("stride", "height", 1, d->stride_height, d->stride_height, rows, reason) &&
      has("stride", "width", 1, d->stride_width, d->stride_width, columns, reason) &&
      has("dilation", "height", 1, c->dilation_height, d->dilation_height, rows, reason) &&
      has("dilation", "width", 1, c->dilation_width, d->dilation_width, columns, reason);
  if (!fits || d->groups == 1) return fits;
  snprintf(reason, EVR_REASON_SIZE, "needs desc.groups 1; it is %" PRId64, d->groups);
  return false;
}

/* Tiles of a block, at most: no more memory than the tensors and packed weights have. */
static int64_t most_tiles(const evr_conv2d_problem *p, const evr_winograd_blocking *b,
                          int64_t channels) {
  const double floats = (double)p->sizes.x_count + (double)p->sizes.y_count +
                        (double)(b->points * p->desc.in_channels) * (double)channels;
  const double tile_floats = (double)b->points * (double)(b->v_row + channels);
  const double allowed = floats / (tile_floats * (double)p->common.parallel.threads);
  return allowed >= BLOCK_TILES ? BLOCK_TILES : evr_max((int64_t)allowed, 1);
}

/* What packed weights are more than plain ones: a thread's share of it. */
static size_t packed_share(const evr_conv2d_problem *p, const evr_winograd_blocking *b,
                           int64_t channels) {
  const double more =
      (double)(b->points * p->desc.in_channels) * (double)channels - (double)p->sizes.weights_count;
  return more > 0.0 ? (size_t)(more * sizeof(float) / (double)p->scratch_threads) : 0;
}

/* Cuts tiles and channels, and sizes what a thread has of them. */
static void cut_blocks(const int out, const evr_conv2d_problem *p, evr_winograd_blocking *b) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t channels = evr_round_up(d->out_channels, EVR_LANES);
  const int64_t threads = p->common.parallel.threads;
  const int64_t wanted = threads > 1 ? 3 * threads : 1;
  b->blocks = evr_ceil_div(b->tiles, b->block);
  int64_t pieces = 1;
  while (b->blocks * pieces < wanted && b->blocks * pieces % threads != 0) pieces++;
  b->stretch = evr_min(evr_round_up(evr_ceil_div(channels, pieces), EVR_GEMM_COLUMNS), channels);
  b->stretches = evr_ceil_div(channels, b->stretch);
  b->v_plane = b->block * b->v_row + APART;
  b->m_plane = b->block * b->stretch + APART;
  b->v_bytes = evr_size_product((size_t)b->points, evr_size_floats(b->v_plane));
  b->m_bytes = evr_size_product((size_t)b->points, evr_size_floats(b->m_plane));
  const size_t edge_bytes =
      d->layout == EVR_NHWC ? evr_winograd_nhwc_edge_bytes(p) : evr_winograd_nchw_edge_bytes(out);
  b->slot_bytes = evr_size_sum(evr_size_sum(b->v_bytes, b->m_bytes),
                               evr_size_sum(evr_size_floats(EVR_WINOGRAD_HALF), edge_bytes));
}

static evr_winograd_blocking make_blocking(const int out, const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  evr_winograd_blocking b = {.points = (out + 2) * (out + 2)};
  b.top = p->first_row / out * out - p->first_row;
  b.tile_rows = evr_ceil_div(p->sizes.conv_height - b.top, out);
  b.tile_columns = evr_ceil_div(p->sizes.conv_width, out);
  b.tiles = d->batch * b.tile_rows * b.tile_columns;
  b.v_row = evr_round_up(d->in_channels, EVR_LANES);
  const int64_t channels = evr_round_up(d->out_channels, EVR_LANES);
  const int64_t most = most_tiles(p, &b, channels);
  /* Enough tasks for every thread: fewer tiles, then fewer channels each, although these transform
   * the same tiles again. */
  const int64_t threads = p->common.parallel.threads;
  const int64_t wanted = threads > 1 ? 3 * threads : 1;
  b.blocks = evr_max((b.tiles + most / 4) / most, 1);
  if (b.blocks < wanted) b.blocks = evr_max(b.blocks, evr_min(wanted, b.tiles / LEAST_TILES));
  b.block = evr_ceil_div(b.tiles, b.blocks);
  cut_blocks(out, p, &b);
  /* The estimate of most_tiles() leaves out what does not grow with tiles, and its packed weights
   * are more than the plain ones that a share counts. */
  size_t share = (size_t)p->scratch_share;
  if (p->scratch_share * p->scratch_threads > EVR_CONV2D_STACK_BYTES)
    share += packed_share(p, &b, channels);
  while (b.slot_bytes > share && b.block > 1) {
    b.block -= evr_ceil_div(b.block, 8);
    cut_blocks(out, p, &b);
  }
  return b;
}

/* The same wherever in a tile a band begins. */
EVR_INLINE size_t workspace_bytes(const int out, const void *problem) {
  evr_conv2d_problem p = *(const evr_conv2d_problem *)problem;
  size_t most = 0;
  for (p.first_row = 0; p.first_row < out; p.first_row++) {
    const evr_winograd_blocking b = make_blocking(out, &p);
    const int64_t slots = evr_min(b.blocks * b.stretches, p.common.parallel.threads);
    const size_t bytes = evr_size_product(b.slot_bytes, (size_t)slots);
    if (bytes > most) most = bytes;
  }
  return most;
}

/* Floats of one point of packed weights: a packed B of the matrix product. */
static int64_t packed_plane(const evr_conv2d_problem *p) {
  return EVR_NAME(evr_gemm_packed_b_count)(p->desc.out_channels, p->desc.in_channels);
}

EVR_INLINE size_t packed_bytes(const int out, const void *problem) {
  return evr_size_product((size_t)((out + 2) * (out + 2)), evr_size_floats(packed_plane(problem)));
}

/* Weights of one input channel and EVR_LANES output channels. */
EVR_INLINE void pack_lanes(const int out, const evr_conv2d_problem *p, const float *weights,
                           int64_t ic, int64_t oc, float *to, int64_t plane) {
  const int side = out + 2;
  const int64_t count = evr_min(EVR_LANES, p->desc.out_channels - oc);
  for (int64_t l = 0; l < EVR_LANES; l++) {
    double w[3][3] = {{0}}, half[EVR_WINOGRAD_PATCH * 3],
           u[EVR_WINOGRAD_PATCH * EVR_WINOGRAD_PATCH];
    for (int i = 0; l < count && i < 9; i++)
      w[i / 3][i % 3] = (double)*evr_weight_at(p, weights, i / 3, i % 3, ic, 0, oc + l);
    for (int c = 0; c < 3; c++) evr_winograd_weight(out, w[0][c], w[1][c], w[2][c], half + c, 3);
    for (int r = 0; r < side; r++)
      evr_winograd_weight(out, half[3 * r], half[3 * r + 1], half[3 * r + 2], u + r * side, 1);
    for (int i = 0; i < side * side; i++) to[i * plane + l] = (float)u[i];
  }
}

EVR_INLINE void pack_weights(const int out, const void *problem, const float *weights,
                             void *packed) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t plane = (int64_t)(packed_bytes(out, p) / sizeof(float)) / ((out + 2) * (out + 2));
  for (int64_t panel = 0; panel < d->out_channels; panel += EVR_GEMM_COLUMNS) {
    const int64_t width =
        evr_min(EVR_GEMM_COLUMNS, evr_round_up(d->out_channels - panel, EVR_LANES));
    float *to = (float *)packed + panel * d->in_channels;
    for (int64_t ic = 0; ic < d->in_channels; ic++, to += width)
      for (int64_t i = 0; i < width; i += EVR_LANES)
        pack_lanes(out, p, weights, ic, panel + i, to + i, plane);
  }
}

static void multiply(const evr_winograd_part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_winograd_blocking *b = &t->j->b;
  const int64_t u_plane = (int64_t)(evr_size_floats(packed_plane(p)) / sizeof(float));
  evr_gemm product = {.m = t->tiles,
                      .n = evr_round_up(t->channels, EVR_LANES),
                      .k = p->desc.in_channels,
                      .a_row = b->v_row,
                      .c_row = b->stretch};
  for (int64_t point = 0; point < b->points; point++) {
    product.a = t->v + point * b->v_plane;
    product.packed_b =
        (const float *)t->j->call->packed + point * u_plane + t->channel * p->desc.in_channels;
    product.c = t->m + point * b->m_plane;
    EVR_NAME(evr_gemm)(&product, NULL);
  }
}

EVR_INLINE void run_part(const int out, const evr_winograd_job *j, int64_t task, int slot) {
  const evr_winograd_blocking *b = &j->b;
  const evr_conv2d_desc *d = &j->p->desc;
  char *memory = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const int64_t block = task / b->stretches, stretch = task % b->stretches;
  evr_winograd_part t = {.j = j,
                         .tile = block * b->block,
                         .v = (float *)(void *)memory,
                         .m = (float *)(void *)(memory + b->v_bytes),
                         .half = (float *)(void *)(memory + b->v_bytes + b->m_bytes)};
  t.edge = t.half + EVR_WINOGRAD_HALF;
  t.tiles = evr_min(b->block, b->tiles - t.tile);
  if (d->layout == EVR_NHWC)
    evr_winograd_nhwc_input(out, &t);
  else
    evr_winograd_nchw_input(out, &t);
  t.channel = stretch * b->stretch;
  t.channels = evr_min(b->stretch, d->out_channels - t.channel);
  multiply(&t);
  if (d->layout == EVR_NHWC)
    evr_winograd_nhwc_output(out, &t);
  else
    evr_winograd_nchw_output(out, &t);
}

/* Nanoseconds to read packed weights once, for a block of so many tiles: from the third level cache
 * they come mostly beside the arithmetic, where there is enough of it. */
static double reading_time(double bytes, int64_t tiles) {
  if (bytes > (double)evr_cpu()->l3_bytes) return 0.025 * bytes;
  return (tiles < 4 ? 0.011 : 0.0045) * bytes;
}

/* What a tile costs whatever its channels, both transforms, tiles of products, the products
 * (pace.h), and weights for each block; tensors that exceed the second level cache by far. */
EVR_INLINE double cost(const int out, const void *problem) {
  const evr_conv2d_problem *p = problem;
  const evr_winograd_blocking b = make_blocking(out, p);
  const double vectors_in = (double)(b.v_row / EVR_LANES);
  const int64_t vectors_out = evr_ceil_div(p->desc.out_channels, EVR_LANES);
  const double tiles = (double)b.tiles, points = (double)b.points, blocks = (double)b.blocks;
  const bool nchw = p->desc.layout == EVR_NCHW;
  /* For each place of a vector of a tile; scalar: four calls of fmaf. */
  const double place = EVR_LANES == 1 && out == 4 ? 10.0 : nchw ? 1.25 : 0.68;
  const double transforms = place * points * tiles * (vectors_in + (double)vectors_out);
  const double row_tiles = (double)evr_ceil_div(b.block, EVR_GEMM_ROWS);
  const double calls = row_tiles * (double)evr_ceil_div(vectors_out, EVR_GEMM_VECTORS);
  const double steps = (double)p->desc.in_channels *
                       evr_tiled_time(b.block, vectors_out, EVR_GEMM_ROWS, EVR_GEMM_VECTORS);
  const double products = points * blocks * ((EVR_LANES == 16 ? 13.0 : 6.0) * calls + steps);
  const double beyond = ((double)p->sizes.x_count + (double)p->sizes.y_count) * sizeof(float) -
                        4.0 * (double)evr_l2_bytes();
  return 300.0 + 12.0 * tiles + transforms + products +
         blocks * reading_time((double)packed_bytes(out, p), b.block) + 0.12 * fmax(beyond, 0.0);
}

#define WINOGRAD(out, name)                                                                    \
  static size_t workspace_##out(const void *problem) { return workspace_bytes(out, problem); } \
  static size_t packed_##out(const void *problem) { return packed_bytes(out, problem); }       \
  static void pack_##out(const void *problem, const float *weights, void *packed) {            \
    pack_weights(out, problem, weights, packed);                                               \
  }                                                                                            \
  static void task_##out(void *argument, int64_t task, int slot) {                             \
    run_part(out, argument, task, slot);                                                       \
  }                                                                                            \
  static void forward_##out(const void *problem, const void *call) {                           \
    const evr_conv2d_problem *p = problem;                                                     \
    evr_winograd_job j = {p, call, make_blocking(out, p)};                                     \
    evr_parallel_for(&p->common.parallel, j.b.blocks *j.b.stretches, task_##out, &j);          \
  }                                                                                            \
  static double cost_##out(const void *problem) { return cost(out, problem); }                 \
  const evr_kernel EVR_NAME(name) = {.accepts = accepts,                                       \
                                     .cost = cost_##out,                                       \
                                     .packed_size = packed_##out,                              \
                                     .workspace_size = workspace_##out,                        \
                                     .pack = pack_##out,                                       \
                                     .forward = forward_##out};
WINOGRAD(4, evr_conv2d_winograd4)
WINOGRAD(2, evr_conv2d_winograd2)
