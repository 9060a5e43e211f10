#include "conv/band_rows.h"

#include <string.h>

#include "core/checked.h"

/* Only the edges of an image are copied that is this many times wider than what is copied of a row
 * then, and of so many floats; shorter rows take less time as a whole. */
#define WIDER 4
#if !defined(LEAST_FLOATS) /* fewer in a build for the tests, so that small cases have edges */
#define LEAST_FLOATS 128
#endif

static int64_t extent_of(const evr_conv2d_desc *d) {
  return (d->kernel_height - 1) * d->dilation_height + 1;
}

/* Columns of the padded image that windows of the first output columns, or of the last, read. */
static int64_t left_columns(const evr_band_shape *shape, const evr_conv2d_desc *d) {
  return shape->left > 0 ? (shape->left - 1) * d->stride_width + d->kernel_width : 0;
}
static int64_t right_columns(const evr_band_shape *shape, const evr_conv2d_problem *p) {
  const int64_t count = p->sizes.conv_width - shape->right;
  return count > 0 ? (count - 1) * p->desc.stride_width + p->desc.kernel_width : 0;
}

/* Input rows that so many output rows read. */
static int64_t rows_read(const evr_conv2d_desc *d, int64_t rows) {
  return rows > 0 ? (rows - 1) * d->stride_height + extent_of(d) : 0;
}

/* Output rows whose windows reach over the top, and over the bottom only, at most. */
static int64_t most_above(const evr_conv2d_desc *d) {
  return evr_ceil_div(d->pad_top, d->stride_height);
}
static int64_t most_below(const evr_conv2d_desc *d) {
  return evr_ceil_div(d->pad_bottom, d->stride_height);
}

/* Outputs of one direction before *inside, and from *beyond on, have windows that reach over an
 * edge. They are counted from output `first` of the whole image. */
static void find_edges(int64_t first, int64_t outputs, int64_t size, int64_t extent, int64_t stride,
                       int64_t pad, int64_t *inside, int64_t *beyond) {
  const int64_t end = size < extent ? 0 : (size - extent + pad) / stride + 1;
  *inside = evr_min(evr_max(evr_ceil_div(pad, stride) - first, 0), outputs);
  *beyond = evr_max(evr_min(end - first, outputs), *inside);
}

void evr_band_copy_shape_init(evr_band_shape *shape, const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  find_edges(0, p->sizes.conv_width, d->in_width, d->kernel_width, d->stride_width, d->pad_left,
             &shape->left, &shape->right);
  find_edges(p->first_row, p->sizes.conv_height, d->in_height, extent_of(d), d->stride_height,
             d->pad_top, &shape->above, &shape->below);
  const int64_t columns = left_columns(shape, d) + right_columns(shape, p);
  /* The rows over the top and bottom are copied besides: in low images all rows, and twice. */
  const int64_t rows = rows_read(d, most_above(d)) + rows_read(d, most_below(d));
  shape->edges = rows < d->in_height && columns <= d->in_width / WIDER &&
                 d->in_width >= evr_ceil_div(LEAST_FLOATS, d->in_channels);
  /* Windows in the image and at its edges share the distance of their rows. */
  shape->copy_pitch = d->in_width * d->in_channels;
  if (!shape->edges) evr_band_copy_all(shape, p);
}

void evr_band_copy_all(evr_band_shape *shape, const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  shape->edges = false;
  shape->copy_pitch = (d->in_width + d->pad_left + d->pad_right) * d->in_channels;
}

/* Whichever rows of the whole image a problem has, so that its bands can share memory. */
size_t evr_band_copy_bytes(const evr_band_shape *shape, const evr_conv2d_problem *p, int64_t rows) {
  const evr_conv2d_desc *d = &p->desc;
  int64_t copied = rows_read(d, rows);
  if (shape->edges)
    copied +=
        rows_read(d, evr_min(most_above(d), rows)) + rows_read(d, evr_min(most_below(d), rows));
  const size_t pitch = evr_size_product((size_t)shape->copy_pitch, sizeof(float));
  return evr_size_lines(evr_size_product((size_t)copied, pitch));
}

