/* Where pixels are, for the reference loops and for padding. */
#ifndef EVR_CORE_PIXELS_H
#define EVR_CORE_PIXELS_H

#include "evrisim/types.h"

/* Where a coordinate of the padded image reads: in [0, size), or -1 for a zero. */
static inline int64_t evr_source_pixel(int64_t at, int64_t size, evr_pad_mode mode) {
  if (at >= 0 && at < size) return at;
  if (mode == EVR_PAD_ZERO) return -1;
  if (mode == EVR_PAD_REPLICATE) return at < 0 ? 0 : size - 1;
  return at < 0 ? -at : 2 * (size - 1) - at;
}

/* Offset of one element of an activation tensor, in either layout. */
static inline int64_t evr_offset(evr_layout layout, int64_t channels, int64_t height, int64_t width,
                                 int64_t n, int64_t h, int64_t w, int64_t c) {
  return layout == EVR_NHWC ? ((n * height + h) * width + w) * channels + c
                            : ((n * channels + c) * height + h) * width + w;
}

#endif
