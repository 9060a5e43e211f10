/* Backward weights by products of bf16 tiles, of floats that are cut into three pieces or two
 * (amx_split.h has the arithmetic and its proof).
 *
 *   sums[output channels x input channels] = g[output channels x pixels] x[pixels x input channels]
 *
 * for each tap and block of pixels. A row of the left tile holds 32 pixels of an output channel, so
 * g is transposed, once for all taps. A row of the right tile holds a pair of pixels of 16 input
 * channels, which lie side by side in an image with its channels last. So no windows are copied: in
 * its phase (amx_axis.h) a tap reads pixels that follow each other as the outputs do, from the one
 * at which it begins; and as that may be an even or an odd one, the image is laid out in pairs that
 * begin with even pixels and once more in pairs that begin with odd ones.
 *
 * Output (row, column) of a block is number row * width + column; numbers at the right end of a row
 * stand for no output, and there g is 0.
 *
 * A task owns sums of some output channels ("panels" of 32), and of some taps of some input
 * channels ("strips" of 32): it goes through all blocks in their order, and writes its sums at the
 * end. The block, strip and panel for which values are out of range are summed up by multiply-adds,
 * which give the canonical bits. Which these are follows from the values and the shape, never from
 * how work is cut. */
#include <inttypes.h>
#include <stdio.h>

#include "conv/amx_axis.h"
#include "conv/amx_split.h"
#include "conv/amx_tile.h"
#include "conv/backward.h"
#include "conv/backward_image.h"
#include "conv/backward_weights_tile.h"
#include "core/cpu.h"

/* Channels of a panel and of a strip, and a block of their sums. */
#define WIDE EVR_AMX_BLOCK
#define SUMS (WIDE * WIDE)
#define PAIR_BYTES EVR_AMX_ROW_BYTES

typedef struct blocking {
  evr_amx_axis vertical, horizontal;
  int64_t block_rows, blocks; /* output rows of a block; blocks of an image */
  int64_t width, chunks;      /* numbers of an output row; chunks of a block, at most */
  int64_t in_rows, in_width;  /* of the image, under a block */
  int64_t lanes;              /* of a strip: input channels, rounded up to tiles */
  int64_t taps, strips, panels;
  int64_t parities;           /* of the numbers at which taps begin: 1 where all are even */
  int64_t share, shares;      /* taps of strips that a task has; tasks of a stretch */
  int64_t stretch, stretches; /* panels that a task has; tasks of a share and group */
  size_t tile_bytes;          /* pieces of x: [phase][parity][piece][tile][pair] */
  size_t phase_bytes;
  size_t row_bytes; /* pieces of g: [panel][piece][output channel], a row each */
  size_t x_bytes, g_bytes, x_piece_bytes, g_piece_bytes, range_bytes, kept_bytes, slot_bytes;
} blocking;

/* Numbers of a block of so many rows. */
static double numbers_of(const blocking *b, const evr_conv2d_problem *p, int64_t rows) {
  return (double)(rows - 1) * (double)b->width + (double)p->sizes.conv_width;
}

/* What does not depend on how work is cut. */
static blocking shape_of(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  blocking b = {.vertical = evr_amx_axis_of(d->kernel_height, d->stride_height, d->dilation_height),
                .horizontal = evr_amx_axis_of(d->kernel_width, d->stride_width, d->dilation_width),
                .block_rows = evr_min(evr_conv2d_block_rows(p), p->sizes.conv_height),
                .in_width = d->in_width + d->pad_left + d->pad_right,
                .lanes = p->group_in > EVR_LANES ? WIDE : EVR_LANES,
                .taps = d->kernel_height * d->kernel_width,
                .strips = evr_ceil_div(p->group_in, WIDE),
                .panels = evr_ceil_div(p->group_out, WIDE)};
  b.blocks = evr_ceil_div(p->sizes.conv_height, b.block_rows);
  b.width = p->sizes.conv_width + b.horizontal.reach;
  b.in_rows =
      (b.block_rows - 1) * d->stride_height + (d->kernel_height - 1) * d->dilation_height + 1;
  return b;
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem p =
      evr_without_idle_strides(&((const evr_conv2d_backward_problem *)problem)->conv);
  const blocking b = shape_of(&p);
  const int64_t pixels = b.block_rows * p.sizes.conv_width;
  const double chunks = ceil(numbers_of(&b, &p, b.block_rows) / EVR_AMX_DEPTH);
  if (p.group_in == 1 || p.group_out == 1)
    snprintf(reason, EVR_REASON_SIZE,
             "needs two channels in and out of each group; desc.groups is %" PRId64
             ", desc.in_channels %" PRId64 " and desc.out_channels %" PRId64,
             p.desc.groups, p.desc.in_channels, p.desc.out_channels);
  else if (!evr_amx_block_is_exact_enough((double)pixels, chunks))
    snprintf(reason, EVR_REASON_SIZE,
             "its sums over %" PRId64 " pixels, in %.0f chunks of 32, are beyond the error bound",
             pixels, chunks);
  else
    return true;
  return false;
}

