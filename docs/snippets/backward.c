/* The piece of docs/api.md about backward passes: a small network learns to tell two pictures, one
 * with a row of ink and one with a column. */
#include "snippet.h"

enum { BATCH = 2, X = 6 * 6, Y = 4 * 4 * 2, POOLED = 2 * 2 * 2, CLASSES = 2 };

typedef struct parameters {
  float filters[3 * 3 * 2], filter_bias[2], weights[POOLED * CLASSES], bias[CLASSES];
} parameters;

/* The mean loss and its gradient with respect to all parameters. */
static float differentiate(const float *x, const int32_t *labels, const parameters *p,
                           parameters *gradient) {
  evr_conv2d_desc conv = EVR_CONV2D_DESC_INIT;
  conv.batch = BATCH;
  conv.in_channels = 1;
  conv.out_channels = 2;
  conv.in_height = conv.in_width = 6;
  conv.kernel_height = conv.kernel_width = 3;
  conv.activation.kind = EVR_TANH;
  evr_pool2d_desc pool = EVR_POOL2D_DESC_INIT;
  pool.batch = BATCH;
  pool.channels = 2;
  pool.in_height = pool.in_width = 4;
  pool.window.kind = EVR_POOL_MAX;
  pool.window.kernel_height = pool.window.kernel_width = 2;
  pool.window.stride_height = pool.window.stride_width = 2;
  evr_dense_desc dense = EVR_DENSE_DESC_INIT;
  dense.batch = BATCH;
  dense.in_features = POOLED;
  dense.out_features = CLASSES;
  evr_softmax_desc classes = EVR_SOFTMAX_DESC_INIT;
  classes.batch = BATCH;
  classes.channels = CLASSES;
  float y[BATCH * Y], pooled[BATCH * POOLED], logits[BATCH * CLASSES], loss[BATCH];
  float dlogits[BATCH * CLASSES], dpooled[BATCH * POOLED], dy[BATCH * Y];
  int32_t winners[BATCH * POOLED];
  /* Forward: each result is kept. */
  EXPECT(evr_conv2d(&conv, NULL, x, p->filters, p->filter_bias, y) == EVR_OK);
  EXPECT(evr_pool2d(&pool, NULL, y, pooled, winners) == EVR_OK);
  EXPECT(evr_dense(&dense, NULL, pooled, p->weights, p->bias, logits) == EVR_OK);
  /* The loss, and where the way back begins. */
  const evr_softmax_cross_entropy_arguments at_loss = {
      .x = logits, .labels = labels, .scale = 1.0f / BATCH, .loss = loss, .dx = dlogits};
  EXPECT(evr_softmax_cross_entropy(&classes, NULL, &at_loss) == EVR_OK);
  /* Backward: the same descriptors, the last layer first. */
  const evr_dense_backward_weights_arguments at_weights = {
      .x = pooled, .dy = dlogits, .dweights = gradient->weights, .dbias = gradient->bias};
  EXPECT(evr_dense_backward_weights(&dense, NULL, &at_weights) == EVR_OK);
  const evr_dense_backward_data_arguments at_pooled = {
      .dy = dlogits, .weights = p->weights, .dx = dpooled};
  EXPECT(evr_dense_backward_data(&dense, NULL, &at_pooled) == EVR_OK);
  EXPECT(evr_pool2d_backward(&pool, NULL, dpooled, winners, NULL, dy) == EVR_OK);
  const evr_conv2d_backward_weights_arguments at_filters = {
      .x = x,
      .dy = dy,
      .y = y, /* for the derivative of tanh, 1 - y^2 */
      .dweights = gradient->filters,
      .dbias = gradient->filter_bias,
  };
  EXPECT(evr_conv2d_backward_weights(&conv, NULL, &at_filters) == EVR_OK);
  return (loss[0] + loss[1]) / BATCH;
}

int main(void) {
  float x[BATCH * X];
  const int32_t labels[BATCH] = {0, 1};
  parameters p, gradient;
  float *values = (float *)&p, *slopes = (float *)&gradient;
  const int count = (int)(sizeof p / sizeof *values);
  for (int i = 0; i < BATCH * X; i++) x[i] = (float)(i * 37 % 101) * 0.004f; /* no pixels alike */
  for (int i = 0; i < 6; i++) x[2 * 6 + i] += 1.0f, x[X + 6 * i + 3] += 1.0f;
  for (int i = 0; i < count; i++) values[i] = (float)(i * 5 % 7 - 3) * 0.1f;

  /* The gradient is what the loss does when one parameter changes. */
  differentiate(x, labels, &p, &gradient);
  for (int i = 0; i < count; i += 3) {
    parameters unused;
    const float kept = values[i], slope = slopes[i];
    values[i] = kept + 0.01f;
    const float above = differentiate(x, labels, &p, &unused);
    values[i] = kept - 0.01f;
    const float below = differentiate(x, labels, &p, &unused);
    values[i] = kept;
    const float error = (above - below) / 0.02f - slope;
    EXPECT(error < 1e-3f && error > -1e-3f);
  }

  float first = 0.0f, last = 0.0f;
  for (int step = 0; step < 100; step++) {
    last = differentiate(x, labels, &p, &gradient);
    if (step == 0) first = last;
    for (int i = 0; i < count; i++) values[i] -= 0.5f * slopes[i];
  }
  printf("loss %.3f, then %.3f\n", (double)first, (double)last);
  EXPECT(last < 0.05f && first > 0.3f);
  return 0;
}
