/* Depthwise convolution, NHWC: lanes run over channels.
 *
 * A task is a chunk of output rows, a strip of output columns and a block of channels, cut so that
 * the input rows that successive output rows share stay in L1. Tiles that touch no padding read the
 * image as rows, the others through pointers. With a channel multiplier, or fewer channels than
 * lanes, rows are first copied into scratch: padded, and each channel repeated. */
#include "activation/apply.h"
#include "conv/depthwise.h"
#include "conv/depthwise_tile.h"
#include "core/checked.h"

/* Of input rows that a task keeps coming back to: most of the smallest L1 that is about. */
#define WINDOW_BYTES 20480
#define BLOCK_CHANNELS 128

typedef struct cut {
  const evr_depthwise_kind *kind;
  bool copied;                  /* input rows go through scratch */
  int64_t stride;               /* across columns */
  int64_t vectors, block, blocks; /* vectors of a pixel; most vectors of a block */
  int64_t wide, tiles;          /* tiles of a row, of which so many are wide and come first */
  int64_t strip, strips;        /* tiles of a strip */
  int64_t rows, chunks;         /* output rows of a chunk */
  int64_t columns;              /* input columns of a strip */
  int64_t row_pixels;           /* pointers or offsets of one kernel row of a tile, at most */
  size_t rows_bytes, pixels_bytes, offsets_bytes, zero_bytes, copy_bytes;
} cut;

static int64_t tile_columns(const cut *c, int64_t tile) {
  return tile < c->wide ? EVR_DEPTHWISE_WIDE : EVR_DEPTHWISE_NARROW;
}

/* First output column of a tile. */
static int64_t tile_start(const cut *c, int64_t tile) {
  return tile <= c->wide
             ? tile * EVR_DEPTHWISE_WIDE
             : c->wide * EVR_DEPTHWISE_WIDE + (tile - c->wide) * EVR_DEPTHWISE_NARROW;
}

/* Wide and narrow tiles that cover the columns with the least waste, then the fewest tiles. */
static void cut_columns(cut *c, int64_t columns) {
  int64_t least = INT64_MAX;
  for (int64_t narrow = 0; narrow < EVR_DEPTHWISE_WIDE; narrow++) {
    const int64_t left = evr_max(columns - narrow * EVR_DEPTHWISE_NARROW, 0);
    const int64_t wide = evr_ceil_div(left, EVR_DEPTHWISE_WIDE);
    const int64_t waste = wide * EVR_DEPTHWISE_WIDE + narrow * EVR_DEPTHWISE_NARROW - columns;
    if (waste >= least) continue;
    least = waste;
    c->wide = wide;
    c->tiles = wide + narrow;
  }
}

static size_t whole_lines(size_t bytes) {
  return bytes > SIZE_MAX - 63 ? EVR_SIZE_TOO_LARGE : (bytes + 63) & ~(size_t)63;
}

static size_t array_bytes(int64_t a, int64_t b, int64_t c, size_t element) {
  const size_t count = evr_size_product(evr_size_product((size_t)a, (size_t)b), (size_t)c);
  return whole_lines(evr_size_product(count, element));
}

