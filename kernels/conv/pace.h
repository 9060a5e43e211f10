/* What the cost estimates of convolution share. For templates.
 *
 * The estimates are sums of what is done, each with a time in nanoseconds: a least-squares fit to
 * the logarithms of the times of 2200 random layers, half of them NCHW, AVX-512 and AVX2, on an
 * EPYC (Zen 5); all 7 % longer than there, so that a step is that of 3.55 GHz. Half of them are
 * within 10 % of the time taken. */
#ifndef EVR_CONV_PACE_H
#define EVR_CONV_PACE_H

#include "core/cpu.h"
#include "simd/simd.h"

/* Bytes of weights that L1 keeps for the next tile; more come from L2, at so many a nanosecond. */
#define EVR_PACE_L1 (16 * 1024)
#define EVR_PACE_L2_SPEED 90.0

/* Pixels or planes so many bytes apart, or a multiple of that, share so few places of L1 that it
 * does not keep what is read of many of them for the next row. */
#define EVR_PACE_COLLIDE 4096

/* What differs between vectors of 16 lanes and others. */
#define EVR_BY_WIDTH(narrow, wide) (EVR_LANES == 16 ? (wide) : (narrow))

/* Nanoseconds of one step of a tile of so many accumulators: two operations a cycle, one where
 * AVX-512 is double pumped, but at least the four cycles until a sum is ready for its next term,
 * and nearly five for the second half of a double pumped one. Scalar: a call of fmaf. */
EVR_INLINE double evr_step_time(double vectors) {
  if (EVR_LANES == 1) return 2.5 * vectors;
  const bool double_pumped = EVR_LANES == 16 && evr_cpu()->double_pumped_avx512;
  const double cycles = vectors * (double_pumped ? 1.0 : 0.5);
  const double latency = double_pumped ? 4.7 : 4.0;
  return (cycles > latency ? cycles : latency) / 3.55;
}

/* A product of rows and columns of so many vectors, cut into tiles of at most tile_rows by
 * tile_vectors. */
EVR_INLINE double evr_tiled_time(int64_t rows, int64_t vectors, int64_t tile_rows,
                                 int64_t tile_vectors) {
  const int64_t last_rows = rows % tile_rows, last = vectors % tile_vectors;
  double time = 0.0;
  for (int i = 0; i < 2; i++) {
    const double count = i == 0 ? (double)(rows / tile_rows) : last_rows > 0 ? 1.0 : 0.0;
    const double high = (double)(i == 0 ? tile_rows : last_rows);
    if (count == 0.0) continue;
    time += count * (double)(vectors / tile_vectors) * evr_step_time(high * (double)tile_vectors);
    if (last > 0) time += count * evr_step_time(high * (double)last);
  }
  return time;
}

#endif
