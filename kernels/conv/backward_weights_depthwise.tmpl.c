/* Depthwise backward weights. Where NHWC is read in place under the common windows, by the tiles of
 * backward_weights_taps.h; else a vector or two of channels at a time, whose taps are all in
 * registers, or where there are many, those of a window row.
 *
 * NHWC is read where it lies. The last channels, if they do not fill a vector, and those of NCHW
 * are copied first, a block's part of the image and of g, with padding written out, so that what is
 * read is side by side. A task owns its sums, of all blocks in their order or of one, and
 * these are added up in that order: so the bits are the same whatever the threads. */
#include <inttypes.h>
#include <stdio.h>

#include "conv/backward.h"
#include "conv/backward_image.h"
#include "conv/backward_weights_lines.h"
#include "conv/backward_weights_taps.h"
#include "conv/backward_weights_tile.h"
#include "conv/pace.h"

/* Vectors that are taken together where they are read in place: whole lines of the cache. */
#define MOST_VECTORS 2
/* Taps of a window row that are summed up at once, at most. */
#define MOST_TAPS 5
/* Of a pixel, what a task of tiles takes at most. */
#define TILED_BYTES 1024
/* And at least: where threads would have less, blocks are shared out instead. The caches ask for
 * the lines beside those that are read, so with half of a pixel a thread would fetch it whole. */
#define LEAST_TILED_BYTES 512
/* Sums of blocks that one thread adds up, at most. */
#define SERIAL_FLOATS 65536

typedef struct blocking {
  int64_t block_rows, pixels; /* of a block, at most */
  int64_t in_rows, in_width;  /* of the copied part of the image */
  int64_t taps;
  int64_t in_place; /* vectors that are read where they lie */
  int64_t unit;     /* of these, taken together */
  bool by_rows;     /* a window row at a time, all through the block */
  int64_t tasks;
  evr_taps_function *add_row; /* by tiles; or NULL */
  bool by_lines;              /* these of image rows, not of output rows */
  int64_t columns;            /* of the padded image that windows reach */
  bool by_blocks;             /* tiles' tasks are blocks, whose sums are kept */
  int64_t blocks, threads;    /* of all images, and that share them */
  /* A thread has so many blocks of its own, each a task, and a task in each of the blocks that are
   * left over, for its share of their vectors. */
  int64_t thread_blocks, thread_tasks;
  size_t x_bytes, g_bytes, sums_bytes, offset_bytes, list_bytes, slot_bytes;
  size_t column_bytes, zero_bytes, kept_bytes; /* which threads share */
} blocking;

/* Tiles, if they serve the problem: then all taps are summed up by them. */
static void choose_tiles(blocking *b, const evr_conv2d_problem *p, int64_t threads) {
  const evr_conv2d_desc *d = &p->desc;
  if (b->in_place == 0 || d->kernel_height != EVR_TAPS_WIDTH || d->kernel_width != EVR_TAPS_WIDTH ||
      d->dilation_height != 1 || d->dilation_width != 1)
    return;
  const bool collide = d->in_channels * (int64_t)sizeof(float) % EVR_PACE_COLLIDE == 0;
  b->add_row = evr_taps_function_of(d->stride_width, collide);
  if (b->add_row == NULL) return;
  b->by_lines = EVR_REGISTERS >= 32 && d->stride_height == EVR_LINES_STRIDE &&
                d->stride_width == EVR_LINES_STRIDE;
  /* As many for each thread, of whole tiles where there are enough. */
  const int64_t vector_bytes = EVR_LANES * (int64_t)sizeof(float);
  const int64_t tasks =
      evr_round_up(evr_ceil_div(b->in_place * vector_bytes, TILED_BYTES), threads);
  b->unit = evr_ceil_div(b->in_place, tasks);
  if (b->in_place >= EVR_TAPS_VECTORS * threads) b->unit = evr_round_up(b->unit, EVR_TAPS_VECTORS);
  b->columns = (p->sizes.conv_width - 1) * d->stride_width + EVR_TAPS_WIDTH;
  b->blocks = d->batch * evr_ceil_div(p->sizes.conv_height, b->block_rows);
  const size_t tensors = evr_size_floats(p->sizes.x_count + p->sizes.y_count);
  b->kept_bytes = evr_size_floats_of(b->blocks, b->in_place, EVR_TAPS_SUMS, EVR_LANES);
  b->by_blocks = threads > 1 && b->in_place * EVR_LANES == d->in_channels &&
                 b->in_place * vector_bytes < LEAST_TILED_BYTES * threads &&
                 b->blocks >= 3 * threads && b->kept_bytes <= tensors;
  if (!b->by_blocks) b->kept_bytes = 0;
  b->threads = threads;
  b->thread_blocks = b->blocks / threads;
  b->thread_tasks = b->thread_blocks + b->blocks % threads;
}

