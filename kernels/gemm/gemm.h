/* The matrix product C[m x n] = A[m x k] B[k x n], single threaded, float32.
 *
 * Every element is one chain: acc = +0; for each k in order: acc = fma(a, b, acc). Blocking cuts k
 * only by storing and loading acc, and lanes run over n, so all of these functions give the same
 * bits. After the last step y = activation((acc + bias) + residual); what is NULL is not added. */
#ifndef EVR_GEMM_GEMM_H
#define EVR_GEMM_GEMM_H

#include "evrisim/types.h"
#include "simd/instances.h"

/* All matrices are row-major: element (i, j) of X is x[i * x_row + j]. Where packed_a or packed_b
 * is given it is read instead of a or b. Only the m x n elements of c are written. */
typedef struct evr_gemm {
  int64_t m, n, k; /* each at least 1 */
  const float *a;
  int64_t a_row;
  const float *packed_a; /* of evr_gemm_pack_a, or NULL */
  const float *b;
  int64_t b_row;
  const float *packed_b; /* of evr_gemm_pack_b, or NULL */
  float *c;
  int64_t c_row;
  const float *row_bias;    /* m values, or NULL */
  const float *column_bias; /* n values, or NULL */
  const float *residual;    /* m x n, or NULL */
  int64_t residual_row;
  evr_activation activation;
} evr_gemm;

/* The naive loops. Reads a and b. */
void evr_gemm_reference(const evr_gemm *gemm);

/* A source of packing: element (k, lane) is source[k * k_step + lane * lane_step]. */
typedef struct evr_gemm_source {
  const float *source;
  int64_t k_step, lane_step;
  int64_t k;     /* steps in this source */
  int64_t lanes; /* rows of A, or columns of B */
} evr_gemm_source;

/* For each instruction set: */
#define EVR_GEMM_DECLARE(isa)                                                                       \
  /* A full tile of C. Packed matrices can be entered at multiples of these. */                     \
  extern const int64_t evr_gemm_tile_rows_##isa, evr_gemm_tile_columns_##isa;                       \
  /* Floats of m (n) packed rows (columns) of depth k. Those from row (column) i on, a multiple   \
   * of the tile, start at i * k. */ \
  int64_t evr_gemm_packed_a_count_##isa(int64_t m, int64_t k);                                      \
  int64_t evr_gemm_packed_b_count_##isa(int64_t n, int64_t k);                                      \
  /* Packs source as the steps from k_begin on of a matrix of depth k. */                           \
  void evr_gemm_pack_a_##isa(const evr_gemm_source *source, int64_t k_begin, int64_t k,             \
                             float *packed);                                                        \
  void evr_gemm_pack_b_##isa(const evr_gemm_source *source, int64_t k_begin, int64_t k,             \
                             float *packed);                                                        \
  /* Floats of scratch for evr_gemm; 0 where b is packed. */                                        \
  int64_t evr_gemm_scratch_count_##isa(const evr_gemm *gemm);                                       \
  void evr_gemm_##isa(const evr_gemm *gemm, float *scratch);
EVR_FOR_EACH_INSTANCE(EVR_GEMM_DECLARE)

#endif
