/* Pooling with output columns in the lanes: of planes of one channel (NCHW), or with stride 1 also
 * of pixels of a few channels (NHWC).
 *
 * Input rows are copied to a buffer, between what padding reads as, and for strides above 1 with
 * their columns sorted by remainder, so that every tap of neighbouring outputs is one run. Rows
 * that already are like that are read where they lie. */
#ifndef EVR_POOL_STRIPS_H
#define EVR_POOL_STRIPS_H

#include "pool/fold.h"
#include "pool/taps.h"

#define EVR_STRIP_TAPS 64     /* widest kernel */
#define EVR_STRIP_PHASES 64   /* most remainders */
#define EVR_STRIP_LANES 512   /* most output floats of a row */
#define EVR_STRIP_FLOATS 6144 /* of copied rows: they and the rest leave room in 32 KiB of L1 */

/* How a pooling is cut into strips of columns, and those into bands of rows. */
typedef struct evr_strip_shape {
  int64_t columns;   /* of output */
  int64_t band_rows; /* of output, whose input rows fit the buffer */
} evr_strip_shape;

/* A strip, in any number of planes. */
typedef struct evr_strip {
  const evr_pool2d_problem *problem;
  evr_axis vertical, horizontal;
  int64_t pixel; /* floats of one pixel */
  int64_t band_rows;
  int64_t first, lanes; /* first output column, and floats of the strip */
  int64_t start;        /* input column of the first tap of the first output */
  bool in_place;        /* rows are read where they lie */
  bool pairs;           /* so are rows of 2 x 2 / 2 windows */
  int64_t phases;       /* of a copied row, one for each remainder */
  int64_t phase_columns, phase_floats;
  int64_t phase_begin[EVR_STRIP_PHASES], phase_end[EVR_STRIP_PHASES]; /* pixels from the image */
  int64_t tap[EVR_STRIP_TAPS];                 /* where each tap's run begins in its row */
  int32_t column[EVR_STRIP_LANES + EVR_LANES]; /* of each output's first tap, pads included */
  int32_t
      first_pixel[EVR_STRIP_LANES + EVR_LANES]; /* column of its first tap on the image, or -1 */
  int32_t counted[EVR_STRIP_LANES];             /* taps of a row in the divisor */
  float divisor[EVR_STRIP_LANES + EVR_LANES];
  int64_t divisor_rows; /* that divisor was made for */
  float inverse;        /* evr_exact_inverse of the one divisor there is, else 0 */
  _Alignas(64) float buffer[EVR_STRIP_FLOATS];
} evr_strip;

/* The taps of one output row of one plane. */
typedef struct evr_strip_row {
  const float *x;     /* the first row, as evr_strip.tap wants it */
  int64_t rows, step; /* how many, and floats from one to the next */
  int64_t index;      /* of column 0 of the first row */
  float *y;
  int64_t y_step; /* floats to the next output row */
  int32_t *indices;
} evr_strip_row;

/* Phases begin at whole vectors: stores that cross cache lines are slow. */
EVR_INLINE int64_t evr_strip_phase_floats(int64_t columns, int64_t pixel) {
  return evr_round_up(columns * pixel, EVR_LANES);
}

/* Whether strips can serve, and in what shape. */
EVR_INLINE bool evr_strip_plan(const evr_axis *v, const evr_axis *h, int64_t pixel,
                               int64_t out_height, int64_t out_width, evr_strip_shape *shape) {
  const int64_t reach = (h->kernel - 1) * h->dilation;
  const int64_t extent = (v->kernel - 1) * v->dilation + 1;
  const int64_t phases = evr_min(h->stride, reach + 1);
  if (h->kernel > EVR_STRIP_TAPS || phases > EVR_STRIP_PHASES || pixel > EVR_STRIP_LANES ||
      reach > EVR_STRIP_FLOATS || extent > EVR_STRIP_FLOATS || v->stride > EVR_STRIP_FLOATS)
    return false;
  const int64_t wanted = evr_min(out_width, evr_max(1, 4 * EVR_LANES / pixel));
  const int64_t halo = reach / h->stride;
  /* As many rows as leave the strip wide enough. */
  for (int64_t rows = evr_min(out_height, 16); rows > 0; rows /= 2) {
    const int64_t in_rows = (rows - 1) * v->stride + extent;
    const int64_t room = EVR_STRIP_FLOATS / (in_rows * phases) / EVR_LANES * EVR_LANES;
    const int64_t columns = evr_min(room / pixel - halo, EVR_STRIP_LANES / pixel);
    if (columns < wanted && (rows > 1 || columns < 1)) continue;
    shape->columns = evr_min(columns, out_width);
    const int64_t row = phases * evr_strip_phase_floats(shape->columns + halo, pixel);
    shape->band_rows = (EVR_STRIP_FLOATS / row - extent) / v->stride + 1;
    return true;
  }
  return false;
}

