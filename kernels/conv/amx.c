/* Convolution by products of bf16 tiles: floats are cut into three pieces, six products of which
 * give what a sum of multiply-adds gives and more precisely (amx-bf16x3), or into two, three
 * products of which give 17 bits (amx-bf16x2). amx_split.h has the arithmetic and its proof.
 *
 * A task takes a band of output rows of one image and a stretch of output channels: it cuts the
 * band's input into pieces (amx_image.h), multiplies them with packed weights block by block
 * (amx_tile.h), and finishes each block. An output row that reads a value out of range is computed
 * by direct convolution instead, as is everything where a weight is out of range. Which rows these
 * are follows from the values and the shape, never from how work is cut. */
#include <inttypes.h>
#include <stdio.h>

#include "activation/apply.h"
#include "activation/functions.h"
#include "conv/amx_image.h"
#include "conv/amx_tile.h"
#include "conv/pace.h"
#include "core/cpu.h"
#include "core/memory.h"

extern const evr_kernel evr_conv2d_direct_avx512;

/* Rows that direct convolution takes at a time. */
#define DIRECT_ROWS 8
/* Least pixels of a band that is cut smaller for threads: less keeps tiles and weights poorly
 * used. */
#define LEAST_PIXELS 128

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const char *in = evr_in_name(p);
  if (d->groups != 1)
    snprintf(reason, EVR_REASON_SIZE, "takes one group only; desc.groups is %" PRId64, d->groups);
  else if (d->in_channels < EVR_AMX_LEAST_CHANNELS)
    snprintf(reason, EVR_REASON_SIZE, "needs %d %sput channels; desc.%s_channels is %" PRId64,
             EVR_AMX_LEAST_CHANNELS, in, in, d->in_channels);
  else
    return true;
  return false;
}

/* ---- packed weights ---- */

/* Their beginning, in a line of its own. Then the tiles, [panel of EVR_AMX_BLOCK output
 * channels][tap][chunk][piece][tile], and then the weights as direct convolution packs them. */
typedef struct packed_header {
  evr_amx_range range;
} packed_header;

static int64_t tiles_wide(const evr_conv2d_problem *p) {
  return evr_ceil_div(p->desc.out_channels, EVR_AMX_ROWS);
}

/* Tile products of one pair of pieces for one tile of sums. */
static int64_t steps_deep(const evr_conv2d_problem *p) {
  return p->desc.kernel_height * p->desc.kernel_width *
         evr_ceil_div(p->desc.in_channels, EVR_AMX_DEPTH);
}

EVR_INLINE size_t tile_bytes(const int pieces, const evr_conv2d_problem *p) {
  const size_t tiles = evr_size_product((size_t)tiles_wide(p), (size_t)steps_deep(p));
  return evr_size_product(tiles, (size_t)pieces * EVR_AMX_TILE_BYTES);
}

EVR_INLINE size_t packed_size(const int pieces, const void *problem) {
  return evr_size_sum(evr_size_sum(EVR_ALIGNMENT, tile_bytes(pieces, problem)),
                      evr_conv2d_direct_avx512.packed_size(problem));
}

EVR_INLINE const void *packed_for_direct(const int pieces, const evr_conv2d_problem *p,
                                         const void *packed) {
  return (const char *)packed + EVR_ALIGNMENT + tile_bytes(pieces, p);
}

static vf load_weights(const evr_conv2d_problem *p, const float *weights, int64_t kh, int64_t kw,
                       int64_t ic, int64_t oc) {
  if (ic >= p->desc.in_channels) return vf_zero();
  const int64_t lanes = evr_min(EVR_LANES, p->desc.out_channels - oc);
  const float *from = evr_weight_at(p, weights, kh, kw, ic, 0, oc);
  if (p->weights.out == 1) return vf_load_n(from, lanes);
  float values[EVR_LANES] = {0};
  for (int64_t l = 0; l < lanes; l++) values[l] = from[l * p->weights.out];
  return vf_load(values);
}

