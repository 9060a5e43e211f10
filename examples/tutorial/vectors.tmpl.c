/* Steps 5 to 9 of the tutorial, in the library's vocabulary of vector operations (kernels/simd):
 * the build compiles this file once for each instruction set, with 1, 4, 8 or 16 floats to a
 * vector. */
#include "layer.h"
#include "simd/simd.h"

/* ---- Step 5: a vector of output channels ----------------------------------------------------- */

static void one_vector(const layer *l, const buffers *b) {
  const int64_t depth = sum_depth(l);
  im2col(l, b, 0, pixel_count(l), b->matrix);
  for (int64_t pixel = 0; pixel < pixel_count(l); pixel++) {
    const float *row = b->matrix + pixel * depth;
    for (int64_t oc = 0; oc < l->out_channels; oc += EVR_LANES) {
      vf sum = vf_zero();
      for (int64_t k = 0; k < depth; k++)
        sum = vf_fma(vf_set1(row[k]), vf_load(b->weights + k * l->out_channels + oc), sum);
      vf_store(b->y + pixel * l->out_channels + oc, sum);
    }
  }
}

/* ---- Step 6: a tile of sums in registers ----------------------------------------------------- */

/* As many sums as leave registers for the weights and one pixel: of 32 registers (AVX-512, NEON)
 * 6 x 4 are sums, of 16 (AVX2) 6 x 2. */
#if EVR_LANES == 16 || EVR_LANES == 4
enum { VECTORS = 4 };
#else
enum { VECTORS = 2 };
#endif
enum { PIXELS = 6, TILE_CHANNELS = VECTORS * EVR_LANES };

/* The tile's sums go on over one run of terms: row[m][k] times weights[k]. */
EVR_INLINE void add_run(const int pixels, vf sums[PIXELS][VECTORS], const float *const *row,
                        int64_t length, const float *weights, int64_t weights_stride) {
  for (int64_t k = 0; k < length; k++, weights += weights_stride) {
    vf w[VECTORS];
    EVR_UNROLL
    for (int n = 0; n < VECTORS; n++) w[n] = vf_load(weights + n * EVR_LANES);
    EVR_UNROLL
    for (int m = 0; m < pixels; m++) {
      const vf pixel = vf_set1(row[m][k]);
      EVR_UNROLL
      for (int n = 0; n < VECTORS; n++) sums[m][n] = vf_fma(pixel, w[n], sums[m][n]);
    }
  }
}

EVR_INLINE void clear(const int pixels, vf sums[PIXELS][VECTORS]) {
  EVR_UNROLL
  for (int m = 0; m < pixels; m++) {
    EVR_UNROLL
    for (int n = 0; n < VECTORS; n++) sums[m][n] = vf_zero();
  }
}

EVR_INLINE void store(const int pixels, vf sums[PIXELS][VECTORS], float *y, int64_t y_stride) {
  EVR_UNROLL
  for (int m = 0; m < pixels; m++) {
    EVR_UNROLL
    for (int n = 0; n < VECTORS; n++) vf_store(y + m * y_stride + n * EVR_LANES, sums[m][n]);
  }
}

/* A tile whose pixels are rows of the im2col matrix. pixels is a constant where this is inlined. */
EVR_INLINE void matrix_tile(const int pixels, const float *matrix, int64_t depth,
                            const float *weights, int64_t weights_stride, float *y,
                            int64_t y_stride) {
  vf sums[PIXELS][VECTORS];
  const float *row[PIXELS];
  EVR_UNROLL
  for (int m = 0; m < pixels; m++) row[m] = matrix + m * depth;
  clear(pixels, sums);
  add_run(pixels, sums, row, depth, weights, weights_stride);
  store(pixels, sums, y, y_stride);
}

/* Tiles of one block of channels against some rows of the matrix; what is left after the last full
 * tile goes pixel by pixel. */
static void matrix_block(int64_t rows, const float *matrix, int64_t depth, const float *weights,
                         int64_t weights_stride, float *y, int64_t y_stride) {
  int64_t i = 0;
  for (; i + PIXELS <= rows; i += PIXELS)
    matrix_tile(PIXELS, matrix + i * depth, depth, weights, weights_stride, y + i * y_stride,
                y_stride);
  for (; i < rows; i++)
    matrix_tile(1, matrix + i * depth, depth, weights, weights_stride, y + i * y_stride, y_stride);
}

static void register_tile(const layer *l, const buffers *b) {
  im2col(l, b, 0, pixel_count(l), b->matrix);
  for (int64_t oc = 0; oc < l->out_channels; oc += TILE_CHANNELS)
    matrix_block(pixel_count(l), b->matrix, sum_depth(l), b->weights + oc, l->out_channels,
                 b->y + oc, l->out_channels);
}

/* ---- Step 7: weights in the order of use, the matrix in bands -------------------------------- */

