/* The elementwise functions in the vocabulary of simd.h, so that their bits do not depend on the
 * instruction set. Errors in ulp stand in docs/numbers.md; infinities give the limit of the
 * function, NaN gives NaN, and subnormal results are rounded, not flushed.
 *
 * Clamps are written vf_greater(bound, x) and vf_smaller(bound, x): this order lets NaN pass. */
#ifndef EVR_ACTIVATION_FUNCTIONS_H
#define EVR_ACTIVATION_FUNCTIONS_H

#include "activation/exponential.h"
#include "evrisim/types.h"

EVR_INLINE vf evr_clamp(vf least, vf x, vf most) { return vf_smaller(most, vf_greater(least, x)); }

EVR_INLINE vf evr_relu(vf x) { return vf_greater(vf_zero(), x); }

EVR_INLINE vf evr_relu6(vf x) { return evr_clamp(vf_zero(), x, vf_set1(6.0f)); }

EVR_INLINE vf evr_leaky_relu(vf x, vf alpha) {
  return vf_select(vf_lt(x, vf_zero()), vf_mul(alpha, x), x);
}

/* The factor relu6(x + 3) / 6 comes first, so that a large x does not overflow; below -3 the factor
 * is zero, and the clamp keeps it from meeting an infinity. */
EVR_INLINE vf evr_hard_swish(vf x) {
  const vf from = vf_greater(vf_set1(-3.0f), x);
  const vf factor = vf_smaller(vf_set1(6.0f), vf_add(from, vf_set1(3.0f)));
  return vf_mul(from, vf_mul(factor, vf_set1(1.0f / 6.0f)));
}

/* For x < 0, e^x - 1 = 2^n (e^r - 1) + (2^n - 1), free of cancellation, with x = n ln 2 + r and
 * |r| <= ln(2)/2. e^r - 1 = r + r^2 q(r); q by Remez, weighted by r^2 / e^r, coefficients rounded
 * one by one with the rest fitted again: the error of e^r is 2^-28.2 before rounding. ln 2 in one
 * piece does, since its error counts 2^n times. From -20 down the result is -1. */
EVR_INLINE vf evr_elu(vf x, vf alpha) {
  const vf to_integer = vf_set1(0x1.8p23f);
  const vf bounded = vf_greater(vf_set1(-20.0f), x);
  const vf sum = vf_fma(bounded, vf_set1(0x1.715476p+0f), to_integer);
  const vf r = vf_fnma(vf_sub(sum, to_integer), vf_set1(0x1.62e430p-1f), bounded);
  vf q = vf_set1(0x1.6a511ap-10f);
  q = vf_fma(q, r, vf_set1(0x1.12397cp-7f));
  q = vf_fma(q, r, vf_set1(0x1.5558acp-5f));
  q = vf_fma(q, r, vf_set1(0x1.555492p-3f));
  q = vf_fma(q, r, vf_set1(0x1.fffffcp-2f));
  q = vf_fma(vf_mul(r, r), q, r);
  const vf power = vi_as_vf(vi_shift_left(vi_add(vf_bits(sum), vi_set1(127)), 23));
  const vf less_one = vf_fma(power, q, vf_sub(power, vf_set1(1.0f)));
  return vf_select(vf_lt(x, vf_zero()), vf_mul(alpha, less_one), x);
}

/* tanh(size + size_low) for 0 <= size <= 10 in two pieces, the second much the smaller; two says
 * whether there is a size_low. Below 5/8 an odd polynomial x + x^3 P(x^2), Remez on the relative
 * error, coefficients rounded one by one with the rest fitted again: 2^-27.7. Above,
 * 1 - 2 / (1 + e^2x). */
