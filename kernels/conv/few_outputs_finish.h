/* The end of a row of convolution with few output channels, NHWC: what tiles left [output][column]
 * is transposed, so that lanes are the channels of a pixel (few_outputs.tmpl.c). */
#ifndef EVR_CONV_FEW_OUTPUTS_FINISH_H
#define EVR_CONV_FEW_OUTPUTS_FINISH_H

#include "conv/few_outputs_tile.h"

/* Transposes `channels` rows, EVR_LANES of them at most. */
EVR_INLINE void evr_few_transpose(const float *from, int64_t pitch, int64_t channels,
                                  vf block[EVR_LANES]) {
  EVR_UNROLL
  for (int l = 0; l < EVR_LANES; l++) {
    block[l] = vf_load(from); /* the last row again, where there are no more */
    if (l + 1 < channels) from += pitch;
  }
  vf_transpose(block);
}

static void evr_few_finish_row(const evr_few_strip *s, const float *residual, bool relu, float *y) {
  const int64_t outputs = s->p->group_out, pixel = s->out.pixel, pitch = s->columns_out;
  for (int64_t i = 0; i < s->pixels; i += EVR_LANES) {
    const int64_t count = evr_min(s->pixels - i, EVR_LANES);
    for (int64_t o = 0; o < outputs; o += EVR_LANES) {
      const int64_t channels = evr_min(outputs - o, EVR_LANES);
      vf block[EVR_LANES];
      evr_few_transpose(s->sums + o * pitch + i, pitch, channels, block);
      float *to = y + i * pixel + o;
      if (residual != NULL) {
        const float *from = residual + i * pixel + o;
        EVR_UNROLL
        for (int l = 0; l < EVR_LANES; l++) {
          if (l >= count) break;
          const vf value = vf_add(block[l], vf_load_n(from + l * pixel, channels));
          vf_store_n(to + l * pixel, relu ? evr_relu(value) : value, channels);
        }
      } else {
        EVR_UNROLL
        for (int l = 0; l < EVR_LANES; l++) {
          if (l >= count) break;
          vf_store_n(to + l * pixel, block[l], channels);
        }
      }
    }
  }
}

#endif
