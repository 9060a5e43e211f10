/* Flattening is a copy: a dense image already is one row in the order of its layout. So is its
 * backward pass. */
#include <string.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/status.h"
#include "evrisim/pad2d.h"

static evr_status copy(evr_layout layout, int64_t batch, int64_t channels, int64_t height,
                       int64_t width, const char *from_name, const float *from, const char *to_name,
                       float *to) {
  EVR_TRY(evr_check_layout("layout", layout));
  EVR_TRY(evr_check_at_least("batch", batch, 1));
  EVR_TRY(evr_check_at_least("channels", channels, 1));
  EVR_TRY(evr_check_at_least("height", height, 1));
  EVR_TRY(evr_check_at_least("width", width, 1));
  int64_t count;
  EVR_TRY(evr_check_count(from_name, "batch x channels x height x width", batch, channels, height,
                          width, &count));
  EVR_TRY(evr_check_pointer(from_name, from));
  EVR_TRY(evr_check_pointer(to_name, to));
  const size_t bytes = (size_t)count * sizeof *from;
  const evr_buffer buffers[] = {{from_name, from, bytes, false}, {to_name, to, bytes, true}};
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  memcpy(to, from, bytes);
  return EVR_OK;
}

evr_status evr_flatten(evr_layout layout, int64_t batch, int64_t channels, int64_t height,
                       int64_t width, const float *x, float *y) {
  return copy(layout, batch, channels, height, width, "x", x, "y", y);
}

evr_status evr_flatten_backward(evr_layout layout, int64_t batch, int64_t channels, int64_t height,
                                int64_t width, const float *dy, float *dx) {
  return copy(layout, batch, channels, height, width, "dy", dy, "dx", dx);
}
