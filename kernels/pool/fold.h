/* Condensing pixels to one value, in the vocabulary of simd.h. Each lane is a window of its own and
 * meets its pixels in the order of rows, then columns, so ties, NaN and the order of sums come out
 * as in the reference. kind and indexed are constants wherever these are inlined. */
#ifndef EVR_POOL_FOLD_H
#define EVR_POOL_FOLD_H

#include "evrisim/types.h"
#include "simd/simd.h"

/* n lanes, which is the constant EVR_LANES wherever it matters. */
EVR_INLINE vf evr_load_lanes(const float *x, int64_t n) {
  return n == EVR_LANES ? vf_load(x) : vf_load_n(x, n);
}
EVR_INLINE void evr_store_lanes(float *y, vf value, int64_t n) {
  if (n == EVR_LANES)
    vf_store(y, value);
  else
    vf_store_n(y, value, n);
}
EVR_INLINE vi evr_load_index_lanes(const int32_t *indices, int64_t n) {
  return n == EVR_LANES ? vi_load(indices) : vi_load_n(indices, n);
}
EVR_INLINE void evr_store_index_lanes(int32_t *indices, vi index, int64_t n) {
  if (n == EVR_LANES)
    vi_store(indices, index);
  else
    vi_store_n(indices, index, n);
}

typedef struct evr_fold {
  vf value;
  vm nan;   /* of a maximum or minimum without indices: whether a NaN was met */
  vi index; /* of one with indices: where value was found */
} evr_fold;

EVR_INLINE float evr_fold_start(evr_pool_kind kind) {
  return kind == EVR_POOL_AVERAGE ? 0.0f : kind == EVR_POOL_MAX ? -INFINITY : INFINITY;
}

/* index: what stands if no pixel beats the start, that is, the first pixel, or -1 for none. */
EVR_INLINE evr_fold evr_fold_begin(evr_pool_kind kind, vi index) {
  return (evr_fold){vf_set1(evr_fold_start(kind)), vf_is_nan(vf_zero()), index};
}

EVR_INLINE vf evr_fold_extreme(evr_pool_kind kind, vf pixel, vf best) {
  return kind == EVR_POOL_MAX ? vf_greater(pixel, best) : vf_smaller(pixel, best);
}

EVR_INLINE void evr_fold_pixel(evr_pool_kind kind, bool indexed, evr_fold *f, vf pixel, vi index) {
  if (kind == EVR_POOL_AVERAGE) {
    f->value = vf_add(f->value, pixel);
  } else if (!indexed) {
    pixel = vf_once(pixel);
    f->value = evr_fold_extreme(kind, pixel, f->value);
    f->nan = vm_or(f->nan, vf_is_nan(pixel));
  } else {
    const vm better = kind == EVR_POOL_MAX ? vf_gt(pixel, f->value) : vf_lt(pixel, f->value);
    const vm first_nan = vm_andnot(vf_is_nan(pixel), vf_is_nan(f->value));
    const vm wins = vm_or(better, first_nan);
    f->value = vf_select(wins, pixel, f->value);
    f->index = vi_select(wins, index, f->index);
  }
}

/* Two pixels without indices: one test for NaN does for both. */
EVR_INLINE void evr_fold_pair(evr_pool_kind kind, evr_fold *f, vf first, vf second) {
  if (kind == EVR_POOL_AVERAGE) {
    f->value = vf_add(vf_add(f->value, first), second);
  } else {
    first = vf_once(first);
    second = vf_once(second);
    f->value = evr_fold_extreme(kind, second, evr_fold_extreme(kind, first, f->value));
    f->nan = vm_or(f->nan, vf_unordered(first, second));
  }
}

/* A maximum or minimum without indices goes on with what later pixels came to. */
EVR_INLINE void evr_fold_join(evr_pool_kind kind, evr_fold *f, const evr_fold *later) {
  f->value = evr_fold_extreme(kind, later->value, f->value);
  f->nan = vm_or(f->nan, later->nan);
}

/* The value of a maximum or minimum, the sum of an average. */
EVR_INLINE vf evr_fold_value(evr_pool_kind kind, bool indexed, const evr_fold *f) {
  if (kind == EVR_POOL_AVERAGE || indexed) return f->value;
  return vf_select(f->nan, vf_set1(NAN), f->value);
}

#endif
