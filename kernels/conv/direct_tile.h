/* The register tile of direct convolution, NHWC: M pixels by N vectors of output channels.
 *
 *     for each run of the window, for each k of the run:
 *         acc[m][n] = fma(pixel[m][k], weights[k][n], acc[m][n])
 *
 * A run is a stretch of the window whose input values lie side by side: the channels of one tap,
 * or, with few channels, the channels of a whole window row. One address for each pixel and run
 * says where it lies, in the image, in a padded copy or in a row of zeros, so that stride,
 * dilation, padding and row ends cost the inner loop nothing.
 *
 * Tiles are N vectors wide with at most EVR_TILE_PIXELS(N) pixels: as many accumulators as leave
 * registers for the N weights and a broadcast. */
#ifndef EVR_CONV_DIRECT_TILE_H
#define EVR_CONV_DIRECT_TILE_H

#include "conv/band.h"
#include "simd/simd.h"

#if EVR_LANES == 16 || EVR_LANES == 4 /* 32 registers */
#define EVR_TILE_VECTORS 4
/* A single vector of channels needs many pixels to hide its loads, but there are registers for the
 * addresses of ten only: 16 channels of 56x56 take 72 us instead of 76 with eight. */
#define EVR_TILE_PIXELS(n) ((n) == 4 ? 6 : (n) == 1 ? 10 : 8)
#else /* 16 registers; the scalar build takes the same shape */
#define EVR_TILE_VECTORS 2
#define EVR_TILE_PIXELS(n) ((n) >= 3 ? 3 : (n) == 2 ? 6 : 8)
#endif
/* For sums of few terms, which write more than they compute: tiles as wide write whole lines of a
 * pixel side by side. With 16 registers deeper sums would read their weights too fast for L2. */
#define EVR_TILE_MOST_VECTORS 4
#define EVR_TILE_MOST_PIXELS 10

/* What one call of a tile needs. */
typedef struct evr_tile {
  const uintptr_t *addresses; /* of the pixels of run r: [r * pixel_step + m] */
  int64_t pixel_step;
  int64_t runs;
  const evr_run *run;
  int64_t offset, length; /* the part of each run to sum */
  const float *weights;   /* [k][N * EVR_LANES] */
  float *y;               /* pixel m at y + places[m] */
  const int64_t *places;
  int64_t last_lanes; /* channels in the last vector, 1 .. EVR_LANES */
  bool begin;         /* start from +0; else go on from the sums in y */
  bool end;           /* finish with bias, residual and relu */
  bool prefetch;      /* ask for the lines of y before the sums are taken */
  bool relu;
  bool watch;            /* report a finished sum of -0 */
  const float *bias;     /* or NULL */
  const float *residual; /* pixel m at residual + places[m], or NULL */
} evr_tile;

EVR_INLINE vf evr_tile_load(const float *p, int n, int last, int64_t last_lanes) {
  return n < last || last_lanes == EVR_LANES ? vf_load(p + n * EVR_LANES)
                                             : vf_load_n(p + n * EVR_LANES, last_lanes);
}

/* Whether some sum is -0. */
EVR_INLINE bool evr_tile_has_minus_zero(const int M, const int N,
                                        vf acc[EVR_TILE_MOST_PIXELS][EVR_TILE_MOST_VECTORS]) {
  /* A sum of -0 has the least of all bit patterns, as integers. */
  vi least = vf_bits(acc[0][0]);
  EVR_UNROLL
  for (int m = 0; m < M; m++) {
    EVR_UNROLL
    for (int n = 0; n < N; n++) least = vi_min(least, vf_bits(acc[m][n]));
  }
  return vm_any(vi_eq(least, vi_set1(INT32_MIN)));
}

/* M and N are constants where this is inlined. Returns whether a watched sum was -0, before bias
 * and residual. */