static blocking make_blocking(const evr_conv2d_backward_problem *problem) {
  const evr_conv2d_problem conv = evr_without_idle_strides(&problem->conv), *p = &conv;
  const evr_conv2d_desc *d = &p->desc;
  blocking b = {.taps = d->kernel_height * d->kernel_width};
  b.block_rows = evr_min(evr_conv2d_block_rows(p), p->sizes.conv_height);
  b.pixels = b.block_rows * p->sizes.conv_width;
  b.in_place = d->layout == EVR_NHWC ? d->in_channels / EVR_LANES : 0;
  b.unit = b.in_place >= MOST_VECTORS * problem->common.parallel.threads ? MOST_VECTORS : 1;
  const bool many = 9 * b.unit + 2 * b.unit <= EVR_REGISTERS;
  b.by_rows = !many || d->in_channels * (int64_t)sizeof(float) % EVR_PACE_COLLIDE == 0;
  choose_tiles(&b, p, problem->common.parallel.threads);
  b.tasks = evr_ceil_div(b.in_place, b.unit) +
            evr_ceil_div(d->in_channels - b.in_place * EVR_LANES, EVR_LANES);
  b.in_rows =
      (b.block_rows - 1) * d->stride_height + (d->kernel_height - 1) * d->dilation_height + 1;
  b.in_width = d->in_width + d->pad_left + d->pad_right;
  if (b.in_place * EVR_LANES < d->in_channels) {
    b.x_bytes = evr_size_floats_of(b.in_rows, b.in_width, EVR_LANES, 1);
    b.g_bytes = evr_size_floats_of(b.pixels, EVR_LANES, 1, 1);
  }
  b.sums_bytes = evr_size_floats_of(b.taps, EVR_LANES, MOST_VECTORS, 1);
  b.offset_bytes = evr_size_lines(evr_size_product(
      evr_size_product((size_t)p->sizes.conv_width, (size_t)d->kernel_width), sizeof(int64_t)));
  if (b.add_row != NULL) {
    /* Those of a block, and of all before it. */
    b.sums_bytes = evr_size_floats_of(2, b.unit, EVR_TAPS_SUMS, EVR_LANES);
    b.column_bytes = evr_size_lines(evr_size_product((size_t)b.columns, sizeof(int64_t)));
    b.list_bytes = evr_size_lines(
        evr_size_product(evr_size_product((size_t)b.columns, EVR_TAPS_WIDTH), sizeof(float *)));
    b.zero_bytes = evr_size_floats(b.in_place * EVR_LANES);
  }
  b.slot_bytes = evr_size_sum(
      evr_size_sum(evr_size_sum(b.x_bytes, b.g_bytes), evr_size_sum(b.sums_bytes, b.offset_bytes)),
      b.list_bytes);
  return b;
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  if (p->group_in == 1 && p->group_out == 1) return true;
  snprintf(reason, EVR_REASON_SIZE,
           "needs one channel in and out of each group; desc.groups is %" PRId64
           ", desc.in_channels %" PRId64 " and desc.out_channels %" PRId64,
           p->desc.groups, p->desc.in_channels, p->desc.out_channels);
  return false;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  const blocking b = make_blocking(p);
  return evr_size_sum(evr_size_product(b.slot_bytes, (size_t)p->common.parallel.threads),
                      evr_size_sum(evr_size_sum(b.column_bytes, b.zero_bytes), b.kept_bytes));
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_backward_weights_call *call;
  blocking b;
  /* Of tiles: each column of the padded image from its row's start on, -1: zeros; a pixel of these;
   * and sums of blocks, [block][vector][EVR_TAPS_SUMS][EVR_LANES]. */
  int64_t *offsets;
  float *zeros, *kept;
} job;

