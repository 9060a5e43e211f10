/* Backward weights as a product of matrices, the way it is taught: of each block of pixels, the
 * windows are copied out into a matrix (image to columns), whose transpose meets the gradient.
 *
 *   block[depth x channels] = columns^T[depth x pixels] g[pixels x channels]
 *   dweights = dweights + block
 *
 * The product sums over the pixels, in their order and from +0, so a block has the canonical bits.
 * The matrix is made as the product reads it, transposed: NHWC in panels of rows, of which each
 * pixel has a few side by side, and NCHW row by row. There a 1x1 window that moves by 1 without
 * padding needs no copy: the image is the matrix.
 *
 * Of planes and OIHW the product is exchanged where that is quicker, g^T columns, so that its rows
 * are those of the weights: fma(a, b, c) and fma(b, a, c) are the same.
 *
 * A task is a group's stretch of output channels and a share of the depth. Block after block, it
 * packs its g (for an exchanged product only to sum it up to the bias), and makes its share of the
 * matrix, a strip at a time; so no other task adds to the same sums, and the blocks come in their
 * order whatever the threads. */
#include "conv/backward.h"
#include "conv/backward_weights_tile.h"
#include "conv/gather.h"
#include "conv/pace.h"
#include "gemm/gemm.h"
#include "gemm/tile.h"

/* Floats of a strip of the matrix to aim at, so that it stays in the second level cache while all
 * output channels go by; and of packed g, at most, where there is a choice. */
#define MATRIX_FLOATS 65536
#define G_FLOATS 262144
/* Rows of a share that is not cut further once there are tasks for every thread. */
#define DEEP 48
/* Output channels of an exchanged product whose sums are taken at once, and added. */
#define CHANNELS_AT_ONCE (16 * EVR_GEMM_ROWS)

typedef struct blocking {
  int64_t block_rows, pixels;   /* of a block, at most */
  int64_t segments;             /* of a tap and block, at most */
  bool copies;                  /* whether a matrix is made */
  bool panels;                  /* in panels: channels are side by side */
  bool exchanged;               /* the product is g^T columns, as OIHW has it */
  int64_t stretch, stretches;   /* output channels of a task, tasks of a group and share */
  int64_t share, shares, strip; /* rows of the matrix: of a task, tasks, and made at once */
  size_t g_bytes, matrix_bytes, sums_bytes, panel_bytes, found_bytes, slot_bytes;
} blocking;

/* What one tap meets in a block, of which found holds one for each tap; count < 0: not yet. */
typedef struct tap_segments {
  int64_t count;
  evr_segment *list;
} tap_segments;

