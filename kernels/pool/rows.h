/* Pooling with output columns in the lanes: of planes of one channel (NCHW), or with stride 1 also of
 * pixels of a few channels (NHWC).
 *
 * Input rows are prepared in a buffer: between what padding reads as, and for strides above 1 with
 * the columns sorted by their remainder, so that every tap of neighbouring outputs is one run. Rows
 * that already are like that are read where they lie. */
#ifndef EVR_POOL_ROWS_H
#define EVR_POOL_ROWS_H

#include "pool/fold.h"
#include "pool/taps.h"

#define EVR_STRIP_ROWS 16     /* most rows of taps at a time */
#define EVR_STRIP_TAPS 64     /* widest kernel */
#define EVR_STRIP_LANES 512   /* most output floats of one row */
#define EVR_STRIP_FLOATS 6144 /* of prepared rows: they and the rest leave room in 32 KiB of L1 */

/* A strip of output columns, in a number of planes. */
typedef struct evr_strip {
  const evr_pool2d_problem *problem;
  evr_axis vertical, horizontal;
  int64_t pixel;                /* floats of one pixel */
  int64_t first, lanes;         /* first output column, and floats of the strip */
  int64_t start;                /* input column of the first tap of the first output */
  bool in_place;                /* no preparation */
  bool pairs;                   /* taps of 2 x 2 / 2 straight from the image */
  int64_t phases, phase_floats; /* of a prepared row */
  int64_t rows;                 /* of taps at a time; that many rows are kept prepared */
  int64_t tap[EVR_STRIP_TAPS];  /* where each tap's run begins in its row */
  int32_t column[EVR_STRIP_LANES + EVR_LANES];       /* of each output's first tap, pads included */
  int32_t first_pixel[EVR_STRIP_LANES + EVR_LANES];  /* column of the first tap on the image, or -1 */
  int32_t counted[EVR_STRIP_LANES + EVR_LANES];      /* taps of a row in the divisor */
  float divisor[EVR_STRIP_LANES + EVR_LANES];
  int64_t divisor_rows;         /* that divisor was made for */
  float inverse;                /* of all divisors where they are one power of two, else 0 */
  float buffer[EVR_STRIP_FLOATS];
} evr_strip;

/* One output row of one plane. */
typedef struct evr_strip_row {
  const float *row[EVR_STRIP_ROWS]; /* as tap wants them */
  int64_t count;                    /* of them */
  int64_t index, index_step;        /* of column 0 of the first row, and from row to row */
  int64_t first_index;              /* of column 0 of the first row of the window */
  bool fresh, done;                 /* whether these are the first rows of the window, the last */
  float *y;
  int32_t *indices;
} evr_strip_row;

/* Whether the kernel fits a strip at all. */
EVR_INLINE bool evr_strip_fits(const evr_axis *horizontal, int64_t pixel) {
  const int64_t reach = (horizontal->kernel - 1) * horizontal->dilation;
  const int64_t phases = evr_min(horizontal->stride, reach + 1);
  return horizontal->kernel <= EVR_STRIP_TAPS && reach <= EVR_STRIP_FLOATS &&
         phases <= EVR_STRIP_FLOATS &&
         phases * (reach / horizontal->stride + EVR_LANES) * pixel <= EVR_STRIP_FLOATS;
}

/* Output columns of a strip, so that rows of taps and their halo fit the buffer. */
EVR_INLINE int64_t evr_strip_columns(const evr_axis *h, int64_t rows, int64_t pixel) {
  const int64_t reach = (h->kernel - 1) * h->dilation, phases = evr_min(h->stride, reach + 1);
  const int64_t room = EVR_STRIP_FLOATS / (rows * phases * pixel) - reach / h->stride;
  return evr_min(room, EVR_STRIP_LANES / pixel);
}

/* Output columns [first, first + columns). */
EVR_INLINE void evr_strip_begin(evr_strip *s, int64_t first, int64_t columns) {
  const evr_axis *h = &s->horizontal;
  const int64_t reach = (h->kernel - 1) * h->dilation;
  s->first = first;
  s->lanes = columns * s->pixel;
  s->start = first * h->stride - h->before;
  const bool inside = s->start >= 0 && s->start + (columns - 1) * h->stride + reach < h->in;
  s->in_place = inside && (h->stride == 1 || columns == 1);
  s->pairs = inside && h->stride == 2 && h->kernel == 2 && h->dilation == 1;
  s->phases = evr_min(h->stride, reach + 1);
  s->phase_floats = (columns + reach / h->stride) * s->pixel;
  for (int64_t k = 0; k < h->kernel; k++) {
    const int64_t at = k * h->dilation;
    s->tap[k] = s->in_place ? at * s->pixel
                            : at % h->stride * s->phase_floats + at / h->stride * s->pixel;
  }
  for (int64_t i = 0; i < columns; i++) {
    const evr_taps taps = evr_taps_of(h, first + i);
    for (int64_t c = i * s->pixel; c < (i + 1) * s->pixel; c++) {
      s->column[c] = (int32_t)taps.start;
      s->first_pixel[c] = taps.first == taps.end
                              ? -1
                              : (int32_t)(taps.start + taps.first * h->dilation);
      s->counted[c] = (int32_t)taps.counted;
    }
  }
  s->divisor_rows = -1;
}

