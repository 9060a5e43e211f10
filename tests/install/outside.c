/* A program outside the library: one convolution, whose result is known by hand. */
#include <evrisim/evrisim.h>

#include <stdio.h>
#include <string.h>

int main(void) {
  const float x[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const float weights[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const float expected[4] = {54, 63, 90, 99};
  float y[4] = {0, 0, 0, 0};
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.in_channels = desc.out_channels = 1;
  desc.in_height = desc.in_width = 4;
  desc.kernel_height = desc.kernel_width = 3;
  if (evr_conv2d(&desc, NULL, x, weights, NULL, y) != EVR_OK) {
    fprintf(stderr, "%s\n", evr_last_error());
    return 1;
  }
  if (memcmp(y, expected, sizeof y) != 0) {
    fprintf(stderr, "%g %g %g %g\n", (double)y[0], (double)y[1], (double)y[2], (double)y[3]);
    return 1;
  }
  if (strcmp(evr_version(), EVR_VERSION_STRING) != 0) {
    fprintf(stderr, "library %s, headers %s\n", evr_version(), EVR_VERSION_STRING);
    return 1;
  }
  return 0;
}
