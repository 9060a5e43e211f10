/* Both ends of Winograd's convolution, NHWC: lanes run over channels as they lie. For templates. */
#ifndef EVR_CONV_WINOGRAD_NHWC_H
#define EVR_CONV_WINOGRAD_NHWC_H

#include "conv/winograd.h"

/* edge: a pixel of zeros. */
EVR_INLINE size_t evr_winograd_nhwc_edge_bytes(const evr_conv2d_problem *p) {
  return evr_size_floats(p->desc.in_channels);
}

EVR_INLINE void evr_winograd_nhwc_input(const int out, const evr_winograd_part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_conv2d_desc *d = &p->desc;
  const evr_winograd_blocking *b = &t->j->b;
  const int side = out + 2;
  memset(t->edge, 0, evr_winograd_nhwc_edge_bytes(p));
  for (int64_t i = 0; i < t->tiles; i++) {
    const evr_winograd_place at = evr_winograd_find(t, out, t->tile + i);
    const float *pixels[EVR_WINOGRAD_PATCH * EVR_WINOGRAD_PATCH];
    for (int r = 0; r < side; r++) {
      const int64_t ih = evr_winograd_source_row(p, at.row + r);
      for (int c = 0; c < side; c++) {
        const int64_t iw = evr_winograd_source_column(p, at.column + c);
        const int64_t pixel = (at.image * d->in_height + ih) * d->in_width + iw;
        pixels[r * side + c] = ih < 0 || iw < 0 ? t->edge : t->j->call->x + pixel * d->in_channels;
      }
    }
    float *v = t->v + i * b->v_row;
    int64_t channel = 0;
    for (; channel + EVR_LANES <= d->in_channels; channel += EVR_LANES)
      evr_winograd_transform_patch(out, pixels, channel, EVR_LANES, t->half, v + channel,
                                   b->v_plane);
    if (channel < d->in_channels)
      evr_winograd_transform_patch(out, pixels, channel, d->in_channels - channel, t->half,
                                   v + channel, b->v_plane);
  }
}

/* One vector of channels of a tile. */
EVR_INLINE void evr_winograd_nhwc_vector(const int out, const evr_winograd_part *t, const float *m,
                                         const evr_winograd_place *at, int64_t channel,
                                         int64_t lanes) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_conv2d_call *call = t->j->call;
  const int64_t pixel = p->desc.out_channels, row = p->sizes.conv_width * pixel;
  const int64_t first =
      (at->image * p->sizes.conv_height + at->row) * row + at->column * pixel + channel;
  const int64_t end_column = at->end_column, end_row = at->end_row;
  float *const y = call->y, *const half = t->half;
  const float *const residual = call->residual;
  const bool relu = p->desc.activation.kind == EVR_RELU;
  const bool whole = lanes == EVR_LANES;
  vf bias = vf_zero();
  if (call->bias != NULL)
    bias = whole ? vf_load(call->bias + channel) : vf_load_n(call->bias + channel, lanes);
  evr_winograd_transform_sums(out, m, t->j->b.m_plane, half);
  EVR_WINOGRAD_LOOP
  for (int64_t r = at->first_row; r < end_row; r++) {
    vf sums[EVR_WINOGRAD_OUT];
    evr_winograd_pixels(out, half, r, sums);
    EVR_UNROLL
    for (int c = 0; c < out; c++) {
      if (c >= end_column) continue;
      const int64_t place = first + r * row + c * pixel;
      vf value = vf_add(sums[c], bias);
      if (residual != NULL)
        value =
            vf_add(value, whole ? vf_load(residual + place) : vf_load_n(residual + place, lanes));
      if (relu) value = evr_relu(value);
      if (whole)
        vf_store(y + place, value);
      else
        vf_store_n(y + place, value, lanes);
    }
  }
}

EVR_INLINE void evr_winograd_nhwc_output(const int out, const evr_winograd_part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const evr_activation *activation = &p->desc.activation;
  for (int64_t i = 0; i < t->tiles; i++) {
    const evr_winograd_place at = evr_winograd_find(t, out, t->tile + i);
    const float *m = t->m + i * t->j->b.stretch;
    for (int64_t c = 0; c < t->channels; c += EVR_LANES)
      evr_winograd_nhwc_vector(out, t, m + c, &at, t->channel + c,
                               evr_min(EVR_LANES, t->channels - c));
    if (activation->kind == EVR_IDENTITY || activation->kind == EVR_RELU) continue;
    for (int64_t r = at.first_row; r < at.end_row; r++)
      for (int64_t c = 0; c < at.end_column; c++) {
        float *y = t->j->call->y + evr_output_offset(p, p->y_plane, at.image, at.row + r,
                                                     at.column + c, t->channel);
        EVR_NAME(evr_activation_apply)(activation, y, y, t->channels);
      }
  }
}

#endif
