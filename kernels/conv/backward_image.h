/* Copies of images with their channels last and their padding written out, for the templates of
 * backward weights. */
#ifndef EVR_CONV_BACKWARD_IMAGE_H
#define EVR_CONV_BACKWARD_IMAGE_H

#include "conv/backward.h"
#include "core/checked.h"
#include "simd/simd.h"

/* The image that windows move over: x itself, or a padded copy of it. */
typedef struct evr_backward_image {
  bool copied;
  int64_t height, width; /* with padding */
} evr_backward_image;

EVR_INLINE evr_backward_image evr_backward_image_of(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t rows = d->pad_top + d->pad_bottom, columns = d->pad_left + d->pad_right;
  return (evr_backward_image){.copied = rows + columns > 0 || d->layout == EVR_NCHW,
                              .height = d->in_height + rows,
                              .width = d->in_width + columns};
}

/* Bytes of the copy, saturating. */
EVR_INLINE size_t evr_backward_image_bytes(const evr_conv2d_problem *p) {
  const evr_backward_image image = evr_backward_image_of(p);
  return image.copied
             ? evr_size_floats_of(p->desc.batch, image.height, image.width, p->desc.in_channels)
             : 0;
}

/* to[pixel * to_step + channel] = from[channel * from_step + pixel] */
EVR_INLINE void evr_channels_last(const float *from, int64_t from_step, float *to, int64_t to_step,
                                  int64_t pixels, int64_t channels) {
  int64_t c = 0;
  for (; c + EVR_LANES <= channels; c += EVR_LANES) {
    int64_t i = 0;
    for (; i + EVR_LANES <= pixels; i += EVR_LANES) {
      vf square[EVR_LANES];
      EVR_UNROLL
      for (int lane = 0; lane < EVR_LANES; lane++)
        square[lane] = vf_load(from + (c + lane) * from_step + i);
      vf_transpose(square);
      EVR_UNROLL
      for (int lane = 0; lane < EVR_LANES; lane++)
        vf_store(to + (i + lane) * to_step + c, square[lane]);
    }
    for (; i < pixels; i++)
      for (int lane = 0; lane < EVR_LANES; lane++)
        to[i * to_step + c + lane] = from[(c + lane) * from_step + i];
  }
  for (; c < channels; c++)
    for (int64_t i = 0; i < pixels; i++) to[i * to_step + c] = from[c * from_step + i];
}

typedef struct evr_image_copy {
  const evr_conv2d_problem *p;
  evr_backward_image image;
  const float *x;
  float *to;
} evr_image_copy;

/* One row of the padded image, task counting over all images. */
static void evr_copy_image_row(void *argument, int64_t task, int slot) {
  (void)slot;
  const evr_image_copy *j = argument;
  const evr_conv2d_desc *d = &j->p->desc;
  const int64_t channels = d->in_channels, width = j->image.width;
  const int64_t n = task / j->image.height, row = task % j->image.height;
  const int64_t ih = evr_source_pixel(row - d->pad_top, d->in_height, d->pad_mode);
  float *to = j->to + task * width * channels, *inner = to + d->pad_left * channels;
  if (ih < 0) {
    memset(to, 0, (size_t)(width * channels) * sizeof *to);
    return;
  }
  if (d->layout == EVR_NHWC)
    memcpy(inner, j->x + (n * d->in_height + ih) * d->in_width * channels,
           (size_t)(d->in_width * channels) * sizeof *to);
  else
    evr_channels_last(j->x + (n * channels * d->in_height + ih) * d->in_width,
                      d->in_height * d->in_width, inner, channels, d->in_width, channels);
  for (int64_t i = 0; i < width; i++) {
    if (i == d->pad_left) i += d->in_width;
    if (i >= width) break;
    const int64_t iw = evr_source_pixel(i - d->pad_left, d->in_width, d->pad_mode);
    float *pixel = to + i * channels;
    if (iw < 0)
      memset(pixel, 0, (size_t)channels * sizeof *to);
    else
      memcpy(pixel, inner + iw * channels, (size_t)channels * sizeof *to);
  }
}

/* The image, x itself or made in `to`. */
EVR_INLINE const float *evr_backward_image_make(const evr_conv2d_problem *p,
                                                const evr_parallel *parallel, const float *x,
                                                float *to) {
  evr_image_copy j = {p, evr_backward_image_of(p), x, to};
  if (!j.image.copied) return x;
  evr_parallel_for(parallel, p->desc.batch * j.image.height, evr_copy_image_row, &j);
  return to;
}

/* Row ih of image n (negative: zeros), with its padding, channels [channel, channel + real) to
 * pixels of `wide` floats, whole vectors, the rest of which are zeros. */
EVR_INLINE void evr_backward_take_row(const evr_conv2d_problem *p, const float *x, int64_t n,
                                      int64_t ih, int64_t channel, int64_t real, const int64_t wide,
                                      float *to) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t width = d->in_width + d->pad_left + d->pad_right;
  if (ih < 0 || real < wide) memset(to, 0, (size_t)(width * wide) * sizeof *to);
  if (ih < 0) return;
  float *inner = to + d->pad_left * wide;
  if (d->layout == EVR_NCHW) {
    const int64_t plane = d->in_height * d->in_width;
    evr_channels_last(x + (n * d->in_channels + channel) * plane + ih * d->in_width, plane, inner,
                      wide, d->in_width, real);
  } else {
    const float *from = x + (n * d->in_height + ih) * d->in_width * d->in_channels + channel;
    for (int64_t i = 0; i < d->in_width; i++, from += d->in_channels)
      for (int64_t c = 0; c < real; c += EVR_LANES)
        vf_store(inner + i * wide + c, vf_load_n(from + c, evr_min(EVR_LANES, real - c)));
  }
  for (int64_t i = 0; i < width; i++) {
    if (i == d->pad_left) i += d->in_width;
    if (i >= width) break;
    const int64_t iw = evr_source_pixel(i - d->pad_left, d->in_width, d->pad_mode);
    for (int64_t c = 0; c < wide; c += EVR_LANES)
      vf_store(to + i * wide + c, iw < 0 ? vf_zero() : vf_load(inner + iw * wide + c));
  }
}

/* So many pixels of g from the first of `row` of image n on, channels [channel, channel + real), to
 * rows of `wide` floats, the rest of which are zeros. */
EVR_INLINE void evr_backward_take_g(const evr_conv2d_problem *p, const float *g, int64_t n,
                                    int64_t row, int64_t pixels, int64_t channel, int64_t real,
                                    int64_t wide, float *to) {
  const int64_t plane = p->sizes.conv_height * p->sizes.conv_width;
  const int64_t channels = p->desc.out_channels, first = row * p->sizes.conv_width;
  if (p->desc.layout == EVR_NCHW) {
    evr_channels_last(g + (n * channels + channel) * plane + first, plane, to, wide, pixels, real);
  } else {
    const float *from = g + (n * plane + first) * channels + channel;
    for (int64_t i = 0; i < pixels; i++, from += channels) {
      int64_t c = 0;
      for (; c + EVR_LANES <= real; c += EVR_LANES) vf_store(to + i * wide + c, vf_load(from + c));
      vf_store_n(to + i * wide + c, vf_load_n(from + c, real - c), real - c);
    }
  }
  if (real < wide)
    for (int64_t i = 0; i < pixels; i++)
      for (int64_t c = real; c < wide; c++) to[i * wide + c] = 0.0f;
}

#endif
