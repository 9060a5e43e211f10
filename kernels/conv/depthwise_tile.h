/* The register tile of depthwise convolution, NHWC: T output columns of one row by one vector of
 * channels, for each vector of a block of channels in turn.
 *
 * With a known kernel width and stride each input vector is loaded once and meets every output
 * that it belongs to, while the weights of one kernel row stay in registers. Input columns are
 * visited from left to right, so each sum still takes its taps in the canonical order.
 *
 * Inputs are found in one of two ways: as rows with a constant pitch between columns, where no
 * column is padding, or by one pointer for each pixel, into the image or a pixel of zeros. */
#ifndef EVR_CONV_DEPTHWISE_TILE_H
#define EVR_CONV_DEPTHWISE_TILE_H

#include "activation/functions.h"
#include "core/checked.h"
#include "simd/simd.h"

/* Output columns of a tile. Seven divides the widths of most networks (7, 14, 28, 56, 112), and
 * with the weights of a kernel row they fit sixteen registers. */
#define EVR_DEPTHWISE_WIDE 7
#define EVR_DEPTHWISE_NARROW 4

/* The widest kernel of a kind of its own. */
#define EVR_DEPTHWISE_KNOWN_WIDTH 5

typedef struct evr_depthwise_tile {
  int64_t kernel_height, kernel_width, stride, dilation; /* the last three across columns */
  const float *weights;        /* [vector][kh][kw][EVR_LANES] */
  int64_t vectors;             /* of the block */
  int64_t last_channel;        /* where the last vector starts: it may overlap the one before */
  int64_t lanes;               /* channels in a vector; below EVR_LANES there is one vector */
  const float *bias;           /* of the block, or NULL */
  bool relu;
  int64_t y_pitch;             /* floats from one output column to the next */

  const float *const *rows;    /* [kh]: an input row, and in it */
  int64_t x_start;             /* the first input column of the first tile */
  int64_t x_pitch;             /* floats from one input column to the next */
  const float *const *pixels;  /* or [kh][evr_depthwise_row_pixels]; only with one tile */

  int64_t tiles;               /* side by side */
  int64_t columns;             /* to store of each tile, at most T */
  float *y;
  const float *residual;       /* at y's offset, or NULL */
} evr_depthwise_tile;

typedef void evr_depthwise_function(const evr_depthwise_tile *t);

/* One kernel row onto the sums of T columns; K kernel columns, stride S, both constant. */
EVR_INLINE const float *evr_depthwise_slide(vf *sum, const int T, const int K, const int S,
                                            const float *w, const float *row, int64_t pitch,
                                            const float *const *pixels, int64_t channel) {
  vf weight[EVR_DEPTHWISE_KNOWN_WIDTH];
  EVR_UNROLL
  for (int k = 0; k < K; k++) weight[k] = vf_load(w + k * EVR_LANES);
  EVR_UNROLL
  for (int column = 0; column < (T - 1) * S + K; column++) {
    const vf x = vf_load(pixels != NULL ? pixels[column] + channel : row + column * pitch);
    EVR_UNROLL
    for (int t = 0; t < T; t++) {
      const int k = column - t * S;
      if (k >= 0 && k < K) sum[t] = vf_fma(x, weight[k], sum[t]);
    }
  }
  return w + K * EVR_LANES;
}

/* The same for any kernel width, stride and dilation; pixels are [kw][t] here. */
EVR_INLINE const float *evr_depthwise_step(vf *sum, const int T, const evr_depthwise_tile *tile,
                                           const float *w, const float *row, int64_t pitch,
                                           const float *const *pixels, int64_t channel) {
  const int64_t step = tile->stride * pitch, width = tile->kernel_width;
  for (int64_t k = 0; k < width; k++, w += EVR_LANES) {
    const vf weight = vf_load(w);
    const float *x = row;
    EVR_UNROLL
    for (int t = 0; t < T; t++) {
      sum[t] = vf_fma(vf_load(pixels != NULL ? pixels[t] + channel : x), weight, sum[t]);
      if (pixels == NULL && t + 1 < T) x += step;
    }
    if (pixels != NULL)
      pixels += T;
    else
      row += tile->dilation * pitch;
  }
  return w;
}

/* Bias, residual, relu, and out. */
EVR_INLINE void evr_depthwise_finish(vf *sum, const int T, const evr_depthwise_tile *tile,
                                     int64_t first, int64_t channel) {
  const int64_t lanes = tile->lanes, pitch = tile->y_pitch;
  float *y = tile->y + first * pitch + channel;
  const float *residual = tile->residual;
  const bool whole = lanes == EVR_LANES && tile->columns == T;
  if (tile->bias != NULL) {
    const vf bias = whole ? vf_load(tile->bias + channel) : vf_load_n(tile->bias + channel, lanes);
    EVR_UNROLL
    for (int t = 0; t < T; t++) sum[t] = vf_add(sum[t], bias);
  }
  if (residual != NULL) {
    residual += first * pitch + channel;
    EVR_UNROLL
    for (int t = 0; t < T; t++)
      if (t < tile->columns) sum[t] = vf_add(sum[t], vf_load_n(residual + t * pitch, lanes));
  }
  if (tile->relu) {
    EVR_UNROLL
    for (int t = 0; t < T; t++) sum[t] = evr_relu(sum[t]);
  }
  if (whole) {
    EVR_UNROLL
    for (int t = 0; t < T; t++) vf_store(y + t * pitch, sum[t]);
  } else {
    EVR_UNROLL
    for (int t = 0; t < T; t++)
      if (t < tile->columns) vf_store_n(y + t * pitch, sum[t], lanes);
  }
}

