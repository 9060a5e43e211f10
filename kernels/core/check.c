#include "core/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/checked.h"
#include "core/memory.h"
#include "core/status.h"

evr_status evr_refuse_null(const char *name) {
  return evr_fail(EVR_INVALID_ARGUMENT, "%s is NULL", name);
}

evr_status evr_check_at_least(const char *name, int64_t value, int64_t least) {
  if (value < least)
    return evr_fail(EVR_INVALID_ARGUMENT, "%s is %" PRId64 "; it must be at least %" PRId64, name,
                    value, least);
  return EVR_OK;
}

evr_status evr_check_layout(const char *name, evr_layout layout) {
  if (layout != EVR_NHWC && layout != EVR_NCHW)
    return evr_fail(EVR_INVALID_ARGUMENT, "%s is %d, which is no evr_layout", name, (int)layout);
  return EVR_OK;
}

evr_status evr_check_pad_mode(const char *name, evr_pad_mode mode) {
  if (mode != EVR_PAD_ZERO && mode != EVR_PAD_REPLICATE && mode != EVR_PAD_REFLECT)
    return evr_fail(EVR_INVALID_ARGUMENT, "%s is %d, which is no evr_pad_mode", name, (int)mode);
  return EVR_OK;
}

evr_status evr_check_activation(const char *name, const evr_activation *activation) {
  if ((int)activation->kind < EVR_IDENTITY || activation->kind > EVR_GELU_TANH)
    return evr_fail(EVR_INVALID_ARGUMENT, "%s.kind is %d, which is no evr_activation_kind: 0 to %d",
                    name, (int)activation->kind, EVR_GELU_TANH);
  const bool has_parameter = activation->kind == EVR_LEAKY_RELU || activation->kind == EVR_ELU;
  if (has_parameter && !isfinite(activation->alpha))
    return evr_fail(EVR_INVALID_ARGUMENT, "%s.alpha is %g; it must be finite", name,
                    (double)activation->alpha);
  return EVR_OK;
}

evr_status evr_check_count(const char *what, const char *sizes, int64_t a, int64_t b, int64_t c,
                           int64_t d, int64_t *count) {
  if (evr_count_floats(a, b, c, d, count)) return EVR_OK;
  return evr_fail(EVR_OVERFLOW,
                  "%s would have %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                  " floats (%s), which do not fit",
                  what, a, b, c, d, sizes);
}

evr_status evr_check_padded(const char *name, int64_t size, const char *before_name, int64_t before,
                            const char *after_name, int64_t after, int64_t *padded) {
  if (evr_sum(size, before, padded) && evr_sum(*padded, after, padded)) return EVR_OK;
  return evr_fail(EVR_OVERFLOW,
                  "%s %" PRId64 " plus %s %" PRId64 " and %s %" PRId64 " does not fit", name, size,
                  before_name, before, after_name, after);
}

evr_status evr_check_pads(evr_pad_mode mode, const char *before_name, int64_t before,
                          const char *after_name, int64_t after, const char *size_name,
                          int64_t size) {
  EVR_TRY(evr_check_at_least(before_name, before, 0));
  EVR_TRY(evr_check_at_least(after_name, after, 0));
  if (mode != EVR_PAD_REFLECT) return EVR_OK;
  const bool first = before >= size;
  if (first || after >= size)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "%s is %" PRId64 "; reflection needs it smaller than %s, which is %" PRId64,
                    first ? before_name : after_name, first ? before : after, size_name, size);
  return EVR_OK;
}

evr_status evr_check_window(const evr_window_names *names, const evr_window *window,
                            int64_t *extent, int64_t *padded) {
  EVR_TRY(evr_check_at_least(names->in, window->in, 1));
  EVR_TRY(evr_check_at_least(names->kernel, window->kernel, 1));
  EVR_TRY(evr_check_at_least(names->stride, window->stride, 1));
  EVR_TRY(evr_check_at_least(names->dilation, window->dilation, 1));
  EVR_TRY(evr_check_at_least(names->before, window->before, 0));
  EVR_TRY(evr_check_at_least(names->after, window->after, 0));
  int64_t reach;
  if (!evr_multiply(window->dilation, window->kernel - 1, &reach) || !evr_sum(reach, 1, extent))
    return evr_fail(EVR_OVERFLOW, "%s %" PRId64 " times %s %" PRId64 " does not fit",
                    names->dilation, window->dilation, names->kernel, window->kernel);
  EVR_TRY(evr_check_padded(names->in, window->in, names->before, window->before, names->after,
                           window->after, padded));
  if (*extent > *padded)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "%s is %" PRId64 " with %s %" PRId64 ", so it spans %" PRId64
                    ", more than the padded input of %" PRId64,
                    names->kernel, window->kernel, names->dilation, window->dilation, *extent,
                    *padded);
  return EVR_OK;
}

evr_status evr_scheme_pads(evr_padding_scheme scheme, const evr_window_names *names,
                           evr_window *window) {
  if (scheme != EVR_VALID && scheme != EVR_SAME_UPPER && scheme != EVR_SAME_LOWER)
    return evr_fail(EVR_INVALID_ARGUMENT, "scheme is %d, which is no evr_padding_scheme",
                    (int)scheme);
  EVR_TRY(evr_check_at_least(names->in, window->in, 1));
  EVR_TRY(evr_check_at_least(names->kernel, window->kernel, 1));
  EVR_TRY(evr_check_at_least(names->stride, window->stride, 1));
  EVR_TRY(evr_check_at_least(names->dilation, window->dilation, 1));
  window->before = window->after = 0;
  if (scheme == EVR_VALID) return EVR_OK;
  /* The last window starts at (ceil(in / stride) - 1) stride; what it reaches beyond the input is
   * the padding. */
  const int64_t last = (window->in - 1) / window->stride * window->stride;
  int64_t reach, end;
  if (!evr_multiply(window->dilation, window->kernel - 1, &reach) || !evr_sum(last, reach, &end) ||
      !evr_sum(end, 1, &end))
    return evr_fail(EVR_OVERFLOW, "%s %" PRId64 " times %s %" PRId64 " does not fit",
                    names->dilation, window->dilation, names->kernel, window->kernel);
  const int64_t total = evr_max(end - window->in, 0);
  window->before = scheme == EVR_SAME_LOWER ? total - total / 2 : total / 2;
  window->after = total - window->before;
  return EVR_OK;
}

evr_status evr_check_buffers(const evr_buffer *buffers, int count) {
  for (int i = 0; i < count; i++) {
    const evr_buffer *written = &buffers[i];
    if (!written->written || written->start == NULL) continue;
    for (int j = 0; j < count; j++) {
      const evr_buffer *other = &buffers[j];
      if (j == i || (j > i && other->written)) continue; /* that pair has its turn */
      if (evr_overlap(written->start, written->bytes, other->start, other->bytes))
        return evr_fail(EVR_OVERLAP, "%s overlaps %s", written->name, other->name);
    }
  }
  return EVR_OK;
}