/* The images of a task's channels, as they are read: in place, or a copy with its padding. */
typedef struct view {
  const float *x, *g;      /* of the block: the image's row 0, and the first pixel of g */
  int64_t pixel, line;     /* of x: floats from one pixel or line to the next */
  int64_t g_pixel;         /* likewise */
  int64_t height, pad_top; /* of x; whatever the padding, row -1 stands for zeros */
  evr_pad_mode pad_mode;
  int64_t first_row, lines, width; /* of the block */
  int64_t step_h, step_w, dilation_h, dilation_w;
  /* Output columns from inner on and before outer have all taps inside; where the others read:
   * offsets[column * kernel_width + kw] floats from the start of a line, -1: a zero. */
  int64_t inner, outer, kernel_width;
  const int64_t *offsets;
} view;

/* Some taps of one block: R window rows from kh on and K columns from kw on, V vectors; these are
 * constants where this is inlined. sums[tap][vector]; bias [vector], or NULL. */
EVR_INLINE void sum_taps(const view *w, const int R, const int K, const int V, int64_t kh,
                         int64_t kw, bool first, float *sums, int64_t lanes, float *bias) {
  static const float zeros[MOST_VECTORS * EVR_LANES];
  vf acc[9 * MOST_VECTORS], added[MOST_VECTORS];
  EVR_UNROLL
  for (int i = 0; i < R * K * V; i++) acc[i] = vf_zero();
  EVR_UNROLL
  for (int v = 0; v < V; v++) added[v] = vf_zero();
  const float *g = w->g;
  const int64_t g_pixel = w->g_pixel, outer = w->outer, width = w->width;
  for (int64_t line = 0; line < w->lines; line++) {
    const float *row[3], *at[3];
    int64_t tap[3], step[3];
    EVR_UNROLL
    for (int r = 0; r < R; r++) {
      const int64_t top = (w->first_row + line) * w->step_h - w->pad_top;
      const int64_t ih = evr_source_pixel(top + (kh + r) * w->dilation_h, w->height, w->pad_mode);
      row[r] = ih < 0 ? NULL : w->x + ih * w->line;
      at[r] = zeros;
      if (ih >= 0 && w->inner < width) at[r] = row[r] + w->offsets[w->inner * w->kernel_width + kw];
      tap[r] = ih < 0 ? 0 : w->dilation_w * w->pixel;
      step[r] = ih < 0 ? 0 : w->step_w * w->pixel;
    }
    for (int64_t i = 0; i < width; i++, g += g_pixel) {
      for (; i >= w->inner && i < outer; i++, g += g_pixel) {
        vf value[MOST_VECTORS];
        EVR_UNROLL
        for (int v = 0; v < V; v++) value[v] = vf_once(vf_load(g + v * EVR_LANES));
        EVR_UNROLL
        for (int t = 0; t < R * K; t++) {
          const float *const from = at[t / K] + t % K * tap[t / K];
          EVR_UNROLL
          for (int v = 0; v < V; v++)
            acc[t * V + v] = vf_fma(vf_load(from + v * EVR_LANES), value[v], acc[t * V + v]);
        }
        EVR_UNROLL
        for (int v = 0; v < V; v++) added[v] = vf_add(added[v], value[v]);
        EVR_UNROLL
        for (int r = 0; r < R; r++) at[r] += step[r];
      }
      if (i >= width) break;
      vf value[MOST_VECTORS];
      EVR_UNROLL
      for (int v = 0; v < V; v++) {
        value[v] = vf_once(vf_load(g + v * EVR_LANES));
        added[v] = vf_add(added[v], value[v]);
      }
      const int64_t *const offsets = w->offsets + i * w->kernel_width + kw;
      EVR_UNROLL
      for (int t = 0; t < R * K; t++) {
        const int64_t offset = offsets[t % K];
        const float *const from = row[t / K] == NULL || offset < 0 ? zeros : row[t / K] + offset;
        EVR_UNROLL
        for (int v = 0; v < V; v++)
          acc[t * V + v] = vf_fma(vf_load(from + v * EVR_LANES), value[v], acc[t * V + v]);
      }
    }
  }
  EVR_UNROLL
  for (int t = 0; t < R * K; t++) {
    EVR_UNROLL
    for (int v = 0; v < V; v++)
      evr_gradient_add(sums + (t * V + v) * EVR_LANES, acc[t * V + v], first, EVR_LANES);
  }
  if (bias == NULL) return;
  EVR_UNROLL
  for (int v = 0; v < V; v++) evr_gradient_add(bias + v * EVR_LANES, added[v], first, lanes);
}

