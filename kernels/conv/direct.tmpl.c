/* Direct convolution, NHWC: no matrix is made; tiles of pixels read the image through pointers.
 *
 * A task is a band of pixels of one image and group, and a stretch of its output channels. For each
 * block of channels and each cut of the sum, the weights of that block and cut (a panel that fits
 * in L1) meet every tile of the band. */
#include "activation/apply.h"
#include "conv/direct_tile.h"
#include "conv/problem.h"
#include "core/checked.h"
#include "core/cpu.h"

/* Below this many values a window row is taken as one run of a padded copy: a run per tap would
 * be too short to pay for its pointers. */
#define FOLD_BELOW 16

#define PANEL_BYTES (192 * 1024)

/* Pointers of a band, all runs together. */
#define BAND_POINTERS 8192
#define BAND_PIXELS 1024

typedef struct blocking {
  bool folded;                /* a run is a window row of a padded copy, else a tap of the image */
  int64_t runs, run_length;
  int64_t vectors, blocks;    /* of a group's output channels; block b has vectors near b/blocks */
  int64_t cut;                /* values of k in one panel */
  int64_t band, bands;        /* pixels of a band, bands of an image */
  int64_t stretch, stretches; /* blocks of a task, stretches of a group */
  int64_t copy_rows, copy_width; /* padded copy: rows for one band, floats of a row */
  size_t pointer_bytes, zero_bytes, copy_bytes, slot_bytes;
} blocking;

/* Block b spans vectors [first, first + count): blocks differ by at most one vector. */
static void block_vectors(const blocking *b, int64_t block, int64_t *first, int64_t *count) {
  *first = block * b->vectors / b->blocks;
  *count = (block + 1) * b->vectors / b->blocks - *first;
}

static int64_t l2_bytes(void) {
  return evr_cpu()->l2_bytes > 0 ? evr_cpu()->l2_bytes : 512 * 1024;
}

/* A panel streams from L2 while a tile of sums stays in registers: the tile's loads and stores and
 * its pointers are shared by as many terms as leave L2 to the image. */
static int64_t panel_cut(int64_t runs, int64_t run_length) {
  const int64_t panel = evr_min(PANEL_BYTES, l2_bytes() / 4);
  const int64_t most =
      evr_max(panel / (EVR_TILE_VECTORS * EVR_LANES * (int64_t)sizeof(float)), 8);
  const int64_t depth = runs * run_length;
  if (depth <= most) return depth;
  if (run_length <= most) return most / run_length * run_length;
  return evr_ceil_div(run_length, evr_ceil_div(run_length, most));
}

static blocking make_blocking(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  blocking b = {0};
  b.folded = d->groups == 1 && d->in_channels < FOLD_BELOW && d->dilation_width == 1 &&
             d->kernel_width > 1;
  b.runs = b.folded ? d->kernel_height : d->kernel_height * d->kernel_width;
  b.run_length = b.folded ? d->kernel_width * d->in_channels : p->group_in;
  b.vectors = evr_ceil_div(p->group_out, EVR_LANES);
  b.blocks = evr_ceil_div(b.vectors, EVR_TILE_VECTORS);
  b.cut = panel_cut(b.runs, b.run_length);

  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  const int64_t threads = p->common.parallel.threads;
  /* A band is swept once for each block of channels, so what it reads should stay in L2. */
  const double read_bytes =
      (double)p->sizes.x_count / (double)(d->batch * d->groups * pixels) * sizeof(float);
  const int64_t fits = evr_max((int64_t)((double)l2_bytes() / 2 / read_bytes), 96);
  const int64_t most = evr_max(evr_min(evr_min(BAND_PIXELS, fits), BAND_POINTERS / b.runs), 8);
  /* Enough bands for every thread, as long as a band keeps a panel busy. */
  const int64_t images = d->batch * d->groups;
  const int64_t wanted = threads > 1 ? evr_ceil_div(4 * threads, images) : 1;
  b.bands = evr_max(evr_ceil_div(pixels, most), evr_min(wanted, evr_ceil_div(pixels, 96)));
  b.band = evr_ceil_div(pixels, b.bands);
  b.bands = evr_ceil_div(pixels, b.band);
  b.stretches = threads > 1 ? evr_min(b.blocks, evr_ceil_div(4 * threads, images * b.bands)) : 1;
  b.stretch = evr_ceil_div(b.blocks, b.stretches);
  b.stretches = evr_ceil_div(b.blocks, b.stretch);

  b.pointer_bytes = evr_size_lines(
      evr_size_product(evr_size_product((size_t)b.runs, (size_t)b.band), sizeof(float *)));
  b.zero_bytes = b.folded || d->pad_mode != EVR_PAD_ZERO ? 0 : evr_size_floats(b.run_length);
  if (b.folded) {
    const int64_t out_rows = evr_min((b.band + p->sizes.conv_width - 2) / p->sizes.conv_width + 1,
                                     p->sizes.conv_height);
    b.copy_rows = (out_rows - 1) * d->stride_height + (d->kernel_height - 1) * d->dilation_height + 1;
    b.copy_width = (d->in_width + d->pad_left + d->pad_right) * d->in_channels;
    b.copy_bytes = evr_size_product((size_t)b.copy_rows, evr_size_floats(b.copy_width));
  }
  b.slot_bytes = evr_size_sum(evr_size_sum(b.pointer_bytes, b.zero_bytes), b.copy_bytes);
  return b;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  return evr_size_product(make_blocking(p).slot_bytes, (size_t)p->common.parallel.threads);
}

