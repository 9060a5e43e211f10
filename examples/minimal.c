/* The smallest use of the library: a 3 x 3 sum over a 4 x 4 picture, first in one call, then with
 * a plan that can be executed many times. */
#include <evrisim/evrisim.h>
#include <stdio.h>

int main(void) {
  const float x[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const float weights[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  float y[4];
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT; /* strides, dilations and groups are 1 */
  desc.in_channels = desc.out_channels = 1;
  desc.in_height = desc.in_width = 4;
  desc.kernel_height = desc.kernel_width = 3;
  desc.activation.kind = EVR_RELU;

  if (evr_conv2d(&desc, NULL, x, weights, NULL, y) != EVR_OK) { /* one call */
    fprintf(stderr, "%s\n", evr_last_error());
    return 1;
  }

  evr_conv2d_plan *plan; /* decide once, execute many times, from any thread */
  float again[4];
  if (evr_conv2d_plan_create(&desc, NULL, &plan) != EVR_OK ||
      evr_conv2d_forward(plan, x, weights, NULL, again, NULL) != EVR_OK) {
    fprintf(stderr, "%s\n", evr_last_error());
    return 1;
  }
  for (int i = 0; i < 4; ++i)
    printf("%g %g\n", (double)y[i], (double)again[i]); /* 54 63 90 99, each twice */
  evr_conv2d_plan_destroy(plan);
  return 0;
}
