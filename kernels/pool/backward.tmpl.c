/* The backward pass of pooling, as a gathering: every pixel adds up what the windows that hold it
 * have for it, in their row-major order. So a task owns its pixels, and nothing is added to memory.
 *
 * Channels are in the lanes. Planes of NCHW are made channels by transposing a block of as many as
 * there are lanes. What the windows of a task have to give is made ready first, in scratch: for an
 * average the quotients, for a maximum without indices the winners. The common windows go by cells
 * of several pixels (cells.h), all but those at the border. */
#include <stdio.h>

#include "pool/backward.h"
#include "pool/cells.h"
#include "pool/covers.h"
#include "pool/fold.h"
#include "simd/stream.h"

/* Floats of dx in a task: with what its windows have they stay in the second cache. */
#define TASK_FLOATS 32768

/* The windows that are common, and their cells. */
static const evr_cell cells[] = {{2, 2, 2}, {3, 2, 2}, {3, 1, 2}};
enum { CELLS_2_2, CELLS_3_2, CELLS_3_1, CELLS };

static int choose_cells(const evr_pool2d_problem *p) {
  const evr_pool2d_window *w = &p->desc.window;
  if (w->dilation_height != 1 || w->dilation_width != 1 || w->kernel_height != w->kernel_width ||
      w->stride_height != w->stride_width)
    return CELLS;
  int which = 0;
  while (which < CELLS &&
         (w->kernel_height != cells[which].kernel || w->stride_height != cells[which].stride))
    which++;
  return which;
}

/* How an operation is cut into tasks: blocks of channels (NHWC) or of planes (NCHW), and bands of
 * rows of dx. */
typedef struct shape {
  const evr_pool2d_problem *problem;
  evr_axis vertical, horizontal;
  bool nhwc, average;
  int64_t images;                       /* of NHWC; blocks of planes of NCHW */
  int64_t blocks, block_channels;       /* of an image */
  int64_t bands, band_rows, band_shift; /* the first band has band_shift rows less */
  int64_t window_rows;                  /* at most, of one task */
  int64_t x_rows;
  int cells; /* CELLS: none */
} shape;

static shape make_shape(const evr_pool2d_problem *p) {
  const evr_pool2d_desc *d = &p->desc;
  shape s = {.problem = p,
             .vertical = evr_vertical_axis(p),
             .horizontal = evr_horizontal_axis(p),
             .nhwc = d->layout == EVR_NHWC,
             .average = d->window.kind == EVR_POOL_AVERAGE};
  const int threads = p->common.parallel.threads;
  s.images = s.nhwc ? d->batch : evr_ceil_div(d->batch * d->channels, EVR_LANES);
  s.block_channels = s.nhwc ? d->channels : EVR_LANES;
  /* Long rows are cut into blocks of channels, so that scratch stays small. */
  const int64_t most = evr_max(4 * EVR_LANES, evr_round_up(TASK_FLOATS / d->in_width, EVR_LANES));
  if (s.nhwc) s.block_channels = evr_min(s.block_channels, most);
  if (s.nhwc && threads > 1 && d->batch * d->in_height < 4 * threads)
    s.block_channels = evr_min(
        s.block_channels, evr_max(EVR_LANES, evr_round_up(d->channels / (4 * threads), EVR_LANES)));
  s.blocks = s.nhwc ? evr_ceil_div(d->channels, s.block_channels) : 1;
  const int64_t row = d->in_width * s.block_channels;
  s.band_rows = evr_min(d->in_height, evr_max(1, TASK_FLOATS / row));
  if (threads > 1 && s.images * s.blocks < 4 * threads)
    s.band_rows = evr_min(s.band_rows, evr_ceil_div(d->in_height, 4 * threads));
  s.cells = choose_cells(p);
  if (s.cells < CELLS) { /* bands of whole cells */
    s.band_rows = evr_round_up(s.band_rows, cells[s.cells].edge);
    s.band_shift = s.vertical.before % cells[s.cells].stride;
  }
  s.bands = evr_ceil_div(d->in_height + s.band_shift, s.band_rows);
  s.window_rows = evr_cover_most(&s.vertical, p->sizes.out_height, s.band_rows);
  const evr_axis *v = &s.vertical;
  s.x_rows = evr_min(v->in, (s.window_rows - 1) * v->stride + (v->kernel - 1) * v->dilation + 1);
  return s;
}

