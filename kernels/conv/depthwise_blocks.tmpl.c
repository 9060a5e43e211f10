/* Depthwise convolution, NCHW, of small planes: as many planes as there are lanes are transposed
 * into a padded copy with channels in the lanes, convolved there by the tiles of NHWC, and
 * transposed back. Rows too short to fill vectors then waste nothing. */
#include "activation/apply.h"
#include "activation/functions.h"
#include "conv/depthwise.h"
#include "conv/depthwise_work.h"
#include "core/checked.h"

/* Copies of input and output of a chunk of rows; they stay in the second level cache. */
#define CHUNK_BYTES 131072

typedef struct cut {
  const evr_depthwise_kind *kind;
  evr_depthwise_tiles tiles;   /* of a row */
  int64_t blocks;              /* of EVR_LANES output channels; the last may overlap */
  int64_t rows, chunks;        /* output rows of a chunk */
  int64_t in_rows, in_columns; /* padded input of a chunk, at most */
  size_t rows_bytes, in_bytes, out_bytes;
} cut;

static cut make_cut(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  const int64_t reach = (d->kernel_width - 1) * d->dilation_width;
  const int64_t vertical_reach = (d->kernel_height - 1) * d->dilation_height;
  cut c = {0};
  c.kind = EVR_NAME(evr_depthwise_kind_of)(d);
  c.tiles = EVR_NAME(evr_depthwise_cut_columns)(width);
  c.blocks = evr_ceil_div(d->out_channels, EVR_LANES);
  const int64_t covered = evr_depthwise_tile_start(&c.tiles, c.tiles.all);
  c.in_columns = evr_max((covered - 1) * d->stride_width + reach + 1, d->pad_left + d->in_width);

  const int64_t bytes = evr_min(CHUNK_BYTES, p->scratch_share - p->scratch_share / 8);
  const int64_t pixels = evr_max(bytes / (EVR_LANES * (int64_t)sizeof(float)), 1);
  const int64_t rest = pixels - evr_min(vertical_reach, pixels) * evr_min(c.in_columns, pixels);
  const int64_t most = rest / (evr_min(c.in_columns, pixels) * evr_min(d->stride_height, pixels) +
                               evr_min(width, pixels));
  c.chunks = evr_ceil_div(height, evr_max(evr_min(most, height), 1));
  c.rows = evr_ceil_div(height, c.chunks);
  c.chunks = evr_ceil_div(height, c.rows);
  c.in_rows = (c.rows - 1) * d->stride_height + vertical_reach + 1;

  /* The last square to be transposed back may reach beyond the last pixel. */
  c.out_bytes = evr_size_floats_of(c.rows * width + EVR_LANES, EVR_LANES, 1, 1);
  c.in_bytes = evr_size_floats_of(c.in_rows, c.in_columns, EVR_LANES, 1);
  c.rows_bytes = evr_size_product((size_t)c.in_rows, sizeof(float *));
  c.rows_bytes = evr_size_sum(c.rows_bytes, 64 - c.rows_bytes % 64);
  return c;
}

static size_t cut_bytes(const cut *c) {
  return evr_size_sum(evr_size_sum(c->rows_bytes, c->in_bytes), c->out_bytes);
}

bool EVR_NAME(evr_depthwise_blocks_fit)(const evr_conv2d_problem *p, int64_t bytes) {
  evr_conv2d_problem row = *p; /* whatever the height: bands are packed for as the whole is */
  row.sizes.conv_height = 1;
  const cut c = make_cut(&row);
  return cut_bytes(&c) <= (size_t)bytes;
}

_Static_assert(sizeof(cut) <= sizeof(((evr_prepared *)0)->state), "it fits");

void EVR_NAME(evr_depthwise_blocks_prepare)(void *problem) {
  const cut c = make_cut(problem);
  evr_keep_prepared(problem, EVR_NAME(evr_depthwise_blocks_prepare), &c, sizeof c);
}

static void read_cut(const evr_conv2d_problem *p, cut *c) {
  if (!evr_read_prepared(p, EVR_NAME(evr_depthwise_blocks_prepare), c, sizeof *c)) *c = make_cut(p);
}

size_t EVR_NAME(evr_depthwise_blocks_slot_bytes)(const evr_conv2d_problem *p) {
  const cut c = make_cut(p);
  return cut_bytes(&c);
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  cut c;
} job;