static cut make_cut(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  cut c = {0};
  c.stride = evr_depthwise_stride(d->stride_width, p->sizes.conv_width);
  c.kind = evr_depthwise_kinds;
  while (c.kind->width != 0 &&
         (d->dilation_width != 1 || c.kind->width != d->kernel_width || c.kind->stride != c.stride))
    c.kind++;
  c.vectors = evr_ceil_div(d->out_channels, EVR_LANES);
  c.blocks = evr_ceil_div(c.vectors * EVR_LANES, BLOCK_CHANNELS);
  c.block = evr_ceil_div(c.vectors, c.blocks);
  c.copied = p->group_out > 1 || d->out_channels < EVR_LANES;
  cut_columns(&c, p->sizes.conv_width);

  const int64_t reach = (d->kernel_width - 1) * d->dilation_width;
  const int64_t pixel_bytes = c.block * EVR_LANES * (int64_t)sizeof(float);
  const int64_t fit = WINDOW_BYTES / pixel_bytes / d->kernel_height - reach - 1;
  const int64_t outputs = fit > 0 ? fit / c.stride + 1 : 1;
  c.strips = evr_ceil_div(c.tiles, evr_max(outputs / EVR_DEPTHWISE_WIDE, 1));
  c.strip = evr_ceil_div(c.tiles, c.strips);
  c.strips = evr_ceil_div(c.tiles, c.strip);
  const int64_t widest = c.wide > 0 ? EVR_DEPTHWISE_WIDE : EVR_DEPTHWISE_NARROW;
  c.columns = (evr_min(c.strip * widest, tile_start(&c, c.tiles)) - 1) * c.stride + reach + 1;

  const int64_t height = p->sizes.conv_height, threads = p->common.parallel.threads;
  const int64_t tasks = d->batch * c.blocks * c.strips;
  c.chunks = threads > 1 ? evr_min(evr_ceil_div(4 * threads, tasks), height) : 1;
  c.rows = evr_ceil_div(height, c.chunks);
  c.chunks = evr_ceil_div(height, c.rows);

  const evr_depthwise_tile shape = {.kernel_width = d->kernel_width, .stride = c.stride};
  c.row_pixels = evr_depthwise_row_pixels(widest, c.kind->width, &shape);
  c.rows_bytes = array_bytes(d->kernel_height, 1, 1, sizeof(float *) + 2 * sizeof(int64_t));
  if (c.copied) {
    c.offsets_bytes = array_bytes(c.columns, 1, 1, sizeof(int64_t));
    c.copy_bytes = array_bytes(d->kernel_height, c.columns, c.block * EVR_LANES, sizeof(float));
  } else {
    c.pixels_bytes = array_bytes(d->kernel_height, c.row_pixels, 1, sizeof(float *));
    c.offsets_bytes = array_bytes(c.strip, c.row_pixels, 1, sizeof(int64_t));
    c.zero_bytes = array_bytes(c.block, EVR_LANES, 1, sizeof(float));
  }
  return c;
}

static size_t cut_bytes(const cut *c) {
  return evr_size_sum(evr_size_sum(c->rows_bytes, c->pixels_bytes),
                      evr_size_sum(evr_size_sum(c->offsets_bytes, c->zero_bytes), c->copy_bytes));
}

size_t EVR_NAME(evr_depthwise_nhwc_slot_bytes)(const evr_conv2d_problem *p) {
  const cut c = make_cut(p);
  return cut_bytes(&c);
}

/* Where a vector of channels starts. The last one is moved back to end with the last channel. */
static int64_t vector_start(const evr_conv2d_problem *p, int64_t vector) {
  return evr_max(evr_min(vector * EVR_LANES, p->desc.out_channels - EVR_LANES), 0);
}

size_t EVR_NAME(evr_depthwise_nhwc_packed_size)(const evr_conv2d_problem *p) {
  return array_bytes(evr_ceil_div(p->desc.out_channels, EVR_LANES), EVR_LANES, p->depth,
                     sizeof(float));
}

/* Packed weights: [vector][kh][kw][EVR_LANES], zeros where there are fewer channels than lanes. */
void EVR_NAME(evr_depthwise_nhwc_pack)(const evr_conv2d_problem *p, const float *weights,
                                       float *packed) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t taps = d->kernel_height * d->kernel_width;
  const int64_t tap_step = d->filter_layout == EVR_HWIO ? d->out_channels : 1;
  const int64_t channel_step = d->filter_layout == EVR_HWIO ? 1 : taps;
  const int64_t lanes = evr_min(d->out_channels, EVR_LANES);
  for (int64_t v = 0; v < evr_ceil_div(d->out_channels, EVR_LANES); v++) {
    const float *in = weights + vector_start(p, v) * channel_step;
    for (int64_t tap = 0; tap < taps; tap++, in += tap_step, packed += EVR_LANES) {
      if (channel_step == 1) {
        vf_store(packed, vf_load_n(in, lanes));
        continue;
      }
      for (int64_t i = 0; i < EVR_LANES; i++) packed[i] = i < lanes ? in[i * channel_step] : 0.0f;
    }
  }
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  cut c;
} job;

