/* Depthwise convolution, NHWC: lanes run over channels.
 *
 * A task is a chunk of output rows, a strip of output columns and a block of channels, cut so that
 * the input rows that successive output rows share stay in L1. Its inner tiles read the image as
 * rows, those that touch padding through pointers. Dilated columns are taken by phases, which have
 * no dilation. With a channel multiplier, fewer channels than
 * lanes, or pixels so far apart that they evict each other, the task goes over copies of its input
 * rows: padded, and each channel repeated. */
#include "conv/depthwise.h"
#include "conv/depthwise_tile.h"
#include "core/checked.h"
#include "core/cpu.h"

/* With stride 1, a convolution with dilation D across columns is D convolutions without dilation
 * (phases), each of every D-th column, which have the tiles of common windows: unless the columns
 * of these tiles are so many times as many as there are. 3x3 windows with dilation 2 on 128
 * channels of 28x28 take 14.6 us instead of 22.2. */
#define MOST_PHASE_WASTE 1.5

/* What a task keeps in the smallest L1 that is about: the input under a row of windows. */
#define WINDOW_BYTES 24576
#define LEAST_BLOCK_BYTES 256
#define LEAST_BLOCK_UNITS 2
#define MOST_BLOCK_BYTES 1024
#define MOST_ROWS 64
#define LEAST_CROWDING 1.0

typedef struct cut {
  const evr_depthwise_kind *kind;
  bool copied, together, tight;
  int64_t phases;              /* of columns; otherwise 1 */
  int64_t vectors, blocks;     /* of a pixel; block b has units near b / blocks */
  int64_t unit, units;         /* vectors that a block has a multiple of, but for the last */
  int64_t block;               /* most vectors of a block */
  evr_depthwise_tiles tiles;   /* of a row */
  int64_t strip, strips;       /* tiles of a strip */
  int64_t rows, chunks;        /* output rows of a chunk */
  int64_t in_rows, in_columns; /* padded input of a strip of a chunk, at most */
  int64_t ring;                /* rows of the copy, reused in turn */
  int64_t copy_pitch;          /* floats of one column of the copy */
  int64_t copy_row;            /* floats of one row, with slack for a vector */
  int64_t row_pixels;          /* pointers or offsets of one kernel row of a tile, at most */
  size_t rows_bytes, pixels_bytes, offsets_bytes, zero_bytes, copy_bytes, sums_bytes;
} cut;

static int64_t tile_columns(const cut *c, int64_t tile) {
  return evr_depthwise_tile_columns(&c->tiles, tile);
}

static int64_t tile_start(const cut *c, int64_t tile) {
  return evr_depthwise_tile_start(&c->tiles, tile);
}

evr_depthwise_tiles EVR_NAME(evr_depthwise_cut_columns)(int64_t columns) {
  evr_depthwise_tiles best = {0, 0};
  int64_t least = INT64_MAX;
  for (int64_t narrow = 0; narrow < EVR_DEPTHWISE_WIDE; narrow++) {
    const int64_t left = evr_max(columns - narrow * EVR_DEPTHWISE_NARROW, 0);
    const int64_t wide = evr_ceil_div(left, EVR_DEPTHWISE_WIDE);
    const int64_t waste = wide * EVR_DEPTHWISE_WIDE + narrow * EVR_DEPTHWISE_NARROW - columns;
    if (waste >= least) continue;
    least = waste;
    best = (evr_depthwise_tiles){wide, wide + narrow};
  }
  return best;
}

const evr_depthwise_kind *EVR_NAME(evr_depthwise_kind_of)(const evr_conv2d_desc *desc) {
  const evr_depthwise_kind *kind = evr_depthwise_kinds;
  while (kind->kernel != 0 && (desc->dilation_width != 1 || kind->kernel != desc->kernel_width ||
                               (kind->kernel > 2 && kind->kernel != desc->kernel_height) ||
                               kind->stride != desc->stride_width))
    kind++;
  return kind;
}

static size_t array_bytes(int64_t a, int64_t b, int64_t c, size_t element) {
  const size_t count = evr_size_product(evr_size_product((size_t)a, (size_t)b), (size_t)c);
  const size_t bytes = evr_size_product(count, element);
  return bytes > SIZE_MAX - 63 ? EVR_SIZE_TOO_LARGE : (bytes + 63) & ~(size_t)63;
}

