/* Depthwise convolution, NCHW: lanes run over the output columns of one plane.
 *
 * A chunk of rows is copied into scratch: padded, and for strides dealt out into phases (every
 * stride-th column and row side by side), so that each tap reads with stride one. All rows have one
 * pitch there, so outputs are computed as one flat run across row ends, small planes without
 * wasting lanes; what falls between rows is dropped when the run is finished into y. Rows that fill
 * vectors well are computed as tiles of several rows instead, where the kernel is a common one. */
#include "activation/apply.h"
#include "conv/depthwise.h"
#include "conv/depthwise_plane.h"
#include "core/checked.h"

/* Scratch of a chunk, most of the smallest L1 that is about; multiply-adds that make a task. */
#define CHUNK_BYTES 24576
#define TASK_MULTIPLIES 32768

/* Floats behind each phase: vectors may end up to a vector beyond it. */
#define PHASE_SLACK 16

typedef struct axis {
  int64_t stride;
  int64_t period; /* phases that taps read: tap k reads phase k % period, */
  int64_t step;   /* which begins at padded position (k % period) * step % stride */
  int64_t reach;  /* positions of a phase beyond the outputs */
} axis;

typedef struct cut {
  const evr_plane_kind *kind; /* NULL: flat runs */
  axis vertical, horizontal;
  int64_t pitch;            /* positions of a phase's row */
  int64_t rows, chunks;     /* output rows of a chunk */
  int64_t plane;            /* floats of one phase: rows + reach, times pitch */
  int64_t channels, groups; /* input channels of a task */
  size_t in_bytes, out_bytes, offset_bytes;
} cut;

static axis make_axis(int64_t stride, int64_t kernel, int64_t dilation) {
  axis a = {.stride = stride, .step = dilation};
  a.period = evr_min(a.stride / evr_greatest_common_divisor(dilation, a.stride), kernel);
  a.reach = (kernel - 1) * dilation / a.stride;
  return a;
}

/* The tile for this kernel, NULL where there is none or its last vector would waste too many lanes.
 */
static const evr_plane_kind *plane_kind(const evr_conv2d_desc *d, int64_t width) {
  if (d->kernel_width != d->kernel_height || d->stride_width != d->stride_height ||
      d->dilation_height != 1 || d->dilation_width != 1 ||
      5 * width < 3 * evr_round_up(width, EVR_LANES))
    return NULL;
  for (size_t i = 0; i < sizeof evr_plane_kinds / sizeof *evr_plane_kinds; i++)
    if (evr_plane_kinds[i].kernel == d->kernel_width &&
        evr_plane_kinds[i].stride == d->stride_width)
      return &evr_plane_kinds[i];
  return NULL;
}

static cut make_cut(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  cut c = {.kind = plane_kind(d, width)};
  c.vertical = make_axis(d->stride_height, d->kernel_height, d->dilation_height);
  c.horizontal = make_axis(d->stride_width, d->kernel_width, d->dilation_width);
  c.pitch = width + c.horizontal.reach;
  if (c.kind != NULL) c.pitch = evr_round_up(c.pitch, 16); /* few loads then cross cache lines */
  const int64_t phases = c.vertical.period * c.horizontal.period;
  const int64_t bytes = evr_min(CHUNK_BYTES, p->scratch_share - p->scratch_share / 8);
  const int64_t fit = bytes / (int64_t)sizeof(float) / c.pitch;
  int64_t most = (fit - phases * c.vertical.reach) / (c.kind != NULL ? phases : phases + 1);
  if (c.kind != NULL) most = evr_max(most / EVR_PLANE_ROWS, 1) * EVR_PLANE_ROWS;
  c.chunks = evr_ceil_div(height, evr_max(evr_min(most, height), 1));
  c.rows = evr_ceil_div(height, c.chunks);
  c.chunks = evr_ceil_div(height, c.rows);
  c.plane = (c.rows + c.vertical.reach) * c.pitch + PHASE_SLACK;

  const double multiplies = (double)(c.rows * width * p->group_out) * (double)p->depth;
  const int64_t worth = multiplies < TASK_MULTIPLIES ? (int64_t)(TASK_MULTIPLIES / multiplies) : 1;
  c.groups = evr_ceil_div(d->in_channels, worth);
  c.channels = evr_ceil_div(d->in_channels, c.groups);
  c.groups = evr_ceil_div(d->in_channels, c.channels);

  c.in_bytes =
      evr_size_product(evr_size_sum(evr_size_floats_of(c.rows + c.vertical.reach, c.pitch, 1, 1),
                                    PHASE_SLACK * sizeof(float)),
                       (size_t)phases);
  c.out_bytes = c.kind != NULL ? 0
                               : evr_size_sum(evr_size_floats_of(c.rows, c.pitch, 1, 1),
                                              EVR_LANES * sizeof(float) + 64);
  c.out_bytes -= c.out_bytes == EVR_SIZE_TOO_LARGE ? 0 : c.out_bytes % 64;
  c.offset_bytes = evr_size_product((size_t)p->depth, sizeof(int64_t));
  c.offset_bytes = evr_size_sum(c.offset_bytes, 64 - c.offset_bytes % 64);
  return c;
}