/* Pointers to the pixels that one kernel row of a tile reads. K 0: generic. */
EVR_INLINE int64_t evr_depthwise_row_pixels(int64_t columns, int64_t known_width,
                                            const evr_depthwise_tile *t) {
  return known_width > 0 ? (columns - 1) * t->stride + known_width : columns * t->kernel_width;
}

/* T, K and S are constants where this is inlined, K and S 0 for any; so is pointers. */
EVR_INLINE void evr_depthwise_run(const evr_depthwise_tile *tile, const int T, const int K,
                                  const int S, const bool pointers) {
  const int64_t kernel_height = tile->kernel_height, vectors = tile->vectors;
  const int64_t pitch = tile->x_pitch, last_channel = tile->last_channel;
  const int64_t row_pixels = evr_depthwise_row_pixels(T, K, tile);
  const float *const *const rows = tile->rows;
  for (int64_t i = 0; i < tile->tiles; i++) {
    const int64_t shift = tile->x_start + i * T * tile->stride * pitch;
    const float *w = tile->weights;
    for (int64_t v = 0; v < vectors; v++) {
      const int64_t channel = evr_min(v * EVR_LANES, last_channel);
      vf sum[EVR_DEPTHWISE_WIDE];
      EVR_UNROLL
      for (int t = 0; t < T; t++) sum[t] = vf_zero();
      const float *const *pixels = pointers ? tile->pixels : NULL;
      for (int64_t kh = 0; kh < kernel_height; kh++) {
        const float *row = pointers ? NULL : rows[kh] + shift + channel;
        w = K > 0 ? evr_depthwise_slide(sum, T, K, S, w, row, pitch, pixels, channel)
                  : evr_depthwise_step(sum, T, tile, w, row, pitch, pixels, channel);
        if (pointers) pixels += row_pixels;
      }
      evr_depthwise_finish(sum, T, tile, i * T, channel);
    }
  }
}

/* Four functions a kind: [narrow or wide][rows or pointers]. */
typedef struct evr_depthwise_kind {
  int width, stride; /* kernel width and stride with dilation 1; 0: any */
  evr_depthwise_function *run[2][2];
} evr_depthwise_kind;

#define EVR_DEPTHWISE_FUNCTIONS(name, k, s)                            \
  static void name##_narrow_rows(const evr_depthwise_tile *t) {        \
    evr_depthwise_run(t, EVR_DEPTHWISE_NARROW, k, s, false);           \
  }                                                                    \
  static void name##_narrow_pointers(const evr_depthwise_tile *t) {    \
    evr_depthwise_run(t, EVR_DEPTHWISE_NARROW, k, s, true);            \
  }                                                                    \
  static void name##_wide_rows(const evr_depthwise_tile *t) {          \
    evr_depthwise_run(t, EVR_DEPTHWISE_WIDE, k, s, false);             \
  }                                                                    \
  static void name##_wide_pointers(const evr_depthwise_tile *t) {      \
    evr_depthwise_run(t, EVR_DEPTHWISE_WIDE, k, s, true);              \
  }
#define EVR_DEPTHWISE_ROW(name, k, s)                         \
  {                                                           \
    k, s, {                                                   \
      {name##_narrow_rows, name##_narrow_pointers},           \
      {name##_wide_rows, name##_wide_pointers},               \
    }                                                         \
  }

EVR_DEPTHWISE_FUNCTIONS(w3s1, 3, 1)
EVR_DEPTHWISE_FUNCTIONS(w3s2, 3, 2)
EVR_DEPTHWISE_FUNCTIONS(w5s1, 5, 1)
EVR_DEPTHWISE_FUNCTIONS(w5s2, 5, 2)
EVR_DEPTHWISE_FUNCTIONS(any, 0, 0)

/* The last row serves what no other does. */
static const evr_depthwise_kind evr_depthwise_kinds[] = {
    EVR_DEPTHWISE_ROW(w3s1, 3, 1), EVR_DEPTHWISE_ROW(w3s2, 3, 2), EVR_DEPTHWISE_ROW(w5s1, 5, 1),
    EVR_DEPTHWISE_ROW(w5s2, 5, 2), EVR_DEPTHWISE_ROW(any, 0, 0),
};

#endif