static void cut_strips(cut *c, int64_t outputs) {
  c->strips = evr_ceil_div(c->tiles.all, evr_max(outputs / EVR_DEPTHWISE_WIDE, 1));
  c->strip = evr_ceil_div(c->tiles.all, c->strips);
  c->strips = evr_ceil_div(c->tiles.all, c->strip);
}

/* Columns of the output, of the widest phase. */
static int64_t width_of(const cut *c, const evr_conv2d_problem *p) {
  return evr_ceil_div(p->sizes.conv_width, c->phases);
}

/* Columns from the first tap of a window to the last, of a phase. */
static int64_t reach_of(const cut *c, const evr_conv2d_desc *d) {
  return (d->kernel_width - 1) * (c->phases > 1 ? 1 : d->dilation_width);
}

static int64_t covered(int64_t columns) {
  const evr_depthwise_tiles tiles = EVR_NAME(evr_depthwise_cut_columns)(columns);
  return evr_depthwise_tile_start(&tiles, tiles.all);
}

/* The tiles for the windows, and the phases that these take. */
static void choose_kind(cut *c, const evr_conv2d_problem *p, bool by_phases) {
  evr_conv2d_desc dense = p->desc;
  const int64_t width = p->sizes.conv_width, dilation = dense.dilation_width;
  c->phases = 1;
  c->kind = EVR_NAME(evr_depthwise_kind_of)(&dense);
  if (!by_phases || dilation == 1 || dense.stride_width != 1) return;
  const double columns = (double)dilation * (double)covered(evr_ceil_div(width, dilation));
  if (columns > MOST_PHASE_WASTE * (double)width) return;
  dense.dilation_width = 1;
  const evr_depthwise_kind *kind = EVR_NAME(evr_depthwise_kind_of)(&dense);
  if (kind->kernel == 0) return;
  c->kind = kind;
  c->phases = p->desc.dilation_width;
}

/* Outputs whose windows fit in a number of pixels. */
static int64_t windows_within(int64_t pixels, int64_t reach, int64_t stride) {
  return pixels > reach ? (pixels - reach - 1) / stride + 1 : 1;
}

/* How many pixels of a tile fall on each way of the L1 sets that they can fall on, for pixels lie a
 * power of two apart more often than not. Where lines hold several vectors, evicted lines come back
 * for each. */
static double crowding(const evr_conv2d_desc *d, int64_t phases) {
  const int64_t line = 64, sets = 64, l1 = evr_cpu()->l1d_bytes;
  const double ways = l1 > 0 ? (double)l1 / (double)(line * sets) : 8.0;
  const int64_t pitch = phases * d->in_channels * (int64_t)sizeof(float);
  int64_t distinct = sets;
  for (int64_t step = line * 2; step <= line * sets && pitch % step == 0; step *= 2) distinct /= 2;
  const double columns = (double)((EVR_DEPTHWISE_WIDE - 1) * d->stride_width + d->kernel_width);
  return columns * (double)d->kernel_height / ((double)distinct * ways);
}

static size_t cut_bytes(const cut *c) {
  return evr_size_sum(evr_size_sum(c->rows_bytes, c->pixels_bytes),
                      evr_size_sum(evr_size_sum(c->offsets_bytes, c->zero_bytes),
                                   evr_size_sum(c->copy_bytes, c->sums_bytes)));
}