/* ---- how work is cut ---- */

static int64_t tap_number(const blocking *b, int64_t kh, int64_t kw) {
  return evr_amx_shift(&b->vertical, kh) * b->width + evr_amx_shift(&b->horizontal, kw);
}

static bool shifts_are_even(const evr_amx_axis *axis) {
  return axis->reach == 0 || axis->dilation % (2 * axis->stride) == 0;
}

/* Tasks for every thread: stretches of output channels whose pieces stay in the second level cache,
 * then shares of the rest, of whole strips where there are enough. */
static void cut_work(blocking *b, int64_t groups, int64_t threads) {
  const int64_t units = b->strips * b->taps;
  const double fitting = 0.5 * (double)evr_l2_bytes() / (double)b->g_piece_bytes;
  b->stretch = fitting < (double)b->panels ? evr_max((int64_t)fitting, 1) : b->panels;
  b->stretches = evr_ceil_div(b->panels, b->stretch);
  b->stretch = evr_ceil_div(b->panels, b->stretches);
  b->stretches = evr_ceil_div(b->panels, b->stretch);
  const int64_t tasks = evr_min(2 * threads, groups * b->stretches);
  const int64_t wanted = threads > 1 ? evr_ceil_div(2 * threads, tasks) : 1;
  b->share = evr_ceil_div(units, evr_min(wanted, units));
  if (b->share > b->taps) b->share = evr_round_up(b->share, b->taps);
  b->shares = evr_ceil_div(units, b->share);
}

static blocking make_blocking(const int pieces, const evr_conv2d_problem *p, int64_t threads) {
  blocking b = shape_of(p);
  b.chunks = (int64_t)ceil(numbers_of(&b, p, b.block_rows) / EVR_AMX_DEPTH);
  b.parities =
      shifts_are_even(&b.horizontal) && (b.width % 2 == 0 || shifts_are_even(&b.vertical)) ? 1 : 2;
  /* All places of a phase, and those that the last chunk of the last tap reads beyond. */
  const size_t places =
      evr_size_product((size_t)(b.block_rows + b.vertical.reach), (size_t)b.width);
  b.tile_bytes = evr_size_product(evr_size_sum(places, EVR_AMX_DEPTH + 1) / 2, PAIR_BYTES);
  b.phase_bytes = evr_size_product(
      b.tile_bytes, (size_t)b.parities * (size_t)pieces * (size_t)(b.lanes / EVR_LANES));
  const size_t phases = evr_size_product((size_t)b.vertical.phases, (size_t)b.horizontal.phases);
  /* Rows of a tile a multiple of four lines apart would share few sets of the first level cache. */
  b.row_bytes = evr_size_product((size_t)(b.chunks + (b.chunks % 4 == 0)), EVR_AMX_ROW_BYTES);
  b.x_bytes = evr_size_floats_of(b.in_rows, b.in_width, b.lanes, 1);
  b.g_bytes = evr_size_floats_of(b.block_rows, p->sizes.conv_width, WIDE, 1);
  b.x_piece_bytes = evr_size_product(b.phase_bytes, phases);
  b.g_piece_bytes = evr_size_product(b.row_bytes, (size_t)pieces * WIDE);
  cut_work(&b, p->desc.groups, threads);
  b.range_bytes = evr_size_lines(evr_size_product((size_t)b.stretch, sizeof(evr_amx_range)));
  b.kept_bytes = evr_size_floats_of(b.share, b.stretch, SUMS, 1);
  const size_t floats = evr_size_sum(evr_size_sum(b.x_bytes, b.g_bytes), 2 * SUMS * sizeof(float));
  const size_t cut =
      evr_size_sum(b.x_piece_bytes, evr_size_product(b.g_piece_bytes, (size_t)b.stretch));
  b.slot_bytes = evr_size_sum(evr_size_sum(floats, cut), evr_size_sum(b.range_bytes, b.kept_bytes));
  return b;
}

