/* The register tile of depthwise convolution, NCHW: R output rows of one plane by one vector of
 * output columns, for each vector of the row in turn.
 *
 * The input is a padded copy of the plane in phases: for stride S, phase (i, j) holds every S-th
 * row from row i on, and of these every S-th column from column j on, so that every tap reads
 * neighbouring columns. A vector loaded for one row of the input meets all output rows that it
 * belongs to. Rows are visited from the top, so each sum still takes its taps in the canonical
 * order. */
#ifndef EVR_CONV_DEPTHWISE_PLANE_H
#define EVR_CONV_DEPTHWISE_PLANE_H

#include "activation/functions.h"
#include "core/checked.h"
#include "simd/simd.h"

/* Output rows of a tile, at most. */
#define EVR_PLANE_ROWS 4

typedef struct evr_plane_tile {
  const float *in;                /* first row and column under the first output */
  int64_t pitch;                  /* floats from one row of a phase to the next */
  int64_t row_phase;              /* from one phase of rows to the next */
  int64_t column_phase;           /* from one phase of columns to the next */
  const float *weights;           /* [kh][kw] */
  const float *bias;              /* one value, or NULL */
  evr_activation_kind activation; /* others than ReLU and ReLU6 are left to the caller */
  int64_t width;                  /* of the output */
  float *y;
  const float *residual; /* at y's offset, or NULL */
} evr_plane_tile;

typedef void evr_plane_function(const evr_plane_tile *tile);

/* Bias, residual and activation of one vector, and out. */
EVR_INLINE void evr_plane_finish(const evr_plane_tile *tile, vf sum, vf bias, int64_t at,
                                 int64_t count) {
  if (tile->bias != NULL) sum = vf_add(sum, bias);
  if (tile->residual != NULL) sum = vf_add(sum, vf_load_n(tile->residual + at, count));
  if (tile->activation == EVR_RELU)
    sum = evr_relu(sum);
  else if (tile->activation == EVR_RELU6)
    sum = evr_relu6(sum);
  if (count == EVR_LANES)
    vf_store(tile->y + at, sum);
  else
    vf_store_n(tile->y + at, sum, count);
}

/* K x K taps, stride S in both directions; R, K and S are constants where this is inlined. */
EVR_INLINE void evr_plane_run(const evr_plane_tile *tile, const int R, const int K, const int S) {
  vf weight[25];
  EVR_UNROLL
  for (int k = 0; k < K * K; k++) weight[k] = vf_set1(tile->weights[k]);
  const vf bias = vf_set1(tile->bias != NULL ? *tile->bias : 0.0f);
  const int64_t pitch = tile->pitch, width = tile->width;
  for (int64_t column = 0; column < width; column += EVR_LANES) {
    vf sum[EVR_PLANE_ROWS];
    EVR_UNROLL
    for (int r = 0; r < R; r++) sum[r] = vf_zero();
    EVR_UNROLL
    for (int row = 0; row < (R - 1) * S + K; row++) {
      const float *in = tile->in + column + row % S * tile->row_phase + row / S * pitch;
      EVR_UNROLL
      for (int kw = 0; kw < K; kw++) {
        const vf x = vf_once(vf_load(in + kw % S * tile->column_phase + kw / S));
        EVR_UNROLL
        for (int r = 0; r < R; r++) {
          const int kh = row - r * S;
          if (kh >= 0 && kh < K) sum[r] = vf_fma(x, weight[kh * K + kw], sum[r]);
        }
      }
    }
    const int64_t count = evr_min(width - column, EVR_LANES);
    EVR_UNROLL
    for (int r = 0; r < R; r++) evr_plane_finish(tile, sum[r], bias, r * width + column, count);
  }
}

typedef struct evr_plane_kind {
  int kernel, stride;                      /* both square; dilation 1 */
  evr_plane_function *run[EVR_PLANE_ROWS]; /* [rows - 1] */
} evr_plane_kind;

#define EVR_PLANE_FUNCTION(name, r, k, s) \
  static void name##r(const evr_plane_tile *tile) { evr_plane_run(tile, r, k, s); }
#define EVR_PLANE_FUNCTIONS(name, k, s) \
  EVR_PLANE_FUNCTION(name, 1, k, s)     \
  EVR_PLANE_FUNCTION(name, 2, k, s)     \
  EVR_PLANE_FUNCTION(name, 3, k, s)     \
  EVR_PLANE_FUNCTION(name, 4, k, s)
#define EVR_PLANE_ROW(name, k, s)                \
  {                                              \
    k, s, { name##1, name##2, name##3, name##4 } \
  }

EVR_PLANE_FUNCTIONS(plane_k3s1r, 3, 1)
EVR_PLANE_FUNCTIONS(plane_k3s2r, 3, 2)
EVR_PLANE_FUNCTIONS(plane_k5s1r, 5, 1)
EVR_PLANE_FUNCTIONS(plane_k5s2r, 5, 2)

static const evr_plane_kind evr_plane_kinds[] = {
    EVR_PLANE_ROW(plane_k3s1r, 3, 1),
    EVR_PLANE_ROW(plane_k3s2r, 3, 2),
    EVR_PLANE_ROW(plane_k5s1r, 5, 1),
    EVR_PLANE_ROW(plane_k5s2r, 5, 2),
};

#endif