/* One task's view. */
typedef struct block_view {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  const cut *c;
  const float *planes[EVR_LANES]; /* input planes, one for each lane */
  int64_t image, first_channel;   /* of the output */
  int64_t channels;               /* EVR_LANES or fewer */
  int64_t begin;                  /* the first of them that is not the task before's */
  int64_t first_row, rows;        /* of the output */
  const float **row_starts;       /* [in_rows] */
  float *in, *out;
} block_view;

/* Count pixels of the planes from one on, which begins a row, into rows of the copy from to on. */
static void transpose_in(const block_view *b, int64_t from, int64_t count, float *to) {
  const int64_t width = b->p->desc.in_width;
  const int64_t skip = (b->c->in_columns - width) * EVR_LANES;
  int64_t column = 0;
  for (int64_t i = 0; i < count; i += EVR_LANES) {
    const int64_t pixels = evr_min(count - i, EVR_LANES);
    vf block[EVR_LANES];
    if (pixels == EVR_LANES) {
      EVR_UNROLL
      for (int j = 0; j < EVR_LANES; j++) block[j] = vf_load(b->planes[j] + from + i);
    } else {
      EVR_UNROLL
      for (int j = 0; j < EVR_LANES; j++) block[j] = vf_load_n(b->planes[j] + from + i, pixels);
    }
    vf_transpose(block);
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++)
      if (j < pixels) {
        vf_store(to, block[j]);
        to += EVR_LANES;
        if (++column == width) column = 0, to += skip;
      }
  }
}

/* Fills the columns of one row of the copy that are padding, or under no window. */
static void pad_row(const evr_conv2d_desc *d, float *row, int64_t from, int64_t to) {
  for (int64_t column = from; column < to; column++) {
    const int64_t iw = column < d->pad_left + d->in_width + d->pad_right
                           ? evr_source_pixel(column - d->pad_left, d->in_width, d->pad_mode)
                           : -1;
    vf_store(row + column * EVR_LANES,
             iw < 0 ? vf_zero() : vf_load(row + (d->pad_left + iw) * EVR_LANES));
  }
}

static void copy_input(const block_view *b) {
  const evr_conv2d_desc *d = &b->p->desc;
  const cut *c = b->c;
  const int64_t top = evr_window_top(b->p, b->first_row);
  const int64_t rows =
      (b->rows - 1) * d->stride_height + (d->kernel_height - 1) * d->dilation_height + 1;
  for (int64_t i = 0; i < rows;) {
    float *const row = b->in + i * c->in_columns * EVR_LANES;
    const int64_t ih = evr_source_pixel(top + i, d->in_height, d->pad_mode);
    int64_t run = 1; /* rows of the image that follow each other */
    if (ih < 0) {
      for (int64_t column = 0; column < c->in_columns; column++)
        vf_store(row + column * EVR_LANES, vf_zero());
    } else {
      if (ih == top + i) run = evr_min(d->in_height - ih, rows - i);
      transpose_in(b, ih * d->in_width, run * d->in_width, row + d->pad_left * EVR_LANES);
    }
    for (const int64_t end = i + run; i < end; i++) {
      float *const start = b->in + i * c->in_columns * EVR_LANES;
      b->row_starts[i] = start;
      if (ih < 0) continue;
      pad_row(d, start, 0, d->pad_left);
      pad_row(d, start, d->pad_left + d->in_width, c->in_columns);
    }
  }
}