EVR_INLINE size_t workspace_size(const int pieces, const void *problem) {
  const evr_conv2d_backward_problem *q = problem;
  const evr_conv2d_problem p = evr_without_idle_strides(&q->conv);
  const int64_t threads = q->common.parallel.threads;
  const blocking b = make_blocking(pieces, &p, threads);
  const int64_t tasks = p.desc.groups * b.stretches * b.shares;
  return evr_size_product(b.slot_bytes, (size_t)evr_min(tasks, threads));
}

/* ---- execution ---- */

typedef struct job {
  evr_conv2d_problem p;
  const evr_conv2d_backward_weights_call *call;
  blocking b;
} job;

/* One task, and the block at which it is. */
typedef struct part {
  const job *j;
  int64_t group;
  int64_t first_panel, end_panel;
  int64_t first_unit, end_unit; /* unit: strip * taps + tap */
  int64_t image, row, rows;
  bool first; /* the first block: nothing is kept yet */
  /* In scratch. x: a strip under the block, [row][column][lanes]; g: a panel, [pixel][WIDE]. */
  float *x, *g;
  char *x_pieces, *g_pieces;
  evr_amx_range *g_ranges;    /* of panels */
  float *sums, *exact, *kept; /* kept: [unit][panel][output channel][input channel] */
} part;

/* Over all groups; and how many channels the panel has. */
static int64_t panel_channels(const part *t, int64_t panel, int64_t *count) {
  const int64_t all = t->j->p.group_out;
  *count = evr_min(WIDE, all - panel * WIDE);
  return t->group * all + panel * WIDE;
}
static int64_t strip_channels(const part *t, int64_t strip, int64_t *count) {
  const int64_t all = t->j->p.group_in;
  *count = evr_min(WIDE, all - strip * WIDE);
  return t->group * all + strip * WIDE;
}

static float *kept_at(const part *t, int64_t unit, int64_t panel) {
  const int64_t panels = t->end_panel - t->first_panel;
  return t->kept + ((unit - t->first_unit) * panels + panel - t->first_panel) * SUMS;
}

static void take_g(const part *t, int64_t panel) {
  const evr_conv2d_problem *p = &t->j->p;
  int64_t count;
  const int64_t channel = panel_channels(t, panel, &count);
  evr_backward_take_g(p, t->j->call->g, t->image, t->row, t->rows * p->sizes.conv_width, channel,
                      count, WIDE, t->g);
}

/* Walks through the numbers of a block. */
typedef struct cursor {
  const float *at;
  int64_t pixels, column, columns, width; /* pixels: how many are left */
} cursor;

static vf next_of_g(cursor *c, int64_t channel) {
  vf value = vf_zero();
  if (c->column < c->columns && c->pixels > 0) {
    value = vf_load(c->at + channel);
    c->at += WIDE;
    c->pixels--;
  }
  if (++c->column == c->width) c->column = 0;
  return value;
}

/* Pairs of pieces: the first in the lower halves of lanes. */
EVR_INLINE vi pair_of(vi first, vi second) { return vi_or(second, _mm512_srli_epi32(first, 16)); }

