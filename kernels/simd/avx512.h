/* The vocabulary of simd.h for AVX-512: sixteen lanes, thirty-two registers, mask registers. */
#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || \
    !defined(__AVX512BW__)
#error "avx512.h needs -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mfma"
#endif
#include <immintrin.h>

#define EVR_SUFFIX avx512
#define EVR_LANES 16
#define EVR_REGISTERS 32

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

EVR_INLINE vm evr_first_lanes(int64_t n) { return (vm)((1u << n) - 1u); }

EVR_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
EVR_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
EVR_INLINE vf vf_load_n(const float *p, int64_t n) {
  return _mm512_maskz_loadu_ps(evr_first_lanes(n), p);
}
EVR_INLINE void vf_store_n(float *p, vf a, int64_t n) {
  _mm512_mask_storeu_ps(p, evr_first_lanes(n), a);
}
EVR_INLINE vf vf_once(vf a) {
  __asm__("" : "+v"(a));
  return a;
}
EVR_INLINE vf vf_set1(float a) { return _mm512_set1_ps(a); }
EVR_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
EVR_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
EVR_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
EVR_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
EVR_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
EVR_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
EVR_INLINE vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
EVR_INLINE vf vf_greater(vf a, vf b) { return _mm512_max_ps(a, b); }
EVR_INLINE vf vf_smaller(vf a, vf b) { return _mm512_min_ps(a, b); }

EVR_INLINE vi vf_bits(vf a) { return _mm512_castps_si512(a); }
EVR_INLINE vf vi_as_vf(vi a) { return _mm512_castsi512_ps(a); }
EVR_INLINE vf vf_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
EVR_INLINE vf vf_neg(vf a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }
EVR_INLINE vf vf_copysign(vf size, vf sign) {
  const vf sign_bit = _mm512_set1_ps(-0.0f);
  return _mm512_or_ps(_mm512_andnot_ps(sign_bit, size), _mm512_and_ps(sign_bit, sign));
}

EVR_INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
EVR_INLINE vm vf_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
EVR_INLINE vm vf_is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
EVR_INLINE vm vf_unordered(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
/* By name: for the operators, gcc goes through general registers. */
EVR_INLINE vm vm_or(vm a, vm b) { return _kor_mask16(a, b); }
EVR_INLINE vm vm_andnot(vm a, vm b) { return _kandn_mask16(b, a); } /* a and not b */
EVR_INLINE int vm_any(vm a) { return a != 0; }
EVR_INLINE vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
EVR_INLINE vi vi_select(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
EVR_INLINE vf vf_even(vf a, vf b) {
  const vi order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_ps(a, order, b);
}
EVR_INLINE vf vf_odd(vf a, vf b) {
  const vi order = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return _mm512_permutex2var_ps(a, order, b);
}

EVR_INLINE vi vi_set1(int32_t a) { return _mm512_set1_epi32(a); }
EVR_INLINE vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
EVR_INLINE void vi_store(int32_t *p, vi a) { _mm512_storeu_si512(p, a); }
EVR_INLINE vi vi_load_n(const int32_t *p, int64_t n) {
  return _mm512_maskz_loadu_epi32(evr_first_lanes(n), p);
}
EVR_INLINE void vi_store_n(int32_t *p, vi a, int64_t n) {
  _mm512_mask_storeu_epi32(p, evr_first_lanes(n), a);
}
EVR_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
EVR_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
EVR_INLINE vi vi_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
EVR_INLINE vm vi_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
EVR_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
#define vi_shift_left(a, n) _mm512_slli_epi32((a), (n))
#define vi_shift_right(a, n) _mm512_srai_epi32((a), (n)) /* keeps the sign */
EVR_INLINE vf vf_lookup(const float table[16], vi index) {
  return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}
/* One instruction for what simd.h does in two steps; like those it rounds once. */
#define EVR_HAS_SCALE
EVR_INLINE vf vf_scale(vf a, vf n) { return _mm512_scalef_ps(a, n); }
/* First 4 x 4 within the quarters of the registers, then the quarters. */
EVR_INLINE void vf_transpose(vf rows[16]) {
  vf part[16];
  EVR_UNROLL
  for (int i = 0; i < 16; i += 4) {
    const vf a = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    const vf b = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    const vf c = _mm512_unpacklo_ps(rows[i + 2], rows[i + 3]);
    const vf d = _mm512_unpackhi_ps(rows[i + 2], rows[i + 3]);
    part[i] = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    part[i + 1] = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    part[i + 2] = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    part[i + 3] = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
  }
  EVR_UNROLL
  for (int i = 0; i < 4; i++) {
    const vf a = _mm512_shuffle_f32x4(part[i], part[i + 4], 0x88);
    const vf b = _mm512_shuffle_f32x4(part[i], part[i + 4], 0xdd);
    const vf c = _mm512_shuffle_f32x4(part[i + 8], part[i + 12], 0x88);
    const vf d = _mm512_shuffle_f32x4(part[i + 8], part[i + 12], 0xdd);
    rows[i] = _mm512_shuffle_f32x4(a, c, 0x88);
    rows[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
    rows[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
    rows[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}
