/* The register tile of depthwise convolution, NHWC: T output columns of one row by one vector of
 * channels, for each vector of a block of channels in turn.
 *
 * With a known kernel and stride each input vector is loaded once and meets every output that it
 * belongs to, while the weights of one kernel row stay in registers. Input columns are visited from
 * left to right, so each sum still takes its taps in the canonical order.
 *
 * Inputs are found in one of two ways: in rows, of the image where no tap is padding or of a padded
 * copy; or by one pointer for each pixel, into the image or to a pixel of zeros. */
#ifndef EVR_CONV_DEPTHWISE_TILE_H
#define EVR_CONV_DEPTHWISE_TILE_H

#include "activation/apply.h"
#include "activation/functions.h"
#include "conv/depthwise.h"
#include "conv/depthwise_work.h"

/* The widest kernel of a kind of its own. */
#define EVR_DEPTHWISE_KNOWN 7

/* Weights of a kernel row for which there are registers beside so many sums and an input. */
#define EVR_DEPTHWISE_HELD(sums, k) \
  ((k) < EVR_REGISTERS - 2 - (sums) ? (k) : EVR_REGISTERS - 2 - (sums))

/* One kernel row onto the sums of T columns; K kernel columns, stride S, both constant; so many
 * weights in registers, the others are read for each use. */
EVR_INLINE const float *evr_depthwise_slide(vf *sum, const int T, const int K, const int S,
                                            const int held, const float *w, const float *row,
                                            int64_t pitch, const float *const *pixels,
                                            int64_t channel) {
  vf weight[EVR_DEPTHWISE_KNOWN];
  EVR_UNROLL
  for (int k = 0; k < held; k++) weight[k] = vf_once(vf_load(w + k * EVR_LANES));
  const int64_t step = evr_anew(pitch);
  if (pixels != NULL) pixels += evr_anew(0);
  EVR_UNROLL
  for (int column = 0; column < (T - 1) * S + K; column++) {
    const vf x = vf_once(vf_load(pixels != NULL ? pixels[column] + channel : row));
    if (pixels == NULL && column + 1 < (T - 1) * S + K) row += step;
    EVR_UNROLL
    for (int t = 0; t < T; t++) {
      const int k = column - t * S;
      if (k >= 0 && k < held) sum[t] = vf_fma(x, weight[k], sum[t]);
      if (k >= held && k < K) sum[t] = vf_fma_from(x, w + k * EVR_LANES, sum[t]);
    }
  }
  return w + K * EVR_LANES;
}

/* The same for any kernel width, stride and dilation; pixels are [kw][t] here. */
EVR_INLINE const float *evr_depthwise_step(vf *sum, const int T, const evr_depthwise_work *work,
                                           const float *w, const float *row, int64_t pitch,
                                           const float *const *pixels, int64_t channel) {
  const int64_t step = work->stride * pitch, width = work->kernel_width;
  for (int64_t k = 0; k < width; k++, w += EVR_LANES) {
    const vf weight = vf_load(w);
    const float *x = row;
    EVR_UNROLL
    for (int t = 0; t < T; t++) {
      sum[t] = vf_fma(vf_load(pixels != NULL ? pixels[t] + channel : x), weight, sum[t]);
      if (pixels == NULL && t + 1 < T) x += step;
    }
    if (pixels != NULL)
      pixels += T;
    else if (k + 1 < width)
      row += work->dilation * pitch;
  }
  return w;
}