/* The panel that is in t->g, to rows of pieces. */
EVR_INLINE void cut_g(const int pieces, const part *t, int64_t panel, int64_t chunks) {
  const blocking *b = &t->j->b;
  const int64_t row_bytes = (int64_t)b->row_bytes, columns = t->j->p.sizes.conv_width;
  char *const to = t->g_pieces + (panel - t->first_panel) * (int64_t)b->g_piece_bytes;
  evr_amx_scan scan = evr_amx_scan_begin();
  for (int64_t channel = 0; channel < WIDE; channel += EVR_LANES) {
    cursor c = {t->g, t->rows * columns, 0, columns, b->width};
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
      vf pairs[EVR_AMX_MOST_PIECES][EVR_AMX_ROWS];
      for (int k = 0; k < EVR_AMX_ROWS; k++) {
        vi even[EVR_AMX_MOST_PIECES], odd[EVR_AMX_MOST_PIECES];
        evr_amx_split(pieces, next_of_g(&c, channel), even, &scan);
        evr_amx_split(pieces, next_of_g(&c, channel), odd, &scan);
        for (int i = 0; i < pieces; i++) pairs[i][k] = vi_as_vf(pair_of(even[i], odd[i]));
      }
      for (int i = 0; i < pieces; i++) {
        vf_transpose(pairs[i]);
        char *row = to + (i * WIDE + channel) * row_bytes + chunk * EVR_AMX_ROW_BYTES;
        for (int k = 0; k < EVR_AMX_ROWS; k++, row += row_bytes)
          vi_store((int32_t *)(void *)row, vf_bits(pairs[i][k]));
      }
    }
  }
  t->g_ranges[panel - t->first_panel] = evr_amx_scan_end(&scan);
}

/* The strip's part of the image, padded. */
static void take_x(const part *t, int64_t strip) {
  const job *j = t->j;
  const evr_conv2d_desc *d = &j->p.desc;
  const int64_t lanes = j->b.lanes;
  const int64_t in_rows =
      (t->rows - 1) * d->stride_height + (d->kernel_height - 1) * d->dilation_height + 1;
  int64_t count;
  const int64_t channel = strip_channels(t, strip, &count);
  for (int64_t i = 0; i < in_rows; i++) {
    const int64_t ih =
        evr_source_pixel(t->row * d->stride_height + i - d->pad_top, d->in_height, d->pad_mode);
    evr_backward_take_row(&j->p, j->call->x, t->image, ih, channel, count, lanes,
                          t->x + i * j->b.in_width * lanes);
  }
}

/* Pairs of the places of a phase, one place after the other. */
typedef struct pairing {
  vi last[EVR_AMX_MOST_PIECES];
  int64_t place, parities;
  int64_t piece_bytes, parity_bytes;
  char *to;
  evr_amx_scan scan;
} pairing;

EVR_INLINE void add_place(const int pieces, pairing *q, vf x) {
  vi high[EVR_AMX_MOST_PIECES];
  evr_amx_split(pieces, x, high, &q->scan);
  const int64_t first = q->place - 1, parity = first & 1;
  if (first >= 0 && parity < q->parities) {
    char *const at = q->to + parity * q->parity_bytes + first / 2 * PAIR_BYTES;
    for (int i = 0; i < pieces; i++)
      vi_store((int32_t *)(void *)(at + i * q->piece_bytes), pair_of(q->last[i], high[i]));
  }
  for (int i = 0; i < pieces; i++) q->last[i] = high[i];
  q->place++;
}

/* One phase of the strip that is in t->x, 16 of its channels; at: its first place there. */
EVR_INLINE void cut_phase(const int pieces, const part *t, const float *at, int64_t places_down,
                          int64_t places_across, pairing *q) {
  const blocking *b = &t->j->b;
  const evr_conv2d_desc *d = &t->j->p.desc;
  const int64_t step = d->stride_width * b->lanes, line = d->stride_height * b->in_width * b->lanes;
  for (int64_t row = 0; row < places_down; row++, at += line) {
    for (int64_t i = 0; i < places_across; i++) add_place(pieces, q, vf_load(at + i * step));
    for (int64_t i = places_across; i < b->width; i++) add_place(pieces, q, vf_zero());
  }
  const int64_t end = (t->rows + b->vertical.reach) * b->width + EVR_AMX_DEPTH;
  while (q->place < end) add_place(pieces, q, vf_zero());
}

EVR_INLINE evr_amx_range cut_x(const int pieces, const part *t) {
  const blocking *b = &t->j->b;
  const evr_amx_axis *v = &b->vertical, *h = &b->horizontal;
  const int64_t columns = t->j->p.sizes.conv_width, tiles = b->lanes / EVR_LANES;
  pairing q = {.parities = b->parities,
               .piece_bytes = tiles * (int64_t)b->tile_bytes,
               .parity_bytes = pieces * tiles * (int64_t)b->tile_bytes,
               .scan = evr_amx_scan_begin()};
  for (int64_t i = 0; i < v->phases; i++)
    for (int64_t k = 0; k < h->phases; k++)
      for (int64_t tile = 0; tile < tiles; tile++) {
        q.to = t->x_pieces + (i * h->phases + k) * (int64_t)b->phase_bytes +
               tile * (int64_t)b->tile_bytes;
        q.place = 0;
        const float *at =
            t->x + tile * EVR_LANES +
            (evr_amx_coordinate(v, i, 0) * b->in_width + evr_amx_coordinate(h, k, 0)) * b->lanes;
        cut_phase(pieces, t, at, evr_amx_places(v, i, t->rows), evr_amx_places(h, k, columns), &q);
      }
  return evr_amx_scan_end(&q.scan);
}

