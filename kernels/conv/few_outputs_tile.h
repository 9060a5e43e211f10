/* The register tile of convolution with few output channels: N of them by V vectors of pixels of an
 * output row, in a strip of columns (few_outputs.tmpl.c).
 *
 *     for each tap and input channel in canonical order, k:
 *         acc[n][v] = fma(pixels[k][v], weight[k][n], acc[n][v])
 *
 * Pixels lie side by side in the rows of a ring or in planes of the image, so that a vector of them
 * is one load. */
#ifndef EVR_CONV_FEW_OUTPUTS_TILE_H
#define EVR_CONV_FEW_OUTPUTS_TILE_H

#include "activation/functions.h"
#include "conv/problem.h"
#include "core/checked.h"
#include "core/memory.h"

/* Output channels of a group, at most. */
#define EVR_FEW_OUTPUTS 64

/* Output channels of a tile, at most; more are done in blocks. Of NHWC, the sums of blocks are
 * gathered first (few_outputs_finish.h). */
#define EVR_FEW_TILE_OUTPUTS (EVR_REGISTERS >= 32 ? 8 : 6)

/* Vectors of pixels in a tile: with so many outputs, sums fill the registers but for weights and
 * pixels. */
#if EVR_REGISTERS >= 32
#define EVR_FEW_TILE_VECTORS(outputs) \
  ((outputs) <= 3 ? 8 : (outputs) == 4 ? 6 : (outputs) == 5 ? 5 : (outputs) == 6 ? 4 : 3)
#else
#define EVR_FEW_TILE_VECTORS(outputs) \
  ((outputs) == 1 ? 8 : (outputs) == 2 ? 6 : (outputs) == 3 ? 4 : (outputs) == 4 ? 3 : 2)
#endif
#define EVR_FEW_MOST_VECTORS 8
#define EVR_FEW_MOST_TILE 8
#define EVR_FEW_MOST_BLOCKS ((EVR_FEW_OUTPUTS + EVR_FEW_TILE_OUTPUTS - 1) / EVR_FEW_TILE_OUTPUTS)

/* Outputs of NHWC that a tile transposes itself. */
#define EVR_FEW_TRANSPOSED 4

/* Columns of the output of one image and group. */
typedef struct evr_few_strip {
  const evr_conv2d_problem *p;
  const float *x; /* of the image, at the group's first channel */
  const float *zeros;
  int64_t in_width;     /* of the image, as it is walked */
  bool in_place;        /* rows are read where they lie */
  float *ring;          /* padded row r in row r % ring_rows; in place: one of padding */
  int64_t ring_rows;    /* that a window spans */
  int64_t columns;      /* floats of a phase */
  int64_t pitch;        /* from one channel to the next */
  const float *weights; /* of the group */
  float *sums;          /* of a row, [output][column], to be transposed; or NULL */
  int64_t columns_out;  /* floats of an output there */
  int64_t blocks;       /* of outputs */
  int64_t begin[EVR_FEW_MOST_BLOCKS + 1]; /* of each block, its first output */
  int64_t tiles;                          /* of a row, in columns */
  const float *bias;                      /* of the group, or NULL */
  evr_spread out;                         /* NHWC */
  int64_t y_plane, residual_plane;        /* NCHW */
  int64_t first;                          /* output column at which the strip begins */
  int64_t pixels;                         /* output columns of the strip */
} evr_few_strip;

/* Row r of the padded image, counted from the first that the output reads, in place. */
static const float *evr_few_find_row(const evr_few_strip *s, int64_t r, int64_t *pitch) {
  const evr_conv2d_desc *d = &s->p->desc;
  const int64_t ih = evr_source_pixel(evr_window_top(s->p, 0) + r, d->in_height, d->pad_mode);
  *pitch = ih < 0 ? 0 : d->in_height * d->in_width;
  return ih < 0 ? s->ring : s->x + ih * d->in_width + s->first;
}

/* A stretch of a row of the strip, and a block of outputs. */
typedef struct evr_few_stretch {
  int64_t top;           /* first padded row of the windows */
  int64_t row;           /* of the ring, which holds it */
  int64_t column;        /* of the strip, at which it begins */
  int64_t pixels;        /* to the end of the strip */
  const float *weights;  /* of the block */
  const float *bias;     /* of the block, or NULL */
  const float *residual; /* or NULL */
  float *y;
  int64_t y_plane, residual_plane; /* from one output to the next, where `planes` */
  bool planes, relu;
} evr_few_stretch;

