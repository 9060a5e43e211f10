/* The product at the heart of convolution by AMX tiles: 16 or 32 pixels by 16 or 32 output
 * channels, over the whole depth of a sum. For amx.c; backward_weights_amx.c has output channels in
 * the place of pixels, input channels in that of output channels, and pixels in that of depth. */
#ifndef EVR_CONV_AMX_TILE_H
#define EVR_CONV_AMX_TILE_H

#include "simd/amx.h"

/* Pixels and output channels of two tiles side by side. */
#define EVR_AMX_BLOCK (2 * EVR_AMX_ROWS)

/* Pixels follow each other pixel_bytes apart in each of the pieces. A tap reads them from its
 * offset on: chunks of 32 channels. Packed weights lie as they are read: for each tap, chunk and
 * piece a tile for each 16 output channels. */
typedef struct evr_amx_product {
  const char *pixels;
  int64_t pixel_bytes, piece_bytes;
  const int64_t *taps;
  int64_t tap_count, chunks;
  const char *weights;
  float *sums; /* [pixel][EVR_AMX_BLOCK] */
} evr_amx_product;

/* Bytes from a tile of weights to the next 16 output channels, piece and chunk. */
typedef struct evr_amx_steps {
  int64_t tile, piece, chunk;
} evr_amx_steps;

/* Tiles 0 to 3 are sums, 4 and 5 pixels, 6 and 7 weights. Constants where these are inlined: i, the
 * piece; M and N, tiles of pixels and of output channels. */
EVR_INLINE void evr_amx_load_pixels(const evr_amx_product *t, const char *at, const int i,
                                    const int M) {
  at += i * t->piece_bytes;
  evr_amx_load(4, at, t->pixel_bytes);
  if (M == 2) evr_amx_load(5, at + EVR_AMX_ROWS * t->pixel_bytes, t->pixel_bytes);
}
EVR_INLINE void evr_amx_load_weights(const char *at, const evr_amx_steps steps, const int i,
                                     const int N) {
  at += i * steps.piece;
  evr_amx_load(6, at, EVR_AMX_ROW_BYTES);
  if (N == 2) evr_amx_load(7, at + steps.tile, EVR_AMX_ROW_BYTES);
}
EVR_INLINE void evr_amx_multiply(const int M, const int N) {
  evr_amx_dot(0, 4, 6);
  if (N == 2) evr_amx_dot(1, 4, 7);
  if (M == 2) evr_amx_dot(2, 5, 6);
  if (M == 2 && N == 2) evr_amx_dot(3, 5, 7);
}

/* The products of a chunk's pieces: the highest one last (amx_split.h), and one tile load for two
 * products or less. */
EVR_INLINE void evr_amx_chunk(const evr_amx_product *t, const char *x, const char *w,
                              const evr_amx_steps steps, const int pieces, const int M,
                              const int N) {
  if (pieces == 3) {
    evr_amx_load_pixels(t, x, 2, M);
    evr_amx_load_weights(w, steps, 0, N);
    evr_amx_multiply(M, N);
    evr_amx_load_pixels(t, x, 1, M);
    evr_amx_multiply(M, N);
    evr_amx_load_weights(w, steps, 1, N);
    evr_amx_multiply(M, N);
    evr_amx_load_pixels(t, x, 0, M);
    evr_amx_multiply(M, N);
    evr_amx_load_weights(w, steps, 2, N);
    evr_amx_multiply(M, N);
  } else {
    evr_amx_load_pixels(t, x, 1, M);
    evr_amx_load_weights(w, steps, 0, N);
    evr_amx_multiply(M, N);
    evr_amx_load_pixels(t, x, 0, M);
    evr_amx_load_weights(w, steps, 1, N);
    evr_amx_multiply(M, N);
  }
  evr_amx_load_weights(w, steps, 0, N);
  evr_amx_multiply(M, N);
}

EVR_INLINE void evr_amx_sum(const evr_amx_product *t, const evr_amx_steps steps, const int pieces,
                            const int M, const int N) {
  evr_amx_zero(0);
  if (N == 2) evr_amx_zero(1);
  if (M == 2) evr_amx_zero(2);
  if (M == 2 && N == 2) evr_amx_zero(3);
  const char *w = t->weights;
  for (int64_t tap = 0; tap < t->tap_count; tap++) {
    const char *x = t->pixels + t->taps[tap];
    for (int64_t chunk = 0; chunk < t->chunks; chunk++) {
      evr_amx_chunk(t, x, w, steps, pieces, M, N);
      x += EVR_AMX_ROW_BYTES;
      w += steps.chunk;
    }
  }
  const int64_t row = EVR_AMX_BLOCK * sizeof(float);
  float *const lower = t->sums + EVR_AMX_ROWS * EVR_AMX_BLOCK;
  evr_amx_store(0, t->sums, row);
  if (N == 2) evr_amx_store(1, t->sums + EVR_AMX_ROWS, row);
  if (M == 2) evr_amx_store(2, lower, row);
  if (M == 2 && N == 2) evr_amx_store(3, lower + EVR_AMX_ROWS, row);
  evr_amx_fence();
}

/* At most EVR_AMX_BLOCK pixels and channels. pieces is a constant, and so are steps where they are
 * known. */
EVR_INLINE void evr_amx_run_stepping(const evr_amx_product *t, const evr_amx_steps steps,
                                     const int pieces, int64_t pixels, int64_t channels) {
  if (pixels > EVR_AMX_ROWS && channels > EVR_AMX_ROWS)
    evr_amx_sum(t, steps, pieces, 2, 2);
  else if (pixels > EVR_AMX_ROWS)
    evr_amx_sum(t, steps, pieces, 2, 1);
  else if (channels > EVR_AMX_ROWS)
    evr_amx_sum(t, steps, pieces, 1, 2);
  else
    evr_amx_sum(t, steps, pieces, 1, 1);
}

/* With packed weights, in which the tiles of a panel lie side by side. */
EVR_INLINE void evr_amx_run(const evr_amx_product *t, const int pieces, int64_t pixels,
                            int64_t channels) {
  const int64_t tile = EVR_AMX_TILE_BYTES;
  if (channels > EVR_AMX_ROWS)
    evr_amx_run_stepping(t, (evr_amx_steps){tile, 2 * tile, 2 * pieces * tile}, pieces, pixels,
                         channels);
  else
    evr_amx_run_stepping(t, (evr_amx_steps){0, tile, pieces * tile}, pieces, pixels, channels);
}

#endif
