/* Pooling with channels in the lanes: every tap is a run of channels, so a window at the border
 * only has fewer taps, and nothing is masked but the last channels. */
#ifndef EVR_POOL_CHANNELS_H
#define EVR_POOL_CHANNELS_H

#include "pool/fold.h"
#include "pool/taps.h"

/* Some output rows of one image (NHWC), or of one plane as an image of one channel (NCHW). */
typedef struct evr_channels_job {
  const evr_pool2d_problem *problem;
  evr_axis vertical, horizontal;
  const float *x;   /* the image, from the first channel to do on */
  float *y;         /* likewise */
  int32_t *indices; /* likewise, or NULL */
  int64_t pixel;    /* floats from pixel to pixel */
  int64_t channels; /* how many of them to do */
} evr_channels_job;

/* Vectors of channels taken through a window at once, at most. */
#define EVR_POOL_VECTORS 8

/* The taps of one window that fall on the image. */
typedef struct evr_patch {
  const float *x; /* the first of them */
  int64_t rows, columns;
  int64_t row_step, column_step;
  int64_t index, index_row_step, index_column_step;
  float divisor;
  float inverse; /* evr_exact_inverse(divisor) */
} evr_patch;

EVR_INLINE vf evr_divide_sum(vf sum, const evr_patch *patch) {
  return patch->inverse != 0.0f ? vf_mul(sum, vf_set1(patch->inverse))
                                : vf_div(sum, vf_set1(patch->divisor));
}

/* Whole vectors, or one vector of fewer channels, offset at from the first channel. */
EVR_INLINE void evr_condense_vectors(evr_pool_kind kind, bool indexed, int vectors,
                                     int64_t channels, int64_t rows, int64_t columns,
                                     const evr_patch *patch, int64_t at, float *y,
                                     int32_t *indices) {
  evr_fold folds[EVR_POOL_VECTORS];
  const vi first = vi_set1(indexed ? (int32_t)patch->index : 0);
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) folds[v] = evr_fold_begin(kind, first);
  for (int64_t row = 0; row < rows; row++) {
    const float *tap = patch->x + at + row * patch->row_step;
    int64_t column = 0;
    for (; !indexed && column + 2 <= columns; column += 2, tap += 2 * patch->column_step) {
      EVR_UNROLL
      for (int v = 0; v < vectors; v++)
        evr_fold_pair(kind, &folds[v], evr_load_lanes(tap + v * EVR_LANES, channels),
                      evr_load_lanes(tap + patch->column_step + v * EVR_LANES, channels));
    }
    for (; column < columns; column++, tap += patch->column_step) {
      const vi index = vi_set1(indexed ? (int32_t)(patch->index + row * patch->index_row_step +
                                                   column * patch->index_column_step)
                                       : 0);
      EVR_UNROLL
      for (int v = 0; v < vectors; v++)
        evr_fold_pixel(kind, indexed, &folds[v], evr_load_lanes(tap + v * EVR_LANES, channels),
                       index);
    }
  }
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) {
    const vf result = evr_fold_value(kind, indexed, &folds[v]);
    const vf value = kind == EVR_POOL_AVERAGE ? evr_divide_sum(result, patch) : result;
    evr_store_lanes(y + at + v * EVR_LANES, value, channels);
    if (indexed) evr_store_index_lanes(indices + at + v * EVR_LANES, folds[v].index, channels);
  }
}

/* All channels of one window. */
EVR_INLINE void evr_condense_channels(evr_pool_kind kind, bool indexed, int64_t channels,
                                      int64_t rows, int64_t columns, const evr_patch *patch,
                                      float *y, int32_t *indices) {
  int64_t at = 0;
  /* Many taps: longer runs, for the sake of prefetching and address translation. */
  if (rows * columns > 16)
    for (; at + EVR_POOL_VECTORS * EVR_LANES <= channels; at += EVR_POOL_VECTORS * EVR_LANES)
      evr_condense_vectors(kind, indexed, EVR_POOL_VECTORS, EVR_LANES, rows, columns, patch, at, y,
                           indices);
  for (; at + 4 * EVR_LANES <= channels; at += 4 * EVR_LANES)
    evr_condense_vectors(kind, indexed, 4, EVR_LANES, rows, columns, patch, at, y, indices);
  for (; at + EVR_LANES <= channels; at += EVR_LANES)
    evr_condense_vectors(kind, indexed, 1, EVR_LANES, rows, columns, patch, at, y, indices);
  if (at == channels) return;
  /* The last channels: once more with some that are done, so that the vector is whole. */
  if (at > 0)
    evr_condense_vectors(kind, indexed, 1, EVR_LANES, rows, columns, patch, channels - EVR_LANES, y,
                         indices);
  else
    evr_condense_vectors(kind, indexed, 1, channels, rows, columns, patch, 0, y, indices);
}

