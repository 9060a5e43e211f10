/* A convolution's weights as a matrix of products: depth in canonical order (kernel row, kernel
 * column, input channel) by the output channels of a group. For templates. */
#ifndef EVR_CONV_WEIGHTS_H
#define EVR_CONV_WEIGHTS_H

#include "conv/problem.h"
#include "core/checked.h"
#include "gemm/gemm.h"
#include "simd/simd.h"

/* Bytes of one group's packed weights: rows of A where the lanes of the product are pixels (NCHW),
 * columns of B where they are output channels (NHWC). Saturating. */
EVR_INLINE size_t evr_conv2d_packed_group_bytes(const evr_conv2d_problem *p) {
  const int64_t unit = p->desc.layout == EVR_NCHW ? EVR_NAME(evr_gemm_tile_rows) : EVR_LANES;
  return evr_size_product(evr_size_floats(p->depth), (size_t)evr_round_up(p->group_out, unit));
}

EVR_INLINE const float *evr_conv2d_packed_group(const evr_conv2d_problem *p, const void *packed,
                                                int64_t group) {
  return (const float *)packed + (size_t)group * (evr_conv2d_packed_group_bytes(p) / sizeof(float));
}

EVR_INLINE size_t evr_conv2d_packed_matrix_size(const evr_conv2d_problem *p) {
  return evr_size_product(evr_conv2d_packed_group_bytes(p), (size_t)p->desc.groups);
}

EVR_INLINE void evr_conv2d_pack_matrix(const evr_conv2d_problem *p, const float *weights,
                                       void *packed) {
  const evr_conv2d_desc *d = &p->desc;
  const evr_weight_steps *s = &p->weights;
  /* With HWIO all steps are a constant distance apart, else those of the channels of one tap. */
  const bool even = (d->kernel_width == 1 || s->column == p->group_in * s->in) &&
                    (d->kernel_height == 1 || s->row == d->kernel_width * p->group_in * s->in);
  const int64_t taps = even ? 1 : d->kernel_height * d->kernel_width;
  for (int64_t group = 0; group < d->groups; group++) {
    float *to =
        (float *)packed + (size_t)group * (evr_conv2d_packed_group_bytes(p) / sizeof(float));
    for (int64_t tap = 0; tap < taps; tap++) {
      const evr_gemm_source source = {.source = evr_weight_at(p, weights, tap / d->kernel_width,
                                                              tap % d->kernel_width, 0, group, 0),
                                      .k_step = s->in,
                                      .lane_step = s->out,
                                      .k = even ? p->depth : p->group_in,
                                      .lanes = p->group_out};
      if (d->layout == EVR_NCHW)
        EVR_NAME(evr_gemm_pack_a)(&source, tap * p->group_in, p->depth, to);
      else
        EVR_NAME(evr_gemm_pack_b)(&source, tap * p->group_in, p->depth, to);
    }
  }
}

/* Loads some of the first elements. */
EVR_INLINE vf evr_weights_load(const float *from, int64_t count) {
  return count == EVR_LANES ? vf_load(from) : vf_load_n(from, count);
}

/* Transposes: lane i of row j is from[i * step + j], for so many lanes and EVR_LANES rows, of which
 * so many there are. Makes *watch NaN where an element is not finite, or their sum is not. */
EVR_INLINE void evr_weights_turn(const float *from, int64_t step, int64_t lanes, int64_t rows,
                                 vf square[EVR_LANES], vf *watch) {
  vf seen = vf_zero();
  EVR_UNROLL
  for (int i = 0; i < EVR_LANES; i++) {
    square[i] = i < lanes ? evr_weights_load(from + i * step, rows) : vf_zero();
    seen = vf_add(seen, square[i]);
  }
  *watch = vf_add(*watch, vf_mul(seen, vf_zero()));
  vf_transpose(square);
}

/* So many output channels of one tap, whose input channels lie side by side: step ic to
 * to[ic * pitch]. */
EVR_INLINE void evr_weights_turn_tap(const evr_weight_steps *s, const float *from, int64_t real,
                                     int64_t channels, int64_t pitch, float *to, vf *watch) {
  for (int64_t v = 0; v < real; v += EVR_LANES)
    for (int64_t ic = 0; ic < channels; ic += EVR_LANES) {
      const int64_t lanes = evr_min(real - v, EVR_LANES), rows = evr_min(EVR_LANES, channels - ic);
      vf square[EVR_LANES];
      evr_weights_turn(from + ic + v * s->out, s->out, lanes, rows, square, watch);
      EVR_UNROLL
      for (int i = 0; i < EVR_LANES; i++)
        if (i < rows) vf_store(to + (ic + i) * pitch + v, square[i]);
    }
}