static size_t cut_bytes(const cut *c) {
  return evr_size_sum(evr_size_sum(c->in_bytes, c->out_bytes), c->offset_bytes);
}

_Static_assert(sizeof(cut) <= sizeof(((evr_prepared *)0)->state), "it fits");

void EVR_NAME(evr_depthwise_nchw_prepare)(void *problem) {
  const cut c = make_cut(problem);
  evr_keep_prepared(problem, EVR_NAME(evr_depthwise_nchw_prepare), &c, sizeof c);
}

static void read_cut(const evr_conv2d_problem *p, cut *c) {
  if (!evr_read_prepared(p, EVR_NAME(evr_depthwise_nchw_prepare), c, sizeof *c)) *c = make_cut(p);
}

size_t EVR_NAME(evr_depthwise_nchw_slot_bytes)(const evr_conv2d_problem *p) {
  const cut c = make_cut(p);
  return cut_bytes(&c);
}

/* The plain order of OIHW: [channel][kh][kw]. Whether weights are in that order as they are. */
static bool reads_plain(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  return evr_weights_are_apart(p, p->depth) && (d->kernel_width == 1 || p->weights.column == 1) &&
         (d->kernel_height == 1 || p->weights.row == d->kernel_width);
}

size_t EVR_NAME(evr_depthwise_nchw_packed_size)(const evr_conv2d_problem *p) {
  return reads_plain(p) ? 0 : evr_size_floats(p->sizes.weights_count);
}

void EVR_NAME(evr_depthwise_nchw_pack)(const evr_conv2d_problem *p, const float *weights,
                                       float *packed) {
  for (int64_t oc = 0; oc < p->desc.out_channels; oc++)
    for (int64_t kh = 0; kh < p->desc.kernel_height; kh++)
      for (int64_t kw = 0; kw < p->desc.kernel_width; kw++)
        *packed++ = *evr_weight_of(p, weights, kh, kw, oc);
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  const float *weights; /* [channel][kh][kw] */
  cut c;
} job;

/* A column of the padded image that is none of its row's: zero, or a copy of one that is. */
static float padded_value(const evr_conv2d_desc *d, const float *row, int64_t column) {
  if (column >= d->pad_left + d->in_width + d->pad_right) return 0.0f; /* under no window */
  const int64_t iw = evr_source_pixel(column - d->pad_left, d->in_width, d->pad_mode);
  return iw < 0 ? 0.0f : row[iw];
}

/* The copies below work in whole vectors: what they write beyond a row is written again with the
 * next one, or lies in the slack behind the phase. */
static void fill_zeros(float *out, int64_t from, int64_t to) {
  for (; from < to; from += EVR_LANES) vf_store(out + from, vf_zero());
}

