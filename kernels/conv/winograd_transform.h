/* The transforms of Winograd's convolution F(m x m, 3x3): y = A^T [(G w G^T) . (B^T d B)] A, where
 * d is a patch of m + 2 by m + 2 inputs and y the m by m outputs of its windows. (Lavin and Gray,
 * Fast Algorithms for Convolutional Neural Networks, 2016, section 4.)
 *
 * They stand for products of polynomials at m + 1 points and infinity. With M(x) the product of all
 * (x - p), point p has the row of coefficients of M(x) / (x - p) in B^T, of 1, p, p^2 over
 * N = M'(p) in G, and of 1, p, p^2, ... in the columns of A^T.
 *
 *   m = 2: 0, 1, -1              no worse than direct convolution
 *   m = 4: 0, 3/4, -3/4, 3/2, -3/2
 *          A third of the error that the usual 0, 1, -1, 2, -2 make, since powers of these are
 *          nearer to 1; every coefficient of A and B is a float. */
#ifndef EVR_CONV_WINOGRAD_TRANSFORM_H
#define EVR_CONV_WINOGRAD_TRANSFORM_H

#include "simd/simd.h"

/* Sides of the largest patch and output. */
#define EVR_WINOGRAD_PATCH 6
#define EVR_WINOGRAD_OUT 4

#define EVR_POINT_A 0.75f
#define EVR_POINT_B 1.5f
#define EVR_SQUARE_A (EVR_POINT_A * EVR_POINT_A)
#define EVR_SQUARE_B (EVR_POINT_B * EVR_POINT_B)

/* v = B^T d; out is m, a constant where this is inlined. */
EVR_INLINE void evr_winograd_input(const int out, const vf *d, vf *v) {
  if (out == 2) {
    v[0] = vf_sub(d[2], d[0]);
    v[1] = vf_add(d[2], d[1]);
    v[2] = vf_sub(d[2], d[1]);
    v[3] = vf_sub(d[3], d[1]);
    return;
  }
  const vf a = vf_set1(EVR_POINT_A), b = vf_set1(EVR_POINT_B);
  const vf aa = vf_set1(EVR_SQUARE_A), bb = vf_set1(EVR_SQUARE_B);
  const vf sum = vf_set1(EVR_SQUARE_A + EVR_SQUARE_B),
           product = vf_set1(EVR_SQUARE_A * EVR_SQUARE_B);
  /* In this order, as few values as possible are in use at once. */
  v[0] = vf_fma(product, d[0], vf_fnma(sum, d[2], d[4]));
  v[5] = vf_fma(product, d[1], vf_fnma(sum, d[3], d[5]));
  const vf even_a = vf_fnma(bb, d[2], d[4]), odd_a = vf_fnma(bb, d[1], d[3]);
  v[1] = vf_fma(a, odd_a, even_a);
  v[2] = vf_fnma(a, odd_a, even_a);
  const vf even_b = vf_fnma(aa, d[2], d[4]), odd_b = vf_fnma(aa, d[1], d[3]);
  v[3] = vf_fma(b, odd_b, even_b);
  v[4] = vf_fnma(b, odd_b, even_b);
}

/* y = A^T m */
EVR_INLINE void evr_winograd_output(const int out, const vf *m, vf *y) {
  const vf even_a = vf_add(m[1], m[2]), odd_a = vf_sub(m[1], m[2]);
  if (out == 2) {
    y[0] = vf_add(m[0], even_a);
    y[1] = vf_add(odd_a, m[3]);
    return;
  }
  const vf even_b = vf_add(m[3], m[4]), odd_b = vf_sub(m[3], m[4]);
  const vf a = vf_set1(EVR_POINT_A), b = vf_set1(EVR_POINT_B);
  const vf aa = vf_set1(EVR_SQUARE_A), bb = vf_set1(EVR_SQUARE_B);
  const vf aaa = vf_set1(EVR_SQUARE_A * EVR_POINT_A), bbb = vf_set1(EVR_SQUARE_B * EVR_POINT_B);
  y[0] = vf_add(m[0], vf_add(even_a, even_b));
  y[1] = vf_fma(a, odd_a, vf_mul(b, odd_b));
  y[2] = vf_fma(aa, even_a, vf_mul(bb, even_b));
  y[3] = vf_fma(aaa, odd_a, vf_fma(bbb, odd_b, m[5]));
}

/* u = G w for three weights in double; u[i] of i <= m + 1 is u[i * step]. */
EVR_INLINE void evr_winograd_weight(const int out, double w0, double w1, double w2, double *u,
                                    int step) {
  const double squares[] = {(double)EVR_SQUARE_A, (double)EVR_SQUARE_B};
  const double points[] = {(double)EVR_POINT_A, (double)EVR_POINT_B};
  if (out == 2) {
    u[0] = -w0;
    u[step] = 0.5 * ((w0 + w2) + w1);
    u[2 * step] = 0.5 * ((w0 + w2) - w1);
    u[3 * step] = w2;
    return;
  }
  u[0] = w0 / (squares[0] * squares[1]);
  for (int i = 0; i < 2; i++) {
    const double scale = 0.5 / (squares[i] * (squares[i] - squares[1 - i]));
    const double even = w0 + squares[i] * w2, odd = points[i] * w1;
    u[(2 * i + 1) * step] = scale * (even + odd);
    u[(2 * i + 2) * step] = scale * (even - odd);
  }
  u[5 * step] = w2;
}

#endif