/* Derives all that follows from the rows and tiles of a task. */
static void size_cut(cut *c, const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t reach = reach_of(c, d);
  const int64_t vertical_reach = (d->kernel_height - 1) * d->dilation_height;
  c->strips = evr_ceil_div(c->tiles.all, c->strip);
  c->chunks = evr_ceil_div(p->sizes.conv_height, c->rows);
  const int64_t widest = c->tiles.wide > 0 ? EVR_DEPTHWISE_WIDE : EVR_DEPTHWISE_NARROW;
  const int64_t columns = evr_min(c->strip * widest, tile_start(c, c->tiles.all));
  c->in_columns = (columns - 1) * d->stride_width + reach + 1;
  c->in_rows = (c->rows - 1) * d->stride_height + vertical_reach + 1;
  const evr_depthwise_work shape = {.kernel_width = d->kernel_width, .stride = d->stride_width};
  c->row_pixels = evr_depthwise_row_pixels(widest, c->kind->kernel, &shape);
  c->rows_bytes = array_bytes(c->in_rows, 1, 1, sizeof(float *));
  if (c->copied) {
    c->offsets_bytes = array_bytes(c->in_columns, 1, 1, sizeof(int64_t));
    /* An odd number of cache lines: columns must not evict each other. */
    c->copy_pitch = evr_round_up(c->block * EVR_LANES, 16);
    if (c->copy_pitch / 16 % 2 == 0) c->copy_pitch += 16;
    if (c->tight) c->copy_pitch = c->block * EVR_LANES;
    c->ring = evr_min(vertical_reach + 1, c->in_rows);
    c->copy_row = c->in_columns * c->copy_pitch + 16;
    c->copy_bytes = array_bytes(c->ring, c->copy_row, 1, sizeof(float));
  } else {
    c->pixels_bytes = array_bytes(c->in_rows, c->row_pixels, 1, sizeof(float *));
    c->offsets_bytes = array_bytes(c->strip, c->row_pixels, 1, sizeof(int64_t));
    c->zero_bytes = array_bytes(c->block, EVR_LANES, 1, sizeof(float));
    if (c->together)
      c->sums_bytes =
          array_bytes(EVR_DEPTHWISE_TOGETHER * EVR_DEPTHWISE_WIDE, EVR_LANES, 1, sizeof(float));
  }
}

static cut cut_rows(const evr_conv2d_problem *p, bool by_phases) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, threads = p->common.parallel.threads;
  cut c = {0};
  choose_kind(&c, p, by_phases);
  const int64_t reach = reach_of(&c, d);
  c.vectors = evr_ceil_div(d->out_channels, EVR_LANES);
  const double crowded = crowding(d, c.phases);
  c.copied = p->group_out > 1 || d->out_channels < EVR_LANES;
  c.together =
      EVR_LANES > 1 && !c.copied && c.kind->together[0] != NULL && crowded > LEAST_CROWDING;
  c.copied = c.copied || (!c.together && crowded > (EVR_LANES == 16 ? 3.0 : 1.5));
  c.unit = c.together ? EVR_DEPTHWISE_TOGETHER : 1;
  c.units = evr_ceil_div(c.vectors, c.unit);
  c.tiles = EVR_NAME(evr_depthwise_cut_columns)(width_of(&c, p));
  const int64_t vector_bytes = EVR_LANES * (int64_t)sizeof(float);
  const int64_t tile = (EVR_DEPTHWISE_WIDE - 1) * d->stride_width + reach + 1;
  const int64_t unit_bytes = c.unit * vector_bytes;
  const int64_t least = evr_max(LEAST_BLOCK_BYTES, LEAST_BLOCK_UNITS * unit_bytes);
  const int64_t window = c.together ? MOST_BLOCK_BYTES : WINDOW_BYTES / tile / d->kernel_height;
  const int64_t most = evr_max(evr_min(window, MOST_BLOCK_BYTES), least);
  c.blocks = evr_ceil_div(c.units, most / unit_bytes);
  c.block = evr_ceil_div(c.units, c.blocks) * c.unit;
  const int64_t pixels = WINDOW_BYTES / (c.block * vector_bytes);
  cut_strips(&c, windows_within(pixels / d->kernel_height, reach, d->stride_width));
  const int64_t tasks = d->batch * c.blocks * c.strips * c.phases;
  const int64_t wanted = threads > 1 ? evr_ceil_div(4 * threads, tasks) : 1;
  c.chunks = evr_min(evr_max(evr_ceil_div(height, MOST_ROWS), wanted), height);
  c.rows = evr_ceil_div(height, c.chunks);
  size_cut(&c, p);
  /* Where memory is short: narrower copies, or fewer rows to point at. */
  while (cut_bytes(&c) > (size_t)p->scratch_share && (c.copied ? !c.tight : c.rows > 1)) {
    c.tight = c.strip == 1;
    if (c.copied)
      c.strip = evr_ceil_div(c.strip, 2);
    else
      c.rows = evr_ceil_div(c.rows, 2);
    size_cut(&c, p);
  }
  return c;
}

/* The columns of a phase lie apart, so that they may have to be copied where those of the image
 * need not: if there is not the memory for it, without phases. */
static cut make_cut(const evr_conv2d_problem *p) {
  const cut c = cut_rows(p, true);
  return c.phases > 1 && cut_bytes(&c) > (size_t)p->scratch_share ? cut_rows(p, false) : c;
}

_Static_assert(sizeof(cut) <= sizeof(((evr_prepared *)0)->state), "it fits");