/* One task's view: a block of channels of some tiles of some rows. */
typedef struct strip_work {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  const cut *c;
  int64_t image;
  int64_t first_channel, channels;  /* of the output */
  int64_t first_tile, end_tile;
  int64_t inner_tile, outer_tile;   /* tiles in between touch no padding at their sides */
  evr_depthwise_tile tile;
  /* Scratch of this thread. */
  const float **rows;   /* [kh], NULL: zeros */
  int64_t *copy_row;    /* [kh]: which row of the padded image a copy holds, -1 for none */
  int64_t *copy_use;    /* [kh]: the output row that last used it */
  const float **pixels;
  int64_t *offsets;     /* of input columns from the row's start, -1: zero */
  float *zeros, *copies;
} strip_work;

static int64_t column_offset(const evr_conv2d_desc *d, int64_t padded_column) {
  const int64_t end = d->pad_left + d->in_width + d->pad_right;
  const int64_t iw = padded_column < end ? evr_source_pixel(padded_column - d->pad_left,
                                                            d->in_width, d->pad_mode)
                                         : -1; /* beyond the last window */
  return iw < 0 ? -1 : iw * d->in_channels;
}

/* Offsets of the pixels that each tile reads from one row. */
static void find_offsets(const strip_work *w) {
  const evr_conv2d_desc *d = &w->p->desc;
  const cut *c = w->c;
  if (c->copied) {
    const int64_t first = tile_start(c, w->first_tile) * c->stride;
    for (int64_t column = 0; column < c->columns; column++)
      w->offsets[column] = column_offset(d, first + column);
    return;
  }
  for (int64_t tile = w->first_tile; tile < w->end_tile; tile++) {
    if (tile >= w->inner_tile && tile < w->outer_tile && d->pad_mode != EVR_PAD_ZERO) continue;
    int64_t *out = w->offsets + (tile - w->first_tile) * c->row_pixels;
    const int64_t columns = tile_columns(c, tile), first = tile_start(c, tile) * c->stride;
    if (c->kind->width > 0) {
      for (int64_t i = 0; i < (columns - 1) * c->stride + c->kind->width; i++)
        *out++ = column_offset(d, first + i);
      continue;
    }
    const int64_t real = evr_min(columns, w->p->sizes.conv_width - tile_start(c, tile));
    for (int64_t kw = 0; kw < d->kernel_width; kw++)
      for (int64_t t = 0; t < columns; t++)
        *out++ = t < real ? column_offset(d, first + t * c->stride + kw * d->dilation_width) : -1;
  }
}

/* Copies the strip's columns of one row, padded, each channel as often as it has outputs. */
static void copy_row(const strip_work *w, const float *row, float *out) {
  const int64_t multiplier = w->p->group_out, pitch = w->tile.x_pitch;
  const int64_t first = w->first_channel / multiplier, begun = w->first_channel % multiplier;
  for (int64_t column = 0; column < w->c->columns; column++, out += pitch) {
    int64_t channel = 0;
    if (row != NULL && w->offsets[column] >= 0) {
      const float *x = row + w->offsets[column] + first;
      for (int64_t repeat = begun; channel < w->channels; x++, repeat = 0)
        for (; repeat < multiplier && channel < w->channels; repeat++) out[channel++] = *x;
    }
    for (; channel < pitch; channel++) out[channel] = 0.0f;
  }
}

/* Finds the rows under the windows of one output row; says whether one of them is all zeros. */
static bool find_rows(const strip_work *w, int64_t oh) {
  const evr_conv2d_desc *d = &w->p->desc;
  const float *x = w->call->x + w->image * d->in_height * d->in_width * d->in_channels;
  bool zeros = false;
  for (int64_t kh = 0; kh < d->kernel_height; kh++) {
    const int64_t ih =
        evr_source_pixel(oh * d->stride_height - d->pad_top + kh * d->dilation_height,
                         d->in_height, d->pad_mode);
    w->rows[kh] = ih < 0 ? NULL : x + ih * d->in_width * d->in_channels;
    zeros = zeros || ih < 0;
  }
  return zeros;
}

