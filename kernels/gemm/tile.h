/* The innermost step of every matrix product here: a tile of C in registers.
 *
 *   C[r, j] (+)= A[r, k] B[k, j],  k = 0, 1, ...  in this order, each step one fused multiply-add
 *
 * Lanes run over the columns of C, so a sum is never split over lanes; where k is cut, the sum is
 * stored in C and loaded again. So C has the bits of the naive loop. */
#ifndef EVR_GEMM_TILE_H
#define EVR_GEMM_TILE_H

#include "activation/functions.h"
#include "simd/simd.h"

/* Rows and vectors of a full tile: as many accumulators as the registers hold beside a row of B and
 * one element of A. */
#if defined(EVR_SIMD_AVX512) || defined(EVR_SIMD_NEON)
#define EVR_GEMM_ROWS 6
#define EVR_GEMM_VECTORS 4
#elif defined(EVR_SIMD_AVX2)
#define EVR_GEMM_ROWS 6
#define EVR_GEMM_VECTORS 2
#else
#define EVR_GEMM_ROWS 4
#define EVR_GEMM_VECTORS 4
#endif
#define EVR_GEMM_COLUMNS (EVR_GEMM_VECTORS * EVR_LANES)
/* Panels of columns that a single row of C takes side by side, where one has so few chains of
 * additions that they would wait for each other. */
#define EVR_GEMM_ROW_PANELS (EVR_GEMM_VECTORS == 2 ? 4 : 1)
/* Whether a vector holds a row of a panel. */
#define EVR_GEMM_HAS_COLUMN (EVR_LANES >= EVR_GEMM_ROWS)

typedef struct evr_gemm_tile {
  int64_t depth;  /* steps */
  const float *a; /* of rows: a[r * a_row + k]; of a panel: a[k * EVR_GEMM_ROWS + r] */
  int64_t a_row;
  int64_t a_next; /* of a panel: floats from a to the next panel, to be fetched early; or 0 */
  const float *b; /* b[k * b_row + j]; whole vectors are read */
  int64_t b_row;
  float *c; /* c[r * c_row + j] */
  int64_t c_row;
  int64_t columns;          /* of c, at least 1; a short last vector is masked */
  bool first;               /* sums begin at +0, not at c */
  bool last;                /* the epilogue follows: activation((sum + bias) + residual) */
  const float *row_bias;    /* one value a row, or NULL */
  const float *column_bias; /* one value a column, or NULL */
  const float *residual;    /* residual[r * residual_row + j], or NULL */
  int64_t residual_row;
  const evr_activation *activation;
} evr_gemm_tile;

typedef void evr_gemm_tile_function(const evr_gemm_tile *tile);

/* Vector v of a row; rest is the columns in the last of vectors. */
EVR_INLINE vf evr_gemm_load(const float *p, int v, const int vectors, int64_t rest) {
  p += v * EVR_LANES;
  return v < vectors - 1 || rest == EVR_LANES ? vf_load(p) : vf_load_n(p, rest);
}

EVR_INLINE void evr_gemm_store(float *p, int v, const int vectors, int64_t rest, vf value) {
  p += v * EVR_LANES;
  if (v < vectors - 1 || rest == EVR_LANES)
    vf_store(p, value);
  else
    vf_store_n(p, value, rest);
}

/* Runs body for each accumulator (r, v): one loop, as clang keeps a tile of one row in memory where
 * there are two. */
#define EVR_GEMM_EACH(body)                     \
  EVR_UNROLL                                    \
  for (int i = 0; i < rows * vectors; i++) {    \
    const int r = i / vectors, v = i % vectors; \
    body;                                       \
  }

/* rows, vectors and panel are constants where this is inlined; columns end in the last vector. */
EVR_INLINE void evr_gemm_multiply(const int rows, const int vectors, const bool panel,
                                  const evr_gemm_tile *t) {
  const int64_t rest = t->columns - (vectors - 1) * EVR_LANES;
  vf sum[EVR_GEMM_ROWS][EVR_GEMM_VECTORS];
  if (t->first) {
    EVR_GEMM_EACH(sum[r][v] = vf_zero())
  } else {
    EVR_GEMM_EACH(sum[r][v] = evr_gemm_load(t->c + r * t->c_row, v, vectors, rest))
  }

  const float *b = t->b;
  const float *a = t->a;
  const int64_t a_row = t->a_row, a_next = t->a_next, b_row = t->b_row, depth = t->depth;
  for (int64_t k = 0; k < depth; k++) {
    vf row[EVR_GEMM_VECTORS];
    EVR_UNROLL
    for (int v = 0; v < vectors; v++) row[v] = vf_load(b + v * EVR_LANES);
    EVR_GEMM_EACH(sum[r][v] = vf_fma(vf_set1(a[panel ? r : r * a_row]), row[v], sum[r][v]))
    if (panel) __builtin_prefetch(a + a_next, 0, 2);
    a += panel ? EVR_GEMM_ROWS : 1;
    b += b_row;
  }

  if (t->last) {
    if (t->row_bias != NULL) {
      EVR_GEMM_EACH(sum[r][v] = vf_add(sum[r][v], vf_set1(t->row_bias[r])))
    }
    if (t->column_bias != NULL) {
      EVR_GEMM_EACH(sum[r][v] = vf_add(sum[r][v], evr_gemm_load(t->column_bias, v, vectors, rest)))
    }
    if (t->residual != NULL) {
      EVR_GEMM_EACH(sum[r][v] = vf_add(sum[r][v], evr_gemm_load(t->residual + r * t->residual_row,
                                                                v, vectors, rest)))
    }
    if (t->activation->kind == EVR_RELU) {
      EVR_GEMM_EACH(sum[r][v] = evr_relu(sum[r][v]))
    }
  }
  EVR_GEMM_EACH(evr_gemm_store(t->c + r * t->c_row, v, vectors, rest, sum[r][v]))
}

/* Runs the tile function of that many rows (1 to EVR_GEMM_ROWS) and of the tile's columns (at most
 * EVR_GEMM_COLUMNS), and whatever activation it does not know. panel: how a is laid out. */
void EVR_NAME(evr_gemm_run_tile)(const evr_gemm_tile *tile, int64_t rows, bool panel);

#if EVR_GEMM_HAS_COLUMN
/* A tile of one column and any number of rows, in panels a_next apart. */
void EVR_NAME(evr_gemm_run_column)(const evr_gemm_tile *tile, int64_t rows);
#endif

#endif
