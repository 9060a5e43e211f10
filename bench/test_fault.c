/* Loaded before OpenBLAS by test_command_line.py: a matrix product that is wrong, to see that the
 * benchmark notices. */
void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
  (void)order, (void)trans_a, (void)trans_b, (void)lda, (void)ldb, (void)beta;
  for (int row = 0; row < m; row++)
    for (int column = 0; column < n; column++)
      c[row * ldc + column] = alpha * a[0] * b[0] * (float)k;
}
