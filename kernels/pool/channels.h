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

/* How far apart vectors lie that are taken together: channels of one window, or windows. */
typedef struct evr_apart {
  int64_t x, y;  /* floats */
  int64_t index; /* pixels */
} evr_apart;

/* vectors of channels (each of EVR_LANES, or all of one of fewer), offset at from the first
 * channel. */
EVR_INLINE void evr_condense_vectors(evr_pool_kind kind, bool indexed, int vectors, evr_apart apart,
                                     int64_t channels, int64_t rows, int64_t columns,
                                     const evr_patch *patch, int64_t at, float *y,
                                     int32_t *indices) {
  evr_fold folds[EVR_POOL_VECTORS];
  EVR_UNROLL
  for (int v = 0; v < vectors; v++)
    folds[v] =
        evr_fold_begin(kind, vi_set1(indexed ? (int32_t)(patch->index + v * apart.index) : 0));
  for (int64_t row = 0; row < rows; row++) {
    const float *x = patch->x + at + row * patch->row_step;
    int64_t column = 0;
    for (; !indexed && column + 2 <= columns; column += 2) {
      const float *tap = x + column * patch->column_step, *next = tap + patch->column_step;
      EVR_UNROLL
      for (int v = 0; v < vectors; v++)
        evr_fold_pair(kind, &folds[v], evr_load_lanes(tap + v * apart.x, channels),
                      evr_load_lanes(next + v * apart.x, channels));
    }
    for (; column < columns; column++) {
      const float *tap = x + column * patch->column_step;
      const int64_t index =
          patch->index + row * patch->index_row_step + column * patch->index_column_step;
      EVR_UNROLL
      for (int v = 0; v < vectors; v++)
        evr_fold_pixel(kind, indexed, &folds[v], evr_load_lanes(tap + v * apart.x, channels),
                       vi_set1(indexed ? (int32_t)(index + v * apart.index) : 0));
    }
  }
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) {
    const vf result = evr_fold_value(kind, indexed, &folds[v]);
    const vf value = kind == EVR_POOL_AVERAGE ? evr_divide_sum(result, patch) : result;
    evr_store_lanes(y + at + v * apart.y, value, channels);
    if (indexed) evr_store_index_lanes(indices + at + v * apart.y, folds[v].index, channels);
  }
}

/* Pixels of a large window that are added up together: a row of the usual 7x7. With AVX-512 4 are
 * 3 % quicker, with AVX2 they take 1.25 times as long; 12 are slower with both, as pixels of many
 * channels share places of L1. */
#define EVR_POOL_STREAMS 7
/* Of that many channels such sums are worth their way through memory: each pixel is a page then,
 * and short runs in many pages are fetched late. */
#define EVR_POOL_MANY_CHANNELS 1024

/* Onto the sums of all channels in y, or +0, so many pixels: each is read from end to end, as the
 * hardware expects. count is a constant where this is inlined. */
EVR_INLINE void evr_add_pixels(const float *const *pixels, const int count, int64_t channels,
                               bool first, float *y) {
  for (int64_t at = 0; at < channels; at += EVR_LANES) {
    /* Only the last vector may be short. */
    const int64_t lanes = evr_min(EVR_LANES, channels - at);
    vf sum = first ? vf_zero() : evr_load_lanes(y + at, lanes);
    EVR_UNROLL
    for (int i = 0; i < count; i++) sum = vf_add(sum, evr_load_lanes(pixels[i] + at, lanes));
    evr_store_lanes(y + at, sum, lanes);
  }
}

/* The average of one window of many taps and channels. */
EVR_INLINE void evr_average_streams(int64_t channels, int64_t rows, int64_t columns,
                                    const evr_patch *patch, float *y) {
  const float *pixels[EVR_POOL_STREAMS];
  int count = 0;
  bool first = true;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t column = 0; column < columns; column++) {
      pixels[count++] = patch->x + row * patch->row_step + column * patch->column_step;
      if (count < EVR_POOL_STREAMS) continue;
      evr_add_pixels(pixels, EVR_POOL_STREAMS, channels, first, y);
      count = 0;
      first = false;
    }
  int done = 0;
  for (; done + 3 <= count; done += 3) evr_add_pixels(pixels + done, 3, channels, false, y);
  for (; done < count; done++) evr_add_pixels(pixels + done, 1, channels, false, y);
  for (int64_t at = 0; at < channels; at += EVR_LANES) {
    const int64_t lanes = evr_min(EVR_LANES, channels - at);
    evr_store_lanes(y + at, evr_divide_sum(evr_load_lanes(y + at, lanes), patch), lanes);
  }
}