/* A tile of each piece, each step bytes after the one before. */
EVR_INLINE void pack_tile(const int pieces, const evr_conv2d_problem *p, const float *weights,
                          int64_t kh, int64_t kw, int64_t ic, int64_t oc, char *to, int64_t step,
                          evr_amx_scan *scan) {
  for (int64_t k = 0; k < EVR_AMX_ROWS; k++) {
    vi even[EVR_AMX_MOST_PIECES], odd[EVR_AMX_MOST_PIECES];
    evr_amx_split(pieces, load_weights(p, weights, kh, kw, ic + 2 * k, oc), even, scan);
    evr_amx_split(pieces, load_weights(p, weights, kh, kw, ic + 2 * k + 1, oc), odd, scan);
    for (int i = 0; i < pieces; i++)
      vi_store((int32_t *)(void *)(to + i * step + k * EVR_AMX_ROW_BYTES),
               vi_or(odd[i], _mm512_srli_epi32(even[i], 16)));
  }
}

EVR_INLINE void pack(const int pieces, const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t wide = tiles_wide(p);
  evr_amx_scan scan = evr_amx_scan_begin();
  char *to = (char *)packed + EVR_ALIGNMENT;
  for (int64_t tile = 0; tile < wide; tile += 2)
    for (int64_t kh = 0; kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++)
        for (int64_t ic = 0; ic < d->in_channels; ic += EVR_AMX_DEPTH) {
          const int64_t tiles = evr_min(2, wide - tile);
          for (int64_t i = 0; i < tiles; i++)
            pack_tile(pieces, p, weights, kh, kw, ic, (tile + i) * EVR_AMX_ROWS,
                      to + i * EVR_AMX_TILE_BYTES, tiles * EVR_AMX_TILE_BYTES, &scan);
          to += tiles * pieces * EVR_AMX_TILE_BYTES;
        }
  ((packed_header *)packed)->range = evr_amx_scan_end(&scan);
  evr_conv2d_direct_avx512.pack(p, weights, to);
}

/* ---- how work is cut ---- */

typedef struct blocking {
  evr_amx_image_shape shape;
  int64_t rows, bands;        /* output rows of a band; bands of an image */
  int64_t stretch, stretches; /* panels of a task; tasks of a band */
  size_t piece_bytes, range_bytes, tap_bytes, slot_bytes;
} blocking;

/* A band of the problem's output rows, as a problem of its own for one image and one thread. */
static evr_conv2d_problem band_problem(const evr_conv2d_problem *p, int64_t first, int64_t rows) {
  evr_conv2d_problem band = *p;
  band.common.parallel.threads = 1;
  band.desc.batch = 1;
  band.first_row += first;
  band.sizes.conv_height = band.sizes.out_height = rows;
  band.sizes.y_count = band.sizes.residual_count =
      rows * p->sizes.conv_width * p->desc.out_channels;
  return band;
}

static size_t direct_workspace(const evr_conv2d_problem *p, int64_t rows) {
  size_t most = 0;
  for (int64_t r = 1; r <= evr_min(rows, DIRECT_ROWS); r++) {
    const evr_conv2d_problem band = band_problem(p, 0, r);
    const size_t bytes = evr_conv2d_direct_avx512.workspace_size(&band);
    if (bytes > most) most = bytes;
  }
  return most;
}

/* Rows whose pieces fit into half of L2, and, together with those of other threads, into what the
 * tensors and the packed weights take. */
EVR_INLINE int64_t band_rows(const int pieces, const evr_conv2d_problem *p, const blocking *b) {
  const int64_t height = p->sizes.conv_height;
  const double row_bytes = (double)pieces *
                           (double)(b->shape.vertical.phases * b->shape.horizontal.phases) *
                           (double)b->shape.width * (double)b->shape.pixel_bytes;
  const double all = ((double)p->sizes.x_count + (double)p->sizes.y_count) * sizeof(float) +
                     (double)packed_size(pieces, p);
  const double room = fmin(0.5 * (double)evr_l2_bytes(), all / p->common.parallel.threads);
  const double fitting = room / row_bytes - (double)b->shape.vertical.reach;
  return fitting >= (double)height ? height : evr_max((int64_t)fitting, 1);
}