/* Scratch of one task. Pixels of all of it are block_channels apart. */
typedef struct scratch {
  float *given;     /* quotients, or dy */
  int32_t *winners; /* of a maximum or minimum */
  float *x, *dx;    /* of NCHW */
} scratch;

/* Lays it out from memory on, and gives its bytes; memory NULL: only these. Whole squares are
 * transposed, so there is room for EVR_LANES more pixels. */
static size_t lay_out(const shape *s, char *memory, scratch *result) {
  const evr_pool2d_problem *p = s->problem;
  const size_t windows =
      evr_size_floats_of(s->window_rows * p->sizes.out_width + EVR_LANES, s->block_channels, 1, 1);
  const size_t given = windows;
  const size_t winners = s->average ? 0 : windows;
  const size_t x =
      s->average || s->nhwc
          ? 0
          : evr_size_floats_of(s->x_rows * p->desc.in_width + EVR_LANES, EVR_LANES, 1, 1);
  const size_t dx =
      s->nhwc ? 0
              : evr_size_floats_of(s->band_rows * p->desc.in_width + EVR_LANES, EVR_LANES, 1, 1);
  if (memory != NULL) {
    result->given = (float *)(void *)memory;
    result->winners = (int32_t *)(void *)(memory + given);
    result->x = (float *)(void *)(memory + given + winners);
    result->dx = (float *)(void *)(memory + given + winners + x);
  }
  return evr_size_sum(evr_size_sum(given, winners), evr_size_sum(x, dx));
}

static size_t covers_bytes(const shape *s) {
  return evr_size_lines(evr_size_product((size_t)s->problem->desc.in_width, sizeof(evr_cover)));
}

static size_t workspace_size(const void *problem) {
  const shape s = make_shape(problem);
  const size_t threads = (size_t)s.problem->common.parallel.threads;
  return evr_size_sum(covers_bytes(&s), evr_size_product(threads, lay_out(&s, NULL, NULL)));
}

/* What a task gathers from, and to. */
typedef struct job {
  const shape *shape;
  const evr_cover *columns; /* of each pixel of a row */
  int64_t channels;         /* in this block */
  int64_t row, rows;        /* of dx */
  int64_t first, end;       /* rows of windows that hold one of these */
  const float *given;       /* of the first of these rows on */
  const int32_t *winners;   /* likewise; NULL: of an average */
  int64_t given_pixel;      /* floats from window to window */
  float *dx;                /* of the first row on */
  int64_t dx_pixel;
  bool past; /* dx goes past the caches */
} job;

/* vectors of channels (of EVR_LANES, or one of fewer lanes) of one pixel; at: the offset of the
 * first window that holds it. */
EVR_INLINE void gather_vectors(bool indexed, bool past, int vectors, int64_t lanes,
                               const float *given, const int32_t *winners, int64_t rows,
                               int64_t row_step, int64_t columns, int64_t column_step, vi index,
                               float *dx) {
  vf sum[4];
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) sum[v] = vf_zero();
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      const int64_t at = r * row_step + c * column_step;
      EVR_UNROLL
      for (int v = 0; v < vectors; v++) {
        vf value = evr_load_lanes(given + at + v * EVR_LANES, lanes);
        if (indexed) {
          const vi winner = evr_load_index_lanes(winners + at + v * EVR_LANES, lanes);
          value = vf_select(vi_eq(winner, index), value, vf_zero());
        }
        sum[v] = vf_add(sum[v], value);
      }
    }
  EVR_UNROLL
  for (int v = 0; v < vectors; v++)
    if (past)
      vf_stream(dx + v * EVR_LANES, sum[v]);
    else
      evr_store_lanes(dx + v * EVR_LANES, sum[v], lanes);
}

/* All channels of one pixel. rows and columns are constants where they are 1. */
EVR_INLINE void gather_pixel(bool indexed, bool past, int64_t channels, const float *given,
                             const int32_t *winners, int64_t rows, int64_t row_step,
                             int64_t columns, int64_t column_step, int64_t index, float *dx) {
  const vi own = vi_set1(indexed ? (int32_t)index : 0);
  int64_t c = 0;
  for (; c + 4 * EVR_LANES <= channels; c += 4 * EVR_LANES)
    gather_vectors(indexed, past, 4, EVR_LANES, given + c, indexed ? winners + c : NULL, rows,
                   row_step, columns, column_step, own, dx + c);
  for (; c + EVR_LANES <= channels; c += EVR_LANES)
    gather_vectors(indexed, past, 1, EVR_LANES, given + c, indexed ? winners + c : NULL, rows,
                   row_step, columns, column_step, own, dx + c);
  if (c < channels)
    gather_vectors(indexed, false, 1, channels - c, given + c, indexed ? winners + c : NULL, rows,
                   row_step, columns, column_step, own, dx + c);
}