/* Where the phases of a copied row come from, and the taps in them. */
EVR_INLINE void evr_strip_phases(evr_strip *s) {
  const evr_axis *h = &s->horizontal;
  for (int64_t phase = 0; phase < s->phases; phase++) {
    const int64_t at = s->start + phase, all = s->phase_columns;
    const int64_t begin = at < 0 ? evr_min(all, evr_ceil_div(-at, h->stride)) : 0;
    const int64_t end = at < h->in ? evr_min(all, evr_ceil_div(h->in - at, h->stride)) : 0;
    s->phase_begin[phase] = begin;
    s->phase_end[phase] = evr_max(begin, end);
  }
  for (int64_t k = 0; k < h->kernel; k++) {
    const int64_t at = k * h->dilation;
    s->tap[k] =
        s->in_place ? at * s->pixel : at % h->stride * s->phase_floats + at / h->stride * s->pixel;
  }
}

/* Output columns [first, first + columns). */
EVR_INLINE void evr_strip_begin(evr_strip *s, int64_t first, int64_t columns) {
  const evr_axis *h = &s->horizontal;
  const evr_pool_kind kind = s->problem->desc.window.kind;
  const int64_t reach = (h->kernel - 1) * h->dilation;
  s->first = first;
  s->lanes = columns * s->pixel;
  s->start = first * h->stride - h->before;
  const bool inside = s->start >= 0 && s->start + (columns - 1) * h->stride + reach < h->in;
  s->in_place = inside && (h->stride == 1 || columns == 1);
  s->pairs = inside && h->stride == 2 && h->kernel == 2 && h->dilation == 1;
  s->phases = evr_min(h->stride, reach + 1);
  s->phase_columns = columns + reach / h->stride;
  s->phase_floats = evr_strip_phase_floats(s->phase_columns, s->pixel);
  evr_strip_phases(s);
  for (int64_t i = 0; i < columns; i++) {
    const evr_taps taps = evr_taps_of(h, first + i);
    for (int64_t c = i * s->pixel; c < (i + 1) * s->pixel; c++) {
      s->column[c] = (int32_t)taps.start;
      s->first_pixel[c] =
          taps.first == taps.end ? -1 : (int32_t)(taps.start + taps.first * h->dilation);
      s->counted[c] = (int32_t)taps.counted;
    }
  }
  s->divisor_rows = -1;
  /* Every row has its pads in the same places, so they are filled in once. */
  if (!s->in_place)
    for (int64_t i = 0; i < EVR_STRIP_FLOATS; i++) s->buffer[i] = evr_fold_start(kind);
}

EVR_INLINE void evr_copy_run(const float *x, int64_t count, float *y) {
  int64_t i = 0;
  for (; i + EVR_LANES <= count; i += EVR_LANES) vf_store(y + i, vf_load(x + i));
  if (i < count) vf_store_n(y + i, vf_load_n(x + i, count - i), count - i);
}

/* Floats 0, 2, ... 2 (count - 1), and none beyond are read. */
EVR_INLINE void evr_copy_every_other(const float *x, int64_t count, float *y) {
  for (int64_t i = 0; i < count; i += EVR_LANES) {
    const int64_t left = 2 * (count - i) - 1;
    const vf low = vf_load_n(x + 2 * i, evr_min(left, EVR_LANES));
    const vf high = left > EVR_LANES
                        ? vf_load_n(x + 2 * i + EVR_LANES, evr_min(left - EVR_LANES, EVR_LANES))
                        : vf_zero();
    vf_store_n(y + i, vf_even(low, high), evr_min(count - i, EVR_LANES));
  }
}

/* Floats 0, 2, ... to even and 1, 3, ... to odd, count of each; and the last of evens, if there is
 * one more of them. */