/* t->sums of a tap from tiles. */
EVR_INLINE void multiply(const int pieces, const part *t, int64_t panel, int64_t tap,
                         int64_t chunks, int64_t outputs, int64_t inputs) {
  const blocking *b = &t->j->b;
  const int64_t columns = t->j->p.desc.kernel_width, kh = tap / columns, kw = tap % columns;
  const int64_t number = tap_number(b, kh, kw), tile = (int64_t)b->tile_bytes;
  const int64_t tiles = b->lanes / EVR_LANES, at = 0;
  const int64_t phase =
      evr_amx_phase(&b->vertical, kh) * b->horizontal.phases + evr_amx_phase(&b->horizontal, kw);
  const evr_amx_product product = {
      .pixels = t->g_pieces + (panel - t->first_panel) * (int64_t)b->g_piece_bytes,
      .pixel_bytes = (int64_t)b->row_bytes,
      .piece_bytes = WIDE * (int64_t)b->row_bytes,
      .taps = &at,
      .tap_count = 1,
      .chunks = chunks,
      .weights = t->x_pieces + phase * (int64_t)b->phase_bytes +
                 number % 2 * pieces * tiles * tile + number / 2 * PAIR_BYTES,
      .sums = t->sums};
  evr_amx_run_stepping(&product, (evr_amx_steps){tile, tiles * tile, EVR_AMX_TILE_BYTES}, pieces,
                       outputs, inputs);
}

/* The same from what is in t->x and t->g, by multiply-adds in the canonical order. */
static void multiply_exactly(const part *t, int64_t tap) {
  const blocking *b = &t->j->b;
  const evr_conv2d_desc *d = &t->j->p.desc;
  const int64_t kh = tap / d->kernel_width, kw = tap % d->kernel_width;
  evr_gradient_tile tile = {.x_pixel = d->stride_width * b->lanes,
                            .x_line = d->stride_height * b->in_width * b->lanes,
                            .g = t->g,
                            .lines = t->rows,
                            .width = t->j->p.sizes.conv_width,
                            .pitch = WIDE,
                            .last_lanes = EVR_LANES,
                            .first = true};
  const float *x =
      t->x + (kh * d->dilation_height * b->in_width + kw * d->dilation_width) * b->lanes;
  for (int64_t i = 0; i < b->lanes; i += 8) {
    tile.x = x + i;
    tile.sums = t->exact + i * WIDE;
    evr_gradient_run(&tile, 8, 2);
  }
  evr_channels_last(t->exact, WIDE, t->sums, WIDE, WIDE, b->lanes);
}

/* Whole tiles: of a last strip of few inputs, the product has no second one. */
static void keep_sums(const part *t, float *kept, int64_t outputs, int64_t inputs) {
  for (int64_t o = 0; o < outputs; o++)
    for (int64_t i = 0; i < inputs; i += EVR_LANES)
      evr_gradient_add(kept + o * WIDE + i, vf_load(t->sums + o * WIDE + i), t->first, EVR_LANES);
}

/* Taps [first, end) of the strip that is in t->x. */
EVR_INLINE void add_strip(const int pieces, const part *t, int64_t strip, int64_t first,
                          int64_t end, int64_t chunks) {
  const evr_conv2d_problem *p = &t->j->p;
  const int64_t pixels = p->desc.batch * p->sizes.conv_height * p->sizes.conv_width;
  const evr_amx_range x = cut_x(pieces, t);
  evr_amx_fence();
  int64_t inputs, outputs;
  strip_channels(t, strip, &inputs);
  for (int64_t panel = t->first_panel; panel < t->end_panel; panel++) {
    panel_channels(t, panel, &outputs);
    const bool in_range = evr_amx_in_range(x, t->g_ranges[panel - t->first_panel], pixels);
    if (!in_range) take_g(t, panel);
    for (int64_t tap = first; tap < end; tap++) {
      if (in_range)
        multiply(pieces, t, panel, tap, chunks, outputs, inputs);
      else
        multiply_exactly(t, tap);
      keep_sums(t, kept_at(t, strip * t->j->b.taps + tap, panel), outputs, inputs);
    }
  }
}