static inline int64_t windows_of(const evr_cover *c) {
  return c->first >= c->end ? 0
         : c->step == 1     ? c->end - c->first
                            : (c->end - c->first - 1) / c->step + 1;
}

/* Pixels [from, to) of a row; dx: of the first of the row. */
EVR_INLINE void gather_row(bool indexed, bool past, int64_t channels, const job *j, int64_t ih,
                           int64_t from, int64_t to, float *dx) {
  const evr_pool2d_problem *p = j->shape->problem;
  const int64_t width = p->desc.in_width, out_width = p->sizes.out_width;
  const evr_cover cover = evr_cover_of(&j->shape->vertical, p->sizes.out_height, ih);
  const int64_t rows = windows_of(&cover);
  const evr_cover *all_columns = j->columns; /* stores to dx might change what j points to */
  const float *all_given = j->given;
  const int32_t *all_winners = j->winners;
  const int64_t pixel = j->given_pixel, dx_pixel = j->dx_pixel;
  const int64_t row_step = cover.step * out_width * pixel;
  const int64_t start = rows > 0 ? (cover.first - j->first) * out_width : 0;
  dx += from * dx_pixel;
  for (int64_t iw = from; iw < to; iw++, dx += dx_pixel) {
    const evr_cover *column = &all_columns[iw];
    const int64_t columns = rows > 0 ? windows_of(column) : 0;
    const int64_t at = columns > 0 ? (start + column->first) * pixel : 0;
    const float *given = all_given + at;
    const int32_t *winners = indexed ? all_winners + at : NULL;
    const int64_t step = column->step * pixel, index = ih * width + iw;
    if (rows == 1 && columns == 1)
      gather_pixel(indexed, past, channels, given, winners, 1, 0, 1, 0, index, dx);
    else
      gather_pixel(indexed, past, channels, given, winners, rows, row_step, columns, step, index,
                   dx);
  }
}

/* Four functions: as one, gcc 12 made of it 5 x 5 averages that took 1.3 times as long (AVX2). */
#define PIXELS_OF(name, indexed, past)                                                           \
  static __attribute__((noinline)) void name(const job *j, int64_t ih, int64_t from, int64_t to, \
                                             float *dx) {                                        \
    if (j->channels == EVR_LANES)                                                                \
      gather_row(indexed, past, EVR_LANES, j, ih, from, to, dx);                                 \
    else                                                                                         \
      gather_row(indexed, past, j->channels, j, ih, from, to, dx);                               \
  }
PIXELS_OF(gather_won, true, false)
PIXELS_OF(gather_won_past, true, true)
PIXELS_OF(gather_shares, false, false)
PIXELS_OF(gather_shares_past, false, true)

/* What no cell covers. Compiled once, and not for each kind of cells. */
static void gather_pixels(const job *j, int64_t ih, int64_t from, int64_t to, float *dx) {
  if (j->winners != NULL)
    (j->past ? gather_won_past : gather_won)(j, ih, from, to, dx);
  else
    (j->past ? gather_shares_past : gather_shares)(j, ih, from, to, dx);
}

EVR_INLINE void run_cells_of(evr_cell k, const job *j, const evr_cell_job *c) {
  const bool indexed = j->winners != NULL;
  if (j->channels == EVR_LANES && indexed && !j->past) /* as all blocks of NCHW */
    evr_cell_row(k, true, false, EVR_LANES, c);
  else if (j->channels == EVR_LANES && !j->past)
    evr_cell_row(k, false, false, EVR_LANES, c);
  else if (indexed && j->past)
    evr_cell_row(k, true, true, j->channels, c);
  else if (indexed)
    evr_cell_row(k, true, false, j->channels, c);
  else if (j->past)
    evr_cell_row(k, false, true, j->channels, c);
  else
    evr_cell_row(k, false, false, j->channels, c);
}

