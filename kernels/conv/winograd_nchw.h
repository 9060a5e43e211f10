/* Both ends of Winograd's convolution, NCHW: a piece of a row of tiles and a vector of channels at
 * a time is turned around, between planes and pixels with their channels in the lanes, in a buffer
 * that stays in the first level cache. For templates. */
#ifndef EVR_CONV_WINOGRAD_NCHW_H
#define EVR_CONV_WINOGRAD_NCHW_H

#include "conv/winograd.h"

/* Output columns of a piece. */
#define EVR_WINOGRAD_PIECE 28
/* Pixels of a row of the buffer: a piece with its windows, and a vector that begins in it. */
#define EVR_WINOGRAD_WIDTH (EVR_WINOGRAD_PIECE + 2 + EVR_LANES)

/* edge: a row of patches, [row][pixel][lane]. */
EVR_INLINE size_t evr_winograd_nchw_edge_bytes(const int out) {
  return evr_size_floats((int64_t)(out + 2) * EVR_WINOGRAD_WIDTH * EVR_LANES);
}

/* Tiles from tile i of the part on that are side by side, as many as a piece has. */
EVR_INLINE int64_t evr_winograd_piece(const int out, const evr_winograd_part *t, int64_t i) {
  const int64_t columns = t->j->b.tile_columns;
  const int64_t in_row = columns - (t->tile + i) % columns;
  return evr_min(evr_min(in_row, t->tiles - i), EVR_WINOGRAD_PIECE / out);
}

/* count pixels of some channels' planes, side by side, into to[pixel][lane]; writes whole
 * blocks. */
EVR_INLINE void evr_winograd_turn_row(const float *from, int64_t plane, int64_t lanes,
                                      int64_t count, float *to) {
  for (int64_t i = 0; i < count; i += EVR_LANES) {
    const int64_t n = evr_min(EVR_LANES, count - i);
    vf block[EVR_LANES];
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) {
      const float *at = from + l * plane + i;
      block[l] = l >= lanes ? vf_zero() : n == EVR_LANES ? vf_load(at) : vf_load_n(at, n);
    }
    vf_transpose(block);
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) vf_store(to + (i + l) * EVR_LANES, block[l]);
  }
}

/* One row of a piece's patches. x: the first channel's plane. */
EVR_INLINE void evr_winograd_read_row(const evr_conv2d_problem *p, const float *x, int64_t lanes,
                                      int64_t row, int64_t column, int64_t count, float *to) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t plane = d->in_height * d->in_width;
  const int64_t ih = evr_winograd_source_row(p, row);
  if (ih < 0) {
    memset(to, 0, (size_t)(count * EVR_LANES) * sizeof *to);
    return;
  }
  const float *from = x + ih * d->in_width;
  const int64_t begin = evr_min(evr_max(d->pad_left - column, 0), count);
  const int64_t end = evr_min(evr_max(d->in_width + d->pad_left - column, begin), count);
  evr_winograd_turn_row(from + column + begin - d->pad_left, plane, lanes, end - begin,
                        to + begin * EVR_LANES);
  for (int64_t c = 0; c < count; c++) {
    if (c == begin) c = end;
    if (c >= count) break;
    const int64_t iw = evr_winograd_source_column(p, column + c);
    float *pixel = to + c * EVR_LANES;
    vf_store(pixel, vf_zero());
    for (int64_t l = 0; iw >= 0 && l < lanes; l++) pixel[l] = from[l * plane + iw];
  }
}

