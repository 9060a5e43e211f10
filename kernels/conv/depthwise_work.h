/* What the register tiles of depthwise convolution with channels in the lanes are given, and how
 * they are found. The tiles themselves stand in depthwise_tile.h. */
#ifndef EVR_CONV_DEPTHWISE_WORK_H
#define EVR_CONV_DEPTHWISE_WORK_H

#include "conv/problem.h"
#include "core/checked.h"
#include "simd/simd.h"

/* Output columns of a tile. Seven divides the widths of most networks (7, 14, 28, 56, 112), and
 * with the weights of a kernel row they fit sixteen registers. */
#define EVR_DEPTHWISE_WIDE 7
#define EVR_DEPTHWISE_NARROW 4

/* Vectors of channels that some tiles take together; and whether their sums then wait in memory,
 * for want of registers. */
#define EVR_DEPTHWISE_SUMS_WAIT (EVR_REGISTERS < 32)
#define EVR_DEPTHWISE_TOGETHER (EVR_DEPTHWISE_SUMS_WAIT ? 8 : 4)

/* A rectangle of outputs, all of the same tile width. */
typedef struct evr_depthwise_work {
  int64_t kernel_height, kernel_width, stride, dilation; /* the last three across columns */
  const float *weights;                                  /* [vector][kh][kw][EVR_LANES] */
  int64_t vectors;                                       /* of the block */
  int64_t last_channel; /* where the last vector starts: it may overlap the one before */
  int64_t lanes;        /* channels in a vector; below EVR_LANES there is one vector */
  int64_t first_vector; /* those before are done */
  bool downwards;       /* the last vector first, where sums are plain */
  float *sums;          /* [EVR_DEPTHWISE_TOGETHER * EVR_DEPTHWISE_WIDE][EVR_LANES] */
  const float *bias;    /* of the block, or NULL */
  const evr_activation *activation;

  /* Output row i, kernel row kh: rows[i * row_step + kh * tap_step], NULL where pointers serve. */
  const float *const *rows;
  int64_t row_step, tap_step;
  int64_t x_start;            /* from there to the first input column of the first tile */
  int64_t x_pitch;            /* floats from one input column to the next */
  const float *const *pixels; /* [input row][evr_depthwise_row_pixels]: of one tile */

  int64_t out_rows, columns; /* of the rectangle */
  float *y;
  const float *residual;  /* at y's offset, or NULL */
  int64_t y_row, y_pitch; /* floats from one output row or column to the next */
} evr_depthwise_work;

typedef void evr_depthwise_function(const evr_depthwise_work *work);

typedef struct evr_depthwise_kind {
  /* The kernel's width, which is its height where it is above 2, with dilation 1 across columns;
   * and the stride there. 0: any. */
  int kernel, stride;
  evr_depthwise_function *run[2][2]; /* [narrow or wide][rows or pointers] */
  /* The same for one tile through pointers, vectors together; [narrow or wide], NULL: none. */
  evr_depthwise_function *together[2];
} evr_depthwise_kind;

/* Pointers to the pixels that one kernel row of a tile reads. known 0: any kernel. */
EVR_INLINE int64_t evr_depthwise_row_pixels(int64_t columns, int64_t known,
                                            const evr_depthwise_work *work) {
  return known > 0 ? (columns - 1) * work->stride + known : columns * work->kernel_width;
}

/* The tiles that serve a kernel. */
const evr_depthwise_kind *EVR_NAME(evr_depthwise_kind_of)(const evr_conv2d_desc *desc);

/* The tiles of a row: so many wide ones, then narrow ones. They cover the columns with the least
 * waste, then in the fewest tiles. */
typedef struct evr_depthwise_tiles {
  int64_t wide, all;
} evr_depthwise_tiles;
evr_depthwise_tiles EVR_NAME(evr_depthwise_cut_columns)(int64_t columns);

EVR_INLINE int64_t evr_depthwise_tile_columns(const evr_depthwise_tiles *tiles, int64_t tile) {
  return tile < tiles->wide ? EVR_DEPTHWISE_WIDE : EVR_DEPTHWISE_NARROW;
}

/* First output column of a tile. */
EVR_INLINE int64_t evr_depthwise_tile_start(const evr_depthwise_tiles *tiles, int64_t tile) {
  return tile * EVR_DEPTHWISE_NARROW +
         evr_min(tile, tiles->wide) * (EVR_DEPTHWISE_WIDE - EVR_DEPTHWISE_NARROW);
}

#endif
