/* The matrix product as it is taught: three loops. */
#include <math.h>

#include "activation/reference.h"
#include "gemm/gemm.h"

void evr_gemm_reference(const evr_gemm *g) {
  for (int64_t i = 0; i < g->m; i++)
    for (int64_t j = 0; j < g->n; j++) {
      float sum = 0.0f;
      for (int64_t k = 0; k < g->k; k++)
        sum = fmaf(g->a[i * g->a_row + k], g->b[k * g->b_row + j], sum);
      const int64_t at = i * g->c_row + j;
      if (g->row_bias != NULL) sum += g->row_bias[i];
      if (g->column_bias != NULL) sum += g->column_bias[j];
      if (g->residual != NULL) sum += g->residual[i * g->residual_row + j];
      g->c[at] = evr_activation_reference(&g->activation, sum);
    }
}
