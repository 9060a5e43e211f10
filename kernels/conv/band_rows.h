/* Where the window rows of a band lie that are one run each: in the image, or in a padded copy of
 * what the band's windows read. A part of band.c. */
#ifndef EVR_CONV_BAND_ROWS_H
#define EVR_CONV_BAND_ROWS_H

#include "conv/band.h"
#include "core/memory.h"

/* Sets what a copied shape knows before it has a size. */
void evr_band_copy_shape_init(evr_band_shape *shape, const evr_conv2d_problem *p);

/* Has whole rows copied, wherever they lie. */
void evr_band_copy_all(evr_band_shape *shape, const evr_conv2d_problem *p);

/* Bytes of the copy for bands that touch at most so many output rows, saturating. */
size_t evr_band_copy_bytes(const evr_band_shape *shape, const evr_conv2d_problem *p, int64_t rows);

/* Values of x that are copied for one image. */
double evr_band_copied(const evr_band_shape *shape, const evr_conv2d_problem *p);

/* Copies what is to be copied for a band's pixels. */
void evr_band_copy_rows(const evr_band_shape *shape, const evr_conv2d_problem *p, const float *x,
                        int64_t first_pixel, int64_t pixels, float *copy);

/* Points each pixel at its window in the image at x or in its copy; the rows of a window are `runs`
 * from there. */
void evr_band_point_rows(const evr_band_shape *shape, const evr_conv2d_problem *p, uintptr_t x,
                         int64_t first_pixel, int64_t pixels, uintptr_t copy, uintptr_t *addresses,
                         evr_run *runs);

/* Both store a row of values a step apart and return where the next one goes. The compiler takes
 * several at a time, as it knows that nothing they read changes under their stores. */
static inline int64_t *evr_count_on(int64_t *out, int64_t count, int64_t value, int64_t step) {
  for (int64_t i = 0; i < count; i++, value += step) out[i] = value;
  return out + count;
}

static inline uintptr_t *evr_address_on(uintptr_t *out, int64_t count, uintptr_t at, int64_t step) {
  for (int64_t i = 0; i < count; i++) out[i] = evr_address(at, i * step);
  return out + count;
}

#endif
