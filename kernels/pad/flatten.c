/* Flattening is a copy: a dense image already is one row in the order of its layout. */
#include <inttypes.h>
#include <string.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/status.h"
#include "evrisim/pad2d.h"

evr_status evr_flatten(evr_layout layout, int64_t batch, int64_t channels, int64_t height,
                       int64_t width, const float *x, float *y) {
  EVR_TRY(evr_check_layout("layout", layout));
  EVR_TRY(evr_check_at_least("batch", batch, 1));
  EVR_TRY(evr_check_at_least("channels", channels, 1));
  EVR_TRY(evr_check_at_least("height", height, 1));
  EVR_TRY(evr_check_at_least("width", width, 1));
  int64_t count;
  if (!evr_count_floats(batch, channels, height, width, &count))
    return evr_fail(EVR_OVERFLOW,
                    "x would have %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                    " floats, which do not fit",
                    batch, channels, height, width);
  EVR_TRY(evr_check_pointer("x", x));
  EVR_TRY(evr_check_pointer("y", y));
  const size_t bytes = (size_t)count * sizeof *x;
  const evr_buffer buffers[] = {{"x", x, bytes, false}, {"y", y, bytes, true}};
  EVR_TRY(evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]));
  memcpy(y, x, bytes);
  return EVR_OK;
}