EVR_INLINE void add_block(const int pieces, const part *t) {
  const job *j = t->j;
  const blocking *b = &j->b;
  const int64_t chunks = (int64_t)ceil(numbers_of(b, &j->p, t->rows) / EVR_AMX_DEPTH);
  for (int64_t panel = t->first_panel; panel < t->end_panel; panel++) {
    int64_t count;
    const int64_t channel = panel_channels(t, panel, &count);
    take_g(t, panel);
    if (t->first_unit == 0 && j->call->dbias != NULL)
      evr_gradient_add_bias(t->g, t->rows * j->p.sizes.conv_width, WIDE, j->call->dbias + channel,
                            count, t->first);
    if (j->call->dweights != NULL) cut_g(pieces, t, panel, chunks);
  }
  if (j->call->dweights == NULL) return;
  for (int64_t unit = t->first_unit, end; unit < t->end_unit; unit = end) {
    const int64_t strip = unit / b->taps;
    end = evr_min((strip + 1) * b->taps, t->end_unit);
    take_x(t, strip);
    add_strip(pieces, t, strip, unit - strip * b->taps, end - strip * b->taps, chunks);
  }
}

static void write_sums(const part *t) {
  const evr_conv2d_problem *p = &t->j->p;
  const int64_t taps = t->j->b.taps;
  for (int64_t unit = t->first_unit; unit < t->end_unit; unit++)
    for (int64_t panel = t->first_panel; panel < t->end_panel; panel++) {
      const float *kept = kept_at(t, unit, panel);
      const int64_t tap = unit % taps, ic = unit / taps * WIDE;
      int64_t outputs, inputs;
      const int64_t oc = panel_channels(t, panel, &outputs);
      strip_channels(t, unit / taps, &inputs);
      if (p->desc.filter_layout == EVR_HWIO) {
        float *to = t->j->call->dweights + (tap * p->group_in + ic) * p->desc.out_channels + oc;
        evr_channels_last(kept, WIDE, to, p->desc.out_channels, inputs, outputs);
        continue;
      }
      float *to = t->j->call->dweights + (oc * p->group_in + ic) * taps + tap;
      for (int64_t o = 0; o < outputs; o++, to += p->depth)
        for (int64_t i = 0; i < inputs; i++) to[i * taps] = kept[o * WIDE + i];
    }
}

EVR_INLINE void run_task(const int pieces, const job *j, int64_t task, int slot) {
  const evr_conv2d_problem *p = &j->p;
  const blocking *b = &j->b;
  char *scratch = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const int64_t share = task % b->shares, stretch = task / b->shares % b->stretches;
  part t = {.j = j,
            .group = task / b->shares / b->stretches,
            .first_panel = stretch * b->stretch,
            .end_panel = evr_min((stretch + 1) * b->stretch, b->panels),
            .first_unit = share * b->share,
            .end_unit = evr_min((share + 1) * b->share, b->strips * b->taps)};
  t.x_pieces = scratch;
  t.g_pieces = t.x_pieces + b->x_piece_bytes;
  t.x = (float *)(void *)(t.g_pieces + (size_t)b->stretch * b->g_piece_bytes);
  t.g = t.x + b->x_bytes / sizeof(float);
  t.sums = t.g + b->g_bytes / sizeof(float);
  t.exact = t.sums + SUMS;
  t.kept = t.exact + SUMS;
  t.g_ranges = (evr_amx_range *)(void *)(t.kept + b->kept_bytes / sizeof(float));
  evr_amx_begin();
  for (t.image = 0; t.image < p->desc.batch; t.image++)
    for (t.row = 0; t.row < p->sizes.conv_height; t.row += b->block_rows) {
      t.rows = evr_min(b->block_rows, p->sizes.conv_height - t.row);
      t.first = t.image == 0 && t.row == 0;
      add_block(pieces, &t);
    }
  evr_amx_end();
  if (j->call->dweights != NULL) write_sums(&t);
}