static blocking make_blocking(const evr_conv2d_problem *p, int64_t threads) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t taps = d->kernel_height * d->kernel_width;
  const int64_t width = p->sizes.conv_width, pads = d->pad_left + d->pad_right;
  blocking b = {.block_rows = evr_min(evr_conv2d_block_rows(p), p->sizes.conv_height)};
  b.pixels = b.block_rows * width;
  /* Of a row: the pixels inside the image, and each in the padding, zeros of a side together. */
  const int64_t outside = d->pad_mode == EVR_PAD_ZERO ? evr_min(pads, 2) : pads;
  b.segments = b.block_rows * evr_min(width, outside + 1);
  /* Of one channel, NHWC is NCHW. */
  b.panels = d->layout == EVR_NHWC && d->in_channels > 1;
  b.copies = b.panels || taps > 1 || d->stride_height > 1 || d->stride_width > 1 ||
             d->pad_top > 0 || d->pad_bottom > 0 || pads > 0 || width < d->in_width;

  /* Then rows of the matrix are packed instead of g, and no sum is transposed: a plane's pixels are
   * packed at about a sixth of what a sum costs that is written apart from its neighbours. */
  b.exchanged =
      d->layout == EVR_NCHW && d->filter_layout == EVR_OIHW && b.pixels <= 3 * p->group_out;

  const int64_t fitting = G_FLOATS / b.pixels / EVR_GEMM_COLUMNS * EVR_GEMM_COLUMNS;
  b.stretches = evr_ceil_div(p->group_out, evr_max(fitting, EVR_GEMM_COLUMNS));
  b.stretch = evr_round_up(evr_ceil_div(p->group_out, b.stretches), EVR_GEMM_COLUMNS);
  b.stretches = evr_ceil_div(p->group_out, b.stretch);
  /* Tasks for every thread, and more of them where shares stay so deep that packing g for each is
   * little beside the product. */
  const int64_t tasks = evr_min(2 * threads, d->groups * b.stretches);
  const int64_t deep = evr_min(evr_ceil_div(2 * threads, tasks), p->depth / DEEP);
  const int64_t wanted = threads > 1 ? evr_max(evr_ceil_div(threads, tasks), deep) : 1;
  /* Of an exchanged product a share may be narrower than a panel, lest threads go without. */
  const int64_t unit = b.exchanged ? EVR_GEMM_COLUMNS : EVR_GEMM_ROWS;
  b.share = evr_round_up(evr_ceil_div(p->depth, wanted), b.exchanged ? EVR_LANES : unit);
  b.shares = evr_ceil_div(p->depth, b.share);
  const int64_t strips = evr_ceil_div(b.share, evr_max(MATRIX_FLOATS / b.pixels, unit));
  b.strip = evr_round_up(evr_ceil_div(b.share, strips), unit);

  const int64_t channels = evr_round_up(evr_min(b.stretch, p->group_out), EVR_LANES);
  b.g_bytes = evr_size_floats_of(b.pixels, channels, 1, 1);
  /* A copied segment may end in whole vectors. */
  if (b.copies)
    b.matrix_bytes =
        evr_size_sum(evr_size_floats_of(b.pixels, b.strip, 1, 1), evr_size_floats(EVR_LANES));
  b.sums_bytes =
      evr_size_floats_of(b.exchanged ? CHANNELS_AT_ONCE : b.strip, EVR_GEMM_COLUMNS, 1, 1);
  if (b.exchanged) b.panel_bytes = evr_size_floats_of(b.pixels, EVR_GEMM_COLUMNS, 1, 1);
  if (b.copies)
    b.found_bytes = evr_size_lines(evr_size_product(
        (size_t)taps, evr_size_sum(sizeof(tap_segments),
                                   evr_size_product((size_t)b.segments, sizeof(evr_segment)))));
  b.slot_bytes =
      evr_size_sum(evr_size_sum(b.g_bytes, b.matrix_bytes),
                   evr_size_sum(evr_size_sum(b.sums_bytes, b.panel_bytes), b.found_bytes));
  return b;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_backward_problem *b = problem;
  const evr_conv2d_problem p = evr_without_idle_strides(&b->conv);
  const int64_t threads = b->common.parallel.threads;
  return evr_size_product(make_blocking(&p, threads).slot_bytes, (size_t)threads);
}

typedef struct job {
  evr_conv2d_problem p;
  const evr_conv2d_backward_weights_call *call;
  blocking b;
} job;

/* The part of a job that one task does, and the block at which it is. */
typedef struct part {
  const job *j;
  int64_t group;
  int64_t channel, channels; /* over all groups */
  int64_t row, end;          /* of the depth */
  float *g, *matrix, *sums, *panel;
  tap_segments *found;
  const float *x;      /* the group's first channel of the block's image */
  const float *planes; /* NCHW: g of the task's first channel, the block's first pixel */
  int64_t pixel, pixels;
  bool first; /* the first block: nothing is in dweights yet */
} part;

/* The tap and input channel of a row of the matrix: rows are in the order of the weights. */
static void row_place(const evr_conv2d_problem *p, int64_t row, int64_t *tap, int64_t *ic) {
  const int64_t taps = p->desc.kernel_height * p->desc.kernel_width;
  *tap = p->desc.filter_layout == EVR_HWIO ? row / p->group_in : row % taps;
  *ic = p->desc.filter_layout == EVR_HWIO ? row % p->group_in : row / taps;
}

static const tap_segments *find_tap(const part *t, int64_t tap) {
  const evr_conv2d_problem *p = &t->j->p;
  const int64_t columns = p->desc.kernel_width;
  tap_segments *s = &t->found[tap];
  if (s->count < 0)
    s->count = evr_find_segments(p, tap / columns, tap % columns, t->pixel, t->pixels, s->list);
  return s;
}

