/* The layer that the tutorial "From four loops to SIMD" makes faster: a 3 x 3 convolution with
 * stride 1 and one pixel of zero padding on each side, so that the output is as large as the input.
 * Activations are NHWC, weights HWIO. The number of output channels is a multiple of 64, which
 * spares every step the last, partly filled vector; the library's own kernels have no such
 * limit. */
#ifndef TUTORIAL_LAYER_H
#define TUTORIAL_LAYER_H

#include <stdbool.h>
#include <stdint.h>

enum { KERNEL = 3, PAD = 1, TAPS = KERNEL * KERNEL };

typedef struct layer {
  int64_t batch, height, width, in_channels, out_channels;
} layer;

typedef struct buffers {
  const float *x;       /* batch x height x width x in_channels */
  const float *weights; /* 3 x 3 x in_channels x out_channels */
  const float *packed;  /* the same numbers, in the order that steps 7 to 9 read them */
  const float *zeros;   /* in_channels zeros: a pixel of the padding */
  float *matrix;        /* room for im2col: pixel_count rows of depth values */
  float *y;             /* batch x height x width x out_channels */
  int threads;
} buffers;

/* Computes the whole layer: y from x and weights. */
typedef void step(const layer *l, const buffers *b);

step four_loops, channels_inside, im2col_naive, im2col_blocked; /* loops.c */

/* The steps that are written in vectors (vectors.tmpl.c), once for each instruction set. */
typedef struct vector_steps {
  int64_t lanes, tile_pixels, tile_channels;
  bool parallel; /* built with OpenMP; else the step with threads is one without */
  step *one_vector, *register_tile, *cache_blocks, *pixel_pointers, *threads;
  void (*pack)(const layer *l, const float *weights, float *packed);
  float (*multiply_add)(int64_t rounds); /* for the peak: CHAINS * LINKS vectors a round */
} vector_steps;

/* Fused multiply-adds of a round of multiply_add: independent chains, and links of each. */
enum { CHAINS = 12, LINKS = 16 };

extern const vector_steps vector_steps_scalar, vector_steps_avx2, vector_steps_avx512,
    vector_steps_neon;

/* Pixels of the output, numbered through all images. */
static inline int64_t pixel_count(const layer *l) { return l->batch * l->height * l->width; }

/* Terms of one sum. */
static inline int64_t sum_depth(const layer *l) { return TAPS * l->in_channels; }

/* The channels of the input pixel under one tap of one output pixel. */
static inline const float *pixel_under(const layer *l, const buffers *b, int64_t pixel, int64_t kh,
                                       int64_t kw) {
  const int64_t image = pixel / (l->height * l->width);
  const int64_t row = pixel / l->width % l->height + kh - PAD;
  const int64_t column = pixel % l->width + kw - PAD;
  if (row < 0 || row >= l->height || column < 0 || column >= l->width) return b->zeros;
  return b->x + ((image * l->height + row) * l->width + column) * l->in_channels;
}

/* Rows first .. first + rows - 1 of the im2col matrix: for each pixel, all that its window sees. */
void im2col(const layer *l, const buffers *b, int64_t first, int64_t rows, float *matrix);

#endif
