/* Pooling as it is taught: slide a window over each plane, and condense what is under it to one
 * value. Every other variant is held to these bits. */
#include <math.h>

#include "pool/backward.h"

/* What became of one window: a value, and where a maximum or minimum was found. */
typedef struct result {
  float value;
  int64_t index; /* ih * in_width + iw, or -1 */
} result;

/* The first of equals stays the winner, and nothing beats the first NaN. */
static bool wins(evr_pool_kind kind, float challenger, float champion) {
  if (isnan(champion)) return false;
  if (isnan(challenger)) return true;
  return kind == EVR_POOL_MAX ? challenger > champion : challenger < champion;
}

static result condense(const evr_pool2d_problem *p, const float *x, int64_t n, int64_t oh,
                       int64_t ow, int64_t c) {
  const evr_pool2d_desc *d = &p->desc;
  const evr_pool2d_window *w = &d->window;
  float sum = 0.0f;
  int64_t count = 0;
  result best = {w->kind == EVR_POOL_MAX ? -INFINITY : INFINITY, -1};
  for (int64_t kh = 0; kh < w->kernel_height; kh++) {
    const int64_t ih = oh * w->stride_height - w->pad_top + kh * w->dilation_height;
    if (ih >= d->in_height + w->pad_bottom) break; /* only ceil_mode reaches beyond the padding */
    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
      const int64_t iw = ow * w->stride_width - w->pad_left + kw * w->dilation_width;
      if (iw >= d->in_width + w->pad_right) break;
      const bool padding = ih < 0 || ih >= d->in_height || iw < 0 || iw >= d->in_width;
      if (!padding || w->count_include_pad) count++;
      if (padding) continue;
      const float pixel = x[evr_pool_offset(d, p->x_plane, d->in_width, n, ih, iw, c)];
      sum += pixel;
      if (best.index < 0 || wins(w->kind, pixel, best.value))
        best = (result){pixel, ih * d->in_width + iw};
    }
  }
  if (w->kind != EVR_POOL_AVERAGE) return best;
  return (result){count > 0 ? sum / (float)count : 0.0f, -1};
}

int64_t evr_pool2d_winner(const evr_pool2d_problem *problem, const float *x, int64_t n, int64_t oh,
                          int64_t ow, int64_t c) {
  return condense(problem, x, n, oh, ow, c).index;
}

static void forward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_call *call = arguments;
  const evr_pool2d_desc *d = &p->desc;
  const int64_t height = p->sizes.out_height, width = p->sizes.out_width;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < height; oh++)
      for (int64_t ow = 0; ow < width; ow++)
        for (int64_t c = 0; c < d->channels; c++) {
          const int64_t at = evr_pool_offset(d, p->y_plane, width, n, oh, ow, c);
          const result r = condense(p, call->x, n, oh, ow, c);
          call->y[at] = r.value;
          if (call->indices != NULL) call->indices[at] = (int32_t)r.index;
        }
}

/* About 2 ns for a tap with its tests. */
static double cost(const void *problem) {
  return 2.0 * ((const evr_pool2d_problem *)problem)->taps + 100.0;
}

const evr_kernel evr_pool2d_reference = {.cost = cost, .forward = forward};