double evr_band_copied(const evr_band_shape *shape, const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  if (!shape->copied) return 0.0;
  if (!shape->edges) return (double)p->sizes.x_count / (double)d->batch;
  const int64_t over = evr_min(most_above(d) + most_below(d), p->sizes.conv_height);
  return (double)d->in_channels *
         ((double)d->in_height * (double)(left_columns(shape, d) + right_columns(shape, p)) +
          (double)rows_read(d, over) * (double)d->in_width);
}

static float *copy_pixel(const evr_conv2d_desc *d, const float *row, int64_t column, float *out) {
  const int64_t iw = evr_source_pixel(column, d->in_width, d->pad_mode);
  for (int64_t c = 0; c < d->in_channels; c++)
    out[c] = iw < 0 ? 0.0f : row[iw * d->in_channels + c];
  return out + d->in_channels;
}

/* Columns [first, end) of one row of the padded image. */
static void copy_columns(const evr_conv2d_desc *d, const float *x, int64_t row, int64_t first,
                         int64_t end, float *out) {
  const int64_t ih = evr_source_pixel(row, d->in_height, d->pad_mode);
  if (ih < 0) {
    memset(out, 0, (size_t)((end - first) * d->in_channels) * sizeof(float));
    return;
  }
  const float *in = x + ih * d->in_width * d->in_channels;
  int64_t column = first;
  for (; column < evr_min(end, 0); column++) out = copy_pixel(d, in, column, out);
  const int64_t inside = (evr_min(end, d->in_width) - column) * d->in_channels;
  if (inside > 0) {
    memcpy(out, in + column * d->in_channels, (size_t)inside * sizeof(float));
    out += inside;
    column = evr_min(end, d->in_width);
  }
  for (; column < end; column++) out = copy_pixel(d, in, column, out);
}

/* Columns [first, end) of all input rows that output rows [top, bottom) read. */
static void copy_rows(const evr_band_shape *shape, const evr_conv2d_problem *p, const float *x,
                      int64_t top, int64_t bottom, int64_t first, int64_t end, float *out) {
  if (end <= first) return;
  const int64_t rows = rows_read(&p->desc, bottom - top);
  for (int64_t row = 0; row < rows; row++)
    copy_columns(&p->desc, x, evr_window_top(p, top) + row, first, end,
                 out + row * shape->copy_pitch);
}

/* The whole padded rows that output rows [top, bottom) read. */
static void copy_padded_rows(const evr_band_shape *shape, const evr_conv2d_problem *p,
                             const float *x, int64_t top, int64_t bottom, float *out) {
  const evr_conv2d_desc *d = &p->desc;
  if (d->pad_mode != EVR_PAD_ZERO) {
    copy_rows(shape, p, x, top, bottom, -d->pad_left, d->in_width + d->pad_right, out);
    return;
  }
  const int64_t rows = rows_read(d, bottom - top), first = evr_window_top(p, top);
  const int64_t width = d->in_width * d->in_channels;
  memset(out, 0, (size_t)(rows * shape->copy_pitch) * sizeof(float));
  for (int64_t ih = evr_max(first, 0); ih < evr_min(first + rows, d->in_height); ih++)
    memcpy(out + (ih - first) * shape->copy_pitch + d->pad_left * d->in_channels, x + ih * width,
           (size_t)width * sizeof(float));
}

/* Where the copies of edges lie, in floats from the first, which are of the columns at the left. */
typedef struct edge_copies {
  int64_t top, above, below, bottom; /* rows of the band's outputs: whole rows are copied for those
                                        before above, and from below on */
  int64_t right, first_rows, last_rows;
} edge_copies;

static edge_copies find_copies(const evr_band_shape *shape, const evr_conv2d_problem *p,
                               int64_t top, int64_t bottom) {
  const evr_conv2d_desc *d = &p->desc;
  edge_copies c = {.top = top, .bottom = bottom};
  c.above = evr_max(evr_min(shape->above, bottom), top);
  c.below = evr_max(evr_min(shape->below, bottom), c.above);
  c.right = left_columns(shape, d) * d->in_channels;
  c.first_rows = rows_read(d, bottom - top) * shape->copy_pitch;
  c.last_rows = c.first_rows + rows_read(d, c.above - top) * shape->copy_pitch;
  return c;
}

static int64_t row_of(const evr_conv2d_problem *p, int64_t pixel) {
  return pixel == 0 ? 0 : pixel / p->sizes.conv_width;
}