EVR_INLINE void evr_copy_pairs(const float *x, int64_t count, int64_t evens, float *even,
                               float *odd) {
  int64_t i = 0;
  for (; i + EVR_LANES <= count; i += EVR_LANES) {
    const vf low = vf_load(x + 2 * i), high = vf_load(x + 2 * i + EVR_LANES);
    vf_store(even + i, vf_even(low, high));
    vf_store(odd + i, vf_odd(low, high));
  }
  if (i == evens) return;
  const int64_t left = count - i + evens - i; /* floats */
  const vf low = vf_load_n(x + 2 * i, evr_min(left, EVR_LANES));
  const vf high = left > EVR_LANES ? vf_load_n(x + 2 * i + EVR_LANES, left - EVR_LANES) : vf_zero();
  vf_store_n(even + i, vf_even(low, high), evens - i);
  vf_store_n(odd + i, vf_odd(low, high), count - i);
}

/* What is copied of all rows of a plane. The fields of a strip are read before any vector is stored
 * to its buffer: afterwards the compiler would have to read them again. */
typedef struct evr_strip_copies {
  const float *x; /* the first row */
  int64_t rows, x_step;
  float *to;
  int64_t to_step;
} evr_strip_copies;

/* Both phases of stride 2. */
EVR_INLINE void evr_strip_copy_two(const evr_strip *s, const evr_strip_copies *c) {
  /* Which phase has the first pixel of the image, and which the second. */
  const int first = s->start + 2 * s->phase_begin[0] > s->start + 1 + 2 * s->phase_begin[1];
  const int64_t evens = s->phase_end[first] - s->phase_begin[first];
  const int64_t odds = s->phase_end[1 - first] - s->phase_begin[1 - first];
  if (evens == 0) return; /* then there are no odds either: they begin one pixel later */
  const int64_t even = first * s->phase_floats + s->phase_begin[first];
  const int64_t odd = (1 - first) * s->phase_floats + s->phase_begin[1 - first];
  const float *x = c->x + s->start + first + 2 * s->phase_begin[first];
  for (int64_t row = 0; row < c->rows; row++) {
    float *to = c->to + row * c->to_step;
    evr_copy_pairs(x + row * c->x_step, odds, evens, to + even, to + odd);
  }
}

/* One phase of any stride. */
EVR_INLINE void evr_strip_copy_phase(const evr_strip *s, const evr_strip_copies *c, int64_t phase) {
  const int64_t stride = s->horizontal.stride;
  const int64_t begin = s->phase_begin[phase], count = s->phase_end[phase] - begin;
  if (count == 0) return;
  const int64_t floats = count * s->pixel;
  const float *x = c->x + (s->start + phase + begin * stride) * s->pixel;
  float *first = c->to + phase * s->phase_floats + begin * s->pixel;
  for (int64_t row = 0; row < c->rows; row++) {
    const float *from = x + row * c->x_step;
    float *to = first + row * c->to_step;
    if (stride == 1)
      evr_copy_run(from, floats, to);
    else if (stride == 2)
      evr_copy_every_other(from, count, to);
    else
      for (int64_t i = 0; i < count; i++) to[i] = from[i * stride];
  }
}

EVR_INLINE void evr_strip_copy(const evr_strip *s, const evr_strip_copies *c) {
  if (s->horizontal.stride == 2 && s->phases == 2)
    evr_strip_copy_two(s, c);
  else
    for (int64_t phase = 0; phase < s->phases; phase++) evr_strip_copy_phase(s, c, phase);
}

/* See evr_fold_begin: -1 where no tap is on the image. */
EVR_INLINE vi evr_strip_first_index(const evr_strip *s, const evr_strip_row *r, int64_t at) {
  if (r->rows == 0) return vi_set1(-1);
  const vi first = vi_load(s->first_pixel + at);
  return vi_or(vi_add(first, vi_set1((int32_t)r->index)), vi_shift_right(first, 31));
}

/* Some lanes of an output row, with any kernel. rows and taps may be constants. */
EVR_INLINE evr_fold evr_strip_taps(evr_pool_kind kind, bool indexed, const evr_strip *s,
                                   const evr_strip_row *r, int64_t rows, int64_t taps, int64_t at,
                                   int64_t lanes) {
  const vi none = vi_set1(-1);
  evr_fold f = evr_fold_begin(kind, indexed ? evr_strip_first_index(s, r, at) : none);
  for (int64_t i = 0; i < rows; i++) {
    const float *x = r->x + i * r->step + at;
    int64_t k = 0;
    for (; !indexed && k + 2 <= taps; k += 2)
      evr_fold_pair(kind, &f, evr_load_lanes(x + s->tap[k], lanes),
                    evr_load_lanes(x + s->tap[k + 1], lanes));
    for (; k < taps; k++) {
      vi index = none;
      if (indexed) {
        const int64_t row = r->index + i * s->vertical.dilation * s->horizontal.in;
        const int32_t offset = (int32_t)(row + k * s->horizontal.dilation);
        index = vi_add(vi_load(s->column + at), vi_set1(offset));
      }
      evr_fold_pixel(kind, indexed, &f, evr_load_lanes(x + s->tap[k], lanes), index);
    }
  }
  return f;
}