EVR_INLINE bool evr_tile_run(const evr_tile *t, const int M, const int N) {
  vf acc[EVR_TILE_MOST_PIXELS][EVR_TILE_MOST_VECTORS];
  const int last = N - 1;
  /* Vector stores may alias anything, so what is read after one is read before. */
  const int64_t last_lanes = t->last_lanes;
  const int64_t *const places = t->places;
  float *const y = t->y;
  bool minus_zero = false;
  if (t->prefetch) {
    EVR_UNROLL
    for (int m = 0; m < M; m++) {
      const float *const row = y + places[m];
      EVR_UNROLL
      for (int n = 0; n < N * EVR_LANES; n += 16) __builtin_prefetch(row + n, 1);
      if (EVR_LANES < 16) __builtin_prefetch(row + N * EVR_LANES - 1, 1);
    }
  }
  if (t->begin) {
    EVR_UNROLL
    for (int m = 0; m < M; m++) {
      EVR_UNROLL
      for (int n = 0; n < N; n++) acc[m][n] = vf_zero();
    }
  } else {
    EVR_UNROLL
    for (int m = 0; m < M; m++) {
      EVR_UNROLL
      for (int n = 0; n < N; n++) acc[m][n] = evr_tile_load(y + places[m], n, last, last_lanes);
    }
  }
  const int64_t length = t->length;
  const uintptr_t *pixels = t->addresses;
  for (int64_t r = 0; r < t->runs; r++, pixels += t->pixel_step) {
    const int64_t shift = t->run[r].shift + t->offset;
    const float *w = t->weights + (t->run[r].k + t->offset) * (N * EVR_LANES);
    const float *a[EVR_TILE_MOST_PIXELS];
    EVR_UNROLL
    for (int m = 0; m < M; m++)
      a[m] = (const float *)(pixels[m] + (uintptr_t)shift * sizeof(float));
    if (N > EVR_TILE_VECTORS) { /* registers for all pixels, and one for weights */
      for (int64_t k = 0; k < length; k++, w += N * EVR_LANES) {
        vf x[EVR_TILE_MOST_PIXELS];
        EVR_UNROLL
        for (int m = 0; m < M; m++) x[m] = vf_set1(a[m][k]);
        EVR_UNROLL
        for (int n = 0; n < N; n++) {
          const vf b = vf_load(w + n * EVR_LANES);
          EVR_UNROLL
          for (int m = 0; m < M; m++) acc[m][n] = vf_fma(x[m], b, acc[m][n]);
        }
      }
      continue;
    }
    for (int64_t k = 0; k < length; k++, w += N * EVR_LANES) {
      vf b[EVR_TILE_MOST_VECTORS];
      EVR_UNROLL
      for (int n = 0; n < N; n++) b[n] = vf_load(w + n * EVR_LANES);
      EVR_UNROLL
      for (int m = 0; m < M; m++) {
        const vf x = vf_set1(a[m][k]);
        EVR_UNROLL
        for (int n = 0; n < N; n++) acc[m][n] = vf_fma(x, b[n], acc[m][n]);
      }
    }
  }
  if (t->end) {
    if (t->watch) minus_zero = evr_tile_has_minus_zero(M, N, acc);
    if (t->bias != NULL) {
      vf bias[EVR_TILE_MOST_VECTORS];
      EVR_UNROLL
      for (int n = 0; n < N; n++) bias[n] = evr_tile_load(t->bias, n, last, last_lanes);
      EVR_UNROLL
      for (int m = 0; m < M; m++) {
        EVR_UNROLL
        for (int n = 0; n < N; n++) acc[m][n] = vf_add(acc[m][n], bias[n]);
      }
    }
    if (t->residual != NULL) {
      EVR_UNROLL
      for (int m = 0; m < M; m++) {
        EVR_UNROLL
        for (int n = 0; n < N; n++)
          acc[m][n] =
              vf_add(acc[m][n], evr_tile_load(t->residual + places[m], n, last, last_lanes));
      }
    }
    if (t->relu) {
      EVR_UNROLL
      for (int m = 0; m < M; m++) {
        EVR_UNROLL
        for (int n = 0; n < N; n++) acc[m][n] = vf_greater(vf_zero(), acc[m][n]);
      }
    }
  }
  float *rows[EVR_TILE_MOST_PIXELS];
  EVR_UNROLL
  for (int m = 0; m < M; m++) rows[m] = y + places[m];
  EVR_UNROLL
  for (int m = 0; m < M; m++) {
    EVR_UNROLL
    for (int n = 0; n < last; n++) vf_store(rows[m] + n * EVR_LANES, acc[m][n]);
  }
  if (last_lanes == EVR_LANES) {
    EVR_UNROLL
    for (int m = 0; m < M; m++) vf_store(rows[m] + last * EVR_LANES, acc[m][last]);
  } else {
    EVR_UNROLL
    for (int m = 0; m < M; m++) vf_store_n(rows[m] + last * EVR_LANES, acc[m][last], last_lanes);
  }
  return minus_zero;
}

/* One function for each tile shape, so that accumulators stay in registers, and a table of them. */
#define EVR_TILE_FUNCTION(m, n) \
  static bool tile_##m##x##n(const evr_tile *t) { return evr_tile_run(t, m, n); }
#define EVR_TILE_COLUMN_3(n) EVR_TILE_FUNCTION(1, n) EVR_TILE_FUNCTION(2, n) EVR_TILE_FUNCTION(3, n)
#define EVR_TILE_COLUMN_6(n) \
  EVR_TILE_COLUMN_3(n)       \
  EVR_TILE_FUNCTION(4, n) EVR_TILE_FUNCTION(5, n) EVR_TILE_FUNCTION(6, n)
#define EVR_TILE_COLUMN_8(n) EVR_TILE_COLUMN_6(n) EVR_TILE_FUNCTION(7, n) EVR_TILE_FUNCTION(8, n)

typedef bool evr_tile_function(const evr_tile *t);

EVR_TILE_COLUMN_8(1)
#if EVR_TILE_VECTORS == 2
EVR_TILE_COLUMN_6(2)
EVR_TILE_COLUMN_3(3)
EVR_TILE_COLUMN_3(4)
#else
EVR_TILE_FUNCTION(9, 1)
EVR_TILE_FUNCTION(10, 1)
EVR_TILE_COLUMN_8(2)
EVR_TILE_COLUMN_8(3)
EVR_TILE_COLUMN_6(4)
#endif

/* evr_tiles[n - 1][m - 1] */
static evr_tile_function *const evr_tiles[EVR_TILE_MOST_VECTORS][EVR_TILE_MOST_PIXELS] = {
#if EVR_TILE_VECTORS == 2
    {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1},
    {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    {tile_1x3, tile_2x3, tile_3x3},
    {tile_1x4, tile_2x4, tile_3x4},
#else
    {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1, tile_9x1,
     tile_10x1},
    {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2, tile_7x2, tile_8x2},
    {tile_1x3, tile_2x3, tile_3x3, tile_4x3, tile_5x3, tile_6x3, tile_7x3, tile_8x3},
    {tile_1x4, tile_2x4, tile_3x4, tile_4x4, tile_5x4, tile_6x4},
#endif
};

#endif