/* Sums of which each output has its row of pixels. */
EVR_INLINE void evr_few_store_planes(const evr_few_stretch *t, const int outputs, const int vectors,
                                     vf sum[EVR_FEW_MOST_TILE][EVR_FEW_MOST_VECTORS]) {
  const bool has_bias = t->bias != NULL, relu = t->relu;
  const int64_t last = evr_min(t->pixels - (vectors - 1) * EVR_LANES, EVR_LANES);
  const int64_t y_plane = t->y_plane, residual_plane = t->residual_plane;
  const float *const residual = t->residual;
  float *const y = t->y;
  vf bias[EVR_FEW_MOST_TILE];
  EVR_UNROLL
  for (int o = 0; o < outputs; o++) bias[o] = has_bias ? vf_set1(t->bias[o]) : vf_zero();
  EVR_UNROLL
  for (int o = 0; o < outputs; o++) {
    EVR_UNROLL
    for (int v = 0; v < vectors; v++) {
      const int64_t at = v * EVR_LANES, count = v < vectors - 1 ? EVR_LANES : last;
      vf value = sum[o][v];
      if (has_bias) value = vf_add(value, bias[o]);
      if (residual != NULL)
        value = vf_add(value, vf_load_n(residual + o * residual_plane + at, count));
      if (relu) value = evr_relu(value);
      if (v < vectors - 1)
        vf_store(y + o * y_plane + at, value);
      else
        vf_store_n(y + o * y_plane + at, value, count);
    }
  }
}

/* `outputs` channels of `vectors` vectors of pixels, both constants. */
EVR_INLINE void evr_few_tile_run(const evr_few_strip *s, const evr_few_stretch *t,
                                 const int outputs, const int vectors) {
  const evr_conv2d_desc *d = &s->p->desc;
  const int64_t ring = s->ring_rows, channels = s->p->group_in;
  const int64_t column_step = d->dilation_width / d->stride_width;
  const int64_t phase_step = d->dilation_width % d->stride_width;
  vf sum[EVR_FEW_MOST_TILE][EVR_FEW_MOST_VECTORS];
  EVR_UNROLL
  for (int i = 0; i < outputs * vectors; i++) sum[i / vectors][i % vectors] = vf_zero();
  const float *w = t->weights;
  int64_t row = t->row;
  for (int64_t kh = 0; kh < d->kernel_height; kh++) {
    int64_t phase = 0, column = t->column, pitch = s->pitch;
    const float *const start = s->in_place
                                   ? evr_few_find_row(s, t->top + kh * d->dilation_height, &pitch)
                                   : s->ring + row * (pitch * channels);
    const bool fetch = s->in_place && kh == d->kernel_height - 1;
    for (int64_t kw = 0; kw < d->kernel_width; kw++) {
      const float *x = start + phase * s->columns + column;
      for (int64_t c = 0; c < channels; c++, x += pitch, w += outputs) {
        if (fetch) { /* the next tile: there are more planes than the hardware follows */
          EVR_UNROLL
          for (int i = 0; i < vectors * EVR_LANES; i += 16)
            __builtin_prefetch((const void *)evr_address((uintptr_t)x, vectors * EVR_LANES + i));
        }
        /* Held are the fewer of the two, and the others come one by one. */
        if (outputs <= vectors) {
          vf weights[EVR_FEW_MOST_TILE];
          EVR_UNROLL
          for (int o = 0; o < outputs; o++) weights[o] = vf_set1(w[o]);
          EVR_UNROLL
          for (int v = 0; v < vectors; v++) {
            /* gcc would read it anew for each output, across two lines. */
            const vf loaded = vf_load(x + v * EVR_LANES);
            const vf pixels = outputs > 1 ? vf_once(loaded) : loaded;
            EVR_UNROLL
            for (int o = 0; o < outputs; o++) sum[o][v] = vf_fma(pixels, weights[o], sum[o][v]);
          }
        } else {
          vf pixels[EVR_FEW_MOST_VECTORS];
          EVR_UNROLL
          for (int v = 0; v < vectors; v++) pixels[v] = vf_load(x + v * EVR_LANES);
          EVR_UNROLL
          for (int o = 0; o < outputs; o++) {
            const vf weight = vf_set1(w[o]);
            EVR_UNROLL
            for (int v = 0; v < vectors; v++) sum[o][v] = vf_fma(pixels[v], weight, sum[o][v]);
          }
        }
      }
      column += column_step;
      phase += phase_step;
      if (phase >= d->stride_width) {
        phase -= d->stride_width;
        column++;
      }
    }
    row += d->dilation_height;
    if (row >= ring) row -= ring;
  }
  /* More outputs always go by planes; saying so here leaves out the code below for them. */
  if (t->planes || outputs > EVR_FEW_TRANSPOSED) {
    evr_few_store_planes(t, outputs, vectors, sum);
    return;
  }
  const float *residual = t->residual;
  float *y = t->y;
  const int64_t pixels = t->pixels;
  /* Now lanes are the output channels of a pixel (but for the scalar build, which has one lane).
   * What a store might change is read before. */
  enum { LANES = EVR_LANES == 1 ? 1 : EVR_FEW_TRANSPOSED };
  const int lanes = outputs < LANES ? outputs : LANES;
  const int64_t pitch_out = s->out.pixel;
  const bool has_bias = t->bias != NULL, relu = t->relu;
  vf bias[EVR_FEW_MOST_TILE];
  EVR_UNROLL
  for (int o = 0; o < outputs; o += lanes)
    bias[o] = has_bias ? vf_load_n(t->bias + o, lanes) : vf_zero();
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) {
    vf block[EVR_LANES];
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) block[l] = l < outputs ? sum[l][v] : vf_zero();
    vf_transpose(block);
    const int64_t count = evr_min(pixels - v * EVR_LANES, EVR_LANES);
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) {
      if (l >= count) break;
      EVR_UNROLL
      for (int o = 0; o < outputs; o += lanes) {
        const int64_t at = (v * EVR_LANES + l) * pitch_out + o;
        vf value = EVR_LANES == 1 ? sum[o][v] : block[l];
        if (has_bias) value = vf_add(value, bias[o]);
        if (residual != NULL) value = vf_add(value, vf_load_n(residual + at, lanes));
        if (relu) value = evr_relu(value);
        vf_store_n(y + at, value, lanes);
      }
    }
  }
}