static void run_cells(const job *j, const evr_cell_job *c) {
  switch (j->shape->cells) {
    case CELLS_2_2: run_cells_of(cells[CELLS_2_2], j, c); break;
    case CELLS_3_2: run_cells_of(cells[CELLS_3_2], j, c); break;
    case CELLS_3_1: run_cells_of(cells[CELLS_3_1], j, c); break;
    default: break;
  }
}

/* Cells from row ih on, and the pixels beside them. */
static void gather_cells(const job *j, int64_t ih, const evr_cell_range *columns, float *dx) {
  const evr_cell k = cells[j->shape->cells];
  const evr_pool2d_problem *p = j->shape->problem;
  const evr_axis *v = &j->shape->vertical, *h = &j->shape->horizontal;
  const int64_t width = p->desc.in_width, out_width = p->sizes.out_width;
  const int64_t oh = (ih + v->before) / k.stride - evr_cell_back(k) - j->first;
  const int64_t ow = (columns->first + h->before) / k.stride - evr_cell_back(k);
  const int64_t at = (oh * out_width + ow) * j->given_pixel;
  const evr_cell_job c = {.given = j->given + at,
                          .winners = j->winners != NULL ? j->winners + at : NULL,
                          .window = j->given_pixel,
                          .row = out_width * j->given_pixel,
                          .width = width,
                          .index = ih * width + columns->first,
                          .dx = dx + columns->first * j->dx_pixel,
                          .pixel = j->dx_pixel,
                          .dx_row = width * j->dx_pixel,
                          .cells = (columns->end - columns->first) / k.edge};
  run_cells(j, &c);
  const int64_t end = columns->first + c.cells * k.edge;
  for (int e = 0; e < k.edge; e++, dx += c.dx_row) {
    gather_pixels(j, ih + e, 0, columns->first, dx);
    gather_pixels(j, ih + e, end, width, dx);
  }
}

/* Whether dx is so large that it may go past the caches, and each vector of it aligned. */
static bool goes_past(const job *j) {
  const int64_t bytes = j->shape->problem->sizes.x_count * (int64_t)sizeof(float);
  return EVR_STREAMS && j->shape->nhwc && bytes >= EVR_PAST_CACHES &&
         j->dx_pixel % EVR_LANES == 0 && (uintptr_t)j->dx % (EVR_LANES * sizeof(float)) == 0;
}

static void gather(job *j) {
  const shape *s = j->shape;
  const int64_t width = s->problem->desc.in_width, end = j->row + j->rows;
  evr_cell_range rows = {0, 0}, columns = {0, 0};
  evr_cell k = {1, 1, 1};
  if (s->cells < CELLS) {
    k = cells[s->cells];
    rows = evr_cells_of(&s->vertical, s->problem->sizes.out_height, k);
    columns = evr_cells_of(&s->horizontal, s->problem->sizes.out_width, k);
  }
  j->past = goes_past(j);
  for (int64_t ih = j->row; ih < end;) {
    float *dx = j->dx + (ih - j->row) * width * j->dx_pixel;
    const bool whole = columns.end > 0 && ih >= rows.first && (ih - rows.first) % k.stride == 0 &&
                       ih + k.edge <= evr_min(rows.end, end);
    if (whole)
      gather_cells(j, ih, &columns, dx);
    else
      gather_pixels(j, ih, 0, width, dx);
    ih += whole ? k.edge : 1;
  }
  if (j->past) evr_stream_end();
}

/* dy / count of every window of the rows, from dy (windows pixel floats apart) to scratch. */
static void divide(const shape *s, int64_t first, int64_t end, int64_t channels, const float *dy,
                   int64_t pixel, float *quotients) {
  const int64_t width = s->problem->sizes.out_width;
  for (int64_t oh = first; oh < end; oh++) {
    const evr_taps rows = evr_taps_of(&s->vertical, oh);
    for (int64_t ow = 0; ow < width; ow++, dy += pixel, quotients += s->block_channels) {
      const evr_taps columns = evr_taps_of(&s->horizontal, ow);
      const float divisor = evr_divisor(rows.counted, columns.counted);
      const float inverse = evr_exact_inverse(divisor);
      for (int64_t c = 0; c < channels; c += EVR_LANES) {
        const int64_t lanes = evr_min(EVR_LANES, channels - c);
        const vf value = evr_load_lanes(dy + c, lanes);
        evr_store_lanes(
            quotients + c,
            inverse != 0.0f ? vf_mul(value, vf_set1(inverse)) : vf_div(value, vf_set1(divisor)),
            lanes);
      }
    }
  }
}