static void convolve(const block_view *b) {
  const evr_conv2d_desc *d = &b->p->desc;
  const cut *c = b->c;
  const int64_t width = b->p->sizes.conv_width;
  static const evr_activation identity = {EVR_IDENTITY, 0.0f};
  const float *packed = b->call->packed;
  float bias[EVR_LANES] = {0};
  if (b->call->bias != NULL)
    memcpy(bias, b->call->bias + b->first_channel, (size_t)b->channels * sizeof *bias);
  evr_depthwise_work work = {
      .kernel_height = d->kernel_height,
      .kernel_width = d->kernel_width,
      .stride = d->stride_width,
      .dilation = d->dilation_width,
      .weights = packed + evr_ceil_div(b->first_channel, EVR_LANES) * EVR_LANES * b->p->depth,
      .vectors = 1,
      .lanes = EVR_LANES,
      .bias = b->call->bias != NULL ? bias : NULL,
      /* A residual comes before the activation. */
      .activation = b->call->residual != NULL ? &identity : &d->activation,
      .rows = b->row_starts,
      .row_step = d->stride_height,
      .tap_step = d->dilation_height,
      .x_pitch = EVR_LANES,
      .out_rows = b->rows,
      .columns = evr_min(c->tiles.wide * EVR_DEPTHWISE_WIDE, width),
      .y = b->out,
      .y_row = width * EVR_LANES,
      .y_pitch = EVR_LANES,
  };
  if (c->tiles.wide > 0) c->kind->run[1][0](&work);
  work.x_start = work.columns * d->stride_width * EVR_LANES;
  work.y += work.columns * EVR_LANES;
  work.columns = width - work.columns;
  if (work.columns > 0) c->kind->run[0][0](&work);
}

static void transpose_out(const block_view *b) {
  const evr_conv2d_desc *d = &b->p->desc;
  const int64_t count = b->rows * b->p->sizes.conv_width;
  const int64_t plane = b->p->y_plane, residual_plane = b->p->residual_plane;
  const int64_t first = b->image * d->out_channels + b->first_channel;
  const int64_t skipped = b->first_row * b->p->sizes.conv_width;
  float *const y = b->call->y + first * plane + skipped;
  const float *const residual =
      b->call->residual != NULL ? b->call->residual + first * residual_plane + skipped : NULL;
  const evr_activation_kind kind = residual != NULL ? d->activation.kind : EVR_IDENTITY;
  for (int64_t i = 0; i < count; i += EVR_LANES) {
    const int64_t pixels = evr_min(count - i, EVR_LANES);
    vf block[EVR_LANES];
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++) block[j] = vf_load(b->out + (i + j) * EVR_LANES);
    vf_transpose(block);
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++)
      if (j >= b->begin && j < b->channels) {
        const int64_t offset = j * plane + i;
        vf value = block[j];
        if (residual != NULL) {
          value = vf_add(value, vf_load_n(residual + j * residual_plane + i, pixels));
          if (kind == EVR_RELU) value = evr_relu(value);
          if (kind == EVR_RELU6) value = evr_relu6(value);
        }
        if (pixels == EVR_LANES)
          vf_store(y + offset, value);
        else
          vf_store_n(y + offset, value, pixels);
      }
  }
  if (!evr_depthwise_activates(kind))
    for (int64_t j = b->begin; j < b->channels; j++)
      EVR_NAME(evr_activation_apply)(&d->activation, y + j * plane, y + j * plane, count);
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const cut *c = &j->c;
  char *scratch = (char *)j->call->workspace + (size_t)slot * cut_bytes(c);
  const int64_t chunk = evr_take_number(&task, c->chunks);
  const int64_t block = evr_take_number(&task, c->blocks);
  block_view b = {.p = p, .call = j->call, .c = c};
  b.image = task;
  b.channels = evr_min(d->out_channels, EVR_LANES);
  b.first_channel = evr_min(block * EVR_LANES, d->out_channels - b.channels);
  b.begin = block * EVR_LANES - b.first_channel;
  b.first_row = chunk * c->rows;
  b.rows = evr_min(c->rows, p->sizes.conv_height - b.first_row);
  for (int64_t lane = 0; lane < EVR_LANES; lane++) {
    const int64_t oc = b.first_channel + evr_min(lane, b.channels - 1);
    b.planes[lane] =
        j->call->x + (b.image * d->in_channels + oc / p->group_out) * d->in_height * d->in_width;
  }
  b.row_starts = (const float **)(void *)scratch;
  b.in = (float *)(void *)(scratch + c->rows_bytes);
  b.out = (float *)(void *)(scratch + c->rows_bytes + c->in_bytes);
  copy_input(&b);
  convolve(&b);
  transpose_out(&b);
}

void EVR_NAME(evr_depthwise_blocks_forward)(const evr_conv2d_problem *p,
                                            const evr_conv2d_call *call) {
  job j;
  j.p = p;
  j.call = call;
  read_cut(p, &j.c);
  evr_parallel_for(&p->common.parallel, p->desc.batch * j.c.blocks * j.c.chunks, run_task, &j);
}