EVR_INLINE blocking make_blocking(const int pieces, const evr_conv2d_problem *p) {
  blocking b = {.shape = evr_amx_image_shape_of(p)};
  const int64_t height = p->sizes.conv_height, threads = p->common.parallel.threads;
  const int64_t panels = evr_ceil_div(tiles_wide(p), 2);
  b.bands = evr_ceil_div(height, band_rows(pieces, p, &b));
  /* Enough tasks for every thread: smaller bands, then fewer channels each, although these cut the
   * same input into pieces again. */
  const int64_t wanted = threads > 1 ? 3 * threads : 1;
  if (p->desc.batch * b.bands < wanted) {
    const int64_t least = evr_ceil_div(LEAST_PIXELS, b.shape.width);
    const int64_t most = evr_max(height / least, 1);
    b.bands = evr_max(b.bands, evr_min(evr_ceil_div(wanted, p->desc.batch), most));
  }
  b.rows = evr_ceil_div(height, b.bands);
  b.bands = evr_ceil_div(height, b.rows);
  b.stretches = 1;
  while (p->desc.batch * b.bands * b.stretches < threads && b.stretches < panels) b.stretches++;
  b.stretch = evr_ceil_div(panels, b.stretches);
  b.stretches = evr_ceil_div(panels, b.stretch);
  b.piece_bytes = evr_amx_piece_bytes(&b.shape, b.rows);
  b.range_bytes = evr_amx_range_bytes(&b.shape, b.rows);
  b.tap_bytes = evr_size_lines(
      evr_size_product((size_t)(p->desc.kernel_height * p->desc.kernel_width), sizeof(int64_t)));
  const size_t sums = EVR_AMX_BLOCK * EVR_AMX_BLOCK * sizeof(float);
  b.slot_bytes = evr_size_sum(evr_size_product(b.piece_bytes, (size_t)pieces), sums);
  /* Direct convolution comes after all tiles are done, in the same place. */
  const size_t direct = evr_size_lines(direct_workspace(p, b.rows));
  if (direct > b.slot_bytes) b.slot_bytes = direct;
  b.slot_bytes = evr_size_sum(b.slot_bytes, evr_size_sum(b.range_bytes, b.tap_bytes));
  return b;
}

EVR_INLINE size_t workspace_size(const int pieces, const void *problem) {
  const evr_conv2d_problem *p = problem;
  const blocking b = make_blocking(pieces, p);
  const int64_t tasks = p->desc.batch * b.bands * b.stretches;
  return evr_size_product(b.slot_bytes, (size_t)evr_min(tasks, p->common.parallel.threads));
}

/* ---- execution ---- */

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  blocking b;
  evr_amx_range weights;
} job;

/* One task. Rows are counted from the problem's first. */
typedef struct part {
  const job *j;
  int64_t image, first_row, rows;
  int64_t first_panel, end_panel;
  evr_amx_image input;
  evr_amx_product product;
} part;

/* Pixels [m, m + count) of the sums, which lie side by side from y and residual on, in planes. */
static void finish_nchw(const part *t, int64_t m, int64_t count, int64_t channel, int64_t channels,
                        float *y, const float *residual) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_activation *activation = &p->desc.activation;
  const float *bias = t->j->call->bias;
  for (int64_t c = 0; c < channels; c += EVR_LANES) {
    const int64_t lanes = evr_min(EVR_LANES, channels - c);
    const vf added = bias != NULL ? vf_load_n(bias + channel + c, lanes) : vf_zero();
    for (int64_t i = 0; i < count; i += EVR_LANES) {
      const int64_t n = evr_min(EVR_LANES, count - i);
      vf block[EVR_LANES];
      EVR_UNROLL
      for (int l = 0; l < EVR_LANES; l++) {
        block[l] = l < n ? vf_load(t->product.sums + (m + i + l) * EVR_AMX_BLOCK + c) : vf_zero();
        if (bias != NULL) block[l] = vf_add(block[l], added);
      }
      vf_transpose(block);
      EVR_UNROLL
      for (int l = 0; l < EVR_LANES; l++) {
        if (l >= lanes) continue;
        vf value = block[l];
        if (residual != NULL)
          value = vf_add(value, vf_load_n(residual + (c + l) * p->residual_plane + i, n));
        if (activation->kind == EVR_RELU) value = evr_relu(value);
        vf_store_n(y + (c + l) * p->y_plane + i, value, n);
      }
    }
  }
  if (activation->kind == EVR_IDENTITY || activation->kind == EVR_RELU) return;
  for (int64_t c = 0; c < channels; c++, y += p->y_plane)
    EVR_NAME(evr_activation_apply)(activation, y, y, count);
}

