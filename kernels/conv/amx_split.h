/* Floats as sums of bf16 pieces, and the values for which sums of products of pieces keep what
 * EVR_MATH_STANDARD promises.
 *
 * x = x0 + x1 + x2: each piece is what is left, rounded to the 8 bits of a bf16. Differences are
 * exact, and so is the last piece: of 24 bits, rounding to nearest leaves 16 and then at most 8.
 * With e the exponent of x,
 *
 *     |x - x0| <= 2^(e-8)        |x - x0 - x1| = |x2| <= 2^(e-17)
 *
 * Of the nine products of pieces the six with i + j <= 2 are summed. The others are at most
 * (2 2^-25 + 2^-34) |x||w| < 1.001 u |x||w|, where u = 2^-24. (Truncated pieces would be exact too,
 * but leave out up to 8 u, and all with the sign of x w.)
 *
 * Roundings. A product of x0 and w0 is exact, and begins or joins one of the two sums of a tile
 * product: at most 15 more steps are rounded, then the sum of the two, and additions to the tile of
 * sums: six for each 32 terms of depth ("chunk"), of which x0 w0 is the last. With the bias, c
 * chunks round no more than
 *
 *     D = 15 + 1 + (6 (c - 1) + 1) + 1 = 12 + 6 c     times; with 16 channels a tap, 4 + 6 c.
 *
 * Magnitudes of the products x0 w0 sum up to at most 1.008 sum |x||w|, those of lower order to
 * 2^-6.9 of it, and these are rounded at most 6 times more. So the error is, in units of
 * u (sum |x||w| + |b|), up to terms of order u,
 *
 *     1.001 + 1.008 D + 2^-6.9 (D + 6) < 1.017 D + 1.06
 *
 * which is below n = K + 1 for every kernel with 16 input channels or more: the worst are one chunk
 * of 16 channels (11.2 of 17), then of 32 (19.4 of 33); with t taps of C channels, c is
 * t ceil(C / 32), and K = t C grows by at least 16 for each 6 of D. A residual is one more of each.
 *
 * Backward weights sum over pixels instead, block by block, each from 0 and without a bias. Chunks
 * may hold zeros between the pixels, at which nothing is rounded, so that a block of c chunks
 * rounds no more than
 *
 *     D = 11 + 6 c     times, of n = pixels + 1 (and one for each other block, with which the sums
 *                      are added up)
 *
 * and is off by less than 1.017 D + 1.06, as above; where that is more than n, tiles are refused.
 *
 * Range. Let all x but zeros be 2^a at least, and all w 2^b. Pieces are multiples of 2^(a-23) and
 * 2^(b-23), so products, sums of products and these rounded are multiples of 2^(a+b-46). Where that
 * is 2^-126 or more, and pieces are normal numbers, nothing is ever subnormal, so that nothing is
 * flushed. Let all x be below 2^(A+1), all w below 2^(B+1). Magnitudes of the pieces of x sum up to
 * at most 1.01 2^(A+1), so that no sum of K terms exceeds 1.03 K 2^(A+B+2), and with its roundings
 * 2^127 where 4 + A + B + log2 K <= 127. Values outside of this range, infinities and NaN are for
 * a kernel of multiply-adds. */
#ifndef EVR_CONV_AMX_SPLIT_H
#define EVR_CONV_AMX_SPLIT_H

#include "simd/simd.h"

#define EVR_AMX_MOST_PIECES 3
#define EVR_AMX_LEAST_CHANNELS 16

/* Magnitudes as bit patterns: the least one but zero, less 1 (UINT32_MAX: there is none), and the
 * greatest one. */
typedef struct evr_amx_range {
  uint32_t least, most;
} evr_amx_range;

static const evr_amx_range evr_amx_nothing = {UINT32_MAX, 0};

/* The same, lane by lane. */
typedef struct evr_amx_scan {
  vi least, most;
} evr_amx_scan;

EVR_INLINE evr_amx_scan evr_amx_scan_begin(void) { return (evr_amx_scan){vi_set1(-1), vi_set1(0)}; }
EVR_INLINE evr_amx_range evr_amx_scan_end(const evr_amx_scan *scan) {
  return (evr_amx_range){_mm512_reduce_min_epu32(scan->least), _mm512_reduce_max_epu32(scan->most)};
}
EVR_INLINE evr_amx_range evr_amx_range_join(evr_amx_range a, evr_amx_range b) {
  return (evr_amx_range){a.least < b.least ? a.least : b.least, a.most > b.most ? a.most : b.most};
}

/* Piece i in the upper halves of high[i], whose lower halves are zeros. */
EVR_INLINE void evr_amx_split(const int pieces, vf x, vi high[EVR_AMX_MOST_PIECES],
                              evr_amx_scan *scan) {
  const vi magnitude = vf_bits(vf_abs(x));
  scan->most = _mm512_max_epu32(scan->most, magnitude);
  scan->least = _mm512_min_epu32(scan->least, vi_sub(magnitude, vi_set1(1)));
  EVR_UNROLL
  for (int i = 0; i < pieces; i++) {
    const vi rounded = vi_add(vf_bits(x), vi_set1(0x8000));
    high[i] = _mm512_and_si512(rounded, vi_set1((int32_t)0xffff0000u));
    x = vf_sub(x, vi_as_vf(high[i]));
  }
}

/* Whether the blocks of backward weights keep their bound: so many pixels in so many chunks. */
static inline bool evr_amx_block_is_exact_enough(double pixels, double chunks) {
  return 1.017 * (11.0 + 6.0 * chunks) + 1.06 <= pixels + 1.0;
}

/* The exponent of a magnitude; -127 for subnormals. */
static inline int evr_amx_exponent(uint32_t magnitude) { return (int)(magnitude >> 23) - 127; }

/* Whether sums of so many products may be taken from pieces. */
static inline bool evr_amx_in_range(evr_amx_range x, evr_amx_range w, int64_t depth) {
  const int x_most = evr_amx_exponent(x.most), w_most = evr_amx_exponent(w.most);
  if (x_most > 126 || w_most > 126) return false; /* the first piece may be an infinity */
  if (x.most == 0 || w.most == 0) return true;
  int log_depth = 0;
  while (log_depth < 62 && (int64_t)1 << log_depth < depth) log_depth++;
  if (4 + x_most + w_most + log_depth > 127) return false;
  const int x_least = evr_amx_exponent(x.least + 1), w_least = evr_amx_exponent(w.least + 1);
  return x_least >= -103 && w_least >= -103 && x_least + w_least >= -80;
}

#endif
