/* The backward pass of pooling where a few neighbouring pixels are made at once: a cell of edge x
 * edge pixels looks at each window that holds one of them once, and not once for each pixel. All
 * windows of a cell exist; what is near the border is left to others. */
#ifndef EVR_POOL_CELLS_H
#define EVR_POOL_CELLS_H

#include "pool/covers.h"
#include "pool/fold.h"
#include "simd/stream.h"

/* Most pixels of a cell. */
#define EVR_CELL_PIXELS 4

/* Square windows with a stride, and the cells that suit them; edge is a multiple of stride. */
typedef struct evr_cell {
  int kernel, stride, edge;
} evr_cell;

/* From its first window to the first that starts within the cell; and all of them. */
EVR_INLINE int evr_cell_back(evr_cell k) { return (k.kernel - 1) / k.stride; }
EVR_INLINE int evr_cell_windows(evr_cell k) {
  return evr_cell_back(k) + 1 + (k.edge - 1) / k.stride;
}

/* Pixels [first, end) of an axis, which cells may cover from first on. */
typedef struct evr_cell_range {
  int64_t first, end;
} evr_cell_range;

static inline evr_cell_range evr_cells_of(const evr_axis *a, int64_t out, evr_cell k) {
  const int64_t place = evr_max(evr_round_up(a->before, k.stride), evr_cell_back(k) * k.stride);
  const int64_t last = (out - 1 - (k.edge - 1) / k.stride) * k.stride;
  evr_cell_range range = {place - a->before, evr_min(a->in, last + k.edge - a->before)};
  if (range.end < range.first + k.edge) range.first = range.end = 0;
  return range;
}

/* What the cells of two rows of windows have in common. */
typedef struct evr_cell_job {
  const float *given;     /* of the first window of the first cell */
  const int32_t *winners; /* likewise; NULL: of an average */
  int64_t window, row;    /* floats from window to window, and from a row of these to the next */
  int64_t width;          /* pixels of a row of the image */
  int64_t index;          /* of the first pixel of the first cell in its plane */
  float *dx;              /* of this pixel */
  int64_t pixel, dx_row;  /* floats from pixel to pixel, and from row to row */
  int64_t cells;
} evr_cell_job;

/* One vector of channels (or lanes of it) of a cell. */
EVR_INLINE void evr_cell_vector(evr_cell k, bool indexed, bool past, const evr_cell_job *j,
                                int64_t lanes, const float *given, const int32_t *winners,
                                const vi *own, float *dx) {
  const int back = evr_cell_back(k), windows = evr_cell_windows(k);
  vf sum[EVR_CELL_PIXELS];
  EVR_UNROLL
  for (int i = 0; i < k.edge * k.edge; i++) sum[i] = vf_zero();
  EVR_UNROLL
  for (int r = 0; r < windows; r++) EVR_UNROLL
  for (int c = 0; c < windows; c++) {
    const int64_t at = r * j->row + c * j->window;
    const vf value = evr_load_lanes(given + at, lanes);
    vi winner = vi_set1(0);
    if (indexed) winner = evr_load_index_lanes(winners + at, lanes);
    EVR_UNROLL
    for (int h = 0; h < k.edge; h++) EVR_UNROLL
    for (int w = 0; w < k.edge; w++) {
      const int kh = h - (r - back) * k.stride, kw = w - (c - back) * k.stride;
      if (kh < 0 || kh >= k.kernel || kw < 0 || kw >= k.kernel) continue;
      /* A sum is never -0, so to leave it is to add the +0 of a pixel that has not won. */
      vf *to = &sum[h * k.edge + w];
      const vf more = vf_add(*to, value);
      *to = indexed ? vf_select(vi_eq(winner, own[h * k.edge + w]), more, *to) : more;
    }
  }
  EVR_UNROLL
  for (int h = 0; h < k.edge; h++) EVR_UNROLL
  for (int w = 0; w < k.edge; w++) {
    float *to = dx + h * j->dx_row + w * j->pixel;
    if (past)
      vf_stream(to, sum[h * k.edge + w]);
    else
      evr_store_lanes(to, sum[h * k.edge + w], lanes);
  }
}

/* A row of cells. */
EVR_INLINE void evr_cell_row(evr_cell k, bool indexed, bool past, int64_t channels,
                             const evr_cell_job *job) {
  const evr_cell_job own_job = *job, *j = &own_job; /* stores to dx cannot change it */
  const int64_t step = k.edge / k.stride * j->window;
  float *dx = j->dx;
  for (int64_t cell = 0; cell < j->cells; cell++, dx += k.edge * j->pixel) {
    const float *given = j->given + cell * step;
    const int32_t *winners = indexed ? j->winners + cell * step : NULL;
    vi own[EVR_CELL_PIXELS];
    EVR_UNROLL
    for (int h = 0; h < k.edge; h++) EVR_UNROLL
    for (int w = 0; w < k.edge; w++)
      own[h * k.edge + w] =
          vi_set1(indexed ? (int32_t)(j->index + cell * k.edge + h * j->width + w) : 0);
    int64_t c = 0;
    for (; c + EVR_LANES <= channels; c += EVR_LANES)
      evr_cell_vector(k, indexed, past, j, EVR_LANES, given + c, indexed ? winners + c : NULL, own,
                      dx + c);
    if (c < channels)
      evr_cell_vector(k, indexed, false, j, channels - c, given + c, indexed ? winners + c : NULL,
                      own, dx + c);
  }
}

#endif
