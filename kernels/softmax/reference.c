/* Softmax as it is written down: for each pixel the maximum over the channels, the exponentials,
 * their sum, the quotients. */
#include "activation/reference.h"
#include "softmax/problem.h"

/* The canonical sum of y[0], y[step], ...: channel c goes to partial sum c % 16, in order; then
 * the upper half of the partial sums is added to the lower until one is left. */
static float canonical_sum(const float *y, int64_t channels, int64_t step) {
  float sums[EVR_SOFTMAX_SUMS] = {0.0f};
  for (int64_t c = 0; c < channels; c++) sums[c % EVR_SOFTMAX_SUMS] += y[c * step];
  for (int half = EVR_SOFTMAX_SUMS / 2; half > 0; half /= 2)
    for (int j = 0; j < half; j++) sums[j] += sums[j + half];
  return sums[0];
}

/* One pixel: its channels are step floats apart. */
static void softmax(const float *x, float *y, int64_t channels, int64_t step) {
  float most = x[0];
  for (int64_t c = 1; c < channels; c++)
    if (x[c * step] > most) most = x[c * step];
  for (int64_t c = 0; c < channels; c++) y[c * step] = evr_exp_reference(x[c * step] - most);
  const float sum = canonical_sum(y, channels, step);
  for (int64_t c = 0; c < channels; c++) y[c * step] /= sum;
}

static void forward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const evr_softmax_call *call = arguments;
  const int64_t channels = p->desc.channels, pixels = p->pixels;
  for (int64_t n = 0; n < p->desc.batch; n++)
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
      const int64_t image = n * channels * pixels;
      if (p->desc.layout == EVR_NHWC)
        softmax(call->x + image + pixel * channels, call->y + image + pixel * channels, channels,
                1);
      else
        softmax(call->x + image + pixel, call->y + image + pixel, channels, pixels);
    }
}

/* About a nanosecond for an operation: fused ones call the C library. */
static double cost(const void *problem) {
  return 100.0 + ((const evr_softmax_problem *)problem)->work;
}

const evr_kernel evr_softmax_reference = {.cost = cost, .forward = forward};