/* Bias, residual, relu, and out. whole, a constant: all T columns and all lanes count. */
EVR_INLINE void evr_depthwise_finish(vf *sum, const int T, const bool whole,
                                     const evr_depthwise_work *work, int64_t columns, int64_t at,
                                     int64_t channel) {
  const int64_t lanes = whole ? EVR_LANES : work->lanes, pitch = work->y_pitch;
  const evr_activation_kind kind = work->activation->kind;
  float *y = work->y + at;
  if (work->bias != NULL) {
    const float *p = work->bias + channel;
    const vf bias = whole ? vf_load(p) : vf_load_n(p, lanes);
    EVR_UNROLL
    for (int t = 0; t < T; t++) sum[t] = vf_add(sum[t], bias);
  }
  if (work->residual != NULL) {
    const float *p = work->residual + at;
    EVR_UNROLL
    for (int t = 0; t < T; t++) {
      if (whole)
        sum[t] = vf_add(sum[t], vf_load(p + t * pitch));
      else if (t < columns)
        sum[t] = vf_add(sum[t], vf_load_n(p + t * pitch, lanes));
    }
  }
  /* As in evr_relu and evr_relu6, with constants made anew: kept through the loops, they would take
   * registers from the sums. */
  if (kind == EVR_RELU || kind == EVR_RELU6) {
    const vf zero = vf_set1((float)evr_anew(0));
    EVR_UNROLL
    for (int t = 0; t < T; t++) sum[t] = vf_greater(zero, sum[t]);
  }
  if (kind == EVR_RELU6) {
    const vf six = vf_set1((float)evr_anew(6));
    EVR_UNROLL
    for (int t = 0; t < T; t++) sum[t] = vf_smaller(six, sum[t]);
  }
  EVR_UNROLL
  for (int t = 0; t < T; t++) {
    if (whole)
      vf_store(y + t * pitch, sum[t]);
    else if (t < columns)
      vf_store_n(y + t * pitch, sum[t], lanes);
  }
}

/* The other activations follow when a row of the rectangle is done. */
static void evr_depthwise_activate(const evr_depthwise_work *work, float *y) {
  const int64_t channels = work->last_channel + work->lanes;
  if (channels == work->y_pitch) {
    EVR_NAME(evr_activation_apply)(work->activation, y, y, work->columns * channels);
    return;
  }
  for (int64_t i = 0; i < work->columns; i++, y += work->y_pitch)
    EVR_NAME(evr_activation_apply)(work->activation, y, y, channels);
}

/* The phases of a stride have so few taps that all else weighs more: sums that are finished as they
 * are, in whole tiles. H rows and K columns of taps, stride 1. */
EVR_INLINE bool evr_depthwise_is_plain(const evr_depthwise_work *work, const int T) {
  return work->kernel_height <= 2 && work->columns % T == 0 && work->lanes == EVR_LANES &&
         work->bias == NULL && work->residual == NULL && work->activation->kind == EVR_IDENTITY;
}

EVR_INLINE void evr_depthwise_run_plain(const evr_depthwise_work *work, const int T, const int H,
                                        const int K, const bool pointers) {
  const int64_t pitch = work->x_pitch, last_channel = work->last_channel, tap_step = work->tap_step;
  const int64_t count = evr_depthwise_row_pixels(T, K, work), vectors = work->vectors;
  const int64_t begin = work->downwards ? vectors - 1 : work->first_vector;
  const int64_t to_next = work->downwards ? -1 : 1;
  for (int64_t row = 0; row < work->out_rows; row++)
    for (int64_t first = 0; first < work->columns; first += T) {
      const float *const *const rows = work->rows + row * work->row_step;
      const float *const *const pixels =
          pointers ? work->pixels + row * work->row_step * count : NULL;
      const float *const in = pointers ? NULL : rows[0] + work->x_start + first * pitch;
      const float *const below =
          pointers || H == 1 ? NULL : rows[tap_step] + work->x_start + first * pitch;
      float *const y = work->y + row * work->y_row + first * work->y_pitch;
      int64_t v = begin;
      for (int64_t n = work->first_vector; n < vectors; n++, v += to_next) {
        const float *w = work->weights + v * (H * K * EVR_LANES);
        const int64_t channel = evr_min(v * EVR_LANES, last_channel);
        vf sum[EVR_DEPTHWISE_WIDE];
        EVR_UNROLL
        for (int t = 0; t < T; t++) sum[t] = vf_zero();
        w = evr_depthwise_slide(sum, T, K, 1, K, w, pointers ? NULL : in + channel, pitch, pixels,
                                channel);
        if (H == 2)
          w = evr_depthwise_slide(sum, T, K, 1, K, w, pointers ? NULL : below + channel, pitch,
                                  pointers ? pixels + tap_step * count : NULL, channel);
        const int64_t step = evr_anew(work->y_pitch);
        float *to = y + channel;
        EVR_UNROLL
        for (int t = 0; t < T; t++) {
          vf_store(to, sum[t]);
          if (t + 1 < T) to += step;
        }
      }
    }
}