/* Two columns a window, stride 2, straight from the image. */
EVR_INLINE evr_fold evr_strip_pairs(evr_pool_kind kind, const evr_strip_row *r, int64_t rows,
                                    int64_t at, int64_t lanes) {
  evr_fold f = evr_fold_begin(kind, vi_set1(-1));
  for (int64_t i = 0; i < rows; i++) {
    const float *x = r->x + i * r->step + 2 * at;
    const vf low = evr_load_lanes(x, evr_min(EVR_LANES, 2 * lanes));
    const vf high =
        2 * lanes <= EVR_LANES ? vf_zero() : evr_load_lanes(x + EVR_LANES, 2 * lanes - EVR_LANES);
    evr_fold_pair(kind, &f, vf_even(low, high), vf_odd(low, high));
  }
  return f;
}

EVR_INLINE vf evr_strip_value(evr_pool_kind kind, bool indexed, const evr_strip *s,
                              const evr_fold *f, int64_t at) {
  const vf value = evr_fold_value(kind, indexed, f);
  if (kind != EVR_POOL_AVERAGE) return value;
  return s->inverse != 0.0f ? vf_mul(value, vf_set1(s->inverse))
                            : vf_div(value, vf_load(s->divisor + at));
}

/* Output rows done together where the next window begins one row further on, and so has most rows
 * in common. */
#define EVR_STRIP_TOGETHER 4

/* That many whole windows of 3 x 3. */
EVR_INLINE void evr_strip_threes(evr_pool_kind kind, const evr_strip *s, const evr_strip_row *r,
                                 int64_t at, int64_t lanes) {
  evr_fold f[EVR_STRIP_TOGETHER];
  EVR_UNROLL
  for (int w = 0; w < EVR_STRIP_TOGETHER; w++) f[w] = evr_fold_begin(kind, vi_set1(-1));
  EVR_UNROLL
  for (int i = 0; i < EVR_STRIP_TOGETHER + 2; i++) {
    const float *x = r->x + i * r->step + at;
    const vf a = vf_once(evr_load_lanes(x + s->tap[0], lanes));
    const vf b = vf_once(evr_load_lanes(x + s->tap[1], lanes));
    const vf c = vf_once(evr_load_lanes(x + s->tap[2], lanes));
    evr_fold row = evr_fold_begin(kind, vi_set1(-1));
    if (kind != EVR_POOL_AVERAGE) {
      evr_fold_pair(kind, &row, a, b);
      evr_fold_pixel(kind, false, &row, c, vi_set1(-1));
    }
    EVR_UNROLL
    for (int w = 0; w < EVR_STRIP_TOGETHER; w++) {
      if (i < w || i > w + 2) continue;
      if (kind == EVR_POOL_AVERAGE)
        f[w].value = vf_add(vf_add(vf_add(f[w].value, a), b), c);
      else
        evr_fold_join(kind, &f[w], &row);
    }
  }
  EVR_UNROLL
  for (int w = 0; w < EVR_STRIP_TOGETHER; w++)
    evr_store_lanes(r->y + w * r->y_step + at, evr_strip_value(kind, false, s, &f[w], at), lanes);
}

/* A row of taps, which the sums of windows first to last have in common. */
EVR_INLINE void evr_strip_add_row(const evr_strip *s, const float *x, int64_t taps, int first,
                                  int last, int64_t lanes, vf sum[EVR_STRIP_TOGETHER]) {
  for (int64_t k = 0; k < taps; k++) {
    const vf pixel = vf_once(evr_load_lanes(x + s->tap[k], lanes));
    EVR_UNROLL
    for (int w = first; w <= last; w++) sum[w] = vf_add(sum[w], pixel);
  }
}