void EVR_NAME(evr_depthwise_nhwc_prepare)(void *problem) {
  const cut c = make_cut(problem);
  evr_keep_prepared(problem, EVR_NAME(evr_depthwise_nhwc_prepare), &c, sizeof c);
}

static void read_cut(const evr_conv2d_problem *p, cut *c) {
  if (!evr_read_prepared(p, EVR_NAME(evr_depthwise_nhwc_prepare), c, sizeof *c)) *c = make_cut(p);
}

size_t EVR_NAME(evr_depthwise_nhwc_slot_bytes)(const evr_conv2d_problem *p) {
  const cut c = make_cut(p);
  return cut_bytes(&c);
}

evr_depthwise_extent EVR_NAME(evr_depthwise_nhwc_extent)(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const cut c = make_cut(p);
  const int64_t window = (d->kernel_height - 1) * d->dilation_height + 1;
  const int64_t rows = p->sizes.conv_height * evr_min(window, d->stride_height);
  const double copied =
      (double)rows * (double)(c.strips * c.phases) * (double)c.in_columns * (double)c.vectors;
  return (evr_depthwise_extent){.copied = c.copied ? copied : 0.0,
                                .columns = (double)c.phases * (double)tile_start(&c, c.tiles.all),
                                .known = c.kind->kernel != 0};
}

/* Where a vector of channels starts. The last one is moved back to end with the last channel: it
 * and the one before are always of one block, whose task is alone in writing both. */
_Static_assert(LEAST_BLOCK_UNITS >= 2,
               "the last block must not be a vector that overlaps another block");
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
  const int64_t lanes = evr_min(d->out_channels, EVR_LANES);
  const bool neighbours = evr_weights_are_apart(p, 1);
  for (int64_t v = 0; v < evr_ceil_div(d->out_channels, EVR_LANES); v++) {
    const int64_t channel = vector_start(p, v);
    const float *first = evr_weight_of(p, weights, 0, 0, channel);
    for (int64_t kh = 0; kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++, packed += EVR_LANES) {
        if (neighbours) {
          const float *from = first + kh * p->weights.row + kw * p->weights.column;
          vf_store(packed, lanes == EVR_LANES ? vf_load(from) : vf_load_n(from, lanes));
          continue;
        }
        for (int64_t i = 0; i < EVR_LANES; i++)
          packed[i] = i < lanes ? *evr_weight_of(p, weights, kh, kw, channel + i) : 0.0f;
      }
  }
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  cut c;
} job;

/* One task's view. */
typedef struct task_view {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  const cut *c;
  int64_t image;
  int64_t phase, width;       /* and its columns of the output */
  int64_t first_row, end_row; /* of the output */
  int64_t first_channel;      /* likewise */
  int64_t first_tile, end_tile;
  int64_t inner_tile, outer_tile; /* tiles in between touch no padding at their sides */
  int64_t inner_row, outer_row;   /* output rows in between touch no row of zeros */
  evr_depthwise_work work;        /* what all its rectangles share */
  /* Scratch of this thread. */
  const float **rows; /* [in_rows], NULL: zeros */
  const float **pixels;
  int64_t *offsets; /* of input columns from the row's start, -1: zero */
  float *zeros, *copy;
} task_view;

/* A column of a phase, in the padded image or the output. */
static int64_t column_of(const task_view *t, int64_t column) {
  return t->phase + t->c->phases * column;
}

/* Of a column of the phase of the padded image, from its row's start; -1: zero. */
static int64_t column_offset(const task_view *t, int64_t column) {
  const evr_conv2d_desc *d = &t->p->desc;
  const int64_t end = d->pad_left + d->in_width + d->pad_right;
  const int64_t padded_column = column_of(t, column);
  const int64_t iw = padded_column < end
                         ? evr_source_pixel(padded_column - d->pad_left, d->in_width, d->pad_mode)
                         : -1; /* beyond the last window */
  return iw < 0 ? -1 : iw * d->in_channels;
}