/* T, K, S and pointers are constants where this is inlined; K and S 0 for any. K is the kernel's
 * width, and its height where that is above 2. */
EVR_INLINE void evr_depthwise_run(const evr_depthwise_work *work, const int T, const int K,
                                  const int S, const bool pointers) {
  const int64_t stride = S > 0 ? S : work->stride, last_channel = work->last_channel;
  const int64_t vectors = work->vectors;
  const int64_t pitch = work->x_pitch, tap_step = work->tap_step;
  const int64_t tap_pixels = tap_step * evr_depthwise_row_pixels(T, K, work);
  const int64_t pixel_step = work->row_step * evr_depthwise_row_pixels(T, K, work);
  const bool activate = !evr_depthwise_activates(work->activation->kind);
  if ((K == 1 || K == 2) && evr_depthwise_is_plain(work, T)) {
    if (work->kernel_height == 1)
      evr_depthwise_run_plain(work, T, 1, K, pointers);
    else
      evr_depthwise_run_plain(work, T, 2, K, pointers);
    return;
  }
  for (int64_t row = 0; row < work->out_rows; row++) {
    const float *const *const rows = work->rows + row * work->row_step;
    for (int64_t first = 0; first < work->columns; first += T) {
      const int64_t start = work->x_start + first * stride * pitch;
      const int64_t columns = work->columns - first;
      const bool whole = columns >= T && work->lanes == EVR_LANES;
      const float *w =
          work->weights + work->first_vector * work->kernel_height * work->kernel_width * EVR_LANES;
      for (int64_t v = work->first_vector; v < vectors; v++) {
        const int64_t channel = evr_min(v * EVR_LANES, last_channel);
        const float *const *pixels = pointers ? work->pixels + row * pixel_step : NULL;
        vf sum[EVR_DEPTHWISE_WIDE];
        EVR_UNROLL
        for (int t = 0; t < T; t++) sum[t] = vf_zero();
        if (K == 1 || K == 2) {
          for (int64_t kh = 0; kh < work->kernel_height; kh++) {
            const float *in = pointers ? NULL : rows[kh * tap_step] + start + channel;
            w = evr_depthwise_slide(sum, T, K, S, K, w, in, pitch, pixels, channel);
            if (pointers) pixels += tap_pixels;
          }
        } else if (K > 0) {
          EVR_UNROLL
          for (int kh = 0; kh < K; kh++) {
            const float *in = pointers ? NULL : rows[kh * tap_step] + start + channel;
            w = evr_depthwise_slide(sum, T, K, S, EVR_DEPTHWISE_HELD(T, K), w, in, pitch, pixels,
                                    channel);
            if (pointers) pixels += tap_pixels;
          }
        } else {
          for (int64_t kh = 0; kh < work->kernel_height; kh++) {
            const float *in = pointers ? NULL : rows[kh * tap_step] + start + channel;
            w = evr_depthwise_step(sum, T, work, w, in, pitch, pixels, channel);
            if (pointers) pixels += tap_pixels;
          }
        }
        const int64_t at = row * work->y_row + first * work->y_pitch + channel;
        if (whole)
          evr_depthwise_finish(sum, T, true, work, columns, at, channel);
        else
          evr_depthwise_finish(sum, T, false, work, columns, at, channel);
      }
    }
    if (activate) evr_depthwise_activate(work, work->y + row * work->y_row);
  }
}

/* One tile of each row through pointers, EVR_DEPTHWISE_TOGETHER vectors of channels at a time and
 * kernel row by kernel row, so that what is read of a pixel at a time is long. The sums wait in
 * memory between one kernel row and the next. */
