/* Phases of an image, in one direction: a tap's place modulo the stride. In its phase a tap moves
 * by one place from output to output. For amx_image.h and backward_weights_amx.c. */
#ifndef EVR_CONV_AMX_AXIS_H
#define EVR_CONV_AMX_AXIS_H

#include "core/checked.h"
#include "simd/simd.h"

typedef struct evr_amx_axis {
  int64_t kernel, stride, dilation;
  int64_t phases;
  int64_t reach; /* places that the last tap lies beyond the first, in its phase */
} evr_amx_axis;

EVR_INLINE evr_amx_axis evr_amx_axis_of(int64_t kernel, int64_t stride, int64_t dilation) {
  /* Residues of taps repeat after so many of them. */
  const int64_t period = stride / evr_greatest_common_divisor(stride, dilation);
  return (evr_amx_axis){kernel, stride, dilation, evr_min(kernel, period),
                        (kernel - 1) * dilation / stride};
}
EVR_INLINE int64_t evr_amx_phase(const evr_amx_axis *axis, int64_t tap) {
  return tap % axis->phases;
}
EVR_INLINE int64_t evr_amx_shift(const evr_amx_axis *axis, int64_t tap) {
  return tap * axis->dilation / axis->stride;
}
/* Places of a phase that outputs read, side by side: as far as its last tap reaches. */
EVR_INLINE int64_t evr_amx_places(const evr_amx_axis *axis, int64_t phase, int64_t outputs) {
  const int64_t last = phase + (axis->kernel - 1 - phase) / axis->phases * axis->phases;
  return outputs + evr_amx_shift(axis, last);
}
/* Coordinate in the padded image, from that of the first output's first tap. */
EVR_INLINE int64_t evr_amx_coordinate(const evr_amx_axis *axis, int64_t phase, int64_t place) {
  return phase * axis->dilation % axis->stride + place * axis->stride;
}

#endif
