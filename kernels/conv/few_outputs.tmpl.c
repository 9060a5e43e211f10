/* Convolution with few output channels a group: layers of small networks, layers that end in an
 * image or a mask, and backward data of those that begin with one.
 *
 * Output channels would leave many lanes empty, or of NCHW lie far apart, so lanes run over the
 * pixels of an output row. A task walks down a strip of columns: each row of the image that its
 * windows read is copied once, into a ring of rows [channel][column], where pixels lie side by
 * side; NHWC is transposed, or gathered where it has few channels. More outputs than a tile has are
 * done in blocks, whose sums NHWC gathers [output][column] for a row of the strip, to transpose
 * them all at once. With a stride, every stride-th column does (a phase):
 * [channel][phase][column]. Padding is copied as well, so every tap takes part, in canonical order.
 * Planes of NCHW are read in place where windows are a pixel wide and rows are whole vectors.
 *
 * The phases of a strided gradient go through one ring together: its rows reach as far as the
 * windows of all of them, and each phase has an offset of its own. So rows are transposed once,
 * which took two fifths of the time of mobilenet_v1's first layer, with four phases. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "activation/apply.h"
#include "conv/few_outputs_copy.h"
#include "conv/few_outputs_finish.h"
#include "conv/pace.h"
#include "conv/problem.h"
#include "core/checked.h"

/* Strips are narrow enough for a row of the ring to stay in L1, of which the taps of a window row
 * read nearly the same, but not narrower than a tile with the sums that hide each other's latency:
 * with 6 of them in place of 12, AVX-512 took twice as long for 96 channels. */
#define IN_L1 (24 * 1024)
#define LEAST_SUMS 12
#define MOST_STRIP 32 /* vectors: what the columns that strips share is then little beside */

/* Products of a thread's share that is not cut into several tasks, of which each copies the rows
 * that its first windows share with those above. */
#define BRIEF 5e6

/* Windows of united convolutions reach so many pixels in one direction, at most. */
#define MOST_REACH 1024

typedef struct blocking {
  int64_t height, width, in_width; /* of the output and the image, as they are walked */
  int64_t strips, tiles;           /* of an output row; of a strip, at most */
  int64_t threads;
  int64_t band, bands; /* output rows of a task, tasks of a strip */
  bool in_place;       /* no row is copied */
  int64_t ring;        /* rows that a window spans */
  int64_t columns;     /* floats of a phase, whole vectors */
  size_t zero_bytes, sums_bytes, slot_bytes;
} blocking;

/* Blocks of a group's outputs, which differ by at most one. */
static int64_t block_count(const evr_conv2d_problem *p) {
  return evr_ceil_div(p->group_out, EVR_FEW_TILE_OUTPUTS);
}

static int64_t block_begin(const evr_conv2d_problem *p, int64_t block) {
  return block * p->group_out / block_count(p);
}

/* Vectors of a tile of the largest block. */
static int64_t tile_vectors(const evr_conv2d_problem *p) {
  const int64_t outputs = evr_ceil_div(p->group_out, block_count(p));
  return EVR_FEW_TILE_VECTORS(outputs);
}

static bool is_gathered(const evr_conv2d_problem *p) {
  return p->desc.layout == EVR_NHWC && p->group_out > EVR_FEW_TRANSPOSED;
}

/* Pixels of a 1x1 window that goes through all of them: one long row. */
static bool is_flat(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  return p->depth == p->group_in && d->stride_height == 1 && d->stride_width == 1 &&
         d->pad_left == 0 && d->pad_top == 0 && p->sizes.conv_width == d->in_width &&
         d->pad_bottom == 0 && p->spread.pixel == 0;
}

/* Whether rows are read where they lie: vectors end with them, and each is read once, or stays near
 * until it has been read for all rows of the window. */
static bool is_in_place(const evr_conv2d_problem *p, const blocking *b) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t plane = d->in_height * d->in_width * (int64_t)sizeof(float);
  return d->layout == EVR_NCHW && d->kernel_width == 1 && d->stride_width == 1 &&
         d->pad_left == 0 && b->width <= b->in_width && b->width % EVR_LANES == 0 &&
         (d->kernel_height == 1 || plane % EVR_PACE_COLLIDE != 0);
}

static bool has_rows_of_zeros(const evr_conv2d_desc *d) {
  return d->pad_mode == EVR_PAD_ZERO && (d->pad_top > 0 || d->pad_bottom > 0);
}