typedef void evr_few_tile_function(const evr_few_strip *s, const evr_few_stretch *t);

#define EVR_FEW_TILE(outputs, vectors)                                                       \
  static void tile_##outputs##_##vectors(const evr_few_strip *s, const evr_few_stretch *t) { \
    evr_few_tile_run(s, t, outputs, vectors);                                                \
  }
#define EVR_FEW_TILES_2(o) EVR_FEW_TILE(o, 1) EVR_FEW_TILE(o, 2)
#define EVR_FEW_TILES_3(o) EVR_FEW_TILES_2(o) EVR_FEW_TILE(o, 3)
#define EVR_FEW_TILES_4(o) EVR_FEW_TILES_3(o) EVR_FEW_TILE(o, 4)
#define EVR_FEW_TILES_5(o) EVR_FEW_TILES_4(o) EVR_FEW_TILE(o, 5)
#define EVR_FEW_TILES_6(o) EVR_FEW_TILES_5(o) EVR_FEW_TILE(o, 6)
#define EVR_FEW_TILES_8(o) EVR_FEW_TILES_6(o) EVR_FEW_TILE(o, 7) EVR_FEW_TILE(o, 8)
#define EVR_FEW_NAMES_2(o) tile_##o##_1, tile_##o##_2
#define EVR_FEW_NAMES_3(o) EVR_FEW_NAMES_2(o), tile_##o##_3
#define EVR_FEW_NAMES_4(o) EVR_FEW_NAMES_3(o), tile_##o##_4
#define EVR_FEW_NAMES_5(o) EVR_FEW_NAMES_4(o), tile_##o##_5
#define EVR_FEW_NAMES_6(o) EVR_FEW_NAMES_5(o), tile_##o##_6
#define EVR_FEW_NAMES_8(o) EVR_FEW_NAMES_6(o), tile_##o##_7, tile_##o##_8

EVR_FEW_TILES_8(1)
#if EVR_REGISTERS >= 32
EVR_FEW_TILES_8(2)
EVR_FEW_TILES_8(3)
EVR_FEW_TILES_6(4)
EVR_FEW_TILES_5(5)
EVR_FEW_TILES_4(6)
EVR_FEW_TILES_3(7)
EVR_FEW_TILES_3(8)
static evr_few_tile_function *const evr_few_tiles[EVR_FEW_MOST_TILE][EVR_FEW_MOST_VECTORS] = {
    {EVR_FEW_NAMES_8(1)}, {EVR_FEW_NAMES_8(2)}, {EVR_FEW_NAMES_8(3)}, {EVR_FEW_NAMES_6(4)},
    {EVR_FEW_NAMES_5(5)}, {EVR_FEW_NAMES_4(6)}, {EVR_FEW_NAMES_3(7)}, {EVR_FEW_NAMES_3(8)}};
#else
EVR_FEW_TILES_6(2)
EVR_FEW_TILES_4(3)
EVR_FEW_TILES_3(4)
EVR_FEW_TILES_2(5)
EVR_FEW_TILES_2(6)
static evr_few_tile_function *const evr_few_tiles[EVR_FEW_MOST_TILE][EVR_FEW_MOST_VECTORS] = {
    {EVR_FEW_NAMES_8(1)}, {EVR_FEW_NAMES_6(2)}, {EVR_FEW_NAMES_4(3)},
    {EVR_FEW_NAMES_3(4)}, {EVR_FEW_NAMES_2(5)}, {EVR_FEW_NAMES_2(6)}};
#endif

#endif