/* Replaces rows by their copies, of which those of the last output row still serve. */
static void copy_rows(const strip_work *w, int64_t oh) {
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t height = d->kernel_height, size = w->c->columns * w->tile.x_pitch;
  const int64_t first = oh * d->stride_height, step = d->dilation_height;
  for (int64_t i = 0; i < height; i++) {
    const int64_t ahead = w->copy_row[i] - first;
    if (ahead >= 0 && ahead % step == 0 && ahead / step < height) w->copy_use[i] = oh;
  }
  for (int64_t kh = 0; kh < height; kh++) {
    const int64_t wanted = first + kh * step;
    int64_t i = 0;
    while (i < height && w->copy_row[i] != wanted) i++;
    if (i == height) {
      for (i = 0; w->copy_use[i] == oh;) i++;
      copy_row(w, w->rows[kh], w->copies + i * size);
      w->copy_row[i] = wanted;
      w->copy_use[i] = oh;
    }
    w->rows[kh] = w->copies + i * size;
  }
}

static void point_at_pixels(const strip_work *w, int64_t tile) {
  const int64_t count = evr_depthwise_row_pixels(tile_columns(w->c, tile), w->c->kind->width,
                                                 &w->tile);
  const int64_t *offsets = w->offsets + (tile - w->first_tile) * w->c->row_pixels;
  const float **out = w->pixels;
  for (int64_t kh = 0; kh < w->p->desc.kernel_height; kh++, out += count) {
    const float *row = w->rows[kh];
    if (row != NULL) {
      row += w->first_channel;
      for (int64_t i = 0; i < count; i++) out[i] = offsets[i] < 0 ? w->zeros : row + offsets[i];
    } else {
      for (int64_t i = 0; i < count; i++) out[i] = w->zeros;
    }
  }
}

/* Runs tiles of one width that lie side by side. */
static void run_tiles(const strip_work *w, int64_t oh, int64_t tile, int64_t tiles, bool pointers) {
  const evr_conv2d_desc *d = &w->p->desc;
  const cut *c = w->c;
  const int64_t width = w->p->sizes.conv_width, ow = tile_start(c, tile);
  const int64_t at = ((w->image * w->p->sizes.conv_height + oh) * width + ow) * d->out_channels +
                     w->first_channel;
  evr_depthwise_tile t = w->tile;
  t.y = w->call->y + at;
  if (w->call->residual != NULL) t.residual = w->call->residual + at;
  t.tiles = tiles;
  t.columns = evr_min(tile_columns(c, tile), width - ow);
  if (c->copied)
    t.x_start = (ow - tile_start(c, w->first_tile)) * c->stride * t.x_pitch;
  else
    t.x_start = (ow * c->stride - d->pad_left) * t.x_pitch + w->first_channel;
  if (pointers) point_at_pixels(w, tile);
  c->kind->run[tile < c->wide][pointers](&t);
}

static void run_row(const strip_work *w, int64_t oh, bool zeros) {
  const cut *c = w->c;
  const int64_t width = w->p->sizes.conv_width;
  int64_t tile = w->first_tile;
  while (tile < w->end_tile) {
    int64_t tiles = 1;
    const bool inner = tile >= w->inner_tile && tile < w->outer_tile && !zeros;
    if (inner || c->copied) {
      /* Go on to the end of this width, but for a last tile with columns to spare. */
      int64_t end = c->copied ? w->end_tile : w->outer_tile;
      if (tile < c->wide) end = evr_min(end, c->wide);
      tiles = end - tile;
      if (tiles > 1 && tile_start(c, end - 1) + tile_columns(c, end - 1) > width) tiles--;
    }
    run_tiles(w, oh, tile, tiles, !inner && !c->copied);
    tile += tiles;
  }
}

static void activate_row(const strip_work *w, int64_t oh) {
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t width = w->p->sizes.conv_width, ow = tile_start(w->c, w->first_tile);
  const int64_t columns = evr_min(tile_start(w->c, w->end_tile), width) - ow;
  float *y = w->call->y +
             ((w->image * w->p->sizes.conv_height + oh) * width + ow) * d->out_channels +
             w->first_channel;
  if (w->channels == d->out_channels) {
    EVR_NAME(evr_activation_apply)(&d->activation, y, y, columns * w->channels);
    return;
  }
  for (int64_t i = 0; i < columns; i++, y += d->out_channels)
    EVR_NAME(evr_activation_apply)(&d->activation, y, y, w->channels);
}