/* Some channels side by side of all pixels of a tap, to lanes of a panel; lanes is a constant. */
EVR_INLINE void copy_lanes(const tap_segments *s, const float *x, int64_t pixel, int64_t stride,
                           const int lanes, float *to) {
  for (int64_t i = 0; i < s->count; i++) {
    const float *from = x + s->list[i].from * pixel;
    if (s->list[i].from < 0) {
      for (int64_t k = 0; k < s->list[i].count; k++, to += EVR_GEMM_ROWS)
        memset(to, 0, (size_t)lanes * sizeof *to);
      continue;
    }
    for (int64_t k = 0; k < s->list[i].count; k++, to += EVR_GEMM_ROWS, from += stride)
      memcpy(to, from, (size_t)lanes * sizeof *to);
  }
}

/* NHWC: rows [row, row + rows) in panels [pixel][row of the panel]. */
static void make_panels(const part *t, int64_t row, int64_t rows) {
  const evr_conv2d_problem *p = &t->j->p;
  const evr_conv2d_desc *d = &p->desc;
  const bool neighbours = d->filter_layout == EVR_HWIO || p->depth == p->group_in;
  const int64_t pixel = d->in_channels, stride = d->stride_width * pixel;
  for (int64_t r = 0, lanes; r < rows; r += lanes) {
    int64_t tap, ic;
    row_place(p, row + r, &tap, &ic);
    const int64_t lane = r % EVR_GEMM_ROWS;
    lanes = evr_min(evr_min(EVR_GEMM_ROWS - lane, rows - r), neighbours ? p->group_in - ic : 1);
    float *to = t->matrix + (r - lane) * t->pixels + lane;
    const float *x = t->x + ic;
    const tap_segments *s = find_tap(t, tap);
    switch (lanes) {
      case 1: copy_lanes(s, x, pixel, stride, 1, to); break;
      case 2: copy_lanes(s, x, pixel, stride, 2, to); break;
      case 3: copy_lanes(s, x, pixel, stride, 3, to); break;
      case 4: copy_lanes(s, x, pixel, stride, 4, to); break;
      case 5: copy_lanes(s, x, pixel, stride, 5, to); break;
      default: copy_lanes(s, x, pixel, stride, 6, to); break;
    }
  }
}

/* NCHW: rows [row, row + rows), each with its pixels side by side. */
static void make_rows(const part *t, int64_t row, int64_t rows) {
  const evr_conv2d_problem *p = &t->j->p;
  const int64_t plane = p->desc.in_height * p->desc.in_width;
  for (int64_t r = 0; r < rows; r++) {
    int64_t tap, ic;
    row_place(p, row + r, &tap, &ic);
    const tap_segments *s = find_tap(t, tap);
    evr_copy_segments(t->x + ic * plane, (p->group_in - ic) * plane, s->list, s->count,
                      p->desc.stride_width, t->matrix + r * t->pixels);
  }
}

/* The sums of a block, rows of some columns, onto rows that are pitch apart. */
static void add_rows(const part *t, int64_t rows, int64_t columns, float *to, int64_t pitch) {
  const float *sums = t->sums;
  for (int64_t r = 0; r < rows; r++, sums += EVR_GEMM_COLUMNS, to += pitch)
    for (int64_t c = 0; c < columns; c += EVR_LANES) {
      const int64_t lanes = evr_min(EVR_LANES, columns - c);
      const vf block = lanes == EVR_LANES ? vf_load(sums + c) : vf_load_n(sums + c, lanes);
      evr_gradient_add(to + c, block, t->first, lanes);
    }
}

/* The sums of a block onto those of the blocks before: rows [row, row + rows), and output channels
 * from channel on. HWIO has a row's channels side by side, OIHW a channel's rows. */
static void add_sums(const part *t, int64_t row, int64_t rows, int64_t channel, int64_t columns) {
  const evr_conv2d_problem *p = &t->j->p;
  if (p->desc.filter_layout == EVR_HWIO) {
    add_rows(t, rows, columns, t->j->call->dweights + row * p->desc.out_channels + channel,
             p->desc.out_channels);
    return;
  }
  for (int64_t r = 0; r < rows; r += EVR_LANES)
    for (int64_t c = 0; c < columns; c += EVR_LANES) {
      const float *from = t->sums + r * EVR_GEMM_COLUMNS + c;
      vf square[EVR_LANES];
      EVR_UNROLL
      for (int i = 0; i < EVR_LANES; i++)
        square[i] = r + i < rows ? vf_load(from + i * EVR_GEMM_COLUMNS) : vf_zero();
      vf_transpose(square);
      float *to = t->j->call->dweights + (channel + c) * p->depth + row + r;
      EVR_UNROLL
      for (int i = 0; i < EVR_LANES; i++)
        if (c + i < columns)
          evr_gradient_add(to + i * p->depth, square[i], t->first, evr_min(EVR_LANES, rows - r));
    }
}