/* Columns start, start + 2, ... of a row, reading nothing beyond the last. */
EVR_INLINE void evr_every_other(const float *x, int64_t count, float *y) {
  int64_t i = 0;
  for (; i + EVR_LANES < count; i += EVR_LANES)
    vf_store(y + i, vf_even(vf_load(x + 2 * i), vf_load(x + 2 * i + EVR_LANES)));
  const int64_t left = 2 * (count - i) - 1; /* floats that may be read */
  if (left <= EVR_LANES)
    vf_store_n(y + i, vf_even(vf_load_n(x + 2 * i, left), vf_zero()), count - i);
  else
    vf_store_n(y + i,
               vf_even(vf_load(x + 2 * i), vf_load_n(x + 2 * i + EVR_LANES, left - EVR_LANES)),
               count - i);
}

/* x is the row of the image. */
EVR_INLINE void evr_strip_prepare(const evr_strip *s, const float *x, float fill, float *to) {
  const int64_t stride = s->horizontal.stride, in = s->horizontal.in, pixel = s->pixel;
  const int64_t columns = s->phase_floats / pixel;
  for (int64_t phase = 0; phase < s->phases; phase++, to += s->phase_floats) {
    const int64_t at = s->start + phase; /* input column of the phase's first */
    const int64_t begin = at < 0 ? evr_min(columns, evr_ceil_div(-at, stride)) : 0;
    const int64_t end =
        evr_max(begin, at < in ? evr_min(columns, evr_ceil_div(in - at, stride)) : 0);
    for (int64_t i = 0; i < begin * pixel; i++) to[i] = fill;
    for (int64_t i = end * pixel; i < columns * pixel; i++) to[i] = fill;
    if (begin == end) continue;
    const float *from = x + (at + begin * stride) * pixel;
    if (stride == 1)
      memcpy(to + begin * pixel, from, (size_t)((end - begin) * pixel) * sizeof *to);
    else if (stride == 2)
      evr_every_other(from, end - begin, to + begin);
    else
      for (int64_t i = begin; i < end; i++) to[i] = from[(i - begin) * stride];
  }
}

/* What lanes of a fresh window begin with: see evr_fold_begin. */
EVR_INLINE vi evr_strip_first_index(const evr_strip *s, const evr_strip_row *r, int64_t at) {
  if (r->count == 0) return vi_set1(-1);
  const vi first = vi_load(s->first_pixel + at);
  return vi_or(vi_add(first, vi_set1((int32_t)r->first_index)), vi_shift_right(first, 31));
}

