/* The rows of the image that convolution with few output channels reads, [channel][column] or
 * [channel][phase][column], where pixels lie side by side (few_outputs.tmpl.c). */
#ifndef EVR_CONV_FEW_OUTPUTS_COPY_H
#define EVR_CONV_FEW_OUTPUTS_COPY_H

#include "conv/few_outputs_tile.h"

/* Planes of NCHW that are asked for ahead of the one being copied: there are more of them than the
 * hardware follows. Of VGG's first layer backwards 3.7 ms instead of 5.1, and AVX2 3.0 instead of
 * 3.5; no better with 2 or 8. */
#define EVR_FEW_PLANES_AHEAD 4

/* Pixels of NHWC are asked for so many vectors ahead: where they come from memory, 1x1 windows over
 * 64 channels of 256x256 take 1.5 ms instead of 2.1, and 32 of 512x512 2.7 instead of 4.7. */
#define EVR_FEW_VECTORS_AHEAD 2

/* Planes are copied as they are. Of NHWC each channel is gathered by itself where pixels have so
 * few that whole vectors would be mostly empty; else pixels are transposed. */
#define EVR_FEW_CHANNELS 4

typedef enum evr_few_way { EVR_FEW_PLANES, EVR_FEW_APART, EVR_FEW_TRANSPOSED_PIXELS } evr_few_way;

static inline evr_few_way evr_few_way_of_copying(const evr_conv2d_problem *p) {
  if (p->desc.layout == EVR_NCHW || p->desc.in_channels == 1) return EVR_FEW_PLANES;
  return p->group_in <= EVR_FEW_CHANNELS ? EVR_FEW_APART : EVR_FEW_TRANSPOSED_PIXELS;
}

/* Pixels of which lane l is at from[l], or `distance` floats after the one before where from is
 * NULL: to[channel * pitch + lane]. */
EVR_INLINE void transpose_pixels(const float *const *from, const float *first, int64_t distance,
                                 int64_t channels, int64_t pitch, float *to) {
  for (int64_t c = 0; c < channels; c += EVR_LANES) {
    const int64_t count = evr_min(EVR_LANES, channels - c);
    vf block[EVR_LANES];
    const float *const pixel = first + c;
    if (from == NULL) {
      EVR_UNROLL
      for (int l = 0; l < EVR_LANES; l++)
        __builtin_prefetch((const void *)evr_address(
            (uintptr_t)pixel, (EVR_FEW_VECTORS_AHEAD * EVR_LANES + l) * distance));
    }
    if (count == EVR_LANES) {
      EVR_UNROLL
      for (int l = 0; l < EVR_LANES; l++)
        block[l] = vf_load(from != NULL ? from[l] + c : pixel + l * distance);
    } else {
      EVR_UNROLL
      for (int l = 0; l < EVR_LANES; l++)
        block[l] = vf_load_n(from != NULL ? from[l] + c : pixel + l * distance, count);
    }
    vf_transpose(block);
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) {
      if (l >= count) break;
      vf_store(to + (c + l) * pitch, block[l]);
    }
  }
}

/* Columns first, first + step, ... of the padded image, EVR_LANES of them, out of a row of the
 * image. */
static void transpose_columns(const evr_few_strip *s, const float *row, int64_t first, int64_t step,
                              float *to) {
  const evr_conv2d_desc *d = &s->p->desc;
  const int64_t channels = s->p->group_in, in_width = s->in_width;
  const int64_t end = d->pad_left + in_width + d->pad_right;
  int64_t column = first;
  if (column >= d->pad_left && column - d->pad_left + (EVR_LANES - 1) * step < in_width) {
    transpose_pixels(NULL, row + (column - d->pad_left) * d->in_channels, step * d->in_channels,
                     channels, s->pitch, to);
    return;
  }
  const float *from[EVR_LANES];
  for (int64_t l = 0; l < EVR_LANES; l++, column += step) {
    /* Beyond the padded image are columns that fill up vectors. */
    int64_t iw = column - d->pad_left;
    if (d->pad_mode != EVR_PAD_ZERO)
      iw = column < end ? evr_source_pixel(iw, in_width, d->pad_mode) : -1;
    from[l] = iw >= 0 && iw < in_width ? row + iw * d->in_channels : s->zeros;
  }
  transpose_pixels(from, s->zeros, 0, channels, s->pitch, to);
}

