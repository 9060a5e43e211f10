/* Bands that a plan keeps, where all its calls lay one out alike: small images, which take longer
 * to be laid out than to be convolved. */
#ifndef EVR_CONV_BAND_KEPT_H
#define EVR_CONV_BAND_KEPT_H

#include "conv/band.h"

/* The band that is a whole image; its addresses count from where x or its copy is. */
typedef struct evr_kept_band {
  evr_band band;
  bool skips; /* zero taps are left out */
} evr_kept_band;

/* Lays the band out in p's room, and returns it; NULL where it has no place there, or where
 * addresses count from several places. */
const evr_kept_band *evr_band_keep(const evr_band_shape *shape, const evr_conv2d_problem *p);

/* As evr_band_init, from what is kept. */
void evr_band_recall(evr_band *band, const evr_kept_band *kept, const evr_band_shape *shape,
                     const evr_conv2d_problem *p, const float *x, void *scratch);

#endif
