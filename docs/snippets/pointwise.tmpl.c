/* Pointwise convolution: a window of one pixel, so that the output's pixel is a product of the
 * input's pixel with the matrix of weights. NHWC activations and HWIO weights, read as they are.
 *
 * The example of docs/adding-a-kernel.md; not in the library. */
#include <string.h>

#include "activation/apply.h"
#include "conv/pace.h"
#include "conv/problem.h"
#include "core/checked.h"
#include "simd/simd.h"

/* Pixels that share each load of weights, and pixels of a task. */
enum { PIXELS = 6, TASK_PIXELS = 96 };

typedef struct work {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  int64_t pixels; /* of all images */
} work;

/* The sums of some pixels, for one vector of output channels. count is a constant where this is
 * inlined, so that the sums stay in registers. */
EVR_INLINE void tile(const work *w, int64_t pixel, const int count, int64_t oc) {
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t lanes = evr_min(EVR_LANES, d->out_channels - oc);
  const float *x = w->call->x + (w->p->first_row * d->in_width + pixel) * d->in_channels;
  const int64_t at = pixel * d->out_channels + oc;
  vf sums[PIXELS];
  EVR_UNROLL
  for (int m = 0; m < count; m++) sums[m] = vf_zero();
  for (int64_t ic = 0; ic < d->in_channels; ic++) {
    const vf weights = vf_load_n(w->call->weights + ic * d->out_channels + oc, lanes);
    EVR_UNROLL
    for (int m = 0; m < count; m++)
      sums[m] = vf_fma(vf_set1(x[m * d->in_channels + ic]), weights, sums[m]);
  }
  EVR_UNROLL
  for (int m = 0; m < count; m++) {
    const int64_t here = at + m * d->out_channels;
    if (w->call->bias != NULL) sums[m] = vf_add(sums[m], vf_load_n(w->call->bias + oc, lanes));
    if (w->call->residual != NULL)
      sums[m] = vf_add(sums[m], vf_load_n(w->call->residual + here, lanes));
    vf_store_n(w->call->y + here, sums[m], lanes);
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  (void)slot; /* would say which part of the workspace is ours */
  const work *w = argument;
  const evr_conv2d_desc *d = &w->p->desc;
  const int64_t first = task * TASK_PIXELS;
  const int64_t end = evr_min(first + TASK_PIXELS, w->pixels);
  for (int64_t oc = 0; oc < d->out_channels; oc += EVR_LANES) {
    int64_t pixel = first;
    for (; pixel + PIXELS <= end; pixel += PIXELS) tile(w, pixel, PIXELS, oc);
    for (; pixel < end; pixel++) tile(w, pixel, 1, oc);
  }
  float *y = w->call->y + first * d->out_channels;
  if (d->activation.kind != EVR_IDENTITY)
    EVR_NAME(evr_activation_apply)(&d->activation, y, y, (end - first) * d->out_channels);
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_problem *p = problem;
  work w = {p, call, p->desc.batch * p->sizes.conv_height * p->sizes.conv_width};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(w.pixels, TASK_PIXELS), run_task, &w);
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_desc *d = &p->desc;
  const char *refusal = NULL;
  if (d->layout != EVR_NHWC || d->filter_layout != EVR_HWIO)
    refusal = "serves NHWC with HWIO only";
  else if (d->kernel_height != 1 || d->kernel_width != 1 || p->sizes.conv_height != d->in_height ||
           p->sizes.conv_width != d->in_width)
    refusal = "needs a window of one pixel that stops at every pixel";
  else if (d->pad_top != 0 || d->pad_bottom != 0 || d->pad_left != 0 || d->pad_right != 0)
    refusal = "takes no padding";
  else if (d->groups != 1)
    refusal = "takes one group only";
  if (refusal != NULL) memcpy(reason, refusal, strlen(refusal) + 1);
  return refusal == NULL;
}

/* The product in tiles of PIXELS pixels by one vector, half as fast again for its masked loads. */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  const int64_t pixels = p->desc.batch * p->sizes.conv_height * p->sizes.conv_width;
  const int64_t vectors = evr_ceil_div(p->desc.out_channels, EVR_LANES);
  return 1.5 * (double)p->depth * evr_tiled_time(pixels, vectors, PIXELS, 1) + 300.0;
}

const evr_kernel EVR_NAME(evr_conv2d_pointwise) = {
    .accepts = accepts, .cost = cost, .forward = forward};
