/* Timing the variants of dense layers. */
#ifndef EVR_DENSE_TRIAL_H
#define EVR_DENSE_TRIAL_H

#include "core/trial.h"

extern const evr_trial evr_dense_trial;

#endif