/* One window of at least EVR_LANES channels. */
EVR_INLINE void evr_condense_channels(evr_pool_kind kind, bool indexed, int64_t channels,
                                      int64_t rows, int64_t columns, const evr_patch *patch,
                                      float *y, int32_t *indices) {
  const evr_apart apart = {EVR_LANES, EVR_LANES, 0};
  int64_t at = 0;
  if (kind == EVR_POOL_AVERAGE && rows * columns > 16 && channels >= EVR_POOL_MANY_CHANNELS) {
    evr_average_streams(channels, rows, columns, patch, y);
    return;
  }
  /* Many taps: longer runs, for the sake of prefetching and address translation. */
  if (!indexed && rows * columns > 16)
    for (; at + EVR_POOL_VECTORS * EVR_LANES <= channels; at += EVR_POOL_VECTORS * EVR_LANES)
      evr_condense_vectors(kind, indexed, EVR_POOL_VECTORS, apart, EVR_LANES, rows, columns, patch,
                           at, y, indices);
  for (; at + 4 * EVR_LANES <= channels; at += 4 * EVR_LANES)
    evr_condense_vectors(kind, indexed, 4, apart, EVR_LANES, rows, columns, patch, at, y, indices);
  /* The last channels: once more with some that are done, so that the vector is whole. */
  for (; at < channels; at += EVR_LANES)
    evr_condense_vectors(kind, indexed, 1, apart, EVR_LANES, rows, columns, patch,
                         evr_min(at, channels - EVR_LANES), y, indices);
}

/* To the next window, of the next output column. */
EVR_INLINE void evr_next_windows(evr_patch *patch, evr_apart apart, int64_t windows) {
  patch->x += windows * apart.x;
  patch->index += windows * apart.index;
}

/* Averages of windows that begin a pixel after one another: what several have in common is loaded
 * once, and meets each in its own order. At least EVR_POOL_NEIGHBOURS - 1 columns. */
#define EVR_POOL_NEIGHBOURS 4
EVR_INLINE void evr_average_neighbours(int vectors, int64_t rows, int64_t columns,
                                       const evr_patch *patch, int64_t at, float *y,
                                       int64_t y_step) {
  const int last = EVR_POOL_NEIGHBOURS - 1;
  vf sum[EVR_POOL_NEIGHBOURS][2];
  EVR_UNROLL
  for (int w = 0; w <= last; w++) EVR_UNROLL
  for (int v = 0; v < vectors; v++) sum[w][v] = vf_zero();
  for (int64_t row = 0; row < rows; row++) {
    const float *x = patch->x + at + row * patch->row_step;
    EVR_UNROLL
    for (int c = 0; c < last; c++, x += patch->column_step) EVR_UNROLL
    for (int v = 0; v < vectors; v++) {
      const vf pixel = vf_once(vf_load(x + v * EVR_LANES));
      EVR_UNROLL
      for (int w = 0; w <= c; w++) sum[w][v] = vf_add(sum[w][v], pixel);
    }
    for (int64_t c = last; c < columns; c++, x += patch->column_step) EVR_UNROLL
    for (int v = 0; v < vectors; v++) {
      const vf pixel = vf_once(vf_load(x + v * EVR_LANES));
      EVR_UNROLL
      for (int w = 0; w <= last; w++) sum[w][v] = vf_add(sum[w][v], pixel);
    }
    EVR_UNROLL
    for (int c = 0; c < last; c++, x += patch->column_step) EVR_UNROLL
    for (int v = 0; v < vectors; v++) {
      const vf pixel = vf_once(vf_load(x + v * EVR_LANES));
      EVR_UNROLL
      for (int w = c + 1; w <= last; w++) sum[w][v] = vf_add(sum[w][v], pixel);
    }
  }
  EVR_UNROLL
  for (int w = 0; w <= last; w++) EVR_UNROLL
  for (int v = 0; v < vectors; v++)
    vf_store(y + at + w * y_step + v * EVR_LANES, evr_divide_sum(sum[w][v], patch));
}

/* The same of all channels, at least EVR_LANES. */
EVR_INLINE void evr_average_all_neighbours(int64_t channels, int64_t rows, int64_t columns,
                                           const evr_patch *patch, float *y, int64_t y_step) {
  int64_t at = 0;
  for (; at + 2 * EVR_LANES <= channels; at += 2 * EVR_LANES)
    evr_average_neighbours(2, rows, columns, patch, at, y, y_step);
  for (; at < channels; at += EVR_LANES)
    evr_average_neighbours(1, rows, columns, patch, evr_min(at, channels - EVR_LANES), y, y_step);
}

