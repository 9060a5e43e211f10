/* What the cost estimates of convolution share. For templates. */
#ifndef EVR_CONV_PACE_H
#define EVR_CONV_PACE_H

#include "simd/simd.h"

/* Multiply-adds a nanosecond where all lanes are filled. A little less for a wide vector, so that
 * channels that fill half of one go to narrower ones: where the wide ones run at half rate that is
 * a gain, elsewhere it is none. One lane: about 2.5 ns for a call of fmaf. */
#define EVR_PACE (EVR_LANES == 1 ? 0.4 : EVR_LANES == 16 ? 3.4 * EVR_LANES : 3.5 * EVR_LANES)

#endif
