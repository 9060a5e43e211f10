/* The matrix of one tap, turned over its diagonal: what weights are whose inputs and outputs are
 * exchanged. */
#include "conv/backward_image.h"
#include "conv/turned.h"

void EVR_NAME(evr_turn)(const float *from, int64_t from_step, float *to, int64_t to_step,
                        int64_t rows, int64_t columns) {
  /* Some columns at a time, so that the lines written to stay in the cache until they are full. */
  for (int64_t i = 0; i < columns; i += 64)
    evr_channels_last(from + i, from_step, to + i * to_step, to_step, evr_min(64, columns - i),
                      rows);
}
