/* The windows that hold a pixel, in one direction: the taps of taps.h, read backwards. */
#ifndef EVR_POOL_COVERS_H
#define EVR_POOL_COVERS_H

#include "pool/taps.h"

/* Windows first, first + step, ... below end; none where first >= end. */
typedef struct evr_cover {
  int64_t first, end, step;
} evr_cover;

/* With a dilation, every step-th window has a tap on a pixel. */
static inline int64_t evr_cover_step(const evr_axis *a) {
  return a->dilation / evr_greatest_common_divisor(a->dilation, a->stride);
}

static inline evr_cover evr_cover_of(const evr_axis *a, int64_t out, int64_t pixel) {
  const int64_t place = pixel + a->before;
  const int64_t least = place - (a->kernel - 1) * a->dilation;
  evr_cover c = {.first = least > 0 ? evr_ceil_div(least, a->stride) : 0,
                 .end = evr_min(out, place / a->stride + 1),
                 .step = evr_cover_step(a)};
  const int64_t tries = c.first + c.step;
  while (c.first < tries && c.first < c.end && (place - c.first * a->stride) % a->dilation != 0)
    c.first++;
  if (c.first == tries) c.first = c.end;
  return c;
}

/* Most windows from the first to the last that hold one of count neighbouring pixels. */
static inline int64_t evr_cover_most(const evr_axis *a, int64_t out, int64_t count) {
  return evr_min(out, (count - 1 + (a->kernel - 1) * a->dilation) / a->stride + 1);
}

#endif