/* Windows of output columns [begin, end) of a row, whose taps are rows x columns of the kernel. The
 * usual windows are constants to the compiler. */
EVR_INLINE void evr_channels_windows(const evr_channels_job *job, evr_pool_kind kind, bool indexed,
                                     const evr_taps *rows, const evr_taps *columns, int64_t oh,
                                     int64_t begin, int64_t end) {
  const evr_axis *v = &job->vertical, *h = &job->horizontal;
  const int64_t first_row = rows->start + rows->first * v->dilation;
  const int64_t first_column = columns->start + columns->first * h->dilation;
  evr_patch patch = {.rows = rows->end - rows->first,
                     .columns = columns->end - columns->first,
                     .row_step = v->dilation * h->in * job->pixel,
                     .column_step = h->dilation * job->pixel,
                     .index = first_row * h->in + first_column,
                     .index_row_step = v->dilation * h->in,
                     .index_column_step = h->dilation};
  int64_t step = h->stride; /* to the next window, in pixels */
  if (patch.rows == 0 || patch.columns == 0) {
    patch.rows = patch.columns = 0;
    patch.index = -1;
    patch.x = job->x;
    step = 0;
  } else {
    patch.x = job->x + patch.index * job->pixel;
  }
  patch.divisor = evr_divisor(rows->counted, columns->counted);
  patch.inverse = evr_exact_inverse(patch.divisor);
  const int64_t out = (oh * job->problem->sizes.out_width + begin) * job->pixel;
  float *y = job->y + out;
  int32_t *indices = indexed ? job->indices + out : NULL;
  for (int64_t ow = begin; ow < end; ow++) {
    if (!indexed && patch.rows == 2 && patch.columns == 2)
      evr_condense_channels(kind, indexed, job->channels, 2, 2, &patch, y, indices);
    else if (!indexed && patch.rows == 3 && patch.columns == 3)
      evr_condense_channels(kind, indexed, job->channels, 3, 3, &patch, y, indices);
    else
      evr_condense_channels(kind, indexed, job->channels, patch.rows, patch.columns, &patch, y,
                            indices);
    if (ow + 1 == end) break; /* so that no pointer leaves the image */
    patch.x += step * job->pixel;
    patch.index += step;
    y += job->pixel;
    if (indexed) indices += job->pixel;
  }
}

EVR_INLINE void evr_channels_row(const evr_channels_job *job, evr_pool_kind kind, bool indexed,
                                 int64_t oh) {
  const evr_axis *h = &job->horizontal;
  const evr_taps rows = evr_taps_of(&job->vertical, oh);
  const int64_t out_width = job->problem->sizes.out_width;
  for (int64_t ow = 0; ow < out_width;) {
    const evr_taps columns = evr_taps_of(h, ow);
    const int64_t end = ow >= h->inside_first && ow < h->inside_end ? h->inside_end : ow + 1;
    evr_channels_windows(job, kind, indexed, &rows, &columns, oh, ow, end);
    ow = end;
  }
}

/* Output rows [begin, end). */
static void evr_channels_rows(const evr_channels_job *job, int64_t begin, int64_t end) {
  const evr_pool_kind kind = job->problem->desc.window.kind;
  const bool indexed = job->indices != NULL;
  for (int64_t oh = begin; oh < end; oh++) {
    if (kind == EVR_POOL_AVERAGE)
      evr_channels_row(job, EVR_POOL_AVERAGE, false, oh);
    else if (kind == EVR_POOL_MAX && indexed)
      evr_channels_row(job, EVR_POOL_MAX, true, oh);
    else if (kind == EVR_POOL_MAX)
      evr_channels_row(job, EVR_POOL_MAX, false, oh);
    else if (indexed)
      evr_channels_row(job, EVR_POOL_MIN, true, oh);
    else
      evr_channels_row(job, EVR_POOL_MIN, false, oh);
  }
}

#endif
