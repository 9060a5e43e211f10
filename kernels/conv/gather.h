/* Reading runs of pixels out of an NCHW image: stride, dilation, padding and the ends of rows are
 * resolved here, so that the products beyond know nothing of them. For templates. */
#ifndef EVR_CONV_GATHER_H
#define EVR_CONV_GATHER_H

#include "conv/problem.h"
#include "core/checked.h"
#include "simd/simd.h"

EVR_INLINE void evr_copy_floats(float *to, const float *from, int64_t count) {
  int64_t i = 0;
  for (; i + EVR_LANES <= count; i += EVR_LANES) vf_store(to + i, vf_load(from + i));
  if (i < count) vf_store_n(to + i, vf_load_n(from + i, count - i), count - i);
}

/* Of one row of the image, the values that tap kw meets in output columns ow to ow + count.
 * row NULL: a row of zeros. */
EVR_INLINE void evr_gather_row(const evr_conv2d_desc *d, const float *row, int64_t kw, int64_t ow,
                               int64_t count, float *to) {
  if (row == NULL) {
    for (int64_t i = 0; i < count; i++) to[i] = 0.0f;
    return;
  }
  const int64_t stride = d->stride_width, width = d->in_width;
  const int64_t begin = ow * stride - d->pad_left + kw * d->dilation_width;
  int64_t i = 0, at = begin;
  for (; i < count && at < 0; i++, at += stride) {
    const int64_t from = evr_source_pixel(at, width, d->pad_mode);
    to[i] = from < 0 ? 0.0f : row[from];
  }
  if (stride == 1) {
    const int64_t inside = evr_min(count, width - begin);
    if (inside > i) {
      evr_copy_floats(to + i, row + at, inside - i);
      at += inside - i;
      i = inside;
    }
  } else {
    for (; i < count && at < width; i++, at += stride) to[i] = row[at];
  }
  for (; i < count; i++, at += stride) {
    const int64_t from = evr_source_pixel(at, width, d->pad_mode);
    to[i] = from < 0 ? 0.0f : row[from];
  }
}

/* Of one plane of the image, what tap (kh, kw) meets in output pixels pixel to pixel + count,
 * counted through the rows of the output plane. */
EVR_INLINE void evr_gather_pixels(const evr_conv2d_problem *p, const float *plane, int64_t kh,
                                  int64_t kw, int64_t pixel, int64_t count, float *to) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t width = p->sizes.conv_width;
  int64_t oh = pixel / width, ow = pixel % width;
  while (count > 0) {
    const int64_t run = evr_min(width - ow, count);
    const int64_t ih = evr_source_pixel(
        oh * d->stride_height - d->pad_top + kh * d->dilation_height, d->in_height, d->pad_mode);
    evr_gather_row(d, ih < 0 ? NULL : plane + ih * d->in_width, kw, ow, run, to);
    to += run;
    count -= run;
    oh++;
    ow = 0;
  }
}

#endif