/* The same of channels that lie anyhow. */
EVR_INLINE void evr_weights_take_tap(const evr_weight_steps *s, const float *from, int64_t real,
                                     int64_t channels, int64_t pitch, float *to, vf *watch) {
  for (int64_t v = 0; v < real; v += EVR_LANES)
    for (int64_t ic = 0; ic < channels; ic++) {
      float values[EVR_LANES] = {0};
      for (int64_t l = 0; l < evr_min(real - v, EVR_LANES); l++)
        values[l] = from[ic * s->in + (v + l) * s->out];
      const vf value = vf_load(values);
      *watch = vf_add(*watch, vf_mul(value, vf_zero()));
      vf_store(to + ic * pitch + v, value);
    }
}

/* The same of all taps, where these lie side by side, in order or backwards. */
EVR_INLINE void evr_weights_take_window(const evr_conv2d_problem *p, const float *from,
                                        int64_t lanes, int64_t pitch, float *to, vf *watch) {
  const evr_weight_steps *s = &p->weights;
  const int64_t taps = p->desc.kernel_height * p->desc.kernel_width;
  const bool backwards = s->column < 0;
  if (backwards) from -= taps - 1;
  for (int64_t ic = 0; ic < p->group_in; ic++, from += s->in)
    for (int64_t tap = 0; tap < taps; tap += EVR_LANES) {
      const int64_t rows = evr_min(EVR_LANES, taps - tap);
      vf square[EVR_LANES];
      evr_weights_turn(from + tap, s->out, lanes, rows, square, watch);
      EVR_UNROLL
      for (int i = 0; i < EVR_LANES; i++)
        if (i < rows) {
          const int64_t at = backwards ? taps - 1 - (tap + i) : tap + i;
          vf_store(to + (at * p->group_in + ic) * pitch, square[i]);
        }
    }
}

/* So many vectors of a group's output channels, from a channel on, zeros beyond the last:
 * to[k][vector][lane], k in canonical order. Returns whether all are finite; false, too, where
 * finite ones are so large that some of them have an infinite sum. */
static inline bool evr_weights_take(const evr_conv2d_problem *p, const float *weights,
                                    int64_t group, int64_t channel, int64_t vectors, float *to) {
  const evr_conv2d_desc *d = &p->desc;
  const evr_weight_steps *s = &p->weights;
  const int64_t pitch = vectors * EVR_LANES;
  const bool window = s->in != 1 && d->kernel_width > 1 && (s->column == 1 || s->column == -1) &&
                      (d->kernel_height == 1 || s->row == d->kernel_width * s->column);
  vf watch = vf_zero(); /* becomes NaN with the first infinity or NaN */
  if (s->out == 1) {
    const int64_t last = evr_min(p->group_out - channel - (vectors - 1) * EVR_LANES, EVR_LANES);
    for (int64_t kh = 0; kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++) {
        const float *from = evr_weight_at(p, weights, kh, kw, 0, group, channel);
        for (int64_t ic = 0; ic < p->group_in; ic++, from += s->in, to += pitch)
          for (int64_t v = 0; v < vectors; v++) {
            const vf value =
                evr_weights_load(from + v * EVR_LANES, v + 1 < vectors ? EVR_LANES : last);
            watch = vf_add(watch, vf_mul(value, vf_zero()));
            vf_store(to + v * EVR_LANES, value);
          }
      }
    return !vm_any(vf_is_nan(watch));
  }
  const int64_t real = evr_min(p->group_out - channel, pitch);
  for (int64_t v = 0; v < real && window; v += EVR_LANES)
    evr_weights_take_window(p, evr_weight_at(p, weights, 0, 0, 0, group, channel + v),
                            evr_min(real - v, EVR_LANES), pitch, to + v, &watch);
  for (int64_t kh = 0; kh < d->kernel_height && !window; kh++)
    for (int64_t kw = 0; kw < d->kernel_width; kw++, to += p->group_in * pitch) {
      const float *from = evr_weight_at(p, weights, kh, kw, 0, group, channel);
      if (s->in == 1)
        evr_weights_turn_tap(s, from, real, p->group_in, pitch, to, &watch);
      else
        evr_weights_take_tap(s, from, real, p->group_in, pitch, to, &watch);
    }
  return !vm_any(vf_is_nan(watch));
}

#endif
