/* Reading runs of pixels out of an NCHW image: stride, dilation, padding and the ends of rows are
 * resolved here, so that the products beyond know nothing of them. For templates.
 *
 * What one tap of the window meets in a run of output pixels (counted through the rows of the
 * output plane) is the same set of places in every input plane: it is found once as a list of
 * segments, and then copied out of one plane after another. */
#ifndef EVR_CONV_GATHER_H
#define EVR_CONV_GATHER_H

#include "conv/problem.h"
#include "core/checked.h"
#include "simd/simd.h"

/* For an estimate no more taps of a window's row or column are looked at. */
#define SEGMENT_TAPS 16

/* Pixels side by side in the output that are stride_width apart in one input row. */
typedef struct evr_segment {
  int64_t from; /* place of the first in the plane; negative: zeros */
  int64_t count;
} evr_segment;

EVR_INLINE int64_t evr_add_segment(evr_segment *segments, int64_t n, int64_t from, int64_t count) {
  if (from < 0 && n > 0 && segments[n - 1].from < 0) {
    segments[n - 1].count += count;
    return n;
  }
  segments[n] = (evr_segment){from, count};
  return n + 1;
}

/* The segments of tap (kh, kw) for count pixels from pixel on; returns how many, at most count. */
static inline int64_t evr_find_segments(const evr_conv2d_problem *p, int64_t kh, int64_t kw,
                                        int64_t pixel, int64_t count, evr_segment *segments) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t width = p->sizes.conv_width, stride = d->stride_width;
  int64_t n = 0, oh = pixel / width, ow = pixel % width;
  for (int64_t run; count > 0; count -= run, oh++, ow = 0) {
    run = evr_min(width - ow, count);
    const int64_t ih = evr_source_pixel(evr_window_top(p, oh) + kh * d->dilation_height,
                                        d->in_height, d->pad_mode);
    if (ih < 0) {
      n = evr_add_segment(segments, n, -1, run);
      continue;
    }
    const int64_t row = ih * d->in_width;
    int64_t i = 0, at = ow * stride - d->pad_left + kw * d->dilation_width;
    while (i < run) {
      int64_t step = 1, from = evr_source_pixel(at, d->in_width, d->pad_mode);
      if (at >= 0 && at < d->in_width)
        step = evr_min(run - i,
                       stride == 1 ? d->in_width - at : evr_ceil_div(d->in_width - at, stride));
      n = evr_add_segment(segments, n, from < 0 ? -1 : row + from, step);
      i += step;
      at += step * stride;
    }
  }
  return n;
}

/* Of so many places, step apart from `first` on, how many are among the first `size`. */
static inline int64_t evr_count_inside(int64_t first, int64_t step, int64_t count, int64_t size) {
  const int64_t before = first < 0 ? evr_min(evr_ceil_div(-first, step), count) : 0;
  const int64_t within = first < size ? evr_min(evr_ceil_div(size - first, step), count) : 0;
  return evr_max(within - before, 0);
}

/* About how many segments a tap has for so many pixels: in each row that is in the image one that
 * is, and one of zeros where it is so in part. Rows of zeros are in one piece with their
 * neighbours. */
static inline double evr_segment_count(const evr_conv2d_problem *p, double pixels) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t width = p->sizes.conv_width, height = p->sizes.conv_height;
  const int64_t columns = evr_min(d->kernel_width, SEGMENT_TAPS);
  const int64_t rows = evr_min(d->kernel_height, SEGMENT_TAPS);
  double segments = 0.0, real_rows = 0.0;
  for (int64_t i = 0; i < columns; i++) {
    const int64_t kw = i * d->kernel_width / columns;
    const int64_t inside =
        evr_count_inside(kw * d->dilation_width - d->pad_left, d->stride_width, width, d->in_width);
    segments += inside == 0 ? 0.0 : inside == width ? 1.0 : 2.0;
  }
  for (int64_t i = 0; i < rows; i++) {
    const int64_t kh = i * d->kernel_height / rows;
    real_rows += (double)evr_count_inside(kh * d->dilation_height + evr_window_top(p, 0),
                                          d->stride_height, height, d->in_height);
  }
  return 1.0 + pixels / (double)width * (segments / (double)columns) *
                   (real_rows / (double)rows / (double)height);
}

EVR_INLINE void evr_copy_floats(float *to, const float *from, int64_t count) {
  int64_t i = 0;
  for (; i + EVR_LANES <= count; i += EVR_LANES) vf_store(to + i, vf_load(from + i));
  if (i < count) vf_store_n(to + i, vf_load_n(from + i, count - i), count - i);
}

/* EVR_LANES floats that lie stride (1, 2 or 4) apart; reads EVR_LANES * stride. */
EVR_INLINE vf evr_load_apart(const float *p, const int64_t stride) {
  if (stride == 1) return vf_load(p);
  const vf low = vf_even(vf_load(p), vf_load(p + EVR_LANES));
  if (stride == 2) return low;
  return vf_even(low, vf_even(vf_load(p + 2 * EVR_LANES), vf_load(p + 3 * EVR_LANES)));
}

/* stride is a constant for the common ones. */
EVR_INLINE void evr_copy_apart(const float *plane, int64_t readable, const evr_segment *segments,
                               int64_t n, const int64_t stride, float *to) {
  for (int64_t s = 0; s < n; s++) {
    const int64_t count = segments[s].count, from = segments[s].from;
    if (from < 0)
      for (int64_t i = 0; i < count; i += EVR_LANES) vf_store(to + i, vf_zero());
    else if ((stride == 1 || stride == 2 || stride == 4) &&
             from + (count + EVR_LANES - 1) * stride <= readable)
      for (int64_t i = 0; i < count; i += EVR_LANES)
        vf_store(to + i, evr_load_apart(plane + from + i * stride, stride));
    else
      for (int64_t i = 0; i < count; i++) to[i] = plane[from + i * stride];
    to += count;
  }
}

/* Copies the segments out of a plane. May write up to EVR_LANES - 1 floats beyond them, and reads
 * beyond what it needs where that lies within the readable floats of the plane. */
static inline void evr_copy_segments(const float *plane, int64_t readable,
                                     const evr_segment *segments, int64_t n, int64_t stride,
                                     float *to) {
  if (stride == 1)
    evr_copy_apart(plane, readable, segments, n, 1, to);
  else if (stride == 2)
    evr_copy_apart(plane, readable, segments, n, 2, to);
  else if (stride == 4)
    evr_copy_apart(plane, readable, segments, n, 4, to);
  else
    evr_copy_apart(plane, readable, segments, n, stride, to);
}

#endif
