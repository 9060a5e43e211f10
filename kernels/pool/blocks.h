/* Pooling of small planes (NCHW), where rows are too short for vectors: as many planes as there are
 * lanes are transposed, so that the planes become channels. */
#ifndef EVR_POOL_BLOCKS_H
#define EVR_POOL_BLOCKS_H

#include "pool/channels.h"

/* Largest plane, in pixels: a block of input and one of output fit L1 beside each other. */
#define EVR_BLOCK_PIXELS 256

/* At most EVR_LANES planes. */
typedef struct evr_block {
  const float *x;
  float *y;
  int32_t *indices; /* or NULL */
  int64_t planes;
  int64_t in, out;             /* pixels of a plane */
  int64_t in_plane, out_plane; /* from one plane to the next */
} evr_block;

/* Lane j of the result's vector i is pixel i of plane j. count: pixels, at most EVR_LANES. */
EVR_INLINE void evr_block_load(const evr_block *b, int64_t first, int64_t count,
                               vf pixels[EVR_LANES]) {
  if (b->planes == EVR_LANES && count == EVR_LANES) {
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++) pixels[j] = vf_load(b->x + j * b->in_plane + first);
  } else {
    for (int j = 0; j < EVR_LANES; j++)
      pixels[j] = j < b->planes ? vf_load_n(b->x + j * b->in_plane + first, count) : vf_zero();
  }
  vf_transpose(pixels);
}

/* The first of the next pixels to transpose when there are all of them: the last ones go with some
 * that are done, so that their square is whole. */
EVR_INLINE int64_t evr_block_square(int64_t at, int64_t all) {
  return all - at < EVR_LANES ? evr_max(0, all - EVR_LANES) : at;
}

EVR_INLINE void evr_block_transpose_in(const evr_block *b, float *to) {
  const int64_t count = evr_min(b->in, EVR_LANES);
  for (int64_t at = 0; at < b->in; at += EVR_LANES) {
    const int64_t first = evr_block_square(at, b->in);
    vf pixels[EVR_LANES];
    evr_block_load(b, first, count, pixels);
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++)
      if (i < count) vf_store(to + (first + i) * EVR_LANES, pixels[i]);
  }
}

EVR_INLINE void evr_block_transpose_out(const evr_block *b, const float *from) {
  const int64_t count = evr_min(b->out, EVR_LANES);
  for (int64_t at = 0; at < b->out; at += EVR_LANES) {
    const int64_t first = evr_block_square(at, b->out);
    vf planes[EVR_LANES];
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++)
      planes[i] = i < count ? vf_load(from + (first + i) * EVR_LANES) : vf_zero();
    vf_transpose(planes);
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++)
      if (j < b->planes) evr_store_lanes(b->y + j * b->out_plane + first, planes[j], count);
  }
}

EVR_INLINE void evr_block_transpose_indices(const evr_block *b, const int32_t *from) {
  const int64_t count = evr_min(b->out, EVR_LANES);
  for (int64_t at = 0; at < b->out; at += EVR_LANES) {
    const int64_t first = evr_block_square(at, b->out);
    vf planes[EVR_LANES];
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++)
      planes[i] = i < count ? vi_as_vf(vi_load(from + (first + i) * EVR_LANES)) : vf_zero();
    vf_transpose(planes);
    EVR_UNROLL
    for (int j = 0; j < EVR_LANES; j++)
      if (j < b->planes)
        evr_store_index_lanes(b->indices + j * b->out_plane + first, vf_bits(planes[j]), count);
  }
}

static void evr_block_run(const evr_pool2d_problem *problem, const evr_axis *vertical,
                          const evr_axis *horizontal, const evr_block *b) {
  float x[EVR_BLOCK_PIXELS * EVR_LANES], y[EVR_BLOCK_PIXELS * EVR_LANES];
  int32_t indices[EVR_BLOCK_PIXELS * EVR_LANES];
  evr_block_transpose_in(b, x);
  const evr_channels_job job = {.problem = problem,
                                .vertical = *vertical,
                                .horizontal = *horizontal,
                                .x = x,
                                .y = y,
                                .indices = b->indices != NULL ? indices : NULL,
                                .pixel = EVR_LANES,
                                .channels = EVR_LANES};
  evr_channels_rows(&job, 0, problem->sizes.out_height);
  evr_block_transpose_out(b, y);
  if (b->indices != NULL) evr_block_transpose_indices(b, indices);
}

/* The one window of a plane that has no other, whatever its size. */
EVR_INLINE void evr_block_global(evr_pool_kind kind, bool indexed, const evr_block *b) {
  evr_fold f = evr_fold_begin(kind, vi_set1(0));
  vf pixels[EVR_LANES];
  int64_t at = 0;
  for (; at + EVR_LANES <= b->in; at += EVR_LANES) {
    evr_block_load(b, at, EVR_LANES, pixels);
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++)
      evr_fold_pixel(kind, indexed, &f, pixels[i], vi_set1(indexed ? (int32_t)at + i : 0));
  }
  if (at < b->in) {
    evr_block_load(b, at, b->in - at, pixels);
    EVR_UNROLL
    for (int i = 0; i < EVR_LANES; i++)
      if (i < b->in - at)
        evr_fold_pixel(kind, indexed, &f, pixels[i], vi_set1(indexed ? (int32_t)at + i : 0));
  }
  vf value = evr_fold_value(kind, indexed, &f);
  if (kind == EVR_POOL_AVERAGE) value = vf_div(value, vf_set1((float)b->in));
  vf_store_n(b->y, value, b->planes);
  if (indexed) vi_store_n(b->indices, f.index, b->planes);
}

static void evr_block_run_global(evr_pool_kind kind, const evr_block *b) {
  if (kind == EVR_POOL_AVERAGE)
    evr_block_global(EVR_POOL_AVERAGE, false, b);
  else if (kind == EVR_POOL_MAX && b->indices != NULL)
    evr_block_global(EVR_POOL_MAX, true, b);
  else if (kind == EVR_POOL_MAX)
    evr_block_global(EVR_POOL_MAX, false, b);
  else if (b->indices != NULL)
    evr_block_global(EVR_POOL_MIN, true, b);
  else
    evr_block_global(EVR_POOL_MIN, false, b);
}

#endif