/* Floats of a phase for a strip of so many vectors. */
static int64_t columns_of(const evr_conv2d_desc *d, int64_t vectors) {
  const int64_t beyond = (d->kernel_width - 1) * d->dilation_width / d->stride_width;
  return evr_round_up(vectors * EVR_LANES + beyond, EVR_LANES);
}

/* Strips of at most so many vectors, which differ by at most one. */
static void cut_strips(blocking *b, const evr_conv2d_problem *p, int64_t most) {
  const int64_t vectors = evr_ceil_div(b->width, EVR_LANES);
  b->strips = evr_ceil_div(vectors, most);
  const int64_t widest = evr_ceil_div(vectors, b->strips);
  b->tiles = evr_ceil_div(widest, tile_vectors(p));
  b->columns = columns_of(&p->desc, widest);
  /* Beside planes that are read in place lies a row of padding. */
  const size_t rows =
      b->in_place ? evr_size_floats(has_rows_of_zeros(&p->desc) ? b->columns : 1)
                  : evr_size_floats_of(b->columns, p->desc.stride_width, p->group_in, b->ring);
  b->sums_bytes = is_gathered(p) ? evr_size_floats_of(widest, EVR_LANES, p->group_out, 1) : 0;
  b->slot_bytes = evr_size_sum(evr_size_sum(b->zero_bytes, b->sums_bytes), rows);
}

/* Vectors of a strip of which so many rows of the ring are in L1. */
static int64_t vectors_in_l1(const evr_conv2d_problem *p, int64_t rows) {
  const int64_t fit = IN_L1 / (int64_t)sizeof(float) / EVR_LANES / p->desc.stride_width;
  return fit / p->group_in / rows - columns_of(&p->desc, 0) / EVR_LANES;
}

/* Planes are copied the sooner the longer their stretches are; in place as long, but for a single
 * row, which only threads share. Transposing writes a line in several pieces, so that only a single
 * tile is worth a ring that is not in L1 as a whole. */
static int64_t most_vectors(const evr_conv2d_problem *p, const blocking *b) {
  const int64_t outputs = evr_ceil_div(p->group_out, block_count(p)), tile = tile_vectors(p);
  if (b->in_place && b->height > 1) return MOST_STRIP;
  if (b->in_place) {
    const int64_t threads = p->common.parallel.threads, images = p->desc.batch * p->desc.groups;
    const int64_t pieces = threads > 1 ? evr_ceil_div(3 * threads, images) : 1;
    return evr_max(evr_ceil_div(b->width / EVR_LANES, pieces), tile);
  }
  int64_t most = vectors_in_l1(p, 1);
  if (p->desc.layout == EVR_NHWC) most = evr_max(vectors_in_l1(p, b->ring), evr_min(most, tile));
  return evr_max(evr_min(most, MOST_STRIP), evr_min(evr_ceil_div(LEAST_SUMS, outputs), tile));
}

static blocking make_blocking(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  blocking b = {
      .height = p->sizes.conv_height, .width = p->sizes.conv_width, .in_width = d->in_width};
  if (is_flat(p)) {
    b.width = b.in_width = b.height * b.width;
    b.height = 1;
  }
  b.in_place = is_in_place(p, &b);
  b.ring = (d->kernel_height - 1) * d->dilation_height + 1;
  b.zero_bytes = d->layout == EVR_NHWC ? evr_size_floats(p->group_in) : 0;
  int64_t most = most_vectors(p, &b);
  for (cut_strips(&b, p, most); most > 1; cut_strips(&b, p, --most))
    if (b.slot_bytes <= (size_t)p->scratch_share) break;
  /* Fewer threads where not even narrow strips leave a slot to each. */
  const int64_t slots = (int64_t)((size_t)p->scratch / b.slot_bytes);
  b.threads = evr_max(evr_min(p->common.parallel.threads, slots), 1);
  const int64_t threads = b.threads;
  const int64_t pieces = d->batch * d->groups * b.strips;
  const double products =
      (double)p->sizes.weights_count * (double)(b.height * b.width) * (double)d->batch;
  const int64_t shares = products < BRIEF * (double)threads ? threads : 3 * threads;
  const int64_t wanted = threads > 1 ? evr_ceil_div(shares, pieces) : 1;
  b.band = evr_ceil_div(b.height, wanted);
  b.bands = evr_ceil_div(b.height, b.band);
  return b;
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = problem;
  if (p->group_out > EVR_FEW_OUTPUTS) {
    snprintf(reason, EVR_REASON_SIZE,
             "needs at most %d %sput channels a group; desc.%s_channels is %" PRId64
             " and desc.groups %" PRId64,
             EVR_FEW_OUTPUTS, evr_out_name(p), evr_out_name(p), p->desc.out_channels,
             p->desc.groups);
    return false;
  }
  const size_t slot_bytes = make_blocking(p).slot_bytes;
  if (slot_bytes <= (size_t)p->scratch) return true;
  evr_refuse_scratch(p, slot_bytes, reason);
  return false;
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
  const blocking b = make_blocking(p);
  return evr_size_product(b.slot_bytes, (size_t)b.threads);
}

