/* One direction of backward data with a stride.
 *
 * A pixel's place in the padded image, modulo the stride, says which taps of the filter ever lie on
 * it: those of one remainder, which are equally far apart. So the pixels of one remainder, a phase,
 * see a filter of their own, and their gradient is a convolution with stride 1. */
#ifndef EVR_CONV_TURNED_PHASES_H
#define EVR_CONV_TURNED_PHASES_H

#include "core/checked.h"

/* Of an image of so many pixels, and an output of so many. */
typedef struct evr_direction {
  int64_t in, out, kernel, stride, dilation, pad;
} evr_direction;

typedef struct evr_phase {
  int64_t first, count;        /* pixels first, first + stride, ... */
  int64_t tap, taps, tap_step; /* taps tap, tap + tap_step, ...; 0 of them: no window reaches it */
  /* Of the convolution of the gradient. Pads are as wide as its output and its turned filter need;
   * negative ones leave out rows of the gradient. */
  int64_t dilation, pad_before, pad_after;
} evr_phase;

static inline int64_t evr_phase_count(const evr_direction *d) { return evr_min(d->stride, d->in); }

/* Phase index of that many: the pixels index, index + stride, ... */
static inline evr_phase evr_phase_of(const evr_direction *d, int64_t index) {
  const int64_t divisor = evr_greatest_common_divisor(d->stride, d->dilation);
  evr_phase p = {.first = index,
                 .count = (d->in - 1 - index) / d->stride + 1,
                 .tap_step = d->stride / divisor,
                 .dilation = d->dilation / divisor};
  while (p.tap < d->kernel && (index + d->pad - p.tap * d->dilation) % d->stride != 0) p.tap++;
  if (p.tap == d->kernel) return p;
  p.taps = (d->kernel - 1 - p.tap) / p.tap_step + 1;
  /* Output m of the phase is under tap 0 of its own in row m + shift of the gradient, and under its
   * last tap, the first of the turned filter, so many dilations before that. */
  const int64_t shift = (index + d->pad - p.tap * d->dilation) / d->stride;
  p.pad_before = (p.taps - 1) * p.dilation - shift;
  p.pad_after = p.count - d->out + shift;
  return p;
}

#endif