EVR_INLINE void evr_winograd_nchw_input(const int out, const evr_winograd_part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_conv2d_desc *d = &p->desc;
  const evr_winograd_blocking *b = &t->j->b;
  const int64_t plane = d->in_height * d->in_width;
  const int side = out + 2;
  const float *pixels[EVR_WINOGRAD_PATCH * EVR_WINOGRAD_PATCH];
  for (int r = 0; r < side; r++)
    for (int c = 0; c < side; c++)
      pixels[r * side + c] = t->edge + (r * EVR_WINOGRAD_WIDTH + c) * EVR_LANES;
  int64_t count;
  for (int64_t i = 0; i < t->tiles; i += count) {
    count = evr_winograd_piece(out, t, i);
    const evr_winograd_place at = evr_winograd_find(t, out, t->tile + i);
    for (int64_t channel = 0; channel < d->in_channels; channel += EVR_LANES) {
      const float *x = t->j->call->x + (at.image * d->in_channels + channel) * plane;
      const int64_t lanes = evr_min(EVR_LANES, d->in_channels - channel);
      for (int r = 0; r < side; r++)
        evr_winograd_read_row(p, x, lanes, at.row + r, at.column, count * out + 2,
                              t->edge + r * EVR_WINOGRAD_WIDTH * EVR_LANES);
      for (int64_t k = 0; k < count; k++)
        evr_winograd_transform_patch(out, pixels, k * out * EVR_LANES, EVR_LANES, t->half,
                                     t->v + (i + k) * b->v_row + channel, b->v_plane);
    }
  }
}

/* One row of finished sums, [pixel][lane], to the planes of some channels. */
EVR_INLINE void evr_winograd_write_row(const evr_winograd_part *t, const float *from, int64_t lanes,
                                       int64_t count, int64_t y_place, int64_t residual_place) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_conv2d_call *call = t->j->call;
  float *const y = call->y + y_place;
  const evr_activation *activation = &p->desc.activation;
  for (int64_t i = 0; i < count; i += EVR_LANES) {
    const int64_t n = evr_min(EVR_LANES, count - i);
    vf block[EVR_LANES];
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) block[l] = vf_load(from + (i + l) * EVR_LANES);
    vf_transpose(block);
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++) {
      if (l >= lanes) continue;
      vf value = block[l];
      if (call->residual != NULL) {
        const float *residual = call->residual + residual_place + l * p->residual_plane + i;
        value = vf_add(value, n == EVR_LANES ? vf_load(residual) : vf_load_n(residual, n));
      }
      if (activation->kind == EVR_RELU) value = evr_relu(value);
      if (n == EVR_LANES)
        vf_store(y + l * p->y_plane + i, value);
      else
        vf_store_n(y + l * p->y_plane + i, value, n);
    }
  }
  if (activation->kind == EVR_IDENTITY || activation->kind == EVR_RELU) return;
  for (int64_t l = 0; l < lanes; l++)
    EVR_NAME(evr_activation_apply)(activation, y + l * p->y_plane, y + l * p->y_plane, count);
}

EVR_INLINE void evr_winograd_nchw_output(const int out, const evr_winograd_part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_winograd_blocking *b = &t->j->b;
  int64_t count;
  for (int64_t i = 0; i < t->tiles; i += count) {
    count = evr_winograd_piece(out, t, i);
    const evr_winograd_place at = evr_winograd_find(t, out, t->tile + i);
    const int64_t columns = evr_min(count * out, p->sizes.conv_width - at.column);
    for (int64_t c = 0; c < t->channels; c += EVR_LANES) {
      const int64_t lanes = evr_min(EVR_LANES, t->channels - c), channel = t->channel + c;
      vf bias = vf_zero();
      if (t->j->call->bias != NULL) {
        const float *values = t->j->call->bias + channel;
        bias = lanes == EVR_LANES ? vf_load(values) : vf_load_n(values, lanes);
      }
      for (int64_t k = 0; k < count; k++) {
        evr_winograd_transform_sums(out, t->m + (i + k) * b->stretch + c, b->m_plane, t->half);
        EVR_WINOGRAD_LOOP
        for (int64_t r = at.first_row; r < at.end_row; r++) {
          vf y[EVR_WINOGRAD_OUT];
          evr_winograd_pixels(out, t->half, r, y);
          EVR_UNROLL
          for (int n = 0; n < out; n++)
            vf_store(t->edge + (r * EVR_WINOGRAD_WIDTH + k * out + n) * EVR_LANES,
                     vf_add(y[n], bias));
        }
      }
      for (int64_t r = at.first_row; r < at.end_row; r++)
        evr_winograd_write_row(
            t, t->edge + r * EVR_WINOGRAD_WIDTH * EVR_LANES, lanes, columns,
            evr_output_offset(p, p->y_plane, at.image, at.row + r, at.column, channel),
            evr_output_offset(p, p->residual_plane, at.image, at.row + r, at.column, channel));
    }
  }
}

#endif