/* Winners of one window for at most EVR_LANES channels. x: of the image's first pixel on. */
EVR_INLINE vi find_winner(evr_pool_kind kind, const shape *s, const evr_taps *rows,
                          const evr_taps *columns, const float *x, int64_t pixel, int64_t x_row,
                          int64_t lanes) {
  const evr_axis *v = &s->vertical, *h = &s->horizontal;
  const bool any = rows->end > rows->first && columns->end > columns->first;
  const int64_t row = rows->start + rows->first * v->dilation;
  const int64_t column = columns->start + columns->first * h->dilation;
  evr_fold f = evr_fold_begin(kind, vi_set1(any ? (int32_t)(row * h->in + column) : -1));
  for (int64_t kh = rows->first; kh < rows->end; kh++)
    for (int64_t kw = columns->first; kw < columns->end; kw++) {
      const int64_t ih = rows->start + kh * v->dilation, iw = columns->start + kw * h->dilation;
      evr_fold_pixel(kind, true, &f, evr_load_lanes(x + ((ih - x_row) * h->in + iw) * pixel, lanes),
                     vi_set1((int32_t)(ih * h->in + iw)));
    }
  return f.index;
}

/* Of every window of the rows, to scratch. x: of row x_row on. */
EVR_INLINE void find_winners_of(evr_pool_kind kind, const shape *s, int64_t first, int64_t end,
                                int64_t channels, const float *x, int64_t pixel, int64_t x_row,
                                int32_t *winners) {
  const int64_t width = s->problem->sizes.out_width;
  for (int64_t oh = first; oh < end; oh++) {
    const evr_taps rows = evr_taps_of(&s->vertical, oh);
    for (int64_t ow = 0; ow < width; ow++, winners += s->block_channels) {
      const evr_taps columns = evr_taps_of(&s->horizontal, ow);
      int64_t c = 0;
      for (; c + EVR_LANES <= channels; c += EVR_LANES)
        vi_store(winners + c,
                 find_winner(kind, s, &rows, &columns, x + c, pixel, x_row, EVR_LANES));
      if (c < channels)
        vi_store_n(winners + c,
                   find_winner(kind, s, &rows, &columns, x + c, pixel, x_row, channels - c),
                   channels - c);
    }
  }
}

static void find_winners(const shape *s, int64_t first, int64_t end, int64_t channels,
                         const float *x, int64_t pixel, int64_t x_row, int32_t *winners) {
  if (s->problem->desc.window.kind == EVR_POOL_MAX)
    find_winners_of(EVR_POOL_MAX, s, first, end, channels, x, pixel, x_row, winners);
  else
    find_winners_of(EVR_POOL_MIN, s, first, end, channels, x, pixel, x_row, winners);
}

/* count pixels of a block of planes become channels. */
static void planes_in(const float *from, int64_t plane, int64_t planes, int64_t count, float *to) {
  for (int64_t at = 0; at < count; at += EVR_LANES) {
    const int64_t n = evr_min(EVR_LANES, count - at);
    vf pixels[EVR_LANES];
    if (planes == EVR_LANES && n == EVR_LANES) {
      EVR_UNROLL
      for (int j = 0; j < EVR_LANES; j++) pixels[j] = vf_load(from + j * plane + at);
    } else {
      for (int j = 0; j < EVR_LANES; j++)
        pixels[j] = j < planes ? vf_load_n(from + j * plane + at, n) : vf_zero();
    }
    vf_transpose(pixels);
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++) vf_store(to + (at + i) * EVR_LANES, pixels[i]);
  }
}

static void winners_in(const int32_t *from, int64_t plane, int64_t planes, int64_t count,
                       int32_t *to) {
  for (int64_t at = 0; at < count; at += EVR_LANES) {
    const int64_t n = evr_min(EVR_LANES, count - at);
    vf pixels[EVR_LANES];
    for (int j = 0; j < EVR_LANES; j++)
      pixels[j] = j < planes ? vi_as_vf(vi_load_n(from + j * plane + at, n)) : vf_zero();
    vf_transpose(pixels);
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++) vi_store(to + (at + i) * EVR_LANES, vf_bits(pixels[i]));
  }
}