#define SUM_ROW(k) \
  case k: sum_taps(w, 1, k, V, kh, kw, first, sums, lanes, bias); break;

/* All taps of one block. */
EVR_INLINE void sum_block(const view *w, const int V, int64_t kernel_height, bool by_rows,
                          bool first, float *sums, int64_t lanes, float *bias) {
  if (9 * V + 2 * V <= EVR_REGISTERS && kernel_height == 3 && w->kernel_width == 3 && !by_rows) {
    sum_taps(w, 3, 3, V, 0, 0, first, sums, lanes, bias);
    return;
  }
  for (int64_t kh = 0; kh < kernel_height; kh++)
    for (int64_t kw = 0, count; kw < w->kernel_width; kw += count) {
      count = evr_min(MOST_TAPS, w->kernel_width - kw);
      switch (count) {
        SUM_ROW(1)
        SUM_ROW(2)
        SUM_ROW(3)
        SUM_ROW(4)
        default: sum_taps(w, 1, MOST_TAPS, V, kh, kw, first, sums, lanes, bias); break;
      }
      sums += count * V * EVR_LANES;
      bias = NULL;
    }
}

/* What depends on neither image nor block. */
static view make_view(const job *j, int64_t *offsets) {
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  view w = {.pixel = d->in_channels,
            .line = d->in_width * d->in_channels,
            .g_pixel = d->out_channels,
            .height = d->in_height,
            .pad_top = d->pad_top,
            .pad_mode = d->pad_mode,
            .width = p->sizes.conv_width,
            .step_h = d->stride_height,
            .step_w = d->stride_width,
            .dilation_h = d->dilation_height,
            .dilation_w = d->dilation_width,
            .kernel_width = d->kernel_width,
            .offsets = offsets};
  return w;
}

/* Fills the offsets, of a view whose columns are so many beside a padding. */
static void find_columns(view *w, int64_t columns, int64_t pad, int64_t *offsets) {
  const int64_t reach = (w->kernel_width - 1) * w->dilation_w;
  w->inner = w->outer = w->width;
  for (int64_t i = 0; i < w->width; i++) {
    const int64_t begin = i * w->step_w - pad;
    const bool inside = begin >= 0 && begin + reach < columns;
    if (inside && w->inner == w->width) w->inner = i;
    if (!inside && w->inner < w->width && w->outer == w->width) w->outer = i;
    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
      const int64_t iw = evr_source_pixel(begin + kw * w->dilation_w, columns, w->pad_mode);
      *offsets++ = iw < 0 ? -1 : iw * w->pixel;
    }
  }
}