/* ---- weights: [group][block][kernel row][kernel column][input channel][output channel] ---- */

static size_t packed_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  return evr_size_floats(p->sizes.weights_count);
}

static void pack(const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t blocks = block_count(p);
  float *to = packed;
  for (int64_t group = 0; group < d->groups; group++)
    for (int64_t block = 0; block < blocks; block++) {
      const int64_t begin = block_begin(p, block), end = block_begin(p, block + 1);
      for (int64_t kh = 0; kh < d->kernel_height; kh++)
        for (int64_t kw = 0; kw < d->kernel_width; kw++)
          for (int64_t ic = 0; ic < p->group_in; ic++)
            for (int64_t oc = begin; oc < end; oc++)
              *to++ = *evr_weight_at(p, weights, kh, kw, ic, group, oc);
    }
}

/* ---- one strip ---- */

/* Convolutions of one image, which differ in their windows. Those of the whole contain them, and
 * rows are copied for it. A single one is the whole itself, and may be flat: then rows and columns
 * are the blocking's. */
typedef struct job {
  const evr_conv2d_problem *whole;
  const void *const *parts; /* evr_conv2d_problem */
  const void *const *calls; /* evr_conv2d_call */
  int count;
  blocking b;
} job;

/* A row of the strip. Windows begin at that row of the padded image, and that column of the
 * ring. */
static void run_row(const evr_few_strip *s, int64_t top, int64_t left, const float *residual,
                    float *y) {
  const evr_conv2d_problem *p = s->p;
  const int64_t vectors = evr_ceil_div(s->pixels, EVR_LANES);
  const int64_t narrow = vectors / s->tiles, wider = vectors - narrow * s->tiles;
  const bool relu = p->desc.activation.kind == EVR_RELU, gathered = s->sums != NULL;
  const bool planes = p->desc.layout == EVR_NCHW;
  const int64_t pixel = planes ? 1 : s->out.pixel;
  evr_few_stretch t = {.top = top,
                       .row = top % s->ring_rows,
                       .y_plane = gathered ? s->columns_out : s->y_plane,
                       .residual_plane = s->residual_plane,
                       .planes = planes || gathered,
                       .relu = relu && !(gathered && residual != NULL)};
  int64_t column = 0;
  for (int64_t i = 0; i < s->tiles; i++) {
    const int64_t width = narrow + (i < wider);
    t.column = left + column;
    t.pixels = gathered ? width * EVR_LANES : s->pixels - column;
    for (int64_t block = 0; block < s->blocks; block++) {
      const int64_t o = s->begin[block], outputs = s->begin[block + 1] - o;
      t.weights = s->weights + o * p->depth;
      t.bias = s->bias != NULL ? s->bias + o : NULL;
      if (gathered) {
        t.y = s->sums + o * t.y_plane + column;
      } else {
        t.residual = residual != NULL ? residual + column * pixel + o * s->residual_plane : NULL;
        t.y = y + column * pixel + o * s->y_plane;
      }
      evr_few_tiles[outputs - 1][width - 1](s, &t);
    }
    column += width * EVR_LANES;
  }
  if (gathered) evr_few_finish_row(s, residual, relu, y);
}

static void activate(const evr_few_strip *s, float *y) {
  const evr_conv2d_desc *d = &s->p->desc;
  if (d->activation.kind == EVR_IDENTITY || d->activation.kind == EVR_RELU) return;
  const int64_t outputs = s->p->group_out;
  if (d->layout == EVR_NCHW) {
    for (int64_t o = 0; o < outputs; o++, y += s->y_plane)
      EVR_NAME(evr_activation_apply)(&d->activation, y, y, s->pixels);
    return;
  }
  if (s->out.pixel == outputs) {
    EVR_NAME(evr_activation_apply)(&d->activation, y, y, s->pixels * outputs);
    return;
  }
  for (int64_t i = 0; i < s->pixels; i++, y += s->out.pixel)
    EVR_NAME(evr_activation_apply)(&d->activation, y, y, outputs);
}

