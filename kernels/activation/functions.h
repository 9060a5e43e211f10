/* The elementwise functions in the vocabulary of simd.h, so that their bits do not depend on the
 * instruction set. */
#ifndef EVR_ACTIVATION_FUNCTIONS_H
#define EVR_ACTIVATION_FUNCTIONS_H

#include "evrisim/types.h"
#include "simd/simd.h"

EVR_INLINE vf evr_relu(vf x) { return vf_greater(vf_zero(), x); }

EVR_INLINE vf evr_activate(const evr_activation *activation, vf x) {
  switch (activation->kind) {
    case EVR_RELU: return evr_relu(x);
    default: return x;
  }
}

#endif