/* Windows side by side, of which rows x columns taps fall on the image. channels is a constant
 * where it is EVR_LANES, and so may rows and columns be. */
EVR_INLINE void evr_condense_windows(evr_pool_kind kind, bool indexed, int64_t channels,
                                     int64_t rows, int64_t columns, evr_patch patch,
                                     evr_apart apart, int64_t windows, float *y, int32_t *indices) {
  const bool neighbours = kind == EVR_POOL_AVERAGE && apart.x == patch.column_step &&
                          columns >= EVR_POOL_NEIGHBOURS - 1 && channels >= EVR_LANES;
  for (int64_t done = 0; done < windows;) {
    const int64_t out = done * apart.y;
    int32_t *winners = indexed ? indices + out : NULL;
    int64_t together = 1;
    if (neighbours && done + EVR_POOL_NEIGHBOURS <= windows) {
      evr_average_all_neighbours(channels, rows, columns, &patch, y + out, apart.y);
      together = EVR_POOL_NEIGHBOURS;
    } else if (channels > EVR_LANES) {
      evr_condense_channels(kind, indexed, channels, rows, columns, &patch, y + out, winners);
    } else if (done + 4 <= windows) {
      evr_condense_vectors(kind, indexed, 4, apart, channels, rows, columns, &patch, 0, y + out,
                           winners);
      together = 4;
    } else {
      evr_condense_vectors(kind, indexed, 1, apart, channels, rows, columns, &patch, 0, y + out,
                           winners);
    }
    done += together;
    if (done < windows) evr_next_windows(&patch, apart, together);
  }
}

/* The same; the usual windows are made constants to the compiler, which saves about a tenth of the
 * time. Compiling takes a while as it is, so only windows that networks have are. */
EVR_INLINE void evr_condense_usual(evr_pool_kind kind, bool indexed, int64_t channels,
                                   const evr_patch *patch, evr_apart apart, int64_t windows,
                                   float *y, int32_t *indices) {
  const bool usual = !indexed && kind != EVR_POOL_MIN;
  if (usual && patch->rows == 2 && patch->columns == 2)
    evr_condense_windows(kind, indexed, channels, 2, 2, *patch, apart, windows, y, indices);
  else if (usual && patch->rows == 3 && patch->columns == 3)
    evr_condense_windows(kind, indexed, channels, 3, 3, *patch, apart, windows, y, indices);
  else
    evr_condense_windows(kind, indexed, channels, patch->rows, patch->columns, *patch, apart,
                         windows, y, indices);
}

/* Windows of output columns [begin, end) of a row, with the same taps of the kernel. */
EVR_INLINE void evr_channels_windows(const evr_channels_job *job, evr_pool_kind kind, bool indexed,
                                     const evr_taps *rows, const evr_taps *columns, int64_t oh,
                                     int64_t begin, int64_t end) {
  const evr_axis *v = &job->vertical, *h = &job->horizontal;
  const int64_t first_row = rows->start + rows->first * v->dilation;
  const int64_t first_column = columns->start + columns->first * h->dilation;
  evr_patch patch = {.x = job->x,
                     .rows = rows->end - rows->first,
                     .columns = columns->end - columns->first,
                     .row_step = v->dilation * h->in * job->pixel,
                     .column_step = h->dilation * job->pixel,
                     .index = first_row * h->in + first_column,
                     .index_row_step = v->dilation * h->in,
                     .index_column_step = h->dilation,
                     .divisor = evr_divisor(rows->counted, columns->counted)};
  patch.inverse = evr_exact_inverse(patch.divisor);
  evr_apart apart = {h->stride * job->pixel, job->pixel, h->stride};
  if (patch.rows > 0 && patch.columns > 0) {
    patch.x += patch.index * job->pixel;
  } else {
    patch.rows = patch.columns = 0;
    patch.index = -1;
    apart.x = apart.index = 0;
  }
  const int64_t out = (oh * job->problem->sizes.out_width + begin) * job->pixel;
  float *y = job->y + out;
  int32_t *indices = indexed ? job->indices + out : NULL;
  if (job->channels == EVR_LANES)
    evr_condense_usual(kind, indexed, EVR_LANES, &patch, apart, end - begin, y, indices);
  else
    evr_condense_usual(kind, indexed, job->channels, &patch, apart, end - begin, y, indices);
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
