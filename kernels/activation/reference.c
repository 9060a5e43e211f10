#include "activation/reference.h"

#include "activation/apply.h"

/* The scalar instantiation of the same functions. */
float evr_activation_reference(const evr_activation *activation, float x) {
  float y;
  evr_activation_apply_scalar(activation, &x, &y, 1);
  return y;
}