/* A strip of one of the convolutions: from column `first` on, at most so many columns. */
static evr_few_strip make_strip(const job *j, int part, int64_t group, int64_t image, int64_t first,
                                int64_t columns, char *slot_memory) {
  const evr_conv2d_problem *p = j->parts[part];
  const evr_conv2d_call *call = j->calls[part];
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  const int64_t channel = group * p->group_out;
  const int64_t plane = d->layout == EVR_NCHW ? d->in_height * d->in_width : 1;
  evr_few_strip s = {
      .p = p,
      .x = call->x + image * d->in_height * d->in_width * d->in_channels +
           group * p->group_in * plane,
      .zeros = (const float *)(const void *)slot_memory,
      .in_width = b->in_width,
      .in_place = b->in_place,
      .sums = is_gathered(p) ? (float *)(void *)(slot_memory + b->zero_bytes) : NULL,
      .columns_out = columns,
      .ring = (float *)(void *)(slot_memory + b->zero_bytes + b->sums_bytes),
      .ring_rows = b->ring,
      .columns = b->columns,
      .pitch = b->columns * d->stride_width,
      .weights = (const float *)call->packed + channel * p->depth,
      .bias = call->bias != NULL ? call->bias + channel : NULL,
      .out = evr_output_spread(p),
      .y_plane = p->y_plane,
      .residual_plane = p->residual_plane,
      .first = first,
      .pixels = evr_min(columns, (j->count == 1 ? b->width : p->sizes.conv_width) - first),
      .blocks = block_count(p),
  };
  for (int64_t block = 0; block <= s.blocks; block++) s.begin[block] = block_begin(p, block);
  /* Of united convolutions, some have nothing of the last strip. */
  s.tiles = evr_ceil_div(evr_ceil_div(evr_max(s.pixels, 0), EVR_LANES), tile_vectors(p));
  return s;
}

/* Row oh of a strip's output. */
static void run_strip(const job *j, const evr_few_strip *s, const evr_conv2d_call *call,
                      int64_t group, int64_t image, int64_t oh) {
  const evr_conv2d_problem *p = s->p;
  const evr_conv2d_desc *d = &p->desc, *whole = &j->whole->desc;
  const int64_t channel = group * p->group_out;
  int64_t at = image * s->out.image + oh * s->out.row + s->first * s->out.pixel + channel;
  int64_t residual_at = at;
  if (d->layout == EVR_NCHW) {
    const int64_t plane = image * d->out_channels + channel, pixel = oh * j->b.width + s->first;
    at = plane * s->y_plane + pixel;
    residual_at = plane * s->residual_plane + pixel;
  }
  run_row(s, oh * d->stride_height + whole->pad_top - d->pad_top, whole->pad_left - d->pad_left,
          call->residual != NULL ? call->residual + residual_at : NULL, call->y + at);
  activate(s, call->y + at);
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_desc *d = &j->whole->desc;
  const blocking *b = &j->b;
  const evr_conv2d_call *call = j->calls[0];
  char *slot_memory = (char *)call->workspace + (size_t)slot * b->slot_bytes;
  const int64_t band = evr_take_number(&task, b->bands);
  const int64_t index = evr_take_number(&task, b->strips);
  const int64_t group = evr_take_number(&task, d->groups), image = task;
  const int64_t vectors = evr_ceil_div(b->width, EVR_LANES);
  const int64_t first = index * vectors / b->strips, end = (index + 1) * vectors / b->strips;
  memset(slot_memory, 0, b->zero_bytes);
  evr_few_strip strips[EVR_MOST_UNITED];
  for (int i = 0; i < j->count; i++)
    strips[i] =
        make_strip(j, i, group, image, first * EVR_LANES, (end - first) * EVR_LANES, slot_memory);
  evr_few_strip copied_strip = strips[0];
  copied_strip.p = j->whole;
  if (b->in_place && has_rows_of_zeros(d))
    memset(copied_strip.ring, 0, (size_t)b->columns * sizeof *copied_strip.ring);
  int64_t copied = 0; /* rows before this are done with or in the ring */
  for (int64_t oh = band * b->band; oh < evr_min((band + 1) * b->band, b->height); oh++) {
    const int64_t top = oh * d->stride_height;
    for (copied = evr_max(copied, top); !b->in_place && copied < top + b->ring; copied++)
      evr_few_copy_row(&copied_strip, copied);
    for (int i = 0; i < j->count; i++) {
      const bool ends = j->count > 1 && oh >= strips[i].p->sizes.conv_height;
      if (!ends && strips[i].pixels > 0) run_strip(j, &strips[i], j->calls[i], group, image, oh);
    }
  }
}

