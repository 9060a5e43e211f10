/* e^x in the vocabulary of simd.h: x = (n + j/16) ln 2 + r with integers n and 0 <= j < 16 and
 * |r| <= ln(2)/32, so e^x = 2^n 2^(j/16) e^r. */
#ifndef EVR_ACTIVATION_EXPONENTIAL_H
#define EVR_ACTIVATION_EXPONENTIAL_H

#include <stdbool.h>

#include "simd/simd.h"

/* 2^(j/16). */
static const float evr_exp_roots[16] = {
    0x1p+0f,        0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f, 0x1.306fe0p+0f, 0x1.3dea64p+0f,
    0x1.4bfdaep+0f, 0x1.5ab07ep+0f, 0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f,
    0x1.ae89fap+0f, 0x1.c199bep+0f, 0x1.d5818ep+0f, 0x1.ea4afap+0f};

/* The same, with j/16 of a step of the exponent taken off their bits, which 16 n + j then adds. */
static const float evr_exp_steps[16] = {
    0x1p+0f,        0x1.fb5586p-1f, 0x1.f72b84p-1f, 0x1.f387a6p-1f, 0x1.f06fe0p-1f, 0x1.edea64p-1f,
    0x1.ebfdaep-1f, 0x1.eab07ep-1f, 0x1.ea09e6p-1f, 0x1.ea1148p-1f, 0x1.eace54p-1f, 0x1.ec4918p-1f,
    0x1.ee89fap-1f, 0x1.f199bep-1f, 0x1.f5818ep-1f, 0x1.fa4afap-1f};

typedef struct evr_exp_parts {
  vi index;   /* its low bits are those of 16 n + j */
  vf steps;   /* n + j/16 */
  vf rest;    /* r, or */
  bool minus; /* -r: wherever these are inlined, it is a constant */
} evr_exp_parts;

/* Adding 1.5 2^19 leaves no place below a sixteenth: the sum is rounded to a multiple of one, and
 * its low bits count them. */
#define EVR_EXP_OFFSET 0x1.8p19f

/* The parts of x, or of minus x, for |x| below 2^16; NaN gives a rest of NaN. ln 2 is taken in two
 * pieces; the multiple of the first, taken off x by the fused operation, leaves no rounding error.
 * shift, an integer, is added to the n in the index alone. */
EVR_INLINE evr_exp_parts evr_exp_split(bool minus, vf x, float shift) {
  const vf log2_e = vf_set1(0x1.715476p+0f), offset = vf_set1(EVR_EXP_OFFSET + shift);
  const vf sum = minus ? vf_fnma(x, log2_e, offset) : vf_fma(x, log2_e, offset);
  const vf steps = vf_sub(sum, offset);
  const vf log = vf_set1(0x1.62e430p-1f), log_low = vf_set1(-0x1.05c610p-29f);
  vf rest = minus ? vf_fma(steps, log, x) : vf_fnma(steps, log, x);
  rest = minus ? vf_fma(steps, log_low, rest) : vf_fnma(steps, log_low, rest);
  return (evr_exp_parts){vf_bits(sum), steps, rest, minus};
}

/* root e^r for |r| <= ln(2)/32: Remez on the relative error, coefficients rounded one by one with
 * the rest fitted again: 2^-29.2 before rounding. */
EVR_INLINE vf evr_exp_times(vf root, const evr_exp_parts *parts) {
  const vf r = parts->rest;
  vf q = vf_fma(vf_set1(0x1.55559ap-3f), r, vf_set1(parts->minus ? -0x1.00022p-1f : 0x1.00022p-1f));
  q = vf_fma(q, r, vf_set1(1.0f));
  return parts->minus ? vf_fnma(vf_mul(root, r), q, root) : vf_fma(vf_mul(root, r), q, root);
}

/* 2^(j/16) e^r, between 0.97 and 2: what vf_scale with the steps makes e^x of. */
EVR_INLINE vf evr_exp_significand(const evr_exp_parts *parts) {
  return evr_exp_times(vf_lookup(evr_exp_roots, parts->index), parts);
}

/* e^x 2^shift where that is a normal number and n + shift above -126. */
EVR_INLINE vf evr_exp_normal(const evr_exp_parts *parts) {
  const vi step = vf_bits(vf_lookup(evr_exp_steps, parts->index));
  const vi root = vi_add(step, vi_shift_left(parts->index, 19));
  return evr_exp_times(vi_as_vf(root), parts);
}

/* e^x for every x: 0 from -104 down, infinity from 89 up. */
EVR_INLINE vf evr_exp(vf x) {
  const vf bounded = vf_smaller(vf_set1(89.0f), vf_greater(vf_set1(-104.0f), x));
  const evr_exp_parts parts = evr_exp_split(false, bounded, 0.0f);
  return vf_scale(evr_exp_significand(&parts), parts.steps);
}

#endif
