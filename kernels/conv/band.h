/* Where the pixels of a band read and write: the part of direct convolution, NHWC, that does not
 * depend on the instruction set.
 *
 * A band is some output pixels of one image and group. It is cut into regions of pixels whose
 * windows have the same taps inside the image; the other taps are zero padding and can be left out.
 * That is exact, because acc = fma(0, w, acc) changes nothing as long as w is finite, with one
 * exception: an acc of -0 (which only underflow can make, sums start at +0) may become +0. So tiles
 * watch for finished sums of -0, and these are summed again with every tap. */
#ifndef EVR_CONV_BAND_H
#define EVR_CONV_BAND_H

#include "conv/problem.h"

/* More kinds of pixels than this, or longer windows, and no tap is left out. */
#define EVR_MOST_REGIONS 32
#define EVR_MOST_SKIPPED_RUNS 64

/* How taps that are zero padding are left out: pixels are cut into regions as fine as is quickest,
 * for few pixels make poor tiles. */
typedef enum evr_band_way {
  EVR_LEAVE_NONE,
  EVR_LEAVE_ROWS,  /* rows of the window only */
  EVR_LEAVE_SIDES, /* and columns, of pixels at the left and right, which keep all rows */
  EVR_LEAVE_ALL
} evr_band_way;

/* Nanoseconds in which sums of depth terms are made for so many pixels. */
typedef double evr_band_time(const void *context, int64_t pixels, int64_t depth);

/* The same for every band of a problem. */
typedef struct evr_band_shape {
  bool folded; /* a run is a window row, else a tap */
  bool copied; /* of a padded copy, at least where windows reach over an edge */
  bool edges;  /* only there */
  evr_band_way way;
  double steps_time, address_count; /* of an image, estimated; the former as evr_band_time */
  int64_t runs, run_length;
  int64_t pixels;       /* most pixels of a band */
  int64_t left, right;  /* edges: output columns before left and from right on are copied */
  int64_t above, below; /* likewise output rows */
  int64_t copy_pitch;   /* floats from one row of a copy to the next */
  size_t address_bytes, place_bytes, run_bytes, zero_bytes, copy_bytes; /* scratch, in order */
} evr_band_shape;

typedef struct evr_run {
  int64_t k;     /* at which it begins */
  int64_t shift; /* from the pixels' addresses */
} evr_run;

typedef struct evr_region {
  int64_t pixels, runs;
  int64_t run, address, place; /* its first, in the tables of the band */
  int64_t address_step; /* from one run's to the next's; 0 where all runs share them, as no tap is
                           outside image or copy */
} evr_region;

typedef struct evr_band {
  const evr_region *regions;
  int64_t count;
  const evr_run *runs;
  const uintptr_t *addresses; /* of a run and pixel */
  const int64_t *places;      /* of a pixel's first output, from the image's first pixel */
  int64_t run_count, address_count, place_count;
} evr_band;

/* Sets what does not depend on the size of a band. */
void evr_band_shape_init(evr_band_shape *shape, const evr_conv2d_problem *p, evr_band_time *time,
                         const void *context);

/* Chooses the way again, for bands of at most so many rows, which are cut into smaller regions. */
void evr_band_shape_cut(evr_band_shape *shape, const evr_conv2d_problem *p, int64_t rows,
                        evr_band_time *time, const void *context);

/* Addresses that a pixel may need. */
int64_t evr_band_addresses(const evr_band_shape *shape);

/* Sets the rest for bands of at most so many pixels. */
void evr_band_shape_size(evr_band_shape *shape, const evr_conv2d_problem *p, int64_t pixels);

/* Bytes of scratch of one band, saturating. */
size_t evr_band_bytes(const evr_band_shape *shape);

/* Of a band's scratch, what lies behind the tables: zeros or the copy. */
static inline float *evr_band_rest(const evr_band_shape *shape, void *scratch) {
  const size_t tables = shape->address_bytes + shape->place_bytes + shape->run_bytes;
  return (float *)(void *)((char *)scratch + tables);
}

/* The first value of an image and group. */
static inline const float *evr_band_image(const evr_conv2d_problem *p, const float *x,
                                          int64_t image, int64_t group) {
  const evr_conv2d_desc *d = &p->desc;
  return x + image * d->in_height * d->in_width * d->in_channels + group * p->group_in;
}

/* Lays out the regions of a band in scratch (aligned) and in regions, of which there are at most
 * EVR_MOST_REGIONS. x is that of an image and group. skip: zero taps may be left out, as all
 * weights are finite. */
void evr_band_init(evr_band *band, evr_region *regions, const evr_band_shape *shape,
                   const evr_conv2d_problem *p, const float *x, int64_t first_pixel, int64_t pixels,
                   bool skip, void *scratch);

/* Tables for a band, as long as its shape has them, and the address of the rest. */
typedef struct evr_band_tables {
  evr_region *regions;
  uintptr_t *addresses;
  int64_t *places;
  evr_run *runs;
  uintptr_t rest;
} evr_band_tables;

/* The same without a look at x: only its address counts. */
void evr_band_lay_out(evr_band *band, const evr_band_tables *to, const evr_band_shape *shape,
                      const evr_conv2d_problem *p, uintptr_t x, int64_t first_pixel, int64_t pixels,
                      bool skip);

#endif
