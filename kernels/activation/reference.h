/* Elementwise functions one value at a time, for the reference loops. */
#ifndef EVR_ACTIVATION_REFERENCE_H
#define EVR_ACTIVATION_REFERENCE_H

#include "evrisim/types.h"

float evr_activation_reference(const evr_activation *activation, float x);

/* e^x as softmax takes it (exponential.h). */
float evr_exp_reference(float x);

#endif
