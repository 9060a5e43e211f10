/* Timing the variants of convolution. */
#ifndef EVR_CONV_TRIAL_H
#define EVR_CONV_TRIAL_H

#include "core/trial.h"

extern const evr_trial evr_conv2d_trial;
/* Of one whose output is condensed in the same pass. Its bands are prepared by nobody, so that
 * another variant may be the quickest, and it is kept as another choice. */
extern const evr_trial evr_conv2d_trio_trial;

#endif