/* A copied block: output rows [row, row + rows) of image n, one vector of channels. */
static void copy_block(const job *j, view *w, int64_t n, int64_t row, int64_t rows, int64_t channel,
                       int64_t lanes, float *x, float *g) {
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  evr_backward_take_g(p, j->call->g, n, row, rows * w->width, channel, lanes, EVR_LANES, g);
  w->g = g;
  w->x = x;
  w->first_row = 0;
  if (j->call->dweights == NULL) return;
  const int64_t in_rows = (rows - 1) * w->step_h + (d->kernel_height - 1) * d->dilation_height + 1;
  for (int64_t i = 0; i < in_rows; i++) {
    const int64_t ih =
        evr_source_pixel(row * w->step_h + i - d->pad_top, d->in_height, d->pad_mode);
    evr_backward_take_row(p, j->call->x, n, ih, channel, lanes, EVR_LANES,
                          x + i * b->in_width * EVR_LANES);
  }
}

/* The sums of one block, or of g alone. */
static void add_block(const job *j, const view *w, int64_t vectors, bool first, float *sums,
                      int64_t channel, int64_t lanes) {
  const evr_conv2d_backward_weights_call *call = j->call;
  float *bias = call->dbias != NULL ? call->dbias + channel : NULL;
  const int64_t kernel_height = j->p->desc.kernel_height;
  if (call->dweights != NULL && vectors == 2) {
    sum_block(w, 2, kernel_height, j->b.by_rows, first, sums, EVR_LANES, bias);
    return;
  }
  if (call->dweights != NULL) {
    sum_block(w, 1, kernel_height, false, first, sums, lanes, bias);
    return;
  }
  for (int64_t v = 0; v < vectors; v++) {
    vf sum = vf_zero();
    for (int64_t i = 0; i < w->lines * w->width; i++)
      sum = vf_add(sum, vf_load(w->g + i * w->g_pixel + v * EVR_LANES));
    evr_gradient_add(bias + v * EVR_LANES, sum, first, lanes);
  }
}

/* Finished sums to where they belong. */
static void write_sums(const job *j, const float *sums, int64_t vectors, int64_t channel,
                       int64_t lanes) {
  const evr_conv2d_desc *d = &j->p->desc;
  const int64_t taps = j->b.taps;
  float *dweights = j->call->dweights;
  for (int64_t tap = 0; tap < taps; tap++)
    for (int64_t v = 0; v < vectors; v++, sums += EVR_LANES) {
      const int64_t c = channel + v * EVR_LANES;
      if (d->filter_layout == EVR_HWIO)
        vf_store_n(dweights + tap * d->in_channels + c, vf_load(sums), lanes);
      else
        for (int64_t i = 0; i < lanes; i++) dweights[(c + i) * taps + tap] = sums[i];
    }
}

/* The pixels of a row of the padded image; row 0 of the image itself is at x. What a task reads its
 * image through: rows[row modulo EVR_TAPS_WIDTH][column]. */
static void list_row(const job *j, const float **rows, const float *x, int64_t row) {
  const evr_conv2d_desc *d = &j->p->desc;
  const int64_t ih = evr_source_pixel(row - d->pad_top, d->in_height, d->pad_mode);
  const int64_t columns = j->b.columns, *const offsets = j->offsets;
  const float *const zeros = j->zeros, **const list = rows + row % EVR_TAPS_WIDTH * columns;
  if (ih < 0) {
    for (int64_t i = 0; i < columns; i++) list[i] = zeros;
    return;
  }
  const float *const from = x + ih * d->in_width * d->in_channels;
  for (int64_t i = 0; i < columns; i++) list[i] = offsets[i] < 0 ? zeros : from + offsets[i];
}