static size_t packed_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  const int64_t vectors = evr_ceil_div(p->group_out, EVR_LANES);
  const size_t panel = evr_size_product((size_t)vectors, EVR_LANES * sizeof(float));
  return evr_size_product(evr_size_product(panel, (size_t)p->depth), (size_t)p->desc.groups);
}

/* Packed weights: [group][block][k in canonical order][channels of the block], zeros beyond the
 * group's last channel. */
static void pack(const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const blocking b = make_blocking(p);
  float *out = packed;
  for (int64_t group = 0; group < d->groups; group++)
    for (int64_t block = 0; block < b.blocks; block++) {
      int64_t first, count;
      block_vectors(&b, block, &first, &count);
      const int64_t channel = first * EVR_LANES, width = count * EVR_LANES;
      const int64_t real = evr_min(width, p->group_out - channel);
      for (int64_t kh = 0; kh < d->kernel_height; kh++)
        for (int64_t kw = 0; kw < d->kernel_width; kw++)
          for (int64_t ic = 0; ic < p->group_in; ic++, out += width) {
            const float *in =
                weights + evr_weight_offset(p, kh, kw, ic, group * p->group_out + channel);
            const int64_t step =
                d->filter_layout == EVR_HWIO ? 1 : p->depth;
            for (int64_t i = 0; i < real; i++) out[i] = in[i * step];
            for (int64_t i = real; i < width; i++) out[i] = 0.0f;
          }
    }
}

/* One task's view. */
typedef struct band_work {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  const blocking *b;
  int64_t image, group;
  int64_t first_pixel, pixels;
  const float **pointers; /* [run][pixel] */
  float *zeros, *copy;
} band_work;

static const float *edge_pixel(const band_work *w, const float *row, int64_t column) {
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t iw = evr_source_pixel(column, d->in_width, d->pad_mode);
  return iw < 0 ? w->zeros : row + iw * d->in_channels;
}

