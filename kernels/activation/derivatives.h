/* Derivatives of the elementwise functions in the vocabulary of simd.h. Those that are functions of
 * the result y are taken from it (LeCun et al., Efficient BackProp, 1998, does so for tanh), the
 * others from the argument z. What they are at kinks stands in evrisim/activation.h. NaN gives NaN.
 * Errors stand in docs/numbers.md. */
#ifndef EVR_ACTIVATION_DERIVATIVES_H
#define EVR_ACTIVATION_DERIVATIVES_H

#include "activation/functions.h"

/* 1 where is is set, 0 where it is not, NaN where v is one. */
EVR_INLINE vf evr_slope_step(vm is, vf v) {
  return vf_select(is, vf_set1(1.0f), vf_select(vf_is_nan(v), v, vf_zero()));
}

EVR_INLINE vf evr_relu6_slope(vf v) {
  const vm below = vf_lt(v, vf_set1(6.0f));
  const vm positive = vf_gt(v, vf_zero());
  return vf_select(below, evr_slope_step(positive, v), vf_select(vf_is_nan(v), v, vf_zero()));
}

EVR_INLINE vf evr_leaky_relu_slope(vf v, vf alpha) {
  const vf slope = vf_select(vf_is_nan(v), v, alpha);
  return vf_select(vf_gt(v, vf_zero()), vf_set1(1.0f), slope);
}

/* alpha e^z = y + alpha for z <= 0. v is z, or a y that has its sign. */
EVR_INLINE vf evr_elu_slope(vf v, vf y, vf alpha) {
  return vf_select(vf_gt(v, vf_zero()), vf_set1(1.0f), vf_add(y, alpha));
}

EVR_INLINE vf evr_sigmoid_slope(vf y) { return vf_mul(y, vf_sub(vf_set1(1.0f), y)); }

EVR_INLINE vf evr_tanh_slope(vf y) { return vf_fnma(y, y, vf_set1(1.0f)); }

/* 2/3 / 1.7159 (1.7159 - |y|) (1.7159 + |y|), the difference from 1.7159 in two pieces. */
EVR_INLINE vf evr_scaled_tanh_slope(vf y) {
  const vf scale = vf_set1(0x1.b74538p+0f), scale_low = vf_set1(0x1.de69aep-25f);
  const vf size = vf_abs(y);
  const vf below = vf_add(vf_sub(scale, size), scale_low);
  return vf_mul(below, vf_mul(vf_add(scale, size), vf_set1(0x1.8dd8fcp-2f)));
}

/* (2z + 3) / 6 between -3 and 3; the fused operation leaves no cancellation near -1.5. */
EVR_INLINE vf evr_hard_swish_slope(vf z) {
  const vf inner = vf_mul(vf_fma(vf_set1(2.0f), z, vf_set1(3.0f)), vf_set1(1.0f / 6.0f));
  const vf upper = vf_select(vf_lt(z, vf_set1(3.0f)), inner, vf_set1(1.0f));
  const vf slope = vf_select(vf_gt(z, vf_set1(-3.0f)), upper, vf_zero());
  return vf_select(vf_is_nan(z), z, slope);
}

/* The derivative s (1 + t (1 - s)) of z s(u), where s is the sigmoid of u + low and t is z u'. With
 * e = e^-|u| and r = 1 / (1 + e), s and 1 - s are r and e r, or the other way round: neither is
 * found by cancellation. Where u < 0, the power of 2 comes last, as in evr_times_sigmoid. */
EVR_INLINE vf evr_times_sigmoid_slope(vf u, vf low, vf t) {
  const vf one = vf_set1(1.0f);
  const vm negative = vf_lt(u, vf_zero());
  evr_exp_parts parts = evr_exp_split(false, vf_neg(vf_abs(u)), 0.0f);
  parts.rest = vf_add(parts.rest, vf_select(negative, low, vf_neg(low)));
  const vf p = evr_exp_significand(&parts);
  const vf e = vf_scale(p, parts.steps);
  const vf r = vf_div(one, vf_add(one, e));
  const vf s = vf_select(negative, vf_mul(p, r), r);
  const vf other = vf_select(negative, r, vf_mul(e, r));
  const vf steps = vf_select(negative, parts.steps, vf_zero());
  return vf_scale(vf_mul(s, vf_fma(t, other, one)), steps);
}

/* From -120 down the result is -0, from 120 up 1. */
EVR_INLINE vf evr_silu_slope(vf z) {
  const vf from = evr_clamp(vf_set1(-120.0f), z, vf_set1(120.0f));
  return evr_times_sigmoid_slope(from, vf_zero(), from);
}

/* Phi(z) + z phi(z) = e^(-a^2/2) (m - a / sqrt(2 pi)) for z = -a, and 1 less the same for z = a. */
EVR_INLINE vf evr_gelu_slope(vf z) {
  const vf from = evr_clamp(vf_set1(-15.0f), z, vf_set1(15.0f));
  const vf a = vf_abs(from);
  const evr_normal_tail t = evr_normal_tail_of(a);
  const vf factor = vf_fnma(a, vf_set1(0x1.988454p-2f), vf_div(t.p, t.q));
  const vf tail = vf_scale(vf_mul(t.power, factor), t.steps);
  return vf_select(vf_gt(z, vf_zero()), vf_sub(vf_set1(1.0f), tail), tail);
}

EVR_INLINE vf evr_gelu_tanh_slope(vf z) {
  const vf from = evr_clamp(vf_set1(-11.0f), z, vf_set1(11.0f));
  vf low;
  const vf u = evr_gelu_cubic(from, &low);
  const vf square = vf_mul(from, from);
  const vf steepness = vf_fma(square, vf_set1(0x1.b6676cp-3f), vf_set1(0x1.988454p+0f));
  return evr_times_sigmoid_slope(u, low, vf_mul(from, steepness));
}

/* v is y, or z where is_z is set; kinds that need z are given it. */
EVR_INLINE vf vf_slope(const evr_activation *activation, bool is_z, vf v) {
  const vf alpha = vf_set1(activation->alpha);
  switch (activation->kind) {
    case EVR_IDENTITY: return vf_set1(1.0f);
    case EVR_RELU: return evr_slope_step(vf_gt(v, vf_zero()), v);
    case EVR_LEAKY_RELU: return evr_leaky_relu_slope(v, alpha);
    case EVR_ELU: return evr_elu_slope(v, is_z ? evr_elu(v, alpha) : v, alpha);
    case EVR_SIGMOID: return evr_sigmoid_slope(is_z ? evr_sigmoid(v) : v);
    case EVR_TANH: return evr_tanh_slope(is_z ? evr_tanh(v) : v);
    case EVR_SCALED_TANH: return evr_scaled_tanh_slope(is_z ? evr_scaled_tanh(v) : v);
    case EVR_RELU6: return evr_relu6_slope(v);
    case EVR_HARD_SWISH: return evr_hard_swish_slope(v);
    case EVR_SILU: return evr_silu_slope(v);
    case EVR_GELU: return evr_gelu_slope(v);
    case EVR_GELU_TANH: return evr_gelu_tanh_slope(v);
  }
  return v;
}

#endif
