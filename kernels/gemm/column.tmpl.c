/* A matrix product of one column, for the pixels that are too few to fill a vector: lanes run over
 * the rows of packed panels instead, and a few panels share each element of B. */
#include "activation/apply.h"
#include "core/checked.h"
#include "gemm/tile.h"

#if EVR_GEMM_HAS_COLUMN

/* Panels side by side, so that their chains of additions overlap. */
#define STRIPS 4

/* Rows of strips panels from row first on, strips being a constant. */
EVR_INLINE void multiply_strips(const evr_gemm_tile *t, int64_t first, int64_t rows,
                                const int strips) {
  float values[STRIPS * EVR_GEMM_ROWS + EVR_LANES] = {0};
  float *c = t->c + first * t->c_row;
  if (!t->first)
    for (int64_t r = 0; r < rows; r++) values[r] = c[r * t->c_row];
  vf sum[STRIPS];
  EVR_UNROLL
  for (int s = 0; s < strips; s++) sum[s] = vf_load(values + s * EVR_GEMM_ROWS);
  const float *a = t->a + first / EVR_GEMM_ROWS * t->a_next, *b = t->b;
  for (int64_t k = 0; k < t->depth; k++, a += EVR_GEMM_ROWS, b += t->b_row) {
    const vf element = vf_set1(*b);
    EVR_UNROLL
    for (int s = 0; s < strips; s++)
      sum[s] = vf_fma(element, vf_load_n(a + s * t->a_next, EVR_GEMM_ROWS), sum[s]);
  }
  /* In this order: a strip's lanes beyond its rows are the next strip's. */
  EVR_UNROLL
  for (int s = 0; s < strips; s++) vf_store(values + s * EVR_GEMM_ROWS, sum[s]);
  if (t->last) {
    if (t->row_bias != NULL)
      for (int64_t r = 0; r < rows; r++) values[r] += t->row_bias[first + r];
    if (t->residual != NULL)
      for (int64_t r = 0; r < rows; r++) values[r] += t->residual[(first + r) * t->residual_row];
    EVR_NAME(evr_activation_apply)(t->activation, values, values, rows);
  }
  for (int64_t r = 0; r < rows; r++) c[r * t->c_row] = values[r];
}

void EVR_NAME(evr_gemm_run_column)(const evr_gemm_tile *t, int64_t rows) {
  int64_t r = 0;
  for (; r + (STRIPS - 1) * EVR_GEMM_ROWS < rows; r += STRIPS * EVR_GEMM_ROWS)
    multiply_strips(t, r, evr_min(STRIPS * EVR_GEMM_ROWS, rows - r), STRIPS);
  for (; r < rows; r += EVR_GEMM_ROWS) multiply_strips(t, r, evr_min(EVR_GEMM_ROWS, rows - r), 1);
}

#endif
