/* The example on the first page (README.md). */
#include <evrisim/evrisim.h>
#include <stdio.h>

static float x[56 * 56 * 64], weights[3 * 3 * 64 * 64], bias[64], y[56 * 56 * 64];

int main(void) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT; /* strides, dilations, groups: 1; NHWC, HWIO */
  desc.in_height = desc.in_width = 56;
  desc.in_channels = desc.out_channels = 64;
  desc.kernel_height = desc.kernel_width = 3;
  desc.pad_top = desc.pad_bottom = desc.pad_left = desc.pad_right = 1;
  desc.activation.kind = EVR_RELU;
  evr_conv2d_plan *plan; /* made once, executed as often as you like, from any thread */
  if (evr_conv2d_plan_create(&desc, NULL, &plan) != EVR_OK ||
      evr_conv2d_forward(plan, x, weights, bias, y, NULL) != EVR_OK)
    return puts(evr_last_error()), 1;
  printf("done by %s\n", evr_conv2d_plan_variant(plan));
  evr_conv2d_plan_destroy(plan);
}
