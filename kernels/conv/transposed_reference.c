/* Transposed convolution: the gradient of a convolution as a layer of its own, with a bias and an
 * activation behind it. */
#include "activation/reference.h"
#include "conv/backward_data.h"

static void forward(const void *problem, const void *call) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *c = call;
  const evr_conv2d_desc *d = &p->conv.desc; /* of that convolution: y stands for its image */
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t oh = 0; oh < d->in_height; oh++)
      for (int64_t ow = 0; ow < d->in_width; ow++)
        for (int64_t oc = 0; oc < d->in_channels; oc++) {
          float value = evr_conv2d_backward_data_sum(p, c, n, oh, ow, oc);
          if (c->bias != NULL) value += c->bias[oc];
          c->dx[evr_offset(d->layout, d->in_channels, d->in_height, d->in_width, n, oh, ow, oc)] =
              evr_activation_reference(&p->activation, value);
        }
}

const evr_kernel evr_conv2d_transposed_reference = {.cost = evr_conv2d_backward_data_reference_cost,
                                                    .forward = forward};