static void run_all(job *j) {
  read_blocking(j->whole, &j->b);
  evr_parallel parallel = j->whole->common.parallel;
  parallel.threads = (int)j->b.threads;
  const evr_conv2d_desc *d = &j->whole->desc;
  evr_parallel_for(&parallel, d->batch * d->groups * j->b.strips * j->b.bands, run_task, j);
}

static void forward(const void *problem, const void *call) {
  job j = {.whole = problem, .parts = &problem, .calls = &call, .count = 1};
  run_all(&j);
}

/* ---- convolutions that share the ring ---- */

static void forward_united(const void *whole, const void *const *parts, const void *const *calls,
                           int count) {
  job j = {.whole = whole, .parts = parts, .calls = calls, .count = count};
  run_all(&j);
}

/* Windows that hold those of all parts, counted from the same pixels of the image. */
static bool unite(void *whole, const void *const *parts, int count) {
  const evr_conv2d_problem *first = parts[0];
  evr_conv2d_desc d = first->desc;
  int64_t height = 0, width = 0, below = 0, right = 0;
  d.pad_top = d.pad_left = 0;
  for (int i = 0; i < count; i++) {
    const evr_conv2d_problem *p = parts[i];
    const evr_conv2d_desc *one = &p->desc;
    if (one->layout != EVR_NHWC || p->spread.pixel == 0) return false;
    height = evr_max(height, p->sizes.conv_height);
    width = evr_max(width, p->sizes.conv_width);
    d.pad_top = evr_max(d.pad_top, one->pad_top);
    d.pad_left = evr_max(d.pad_left, one->pad_left);
    below = evr_max(below, (one->kernel_height - 1) * one->dilation_height - one->pad_top);
    right = evr_max(right, (one->kernel_width - 1) * one->dilation_width - one->pad_left);
  }
  if (evr_max(evr_max(d.pad_top, below), evr_max(d.pad_left, right)) > MOST_REACH) return false;
  d.kernel_height = d.pad_top + below + 1;
  d.kernel_width = d.pad_left + right + 1;
  d.dilation_height = d.dilation_width = 1;
  d.pad_bottom = height + below - d.in_height;
  d.pad_right = width + right - d.in_width;
  evr_conv2d_problem made;
  if (evr_conv2d_problem_init(&made, &d) != EVR_OK) return false;
  made.common = first->common;
  made.spread = first->spread;
  evr_conv2d_share_scratch(&made, &made.sizes, 0, first->common.parallel.threads);
  if (make_blocking(&made).slot_bytes > (size_t)made.scratch) return false;
  memcpy(whole, &made, sizeof made);
  return true;
}

/* A step of a tile. Of windows wider than a pixel most vectors lie across two cache lines, with
 * AVX2 half of them, and take two loads each: most for a single output, with one sum for each
 * vector. Rows that L1 does not hold come from L2. */
static double step_time(const evr_conv2d_problem *p, const blocking *b, int64_t outputs,
                        int64_t vectors) {
  const double sums = evr_step_time((double)(vectors * outputs));
  if (p->desc.kernel_width == 1) return sums;
  const bool double_pumped = EVR_LANES == 16 && evr_cpu()->double_pumped_avx512;
  if (double_pumped)
    return fmax(sums, ((double)outputs + (outputs == 1 ? 1.3 : 0.15)) * (double)vectors / 3.55);
  const double loads = (outputs == 1 ? 0.95 : 1.0) * (double)vectors / 3.55;
  const size_t ring_bytes = b->slot_bytes - b->sums_bytes - b->zero_bytes;
  const bool far = ring_bytes / (size_t)b->ring > IN_L1;
  return fmax(sums, loads) + (far ? 0.06 * (double)vectors : 0.0);
}

/* Blocks to transpose, rows to copy or planes to read, tiles, the taps of their windows, outputs,
 * and the product (pace.h). */