/* [block of channels][k][channel of the block]. Done once for a network, not once for a picture. */
static void pack(const layer *l, const float *weights, float *packed) {
  for (int64_t oc = 0; oc < l->out_channels; oc += TILE_CHANNELS)
    for (int64_t k = 0; k < sum_depth(l); k++)
      for (int64_t i = 0; i < TILE_CHANNELS; i++) *packed++ = weights[k * l->out_channels + oc + i];
}

/* Pixels whose rows of the matrix are made, used and forgotten together: 96 x 576 floats are 216
 * KiB, which the second-level cache holds. */
enum { BAND = 96 };

static int64_t band_pixels(const layer *l, int64_t first) {
  const int64_t left = pixel_count(l) - first;
  return left < BAND ? left : BAND;
}

static void cache_blocks(const layer *l, const buffers *b) {
  const int64_t depth = sum_depth(l);
  for (int64_t first = 0; first < pixel_count(l); first += BAND) {
    const int64_t rows = band_pixels(l, first);
    im2col(l, b, first, rows, b->matrix);
    for (int64_t oc = 0; oc < l->out_channels; oc += TILE_CHANNELS)
      matrix_block(rows, b->matrix, depth, b->packed + oc * depth, TILE_CHANNELS,
                   b->y + first * l->out_channels + oc, l->out_channels);
  }
}

/* ---- Step 8: pointers instead of a matrix ---------------------------------------------------- */

/* under[tap][pixel of the band]: where the channels lie that the matrix would hold a copy of. */
typedef const float *band_pointers[TAPS][BAND];

EVR_INLINE void pointer_tile(const int pixels, const layer *l, const band_pointers under,
                             int64_t first, const float *weights, float *y) {
  vf sums[PIXELS][VECTORS];
  clear(pixels, sums);
  for (int tap = 0; tap < TAPS; tap++, weights += l->in_channels * TILE_CHANNELS)
    add_run(pixels, sums, under[tap] + first, l->in_channels, weights, TILE_CHANNELS);
  store(pixels, sums, y + first * l->out_channels, l->out_channels);
}

static void pointer_band(const layer *l, const buffers *b, int64_t first) {
  const int64_t pixels = band_pixels(l, first);
  band_pointers under;
  for (int64_t kh = 0; kh < KERNEL; kh++)
    for (int64_t kw = 0; kw < KERNEL; kw++)
      for (int64_t i = 0; i < pixels; i++)
        under[kh * KERNEL + kw][i] = pixel_under(l, b, first + i, kh, kw);
  for (int64_t oc = 0; oc < l->out_channels; oc += TILE_CHANNELS) {
    const float *weights = b->packed + oc * sum_depth(l);
    float *y = b->y + first * l->out_channels + oc;
    int64_t i = 0;
    for (; i + PIXELS <= pixels; i += PIXELS) pointer_tile(PIXELS, l, under, i, weights, y);
    for (; i < pixels; i++) pointer_tile(1, l, under, i, weights, y);
  }
}

static void pixel_pointers(const layer *l, const buffers *b) {
  for (int64_t first = 0; first < pixel_count(l); first += BAND) pointer_band(l, b, first);
}

/* ---- Step 9: bands on several threads -------------------------------------------------------- */

static void threads(const layer *l, const buffers *b) {
#if defined(_OPENMP)
#pragma omp parallel for num_threads(b->threads)
#endif
  for (int64_t first = 0; first < pixel_count(l); first += BAND) pointer_band(l, b, first);
}

/* ---- The peak -------------------------------------------------------------------------------- */

/* Nothing but fused multiply-adds on registers, in chains enough to fill the pipelines and few
 * enough for sixteen registers. */
static float multiply_add(int64_t rounds) {
  const vf factor = vf_set1(0.5f);
  vf sums[CHAINS];
  EVR_UNROLL
  for (int i = 0; i < CHAINS; i++) sums[i] = vf_set1((float)i);
  for (int64_t round = 0; round < rounds; round++) {
    EVR_UNROLL
    for (int link = 0; link < LINKS; link++) {
      EVR_UNROLL
      for (int i = 0; i < CHAINS; i++) sums[i] = vf_fma(sums[i], factor, factor);
    }
  }
  float lanes[EVR_LANES], total = 0.0f;
  EVR_UNROLL
  for (int i = 0; i < CHAINS; i++) {
    vf_store(lanes, sums[i]);
    total += lanes[0];
  }
  return total;
}

const vector_steps EVR_NAME(vector_steps) = {
    .lanes = EVR_LANES,
    .tile_pixels = PIXELS,
    .tile_channels = TILE_CHANNELS,
#if defined(_OPENMP)
    .parallel = true,
#endif
    .one_vector = one_vector,
    .register_tile = register_tile,
    .cache_blocks = cache_blocks,
    .pixel_pointers = pixel_pointers,
    .threads = threads,
    .pack = pack,
    .multiply_add = multiply_add,
};