/* Values in the padding, from column `column` of the padded image on. */
static void copy_pads(const evr_few_strip *s, const float *row, int64_t column, int64_t step,
                      int64_t count, int64_t distance, float *to) {
  const evr_conv2d_desc *d = &s->p->desc;
  const int64_t in_width = s->in_width, end = d->pad_left + in_width + d->pad_right;
  memset(to, 0, (size_t)count * sizeof *to);
  if (d->pad_mode == EVR_PAD_ZERO) return;
  for (int64_t i = 0; i < count && column < end; i++, column += step)
    to[i] = row[evr_source_pixel(column - d->pad_left, in_width, d->pad_mode) * distance];
}

/* Columns of a plane side by side, from one of the image on, where outside is 0; whole vectors. */
static void copy_stretch(const float *row, int64_t column, int64_t width, int64_t count,
                         float *to) {
  for (int64_t i = 0; i < count; i += EVR_LANES, column += EVR_LANES) {
    const int64_t left = evr_max(width - column, 0);
    if (column >= 0 && left >= EVR_LANES) {
      vf_store(to + i, vf_load(row + column));
    } else if (column >= 0) {
      vf_store(to + i, vf_load_n(row + evr_min(column, width), left));
    } else {
      const int64_t inside = evr_min(column + EVR_LANES, width);
      vf_store(to + i, vf_zero());
      if (inside > 0) vf_store_n(to + i - column, vf_load_n(row, inside), inside);
    }
  }
}

/* A row of one plane, or of one channel of NHWC, whose pixels are `distance` floats apart: columns
 * first, first + step, ... of the padded image, of which there are `count`, where it is so wide. */
static void copy_columns(const evr_few_strip *s, const float *row, int64_t first, int64_t step,
                         int64_t count, int64_t distance, float *to) {
  const int64_t in_width = s->in_width, start = first - s->p->desc.pad_left;
  if (step == 1 && distance == 1 && s->p->desc.pad_mode == EVR_PAD_ZERO) {
    copy_stretch(row, start, in_width, count, to);
    return;
  }
  const int64_t before = evr_max(-start, 0), left = evr_max(in_width - start, 0);
  const int64_t inside = evr_min(step == 1 ? before : evr_ceil_div(before, step), count);
  const int64_t wanted = step == 1 ? left : evr_ceil_div(left, step);
  const int64_t beyond = evr_max(evr_min(wanted, count), inside);
  if (inside > 0) copy_pads(s, row, first, step, inside, distance, to);
  if (step == 1 && distance == 1 && beyond > inside)
    memcpy(to + inside, row + start + inside, (size_t)(beyond - inside) * sizeof *to);
  else
    for (int64_t i = inside; i < beyond; i++) to[i] = row[(start + i * step) * distance];
  if (beyond < count)
    copy_pads(s, row, first + beyond * step, step, count - beyond, distance, to + beyond);
}

/* Copies row r of the padded image, counted from the first that the output reads. */
static void evr_few_copy_row(const evr_few_strip *s, int64_t r) {
  const evr_conv2d_desc *d = &s->p->desc;
  const int64_t columns = s->columns, stride = d->stride_width;
  float *to = s->ring + r % s->ring_rows * (s->pitch * s->p->group_in);
  const int64_t ih = evr_source_pixel(evr_window_top(s->p, 0) + r, d->in_height, d->pad_mode);
  if (ih < 0) {
    memset(to, 0, (size_t)(s->pitch * s->p->group_in) * sizeof *to);
    return;
  }
  const evr_few_way way = evr_few_way_of_copying(s->p);
  if (way == EVR_FEW_PLANES) {
    const float *row = s->x + ih * d->in_width;
    const int64_t plane = d->in_height * d->in_width;
    const int64_t begin = evr_max(s->first * stride - d->pad_left, 0);
    const int64_t reach = evr_min(begin + columns * stride, s->in_width);
    for (int64_t c = 0; c < s->p->group_in; c++, row += plane) {
      if (c + EVR_FEW_PLANES_AHEAD < s->p->group_in)
        for (int64_t i = begin; i < reach; i += 16)
          __builtin_prefetch(row + EVR_FEW_PLANES_AHEAD * plane + i);
      for (int64_t phase = 0; phase < stride; phase++, to += columns)
        copy_columns(s, row, s->first * stride + phase, stride, columns, 1, to);
    }
    return;
  }
  const float *row = s->x + ih * d->in_width * d->in_channels;
  if (way == EVR_FEW_APART) {
    for (int64_t c = 0; c < s->p->group_in; c++)
      for (int64_t phase = 0; phase < stride; phase++, to += columns)
        copy_columns(s, row + c, s->first * stride + phase, stride, columns, d->in_channels, to);
    return;
  }
  for (int64_t phase = 0; phase < stride; phase++, to += columns)
    for (int64_t i = 0; i < columns; i += EVR_LANES)
      transpose_columns(s, row, (s->first + i) * stride + phase, stride, to + i);
}

#endif
