/* The vocabulary of AMX tiles: eight registers, numbered by constants, each of sixteen rows of 64
 * bytes. Addresses and strides (bytes from row to row) are multiples of 64.
 *
 *   evr_amx_begin()         before the first of the others, on the thread that runs them
 *   evr_amx_end()           after the last one: the registers are given back
 *   evr_amx_fence()         between stores of vectors to memory and loads of tiles from it
 *   evr_amx_zero(t)         t = 0
 *   evr_amx_load(t, p, s)   row r of t from p + r s
 *   evr_amx_store(t, p, s)  row r of t to p + r s
 *   evr_amx_dot(c, a, b)    c += a b: c holds 16 x 16 floats; a row of a holds 32 bf16; row k of b
 *                           holds elements 2k and 2k + 1 of its 16 columns, side by side
 *
 * TDPBF16PS as the SDM has it (volume 2, its operation): for each element of c, products of even
 * elements are added up by fused multiply-adds in order of k, from +0, likewise those of odd ones;
 * the two sums are added, and their sum to c. All rounds to nearest even, subnormal inputs count as
 * zeros and subnormal results become zeros, whatever MXCSR says.
 *
 * With EVR_AMX_EMULATED these are done by vectors, for tests where no CPU has tiles: the same bits,
 * and a trap where a real CPU would fault or be slow. */
#ifndef EVR_SIMD_AMX_H
#define EVR_SIMD_AMX_H

#include "simd/simd.h"

#if EVR_LANES != 16
#error "amx.h stands beside avx512.h"
#endif

/* Rows of a tile, their bytes, and the bytes of a tile. */
#define EVR_AMX_ROWS 16
#define EVR_AMX_ROW_BYTES 64
#define EVR_AMX_TILE_BYTES 1024
/* bf16 in a row. */
#define EVR_AMX_DEPTH 32

EVR_INLINE void evr_amx_fence(void) { __asm__ volatile("" ::: "memory"); }

#if !defined(EVR_AMX_EMULATED)
/* clang before 16 spells them without the second underscore. */
#if !(defined(__AMX_TILE__) && defined(__AMX_BF16__)) && \
    !(defined(__AMXTILE__) && defined(__AMXBF16__))
#error "amx.h needs -mamx-tile -mamx-bf16"
#endif

/* The operand of LDTILECFG (SDM volume 1, 18.3). */
EVR_INLINE void evr_amx_begin(void) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } configuration = {.palette = 1};
  for (int t = 0; t < 8; t++) {
    configuration.row_bytes[t] = EVR_AMX_ROW_BYTES;
    configuration.rows[t] = EVR_AMX_ROWS;
  }
  evr_amx_fence(); /* gcc's intrinsic says that it reads eight bytes */
  _tile_loadconfig(&configuration);
  evr_amx_fence();
}
EVR_INLINE void evr_amx_end(void) { _tile_release(); }

#define evr_amx_zero(t) _tile_zero(t)
#define evr_amx_load(t, p, s) _tile_loadd(t, p, s)
#define evr_amx_store(t, p, s) _tile_stored(t, p, s)
#define evr_amx_dot(c, a, b) _tile_dpbf16ps(c, a, b)

#else
#include <float.h>

typedef struct evr_amx_tile {
  int32_t row[EVR_AMX_ROWS][16];
} evr_amx_tile;
static _Thread_local evr_amx_tile evr_amx_tiles[8];
static _Thread_local bool evr_amx_is_configured;

EVR_INLINE evr_amx_tile *evr_amx_register(int t) {
  if (!evr_amx_is_configured) __builtin_trap();
  return &evr_amx_tiles[t];
}

EVR_INLINE void evr_amx_begin(void) {
  if (evr_amx_is_configured) __builtin_trap();
  evr_amx_is_configured = true;
  memset(evr_amx_tiles, 0, sizeof evr_amx_tiles);
}
EVR_INLINE void evr_amx_end(void) {
  if (!evr_amx_is_configured) __builtin_trap();
  evr_amx_is_configured = false;
}
EVR_INLINE void evr_amx_zero(int t) { memset(evr_amx_register(t), 0, sizeof(evr_amx_tile)); }

static inline void evr_amx_load(int t, const void *p, int64_t stride) {
  if ((uintptr_t)p % EVR_AMX_ROW_BYTES != 0 || stride % EVR_AMX_ROW_BYTES != 0) __builtin_trap();
  for (int r = 0; r < EVR_AMX_ROWS; r++)
    memcpy(evr_amx_register(t)->row[r], (const char *)p + r * stride, EVR_AMX_ROW_BYTES);
}
static inline void evr_amx_store(int t, void *p, int64_t stride) {
  if ((uintptr_t)p % EVR_AMX_ROW_BYTES != 0 || stride % EVR_AMX_ROW_BYTES != 0) __builtin_trap();
  for (int r = 0; r < EVR_AMX_ROWS; r++)
    memcpy((char *)p + r * stride, evr_amx_register(t)->row[r], EVR_AMX_ROW_BYTES);
}

/* Zero of the same sign for what is below the normal numbers. (A CPU that flushes decides before it
 * rounds to the precision of subnormals: results within 2^-151 of the least normal number from
 * below may differ.) */
EVR_INLINE vf evr_amx_flush(vf a) {
  return vf_select(vf_lt(vf_abs(a), vf_set1(FLT_MIN)), vf_copysign(vf_zero(), a), a);
}
EVR_INLINE vf evr_amx_even(vi pairs) { return evr_amx_flush(vi_as_vf(vi_shift_left(pairs, 16))); }
EVR_INLINE vf evr_amx_odd(vi pairs) {
  return evr_amx_flush(vi_as_vf(vi_shift_left(vi_shift_right(pairs, 16), 16)));
}
static inline void evr_amx_dot(int c, int a, int b) {
  evr_amx_tile *const to = evr_amx_register(c);
  const evr_amx_tile *const left = evr_amx_register(a), *const right = evr_amx_register(b);
  for (int m = 0; m < EVR_AMX_ROWS; m++) {
    vf even = vf_zero(), odd = vf_zero();
    for (int k = 0; k < EVR_AMX_ROWS; k++) {
      const vi pair = vi_set1(left->row[m][k]), pairs = vi_load(right->row[k]);
      even = evr_amx_flush(vf_fma(evr_amx_even(pair), evr_amx_even(pairs), even));
      odd = evr_amx_flush(vf_fma(evr_amx_odd(pair), evr_amx_odd(pairs), odd));
    }
    const vf sum = evr_amx_flush(vf_add(even, odd));
    const vf old = evr_amx_flush(vi_as_vf(vi_load(to->row[m])));
    vi_store(to->row[m], vf_bits(evr_amx_flush(vf_add(old, sum))));
  }
}
#endif

#endif
