/* The vocabulary of simd.h in plain C: one lane, any architecture. */
#define EVR_SUFFIX scalar
#define EVR_LANES 1
#define EVR_REGISTERS 16

typedef float vf;
typedef int32_t vi;
typedef int32_t vm;

EVR_INLINE vf vf_load(const float *p) { return *p; }
EVR_INLINE void vf_store(float *p, vf a) { *p = a; }
EVR_INLINE vf vf_load_n(const float *p, int64_t n) { return n > 0 ? *p : 0.0f; }
EVR_INLINE void vf_store_n(float *p, vf a, int64_t n) {
  if (n > 0) *p = a;
}
EVR_INLINE vf vf_once(vf a) { return a; }
EVR_INLINE vf vf_set1(float a) { return a; }
EVR_INLINE vf vf_zero(void) { return 0.0f; }
EVR_INLINE vf vf_add(vf a, vf b) { return a + b; }
EVR_INLINE vf vf_sub(vf a, vf b) { return a - b; }
EVR_INLINE vf vf_mul(vf a, vf b) { return a * b; }
EVR_INLINE vf vf_div(vf a, vf b) { return a / b; }
EVR_INLINE vf vf_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
EVR_INLINE vf vf_fnma(vf a, vf b, vf c) { return fmaf(-a, b, c); }
EVR_INLINE vf vf_greater(vf a, vf b) { return a > b ? a : b; }
EVR_INLINE vf vf_smaller(vf a, vf b) { return a < b ? a : b; }

EVR_INLINE vi vf_bits(vf a) {
  vi bits;
  memcpy(&bits, &a, sizeof bits);
  return bits;
}
EVR_INLINE vf vi_as_vf(vi a) {
  vf value;
  memcpy(&value, &a, sizeof value);
  return value;
}
EVR_INLINE vf vf_abs(vf a) { return vi_as_vf(vf_bits(a) & INT32_MAX); }
EVR_INLINE vf vf_neg(vf a) { return vi_as_vf(vf_bits(a) ^ INT32_MIN); }
EVR_INLINE vf vf_copysign(vf size, vf sign) {
  return vi_as_vf((vf_bits(size) & INT32_MAX) | (vf_bits(sign) & INT32_MIN));
}

EVR_INLINE vm vf_lt(vf a, vf b) { return a < b; }
EVR_INLINE vm vf_gt(vf a, vf b) { return a > b; }
EVR_INLINE vm vf_is_nan(vf a) { return a != a; }
EVR_INLINE vm vf_unordered(vf a, vf b) { return (a != a) | (b != b); }
EVR_INLINE vm vm_or(vm a, vm b) { return a | b; }
EVR_INLINE vm vm_andnot(vm a, vm b) { return a & !b; } /* a and not b */
EVR_INLINE int vm_any(vm a) { return a != 0; }
EVR_INLINE vf vf_select(vm m, vf a, vf b) { return m ? a : b; }
EVR_INLINE vi vi_select(vm m, vi a, vi b) { return m ? a : b; }
EVR_INLINE vf vf_even(vf a, vf b) {
  (void)b;
  return a;
}
EVR_INLINE vf vf_odd(vf a, vf b) {
  (void)a;
  return b;
}

EVR_INLINE vi vi_set1(int32_t a) { return a; }
EVR_INLINE vi vi_load(const int32_t *p) { return *p; }
EVR_INLINE void vi_store(int32_t *p, vi a) { *p = a; }
EVR_INLINE vi vi_load_n(const int32_t *p, int64_t n) { return n > 0 ? *p : 0; }
EVR_INLINE void vi_store_n(int32_t *p, vi a, int64_t n) {
  if (n > 0) *p = a;
}
EVR_INLINE vi vi_add(vi a, vi b) { return (vi)((uint32_t)a + (uint32_t)b); }
EVR_INLINE vi vi_sub(vi a, vi b) { return (vi)((uint32_t)a - (uint32_t)b); }
EVR_INLINE vi vi_min(vi a, vi b) { return a < b ? a : b; }
EVR_INLINE vm vi_eq(vi a, vi b) { return a == b; }
EVR_INLINE vi vi_or(vi a, vi b) { return a | b; }
#define vi_shift_left(a, n) ((vi)((uint32_t)(a) << (n)))
#define vi_shift_right(a, n) ((vi)((a) >> (n))) /* keeps the sign */
EVR_INLINE vf vf_lookup(const float table[16], vi index) { return table[index & 15]; }
EVR_INLINE void vf_transpose(vf rows[1]) { (void)rows; }