EVR_INLINE vf evr_tanh_pieces(bool two, vf size, vf size_low, vf *low) {
  const vf one = vf_set1(1.0f);
  const vf square = vf_mul(size, size);
  vf p = vf_set1(-0x1.750ccap-8f);
  p = vf_fma(p, square, vf_set1(0x1.51f8ccp-6f));
  p = vf_fma(p, square, vf_set1(-0x1.b835a4p-5f));
  p = vf_fma(p, square, vf_set1(0x1.1106f6p-3f));
  p = vf_fma(p, square, vf_set1(-0x1.555532p-2f));
  vf small_low = vf_mul(vf_mul(size, square), p);
  evr_exp_parts parts = evr_exp_split(false, vf_add(size, size), 0.0f);
  if (two) {
    /* The derivative of tanh is near 1 - x^2 there. */
    small_low = vf_add(small_low, vf_fnma(square, size_low, size_low));
    parts.rest = vf_fma(vf_set1(2.0f), size_low, parts.rest);
  }
  const vf large_low = vf_div(vf_set1(-2.0f), vf_add(one, evr_exp_normal(&parts)));
  const vm is_small = vf_lt(size, vf_set1(0.625f));
  *low = vf_select(is_small, small_low, large_low);
  return vf_select(is_small, size, one);
}

EVR_INLINE vf evr_tanh(vf x) {
  vf low;
  const vf high = evr_tanh_pieces(false, vf_smaller(vf_set1(10.0f), vf_abs(x)), vf_zero(), &low);
  return vf_copysign(vf_add(high, low), x);
}

/* 1.7159 tanh(2x/3), both constants in two pieces. */
EVR_INLINE vf evr_scaled_tanh(vf x) {
  const vf two_thirds = vf_set1(0x1.555556p-1f), two_thirds_low = vf_set1(-0x1.555556p-26f);
  const vf scale = vf_set1(0x1.b74538p+0f), scale_low = vf_set1(0x1.de69aep-25f);
  const vf from = vf_smaller(vf_set1(15.0f), vf_abs(x));
  const vf size = vf_mul(from, two_thirds);
  const vf size_low = vf_fma(from, two_thirds_low, vf_fma(from, two_thirds, vf_neg(size)));
  vf low;
  const vf high = evr_tanh_pieces(true, size, size_low, &low);
  const vf result = vf_fma(scale, high, vf_fma(scale, low, vf_mul(scale_low, high)));
  return vf_copysign(result, x);
}

/* 1 / (1 + e^-x), with e^-x and the ones times 2^-32: so neither the largest nor the smallest power
 * leaves the normal numbers, and a subnormal result is rounded once, by the division. From 60 up
 * the result is 1, from -104 down 0. */
EVR_INLINE vf evr_sigmoid(vf x) {
  const vf bounded = evr_clamp(vf_set1(-104.0f), x, vf_set1(60.0f));
  const evr_exp_parts parts = evr_exp_split(true, bounded, -32.0f);
  const vf one = vf_set1(0x1p-32f);
  return vf_div(one, vf_add(one, evr_exp_normal(&parts)));
}

/* x sigmoid(u + low) = x e^(u + low) / (1 + e^(u + low)) for -120 <= u <= 30 and a small low. The
 * power of 2 comes last, so that a subnormal result is rounded once after the product; from u = 18
 * up the 1 makes no difference, and the result is x. */
EVR_INLINE vf evr_times_sigmoid(vf x, vf u, vf low) {
  evr_exp_parts parts = evr_exp_split(false, u, 0.0f);
  parts.rest = vf_add(parts.rest, low);
  const vf p = evr_exp_significand(&parts);
  const vf divisor = vf_add(vf_set1(1.0f), vf_scale(p, parts.steps));
  return vf_scale(vf_mul(x, vf_div(p, divisor)), parts.steps);
}

EVR_INLINE vf evr_silu(vf x) {
  const vf from = vf_greater(vf_set1(-120.0f), x);
  return evr_times_sigmoid(from, vf_smaller(vf_set1(30.0f), from), vf_zero());
}

/* Phi(-a) = e^(-a^2/2) m(a), where m(a) = erfcx(a / sqrt 2) / 2 falls slowly: a quotient p / q of
 * polynomials of degree 4 and 5 on [0, 14.5], by reweighted least squares on the relative error,
 * then a search over neighbouring floats: 2^-26.7. a^2 is taken in two pieces, since an error of
 * its last place would be seen in the tail. e^(-a^2/2) is power 2^floor(steps). */
typedef struct evr_normal_tail {
  vf p, q, power, steps;
} evr_normal_tail;