/* Rows of the image under the chunk's windows, and which outputs touch a row of zeros. */
static void find_rows(task_view *t) {
  const evr_conv2d_desc *d = &t->p->desc;
  const int64_t rows = (t->end_row - t->first_row - 1) * t->work.row_step +
                       (d->kernel_height - 1) * d->dilation_height + 1;
  const int64_t row_floats = d->in_width * d->in_channels;
  const float *x = t->call->x + t->image * d->in_height * row_floats;
  for (int64_t i = 0; i < rows; i++) {
    const int64_t row = evr_window_top(t->p, t->first_row) + i;
    const int64_t ih = evr_source_pixel(row, d->in_height, d->pad_mode);
    t->rows[i] = ih < 0 ? NULL : x + ih * row_floats;
  }
  t->inner_row = t->first_row;
  t->outer_row = t->end_row;
  if (d->pad_mode != EVR_PAD_ZERO) return;
  while (t->inner_row < t->end_row && evr_window_top(t->p, t->inner_row) < 0) t->inner_row++;
  while (t->outer_row > t->inner_row &&
         evr_window_top(t->p, t->outer_row - 1) + (d->kernel_height - 1) * d->dilation_height >=
             d->in_height)
    t->outer_row--;
}

/* The tiles of the strip whose columns and windows all lie in the image. */
static void find_inner_tiles(task_view *t) {
  const evr_conv2d_desc *d = &t->p->desc;
  const cut *c = t->c;
  const int64_t reach = reach_of(c, d);
  int64_t tile = t->first_tile;
  while (tile < t->end_tile && column_of(t, tile_start(c, tile) * d->stride_width) < d->pad_left)
    tile++;
  t->inner_tile = tile;
  for (; tile < t->end_tile; tile++) {
    const int64_t end = tile_start(c, tile) + tile_columns(c, tile);
    if (end > t->width ||
        column_of(t, (end - 1) * d->stride_width + reach) >= d->pad_left + d->in_width)
      break;
  }
  t->outer_tile = tile;
}

/* Offsets of the pixels that each tile reads from one row. */
static void find_tile_offsets(const task_view *t) {
  const evr_conv2d_desc *d = &t->p->desc;
  const cut *c = t->c;
  for (int64_t tile = t->first_tile; tile < t->end_tile; tile++) {
    int64_t *out = t->offsets + (tile - t->first_tile) * c->row_pixels;
    const int64_t columns = tile_columns(c, tile), first = tile_start(c, tile) * d->stride_width;
    if (c->kind->kernel > 0) {
      for (int64_t i = 0; i < (columns - 1) * d->stride_width + c->kind->kernel; i++)
        *out++ = column_offset(t, first + i);
      continue;
    }
    const int64_t real = evr_min(columns, t->width - tile_start(c, tile));
    for (int64_t kw = 0; kw < d->kernel_width; kw++)
      for (int64_t i = 0; i < columns; i++)
        *out++ =
            i < real ? column_offset(t, first + i * d->stride_width + kw * d->dilation_width) : -1;
  }
}

/* For one tile and the input rows under these output rows. */
static void point_at_pixels(const task_view *t, int64_t row, int64_t end_row, int64_t tile) {
  const int64_t count =
      evr_depthwise_row_pixels(tile_columns(t->c, tile), t->c->kind->kernel, &t->work);
  const int64_t *offsets = t->offsets + (tile - t->first_tile) * t->c->row_pixels;
  const int64_t first = (row - t->first_row) * t->work.row_step;
  const int64_t end = (end_row - 1 - t->first_row) * t->work.row_step +
                      (t->p->desc.kernel_height - 1) * t->work.tap_step + 1;
  const float **out = t->pixels;
  for (int64_t i = first; i < end; i++, out += count) {
    const float *in = t->rows[i];
    if (in != NULL) {
      in += t->first_channel;
      for (int64_t j = 0; j < count; j++) out[j] = offsets[j] < 0 ? t->zeros : in + offsets[j];
    } else {
      for (int64_t j = 0; j < count; j++) out[j] = t->zeros;
    }
  }
}

/* Runs a rectangle of rows and of tiles of one width. */
static void run(const task_view *t, int64_t row, int64_t end_row, int64_t tile, int64_t end_tile,
                bool pointers) {
  if (row >= end_row || tile >= end_tile) return;
  const evr_conv2d_desc *d = &t->p->desc;
  const cut *c = t->c;
  const int64_t ow = tile_start(c, tile);
  if (ow >= t->width) return; /* of a phase with a column less */
  const evr_spread to = evr_output_spread(t->p);
  const int64_t at =
      t->image * to.image + row * to.row + column_of(t, ow) * to.pixel + t->first_channel;
  evr_depthwise_work work = t->work;
  work.y += at;
  if (work.residual != NULL) work.residual += at;
  work.rows = t->rows + (row - t->first_row) * work.row_step;
  work.out_rows = end_row - row;
  work.columns = evr_min(tile_start(c, end_tile), t->width) - ow;
  if (c->copied)
    work.x_start = (ow - tile_start(c, t->first_tile)) * d->stride_width * work.x_pitch;
  else
    work.x_start =
        (column_of(t, ow * d->stride_width) - d->pad_left) * d->in_channels + t->first_channel;
  const bool wide = tile < c->tiles.wide;
  if (c->together)
    c->kind->together[wide](&work);
  else
    c->kind->run[wide][pointers](&work);
}

