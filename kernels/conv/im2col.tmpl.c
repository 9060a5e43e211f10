/* Convolution as a matrix product, the way it is taught: the windows of a band of pixels are copied
 * out into a matrix (image to columns), which meets the weights in one product.
 *
 *   NHWC:  Y[pixels x channels] = columns[pixels x depth] W[depth x channels]
 *   NCHW:  Y[channels x pixels] = W[channels x depth] columns[depth x pixels]
 *
 * Depth is in canonical order. A 1x1 window that moves by 1 without padding needs no copy: there
 * the image is the matrix. */
#include "conv/direct.h"

#include <math.h>
#include <string.h>

#include "conv/gather.h"
#include "conv/pace.h"
#include "conv/weights.h"
#include "gemm/tile.h"

/* Floats of a band's matrix to aim at, so that it stays in the second level cache. */
#define MATRIX_FLOATS 131072

typedef struct blocking {
  bool copies;                /* whether a matrix is made */
  int64_t band, bands;        /* pixels of a band, bands of an image */
  int64_t stretch, stretches; /* output channels of a task, tasks of a band and group */
  size_t matrix_bytes, scratch_bytes, slot_bytes;
} blocking;

static blocking make_blocking(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const bool nchw = d->layout == EVR_NCHW;
  const int64_t rows = EVR_NAME(evr_gemm_tile_rows), columns = EVR_NAME(evr_gemm_tile_columns);
  const int64_t pixel_unit = nchw ? columns : rows, channel_unit = nchw ? rows : columns;
  blocking b = {0};
  /* A stride that is never taken counts as 1, so the width says whether rows are used whole. */
  b.copies = d->kernel_height > 1 || d->kernel_width > 1 || d->stride_height > 1 ||
             d->stride_width > 1 || d->pad_top > 0 || d->pad_bottom > 0 || d->pad_left > 0 ||
             d->pad_right > 0 || p->sizes.conv_width < d->in_width;

  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  const int64_t tasks = p->common.parallel.threads > 1 ? 4 * p->common.parallel.threads : 1;
  const int64_t images = d->batch * d->groups;
  int64_t units = evr_max(1, evr_min(MATRIX_FLOATS / p->depth, 32 * rows) / pixel_unit);
  const int64_t wanted = evr_ceil_div(tasks, images);
  units = evr_max(1, evr_min(units, pixels / pixel_unit / wanted));
  b.band = evr_min(units * pixel_unit, pixels);
  b.bands = evr_ceil_div(pixels, b.band);
  const int64_t pieces = evr_ceil_div(wanted, b.bands);
  b.stretch = evr_round_up(evr_ceil_div(p->group_out, pieces), channel_unit);
  b.stretches = evr_ceil_div(p->group_out, b.stretch);

  /* A copied segment may end in whole vectors. */
  if (b.copies)
    b.matrix_bytes = evr_size_sum(evr_size_product(evr_size_floats(p->depth), (size_t)b.band),
                                  evr_size_floats(EVR_LANES));
  b.slot_bytes = b.matrix_bytes;
  if (nchw) {
    const evr_gemm product = {.k = p->depth};
    b.scratch_bytes = evr_size_floats(EVR_NAME(evr_gemm_scratch_count)(&product));
    const size_t segment_bytes = ((size_t)b.band * sizeof(evr_segment) + 63) & ~(size_t)63;
    b.slot_bytes = evr_size_sum(b.slot_bytes, b.scratch_bytes + segment_bytes);
  }
  return b;
}

_Static_assert(sizeof(blocking) <= sizeof(((evr_prepared *)0)->state), "it fits");

static void prepare(void *problem) {
  evr_conv2d_problem *p = problem;
  const blocking b = make_blocking(p);
  evr_keep_prepared(p, prepare, &b, sizeof b);
}

static void read_blocking(const evr_conv2d_problem *p, blocking *b) {
  if (!evr_read_prepared(p, prepare, b, sizeof *b)) *b = make_blocking(p);
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  return evr_size_product(make_blocking(p).slot_bytes, (size_t)p->common.parallel.threads);
}

static size_t packed_size(const void *problem) { return evr_conv2d_packed_matrix_size(problem); }

static void pack(const void *problem, const float *weights, void *packed) {
  evr_conv2d_pack_matrix(problem, weights, packed);
}