/* How often tasks of a stretch take a strip: each takes those of which it has taps. */
static int64_t count_takings(const blocking *b) {
  int64_t takings = 0;
  for (int64_t share = 0; share < b->shares; share++) {
    const int64_t first = share * b->share;
    const int64_t last = evr_min(first + b->share, b->strips * b->taps) - 1;
    takings += last / b->taps - first / b->taps + 1;
  }
  return takings;
}

/* Nanoseconds. Not fitted to anything, like that of amx.c: the rate of tile products is what a core
 * was measured to reach with both sides in its second level cache, 75 % of 3270 GFLOP/s; the rest
 * is derived from instruction counts. */
EVR_INLINE double cost(const int pieces, const void *problem) {
  const evr_conv2d_backward_problem *q = problem;
  const evr_conv2d_problem p = evr_without_idle_strides(&q->conv);
  const blocking b = make_blocking(pieces, &p, q->common.parallel.threads);
  const bool nchw = p.desc.layout == EVR_NCHW, hwio = p.desc.filter_layout == EVR_HWIO;
  const double blocks = (double)p.desc.groups * (double)p.desc.batch * (double)b.blocks;
  const double out_tiles = (double)evr_ceil_div(p.group_out, EVR_LANES);
  const double in_tiles = (double)evr_ceil_div(p.group_in, EVR_LANES);
  /* A product takes as long as three others, so that fewer sums than four wait for it. */
  const double waiting = (out_tiles == 1.0 ? 1.8 : 1.0) * (in_tiles == 1.0 ? 1.8 : 1.0);
  const double products = pieces == 3 ? 6.0 : 3.0;
  const double numbers = (double)b.chunks * EVR_AMX_DEPTH;
  const double tiles = (double)b.taps * out_tiles * in_tiles;
  const double multiplying = waiting * 5.0 / 0.75 * products * tiles * (double)b.chunks;
  const double keeping = 20.0 * tiles;
  const double phases = (double)(b.vertical.phases * b.horizontal.phases);
  const double places = (double)(b.block_rows + b.vertical.reach) * (double)b.width + EVR_AMX_DEPTH;
  const double taken = nchw ? 0.15 : 0.05;
  const double image = (double)b.in_rows * (double)b.in_width;
  const double lanes = (double)count_takings(&b) * (double)b.lanes * (double)b.stretches;
  const double cutting_x =
      lanes * (taken * image + (0.1 + 0.1 * (double)b.parities) * phases * places);
  const double cutting_g = (taken + 0.25) * numbers * (double)(b.panels * b.shares * WIDE);
  const double apart = hwio ? 0.15 : b.taps > 1 ? 1.0 : 0.3;
  return 400.0 + 150.0 * (double)(p.desc.groups * b.stretches * b.shares) +
         blocks * (multiplying + keeping + cutting_x + cutting_g) +
         apart * (double)p.sizes.weights_count;
}

#define SPLIT(pieces, name)                                                           \
  static size_t workspace_##pieces(const void *problem) {                             \
    return workspace_size(pieces, problem);                                           \
  }                                                                                   \
  static void task_##pieces(void *argument, int64_t task, int slot) {                 \
    run_task(pieces, argument, task, slot);                                           \
  }                                                                                   \
  static void forward_##pieces(const void *problem, const void *call) {               \
    const evr_conv2d_backward_problem *q = problem;                                   \
    job j = {.p = evr_without_idle_strides(&q->conv), .call = call};                  \
    j.b = make_blocking(pieces, &j.p, q->common.parallel.threads);                    \
    if (j.call->dweights == NULL) j.b.shares = 1; /* the one that has the bias */     \
    evr_parallel_for(&q->common.parallel, j.p.desc.groups *j.b.stretches *j.b.shares, \
                     task_##pieces, &j);                                              \
  }                                                                                   \
  static double cost_##pieces(const void *problem) { return cost(pieces, problem); }  \
  const evr_kernel name = {.accepts = accepts,                                        \
                           .cost = cost_##pieces,                                     \
                           .workspace_size = workspace_##pieces,                      \
                           .forward = forward_##pieces};
SPLIT(3, evr_conv2d_backward_weights_amx_bf16x3)
SPLIT(2, evr_conv2d_backward_weights_amx_bf16x2)