static void run_through_pointers(const task_view *t, int64_t row, int64_t end_row, int64_t tile,
                                 int64_t end_tile) {
  if (row >= end_row) return;
  for (; tile < end_tile; tile++) {
    point_at_pixels(t, row, end_row, tile);
    run(t, row, end_row, tile, tile + 1, true);
  }
}

static void run_strip(const task_view *t, int64_t row, int64_t end_row, int64_t tile,
                      int64_t end_tile) {
  const int64_t wide = evr_max(evr_min(t->c->tiles.wide, end_tile), tile);
  run(t, row, end_row, tile, wide, false);
  run(t, row, end_row, wide, end_tile, false);
}

/* Each channel of one pixel as often as it has outputs, in whole vectors: what one channel writes
 * too much the next one, the next pixel or the slack of the row makes good. */
static void repeat_channels(const task_view *t, const float *pixel, float *out) {
  const int64_t multiplier = t->p->group_out;
  const int64_t channels = t->work.last_channel + t->work.lanes;
  const float *x = pixel + t->first_channel / multiplier;
  int64_t c = 0, end = multiplier - t->first_channel % multiplier;
  for (; c < channels; c = end, end += multiplier, x++) {
    const vf value = vf_set1(*x);
    for (int64_t i = c; i < evr_min(end, channels); i += EVR_LANES) vf_store(out + i, value);
  }
}

/* One row of the copy; row NULL: zeros. */
static void copy_row(const task_view *t, const float *row, int64_t columns, float *out) {
  const int64_t last = t->work.last_channel, lanes = t->work.lanes, pitch = t->work.x_pitch;
  const int64_t *const offsets = t->offsets;
  const bool plain = t->p->group_out == 1 && lanes == EVR_LANES;
  const int64_t first = t->first_channel;
  for (int64_t i = 0; i < columns; i++, out += pitch) {
    if (row == NULL || offsets[i] < 0) {
      for (int64_t c = 0; c < last; c += EVR_LANES) vf_store(out + c, vf_zero());
      vf_store(out + last, vf_zero());
    } else if (plain) {
      const float *x = row + offsets[i] + first;
      for (int64_t c = 0; c < last; c += EVR_LANES) vf_store(out + c, vf_load(x + c));
      vf_store(out + last, vf_load(x + last));
    } else if (t->p->group_out == 1) {
      vf_store(out, vf_load_n(row + offsets[i], lanes));
    } else {
      repeat_channels(t, row + offsets[i], out);
    }
  }
}

/* Runs every row of the strip on copies of its input rows. */
static void run_on_copies(const task_view *t) {
  const evr_conv2d_desc *d = &t->p->desc;
  const cut *c = t->c;
  const int64_t first = tile_start(c, t->first_tile) * d->stride_width;
  const int64_t columns =
      (tile_start(c, t->end_tile) - 1) * d->stride_width + reach_of(c, d) + 1 - first;
  for (int64_t column = 0; column < columns; column++)
    t->offsets[column] = column_offset(t, first + column);
  int64_t copied = 0;
  for (int64_t oh = t->first_row; oh < t->end_row; oh++) {
    const int64_t top = (oh - t->first_row) * t->work.row_step;
    const int64_t end = top + (d->kernel_height - 1) * d->dilation_height + 1;
    for (copied = evr_max(copied, top); copied < end; copied++) {
      float *const to = t->copy + copied % c->ring * c->copy_row;
      const float *row = t->rows[copied];
      t->rows[copied] = to;
      copy_row(t, row, columns, to);
    }
    run_strip(t, oh, oh + 1, t->first_tile, t->end_tile);
  }
}

/* A load waits for an earlier store whose address agrees in the last twelve bits, as if both were
 * of one place. Where pixels lie a large power of two apart, and y just beyond x modulo that, it is
 * so of each vector of channels and the one before: but not if the last vector is the first. Where
 * pixels lie otherwise, either order will do. */