static void finish_nhwc(const part *t, int64_t m, int64_t count, int64_t channel, int64_t channels,
                        float *y, const float *residual) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_activation *activation = &p->desc.activation;
  const float *bias = t->j->call->bias;
  const float *sums = t->product.sums + m * EVR_AMX_BLOCK;
  const int64_t pixel = p->desc.out_channels;
  for (int64_t i = 0; i < count; i++, sums += EVR_AMX_BLOCK) {
    float *const to = y + i * pixel;
    for (int64_t c = 0; c < channels; c += EVR_LANES) {
      const int64_t lanes = evr_min(EVR_LANES, channels - c);
      vf value = vf_load(sums + c);
      if (bias != NULL) value = vf_add(value, vf_load_n(bias + channel + c, lanes));
      if (residual != NULL) value = vf_add(value, vf_load_n(residual + i * pixel + c, lanes));
      if (activation->kind == EVR_RELU) value = evr_relu(value);
      vf_store_n(to + c, value, lanes);
    }
    if (activation->kind != EVR_IDENTITY && activation->kind != EVR_RELU)
      EVR_NAME(evr_activation_apply)(activation, to, to, channels);
  }
}

/* A block of sums, whose first pixel has this number in its band (amx_image.h). */
static void finish(const part *t, int64_t number, int64_t pixels, int64_t channel,
                   int64_t channels) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_conv2d_call *call = t->j->call;
  const int64_t width = t->j->b.shape.width, columns = p->sizes.conv_width;
  for (int64_t m = 0, run; m < pixels; m += run) {
    const int64_t row = t->first_row + (number + m) / width, column = (number + m) % width;
    run = evr_min(width - column, pixels - m);
    const int64_t count = evr_min(columns - column, run);
    if (count <= 0) continue;
    float *y = call->y + evr_output_offset(p, p->y_plane, t->image, row, column, channel);
    const float *residual = call->residual;
    if (residual != NULL)
      residual += evr_output_offset(p, p->residual_plane, t->image, row, column, channel);
    if (p->desc.layout == EVR_NHWC)
      finish_nhwc(t, m, count, channel, channels, y, residual);
    else
      finish_nchw(t, m, count, channel, channels, y, residual);
  }
}

/* Rows [begin, end) of the band by tiles. */
EVR_INLINE void multiply_rows(const int pieces, part *t, int64_t begin, int64_t end) {
  const evr_conv2d_problem *p = t->j->p;
  const blocking *b = &t->j->b;
  const int64_t width = b->shape.width, last = (end - 1) * width + p->sizes.conv_width;
  const char *packed = (const char *)t->j->call->packed + EVR_ALIGNMENT;
  for (int64_t panel = t->first_panel; panel < t->end_panel; panel++) {
    const int64_t channel = panel * EVR_AMX_BLOCK;
    const int64_t channels = evr_min(EVR_AMX_BLOCK, p->desc.out_channels - channel);
    t->product.weights = packed + 2 * panel * steps_deep(p) * pieces * EVR_AMX_TILE_BYTES;
    for (int64_t number = begin * width; number < last; number += EVR_AMX_BLOCK) {
      const int64_t pixels = evr_min(EVR_AMX_BLOCK, last - number);
      t->product.pixels = t->input.pieces + number * b->shape.pixel_bytes;
      evr_amx_run(&t->product, pieces, pixels, channels);
      finish(t, number, pixels, channel, channels);
    }
  }
}

