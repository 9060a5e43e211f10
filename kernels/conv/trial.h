/* Timing the variants of convolution. */
#ifndef EVR_CONV_TRIAL_H
#define EVR_CONV_TRIAL_H

#include "core/trial.h"

extern const evr_trial evr_conv2d_trial;

#endif
