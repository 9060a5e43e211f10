/* The taps of a window that fall on the image, in one direction. They are always neighbours. */
#ifndef EVR_POOL_TAPS_H
#define EVR_POOL_TAPS_H

#include <string.h>

#include "core/checked.h"
#include "pool/problem.h"

/* One direction of a pooling. */
typedef struct evr_axis {
  int64_t in, kernel, stride, dilation, before, after;
  int64_t inside_first, inside_end; /* outputs whose taps all fall on the image */
  bool count_include_pad;
} evr_axis;

typedef struct evr_taps {
  int64_t first, end; /* kernel positions; none where first == end */
  int64_t start;      /* coordinate of kernel position 0: may lie before the image */
  int64_t counted;    /* taps in the divisor of an average */
} evr_taps;

static inline evr_axis evr_make_axis(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                                     int64_t before, int64_t after, int64_t out,
                                     bool count_include_pad) {
  evr_axis a = {in, kernel, stride, dilation, before, after, 0, 0, count_include_pad};
  const int64_t last_start = in - ((kernel - 1) * dilation + 1);
  a.inside_first = evr_min(out, evr_ceil_div(before, stride));
  a.inside_end = last_start < 0 ? a.inside_first : evr_min(out, (last_start + before) / stride + 1);
  if (a.inside_end < a.inside_first) a.inside_end = a.inside_first;
  return a;
}

static inline evr_axis evr_vertical_axis(const evr_pool2d_problem *p) {
  const evr_pool2d_window *w = &p->desc.window;
  return evr_make_axis(p->desc.in_height, w->kernel_height, w->stride_height, w->dilation_height,
                       w->pad_top, w->pad_bottom, p->sizes.out_height, w->count_include_pad);
}

static inline evr_axis evr_horizontal_axis(const evr_pool2d_problem *p) {
  const evr_pool2d_window *w = &p->desc.window;
  return evr_make_axis(p->desc.in_width, w->kernel_width, w->stride_width, w->dilation_width,
                       w->pad_left, w->pad_right, p->sizes.out_width, w->count_include_pad);
}

/* Kernel positions that lie before a distance from the first, at most all. */
static inline int64_t evr_taps_within(const evr_axis *a, int64_t distance) {
  if (distance <= 0) return 0;
  /* Small planes are mostly border, and a division takes as long as a window. */
  return evr_min(a->kernel, a->dilation == 1 ? distance : evr_ceil_div(distance, a->dilation));
}

static inline evr_taps evr_taps_of(const evr_axis *a, int64_t out) {
  evr_taps t = {.start = out * a->stride - a->before};
  if (out >= a->inside_first && out < a->inside_end) {
    t.end = t.counted = a->kernel;
    return t;
  }
  t.end = evr_taps_within(a, a->in - t.start);
  t.first = evr_min(t.end, evr_taps_within(a, -t.start));
  t.counted =
      a->count_include_pad ? evr_taps_within(a, a->in + a->after - t.start) : t.end - t.first;
  return t;
}

/* What the sum of a window is divided by; 1 for a window without pixels, whose sum is 0. */
static inline float evr_divisor(int64_t counted_rows, int64_t counted_columns) {
  return (float)evr_max(1, counted_rows * counted_columns);
}

/* 1 / divisor where multiplying by it is exactly dividing, which a power of two allows; else 0. */
static inline float evr_exact_inverse(float divisor) {
  uint32_t bits;
  memcpy(&bits, &divisor, sizeof bits);
  return (bits & 0x7fffffu) == 0 ? 1.0f / divisor : 0.0f;
}

#endif