/* One row of the matrix: the window of one pixel, x being the image's first channel of a group. */
static void copy_window(const evr_conv2d_problem *p, const float *x, int64_t oh, int64_t ow,
                        float *to) {
  const evr_conv2d_desc *d = &p->desc;
  for (int64_t kh = 0; kh < d->kernel_height; kh++) {
    const int64_t ih = evr_source_pixel(evr_window_top(p, oh) + kh * d->dilation_height,
                                        d->in_height, d->pad_mode);
    const int64_t left = ow * d->stride_width - d->pad_left;
    if (ih >= 0 && left >= 0 && left + d->kernel_width <= d->in_width && d->groups == 1 &&
        d->dilation_width == 1) { /* a window row in one piece */
      const int64_t count = d->kernel_width * p->group_in;
      evr_copy_floats(to, x + (ih * d->in_width + left) * d->in_channels, count);
      to += count;
      continue;
    }
    for (int64_t kw = 0; kw < d->kernel_width; kw++, to += p->group_in) {
      const int64_t iw = evr_source_pixel(left + kw * d->dilation_width, d->in_width, d->pad_mode);
      if (ih < 0 || iw < 0)
        memset(to, 0, (size_t)p->group_in * sizeof *to);
      else
        evr_copy_floats(to, x + (ih * d->in_width + iw) * d->in_channels, p->group_in);
    }
  }
}

static void copy_windows(const evr_conv2d_problem *p, const float *x, int64_t pixel, int64_t pixels,
                         float *to) {
  const int64_t width = p->sizes.conv_width;
  int64_t oh = pixel / width, ow = pixel - oh * width;
  for (int64_t i = 0; i < pixels; i++, to += p->depth) {
    copy_window(p, x, oh, ow, to);
    if (++ow == width) {
      ow = 0;
      oh++;
    }
  }
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  blocking b;
} job;

/* The part of a job that one task does. */
typedef struct part {
  int64_t image, group;
  int64_t pixel, pixels;
  int64_t channel, channels; /* within the group */
  float *matrix, *scratch;
  evr_segment *segments;
} part;

static void multiply_nhwc(const job *j, const part *t) {
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const float *x =
      j->call->x + t->image * d->in_height * d->in_width * d->in_channels + t->group * p->group_in;
  if (j->b.copies) copy_windows(p, x, t->pixel, t->pixels, t->matrix);
  const int64_t channel = t->group * p->group_out + t->channel;
  const int64_t at =
      (t->image * p->sizes.conv_height * p->sizes.conv_width + t->pixel) * d->out_channels +
      channel;
  const evr_gemm product = {
      .m = t->pixels,
      .n = t->channels,
      .k = p->depth,
      .a = j->b.copies ? t->matrix : x + (p->first_row * d->in_width + t->pixel) * d->in_channels,
      .a_row = j->b.copies ? p->depth : d->in_channels,
      .packed_b = evr_conv2d_packed_group(p, j->call->packed, t->group) + t->channel * p->depth,
      .c = j->call->y + at,
      .c_row = d->out_channels,
      .column_bias = j->call->bias != NULL ? j->call->bias + channel : NULL,
      .residual = j->call->residual != NULL ? j->call->residual + at : NULL,
      .residual_row = d->out_channels,
      .activation = d->activation,
  };
  EVR_NAME(evr_gemm)(&product, NULL);
}

static void multiply_nchw(const job *j, const part *t) {
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t in_plane = d->in_height * d->in_width;
  const float *x = j->call->x + (t->image * d->in_channels + t->group * p->group_in) * in_plane;
  if (j->b.copies) {
    float *to = t->matrix;
    for (int64_t kh = 0; kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++) {
        const int64_t n = evr_find_segments(p, kh, kw, t->pixel, t->pixels, t->segments);
        for (int64_t ic = 0; ic < p->group_in; ic++, to += t->pixels)
          evr_copy_segments(x + ic * in_plane, (p->group_in - ic) * in_plane, t->segments, n,
                            d->stride_width, to);
      }
  }
  const int64_t channel = t->group * p->group_out + t->channel;
  const int64_t plane = t->image * d->out_channels + channel;
  const evr_gemm product = {
      .m = t->channels,
      .n = t->pixels,
      .k = p->depth,
      .packed_a = evr_conv2d_packed_group(p, j->call->packed, t->group) + t->channel * p->depth,
      .b = j->b.copies ? t->matrix : x + p->first_row * d->in_width + t->pixel,
      .b_row = j->b.copies ? t->pixels : in_plane,
      .c = j->call->y + plane * p->y_plane + t->pixel,
      .c_row = p->y_plane,
      .row_bias = j->call->bias != NULL ? j->call->bias + channel : NULL,
      .residual = j->call->residual != NULL
                      ? j->call->residual + plane * p->residual_plane + t->pixel
                      : NULL,
      .residual_row = p->residual_plane,
      .activation = d->activation,
  };
  EVR_NAME(evr_gemm)(&product, t->scratch);
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  const int64_t stretch = evr_take_number(&task, b->stretches);
  const int64_t band = evr_take_number(&task, b->bands);
  const int64_t group = evr_take_number(&task, p->desc.groups);
  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  char *slot_memory = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const part t = {
      .image = task,
      .group = group,
      .pixel = band * b->band,
      .pixels = evr_min(b->band, pixels - band * b->band),
      .channel = stretch * b->stretch,
      .channels = evr_min(b->stretch, p->group_out - stretch * b->stretch),
      .matrix = (float *)(void *)slot_memory,
      .scratch = (float *)(void *)(slot_memory + b->matrix_bytes),
      .segments = (evr_segment *)(void *)(slot_memory + b->matrix_bytes + b->scratch_bytes),
  };
  if (p->desc.layout == EVR_NCHW)
    multiply_nchw(j, &t);
  else
    multiply_nhwc(j, &t);
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_problem *p = problem;
  job j;
  j.p = p;
  j.call = call;
  read_blocking(p, &j.b);
  evr_parallel_for(&p->common.parallel, p->desc.batch * p->desc.groups * j.b.bands * j.b.stretches,
                   run_task, &j);
}