void evr_band_copy_rows(const evr_band_shape *shape, const evr_conv2d_problem *p, const float *x,
                        int64_t first_pixel, int64_t pixels, float *copy) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t top = row_of(p, first_pixel), bottom = row_of(p, first_pixel + pixels - 1) + 1;
  if (!shape->edges) {
    copy_padded_rows(shape, p, x, top, bottom, copy);
    return;
  }
  const edge_copies c = find_copies(shape, p, top, bottom);
  const int64_t right_first = shape->right * d->stride_width - d->pad_left;
  if (shape->left > 0)
    copy_rows(shape, p, x, top, bottom, -d->pad_left, left_columns(shape, d) - d->pad_left, copy);
  copy_rows(shape, p, x, top, bottom, right_first, right_first + right_columns(shape, p),
            copy + c.right);
  copy_rows(shape, p, x, top, c.above, 0, d->in_width, copy + c.first_rows);
  copy_rows(shape, p, x, c.below, bottom, 0, d->in_width, copy + c.last_rows);
}

/* The window of output column 0 in each output row of a band begins at
 * from + (the window's top - top) * pitch; so for a part of the rows or columns. */
typedef struct source {
  uintptr_t from;
  int64_t top;
} source;

static uintptr_t source_row(const source *s, const evr_conv2d_problem *p, int64_t pitch,
                            int64_t oh) {
  return evr_address(s->from, (evr_window_top(p, oh) - s->top) * pitch);
}

void evr_band_point_rows(const evr_band_shape *shape, const evr_conv2d_problem *p, uintptr_t x,
                         int64_t first_pixel, int64_t pixels, uintptr_t copy, uintptr_t *addresses,
                         evr_run *runs) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t width = p->sizes.conv_width, channels = d->in_channels;
  const int64_t top = row_of(p, first_pixel), bottom = row_of(p, first_pixel + pixels - 1) + 1;
  const int64_t pitch = shape->copied ? shape->copy_pitch : d->in_width * channels;
  for (int64_t kh = 0; kh < d->kernel_height; kh++)
    runs[kh] = (evr_run){kh * shape->run_length, kh * d->dilation_height * pitch};

  /* Before `left` and from `right` on, pixels read the copied edges; between them those of the
   * rows before `above` and from `below` on read copied rows, and the others the image. */
  int64_t left = 0, right = width;
  edge_copies c = {.above = top, .below = bottom};
  source image = {x, 0}, edge = {0, 0}, first_rows = {0, 0}, last_rows = {0, 0};
  if (shape->copied && !shape->edges) {
    image = (source){copy, evr_window_top(p, top)};
  } else if (shape->edges) {
    left = shape->left;
    right = shape->right;
    c = find_copies(shape, p, top, bottom);
    edge = (source){copy, evr_window_top(p, top)};
    first_rows = (source){evr_address(copy, c.first_rows), evr_window_top(p, top)};
    last_rows = (source){evr_address(copy, c.last_rows), evr_window_top(p, c.below)};
  }
  /* In the image and its rows column 0 of the padded image is not there. */
  const int64_t unpadded = shape->copied && !shape->edges ? 0 : d->pad_left * channels;
  const int64_t step = d->stride_width * channels;
  int64_t ow = first_pixel - top * width, oh = top;
  for (int64_t count = pixels; count > 0; oh++, ow = 0) {
    const int64_t end = evr_min(width, ow + count);
    count -= end - ow;
    const source *rows = oh < c.above ? &first_rows : oh >= c.below ? &last_rows : &image;
    if (ow < left) {
      const int64_t last = evr_min(left, end);
      const uintptr_t at = evr_address(source_row(&edge, p, pitch, oh), ow * step);
      addresses = evr_address_on(addresses, last - ow, at, step);
      ow = last;
    }
    if (ow < evr_min(right, end)) {
      const int64_t last = evr_min(right, end);
      const uintptr_t at = evr_address(source_row(rows, p, pitch, oh), ow * step - unpadded);
      addresses = evr_address_on(addresses, last - ow, at, step);
      ow = last;
    }
    if (ow < end) {
      const uintptr_t row = source_row(&edge, p, pitch, oh);
      const uintptr_t at = evr_address(row, c.right + (ow - right) * step);
      addresses = evr_address_on(addresses, end - ow, at, step);
    }
  }
}