/* 0 <= a <= 15 */
EVR_INLINE evr_normal_tail evr_normal_tail_of(vf a) {
  vf p = vf_set1(0x1.0dcb36p-8f);
  p = vf_fma(p, a, vf_set1(0x1.4ce3fep-5f));
  p = vf_fma(p, a, vf_set1(0x1.774866p-3f));
  p = vf_fma(p, a, vf_set1(0x1.c0d368p-2f));
  p = vf_fma(p, a, vf_set1(0.5f));
  vf q = vf_set1(0x1.5221e8p-7f);
  q = vf_fma(q, a, vf_set1(0x1.a13e2ep-4f));
  q = vf_fma(q, a, vf_set1(0x1.e0c2bcp-2f));
  q = vf_fma(q, a, vf_set1(0x1.33d98ep+0f));
  q = vf_fma(q, a, vf_set1(0x1.acabe4p+0f));
  q = vf_fma(q, a, vf_set1(1.0f));
  const vf square = vf_mul(a, a);
  const vf square_low = vf_fma(a, a, vf_neg(square));
  evr_exp_parts parts = evr_exp_split(false, vf_mul(square, vf_set1(-0.5f)), 0.0f);
  parts.rest = vf_fma(square_low, vf_set1(-0.5f), parts.rest);
  return (evr_normal_tail){p, q, evr_exp_significand(&parts), parts.steps};
}

/* x Phi(-|x|), found without cancellation, is the result for x <= 0 and what is missing from x for
 * x > 0. At -15 the result is -0. */
EVR_INLINE vf evr_gelu(vf x) {
  const vf from = evr_clamp(vf_set1(-15.0f), x, vf_set1(15.0f));
  const evr_normal_tail t = evr_normal_tail_of(vf_abs(from));
  const vf tail = vf_scale(vf_mul(from, vf_div(vf_mul(t.power, t.p), t.q)), t.steps);
  return vf_select(vf_gt(x, vf_zero()), vf_sub(x, tail), tail);
}

/* 2 sqrt(2/pi) (a + 0.044715 a^3) in two pieces, for the same reason as a^2 in GELU. */
EVR_INLINE vf evr_gelu_cubic(vf a, vf *low) {
  /* linear has no bits below 2^-20, so taking the factor off it leaves no rounding error. */
  const vf linear = vf_set1(0x1.98845p+0f), linear_low = vf_set1(0x1.9ea1b2p-23f);
  const vf cubic = vf_set1(0x1.2444f2p-4f), cubic_low = vf_set1(0x1.49b16ap-29f);
  const vf square = vf_mul(a, a);
  const vf square_low = vf_fma(a, a, vf_neg(square));
  const vf factor = vf_fma(cubic, square, linear);
  vf factor_low = vf_fma(cubic, square, vf_sub(linear, factor));
  factor_low = vf_add(factor_low, vf_fma(cubic_low, square, linear_low));
  factor_low = vf_fma(cubic, square_low, factor_low);
  const vf u = vf_mul(a, factor);
  *low = vf_fma(a, factor_low, vf_fma(a, factor, vf_neg(u)));
  return u;
}

/* x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), the same as x/2 (1 + tanh(...)). At -11 the result is
 * -0. */
EVR_INLINE vf evr_gelu_tanh(vf x) {
  const vf from = vf_greater(vf_set1(-11.0f), x);
  vf low;
  const vf u = evr_gelu_cubic(vf_smaller(vf_set1(6.0f), from), &low);
  return evr_times_sigmoid(from, u, low);
}

/* Any of them. All twelve are inlined here: a kernel that unrolls should store first and call
 * evr_activation_apply (apply.h) on what it stored. */
EVR_INLINE vf vf_activate(const evr_activation *activation, vf x) {
  switch (activation->kind) {
    case EVR_IDENTITY: return x;
    case EVR_RELU: return evr_relu(x);
    case EVR_LEAKY_RELU: return evr_leaky_relu(x, vf_set1(activation->alpha));
    case EVR_ELU: return evr_elu(x, vf_set1(activation->alpha));
    case EVR_SIGMOID: return evr_sigmoid(x);
    case EVR_TANH: return evr_tanh(x);
    case EVR_SCALED_TANH: return evr_scaled_tanh(x);
    case EVR_RELU6: return evr_relu6(x);
    case EVR_HARD_SWISH: return evr_hard_swish(x);
    case EVR_SILU: return evr_silu(x);
    case EVR_GELU: return evr_gelu(x);
    case EVR_GELU_TANH: return evr_gelu_tanh(x);
  }
  return x;
}

#endif