/* What a task of tiles takes of an image: from its first channel on. */
typedef struct tiled {
  const float *x, *g, **rows;
  int64_t vectors;
  float *sums; /* of a block */
} tiled;

static tiled tiles_of(const job *j, int64_t n, int64_t vector, int64_t vectors) {
  const evr_conv2d_desc *d = &j->p->desc;
  const int64_t g_pixels = j->p->sizes.conv_height * j->p->sizes.conv_width;
  const int64_t channel = vector * EVR_LANES;
  return (tiled){.x = j->call->x + n * d->in_height * d->in_width * d->in_channels + channel,
                 .g = j->call->g + n * g_pixels * d->in_channels + channel,
                 .vectors = vectors};
}

/* Output rows [begin, end), one at a time. */
static void add_rows(const job *j, const tiled *t, int64_t begin, int64_t end) {
  const evr_conv2d_desc *d = &j->p->desc;
  const int64_t width = j->p->sizes.conv_width, columns = j->b.columns;
  evr_taps_row row = {
      .g_pixel = d->in_channels, .width = width, .vectors = t->vectors, .sums = t->sums};
  int64_t listed = 0;
  for (int64_t oh = begin; oh < end; oh++) {
    const int64_t top = oh * d->stride_height;
    for (listed = evr_max(listed, top); listed < top + EVR_TAPS_WIDTH; listed++)
      list_row(j, t->rows, t->x, listed);
    for (int64_t kh = 0; kh < EVR_TAPS_WIDTH; kh++)
      row.pixels[kh] = t->rows + (top + kh) % EVR_TAPS_WIDTH * columns;
    row.g = t->g + oh * width * d->in_channels;
    j->b.add_row(&row);
  }
}

/* The same, by the rows of the image that they reach. */
static void add_lines(const job *j, const tiled *t, int64_t begin, int64_t end) {
  const int64_t channels = j->p->desc.in_channels, width = j->p->sizes.conv_width;
  const int64_t last = (end - 1) * EVR_LINES_STRIDE + EVR_TAPS_WIDTH;
  for (int64_t row = begin * EVR_LINES_STRIDE; row < last; row++) {
    list_row(j, t->rows, t->x, row);
    evr_taps_line line = {.pixels = t->rows + row % EVR_TAPS_WIDTH * j->b.columns,
                          .width = width,
                          .vectors = t->vectors,
                          .g_pixel = channels,
                          .sums = t->sums};
    for (int64_t kh = row % EVR_LINES_STRIDE; kh < EVR_TAPS_WIDTH; kh += EVR_LINES_STRIDE) {
      const int64_t oh = (row - kh) / EVR_LINES_STRIDE;
      if (row < kh || oh < begin || oh >= end) continue;
      line.use[line.uses].kh = kh;
      line.use[line.uses++].g = t->g + oh * width * channels;
    }
    evr_lines_add(&line);
  }
}

/* The sums of a block, of which that row is the first, to those at sums. */
static void add_tiles(const job *j, const tiled *t, int64_t row) {
  const int64_t end = evr_min(row + j->b.block_rows, j->p->sizes.conv_height);
  /* Where registers are too few, nothing of it is compiled. */
  if (EVR_REGISTERS >= 32 && j->b.by_lines)
    add_lines(j, t, row, end);
  else
    add_rows(j, t, row, end);
}

/* All sums of some vectors. */
static void write_tiles(const job *j, const float *sums, int64_t vector, int64_t vectors) {
  for (int64_t v = 0; v < vectors; v++, sums += EVR_TAPS_SUMS * EVR_LANES) {
    const int64_t c = (vector + v) * EVR_LANES;
    write_sums(j, sums, 1, c, EVR_LANES);
    if (j->call->dbias != NULL) vf_store(j->call->dbias + c, vf_load(sums + j->b.taps * EVR_LANES));
  }
}