static void planes_out(const float *from, int64_t count, int64_t plane, int64_t planes, float *to) {
  for (int64_t at = 0; at < count; at += EVR_LANES) {
    const int64_t n = evr_min(EVR_LANES, count - at);
    vf rows[EVR_LANES];
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++) rows[i] = vf_load(from + (at + i) * EVR_LANES);
    vf_transpose(rows);
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++)
      if (j < planes) evr_store_lanes(to + j * plane + at, rows[j], n);
  }
}

typedef struct work {
  shape shape;
  const evr_pool2d_backward_call *call;
  const evr_cover *columns;
  char *scratch; /* of the first slot */
  size_t slot_bytes;
} work;

/* Rows of windows that hold a row of the task. */
static void find_window_rows(job *j) {
  const int64_t out = j->shape->problem->sizes.out_height;
  const evr_axis *v = &j->shape->vertical;
  const int64_t least = j->row + v->before - (v->kernel - 1) * v->dilation;
  j->first = least > 0 ? evr_ceil_div(least, v->stride) : 0;
  j->end = evr_min(out, (j->row + j->rows - 1 + v->before) / v->stride + 1);
  if (j->end < j->first) j->end = j->first;
}

/* The first row of x that the windows of the task look at, and how many. */
static int64_t find_x_rows(const job *j, int64_t *rows) {
  const evr_axis *v = &j->shape->vertical;
  const int64_t first = evr_max(0, j->first * v->stride - v->before);
  const int64_t last = (j->end - 1) * v->stride - v->before + (v->kernel - 1) * v->dilation;
  *rows = evr_max(0, evr_min(v->in - 1, last) - first + 1);
  return first;
}

static void run_channels(const work *w, job *j, int64_t image, int64_t channel,
                         const scratch *room) {
  const shape *s = j->shape;
  const evr_pool2d_problem *p = s->problem;
  const int64_t pixel = p->desc.channels;
  const int64_t out = (image * p->y_plane + j->first * p->sizes.out_width) * pixel + channel;
  const int64_t in = image * p->x_plane * pixel + channel;
  const float *dy = w->call->dy + out;
  j->dx = w->call->dx + in + j->row * p->desc.in_width * pixel;
  j->dx_pixel = pixel;
  j->given = dy;
  j->given_pixel = pixel;
  if (s->average) {
    divide(s, j->first, j->end, j->channels, dy, pixel, room->given);
    j->given = room->given;
    j->given_pixel = s->block_channels;
  } else if (w->call->indices != NULL) {
    j->winners = w->call->indices + out;
  } else {
    find_winners(s, j->first, j->end, j->channels, w->call->x + in, pixel, 0, room->winners);
    j->winners = room->winners;
    if (s->block_channels != pixel) { /* both are gathered with one step */
      const int64_t windows = (j->end - j->first) * p->sizes.out_width;
      for (int64_t i = 0; i < windows; i++)
        memcpy(room->given + i * s->block_channels, dy + i * pixel,
               (size_t)j->channels * sizeof *dy);
      j->given = room->given;
      j->given_pixel = s->block_channels;
    }
  }
  gather(j);
}

static void run_planes(const work *w, job *j, int64_t block, const scratch *room) {
  const shape *s = j->shape;
  const evr_pool2d_problem *p = s->problem;
  const int64_t width = p->desc.in_width, plane = block * EVR_LANES;
  const int64_t planes = evr_min(EVR_LANES, p->desc.batch * p->desc.channels - plane);
  const int64_t windows = (j->end - j->first) * p->sizes.out_width;
  const int64_t out = plane * p->y_plane + j->first * p->sizes.out_width;
  planes_in(w->call->dy + out, p->y_plane, planes, windows, room->given);
  if (s->average) {
    divide(s, j->first, j->end, EVR_LANES, room->given, EVR_LANES, room->given);
  } else if (w->call->indices != NULL) {
    winners_in(w->call->indices + out, p->y_plane, planes, windows, room->winners);
  } else {
    int64_t x_rows;
    const int64_t x_row = find_x_rows(j, &x_rows);
    planes_in(w->call->x + plane * p->x_plane + x_row * width, p->x_plane, planes, x_rows * width,
              room->x);
    find_winners(s, j->first, j->end, EVR_LANES, room->x, EVR_LANES, x_row, room->winners);
  }
  j->winners = s->average ? NULL : room->winners;
  j->given = room->given;
  j->given_pixel = EVR_LANES;
  j->dx = room->dx;
  j->dx_pixel = EVR_LANES;
  gather(j);
  planes_out(room->dx, j->rows * width, p->x_plane, planes,
             w->call->dx + plane * p->x_plane + j->row * width);
}