EVR_INLINE void evr_depthwise_run_in_turn(const evr_depthwise_work *work, const int T, const int K,
                                          const int S) {
  const int64_t row_pixels = (T - 1) * S + K, columns = work->columns;
  for (int64_t row = 0; row < work->out_rows; row++) {
    float *const y = work->y + row * work->y_row;
    for (int64_t begin = work->first_vector; begin < work->vectors;
         begin += EVR_DEPTHWISE_TOGETHER) {
      const int64_t end = evr_min(begin + EVR_DEPTHWISE_TOGETHER, work->vectors);
      const float *const *pixels = work->pixels + row * work->row_step * row_pixels;
      EVR_UNROLL
      for (int kh = 0; kh < K; kh++) {
        float *waiting = work->sums;
        const float *w = work->weights + (begin * K + kh) * K * EVR_LANES;
        for (int64_t v = begin; v < end; v++) {
          const int64_t channel = evr_min(v * EVR_LANES, work->last_channel);
          vf sum[EVR_DEPTHWISE_WIDE];
          EVR_UNROLL
          for (int t = 0; t < T; t++)
            sum[t] = kh == 0 ? vf_zero() : vf_load(waiting + t * EVR_LANES);
          evr_depthwise_slide(sum, T, K, S, EVR_DEPTHWISE_HELD(T, K), w, NULL, 0, pixels, channel);
          if (kh + 1 == K) {
            const int64_t at = row * work->y_row + channel;
            if (columns >= T)
              evr_depthwise_finish(sum, T, true, work, columns, at, channel);
            else
              evr_depthwise_finish(sum, T, false, work, columns, at, channel);
          } else {
            EVR_UNROLL
            for (int t = 0; t < T; t++) vf_store(waiting + t * EVR_LANES, sum[t]);
          }
          waiting += T * EVR_LANES;
          w += K * K * EVR_LANES;
        }
        pixels += work->tap_step * row_pixels;
      }
    }
    if (!evr_depthwise_activates(work->activation->kind)) evr_depthwise_activate(work, y);
  }
}

/* The same where registers are many: four vectors of channels at a time, whose sums stay in them.
 * The last vectors of a block, where they are fewer, go in turn. */
EVR_INLINE void evr_depthwise_run_together(const evr_depthwise_work *work, const int T, const int K,
                                           const int S) {
  const int64_t row_pixels = (T - 1) * S + K, columns = work->columns;
  const int held = EVR_DEPTHWISE_HELD(4 * T, K), L = EVR_LANES, vector = K * K * EVR_LANES;
  const int64_t end = (work->last_channel / L + 1) / 4 * 4 * L;
  for (int64_t row = 0; row < work->out_rows; row++) {
    const float *w = work->weights;
    for (int64_t channel = 0; channel < end; channel += 4 * L) {
      const float *const *pixels = work->pixels + row * work->row_step * row_pixels;
      vf a[EVR_DEPTHWISE_WIDE], b[EVR_DEPTHWISE_WIDE], c[EVR_DEPTHWISE_WIDE], d[EVR_DEPTHWISE_WIDE];
      EVR_UNROLL
      for (int t = 0; t < T; t++) a[t] = b[t] = c[t] = d[t] = vf_zero();
      EVR_ROLL
      for (int kh = 0; kh < K; kh++) {
        evr_depthwise_slide(a, T, K, S, held, w, NULL, 0, pixels, channel);
        evr_depthwise_slide(b, T, K, S, held, w + vector, NULL, 0, pixels, channel + L);
        evr_depthwise_slide(c, T, K, S, held, w + 2 * vector, NULL, 0, pixels, channel + 2 * L);
        evr_depthwise_slide(d, T, K, S, held, w + 3 * vector, NULL, 0, pixels, channel + 3 * L);
        w += K * L;
        pixels += work->tap_step * row_pixels;
      }
      w += 3 * vector;
      const int64_t at = row * work->y_row + channel;
      const bool whole = columns >= T;
      evr_depthwise_finish(a, T, whole, work, columns, at, channel);
      evr_depthwise_finish(b, T, whole, work, columns, at + L, channel + L);
      evr_depthwise_finish(c, T, whole, work, columns, at + 2 * L, channel + 2 * L);
      evr_depthwise_finish(d, T, whole, work, columns, at + 3 * L, channel + 3 * L);
    }
  }
  evr_depthwise_work left = *work;
  left.first_vector = end / EVR_LANES;
  if (left.first_vector < left.vectors || !evr_depthwise_activates(work->activation->kind))
    evr_depthwise_run_in_turn(&left, T, K, S);
}