/* A task of tiles: vectors from one on, through all images. */
static void run_tiles(const job *j, int64_t vector, int64_t vectors, const float **rows,
                      float *sums) {
  const int64_t floats = vectors * EVR_TAPS_SUMS * EVR_LANES;
  float *const block = sums + floats;
  memset(sums, 0, 2 * (size_t)floats * sizeof *sums);
  for (int64_t n = 0; n < j->p->desc.batch; n++) {
    tiled t = tiles_of(j, n, vector, vectors);
    t.rows = rows;
    t.sums = block;
    for (int64_t row = 0; row < j->p->sizes.conv_height; row += j->b.block_rows) {
      add_tiles(j, &t, row);
      for (int64_t i = 0; i < floats; i += EVR_LANES) {
        vf_store(sums + i, vf_add(vf_load(sums + i), vf_load(block + i)));
        vf_store(block + i, vf_zero());
      }
    }
  }
  write_tiles(j, sums, vector, vectors);
}

/* A task of tiles: a block, or a thread's vectors of one of the last, which all threads share. */
static void run_block(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const blocking *b = &j->b;
  const int64_t threads = b->threads, own = task / b->thread_tasks, i = task % b->thread_tasks;
  int64_t block = own * b->thread_blocks + i, vector = 0, end = b->in_place;
  if (i >= b->thread_blocks) {
    block = threads * b->thread_blocks + i - b->thread_blocks;
    vector = own * b->in_place / threads;
    end = (own + 1) * b->in_place / threads;
    if (vector == end) return;
  }
  const int64_t rows = evr_ceil_div(j->p->sizes.conv_height, b->block_rows);
  const int64_t pitch = EVR_TAPS_SUMS * EVR_LANES;
  tiled t = tiles_of(j, block / rows, vector, end - vector);
  t.rows = (const float **)(void *)((char *)j->call->workspace + (size_t)slot * b->slot_bytes);
  t.sums = j->kept + (block * b->in_place + vector) * pitch;
  memset(t.sums, 0, (size_t)((end - vector) * pitch) * sizeof *t.sums);
  add_tiles(j, &t, block % rows * b->block_rows);
}

/* Adds up the sums of blocks, of one vector of channels. */
static void add_blocks(void *argument, int64_t vector, int slot) {
  const job *j = argument;
  const int64_t pitch = EVR_TAPS_SUMS * EVR_LANES;
  float sums[EVR_TAPS_SUMS * EVR_LANES] = {0.0f};
  (void)slot;
  const float *from = j->kept + vector * pitch;
  for (int64_t block = 0; block < j->b.blocks; block++, from += j->b.in_place * pitch)
    for (int64_t i = 0; i < pitch; i += EVR_LANES)
      vf_store(sums + i, vf_add(vf_load(sums + i), vf_load(from + i)));
  write_tiles(j, sums, vector, 1);
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  const int64_t units = evr_ceil_div(b->in_place, b->unit), channels = p->desc.in_channels;
  const bool copied = task >= units;
  const int64_t vector = copied ? b->in_place + task - units : task * b->unit;
  const int64_t vectors = copied ? 1 : evr_min(b->unit, b->in_place - vector);
  const int64_t channel = vector * EVR_LANES, lanes = evr_min(EVR_LANES, channels - channel);
  char *scratch = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  float *x = (float *)(void *)scratch, *g = (float *)(void *)(scratch + b->x_bytes);
  float *sums = (float *)(void *)(scratch + b->x_bytes + b->g_bytes);
  scratch += b->x_bytes + b->g_bytes + b->sums_bytes;
  int64_t *offsets = (int64_t *)(void *)scratch;
  if (!copied && b->add_row != NULL && j->call->dweights != NULL) {
    run_tiles(j, vector, vectors, (const float **)(void *)(scratch + b->offset_bytes), sums);
    return;
  }
  const int64_t height = p->sizes.conv_height, plane = height * p->sizes.conv_width;
  view w = make_view(j, offsets);
  if (copied) {
    w.pixel = w.g_pixel = EVR_LANES;
    w.line = b->in_width * EVR_LANES;
    w.height = b->in_rows;
    w.pad_top = 0;
    w.pad_mode = EVR_PAD_ZERO;
    find_columns(&w, b->in_width, 0, offsets);
  } else {
    find_columns(&w, p->desc.in_width, p->desc.pad_left, offsets);
  }
  for (int64_t n = 0; n < p->desc.batch; n++)
    for (int64_t row = 0; row < height; row += b->block_rows) {
      w.lines = evr_min(b->block_rows, height - row);
      if (copied) {
        copy_block(j, &w, n, row, w.lines, channel, lanes, x, g);
      } else {
        w.g = j->call->g + (n * plane + row * w.width) * channels + channel;
        w.x = j->call->dweights != NULL ? j->call->x + n * p->desc.in_height * w.line + channel
                                        : NULL;
        w.first_row = row;
      }
      add_block(j, &w, vectors, n == 0 && row == 0, sums, channel, lanes);
    }
  if (j->call->dweights != NULL) write_sums(j, sums, vectors, channel, lanes);
}