static void run_task(void *argument, int64_t task, int slot) {
  const work *w = argument;
  const shape *s = &w->shape;
  const int64_t band = task % s->bands, block = task / s->bands % s->blocks;
  const int64_t image = task / s->bands / s->blocks, channel = block * s->block_channels;
  scratch room;
  lay_out(s, w->scratch + (size_t)slot * w->slot_bytes, &room);
  const int64_t row = band * s->band_rows - s->band_shift;
  job j = {.shape = s, .columns = w->columns, .row = evr_max(0, row)};
  j.rows = evr_min(row + s->band_rows, s->problem->desc.in_height) - j.row;
  j.channels =
      s->nhwc ? evr_min(s->block_channels, s->problem->desc.channels - channel) : EVR_LANES;
  find_window_rows(&j);
  if (s->nhwc)
    run_channels(w, &j, image, channel, &room);
  else
    run_planes(w, &j, image, &room);
}

/* The one window of a plane of NCHW that has no other: an average gives all pixels the same. */
static bool is_global_average(const shape *s) {
  const evr_axis *v = &s->vertical, *h = &s->horizontal;
  return s->average && !s->nhwc && v->kernel == v->in && h->kernel == h->in && v->dilation == 1 &&
         h->dilation == 1 && v->before + v->after + h->before + h->after == 0 &&
         s->problem->y_plane == 1;
}

static void run_global(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const evr_pool2d_problem *p = w->shape.problem;
  const int64_t pixels = p->x_plane, planes = p->desc.batch * p->desc.channels;
  const int64_t a_task = evr_max(1, TASK_FLOATS / pixels);
  const int64_t end = evr_min(planes, (task + 1) * a_task);
  for (int64_t plane = task * a_task; plane < end; plane++) {
    const vf share = vf_set1(0.0f + w->call->dy[plane] / (float)pixels);
    float *dx = w->call->dx + plane * pixels;
    int64_t i = 0;
    for (; i + EVR_LANES <= pixels; i += EVR_LANES) vf_store(dx + i, share);
    if (i < pixels) vf_store_n(dx + i, share, pixels - i);
  }
}

static void backward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_backward_call *call = arguments;
  work w = {.shape = make_shape(p), .call = call};
  const shape *s = &w.shape;
  if (is_global_average(s)) {
    const int64_t planes = p->desc.batch * p->desc.channels;
    const int64_t a_task = evr_max(1, TASK_FLOATS / p->x_plane);
    evr_parallel_for(&p->common.parallel, evr_ceil_div(planes, a_task), run_global, &w);
    return;
  }
  evr_cover *columns = call->workspace;
  for (int64_t iw = 0; iw < p->desc.in_width; iw++)
    columns[iw] = evr_cover_of(&s->horizontal, p->sizes.out_width, iw);
  w.columns = columns;
  w.scratch = (char *)call->workspace + covers_bytes(s);
  w.slot_bytes = lay_out(s, NULL, NULL);
  evr_parallel_for(&p->common.parallel, s->images * s->blocks * s->bands, run_task, &w);
}

static bool accepts(const void *problem, char *reason) {
  const evr_pool2d_problem *p = problem;
  if (p->desc.window.kind == EVR_POOL_AVERAGE || p->desc.in_height * p->desc.in_width <= INT32_MAX)
    return true;
  snprintf(reason, EVR_REASON_SIZE, "a plane has more pixels than 32-bit indices can tell apart");
  return false;
}

/* Memory at about 20 bytes a nanosecond, and about 2 taps of a vector a nanosecond. */
static double cost(const void *problem) {
  const evr_pool2d_problem *p = problem;
  const double floats = (double)(p->sizes.x_count + p->sizes.y_count);
  return 0.2 * floats + p->taps / (2.0 * EVR_LANES) + 50.0;
}

const evr_kernel EVR_NAME(evr_pool2d_backward_gather) = {
    .accepts = accepts, .cost = cost, .workspace_size = workspace_size, .forward = backward};