#define EVR_DEPTHWISE_FUNCTION(name, t, k, s, pointers) \
  static void name(const evr_depthwise_work *work) { evr_depthwise_run(work, t, k, s, pointers); }
#define EVR_DEPTHWISE_FUNCTIONS(name, k, s)                                        \
  EVR_DEPTHWISE_FUNCTION(name##_narrow_rows, EVR_DEPTHWISE_NARROW, k, s, false)    \
  EVR_DEPTHWISE_FUNCTION(name##_narrow_pointers, EVR_DEPTHWISE_NARROW, k, s, true) \
  EVR_DEPTHWISE_FUNCTION(name##_wide_rows, EVR_DEPTHWISE_WIDE, k, s, false)        \
  EVR_DEPTHWISE_FUNCTION(name##_wide_pointers, EVR_DEPTHWISE_WIDE, k, s, true)
#define EVR_DEPTHWISE_TOGETHER_FUNCTION(name, t, k, s) \
  static void name(const evr_depthwise_work *work) {   \
    if (EVR_DEPTHWISE_SUMS_WAIT)                       \
      evr_depthwise_run_in_turn(work, t, k, s);        \
    else                                               \
      evr_depthwise_run_together(work, t, k, s);       \
  }
#define EVR_DEPTHWISE_TOGETHER_FUNCTIONS(name, k, s)                                  \
  EVR_DEPTHWISE_TOGETHER_FUNCTION(name##_narrow_together, EVR_DEPTHWISE_NARROW, k, s) \
  EVR_DEPTHWISE_TOGETHER_FUNCTION(name##_wide_together, EVR_DEPTHWISE_WIDE, k, s)
#define EVR_DEPTHWISE_TILES(name) \
  {name##_narrow_rows, name##_narrow_pointers}, { name##_wide_rows, name##_wide_pointers }

EVR_DEPTHWISE_FUNCTIONS(k1s1, 1, 1)
EVR_DEPTHWISE_FUNCTIONS(k2s1, 2, 1)
EVR_DEPTHWISE_FUNCTIONS(k3s1, 3, 1)
EVR_DEPTHWISE_FUNCTIONS(k3s2, 3, 2)
EVR_DEPTHWISE_FUNCTIONS(k5s1, 5, 1)
EVR_DEPTHWISE_FUNCTIONS(k5s2, 5, 2)
EVR_DEPTHWISE_FUNCTIONS(k7s1, 7, 1)
EVR_DEPTHWISE_FUNCTIONS(any, 0, 0)
EVR_DEPTHWISE_TOGETHER_FUNCTIONS(k3s1, 3, 1)
EVR_DEPTHWISE_TOGETHER_FUNCTIONS(k3s2, 3, 2)

/* The last one serves what no other does. */
static const evr_depthwise_kind evr_depthwise_kinds[] = {
    {3, 1, {EVR_DEPTHWISE_TILES(k3s1)}, {k3s1_narrow_together, k3s1_wide_together}},
    {3, 2, {EVR_DEPTHWISE_TILES(k3s2)}, {k3s2_narrow_together, k3s2_wide_together}},
    {5, 1, {EVR_DEPTHWISE_TILES(k5s1)}, {NULL, NULL}},
    {5, 2, {EVR_DEPTHWISE_TILES(k5s2)}, {NULL, NULL}},
    {7, 1, {EVR_DEPTHWISE_TILES(k7s1)}, {NULL, NULL}},
    /* Of any height: what the phases of a stride are (turned_phases.h). */
    {1, 1, {EVR_DEPTHWISE_TILES(k1s1)}, {NULL, NULL}},
    {2, 1, {EVR_DEPTHWISE_TILES(k2s1)}, {NULL, NULL}},
    {0, 0, {EVR_DEPTHWISE_TILES(any)}, {NULL, NULL}},
};

#endif
