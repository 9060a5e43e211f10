/* The register tile of backward weights: M rows of the gradient by N vectors of output channels.
 *
 *     for each pixel of a block: acc[m][n] = fma(x[m], g[n], acc[m][n])
 *
 * Rows are (kernel row, kernel column, input channel), of which M lie side by side in x for every
 * pixel. Tiles are as in direct_tile.h, with rows in the place of pixels. */
#ifndef EVR_CONV_BACKWARD_WEIGHTS_TILE_H
#define EVR_CONV_BACKWARD_WEIGHTS_TILE_H

#include "core/checked.h"
#include "simd/simd.h"

#if EVR_LANES == 16 || EVR_LANES == 4 /* 32 registers */
#define EVR_GRADIENT_VECTORS 4
#define EVR_GRADIENT_ROWS(n) ((n) == 4 ? 6 : 8)
#else /* 16 registers; the scalar build takes the same shape */
#define EVR_GRADIENT_VECTORS 2
#define EVR_GRADIENT_ROWS(n) ((n) == 2 ? 6 : 8)
#endif

/* What one call of a tile needs. */
typedef struct evr_gradient_tile {
  const float *x;          /* row 0 at the block's first pixel */
  int64_t x_pixel, x_line; /* floats to the next pixel of a line, to the next line */
  const float *g;          /* [pixel][N * EVR_LANES] */
  int64_t lines, width;    /* of the block */
  float *sums;             /* row m at sums + m * pitch */
  int64_t pitch;
  int64_t last_lanes; /* channels in the last vector, 1 .. EVR_LANES */
  bool first;         /* the first block: sums hold nothing yet */
} evr_gradient_tile;

/* The block's sum onto those of the blocks before; of the first block, onto +0. */
EVR_INLINE void evr_gradient_add(float *sum, vf block, bool first, int64_t lanes) {
  if (lanes == EVR_LANES)
    vf_store(sum, vf_add(first ? vf_zero() : vf_load(sum), block));
  else
    vf_store_n(sum, vf_add(first ? vf_zero() : vf_load_n(sum, lanes), block), lanes);
}

/* A block's g, pixels of `wide` floats, onto the bias of so many channels. */
EVR_INLINE void evr_gradient_add_bias(const float *g, int64_t pixels, int64_t wide, float *dbias,
                                      int64_t channels, bool first) {
  for (int64_t c = 0; c < channels; c += EVR_LANES) {
    vf sum = vf_zero();
    for (int64_t i = 0; i < pixels; i++) sum = vf_add(sum, vf_load(g + i * wide + c));
    evr_gradient_add(dbias + c, sum, first, evr_min(EVR_LANES, channels - c));
  }
}

/* M and N are constants where this is inlined. */
EVR_INLINE void evr_gradient_run(const evr_gradient_tile *t, const int M, const int N) {
  vf acc[8][EVR_GRADIENT_VECTORS];
  EVR_UNROLL
  for (int m = 0; m < M; m++) {
    EVR_UNROLL
    for (int n = 0; n < N; n++) acc[m][n] = vf_zero();
  }
  const float *g = t->g;
  const int64_t step = t->x_pixel, width = t->width;
  for (int64_t line = 0; line < t->lines; line++) {
    const float *x = t->x + line * t->x_line;
    for (int64_t i = 0; i < width; i++, x += step, g += N * EVR_LANES) {
      vf b[EVR_GRADIENT_VECTORS];
      EVR_UNROLL
      for (int n = 0; n < N; n++) b[n] = vf_load(g + n * EVR_LANES);
      EVR_UNROLL
      for (int m = 0; m < M; m++) {
        const vf a = vf_set1(x[m]);
        EVR_UNROLL
        for (int n = 0; n < N; n++) acc[m][n] = vf_fma(a, b[n], acc[m][n]);
      }
    }
  }
  const int64_t pitch = t->pitch, last_lanes = t->last_lanes;
  const bool first = t->first;
  float *sums = t->sums;
  EVR_UNROLL
  for (int m = 0; m < M; m++, sums += pitch) {
    EVR_UNROLL
    for (int n = 0; n < N - 1; n++)
      evr_gradient_add(sums + n * EVR_LANES, acc[m][n], first, EVR_LANES);
    evr_gradient_add(sums + (N - 1) * EVR_LANES, acc[m][N - 1], first, last_lanes);
  }
}

/* One function for each tile shape, so that accumulators stay in registers, and a table of them. */
#define EVR_GRADIENT_FUNCTION(m, n) \
  static void gradient_##m##x##n(const evr_gradient_tile *t) { evr_gradient_run(t, m, n); }
#define EVR_GRADIENT_COLUMN_6(n) \
  EVR_GRADIENT_FUNCTION(1, n)    \
  EVR_GRADIENT_FUNCTION(2, n)    \
  EVR_GRADIENT_FUNCTION(3, n)    \
  EVR_GRADIENT_FUNCTION(4, n) EVR_GRADIENT_FUNCTION(5, n) EVR_GRADIENT_FUNCTION(6, n)
#define EVR_GRADIENT_COLUMN_8(n) \
  EVR_GRADIENT_COLUMN_6(n) EVR_GRADIENT_FUNCTION(7, n) EVR_GRADIENT_FUNCTION(8, n)

typedef void evr_gradient_function(const evr_gradient_tile *t);

EVR_GRADIENT_COLUMN_8(1)
#if EVR_GRADIENT_VECTORS == 2
EVR_GRADIENT_COLUMN_6(2)
#else
EVR_GRADIENT_COLUMN_8(2)
EVR_GRADIENT_COLUMN_8(3)
EVR_GRADIENT_COLUMN_6(4)
#endif

/* evr_gradients[n - 1][m - 1] */
static evr_gradient_function *const evr_gradients[EVR_GRADIENT_VECTORS][8] = {
    {gradient_1x1, gradient_2x1, gradient_3x1, gradient_4x1, gradient_5x1, gradient_6x1,
     gradient_7x1, gradient_8x1},
#if EVR_GRADIENT_VECTORS == 2
    {gradient_1x2, gradient_2x2, gradient_3x2, gradient_4x2, gradient_5x2, gradient_6x2},
#else
    {gradient_1x2, gradient_2x2, gradient_3x2, gradient_4x2, gradient_5x2, gradient_6x2,
     gradient_7x2, gradient_8x2},
    {gradient_1x3, gradient_2x3, gradient_3x3, gradient_4x3, gradient_5x3, gradient_6x3,
     gradient_7x3, gradient_8x3},
    {gradient_1x4, gradient_2x4, gradient_3x4, gradient_4x4, gradient_5x4, gradient_6x4},
#endif
};

#endif