/* Averages of that many whole windows, of rows (at least EVR_STRIP_TOGETHER - 1) by taps. */
EVR_INLINE void evr_strip_averages(const evr_strip *s, const evr_strip_row *r, int64_t rows,
                                   int64_t taps, int64_t at, int64_t lanes) {
  const int last = EVR_STRIP_TOGETHER - 1;
  const float *x = r->x + at;
  vf sum[EVR_STRIP_TOGETHER];
  EVR_UNROLL
  for (int w = 0; w <= last; w++) sum[w] = vf_zero();
  EVR_UNROLL
  for (int i = 0; i < last; i++, x += r->step) evr_strip_add_row(s, x, taps, 0, i, lanes, sum);
  for (int64_t i = last; i < rows; i++, x += r->step)
    evr_strip_add_row(s, x, taps, 0, last, lanes, sum);
  EVR_UNROLL
  for (int i = 0; i < last; i++, x += r->step)
    evr_strip_add_row(s, x, taps, i + 1, last, lanes, sum);
  const evr_fold none = evr_fold_begin(EVR_POOL_AVERAGE, vi_set1(-1));
  EVR_UNROLL
  for (int w = 0; w <= last; w++) {
    evr_fold f = none;
    f.value = sum[w];
    evr_store_lanes(r->y + w * r->y_step + at, evr_strip_value(EVR_POOL_AVERAGE, false, s, &f, at),
                    lanes);
  }
}

EVR_INLINE void evr_strip_some_together(evr_pool_kind kind, bool threes, const evr_strip *s,
                                        const evr_strip_row *r, int64_t at, int64_t lanes) {
  if (threes)
    evr_strip_threes(kind, s, r, at, lanes);
  else
    evr_strip_averages(s, r, r->rows, s->horizontal.kernel, at, lanes);
}

/* All lanes of those output rows; at the end as in evr_strip_all_lanes. */
EVR_INLINE void evr_strip_all_together(evr_pool_kind kind, bool threes, const evr_strip *s,
                                       const evr_strip_row *r) {
  int64_t at = 0;
  for (; at + EVR_LANES <= s->lanes; at += EVR_LANES)
    evr_strip_some_together(kind, threes, s, r, at, EVR_LANES);
  if (at == s->lanes) return;
  if (at > 0)
    evr_strip_some_together(kind, threes, s, r, s->lanes - EVR_LANES, EVR_LANES);
  else
    evr_strip_some_together(kind, threes, s, r, 0, s->lanes);
}

EVR_INLINE void evr_strip_lanes(evr_pool_kind kind, bool indexed, bool pairs, const evr_strip *s,
                                const evr_strip_row *r, int64_t rows, int64_t taps, int64_t at,
                                int64_t lanes) {
  const evr_fold f = pairs ? evr_strip_pairs(kind, r, rows, at, lanes)
                           : evr_strip_taps(kind, indexed, s, r, rows, taps, at, lanes);
  evr_store_lanes(r->y + at, evr_strip_value(kind, indexed, s, &f, at), lanes);
  if (indexed) evr_store_index_lanes(r->indices + at, f.index, lanes);
}

EVR_INLINE void evr_strip_all_lanes(evr_pool_kind kind, bool indexed, bool pairs,
                                    const evr_strip *s, const evr_strip_row *r, int64_t rows,
                                    int64_t taps) {
  int64_t at = 0;
  for (; at + EVR_LANES <= s->lanes; at += EVR_LANES)
    evr_strip_lanes(kind, indexed, pairs, s, r, rows, taps, at, EVR_LANES);
  if (at == s->lanes) return;
  /* The end: whole by doing some lanes again. */
  if (at > 0)
    evr_strip_lanes(kind, indexed, pairs, s, r, rows, taps, s->lanes - EVR_LANES, EVR_LANES);
  else
    evr_strip_lanes(kind, indexed, pairs, s, r, rows, taps, 0, s->lanes);
}

/* The usual windows are constants to the compiler. */
EVR_INLINE void evr_strip_condense(evr_pool_kind kind, bool indexed, bool pairs, const evr_strip *s,
                                   const evr_strip_row *r) {
  const int64_t taps = s->horizontal.kernel;
  if (pairs && r->rows == 2)
    evr_strip_all_lanes(kind, indexed, true, s, r, 2, 2);
  else if (pairs)
    evr_strip_all_lanes(kind, indexed, true, s, r, r->rows, 2);
  else if (!indexed && r->rows == 3 && taps == 3)
    evr_strip_all_lanes(kind, indexed, false, s, r, 3, 3);
  else
    evr_strip_all_lanes(kind, indexed, false, s, r, r->rows, taps);
}

/* Divisors of windows of counted rows. */
EVR_INLINE void evr_strip_divisors(evr_strip *s, int64_t counted) {
  if (s->divisor_rows == counted) return;
  s->divisor_rows = counted;
  bool one = true;
  for (int64_t i = 0; i < s->lanes; i++) {
    s->divisor[i] = evr_divisor(counted, s->counted[i]);
    one = one && s->counted[i] == s->counted[0];
  }
  s->inverse = one ? evr_exact_inverse(s->divisor[0]) : 0.0f;
}

