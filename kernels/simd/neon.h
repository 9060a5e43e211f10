/* The vocabulary of simd.h for AArch64 Advanced SIMD: four lanes, thirty-two registers. */
#if !defined(__aarch64__) || !defined(__ARM_NEON)
#error "neon.h needs AArch64 with Advanced SIMD"
#endif
#include <arm_neon.h>

#define EVR_SUFFIX neon
#define EVR_LANES 4
#define EVR_REGISTERS 32

typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm; /* all bits of a true lane are set */

EVR_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
EVR_INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
/* No masked accesses here: a short one takes pairs and single lanes. Never by way of memory, where
 * a call of memcpy would have every loop around keep its vectors on the stack. */
EVR_INLINE vf vf_load_n(const float *p, int64_t n) {
  if (n >= 4) return vld1q_f32(p);
  vf lanes = vdupq_n_f32(0.0f);
  if (n & 2) {
    lanes = vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
    return n & 1 ? vld1q_lane_f32(p + 2, lanes, 2) : lanes;
  }
  return n & 1 ? vld1q_lane_f32(p, lanes, 0) : lanes;
}
EVR_INLINE void vf_store_n(float *p, vf a, int64_t n) {
  if (n >= 4) {
    vst1q_f32(p, a);
    return;
  }
  if (n & 2) {
    vst1_f32(p, vget_low_f32(a));
    if (n & 1) vst1q_lane_f32(p + 2, a, 2);
    return;
  }
  if (n & 1) vst1q_lane_f32(p, a, 0);
}
EVR_INLINE vf vf_once(vf a) {
  __asm__("" : "+w"(a));
  return a;
}
EVR_INLINE vf vf_set1(float a) { return vdupq_n_f32(a); }
EVR_INLINE vf vf_zero(void) { return vdupq_n_f32(0.0f); }
EVR_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
EVR_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
EVR_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
EVR_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
EVR_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
EVR_INLINE vf vf_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
EVR_INLINE vf vf_greater(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
EVR_INLINE vf vf_smaller(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }

EVR_INLINE vi vf_bits(vf a) { return vreinterpretq_s32_f32(a); }
EVR_INLINE vf vi_as_vf(vi a) { return vreinterpretq_f32_s32(a); }
EVR_INLINE vf vf_abs(vf a) { return vabsq_f32(a); }
EVR_INLINE vf vf_neg(vf a) { return vnegq_f32(a); }
EVR_INLINE vf vf_copysign(vf size, vf sign) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), sign, size);
}

EVR_INLINE vm vf_lt(vf a, vf b) { return vcltq_f32(a, b); }
EVR_INLINE vm vf_gt(vf a, vf b) { return vcgtq_f32(a, b); }
EVR_INLINE vm vf_is_nan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
EVR_INLINE vm vf_unordered(vf a, vf b) {
  return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b)));
}
EVR_INLINE vm vm_or(vm a, vm b) { return vorrq_u32(a, b); }
EVR_INLINE vm vm_andnot(vm a, vm b) { return vbicq_u32(a, b); } /* a and not b */
EVR_INLINE int vm_any(vm a) { return vmaxvq_u32(a) != 0; }
EVR_INLINE vf vf_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
EVR_INLINE vi vi_select(vm m, vi a, vi b) { return vbslq_s32(m, a, b); }
EVR_INLINE vf vf_even(vf a, vf b) { return vuzp1q_f32(a, b); }
EVR_INLINE vf vf_odd(vf a, vf b) { return vuzp2q_f32(a, b); }

EVR_INLINE vi vi_set1(int32_t a) { return vdupq_n_s32(a); }
EVR_INLINE vi vi_load(const int32_t *p) { return vld1q_s32(p); }
EVR_INLINE void vi_store(int32_t *p, vi a) { vst1q_s32(p, a); }
EVR_INLINE vi vi_load_n(const int32_t *p, int64_t n) {
  return vreinterpretq_s32_f32(vf_load_n((const float *)(const void *)p, n));
}
EVR_INLINE void vi_store_n(int32_t *p, vi a, int64_t n) {
  vf_store_n((float *)(void *)p, vreinterpretq_f32_s32(a), n);
}
EVR_INLINE vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
EVR_INLINE vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
EVR_INLINE vi vi_min(vi a, vi b) { return vminq_s32(a, b); }
EVR_INLINE vm vi_eq(vi a, vi b) { return vceqq_s32(a, b); }
EVR_INLINE vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
#define vi_shift_left(a, n) vshlq_n_s32((a), (n))
#define vi_shift_right(a, n) vshrq_n_s32((a), (n)) /* keeps the sign */
/* By bytes: four neighbours for each lane. */
EVR_INLINE vf vf_lookup(const float table[16], vi index) {
  const uint8_t *bytes = (const uint8_t *)table;
  const uint8x16x4_t all = {
      {vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)}};
  const uint32x4_t element = vandq_u32(vreinterpretq_u32_s32(index), vdupq_n_u32(15));
  const uint32x4_t four = vmlaq_n_u32(vdupq_n_u32(0x03020100u), element, 0x04040404u);
  return vreinterpretq_f32_u8(vqtbl4q_u8(all, vreinterpretq_u8_u32(four)));
}
EVR_INLINE void vf_transpose(vf rows[4]) {
  const float32x4x2_t a = vtrnq_f32(rows[0], rows[1]), b = vtrnq_f32(rows[2], rows[3]);
  rows[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  rows[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  rows[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  rows[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}