/* Rows [begin, end) of the band by direct convolution, all output channels. */
EVR_INLINE void convolve_rows(const int pieces, const part *t, int64_t begin, int64_t end) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_conv2d_desc *d = &p->desc;
  for (int64_t row = begin; row < end; row += DIRECT_ROWS) {
    const int64_t first = t->first_row + row;
    const evr_conv2d_problem band = band_problem(p, first, evr_min(DIRECT_ROWS, end - row));
    evr_conv2d_call call = *t->j->call;
    call.x += t->image * d->in_height * d->in_width * d->in_channels;
    call.y += evr_output_offset(p, p->y_plane, t->image, first, 0, 0);
    if (call.residual != NULL)
      call.residual += evr_output_offset(p, p->residual_plane, t->image, first, 0, 0);
    call.packed = packed_for_direct(pieces, p, t->j->call->packed);
    call.workspace = t->input.pieces;
    evr_conv2d_direct_avx512.forward(&band, &call);
  }
}

static void find_taps(const evr_conv2d_desc *d, const evr_amx_image *input, int64_t *taps) {
  const evr_amx_image_shape *s = input->shape;
  for (int64_t kh = 0; kh < d->kernel_height; kh++)
    for (int64_t kw = 0; kw < d->kernel_width; kw++)
      *taps++ =
          evr_amx_place(input, evr_amx_phase(&s->vertical, kh), evr_amx_shift(&s->vertical, kh),
                        evr_amx_phase(&s->horizontal, kw), evr_amx_shift(&s->horizontal, kw)) -
          input->pieces;
}

static bool is_row_in_range(const part *t, int64_t row) {
  return evr_amx_in_range(evr_amx_image_range(&t->input, row), t->j->weights, t->j->p->depth);
}

/* Rows in range first: direct convolution overwrites the pieces. A band has one stretch of channels
 * do the other rows. */
EVR_INLINE void run_rows(const int pieces, part *t) {
  const job *j = t->j;
  const bool stretch_is_first = t->first_panel == 0;
  if (!evr_amx_in_range(evr_amx_nothing, j->weights, j->p->depth)) {
    if (stretch_is_first) convolve_rows(pieces, t, 0, t->rows);
    return;
  }
  evr_amx_image_fill(&t->input, pieces, t->rows);
  evr_amx_fence();
  evr_amx_begin();
  for (int pass = 0; pass < 2; pass++) {
    const bool in_range = pass == 0;
    if (!in_range) evr_amx_end();
    if (!in_range && !stretch_is_first) return;
    for (int64_t row = 0, end; row < t->rows; row = end) {
      for (end = row; end < t->rows && is_row_in_range(t, end) == in_range;) end++;
      if (end == row)
        end++;
      else if (in_range)
        multiply_rows(pieces, t, row, end);
      else
        convolve_rows(pieces, t, row, end);
    }
  }
}

EVR_INLINE void run_task(const int pieces, const job *j, int64_t task, int slot) {
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  char *memory = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const int64_t stretch = task % b->stretches, band = task / b->stretches % b->bands;
  part t = {.j = j, .image = task / b->stretches / b->bands, .first_row = band * b->rows};
  t.rows = evr_min(b->rows, p->sizes.conv_height - t.first_row);
  t.first_panel = stretch * b->stretch;
  t.end_panel = evr_min(t.first_panel + b->stretch, evr_ceil_div(d->out_channels, EVR_AMX_BLOCK));
  t.input = (evr_amx_image){.shape = &b->shape,
                            .p = p,
                            .x = j->call->x + t.image * d->in_height * d->in_width * d->in_channels,
                            .first_row = t.first_row,
                            .height = b->rows + b->shape.vertical.reach,
                            .ranges = (evr_amx_range *)(void *)memory,
                            .pieces = memory + b->range_bytes + b->tap_bytes,
                            .piece_bytes = (int64_t)b->piece_bytes};
  int64_t *const taps = (int64_t *)(void *)(memory + b->range_bytes);
  find_taps(d, &t.input, taps);
  t.product = (evr_amx_product){
      .pixel_bytes = b->shape.pixel_bytes,
      .piece_bytes = (int64_t)b->piece_bytes,
      .taps = taps,
      .tap_count = d->kernel_height * d->kernel_width,
      .chunks = b->shape.chunks,
      .sums = (float *)(void *)(t.input.pieces + (size_t)pieces * b->piece_bytes)};
  run_rows(pieces, &t);
}