static const float zeros[EVR_GEMM_COLUMNS];

/* The block's product of rows [row, row + rows) of the matrix, at a, and g as it lies. */
static void add_exchanged(const part *t, int64_t row, int64_t rows, const float *a, int64_t a_row) {
  const evr_conv2d_problem *p = &t->j->p;
  const int64_t plane = p->sizes.conv_height * p->sizes.conv_width;
  for (int64_t r = 0; r < rows; r += EVR_GEMM_COLUMNS) {
    const int64_t columns = evr_min(EVR_GEMM_COLUMNS, rows - r);
    const evr_gemm_source source = {a + r * a_row, 1, a_row, t->pixels, columns};
    EVR_NAME(evr_gemm_pack_b)(&source, 0, t->pixels, t->panel);
    float *to = t->j->call->dweights + t->channel * p->depth + row + r;
    for (int64_t c = 0; c < t->channels; c += CHANNELS_AT_ONCE, to += CHANNELS_AT_ONCE * p->depth) {
      const evr_gemm product = {
          .m = evr_min(CHANNELS_AT_ONCE, t->channels - c),
          .n = columns,
          .k = t->pixels,
          .a = t->planes + c * plane,
          .a_row = plane,
          .packed_b = t->panel,
          .c = t->first ? to : t->sums,
          .c_row = t->first ? p->depth : EVR_GEMM_COLUMNS,
          .column_bias = t->first ? zeros : NULL,
          .activation = {EVR_IDENTITY, 0.0f},
      };
      EVR_NAME(evr_gemm)(&product, NULL);
      if (!t->first) add_rows(t, product.m, columns, to, p->depth);
    }
  }
}

/* Rows [row, row + rows) of the block's product, for all output channels of the task. */
static void add_strip(const part *t, int64_t row, int64_t rows) {
  const evr_conv2d_problem *p = &t->j->p;
  const evr_conv2d_desc *d = &p->desc;
  const bool panels = t->j->b.panels;
  const int64_t plane = d->in_height * d->in_width;
  if (panels)
    make_panels(t, row, rows);
  else if (t->j->b.copies)
    make_rows(t, row, rows);
  const float *const a = t->j->b.copies ? t->matrix : t->x + row * plane + t->pixel;
  const int64_t a_row = t->j->b.copies ? t->pixels : plane;
  if (t->j->b.exchanged) {
    add_exchanged(t, row, rows, a, a_row);
    return;
  }
  /* The first block's sums are those of the gradient, to which +0 is added as to any other. */
  const bool in_place = t->first && d->filter_layout == EVR_HWIO;
  for (int64_t c = 0; c < t->channels; c += EVR_GEMM_COLUMNS) {
    const evr_gemm product = {
        .m = rows,
        .n = evr_min(EVR_GEMM_COLUMNS, t->channels - c),
        .k = t->pixels,
        .packed_a = panels ? t->matrix : NULL,
        .a = a,
        .a_row = a_row,
        .packed_b = t->g + c * t->pixels,
        .c = in_place ? t->j->call->dweights + row * d->out_channels + t->channel + c : t->sums,
        .c_row = in_place ? d->out_channels : EVR_GEMM_COLUMNS,
        .column_bias = in_place ? zeros : NULL,
        .activation = {EVR_IDENTITY, 0.0f},
    };
    EVR_NAME(evr_gemm)(&product, NULL);
    if (!in_place) add_sums(t, row, rows, t->channel + c, product.n);
  }
}

/* Sums of so many vectors of a panel of g side by side; vectors is a constant. */
EVR_INLINE void sum_panel(const float *g, int64_t pixels, const int vectors, vf *sums) {
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) sums[v] = vf_zero();
  for (int64_t i = 0; i < pixels; i++, g += vectors * EVR_LANES) {
    EVR_UNROLL
    for (int v = 0; v < vectors; v++) sums[v] = vf_add(sums[v], vf_load(g + v * EVR_LANES));
  }
}

