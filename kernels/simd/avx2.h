/* The vocabulary of simd.h for AVX2 with FMA3: eight lanes, sixteen registers. */
#if !defined(__AVX2__) || !defined(__FMA__)
#error "avx2.h needs -mavx2 -mfma"
#endif
#include <immintrin.h>

#define EVR_SUFFIX avx2
#define EVR_LANES 8
#define EVR_REGISTERS 16

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* all bits of a true lane are set */

/* Mask for the first n lanes: a window into eight ones followed by eight zeros. */
EVR_INLINE __m256i evr_first_lanes(int64_t n) {
  static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256((const __m256i *)(ones_then_zeros + 8 - n));
}

EVR_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
EVR_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
EVR_INLINE vf vf_load_n(const float *p, int64_t n) {
  return _mm256_maskload_ps(p, evr_first_lanes(n));
}
/* By halves: a masked store is microcoded on AMD, dozens of cycles each. */
EVR_INLINE void vf_store_n(float *p, vf a, int64_t n) {
  __m128 part = _mm256_castps256_ps128(a);
  if (n & 8) {
    _mm256_storeu_ps(p, a);
    return;
  }
  if (n & 4) {
    _mm_storeu_ps(p, part);
    part = _mm256_extractf128_ps(a, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi((__m64 *)(void *)p, part);
    part = _mm_movehl_ps(part, part);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, part);
}
EVR_INLINE vf vf_once(vf a) {
  __asm__("" : "+x"(a));
  return a;
}
EVR_INLINE vf vf_set1(float a) { return _mm256_set1_ps(a); }
EVR_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
EVR_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
EVR_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
EVR_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
EVR_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
EVR_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
EVR_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
EVR_INLINE vf vf_greater(vf a, vf b) { return _mm256_max_ps(a, b); }
EVR_INLINE vf vf_smaller(vf a, vf b) { return _mm256_min_ps(a, b); }

EVR_INLINE vi vf_bits(vf a) { return _mm256_castps_si256(a); }
EVR_INLINE vf vi_as_vf(vi a) { return _mm256_castsi256_ps(a); }
EVR_INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
EVR_INLINE vf vf_neg(vf a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }
EVR_INLINE vf vf_copysign(vf size, vf sign) {
  const vf sign_bit = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(sign_bit, size), _mm256_and_ps(sign_bit, sign));
}

EVR_INLINE vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
EVR_INLINE vm vf_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
EVR_INLINE vm vf_is_nan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
EVR_INLINE vm vf_unordered(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
EVR_INLINE vm vm_or(vm a, vm b) { return _mm256_or_ps(a, b); }
EVR_INLINE vm vm_andnot(vm a, vm b) { return _mm256_andnot_ps(b, a); } /* a and not b */
EVR_INLINE int vm_any(vm a) { return _mm256_movemask_ps(a) != 0; }
EVR_INLINE vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
EVR_INLINE vi vi_select(vm m, vi a, vi b) {
  return vf_bits(_mm256_blendv_ps(vi_as_vf(b), vi_as_vf(a), m));
}
EVR_INLINE vf evr_join_halves(vf a) { /* 64-bit quarters 0 2 1 3 */
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), 0xd8));
}
EVR_INLINE vf vf_even(vf a, vf b) { return evr_join_halves(_mm256_shuffle_ps(a, b, 0x88)); }
EVR_INLINE vf vf_odd(vf a, vf b) { return evr_join_halves(_mm256_shuffle_ps(a, b, 0xdd)); }

EVR_INLINE vi vi_set1(int32_t a) { return _mm256_set1_epi32(a); }
EVR_INLINE vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
EVR_INLINE void vi_store(int32_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
EVR_INLINE vi vi_load_n(const int32_t *p, int64_t n) {
  return _mm256_maskload_epi32(p, evr_first_lanes(n));
}
EVR_INLINE void vi_store_n(int32_t *p, vi a, int64_t n) {
  _mm256_maskstore_epi32(p, evr_first_lanes(n), a);
}
EVR_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
EVR_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
EVR_INLINE vi vi_min(vi a, vi b) { return _mm256_min_epi32(a, b); }
EVR_INLINE vm vi_eq(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
EVR_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
#define vi_shift_left(a, n) _mm256_slli_epi32((a), (n))
#define vi_shift_right(a, n) _mm256_srai_epi32((a), (n)) /* keeps the sign */
/* Bit 3 of the index, as the sign, chooses the half. */
EVR_INLINE vf vf_lookup(const float table[16], vi index) {
  const vf low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
  const vf high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}
/* First 4 x 4 within the halves of the registers, then the halves. */
EVR_INLINE void vf_transpose(vf rows[8]) {
  vf part[8];
  EVR_UNROLL
  for (int i = 0; i < 8; i += 4) {
    const vf a = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    const vf b = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    const vf c = _mm256_unpacklo_ps(rows[i + 2], rows[i + 3]);
    const vf d = _mm256_unpackhi_ps(rows[i + 2], rows[i + 3]);
    part[i] = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    part[i + 1] = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    part[i + 2] = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    part[i + 3] = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
  }
  EVR_UNROLL
  for (int i = 0; i < 4; i++) {
    rows[i] = _mm256_permute2f128_ps(part[i], part[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(part[i], part[i + 4], 0x31);
  }
}
