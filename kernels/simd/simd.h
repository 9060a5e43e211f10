/* The vocabulary of vector operations that the templates (*.tmpl.c) are written in. The build
 * compiles a template once per instruction set with that set's flags and one of the
 * EVR_SIMD_... macros; everything in the headers is static inline.
 *
 *   vf, vi, vm        EVR_LANES floats, 32-bit integers, truth values
 *   EVR_REGISTERS     vector registers
 *   EVR_NAME(name)    name with the instruction set appended: EVR_NAME(evr_x) -> evr_x_avx2
 *
 * vf_load, vf_store take any alignment. vf_load_n and vf_store_n touch exactly the first n elements
 * (0 <= n <= EVR_LANES); the other lanes of a load are zero. Arithmetic rounds to nearest even and
 * every operation gives the same bits on every instruction set (but for the sign and payload of a
 * NaN):
 *   vf_fma(a, b, c)   a b + c, rounded once         vf_fnma(a, b, c)  c - a b, rounded once
 *   vf_greater(a, b)  a > b ? a : b                 vf_smaller(a, b)  a < b ? a : b
 *                     (so b where either is NaN, or both are zeros)
 *   vf_select(m, a, b)  m ? a : b                   vf_is_nan(a)
 *   vf_unordered(a, b)  whether a or b is NaN
 *   vf_even(a, b), vf_odd(a, b)  elements 0, 2, ... or 1, 3, ... of a followed by b
 *   vf_once(a)          a, kept in a register: gcc else loads it anew for each use
 *   vf_fma_from(a, p, c)  a b + c with the b that is at p, which takes no register where an
 *                     instruction can read memory
 *   vf_scale(a, n)      a 2^floor(n), rounded once, for multiples n of 1/16 in [-252, 252] and an a
 *                       of 0, NaN or such that a 2^(n/2) is normal; any a where floor(n) is 0
 *   vf_lookup(t, i)     for each lane of i the element of t, an array of sixteen, that its low
 *                       four bits name
 *   vf_transpose(rows)  lane j of row i and lane i of row j change places, in EVR_LANES rows
 */
#ifndef EVR_SIMD_SIMD_H
#define EVR_SIMD_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define EVR_INLINE static inline __attribute__((always_inline, unused))

#define EVR_PASTE_(a, b) a##_##b
#define EVR_PASTE(a, b) EVR_PASTE_(a, b)
#define EVR_NAME(name) EVR_PASTE(name, EVR_SUFFIX)

/* gcc keeps an array of accumulators in registers only when every loop over it is unrolled by
 * pragma; clang does so by itself once the loop is unrolled fully. */
#if defined(__clang__)
#define EVR_UNROLL _Pragma("clang loop unroll(full)")
#define EVR_ROLL _Pragma("clang loop unroll(disable)")
#else
#define EVR_UNROLL _Pragma("GCC unroll 32")
#define EVR_ROLL _Pragma("GCC unroll 1")
#endif

/* n, of which the compiler knows nothing: else it computes addresses ahead, for so many uses of a
 * distance that they do not fit its registers. */
EVR_INLINE int64_t evr_anew(int64_t n) {
  __asm__ volatile("" : "+r"(n));
  return n;
}

#if defined(EVR_SIMD_AVX512)
#include "avx512.h"
#elif defined(EVR_SIMD_AVX2)
#include "avx2.h"
#elif defined(EVR_SIMD_NEON)
#include "neon.h"
#elif defined(EVR_SIMD_SCALAR)
#include "scalar.h"
#else
#error "define one of EVR_SIMD_SCALAR, EVR_SIMD_AVX2, EVR_SIMD_AVX512, EVR_SIMD_NEON"
#endif

EVR_INLINE vf vf_fma_from(vf a, const float *p, vf c) {
  return vf_fma(a, vf_load(p + evr_anew(0)), c);
}

#if !defined(EVR_HAS_SCALE)
/* Two factors, since 2^n itself may be no normal number. n + 1.5 2^19 has 16 n in its low bits. */
EVR_INLINE vf vf_scale(vf a, vf n) {
  const vf offset = vf_set1(0x1.8p19f);
  const vi whole = vi_shift_right(vi_sub(vf_bits(vf_add(n, offset)), vf_bits(offset)), 4);
  const vi first = vi_shift_right(whole, 1), second = vi_sub(whole, first);
  const vi bias = vi_set1(127);
  const vf half = vf_mul(a, vi_as_vf(vi_shift_left(vi_add(first, bias), 23)));
  return vf_mul(half, vi_as_vf(vi_shift_left(vi_add(second, bias), 23)));
}
#endif

#endif