#define APART 512
static bool runs_into_stores(const evr_conv2d_call *call) {
  const uintptr_t beyond = ((uintptr_t)call->y - (uintptr_t)call->x) % APART;
  return beyond > 0 && beyond <= APART / 2;
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const cut *c = &j->c;
  const int64_t block = evr_take_number(&task, c->blocks);
  const int64_t strip = evr_take_number(&task, c->strips);
  const int64_t chunk = evr_take_number(&task, c->chunks);
  const int64_t phase = evr_take_number(&task, c->phases);
  const int64_t first_vector = block * c->units / c->blocks * c->unit;
  const int64_t end_vector = evr_min((block + 1) * c->units / c->blocks * c->unit, c->vectors);
  const int64_t vectors = end_vector - first_vector;
  const int64_t first_channel = vector_start(p, first_vector);
  char *scratch = (char *)j->call->workspace + (size_t)slot * cut_bytes(c);
  task_view t;
  t.p = p;
  t.call = j->call;
  t.c = c;
  t.image = task;
  t.phase = phase;
  t.width = evr_ceil_div(p->sizes.conv_width - phase, c->phases);
  t.first_row = chunk * c->rows;
  t.end_row = evr_min(t.first_row + c->rows, p->sizes.conv_height);
  t.first_channel = first_channel;
  t.first_tile = strip * c->strip;
  t.end_tile = evr_min(t.first_tile + c->strip, c->tiles.all);
  t.rows = (const float **)(void *)scratch;
  scratch += c->rows_bytes;
  t.pixels = (const float **)(void *)scratch;
  scratch += c->pixels_bytes;
  t.offsets = (int64_t *)(void *)scratch;
  scratch += c->offsets_bytes;
  t.zeros = (float *)(void *)scratch;
  t.copy = t.zeros; /* a task has one or the other */
  float *const sums = (float *)(void *)(scratch + c->zero_bytes);
  const float *packed = j->call->packed;
  const evr_spread to = evr_output_spread(p);
  t.work = (evr_depthwise_work){
      .kernel_height = d->kernel_height,
      .kernel_width = d->kernel_width,
      .stride = d->stride_width,
      .dilation = d->dilation_width / c->phases,
      .weights = packed + first_vector * EVR_LANES * p->depth,
      .vectors = vectors,
      .last_channel = vector_start(p, first_vector + vectors - 1) - first_channel,
      .lanes = evr_min(d->out_channels, EVR_LANES),
      .downwards = runs_into_stores(j->call),
      .sums = sums,
      .bias = j->call->bias != NULL ? j->call->bias + first_channel : NULL,
      .activation = &d->activation,
      .row_step = d->stride_height,
      .tap_step = d->dilation_height,
      .x_pitch = c->copied ? c->copy_pitch : c->phases * d->in_channels,
      .pixels = t.pixels,
      .y = j->call->y,
      .residual = j->call->residual,
      .y_row = to.row,
      .y_pitch = c->phases * to.pixel,
  };
  find_rows(&t);
  if (c->copied) {
    run_on_copies(&t);
    return;
  }
  memset(t.zeros, 0, c->zero_bytes);
  find_inner_tiles(&t);
  find_tile_offsets(&t);
  if (c->together) {
    run_through_pointers(&t, t.first_row, t.end_row, t.first_tile, t.end_tile);
    return;
  }
  run_through_pointers(&t, t.first_row, t.inner_row, t.first_tile, t.end_tile);
  run_through_pointers(&t, t.inner_row, t.outer_row, t.first_tile, t.inner_tile);
  run_strip(&t, t.inner_row, t.outer_row, t.inner_tile, t.outer_tile);
  run_through_pointers(&t, t.inner_row, t.outer_row, t.outer_tile, t.end_tile);
  run_through_pointers(&t, t.outer_row, t.end_row, t.first_tile, t.end_tile);
}

void EVR_NAME(evr_depthwise_nhwc_forward)(const evr_conv2d_problem *p,
                                          const evr_conv2d_call *call) {
  job j;
  j.p = p;
  j.call = call;
  read_cut(p, &j.c);
  const int64_t tasks = j.c.chunks * j.c.strips * j.c.blocks * j.c.phases;
  evr_parallel_for(&p->common.parallel, p->desc.batch * tasks, run_task, &j);
}