/* A row with stride 1, count columns of it. */
static void copy_row(const evr_conv2d_desc *d, const float *row, int64_t count, float *out) {
  const int64_t left = evr_min(d->pad_left, count), width = evr_min(d->in_width, count - left);
  fill_zeros(out, 0, left);
  float *const to = out + left;
  int64_t i = 0;
  for (; i + EVR_LANES <= width; i += EVR_LANES) vf_store(to + i, vf_load(row + i));
  if (i < width) vf_store(to + i, vf_load_n(row + i, width - i));
  fill_zeros(to, evr_round_up(width, EVR_LANES), count - left);
  if (d->pad_mode == EVR_PAD_ZERO) return;
  for (i = 0; i < left; i++) out[i] = padded_value(d, row, i);
  for (i = left + width; i < count; i++) out[i] = padded_value(d, row, i);
}

/* Both phases of a row with stride 2. Columns 0, 2, ... of x go to the first phase where the
 * padding is even, else to the second, one place before columns 1, 3, ... */
static void copy_two_phases(const evr_conv2d_desc *d, const float *row, int64_t count, float *first,
                            float *second) {
  const int64_t odd = d->pad_left % 2, begin = evr_min(d->pad_left / 2, count);
  const int64_t pairs = evr_max(evr_min(d->in_width / 2, count - begin - odd), 0);
  fill_zeros(first, 0, begin + odd);
  fill_zeros(second, 0, begin);
  float *const evens = (odd ? second : first) + begin, *const odds =
                                                           (odd ? first : second) + begin + odd;
  int64_t i = 0;
  for (; i + EVR_LANES <= pairs; i += EVR_LANES) {
    const vf a = vf_load(row + 2 * i), b = vf_load(row + 2 * i + EVR_LANES);
    vf_store(evens + i, vf_even(a, b));
    vf_store(odds + i, vf_odd(a, b));
  }
  if (i < pairs) {
    const int64_t left = 2 * (pairs - i);
    const vf a = vf_load_n(row + 2 * i, evr_min(left, EVR_LANES));
    const vf b =
        left > EVR_LANES ? vf_load_n(row + 2 * i + EVR_LANES, left - EVR_LANES) : vf_zero();
    vf_store(evens + i, vf_even(a, b));
    vf_store(odds + i, vf_odd(a, b));
  }
  const int64_t done = evr_round_up(pairs, EVR_LANES);
  fill_zeros(evens, done, count - begin);
  fill_zeros(odds, done, count - begin - odd);
  if (2 * pairs < d->in_width && begin + pairs < count) evens[pairs] = row[2 * pairs];
  if (d->pad_mode == EVR_PAD_ZERO) return;
  for (i = 0; i < evr_min(begin + odd, count); i++) {
    first[i] = padded_value(d, row, 2 * i);
    if (i < begin) second[i] = padded_value(d, row, 2 * i + 1);
  }
  for (i = begin + pairs; i < count; i++) {
    if (i >= begin + pairs + odd) first[i] = padded_value(d, row, 2 * i);
    second[i] = padded_value(d, row, 2 * i + 1);
  }
}

/* One phase of a row with any stride: padded columns from begin on. */
static void copy_phase(const evr_conv2d_desc *d, const float *row, int64_t begin, int64_t stride,
                       int64_t count, float *out) {
  const int64_t left = evr_max(d->pad_left - begin, 0);
  const int64_t right = evr_max(d->pad_left + d->in_width - begin, 0);
  const int64_t from = evr_min(evr_ceil_div(left, stride), count);
  const int64_t to = evr_min(evr_ceil_div(right, stride), count);
  int64_t i = 0;
  for (; i < from; i++) out[i] = padded_value(d, row, begin + i * stride);
  for (; i < to; i++) out[i] = row[begin - d->pad_left + i * stride];
  for (; i < count; i++) out[i] = padded_value(d, row, begin + i * stride);
}

/* The padded position where a phase begins. */
static int64_t phase_start(const axis *a, int64_t phase) {
  return a->stride == 1 ? 0 : phase * a->step % a->stride;
}