/* Some lanes of an output row, with any kernel. rows and taps may be constants. */
EVR_INLINE evr_fold evr_strip_taps(evr_pool_kind kind, bool indexed, const evr_strip *s,
                                   const evr_strip_row *r, int64_t rows, int64_t taps, int64_t at,
                                   int64_t lanes) {
  vi index = vi_set1(-1);
  if (indexed)
    index = r->fresh ? evr_strip_first_index(s, r, at) : vi_load_n(r->indices + at, lanes);
  evr_fold f = r->fresh ? evr_fold_begin(kind, index)
                        : evr_fold_resume(evr_load_lanes(r->y + at, lanes), index);
  for (int64_t i = 0; i < rows; i++) {
    const float *x = r->row[i] + at;
    int64_t k = 0;
    for (; !indexed && k + 2 <= taps; k += 2)
      evr_fold_pair(kind, &f, evr_load_lanes(x + s->tap[k], lanes),
                    evr_load_lanes(x + s->tap[k + 1], lanes));
    for (; k < taps; k++) {
      if (indexed) {
        const int64_t offset = r->index + i * r->index_step + k * s->horizontal.dilation;
        index = vi_add(vi_load(s->column + at), vi_set1((int32_t)offset));
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
    const float *x = r->row[i] + 2 * at;
    const vf low = evr_load_lanes(x, evr_min(EVR_LANES, 2 * lanes));
    const vf high = 2 * lanes <= EVR_LANES ? vf_zero()
                                           : evr_load_lanes(x + EVR_LANES, 2 * lanes - EVR_LANES);
    evr_fold_pair(kind, &f, vf_even(low, high), vf_odd(low, high));
  }
  return f;
}

EVR_INLINE void evr_strip_lanes(evr_pool_kind kind, bool indexed, bool pairs, const evr_strip *s,
                                const evr_strip_row *r, int64_t rows, int64_t taps, int64_t at,
                                int64_t lanes) {
  const evr_fold f = pairs ? evr_strip_pairs(kind, r, rows, at, lanes)
                           : evr_strip_taps(kind, indexed, s, r, rows, taps, at, lanes);
  vf value = evr_fold_value(kind, indexed, &f);
  if (kind == EVR_POOL_AVERAGE && r->done)
    value = s->inverse != 0.0f ? vf_mul(value, vf_set1(s->inverse))
                               : vf_div(value, vf_load(s->divisor + at));
  evr_store_lanes(r->y + at, value, lanes);
  if (indexed) evr_store_index_lanes(r->indices + at, f.index, lanes);
}

EVR_INLINE void evr_strip_all_lanes(evr_pool_kind kind, bool indexed, bool pairs,
                                    const evr_strip *s, const evr_strip_row *r, int64_t rows,
                                    int64_t taps) {
  int64_t at = 0;
  for (; at + EVR_LANES <= s->lanes; at += EVR_LANES)
    evr_strip_lanes(kind, indexed, pairs, s, r, rows, taps, at, EVR_LANES);
  if (at == s->lanes) return;
  /* The end: whole by doing some lanes again, unless that would add their pixels twice. */
  if (at > 0 && r->fresh && r->done)
    evr_strip_lanes(kind, indexed, pairs, s, r, rows, taps, s->lanes - EVR_LANES, EVR_LANES);
  else
    evr_strip_lanes(kind, indexed, pairs, s, r, rows, taps, at, s->lanes - at);
}

/* The usual windows are constants to the compiler. */
EVR_INLINE void evr_strip_condense(evr_pool_kind kind, bool indexed, const evr_strip *s,
                                   const evr_strip_row *r) {
  const int64_t taps = s->horizontal.kernel;
  if (!indexed && s->pairs && r->count == 2)
    evr_strip_all_lanes(kind, indexed, true, s, r, 2, 2);
  else if (!indexed && s->pairs)
    evr_strip_all_lanes(kind, indexed, true, s, r, r->count, 2);
  else if (!indexed && r->count == 3 && taps == 3)
    evr_strip_all_lanes(kind, indexed, false, s, r, 3, 3);
  else
    evr_strip_all_lanes(kind, indexed, false, s, r, r->count, taps);
}

/* Divisors of a window of counted rows. */
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

/* Output rows [begin, end) of one plane; x, y and indices are the plane's. */
EVR_INLINE void evr_strip_plane(evr_pool_kind kind, bool indexed, evr_strip *s, const float *x,
                                float *y, int32_t *indices, int64_t begin, int64_t end) {
  const evr_axis *v = &s->vertical;
  const int64_t width = s->horizontal.in, out_width = s->problem->sizes.out_width;
  const int64_t row_floats = s->phases * s->phase_floats;
  const bool pairs = s->pairs && !indexed, in_place = s->in_place || pairs;
  /* Windows that overlap find rows prepared: row ih in place ih % rows. */
  const bool keep = v->dilation == 1 && s->rows == v->kernel;
  int64_t prepared = 0; /* rows before this are done with or kept */
  for (int64_t oh = begin; oh < end; oh++) {
    const evr_taps rows = evr_taps_of(v, oh);
    if (kind == EVR_POOL_AVERAGE) evr_strip_divisors(s, rows.counted);
    const int64_t out = (oh * out_width + s->first) * s->pixel;
    evr_strip_row r = {.index_step = v->dilation * width,
                       .first_index = (rows.start + rows.first * v->dilation) * width,
                       .fresh = true,
                       .y = y + out,
                       .indices = indexed ? indices + out : NULL};
    int64_t at = rows.first;
    do {
      r.count = evr_min(s->rows, rows.end - at);
      r.index = (rows.start + at * v->dilation) * width;
      for (int64_t i = 0; i < r.count; i++) {
        const int64_t ih = rows.start + (at + i) * v->dilation;
        const float *image_row = x + ih * width * s->pixel;
        if (in_place) {
          r.row[i] = image_row + s->start * s->pixel;
          continue;
        }
        float *copy = s->buffer + (keep ? ih % s->rows : i) * row_floats;
        if (!keep || ih >= prepared) {
          evr_strip_prepare(s, image_row, evr_fold_start(kind), copy);
          prepared = ih + 1;
        }
        r.row[i] = copy;
      }
      at += r.count;
      r.done = at >= rows.end;
      evr_strip_condense(kind, indexed, s, &r);
      r.fresh = false;
    } while (!r.done);
  }
}

/* As evr_strip_plane; each kind is a function of its own. */
static void evr_strip_max(evr_strip *s, const float *x, float *y, int32_t *indices, int64_t begin,
                          int64_t end) {
  if (indices != NULL)
    evr_strip_plane(EVR_POOL_MAX, true, s, x, y, indices, begin, end);
  else
    evr_strip_plane(EVR_POOL_MAX, false, s, x, y, NULL, begin, end);
}

static void evr_strip_min(evr_strip *s, const float *x, float *y, int32_t *indices, int64_t begin,
                          int64_t end) {
  if (indices != NULL)
    evr_strip_plane(EVR_POOL_MIN, true, s, x, y, indices, begin, end);
  else
    evr_strip_plane(EVR_POOL_MIN, false, s, x, y, NULL, begin, end);
}

static void evr_strip_average(evr_strip *s, const float *x, float *y, int32_t *indices,
                              int64_t begin, int64_t end) {
  (void)indices;
  evr_strip_plane(EVR_POOL_AVERAGE, false, s, x, y, NULL, begin, end);
}

#endif