static void point_at_taps(const band_work *w) {
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t width = w->p->sizes.conv_width;
  const float *x = w->call->x + w->image * d->in_height * d->in_width * d->in_channels +
                   w->group * w->p->group_in;
  for (int64_t i = 0; i < w->b->run_length && w->b->zero_bytes > 0; i++) w->zeros[i] = 0.0f;
  const float **out = w->pointers;
  for (int64_t kh = 0; kh < d->kernel_height; kh++)
    for (int64_t kw = 0; kw < d->kernel_width; kw++) {
      int64_t oh = w->first_pixel / width, ow = w->first_pixel % width;
      for (int64_t left = w->pixels; left > 0; oh++, ow = 0) {
        const int64_t ih = evr_source_pixel(
            oh * d->stride_height - d->pad_top + kh * d->dilation_height, d->in_height,
            d->pad_mode);
        const int64_t end = evr_min(width, ow + left);
        left -= end - ow;
        if (ih < 0) {
          for (; ow < end; ow++) *out++ = w->zeros;
          continue;
        }
        const float *row = x + ih * d->in_width * d->in_channels;
        const int64_t shift = kw * d->dilation_width - d->pad_left;
        /* Columns from which the tap reads inside the row, and no longer does. */
        const int64_t inside = evr_min(evr_max(evr_ceil_div(evr_max(-shift, 0), d->stride_width), ow), end);
        const int64_t outside =
            shift >= d->in_width ? inside
                                 : evr_max(evr_min((d->in_width - 1 - shift) / d->stride_width + 1, end), inside);
        for (; ow < inside; ow++) *out++ = edge_pixel(w, row, ow * d->stride_width + shift);
        for (; ow < outside; ow++)
          *out++ = row + (ow * d->stride_width + shift) * d->in_channels;
        for (; ow < end; ow++) *out++ = edge_pixel(w, row, ow * d->stride_width + shift);
      }
    }
}

/* Copies the rows that the band's windows touch, padded, and points at them. */
static void copy_and_point(const band_work *w) {
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t width = w->p->sizes.conv_width, channels = d->in_channels;
  const int64_t first_row = w->first_pixel / width;
  const int64_t last_row = (w->first_pixel + w->pixels - 1) / width;
  const int64_t row_floats = (int64_t)(evr_size_floats(w->b->copy_width) / sizeof(float));
  const int64_t top = first_row * d->stride_height - d->pad_top;
  const int64_t rows =
      (last_row - first_row) * d->stride_height + (d->kernel_height - 1) * d->dilation_height + 1;
  const float *x = w->call->x + w->image * d->in_height * d->in_width * channels;
  for (int64_t row = 0; row < rows; row++) {
    float *out = w->copy + row * row_floats;
    const int64_t ih = evr_source_pixel(top + row, d->in_height, d->pad_mode);
    if (ih < 0) {
      memset(out, 0, (size_t)w->b->copy_width * sizeof(float));
      continue;
    }
    const float *in = x + ih * d->in_width * channels;
    for (int64_t column = 0; column < d->pad_left + d->in_width + d->pad_right; column++) {
      const int64_t iw = evr_source_pixel(column - d->pad_left, d->in_width, d->pad_mode);
      if (column == d->pad_left) {
        memcpy(out, in, (size_t)(d->in_width * channels) * sizeof(float));
        out += d->in_width * channels;
        column += d->in_width - 1;
        continue;
      }
      for (int64_t c = 0; c < channels; c++) *out++ = iw < 0 ? 0.0f : in[iw * channels + c];
    }
  }
  const float **out = w->pointers;
  const int64_t step = d->stride_width * channels;
  for (int64_t kh = 0; kh < d->kernel_height; kh++) {
    const float *in = w->copy + kh * d->dilation_height * row_floats;
    int64_t ow = w->first_pixel % width;
    for (int64_t left = w->pixels; left > 0; ow = 0) {
      const int64_t count = evr_min(width - ow, left);
      for (int64_t i = 0; i < count; i++) out[i] = in + (ow + i) * step;
      out += count;
      left -= count;
      in += d->stride_height * row_floats;
    }
  }
}

/* One panel of weights against every tile of the band. tile holds what the tiles share. */
static void sweep(const band_work *w, evr_tile tile, int64_t vectors, int64_t first_run) {
  const int64_t most = EVR_TILE_PIXELS(vectors);
  const int64_t tiles = evr_ceil_div(w->pixels, most);
  const int64_t least = w->pixels / tiles, longer = w->pixels % tiles;
  float *const y = tile.y;
  const float *const residual = tile.residual;
  int64_t pixel = 0;
  for (int64_t i = 0; i < tiles; i++) {
    const int64_t count = least + (i < longer);
    tile.pixels = w->pointers + first_run * w->pixels + pixel;
    tile.y = y + pixel * tile.y_stride;
    if (residual != NULL) tile.residual = residual + pixel * tile.y_stride;
    evr_tiles[vectors - 1][count - 1](&tile);
    pixel += count;
  }
}

