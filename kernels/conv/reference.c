/* Convolution as it is taught: four loops over image, row, column and filter, and a single step
 * inside. Every other variant is held to these bits. */
#include <math.h>

#include "activation/reference.h"
#include "conv/problem.h"

/* One output: the sum over the window of one filter, in canonical order. */
static float single_step(const evr_conv2d_problem *p, const evr_conv2d_call *call, int64_t n,
                         int64_t oh, int64_t ow, int64_t oc) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t group = oc / p->group_out;
  float sum = 0.0f;
  for (int64_t kh = 0; kh < d->kernel_height; kh++) {
    const int64_t row = evr_window_top(p, oh) + kh * d->dilation_height;
    const int64_t ih = evr_source_pixel(row, d->in_height, d->pad_mode);
    for (int64_t kw = 0; kw < d->kernel_width; kw++) {
      const int64_t column = ow * d->stride_width - d->pad_left + kw * d->dilation_width;
      const int64_t iw = evr_source_pixel(column, d->in_width, d->pad_mode);
      const int padded = ih < 0 || iw < 0; /* a tap of zero padding is a pixel of value 0 */
      for (int64_t ic = 0; ic < p->group_in; ic++) {
        const float pixel =
            padded ? 0.0f
                   : call->x[evr_offset(d->layout, d->in_channels, d->in_height, d->in_width, n, ih,
                                        iw, group * p->group_in + ic)];
        sum = fmaf(pixel, call->weights[evr_weight_offset(p, kh, kw, ic, oc)], sum);
      }
    }
  }
  return sum;
}

static void forward(const void *problem, const void *arguments) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_call *call = arguments;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < height; oh++)
      for (int64_t ow = 0; ow < width; ow++)
        for (int64_t oc = 0; oc < d->out_channels; oc++) {
          float value = single_step(p, call, n, oh, ow, oc);
          if (call->bias != NULL) value += call->bias[oc];
          if (call->residual != NULL)
            value += call->residual[evr_output_offset(p, p->residual_plane, n, oh, ow, oc)];
          call->y[evr_output_offset(p, p->y_plane, n, oh, ow, oc)] =
              evr_activation_reference(&d->activation, value);
        }
}

/* About 3 ns for a multiply-add with its index arithmetic and the call of fmaf, 6 for an output. */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  return 3.0 * p->multiplies + 6.0 * (double)p->sizes.y_count + 60.0;
}

const evr_kernel evr_conv2d_reference = {.cost = cost, .forward = forward};
