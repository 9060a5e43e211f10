/* The backward pass of softmax and the losses as they are written down. */
#include <math.h>

#include "activation/apply.h"
#include "activation/reference.h"
#include "softmax/loss.h"

/* The channels of one pixel are step floats apart. */
typedef struct channels {
  int64_t count, step, first; /* first: the offset of channel 0 */
} channels;

static channels channels_of(const evr_softmax_problem *p, int64_t row) {
  const int64_t count = p->desc.channels, n = row / p->pixels, pixel = row % p->pixels;
  if (p->desc.layout == EVR_NHWC) return (channels){count, 1, row * count};
  return (channels){count, p->pixels, n * count * p->pixels + pixel};
}

/* The last steps of the canonical sum: the upper half is added to the lower until one is left. */
static float tree_sum(float sums[EVR_SOFTMAX_SUMS]) {
  for (int half = EVR_SOFTMAX_SUMS / 2; half > 0; half /= 2)
    for (int j = 0; j < half; j++) sums[j] += sums[j + half];
  return sums[0];
}

static void backward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const evr_softmax_backward_call *call = arguments;
  for (int64_t row = 0; row < p->desc.batch * p->pixels; row++) {
    const channels c = channels_of(p, row);
    float sums[EVR_SOFTMAX_SUMS] = {0.0f};
    for (int64_t i = 0; i < c.count; i++) {
      const int64_t at = c.first + i * c.step;
      sums[i % EVR_SOFTMAX_SUMS] = fmaf(call->dy[at], call->y[at], sums[i % EVR_SOFTMAX_SUMS]);
    }
    const float sum = tree_sum(sums);
    for (int64_t i = 0; i < c.count; i++) {
      const int64_t at = c.first + i * c.step;
      call->dx[at] = call->y[at] * (call->dy[at] - sum);
    }
  }
}

static float log_of(float x) {
  float y;
  evr_log_apply_scalar(&x, &y, 1);
  return y;
}

/* The loss of one pixel, and its gradient. */
static float entropy_of(const evr_softmax_cross_entropy_arguments *a, channels c, int64_t row) {
  const float *x = a->x + c.first;
  float *dx = a->dx + c.first;
  float most = x[0];
  for (int64_t i = 1; i < c.count; i++)
    if (x[i * c.step] > most) most = x[i * c.step];
  float sums[EVR_SOFTMAX_SUMS] = {0.0f};
  for (int64_t i = 0; i < c.count; i++) {
    dx[i * c.step] = evr_exp_reference(x[i * c.step] - most);
    sums[i % EVR_SOFTMAX_SUMS] += dx[i * c.step];
  }
  const float sum = tree_sum(sums), log_sum = log_of(sum);
  if (a->labels != NULL) {
    const int64_t label = a->labels[row];
    for (int64_t i = 0; i < c.count; i++)
      dx[i * c.step] = (dx[i * c.step] / sum - (i == label ? 1.0f : 0.0f)) * a->scale;
    return log_sum - (x[label * c.step] - most);
  }
  const float *targets = a->targets + c.first;
  float totals[EVR_SOFTMAX_SUMS] = {0.0f}, losses[EVR_SOFTMAX_SUMS] = {0.0f};
  for (int64_t i = 0; i < c.count; i++) {
    const float t = targets[i * c.step];
    totals[i % EVR_SOFTMAX_SUMS] += t;
    if (t != 0.0f) losses[i % EVR_SOFTMAX_SUMS] += t * (log_sum - (x[i * c.step] - most));
  }
  const float total = tree_sum(totals);
  for (int64_t i = 0; i < c.count; i++)
    dx[i * c.step] = fmaf(dx[i * c.step] / sum, total, -targets[i * c.step]) * a->scale;
  return tree_sum(losses);
}

static void entropy(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const evr_softmax_cross_entropy_arguments *a = arguments;
  for (int64_t row = 0; row < p->desc.batch * p->pixels; row++)
    a->loss[row] = entropy_of(a, channels_of(p, row), row);
}

static void binary(const void *problem, const void *arguments) {
  const evr_sigmoid_cross_entropy_problem *p = problem;
  for (int64_t i = 0; i < p->count; i++) evr_sigmoid_cross_entropy_apply_scalar(arguments, i, 1);
}

static double cost(const void *problem) {
  return 100.0 + ((const evr_softmax_problem *)problem)->work;
}
static double binary_cost(const void *problem) {
  return 100.0 + 80.0 * (double)((const evr_sigmoid_cross_entropy_problem *)problem)->count;
}

const evr_kernel evr_softmax_backward_reference = {.cost = cost, .forward = backward};
const evr_kernel evr_softmax_cross_entropy_reference = {.cost = cost, .forward = entropy};
const evr_kernel evr_sigmoid_cross_entropy_reference = {.cost = binary_cost, .forward = binary};
