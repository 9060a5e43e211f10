/* The register tile of depthwise backward weights for windows of 3x3 pixels: T output columns of a
 * row by V vectors of channels, for all taps of the window.
 *
 *     for each column t: sums[kh][kw] = fma(x[kh][t stride + kw], g[t], sums[kh][kw])
 *
 * The gradients of the columns stay in registers, each pixel of a window row is loaded once and
 * meets all of them that it belongs to, and the sums of a window row come from memory and go back
 * there. So an image is gone through as it lies in memory, row by row with many channels. What is
 * read of a pixel at a time, V vectors, is whole lines of the cache: with half a line, the other
 * half is often gone when its turn comes, for pixels lie a power of two apart more often than not
 * and then share few places of the first level cache. */
#ifndef EVR_CONV_BACKWARD_WEIGHTS_TAPS_H
#define EVR_CONV_BACKWARD_WEIGHTS_TAPS_H

#include "core/checked.h"
#include "simd/simd.h"

/* The window, and vectors that hold the sums of a vector of channels: its taps and the bias. */
#define EVR_TAPS_WIDTH 3
#define EVR_TAPS_SUMS (EVR_TAPS_WIDTH * EVR_TAPS_WIDTH + 1)
/* The tile, T x V. */
#define EVR_TAPS_COLUMNS (EVR_REGISTERS < 32 ? 4 : 7)
#define EVR_TAPS_VECTORS 2
#define EVR_TAPS_LONG_VECTORS (EVR_REGISTERS < 32 ? 2 : 3) /* for long pixels */
#define EVR_TAPS_MOST_COLUMNS 7
#define EVR_TAPS_MOST_VECTORS 3

/* One row of the output. */
typedef struct evr_taps_row {
  /* Of each window row, where the first channel of each column is. */
  const float *const *pixels[EVR_TAPS_WIDTH];
  const float *g;
  int64_t g_pixel; /* floats from one column to the next */
  int64_t width, vectors;
  float *sums; /* [vector][EVR_TAPS_SUMS][EVR_LANES] */
} evr_taps_row;

/* Columns from first on, vectors from vector on; T, V and the stride S are constants where this is
 * inlined. */
EVR_INLINE void evr_taps_tile(const evr_taps_row *row, const int T, const int V, const int S,
                              int64_t first, int64_t vector) {
  const int K = EVR_TAPS_WIDTH, pitch = EVR_TAPS_SUMS * EVR_LANES;
  const int64_t channel = vector * EVR_LANES, step = evr_anew(row->g_pixel);
  const float *g = row->g + first * row->g_pixel + channel;
  float *sums = row->sums + vector * pitch;
  vf value[EVR_TAPS_MOST_VECTORS][EVR_TAPS_MOST_COLUMNS];
  EVR_UNROLL
  for (int t = 0; t < T; t++) {
    EVR_UNROLL
    for (int v = 0; v < V; v++) value[v][t] = vf_once(vf_load(g + v * EVR_LANES));
    if (t + 1 < T) g += step;
  }
  EVR_ROLL
  for (int kh = 0; kh < K; kh++, sums += K * EVR_LANES) {
    const float *const *const pixels = row->pixels[kh] + evr_anew(first * S);
    vf acc[EVR_TAPS_MOST_VECTORS][EVR_TAPS_WIDTH];
    EVR_UNROLL
    for (int i = 0; i < K * V; i++)
      acc[i / K][i % K] = vf_load(sums + i / K * pitch + i % K * EVR_LANES);
    EVR_UNROLL
    for (int column = 0; column < (T - 1) * S + K; column++) {
      const float *const from = pixels[column] + channel;
      EVR_UNROLL
      for (int v = 0; v < V; v++) {
        const vf x = vf_once(vf_load(from + v * EVR_LANES));
        EVR_UNROLL
        for (int t = 0; t < T; t++) {
          const int k = column - t * S;
          if (k >= 0 && k < K) acc[v][k] = vf_fma(x, value[v][t], acc[v][k]);
        }
      }
    }
    EVR_UNROLL
    for (int i = 0; i < K * V; i++)
      vf_store(sums + i / K * pitch + i % K * EVR_LANES, acc[i / K][i % K]);
  }
  EVR_UNROLL
  for (int v = 0; v < V; v++) {
    vf bias = vf_load(sums + v * pitch);
    EVR_UNROLL
    for (int t = 0; t < T; t++) bias = vf_add(bias, value[v][t]);
    vf_store(sums + v * pitch, bias);
  }
}

/* How many of the vectors that are left a tile of V takes: four are two times two. */
static inline int64_t evr_taps_share(int64_t left, int64_t V) {
  return left >= V && (V != 3 || left != 4) ? V : evr_min(left, 2);
}

EVR_INLINE void evr_taps_columns(const evr_taps_row *row, const int T, const int V, const int S,
                                 int64_t first) {
  for (int64_t v = 0, count; v < row->vectors; v += count) {
    count = evr_taps_share(row->vectors - v, V);
    if (V == 3 && count == 3)
      evr_taps_tile(row, T, 3, S, first, v);
    else if (count == 2)
      evr_taps_tile(row, T, 2, S, first, v);
    else
      evr_taps_tile(row, T, 1, S, first, v);
  }
}

EVR_INLINE void evr_taps_run(const evr_taps_row *row, const int T, const int V, const int S) {
  int64_t i = 0;
  for (; i + T <= row->width; i += T) evr_taps_columns(row, T, V, S, i);
  if (T > 4 && row->width - i >= 4) {
    evr_taps_columns(row, 4, V, S, i);
    i += 4;
  }
  switch (row->width - i) {
    case 3: evr_taps_columns(row, 3, V, S, i); break;
    case 2: evr_taps_columns(row, 2, V, S, i); break;
    case 1: evr_taps_columns(row, 1, V, S, i); break;
    default: break;
  }
}

typedef void evr_taps_function(const evr_taps_row *row);

static void evr_taps_s1(const evr_taps_row *row) {
  evr_taps_run(row, EVR_TAPS_COLUMNS, EVR_TAPS_VECTORS, 1);
}
static void evr_taps_s2(const evr_taps_row *row) {
  evr_taps_run(row, EVR_TAPS_COLUMNS, EVR_TAPS_VECTORS, 2);
}
static void evr_taps_s1_long(const evr_taps_row *row) {
  evr_taps_run(row, EVR_TAPS_COLUMNS, EVR_TAPS_LONG_VECTORS, 1);
}
static void evr_taps_s2_long(const evr_taps_row *row) {
  evr_taps_run(row, EVR_TAPS_COLUMNS, EVR_TAPS_LONG_VECTORS, 2);
}

/* NULL: none is made for this stride. */
EVR_INLINE evr_taps_function *evr_taps_function_of(int64_t stride, bool long_pixels) {
  const bool differ = EVR_TAPS_LONG_VECTORS != EVR_TAPS_VECTORS;
  if (stride == 1) return differ && long_pixels ? evr_taps_s1_long : evr_taps_s1;
  if (stride == 2) return differ && long_pixels ? evr_taps_s2_long : evr_taps_s2;
  return NULL;
}

#endif
