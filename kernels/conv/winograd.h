/* What the parts of Winograd's convolution share. For templates.
 *
 * The output of all images is cut into tiles of out by out pixels, counted through images, rows and
 * columns. Tiles of a band (problem.h) are those of the whole, so that its bits are too. A task
 * takes a block of tiles and a stretch of output channels:
 *
 *   1. transforms the patches of its tiles:     V[point][tile][input channel]
 *   2. multiplies at each point:                M[point][tile][channel] = V[point] U[point]
 *   3. transforms M into pixels, and finishes them.
 *
 * A point is one of the (out + 2)^2 places of a patch. */
#ifndef EVR_CONV_WINOGRAD_H
#define EVR_CONV_WINOGRAD_H

#include "activation/apply.h"
#include "activation/functions.h"
#include "conv/problem.h"
#include "conv/winograd_transform.h"
#include "core/checked.h"

typedef struct evr_winograd_blocking {
  int64_t points;
  int64_t top;                     /* row of the first tile, below 0 where a band begins in it */
  int64_t tile_rows, tile_columns; /* of an image */
  int64_t tiles;                   /* of all images */
  int64_t block, blocks;           /* tiles of a task; of all images */
  int64_t stretch, stretches;      /* output channels of a task; tasks of a block */
  int64_t v_row, v_plane;          /* floats of a tile in V, of a point */
  int64_t m_plane;                 /* floats of a point in M; a tile has stretch */
  size_t v_bytes, m_bytes, slot_bytes;
} evr_winograd_blocking;

typedef struct evr_winograd_job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  evr_winograd_blocking b;
} evr_winograd_job;

/* What one task works on. */
typedef struct evr_winograd_part {
  const evr_winograd_job *j;
  int64_t tile, tiles;       /* of the block */
  int64_t channel, channels; /* of the stretch */
  float *v, *m, *half, *edge;
} evr_winograd_part;

/* Where a tile's pixels begin, and which of its rows and columns there are. */
typedef struct evr_winograd_place {
  int64_t image, row, column;
  int64_t first_row, end_row, end_column;
} evr_winograd_place;

EVR_INLINE evr_winograd_place evr_winograd_find(const evr_winograd_part *t, const int out,
                                                int64_t tile) {
  const evr_winograd_blocking *b = &t->j->b;
  const evr_conv2d_problem *p = t->j->p;
  const int64_t rows = tile / b->tile_columns;
  evr_winograd_place at = {.image = rows / b->tile_rows,
                           .row = b->top + rows % b->tile_rows * out,
                           .column = tile % b->tile_columns * out};
  at.first_row = evr_max(-at.row, 0);
  at.end_row = evr_min(out, p->sizes.conv_height - at.row);
  at.end_column = evr_min(out, p->sizes.conv_width - at.column);
  return at;
}

/* Where a row or column of the padded image reads; -1 for a zero, which a patch also has beyond the
 * padding. */
EVR_INLINE int64_t evr_winograd_source(int64_t at, int64_t size, int64_t pad, int64_t end_pad,
                                       evr_pad_mode mode) {
  return at >= pad + size + end_pad ? -1 : evr_source_pixel(at - pad, size, mode);
}
EVR_INLINE int64_t evr_winograd_source_row(const evr_conv2d_problem *p, int64_t row) {
  const evr_conv2d_desc *d = &p->desc;
  return evr_winograd_source(p->first_row + row, d->in_height, d->pad_top, d->pad_bottom,
                             d->pad_mode);
}
EVR_INLINE int64_t evr_winograd_source_column(const evr_conv2d_problem *p, int64_t column) {
  const evr_conv2d_desc *d = &p->desc;
  return evr_winograd_source(column, d->in_width, d->pad_left, d->pad_right, d->pad_mode);
}

/* A patch has more values than there are registers. So the first half of a transform goes to memory
 * as a matter of course, to half, which stays in the first level cache. */
#if defined(__clang__)
#define EVR_WINOGRAD_LOOP _Pragma("clang loop unroll(disable)")
#else
#define EVR_WINOGRAD_LOOP _Pragma("GCC unroll 1")
#endif
#define EVR_WINOGRAD_HALF (EVR_WINOGRAD_PATCH * EVR_WINOGRAD_PATCH * EVR_LANES)

/* Transforms a patch: pixel (r, c) at pixels[r * side + c] + offset. */
EVR_INLINE void evr_winograd_transform_patch(const int out, const float *const *pixels,
                                             int64_t offset, int64_t lanes, float *half, float *v,
                                             int64_t plane) {
  const int side = out + 2;
  EVR_WINOGRAD_LOOP
  for (int c = 0; c < side; c++) {
    vf d[EVR_WINOGRAD_PATCH], t[EVR_WINOGRAD_PATCH];
    EVR_UNROLL
    for (int r = 0; r < side; r++) {
      const float *from = pixels[r * side + c] + offset;
      d[r] = lanes == EVR_LANES ? vf_load(from) : vf_load_n(from, lanes);
    }
    evr_winograd_input(out, d, t);
    EVR_UNROLL
    for (int r = 0; r < side; r++) vf_store(half + (r * side + c) * EVR_LANES, t[r]);
  }
  EVR_WINOGRAD_LOOP
  for (int r = 0; r < side; r++) {
    vf d[EVR_WINOGRAD_PATCH], t[EVR_WINOGRAD_PATCH];
    EVR_UNROLL
    for (int c = 0; c < side; c++) d[c] = vf_load(half + (r * side + c) * EVR_LANES);
    evr_winograd_input(out, d, t);
    EVR_UNROLL
    for (int c = 0; c < side; c++) vf_store(v + (r * side + c) * plane, t[c]);
  }
}

/* The other way, first half: one vector of channels of M into out rows. */
EVR_INLINE void evr_winograd_transform_sums(const int out, const float *m, int64_t plane,
                                            float *half) {
  const int side = out + 2;
  EVR_WINOGRAD_LOOP
  for (int c = 0; c < side; c++) {
    vf s[EVR_WINOGRAD_PATCH], t[EVR_WINOGRAD_OUT];
    EVR_UNROLL
    for (int r = 0; r < side; r++) s[r] = vf_load(m + (r * side + c) * plane);
    evr_winograd_output(out, s, t);
    EVR_UNROLL
    for (int r = 0; r < out; r++) vf_store(half + (r * side + c) * EVR_LANES, t[r]);
  }
}

/* Second half: the pixels of a row. */
EVR_INLINE void evr_winograd_pixels(const int out, const float *half, int64_t row, vf *y) {
  const int side = out + 2;
  vf s[EVR_WINOGRAD_PATCH];
  EVR_UNROLL
  for (int c = 0; c < side; c++) s[c] = vf_load(half + (row * side + c) * EVR_LANES);
  evr_winograd_output(out, s, y);
}

#endif
