/* The gradient with respect to weights and bias, as it is taught: a weight gathers, over all
 * outputs, the pixel that it met times the gradient there. One thing is not as it is taught: the
 * sum is cut into blocks, each summed up by itself, so that an error does not grow with the number
 * of pixels, and the cut follows from the shape alone. */
#include <math.h>

#include "conv/backward.h"

/* Rows [begin, end) of the output of image n, for one weight. */
static float block_of_weight(const evr_conv2d_problem *p,
                             const evr_conv2d_backward_weights_call *call, int64_t n, int64_t begin,
                             int64_t end, int64_t kh, int64_t kw, int64_t ic, int64_t oc) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  const int64_t channel = oc / p->group_out * p->group_in + ic;
  float sum = 0.0f;
  for (int64_t oh = begin; oh < end; oh++) {
    const int64_t row = oh * d->stride_height - d->pad_top + kh * d->dilation_height;
    const int64_t ih = evr_source_pixel(row, d->in_height, d->pad_mode);
    for (int64_t ow = 0; ow < width; ow++) {
      const int64_t column = ow * d->stride_width - d->pad_left + kw * d->dilation_width;
      const int64_t iw = evr_source_pixel(column, d->in_width, d->pad_mode);
      const float x = ih < 0 || iw < 0 ? 0.0f
                                       : call->x[evr_offset(d->layout, d->in_channels, d->in_height,
                                                            d->in_width, n, ih, iw, channel)];
      sum = fmaf(x, call->g[evr_output_offset(p, height * width, n, oh, ow, oc)], sum);
    }
  }
  return sum;
}

static float block_of_bias(const evr_conv2d_problem *p,
                           const evr_conv2d_backward_weights_call *call, int64_t n, int64_t begin,
                           int64_t end, int64_t oc) {
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  float sum = 0.0f;
  for (int64_t oh = begin; oh < end; oh++)
    for (int64_t ow = 0; ow < width; ow++)
      sum += call->g[evr_output_offset(p, height * width, n, oh, ow, oc)];
  return sum;
}

static void forward(const void *problem, const void *arguments) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  const evr_conv2d_backward_weights_call *call = arguments;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, rows = evr_conv2d_block_rows(p);
  for (int64_t oc = 0; oc < d->out_channels; oc++) {
    for (int64_t kh = 0; call->dweights != NULL && kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++)
        for (int64_t ic = 0; ic < p->group_in; ic++) {
          float sum = 0.0f;
          for (int64_t n = 0; n < d->batch; n++)
            for (int64_t oh = 0; oh < height; oh += rows) {
              const int64_t end = oh + rows < height ? oh + rows : height;
              sum += block_of_weight(p, call, n, oh, end, kh, kw, ic, oc);
            }
          call->dweights[evr_weight_offset(p, kh, kw, ic, oc)] = sum;
        }
    if (call->dbias == NULL) continue;
    float sum = 0.0f;
    for (int64_t n = 0; n < d->batch; n++)
      for (int64_t oh = 0; oh < height; oh += rows)
        sum += block_of_bias(p, call, n, oh, oh + rows < height ? oh + rows : height, oc);
    call->dbias[oc] = sum;
  }
}

/* As in reference.c; a block costs about as much as an output there. */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  const double blocks = (double)p->desc.batch *
                        ((double)p->sizes.conv_height / (double)evr_conv2d_block_rows(p) + 1.0);
  return 3.5 * p->multiplies + 6.0 * blocks * (double)p->sizes.weights_count + 20.0;
}

const evr_kernel evr_conv2d_backward_weights_reference = {.cost = cost, .forward = forward};