static void convolve_block(const band_work *w, int64_t block, const float *panel) {
  const evr_conv2d_desc *d = &w->p->desc;
  const blocking *b = w->b;
  int64_t first, vectors;
  block_vectors(b, block, &first, &vectors);
  const int64_t channel = w->group * w->p->group_out + first * EVR_LANES;
  const int64_t channels =
      evr_min(vectors * EVR_LANES, w->p->group_out - first * EVR_LANES);
  const int64_t at = (w->image * w->p->sizes.conv_height * w->p->sizes.conv_width +
                      w->first_pixel) * d->out_channels + channel;
  evr_tile tile = {
      .pixel_stride = w->pixels,
      .y = w->call->y + at,
      .y_stride = d->out_channels,
      .last_lanes = channels - (vectors - 1) * EVR_LANES,
      .relu = d->activation.kind == EVR_RELU,
      .bias = w->call->bias != NULL ? w->call->bias + channel : NULL,
      .residual = w->call->residual != NULL ? w->call->residual + at : NULL,
  };
  for (int64_t k = 0; k < w->p->depth; k += tile.runs * tile.length) {
    /* A cut is some whole runs, or a part of one. */
    const int64_t run = k / b->run_length;
    tile.offset = k % b->run_length;
    if (b->cut >= b->run_length) {
      tile.runs = evr_min(b->cut / b->run_length, b->runs - run);
      tile.length = b->run_length;
    } else {
      tile.runs = 1;
      tile.length = evr_min(b->cut, b->run_length - tile.offset);
    }
    tile.begin = k == 0;
    tile.end = k + tile.runs * tile.length == w->p->depth;
    tile.weights = panel + k * vectors * EVR_LANES;
    sweep(w, tile, vectors, run);
  }
  if (d->activation.kind != EVR_IDENTITY && d->activation.kind != EVR_RELU)
    for (int64_t i = 0; i < w->pixels; i++) {
      float *y = w->call->y + at + i * d->out_channels;
      EVR_NAME(evr_activation_apply)(&d->activation, y, y, channels);
    }
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  blocking b;
} job;

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const blocking *b = &j->b;
  const evr_conv2d_problem *p = j->p;
  const int64_t stretch = task % b->stretches;
  const int64_t band = task / b->stretches % b->bands;
  const int64_t image_group = task / b->stretches / b->bands;
  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  char *scratch = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const band_work w = {
      .p = p,
      .call = j->call,
      .b = b,
      .image = image_group / p->desc.groups,
      .group = image_group % p->desc.groups,
      .first_pixel = band * b->band,
      .pixels = evr_min(b->band, pixels - band * b->band),
      .pointers = (const float **)(void *)scratch,
      .zeros = (float *)(void *)(scratch + b->pointer_bytes),
      .copy = (float *)(void *)(scratch + b->pointer_bytes + b->zero_bytes),
  };
  if (b->folded)
    copy_and_point(&w);
  else
    point_at_taps(&w);
  const int64_t end = evr_min((stretch + 1) * b->stretch, b->blocks);
  for (int64_t block = stretch * b->stretch; block < end; block++) {
    int64_t first, count;
    block_vectors(b, block, &first, &count);
    const float *packed = j->call->packed;
    convolve_block(&w, block,
                   packed + (w.group * b->vectors + first) * EVR_LANES * p->depth);
  }
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_problem *p = problem;
  job j = {p, call, make_blocking(p)};
  evr_parallel_for(&p->common.parallel,
                   p->desc.batch * p->desc.groups * j.b.bands * j.b.stretches, run_task, &j);
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NHWC) return true;
  memcpy(reason, "serves NHWC only", sizeof "serves NHWC only");
  return false;
}

/* Multiply-adds at the pace of two fused multiply-adds a nanosecond and vector, with the unused
 * lanes of the last vector counted, and the packing. */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  const double lanes = (double)(evr_round_up(p->group_out, EVR_LANES)) / (double)p->group_out;
  return p->multiplies * lanes / (EVR_LANES == 1 ? 0.3 : 3.5 * EVR_LANES) + 200.0;
}

const evr_kernel EVR_NAME(evr_conv2d_direct) = {
    .accepts = accepts,
    .cost = cost,
    .packed_size = packed_size,
    .workspace_size = workspace_size,
    .pack = pack,
    .forward = forward,
};
