/* log x and log(1 + x) in the vocabulary of simd.h. With x = 2^k (1 + f), 1 + f between sqrt(1/2)
 * and sqrt 2, log x = k ln 2 + log(1 + f), and log(1 + f) = f - f^2/2 + f^3 P(f): P by reweighted
 * least squares on the relative error, coefficients rounded one by one with the rest fitted again:
 * 2^-30.3 before rounding. */
#ifndef EVR_ACTIVATION_LOGARITHM_H
#define EVR_ACTIVATION_LOGARITHM_H

#include "simd/simd.h"

/* k ln 2 + log(1 + f). The upper piece of ln 2 has so few bits that its multiples are exact. */
EVR_INLINE vf evr_log_pieces(vf k, vf f) {
  vf p = vf_set1(0x1.1484e6p-4f);
  p = vf_fma(p, f, vf_set1(-0x1.de1008p-4f));
  p = vf_fma(p, f, vf_set1(0x1.e6c040p-4f));
  p = vf_fma(p, f, vf_set1(-0x1.fc26acp-4f));
  p = vf_fma(p, f, vf_set1(0x1.233b78p-3f));
  p = vf_fma(p, f, vf_set1(-0x1.555c4ep-3f));
  p = vf_fma(p, f, vf_set1(0x1.99a478p-3f));
  p = vf_fma(p, f, vf_set1(-0x1.000006p-2f));
  p = vf_fma(p, f, vf_set1(0x1.555548p-2f));
  const vf square = vf_mul(f, f);
  vf low = vf_fma(k, vf_set1(0x1.7f7d1cp-20f), vf_mul(vf_mul(f, square), p));
  low = vf_fma(square, vf_set1(-0.5f), low);
  return vf_fma(k, vf_set1(0x1.62e4p-1f), vf_add(f, low));
}

/* log x for x a positive normal number; NaN for NaN. */
EVR_INLINE vf evr_log(vf x) {
  const vi root = vf_bits(vf_set1(0x1.6a09e6p-1f)); /* sqrt(1/2) */
  const vi exponent = vi_shift_right(vi_sub(vf_bits(x), root), 23);
  const vf offset = vf_set1(0x1.8p23f);
  const vf k = vf_sub(vi_as_vf(vi_add(exponent, vf_bits(offset))), offset);
  const vf m = vi_as_vf(vi_sub(vf_bits(x), vi_shift_left(exponent, 23)));
  return vf_select(vf_is_nan(x), x, evr_log_pieces(k, vf_sub(m, vf_set1(1.0f))));
}

/* log(1 + x) for 0 <= x <= 1; NaN for NaN. */
EVR_INLINE vf evr_log1p(vf x) {
  const vm low = vf_lt(x, vf_set1(0x1.a8279ap-2f)); /* sqrt 2 - 1 */
  const vf f = vf_select(low, x, vf_fma(x, vf_set1(0.5f), vf_set1(-0.5f)));
  return evr_log_pieces(vf_select(low, vf_zero(), vf_set1(1.0f)), f);
}

#endif
