#include "pad/problem.h"

#include "core/check.h"

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
  EVR_TRY(evr_check_padded("desc.in_height", d->in_height, "desc.pad_top", d->pad_top,
                           "desc.pad_bottom", d->pad_bottom, &s.out_height));
  EVR_TRY(evr_check_padded("desc.in_width", d->in_width, "desc.pad_left", d->pad_left,
                           "desc.pad_right", d->pad_right, &s.out_width));
  EVR_TRY(evr_check_count("x", "desc.batch x desc.in_height x desc.in_width x desc.channels",
                          d->batch, d->in_height, d->in_width, d->channels, &s.x_count));
  EVR_TRY(evr_check_count("y", "desc.batch x height and width with pads x desc.channels", d->batch,
                          s.out_height, s.out_width, d->channels, &s.y_count));
  *problem = (evr_pad2d_problem){.desc = *d, .sizes = s};
  return EVR_OK;
}