static void add_bias(const part *t) {
  for (int64_t c = 0; c < t->channels; c += EVR_GEMM_COLUMNS) {
    const int64_t columns = evr_min(EVR_GEMM_COLUMNS, t->channels - c);
    const int64_t vectors = evr_ceil_div(columns, EVR_LANES);
    const float *g = t->g + c * t->pixels;
    vf sums[EVR_GEMM_VECTORS];
    if (vectors == 1) sum_panel(g, t->pixels, 1, sums);
    if (vectors == 2) sum_panel(g, t->pixels, 2, sums);
#if EVR_GEMM_VECTORS == 4
    if (vectors == 3) sum_panel(g, t->pixels, 3, sums);
    if (vectors == 4) sum_panel(g, t->pixels, 4, sums);
#endif
    for (int64_t v = 0; v < vectors; v++)
      evr_gradient_add(t->j->call->dbias + t->channel + c + v * EVR_LANES, sums[v], t->first,
                       evr_min(EVR_LANES, columns - v * EVR_LANES));
  }
}

/* One block: output rows [row, row + rows) of image n. */
static void add_block(part *t, int64_t n, int64_t row, int64_t rows) {
  const job *j = t->j;
  const evr_conv2d_problem *p = &j->p;
  const evr_conv2d_desc *d = &p->desc;
  const bool nchw = d->layout == EVR_NCHW;
  const int64_t plane = p->sizes.conv_height * p->sizes.conv_width;
  t->pixel = row * p->sizes.conv_width;
  t->pixels = rows * p->sizes.conv_width;
  t->first = n == 0 && row == 0;
  const evr_gemm_source g = {
      .source = j->call->g + (nchw ? (n * d->out_channels + t->channel) * plane + t->pixel
                                   : (n * plane + t->pixel) * d->out_channels + t->channel),
      .k_step = nchw ? 1 : d->out_channels,
      .lane_step = nchw ? plane : 1,
      .k = t->pixels,
      .lanes = t->channels};
  const bool bias = t->row == 0 && j->call->dbias != NULL;
  if (bias || !j->b.exchanged) EVR_NAME(evr_gemm_pack_b)(&g, 0, t->pixels, t->g);
  if (bias) add_bias(t);
  t->planes = g.source;
  if (j->call->dweights == NULL) return;
  t->x = j->call->x + n * d->in_channels * d->in_height * d->in_width +
         t->group * p->group_in * (nchw ? d->in_height * d->in_width : 1);
  if (j->b.copies)
    for (int64_t tap = 0; tap < d->kernel_height * d->kernel_width; tap++) t->found[tap].count = -1;
  for (int64_t i = t->row; i < t->end; i += j->b.strip)
    add_strip(t, i, evr_min(j->b.strip, t->end - i));
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = &j->p;
  const blocking *b = &j->b;
  char *scratch = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const int64_t share = task % b->shares, stretch = task / b->shares % b->stretches;
  part t = {.j = j,
            .group = task / b->shares / b->stretches,
            .row = share * b->share,
            .end = evr_min((share + 1) * b->share, p->depth),
            .channels = evr_min(b->stretch, p->group_out - stretch * b->stretch),
            .g = (float *)(void *)scratch,
            .matrix = (float *)(void *)(scratch + b->g_bytes),
            .sums = (float *)(void *)(scratch + b->g_bytes + b->matrix_bytes),
            .panel = (float *)(void *)(scratch + b->g_bytes + b->matrix_bytes + b->sums_bytes),
            .found = (tap_segments *)(void *)(scratch + b->g_bytes + b->matrix_bytes +
                                              b->sums_bytes + b->panel_bytes)};
  t.channel = t.group * p->group_out + stretch * b->stretch;
  const int64_t taps = p->desc.kernel_height * p->desc.kernel_width;
  evr_segment *segments = (evr_segment *)(void *)(t.found + taps);
  if (b->copies)
    for (int64_t tap = 0; tap < taps; tap++) t.found[tap].list = segments + tap * b->segments;
  for (int64_t n = 0; n < p->desc.batch; n++)
    for (int64_t row = 0; row < p->sizes.conv_height; row += b->block_rows)
      add_block(&t, n, row, evr_min(b->block_rows, p->sizes.conv_height - row));
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_backward_problem *b = problem;
  job j = {.p = evr_without_idle_strides(&b->conv), .call = call};
  j.b = make_blocking(&j.p, b->common.parallel.threads);
  if (j.call->dweights == NULL) j.b.shares = 1; /* the one that has the bias */
  evr_parallel_for(&b->common.parallel, j.p.desc.groups * j.b.stretches * j.b.shares, run_task, &j);
}