/* The tiles of the strip whose columns and windows all lie in the image. */
static void find_inner_tiles(strip_work *w) {
  const evr_conv2d_desc *d = &w->p->desc;
  const cut *c = w->c;
  const int64_t reach = (d->kernel_width - 1) * d->dilation_width;
  int64_t tile = w->first_tile;
  while (tile < w->end_tile && tile_start(c, tile) * c->stride < d->pad_left) tile++;
  w->inner_tile = tile;
  for (; tile < w->end_tile; tile++) {
    const int64_t end = tile_start(c, tile) + tile_columns(c, tile);
    if (end > w->p->sizes.conv_width ||
        (end - 1) * c->stride + reach >= d->pad_left + d->in_width)
      break;
  }
  w->outer_tile = tile;
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const cut *c = &j->c;
  const int64_t block = task % c->blocks;
  const int64_t strip = task / c->blocks % c->strips;
  const int64_t chunk = task / c->blocks / c->strips % c->chunks;
  const int64_t first_vector = block * c->vectors / c->blocks;
  const int64_t vectors = (block + 1) * c->vectors / c->blocks - first_vector;
  const int64_t last_channel = vector_start(p, first_vector + vectors - 1);
  char *scratch = (char *)j->call->workspace + (size_t)slot * cut_bytes(c);
  strip_work w = {.p = p, .call = j->call, .c = c};
  w.image = task / c->blocks / c->strips / c->chunks;
  w.first_channel = vector_start(p, first_vector);
  const int64_t lanes = evr_min(d->out_channels, EVR_LANES);
  w.channels = last_channel + lanes - w.first_channel;
  w.first_tile = strip * c->strip;
  w.end_tile = evr_min(w.first_tile + c->strip, c->tiles);
  w.rows = (const float **)(void *)scratch;
  w.copy_row = (int64_t *)(void *)(scratch + (size_t)d->kernel_height * sizeof(float *));
  w.copy_use = w.copy_row + d->kernel_height;
  scratch += c->rows_bytes;
  w.pixels = (const float **)(void *)scratch;
  scratch += c->pixels_bytes;
  w.offsets = (int64_t *)(void *)scratch;
  scratch += c->offsets_bytes;
  w.zeros = (float *)(void *)scratch;
  w.copies = w.zeros; /* a task has one or the other */
  const float *packed = j->call->packed;
  w.tile = (evr_depthwise_tile){
      .kernel_height = d->kernel_height,
      .kernel_width = d->kernel_width,
      .stride = c->stride,
      .dilation = d->dilation_width,
      .weights = packed + first_vector * EVR_LANES * p->depth,
      .vectors = vectors,
      .last_channel = last_channel - w.first_channel,
      .lanes = lanes,
      .bias = j->call->bias != NULL ? j->call->bias + w.first_channel : NULL,
      .relu = d->activation.kind == EVR_RELU,
      .y_pitch = d->out_channels,
      .rows = w.rows,
      .x_pitch = c->copied ? vectors * EVR_LANES : d->in_channels,
      .pixels = w.pixels,
  };
  memset(w.zeros, 0, c->zero_bytes);
  for (int64_t i = 0; i < d->kernel_height; i++) w.copy_row[i] = w.copy_use[i] = -1;
  find_inner_tiles(&w);
  find_offsets(&w);

  const int64_t end = evr_min((chunk + 1) * c->rows, p->sizes.conv_height);
  for (int64_t oh = chunk * c->rows; oh < end; oh++) {
    const bool zeros = find_rows(&w, oh);
    if (c->copied) copy_rows(&w, oh);
    run_row(&w, oh, zeros);
    if (!evr_depthwise_activates(d->activation.kind)) activate_row(&w, oh);
  }
}

void EVR_NAME(evr_depthwise_nhwc_forward)(const evr_conv2d_problem *p,
                                          const evr_conv2d_call *call) {
  job j = {p, call, make_cut(p)};
  evr_parallel_for(&p->common.parallel, p->desc.batch * j.c.chunks * j.c.strips * j.c.blocks,
                   run_task, &j);
}
