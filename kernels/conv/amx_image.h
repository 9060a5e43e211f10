/* The input of a band of output rows, cut into bf16 pieces and laid out so that every tap of the
 * window reads pixels that follow each other as the outputs do. For amx.c.
 *
 * A copy of rows and columns is kept for each residue of a tap's place modulo the stride ("phase"):
 * in its phase a tap moves by one row and column from output to output. Output (row, column) of the
 * band is number row * width + column, whatever the tap; numbers at the right end of each row
 * stand for no output. Pixels have their channels rounded up to a whole chunk with zeros, and every
 * row of the input its range (amx_split.h).
 *
 *     pieces[piece][row phase][column phase][row][column][channel]
 */
#ifndef EVR_CONV_AMX_IMAGE_H
#define EVR_CONV_AMX_IMAGE_H

#include "conv/amx_axis.h"
#include "conv/amx_split.h"
#include "conv/gather.h"
#include "conv/problem.h"
#include "core/checked.h"
#include "simd/amx.h"

typedef struct evr_amx_image_shape {
  evr_amx_axis vertical, horizontal;
  int64_t width;  /* places of a row, in any phase */
  int64_t chunks; /* of 32 channels */
  int64_t pixel_bytes;
} evr_amx_image_shape;

EVR_INLINE evr_amx_image_shape evr_amx_image_shape_of(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  evr_amx_image_shape s;
  s.vertical = evr_amx_axis_of(d->kernel_height, d->stride_height, d->dilation_height);
  s.horizontal = evr_amx_axis_of(d->kernel_width, d->stride_width, d->dilation_width);
  s.width = p->sizes.conv_width + s.horizontal.reach;
  s.chunks = evr_ceil_div(d->in_channels, EVR_AMX_DEPTH);
  /* The rows of a tile would share few sets of the first level cache if they lay a multiple of four
   * lines apart. */
  s.pixel_bytes = (s.chunks + (s.chunks % 4 == 0)) * EVR_AMX_ROW_BYTES;
  return s;
}

/* Of one piece, for so many output rows: with what the last tile reads beyond the last pixel. */
EVR_INLINE size_t evr_amx_piece_bytes(const evr_amx_image_shape *s, int64_t rows) {
  const size_t phases = evr_size_product((size_t)s->vertical.phases, (size_t)s->horizontal.phases);
  const size_t plane = evr_size_product((size_t)(rows + s->vertical.reach), (size_t)s->width);
  const size_t pixels = evr_size_sum(evr_size_product(phases, plane), EVR_AMX_ROWS);
  return evr_size_product(pixels, (size_t)s->pixel_bytes);
}
/* Ranges of all rows of all phases. */
EVR_INLINE size_t evr_amx_range_bytes(const evr_amx_image_shape *s, int64_t rows) {
  const size_t count =
      evr_size_product((size_t)s->vertical.phases, (size_t)(rows + s->vertical.reach));
  return evr_size_lines(evr_size_product(count, sizeof(evr_amx_range)));
}

typedef struct evr_amx_image {
  const evr_amx_image_shape *shape;
  const evr_conv2d_problem *p;
  const float *x;            /* of the image */
  int64_t first_row, height; /* rows of a phase from first_row on, counted from the problem's */
  char *pieces;
  int64_t piece_bytes;
  evr_amx_range *ranges; /* [row phase][row] */
  evr_amx_scan scan;     /* of the row at hand */
} evr_amx_image;

EVR_INLINE char *evr_amx_place(const evr_amx_image *im, int64_t row_phase, int64_t row,
                               int64_t column_phase, int64_t column) {
  const evr_amx_image_shape *s = im->shape;
  const int64_t plane = row_phase * s->horizontal.phases + column_phase;
  return im->pieces + ((plane * im->height + row) * s->width + column) * s->pixel_bytes;
}

/* Sixteen channels of a pixel. */
EVR_INLINE void evr_amx_store_pieces(evr_amx_image *im, const int pieces, vf x, char *to) {
  vi high[EVR_AMX_MOST_PIECES];
  evr_amx_split(pieces, x, high, &im->scan);
  EVR_UNROLL
  for (int i = 0; i < pieces; i++)
    _mm256_store_si256((__m256i *)(void *)(to + i * im->piece_bytes),
                       _mm512_cvtepi32_epi16(vi_shift_right(high[i], 16)));
}

/* A whole pixel whose channels are step floats apart; NULL: zeros. */
EVR_INLINE void evr_amx_image_pixel(evr_amx_image *im, const int pieces, const float *from,
                                    int64_t step, char *to) {
  const int64_t channels = im->p->desc.in_channels;
  for (int64_t c = 0; c < im->shape->chunks * EVR_AMX_DEPTH; c += EVR_LANES) {
    const int64_t lanes = from == NULL ? 0 : evr_max(evr_min(EVR_LANES, channels - c), 0);
    vf x = vf_zero();
    if (lanes > 0 && step == 1) {
      x = vf_load_n(from + c, lanes);
    } else if (lanes > 0) {
      float values[EVR_LANES] = {0};
      for (int64_t l = 0; l < lanes; l++) values[l] = from[(c + l) * step];
      x = vf_load(values);
    }
    evr_amx_store_pieces(im, pieces, x, to + c * 2);
  }
}