/* Fills the scratch copy for output rows from oh on. */
static void copy_chunk(const job *j, const float *plane, int64_t oh, int64_t rows, float *out) {
  const evr_conv2d_desc *d = &j->p->desc;
  const cut *c = &j->c;
  const axis *v = &c->vertical, *h = &c->horizontal;
  const int64_t padded = d->pad_top + d->in_height + d->pad_bottom;
  for (int64_t vp = 0; vp < v->period; vp++) {
    int64_t row = phase_start(v, vp) + evr_window_top(j->p, oh) + d->pad_top;
    float *to = out + vp * h->period * c->plane;
    for (int64_t i = 0; i < rows + v->reach; i++, row += v->stride, to += c->pitch) {
      const int64_t ih =
          row < padded ? evr_source_pixel(row - d->pad_top, d->in_height, d->pad_mode) : -1;
      const float *const x = plane + ih * d->in_width;
      if (ih < 0)
        for (int64_t hp = 0; hp < h->period; hp++) fill_zeros(to + hp * c->plane, 0, c->pitch);
      else if (h->stride == 1)
        copy_row(d, x, c->pitch, to);
      else if (h->stride == 2 && h->period == 2)
        copy_two_phases(d, x, c->pitch, to, to + c->plane);
      else
        for (int64_t hp = 0; hp < h->period; hp++)
          copy_phase(d, x, phase_start(h, hp), h->stride, c->pitch, to + hp * c->plane);
    }
  }
}

/* Where each tap begins in the scratch copy. */
static void find_offsets(const job *j, int64_t *offsets) {
  const evr_conv2d_desc *d = &j->p->desc;
  const cut *c = &j->c;
  for (int64_t kh = 0; kh < d->kernel_height; kh++)
    for (int64_t kw = 0; kw < d->kernel_width; kw++) {
      const int64_t phase =
          kh % c->vertical.period * c->horizontal.period + kw % c->horizontal.period;
      *offsets++ = phase * c->plane + kh * d->dilation_height / c->vertical.stride * c->pitch +
                   kw * d->dilation_width / c->horizontal.stride;
    }
}

#define RUN_VECTORS 4

/* V vectors of sums; taps is a constant where it is few. */
EVR_INLINE void run_vectors(const float *in, const int64_t *offsets, const float *weights,
                            const int64_t taps, float *out, const int V) {
  vf sum[RUN_VECTORS];
  EVR_UNROLL
  for (int v = 0; v < V; v++) sum[v] = vf_zero();
  for (int64_t tap = 0; tap < taps; tap++) {
    const vf weight = vf_set1(weights[tap]);
    const float *x = in + offsets[tap];
    EVR_UNROLL
    for (int v = 0; v < V; v++) sum[v] = vf_fma(vf_load(x + v * EVR_LANES), weight, sum[v]);
  }
  EVR_UNROLL
  for (int v = 0; v < V; v++) vf_store(out + v * EVR_LANES, sum[v]);
}

static void run_any(const float *in, const int64_t *offsets, const float *weights, int64_t taps,
                    float *out, int64_t vectors) {
  int64_t v = 0;
  for (; v + RUN_VECTORS <= vectors; v += RUN_VECTORS)
    run_vectors(in + v * EVR_LANES, offsets, weights, taps, out + v * EVR_LANES, RUN_VECTORS);
  for (; v < vectors; v++)
    run_vectors(in + v * EVR_LANES, offsets, weights, taps, out + v * EVR_LANES, 1);
}

/* Where the rows of a chunk of one output plane begin. */
typedef struct place {
  int64_t y, residual;
} place;

/* From the flat run to rows of y: bias, residual, activation. */
static void finish(const job *j, const float *run, int64_t channel, place at, int64_t rows) {
  const evr_conv2d_desc *d = &j->p->desc;
  const int64_t width = j->p->sizes.conv_width, pitch = j->c.pitch;
  const bool biased = j->call->bias != NULL;
  const evr_activation_kind kind = d->activation.kind;
  const vf bias = vf_set1(biased ? j->call->bias[channel] : 0.0f);
  const float *residual = j->call->residual != NULL ? j->call->residual + at.residual : NULL;
  float *y = j->call->y + at.y;
  for (int64_t row = 0; row < rows; row++, run += pitch, y += width) {
    for (int64_t i = 0; i < width; i += EVR_LANES) {
      const int64_t left = evr_min(width - i, EVR_LANES);
      vf sum = vf_load(run + i);
      if (biased) sum = vf_add(sum, bias);
      if (residual != NULL) sum = vf_add(sum, vf_load_n(residual + i, left));
      if (kind == EVR_RELU) sum = evr_relu(sum);
      if (kind == EVR_RELU6) sum = evr_relu6(sum);
      if (left == EVR_LANES)
        vf_store(y + i, sum);
      else
        vf_store_n(y + i, sum, left);
    }
    if (residual != NULL) residual += width;
  }
}