/* For each task and block: g is packed and summed up, segments are found for each tap, and copied
 * for each row or, in panels, for each piece of one. Then the product (pace.h), the ends of its
 * tiles, and sums to add. Fitted like the estimates of pace.h, to 1800 times. */
static double cost(const void *problem) {
  const evr_conv2d_backward_problem *q = problem;
  const evr_conv2d_problem p = evr_without_idle_strides(&q->conv);
  const evr_conv2d_desc *d = &p.desc;
  const blocking b = make_blocking(&p, q->common.parallel.threads);
  const int64_t height = p.sizes.conv_height, width = p.sizes.conv_width;
  const int64_t vectors = evr_ceil_div(p.group_out, EVR_LANES);
  const double groups = (double)d->groups, depth = (double)p.depth;
  const double taps = (double)(d->kernel_height * d->kernel_width);
  const double lines = (double)d->batch * (double)height, pixels = lines * (double)width;
  const double blocks = (double)d->batch * (double)evr_ceil_div(height, b.block_rows);
  const double segments = lines * (double)(b.segments / b.block_rows);
  const double copies = groups * (double)b.stretches, tasks = copies * (double)b.shares;
  const double tile_columns = (double)evr_ceil_div(vectors, EVR_GEMM_VECTORS) * groups;

  /* Channels that fill no vector are taken one by one from planes. */
  const double odd = (double)(p.group_out % EVR_LANES);
  const double packed = d->layout == EVR_NHWC ? 0.5 * (double)vectors
                                              : 0.08 * ((double)p.group_out - odd) + 0.55 * odd;
  const double times = b.exchanged ? 1.0 : (double)b.shares; /* for the bias alone */
  const double gradient =
      43.0 * tasks * blocks + pixels * (packed * groups * times + 2.2 * tile_columns);
  double matrix = 0.0;
  if (b.copies) {
    const bool neighbours = d->filter_layout == EVR_HWIO || p.depth == p.group_in;
    const double pieces =
        neighbours ? taps * ((double)(p.group_in - 1) / EVR_GEMM_ROWS + 1.0) : depth;
    const double apart = d->stride_width > 1 ? 0.36 : 0.0;
    matrix = 2.3 * tasks * taps * segments;
    matrix += b.panels
                  ? copies * pieces * (4.0 * blocks + 0.2 * segments + 0.53 * pixels)
                  : copies * depth * (4.0 * blocks + (0.7 + apart) * segments + 0.057 * pixels);
  }
  /* Rows and vectors of the product. */
  const int64_t lines_of_sums = b.exchanged ? p.group_out : p.depth;
  const int64_t across = b.exchanged ? evr_ceil_div(p.depth, EVR_LANES) : vectors;
  if (b.exchanged) matrix += 0.08 * copies * depth * pixels;
  const double tiles = 8.6 * blocks * groups * (double)evr_ceil_div(across, EVR_GEMM_VECTORS) *
                       (double)evr_ceil_div(lines_of_sums, EVR_GEMM_ROWS) *
                       (double)evr_ceil_div(b.pixels, 256);
  /* The first block's are written by the product, but for OIHW in whole squares. */
  const bool squares = d->filter_layout == EVR_OIHW && !b.exchanged;
  const int64_t rows = squares ? evr_round_up(p.depth, EVR_LANES) : lines_of_sums;
  const double added =
      1.2 * (squares ? blocks : blocks - 1.0) * groups * (double)rows * (double)across;
  /* Tiles wait a little for what comes from L2. */
  return 48.0 + gradient + matrix + tiles + added +
         1.03 * pixels * groups *
             evr_tiled_time(lines_of_sums, across, EVR_GEMM_ROWS, EVR_GEMM_VECTORS);
}

const evr_kernel EVR_NAME(evr_conv2d_backward_weights_im2col_gemm) = {
    .cost = cost, .workspace_size = workspace_size, .forward = forward};
