/* Steps 1 to 4 of the tutorial: plain C, nothing but loops. */
#include <string.h>

#include "layer.h"

/* ---- Step 1: four loops and a single step ---------------------------------------------------- */

/* One output value: the window of one filter over one place of the picture. */
static float single_step(const layer *l, const buffers *b, int64_t n, int64_t oh, int64_t ow,
                         int64_t oc) {
  float sum = 0.0f;
  for (int64_t kh = 0; kh < KERNEL; kh++)
    for (int64_t kw = 0; kw < KERNEL; kw++)
      for (int64_t ic = 0; ic < l->in_channels; ic++) {
        const int64_t ih = oh + kh - PAD, iw = ow + kw - PAD;
        if (ih < 0 || ih >= l->height || iw < 0 || iw >= l->width) continue;
        const float pixel = b->x[((n * l->height + ih) * l->width + iw) * l->in_channels + ic];
        const float weight =
            b->weights[((kh * KERNEL + kw) * l->in_channels + ic) * l->out_channels + oc];
        sum += pixel * weight;
      }
  return sum;
}

void four_loops(const layer *l, const buffers *b) {
  for (int64_t n = 0; n < l->batch; n++)
    for (int64_t oh = 0; oh < l->height; oh++)
      for (int64_t ow = 0; ow < l->width; ow++)
        for (int64_t oc = 0; oc < l->out_channels; oc++)
          b->y[((n * l->height + oh) * l->width + ow) * l->out_channels + oc] =
              single_step(l, b, n, oh, ow, oc);
}

/* ---- Step 2: the loop over output channels goes inside --------------------------------------- */

/* y[oc] += pixel * weights[oc] for all channels: neighbours in memory, in both arrays. Never
 * inlined, so that steps 2 to 4 run the same instructions and differ in nothing but their order. */
__attribute__((noinline)) static void add_scaled_row(float pixel, const float *restrict weights,
                                                     float *restrict y, int64_t channels) {
  for (int64_t oc = 0; oc < channels; oc++) y[oc] += pixel * weights[oc];
}

void channels_inside(const layer *l, const buffers *b) {
  for (int64_t pixel = 0; pixel < pixel_count(l); pixel++) {
    float *y = b->y + pixel * l->out_channels;
    memset(y, 0, (size_t)l->out_channels * sizeof *y);
    const float *weights = b->weights;
    for (int64_t kh = 0; kh < KERNEL; kh++)
      for (int64_t kw = 0; kw < KERNEL; kw++) {
        const float *x = pixel_under(l, b, pixel, kh, kw);
        for (int64_t ic = 0; ic < l->in_channels; ic++, weights += l->out_channels)
          add_scaled_row(x[ic], weights, y, l->out_channels);
      }
  }
}

/* ---- Step 3: im2col, then a product of matrices ---------------------------------------------- */

void im2col(const layer *l, const buffers *b, int64_t first, int64_t rows, float *matrix) {
  for (int64_t pixel = first; pixel < first + rows; pixel++)
    for (int64_t kh = 0; kh < KERNEL; kh++)
      for (int64_t kw = 0; kw < KERNEL; kw++, matrix += l->in_channels)
        memcpy(matrix, pixel_under(l, b, pixel, kh, kw), (size_t)l->in_channels * sizeof *matrix);
}

/* c += a b: a has rows x depth values (a row begins a_stride after the one before), b depth x
 * columns, c rows x columns. */
static void multiply_add(int64_t rows, int64_t columns, int64_t depth, const float *a,
                         int64_t a_stride, const float *b, float *c) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < depth; k++)
      add_scaled_row(a[i * a_stride + k], b + k * columns, c + i * columns, columns);
}

void im2col_naive(const layer *l, const buffers *b) {
  const int64_t rows = pixel_count(l), columns = l->out_channels, depth = sum_depth(l);
  im2col(l, b, 0, rows, b->matrix);
  memset(b->y, 0, (size_t)(rows * columns) * sizeof *b->y);
  multiply_add(rows, columns, depth, b->matrix, depth, b->weights, b->y);
}

/* ---- Step 4: the product in small blocks ----------------------------------------------------- */

enum { BLOCK = 8 }; /* terms of a sum */

/* One row of c, BLOCK terms of each sum at a time: c is loaded and stored once for all of them. */
static void add_block_of_rows(const float *a, const float *restrict b, float *restrict c,
                              int64_t columns) {
  for (int64_t j = 0; j < columns; j++) {
    float sum = c[j];
    for (int k = 0; k < BLOCK; k++) sum += a[k] * b[k * columns + j];
    c[j] = sum;
  }
}

void im2col_blocked(const layer *l, const buffers *b) {
  const int64_t rows = pixel_count(l), columns = l->out_channels, depth = sum_depth(l);
  im2col(l, b, 0, rows, b->matrix);
  memset(b->y, 0, (size_t)(rows * columns) * sizeof *b->y);
  for (int64_t i = 0; i < rows; i++) {
    const float *a = b->matrix + i * depth;
    float *c = b->y + i * columns;
    int64_t k = 0;
    for (; k + BLOCK <= depth; k += BLOCK)
      add_block_of_rows(a + k, b->weights + k * columns, c, columns);
    for (; k < depth; k++) add_scaled_row(a[k], b->weights + k * columns, c, columns);
  }
}