/* Up to sixteen pixels of an NCHW row, stride columns apart. */
EVR_INLINE void evr_amx_image_block(evr_amx_image *im, const int pieces, const float *from,
                                    const int64_t stride, int64_t count, char *to) {
  const evr_conv2d_desc *d = &im->p->desc;
  const int64_t plane = d->in_height * d->in_width;
  for (int64_t c = 0; c < im->shape->chunks * EVR_AMX_DEPTH; c += EVR_LANES) {
    vf block[EVR_LANES];
    const float *row = from + c * plane;
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++, row += plane)
      block[l] = c + l >= d->in_channels            ? vf_zero()
                 : stride == 1 && count < EVR_LANES ? vf_load_n(row, count)
                                                    : evr_load_apart(row, stride);
    vf_transpose(block);
    EVR_UNROLL
    for (int l = 0; l < EVR_LANES; l++)
      if (l < count)
        evr_amx_store_pieces(im, pieces, block[l], to + l * im->shape->pixel_bytes + c * 2);
  }
}

/* count pixels of such a row, or as many as can be had by vectors; returns how many. */
EVR_INLINE int64_t evr_amx_image_run(evr_amx_image *im, const int pieces, const float *from,
                                     int64_t stride, int64_t count, char *to) {
  const evr_conv2d_desc *d = &im->p->desc;
  const int64_t plane = d->in_height * d->in_width;
  /* Where columns are left out, vectors read whole, so that the last channel's must end within the
   * image. */
  const int64_t readable = im->x + d->in_channels * plane - (from + (d->in_channels - 1) * plane);
  for (int64_t i = 0; i < count; i += EVR_LANES) {
    const int64_t n = evr_min(EVR_LANES, count - i);
    char *const at = to + i * im->shape->pixel_bytes;
    const bool whole = (i + EVR_LANES) * stride <= readable;
    if (stride == 1)
      evr_amx_image_block(im, pieces, from + i, 1, n, at);
    else if (stride == 2 && whole)
      evr_amx_image_block(im, pieces, from + i * 2, 2, n, at);
    else if (stride == 4 && whole)
      evr_amx_image_block(im, pieces, from + i * 4, 4, n, at);
    else
      return i;
  }
  return count;
}

/* One row of one phase. row: of the image, or NULL for a row of zeros. */
EVR_INLINE void evr_amx_image_columns(evr_amx_image *im, const int pieces, const float *row,
                                      int64_t phase, char *to) {
  const evr_conv2d_problem *p = im->p;
  const evr_conv2d_desc *d = &p->desc;
  const evr_amx_axis *axis = &im->shape->horizontal;
  const bool nhwc = d->layout == EVR_NHWC;
  const int64_t places = evr_amx_places(axis, phase, p->sizes.conv_width);
  const int64_t step = nhwc ? 1 : d->in_height * d->in_width;
  int64_t place = 0;
  while (place < places) {
    const int64_t at = evr_amx_coordinate(axis, phase, place) - d->pad_left;
    int64_t done = 0;
    if (!nhwc && row != NULL && at >= 0 && at < d->in_width)
      done = evr_amx_image_run(
          im, pieces, row + at, axis->stride,
          evr_min(places - place, evr_ceil_div(d->in_width - at, axis->stride)), to);
    if (done == 0) {
      const int64_t iw = evr_source_pixel(at, d->in_width, d->pad_mode);
      const float *from = row == NULL || iw < 0 ? NULL : row + iw * (nhwc ? d->in_channels : 1);
      evr_amx_image_pixel(im, pieces, from, step, to);
      done = 1;
    }
    place += done;
    to += done * im->shape->pixel_bytes;
  }
}

/* Fills in pieces and ranges for so many output rows. */
EVR_INLINE void evr_amx_image_fill(evr_amx_image *im, const int pieces, int64_t rows) {
  const evr_conv2d_desc *d = &im->p->desc;
  const evr_amx_axis *axis = &im->shape->vertical;
  const int64_t top = evr_window_top(im->p, im->first_row);
  const int64_t row_floats = d->in_width * (d->layout == EVR_NHWC ? d->in_channels : 1);
  for (int64_t phase = 0; phase < axis->phases; phase++)
    for (int64_t row = 0; row < evr_amx_places(axis, phase, rows); row++) {
      const int64_t ih =
          evr_source_pixel(top + evr_amx_coordinate(axis, phase, row), d->in_height, d->pad_mode);
      im->scan = evr_amx_scan_begin();
      for (int64_t c = 0; c < im->shape->horizontal.phases; c++)
        evr_amx_image_columns(im, pieces, ih < 0 ? NULL : im->x + ih * row_floats, c,
                              evr_amx_place(im, phase, row, c, 0));
      im->ranges[phase * im->height + row] = evr_amx_scan_end(&im->scan);
    }
}

/* The range of all that the windows of an output row read, and of pixels that dilated ones step
 * over in the same rows. */
EVR_INLINE evr_amx_range evr_amx_image_range(const evr_amx_image *im, int64_t row) {
  const evr_amx_axis *axis = &im->shape->vertical;
  evr_amx_range range = evr_amx_nothing;
  for (int64_t kh = 0; kh < axis->kernel; kh++)
    range = evr_amx_range_join(
        range, im->ranges[evr_amx_phase(axis, kh) * im->height + row + evr_amx_shift(axis, kh)]);
  return range;
}

#endif