/* What tasks of tiles share. */
static void prepare_tiles(job *j) {
  const evr_conv2d_desc *d = &j->p->desc;
  const blocking *b = &j->b;
  for (int64_t i = 0; i < b->columns; i++) {
    const int64_t iw = evr_source_pixel(i - d->pad_left, d->in_width, d->pad_mode);
    j->offsets[i] = iw < 0 ? -1 : iw * d->in_channels;
  }
  memset(j->zeros, 0, b->zero_bytes);
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_problem conv = evr_without_idle_strides(&p->conv);
  evr_parallel parallel = p->common.parallel;
  job j = {.p = &conv, .call = call, .b = make_blocking(p)};
  if (j.b.add_row == NULL || j.call->dweights == NULL) {
    evr_parallel_for(&parallel, j.b.tasks, run_task, &j);
    return;
  }
  char *shared = (char *)j.call->workspace + (size_t)parallel.threads * j.b.slot_bytes;
  j.offsets = (int64_t *)(void *)shared;
  j.zeros = (float *)(void *)(shared + j.b.column_bytes);
  j.kept = (float *)(void *)(shared + j.b.column_bytes + j.b.zero_bytes);
  prepare_tiles(&j);
  if (!j.b.by_blocks) {
    evr_parallel_for(&parallel, j.b.tasks, run_task, &j);
    return;
  }
  evr_parallel_for(&parallel, parallel.threads * j.b.thread_tasks, run_block, &j);
  if (j.b.kept_bytes <= SERIAL_FLOATS * sizeof(float)) parallel.threads = 1;
  evr_parallel_for(&parallel, j.b.in_place, add_blocks, &j);
}

/* A load and a product for each tap; and the copies. So it is without tiles, which take less than
 * that, or as much. */
static double cost(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  const blocking b = make_blocking(p);
  const double blocks =
      (double)p->conv.desc.batch * (double)p->conv.sizes.conv_height / (double)b.block_rows;
  const double step = EVR_LANES == 1 ? 3.0 : EVR_LANES == 16 ? 0.33 : 0.22;
  const double copied = (double)(evr_ceil_div(p->conv.desc.in_channels, EVR_LANES) - b.in_place);
  const double copies = 0.6 * (double)b.pixels + 0.6 * (double)b.in_rows * (double)b.in_width;
  return 150.0 + blocks * ((copied + (double)b.in_place) * (double)b.pixels *
                               (step * (double)b.taps + 0.3) +
                           copied * copies);
}

const evr_kernel EVR_NAME(evr_conv2d_backward_weights_depthwise) = {
    .accepts = accepts, .cost = cost, .workspace_size = workspace_size, .forward = forward};
