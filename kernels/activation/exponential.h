/* e^x in the vocabulary of simd.h: x = n ln 2 + r with an integer n and |r| <= ln(2)/2, so
 * e^x = 2^n e^r. */
#ifndef EVR_ACTIVATION_EXPONENTIAL_H
#define EVR_ACTIVATION_EXPONENTIAL_H

#include "simd/simd.h"

/* r, and n in *n (integer-valued), for |x| below 2^20. ln 2 is taken in two pieces; n times the
 * first, taken off x by the fused operation, leaves no rounding error. NaN gives NaN. */
EVR_INLINE vf evr_exp_reduce(vf x, vf *n) {
  /* Adding 1.5 2^23 leaves no place for a fraction: the sum is rounded to an integer. */
  const vf to_integer = vf_set1(0x1.8p23f);
  *n = vf_sub(vf_fma(x, vf_set1(0x1.715476p+0f), to_integer), to_integer);
  const vf r = vf_fnma(*n, vf_set1(0x1.62e430p-1f), x);
  return vf_fnma(*n, vf_set1(-0x1.05c610p-29f), r);
}

/* e^r - 1 = r + r^2 q(r) for |r| <= 0.3467, with a small relative error also near 0. q by Remez,
 * weighted by r^2 / e^r, coefficients rounded one by one with the rest fitted again: the error of
 * e^r is 2^-29.8 before rounding. */
EVR_INLINE vf evr_exp_less_one(vf r) {
  vf q = vf_set1(0x1.6a6042p-13f);
  q = vf_fma(q, r, vf_set1(0x1.6d49e0p-10f));
  q = vf_fma(q, r, vf_set1(0x1.113748p-7f));
  q = vf_fma(q, r, vf_set1(0x1.5554f2p-5f));
  q = vf_fma(q, r, vf_set1(0x1.55553cp-3f));
  q = vf_fma(q, r, vf_set1(0.5f));
  return vf_fma(vf_mul(r, r), q, r);
}

/* e^x for every x: 0 from -104 down, infinity from 89 up. */
EVR_INLINE vf evr_exp(vf x) {
  vf n;
  const vf bounded = vf_smaller(vf_set1(89.0f), vf_greater(vf_set1(-104.0f), x));
  const vf r = evr_exp_reduce(bounded, &n);
  return vf_scale(vf_add(vf_set1(1.0f), evr_exp_less_one(r)), n);
}

#endif
