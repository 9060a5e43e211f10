/* The gradient with respect to the image, as it is taught: every pixel asks which outputs it took
 * part in, and by which weight. The filter is walked backwards, so that the outputs come in
 * ascending order, as in a convolution with the turned filter. */
#include <math.h>

#include "conv/backward_data.h"

/* The output whose window begins so far before the pixel that tap lies on it; false: none does,
 * for windows begin at multiples of the stride only. */
static bool output_of(int64_t padded_pixel, int64_t tap, int64_t dilation, int64_t stride,
                      int64_t *output) {
  const int64_t top = padded_pixel - tap * dilation;
  if (top % stride != 0) return false;
  *output = top / stride;
  return true;
}

float evr_conv2d_backward_data_sum(const evr_conv2d_backward_problem *problem,
                                   const evr_conv2d_backward_data_call *call, int64_t n, int64_t ih,
                                   int64_t iw, int64_t ic) {
  const evr_conv2d_problem *p = &problem->conv;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  const int64_t group = ic / p->group_in;
  float sum = 0.0f;
  for (int64_t kh = d->kernel_height - 1; kh >= 0; kh--) {
    int64_t oh, ow;
    if (!output_of(ih + d->pad_top, kh, d->dilation_height, d->stride_height, &oh)) continue;
    for (int64_t kw = d->kernel_width - 1; kw >= 0; kw--) {
      if (!output_of(iw + d->pad_left, kw, d->dilation_width, d->stride_width, &ow)) continue;
      const bool inside = oh >= 0 && oh < height && ow >= 0 && ow < width;
      for (int64_t i = 0; i < p->group_out; i++) {
        const int64_t oc = group * p->group_out + i;
        const float g =
            inside ? call->g[evr_output_offset(p, height * width, n, oh, ow, oc)] : 0.0f;
        const float w = call->weights[evr_weight_offset(p, kh, kw, ic % p->group_in, oc)];
        sum = fmaf(g, w, sum);
      }
    }
  }
  return sum;
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *c = call;
  const evr_conv2d_desc *d = &p->conv.desc;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t ih = 0; ih < d->in_height; ih++)
      for (int64_t iw = 0; iw < d->in_width; iw++)
        for (int64_t ic = 0; ic < d->in_channels; ic++)
          c->dx[evr_offset(d->layout, d->in_channels, d->in_height, d->in_width, n, ih, iw, ic)] =
              evr_conv2d_backward_data_sum(p, c, n, ih, iw, ic);
}

/* As in reference.c, and a division for each tap of each pixel, most of which miss an output. */
double evr_conv2d_backward_data_reference_cost(const void *problem) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  const double taps = (double)p->desc.kernel_height * (double)p->desc.kernel_width;
  return 3.0 * p->multiplies + (6.0 + 4.0 * taps) * (double)p->sizes.x_count + 60.0;
}

const evr_kernel evr_conv2d_backward_data_reference = {
    .cost = evr_conv2d_backward_data_reference_cost, .forward = forward};