/* The sums of a chunk of one output plane, as tiles of rows. */
static void run_tiles(const job *j, const float *in, int64_t channel, place at, int64_t rows) {
  const cut *c = &j->c;
  const evr_conv2d_call *call = j->call;
  const int64_t width = j->p->sizes.conv_width, tiles = evr_ceil_div(rows, EVR_PLANE_ROWS);
  evr_plane_tile tile = {
      .in = in,
      .pitch = c->pitch,
      .row_phase = c->horizontal.period * c->plane,
      .column_phase = c->plane,
      .weights = j->weights + channel * j->p->depth,
      .bias = call->bias != NULL ? call->bias + channel : NULL,
      .activation = j->p->desc.activation.kind,
      .width = width,
      .y = call->y + at.y,
      .residual = call->residual != NULL ? call->residual + at.residual : NULL,
  };
  const int64_t least = rows / tiles, longer = rows % tiles;
  for (int64_t i = 0; i < tiles; i++) {
    const int64_t count = least + (i < longer);
    c->kind->run[count - 1](&tile);
    tile.in += count * c->pitch;
    tile.y += count * width;
    if (tile.residual != NULL) tile.residual += count * width;
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const cut *c = &j->c;
  const int64_t chunk = evr_take_number(&task, c->chunks);
  const int64_t group = evr_take_number(&task, c->groups), image = task;
  char *scratch = (char *)j->call->workspace + (size_t)slot * cut_bytes(c);
  int64_t *offsets = (int64_t *)(void *)scratch;
  float *in = (float *)(void *)(scratch + c->offset_bytes);
  float *run = (float *)(void *)(scratch + c->offset_bytes + c->in_bytes);
  if (c->kind == NULL) find_offsets(j, offsets);

  const int64_t oh = chunk * c->rows;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  const int64_t rows = evr_min(c->rows, height - oh);
  const int64_t vectors = evr_ceil_div((rows - 1) * c->pitch + width, EVR_LANES);
  const int64_t end = evr_min((group + 1) * c->channels, d->in_channels);
  for (int64_t ic = group * c->channels; ic < end; ic++) {
    const float *plane = j->call->x + (image * d->in_channels + ic) * d->in_height * d->in_width;
    copy_chunk(j, plane, oh, rows, in);
    for (int64_t oc = ic * p->group_out; oc < (ic + 1) * p->group_out; oc++) {
      const int64_t output = image * d->out_channels + oc, skipped = oh * width;
      const place at = {output * p->y_plane + skipped, output * p->residual_plane + skipped};
      if (c->kind != NULL) {
        run_tiles(j, in, oc, at, rows);
      } else {
        run_any(in, offsets, j->weights + oc * p->depth, p->depth, run, vectors);
        finish(j, run, oc, at, rows);
      }
      if (!evr_depthwise_activates(d->activation.kind)) {
        float *const y = j->call->y + at.y;
        EVR_NAME(evr_activation_apply)(&d->activation, y, y, rows * width);
      }
    }
  }
}

void EVR_NAME(evr_depthwise_nchw_forward)(const evr_conv2d_problem *p,
                                          const evr_conv2d_call *call) {
  job j;
  j.p = p;
  j.call = call;
  read_cut(p, &j.c);
  j.weights = reads_plain(p) ? call->weights : call->packed;
  evr_parallel_for(&p->common.parallel, p->desc.batch * j.c.groups * j.c.chunks, run_task, &j);
}
