#include "pad/problem.h"

#include <inttypes.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/status.h"

static evr_status padded_size(const char *name, int64_t size, int64_t before, int64_t after,
                              int64_t *padded) {
  if (evr_sum(size, before, padded) && evr_sum(*padded, after, padded)) return EVR_OK;
  return evr_fail(EVR_OVERFLOW,
                  "%s %" PRId64 " plus its pads %" PRId64 " and %" PRId64 " does not fit", name,
                  size, before, after);
}

static evr_status count(const char *what, int64_t batch, int64_t height, int64_t width,
                        int64_t channels, int64_t *result) {
  if (evr_count_floats(batch, height, width, channels, result)) return EVR_OK;
  return evr_fail(EVR_OVERFLOW,
                  "%s would have %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                  " floats, which do not fit",
                  what, batch, height, width, channels);
}

evr_status evr_pad2d_problem_init(evr_pad2d_problem *problem, const evr_pad2d_desc *desc) {
  EVR_TRY(evr_check_pointer("desc", desc));
  const evr_pad2d_desc *d = desc;
  EVR_TRY(evr_check_pad_mode("desc.mode", d->mode));
  EVR_TRY(evr_check_layout("desc.layout", d->layout));
  EVR_TRY(evr_check_at_least("desc.batch", d->batch, 1));
  EVR_TRY(evr_check_at_least("desc.channels", d->channels, 1));
  EVR_TRY(evr_check_at_least("desc.in_height", d->in_height, 1));
  EVR_TRY(evr_check_at_least("desc.in_width", d->in_width, 1));
  EVR_TRY(evr_check_pads(d->mode, "desc.pad_top", d->pad_top, "desc.pad_bottom", d->pad_bottom,
                         "desc.in_height", d->in_height));
  EVR_TRY(evr_check_pads(d->mode, "desc.pad_left", d->pad_left, "desc.pad_right", d->pad_right,
                         "desc.in_width", d->in_width));
  evr_pad2d_sizes s;
  EVR_TRY(padded_size("desc.in_height", d->in_height, d->pad_top, d->pad_bottom, &s.out_height));
  EVR_TRY(padded_size("desc.in_width", d->in_width, d->pad_left, d->pad_right, &s.out_width));
  EVR_TRY(count("x", d->batch, d->in_height, d->in_width, d->channels, &s.x_count));
  EVR_TRY(count("y", d->batch, s.out_height, s.out_width, d->channels, &s.y_count));
  *problem = (evr_pad2d_problem){.desc = *d, .sizes = s};
  return EVR_OK;
}