static double copying_time(const evr_conv2d_problem *p, const blocking *b) {
  const evr_conv2d_desc *d = &p->desc;
  /* Rows that bands share are transposed for each; those of padding are only filled. */
  const int64_t shared = evr_max(b->ring - d->stride_height, 0);
  const int64_t rows = evr_min(b->height * evr_min(b->ring, d->stride_height) + shared,
                               is_flat(p) ? 1 : d->in_height) +
                       (b->bands - 1) * shared;
  const double blocks =
      (double)rows * (double)b->strips * (double)(b->columns / EVR_LANES) * (double)d->stride_width;
  const double channels = (double)evr_ceil_div(p->group_in, EVR_LANES); /* in vectors */
  if (b->in_place) return 0.0; /* planes come while sums are taken */
  if (evr_few_way_of_copying(p) == EVR_FEW_APART)
    return blocks * EVR_LANES * (double)p->group_in * EVR_BY_WIDTH(0.62, 0.42);
  if (evr_few_way_of_copying(p) == EVR_FEW_PLANES) {
    const double a_float =
        d->stride_width == 1 ? EVR_BY_WIDTH(0.07, 0.065) : EVR_BY_WIDTH(0.42, 0.33);
    return (double)p->group_in *
           (EVR_BY_WIDTH(5.7, 5.4) * (double)(rows * b->strips * d->stride_width) +
            a_float * blocks * EVR_LANES);
  }
  const bool far = (double)p->sizes.x_count * sizeof(float) > (double)evr_l2_bytes();
  return blocks * EVR_LANES *
         (EVR_BY_WIDTH(0.18, 0.03) + EVR_BY_WIDTH(0.44, 0.94) * channels +
          (far ? 0.05 * (double)p->group_in : 0.0));
}

/* copying: an image's rows, in nanoseconds. */
static double time_of(const evr_conv2d_problem *p, const blocking *b, double copying) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t vectors = evr_ceil_div(b->width, EVR_LANES);
  const int64_t columns = b->strips * b->tiles; /* of tiles */
  const int64_t narrow = vectors / columns, wider = vectors - narrow * columns;
  const bool planes = d->layout == EVR_NCHW;
  const int64_t blocks = block_count(p), few = p->group_out / blocks;
  const double rows_of_tiles = (double)b->height * (double)(columns * blocks);
  const double taps = (double)(d->kernel_height * d->kernel_width);
  const int64_t more = p->group_out - few * blocks; /* blocks with one output more */
  double step = 0.0;
  for (int i = 0; i < 2; i++) {
    const double count = (double)(i == 0 ? blocks - more : more);
    step += count * (double)(columns - wider) * step_time(p, b, few + i, narrow);
    if (wider > 0) step += count * (double)wider * step_time(p, b, few + i, narrow + 1);
  }
  const double sums = (double)b->height * (double)p->depth * step;
  const double chunks = (double)evr_ceil_div(p->group_out, EVR_LANES);
  const double a_pixel = planes           ? 0.0
                         : is_gathered(p) ? chunks * EVR_BY_WIDTH(0.38, 0.86)
                                          : EVR_BY_WIDTH(0.67, 1.1);
  const double outputs = a_pixel * (double)(b->height * b->width);
  const double a_tile = EVR_BY_WIDTH(14.0, 20.0) + EVR_BY_WIDTH(0.25, 0.40) * taps;
  const double image = copying + rows_of_tiles * a_tile + outputs + sums;
  return EVR_BY_WIDTH(90.0, 53.0) + (double)(d->batch * d->groups) * image;
}

static double cost(const void *problem) {
  const blocking b = make_blocking(problem);
  return time_of(problem, &b, copying_time(problem, &b));
}

/* Copied is once for all. */
static double cost_united(const void *whole, const void *const *parts, int count) {
  const evr_conv2d_problem *p = whole;
  blocking b = make_blocking(p);
  double nanoseconds = (double)(p->desc.batch * p->desc.groups) * copying_time(p, &b);
  for (int i = 0; i < count; i++) {
    b = make_blocking(parts[i]);
    nanoseconds += time_of(parts[i], &b, 0.0);
  }
  return nanoseconds;
}

const evr_kernel EVR_NAME(evr_conv2d_few_outputs) = {
    .accepts = accepts,
    .cost = cost,
    .packed_size = packed_size,
    .workspace_size = workspace_size,
    .pack = pack,
    .forward = forward,
    .prepare = prepare,
    .spreads = true,
    .unite = unite,
    .cost_united = cost_united,
    .forward_united = forward_united,
};