/* NHWC: the copy of each window, tiles, and the product. NCHW: segments to find for each tap and to
 * copy for each step of a band, the product's own copy, tiles, and the product (pace.h). */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const blocking b = make_blocking(p);
  const bool nchw = d->layout == EVR_NCHW;
  const int64_t tile_rows = EVR_NAME(evr_gemm_tile_rows);
  const int64_t tile_vectors = EVR_NAME(evr_gemm_tile_columns) / EVR_LANES;
  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  const int64_t rows = nchw ? p->group_out : pixels;
  const int64_t vectors = evr_ceil_div(nchw ? pixels : p->group_out, EVR_LANES);
  const double depth = (double)p->depth, taps = (double)(d->kernel_height * d->kernel_width);
  const double tiles =
      (double)(evr_ceil_div(rows, tile_rows) * evr_ceil_div(vectors, tile_vectors)) *
      (double)evr_ceil_div(p->depth, 256);
  const int64_t side_by_side = !nchw && rows == 1 ? EVR_GEMM_ROW_PANELS : 1;
  const double steps =
      depth * evr_tiled_time(rows, vectors, tile_rows, tile_vectors * side_by_side);
  const double images = (double)d->batch * (double)d->groups;
  if (nchw) {
    /* For each segment of a step, pixels of which may lie apart. */
    const double apart = d->stride_width == 1 ? EVR_BY_WIDTH(1.0, 1.1) : EVR_BY_WIDTH(0.93, 1.2);
    const double bands = (double)b.bands, segments = evr_segment_count(p, (double)b.band);
    const double matrix = b.copies
                              ? bands * segments * (EVR_BY_WIDTH(2.0, 2.5) * taps + apart * depth) +
                                    EVR_BY_WIDTH(0.61, 0.79) * depth * (double)vectors
                              : 0.0;
    const double packing = EVR_BY_WIDTH(0.94, 0.98) * depth * (double)vectors;
    /* The rows of a tile are as far apart as planes: beyond a page each has a page of its own. */
    const double tile =
        b.copies && pixels > 1024 ? EVR_BY_WIDTH(6.2, 10.0) : EVR_BY_WIDTH(7.9, 11.0);
    return EVR_BY_WIDTH(5.2, 10.0) +
           images * (EVR_BY_WIDTH(33.0, 18.0) + matrix + packing + tile * tiles + steps);
  }
  const bool rows_in_one_piece =
      d->groups == 1 && d->dilation_width == 1 && d->pad_left == 0 && d->pad_right == 0;
  const double pieces = rows_in_one_piece ? (double)d->kernel_height : taps;
  /* Few rows meet weights that come from L2. */
  const double bytes = depth * (double)(vectors * EVR_LANES) * sizeof(float);
  const double reading =
      bytes > EVR_PACE_L1 ? (double)evr_ceil_div(rows, tile_rows) * bytes / EVR_PACE_L2_SPEED : 0.0;
  const double matrix = b.copies ? (double)pixels * (EVR_BY_WIDTH(1.6, 1.5) + 1.9 * pieces +
                                                     EVR_BY_WIDTH(0.03, 0.02) * depth)
                                 : 0.0;
  return EVR_BY_WIDTH(9.8, 13.0) +
         images * (EVR_BY_WIDTH(17.0, 15.0) + matrix + EVR_BY_WIDTH(7.3, 8.1) * tiles +
                   fmax(steps, EVR_BY_WIDTH(0.92, 0.69) * reading));
}

const evr_kernel EVR_NAME(evr_conv2d_im2col_gemm) = {
    .cost = cost,
    .packed_size = packed_size,
    .workspace_size = workspace_size,
    .pack = pack,
    .forward = forward,
    .prepare = prepare,
    .any_scratch = true,
};