/* Nanoseconds. Not fitted to anything, as this was written without a CPU that has tiles: derived
 * from 3270 GFLOP/s of tile products that a core was measured to reach, 85 % of it in a blocked
 * product, and from instruction counts for the rest. */
EVR_INLINE double cost(const int pieces, const void *problem) {
  const evr_conv2d_problem *p = problem;
  const blocking b = make_blocking(pieces, p);
  const double bands = (double)(p->desc.batch * b.bands), tasks = bands * (double)b.stretches;
  const double row_tiles = (double)evr_ceil_div(b.rows * b.shape.width, EVR_AMX_ROWS);
  /* A product takes as long as three others, so that fewer sums than four wait for it. */
  const double waiting = p->desc.out_channels <= EVR_AMX_ROWS || row_tiles <= 1.0 ? 1.6 : 1.0;
  const double products = pieces == 3 ? 6.0 : 3.0;
  const double multiplying = waiting * 5.0 / 0.85 * products * bands * row_tiles *
                             (double)tiles_wide(p) * (double)steps_deep(p);
  const double cut = (double)(b.shape.vertical.phases * b.shape.horizontal.phases) *
                     (double)(b.rows + b.shape.vertical.reach) * (double)b.shape.width *
                     (double)b.shape.chunks * EVR_AMX_DEPTH;
  const bool nchw = p->desc.layout == EVR_NCHW;
  const double cutting = (nchw ? 0.25 : 0.15) * cut * tasks;
  const double finishing = (nchw ? 0.25 : 0.15) * (double)p->sizes.y_count;
  const double weights = (double)tile_bytes(pieces, p);
  const double reading = weights > 0.5 * (double)evr_l2_bytes() ? 0.0045 * weights * bands : 0.0;
  return 400.0 + 150.0 * tasks + multiplying + cutting + finishing + reading;
}

#define SPLIT(pieces, name)                                                                       \
  static size_t packed_##pieces(const void *problem) { return packed_size(pieces, problem); }     \
  static size_t workspace_##pieces(const void *problem) {                                         \
    return workspace_size(pieces, problem);                                                       \
  }                                                                                               \
  static void pack_##pieces(const void *problem, const float *weights, void *packed) {            \
    pack(pieces, problem, weights, packed);                                                       \
  }                                                                                               \
  static void task_##pieces(void *argument, int64_t task, int slot) {                             \
    run_task(pieces, argument, task, slot);                                                       \
  }                                                                                               \
  static void forward_##pieces(const void *problem, const void *call) {                           \
    const evr_conv2d_problem *p = problem;                                                        \
    job j = {p, call, make_blocking(pieces, p), evr_amx_nothing};                                 \
    j.weights = ((const packed_header *)j.call->packed)->range;                                   \
    evr_parallel_for(&p->common.parallel, p->desc.batch *j.b.bands *j.b.stretches, task_##pieces, \
                     &j);                                                                         \
  }                                                                                               \
  static double cost_##pieces(const void *problem) { return cost(pieces, problem); }              \
  const evr_kernel name = {.accepts = accepts,                                                    \
                           .cost = cost_##pieces,                                                 \
                           .packed_size = packed_##pieces,                                        \
                           .workspace_size = workspace_##pieces,                                  \
                           .pack = pack_##pieces,                                                 \
                           .forward = forward_##pieces};
SPLIT(3, evr_conv2d_amx_bf16x3)
SPLIT(2, evr_conv2d_amx_bf16x2)