/* Output rows [begin, end) of one plane, whose input rows fit the buffer; x, y and indices are the
 * plane's. All rows are copied before any is used: a vector that crosses two just stored would wait
 * for both. */
EVR_INLINE void evr_strip_band(evr_pool_kind kind, bool indexed, evr_strip *s, const float *x,
                               float *y, int32_t *indices, int64_t begin, int64_t end) {
  const evr_axis *v = &s->vertical;
  const int64_t image_row = s->horizontal.in * s->pixel, copied_row = s->phases * s->phase_floats;
  const bool pairs = s->pairs && !indexed, in_place = s->in_place || pairs;
  const int64_t from = evr_max(0, begin * v->stride - v->before);
  const int64_t last = (end - 1) * v->stride - v->before + (v->kernel - 1) * v->dilation;
  if (!in_place) {
    const evr_strip_copies copies = {.x = x + from * image_row,
                                     .rows = evr_min(last + 1, v->in) - from,
                                     .x_step = image_row,
                                     .to = s->buffer,
                                     .to_step = copied_row};
    evr_strip_copy(s, &copies);
  }
  const bool dense = !indexed && v->stride == 1 && v->dilation == 1;
  const bool threes =
      dense && v->kernel == 3 && s->horizontal.kernel == 3 && s->horizontal.stride == 1;
  const bool together = threes || (dense && !pairs && kind == EVR_POOL_AVERAGE &&
                                   v->kernel >= EVR_STRIP_TOGETHER - 1);
  const int64_t whole = evr_min(end, v->inside_end); /* windows before have all their rows */
  for (int64_t oh = begin; oh < end;) {
    const evr_taps rows = evr_taps_of(v, oh);
    if (kind == EVR_POOL_AVERAGE) evr_strip_divisors(s, rows.counted);
    const int64_t ih = rows.start + rows.first * v->dilation;
    const int64_t out = (oh * s->problem->sizes.out_width + s->first) * s->pixel;
    evr_strip_row r = {.rows = rows.end - rows.first,
                       .step = v->dilation * (in_place ? image_row : copied_row),
                       .index = ih * s->horizontal.in,
                       .y = y + out,
                       .y_step = s->problem->sizes.out_width * s->pixel,
                       .indices = indexed ? indices + out : NULL};
    if (r.rows == 0)
      r.x = x;
    else if (in_place)
      r.x = x + ih * image_row + s->start * s->pixel;
    else
      r.x = s->buffer + (ih - from) * copied_row;
    if (together && oh >= v->inside_first && oh + EVR_STRIP_TOGETHER <= whole) {
      if (kind != EVR_POOL_AVERAGE || threes)
        evr_strip_all_together(kind, true, s, &r);
      else
        evr_strip_all_together(kind, false, s, &r);
      oh += EVR_STRIP_TOGETHER;
    } else {
      evr_strip_condense(kind, indexed, pairs, s, &r);
      oh++;
    }
  }
}

/* Output rows [begin, end) of one plane. */
EVR_INLINE void evr_strip_plane(evr_pool_kind kind, bool indexed, evr_strip *s, const float *x,
                                float *y, int32_t *indices, int64_t begin, int64_t end) {
  for (int64_t oh = begin; oh < end; oh += s->band_rows)
    evr_strip_band(kind, indexed, s, x, y, indices, oh, evr_min(end, oh + s->band_rows));
}

static void evr_strip_run(evr_strip *s, const float *x, float *y, int32_t *indices, int64_t begin,
                          int64_t end) {
  const evr_pool_kind kind = s->problem->desc.window.kind;
  if (kind == EVR_POOL_AVERAGE)
    evr_strip_plane(EVR_POOL_AVERAGE, false, s, x, y, NULL, begin, end);
  else if (kind == EVR_POOL_MAX && indices != NULL)
    evr_strip_plane(EVR_POOL_MAX, true, s, x, y, indices, begin, end);
  else if (kind == EVR_POOL_MAX)
    evr_strip_plane(EVR_POOL_MAX, false, s, x, y, NULL, begin, end);
  else if (indices != NULL)
    evr_strip_plane(EVR_POOL_MIN, true, s, x, y, indices, begin, end);
  else
    evr_strip_plane(EVR_POOL_MIN, false, s, x, y, NULL, begin, end);
}

#endif
