/* The whole training loop of docs/training.md: a convolution, pooling and a dense layer learn to
 * tell pictures with a row, a column or a diagonal of ink. */
#include "snippet.h"

enum { BATCH = 16, SIDE = 8, PIXELS = SIDE * SIDE, MAPS = 4, CLASSES = 3, STEPS = 300 };
enum { Y = PIXELS * MAPS, POOLED = Y / 4 };

typedef struct parameters {
  float filters[3 * 3 * MAPS], filter_bias[MAPS], weights[POOLED * CLASSES], bias[CLASSES];
} parameters;

/* 0 to below 1. */
static float draw(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) * 0x1p-24f;
}

static void draw_pictures(float *x, int32_t *labels) {
  for (int n = 0; n < BATCH; n++, x += PIXELS) {
    const int at = (int)(draw() * SIDE);
    labels[n] = (int32_t)(draw() * CLASSES);
    for (int i = 0; i < PIXELS; i++) x[i] = 0.5f * draw();
    for (int i = 0; i < SIDE; i++) {
      const int ink[CLASSES] = {at * SIDE + i, i * SIDE + at, i * SIDE + (i + at) % SIDE};
      x[ink[labels[n]]] += 1.0f;
    }
  }
}

int main(void) {
  evr_conv2d_desc conv = EVR_CONV2D_DESC_INIT;
  conv.batch = BATCH;
  conv.in_channels = 1;
  conv.out_channels = MAPS;
  conv.in_height = conv.in_width = SIDE;
  conv.kernel_height = conv.kernel_width = 3;
  conv.activation.kind = EVR_RELU;
  EXPECT(evr_conv2d_set_padding(&conv, EVR_SAME_UPPER) == EVR_OK);
  evr_pool2d_desc pool = EVR_POOL2D_DESC_INIT;
  pool.batch = BATCH;
  pool.channels = MAPS;
  pool.in_height = pool.in_width = SIDE;
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

  /* Plans are made once; such small layers gain nothing from a second thread. Nothing asks for the
   * gradient at the pictures. */
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.num_threads = 1;
  evr_conv2d_plan *conv_plan;
  evr_conv2d_backward_weights_plan *conv_weights;
  evr_pool2d_plan *pool_plan;
  evr_pool2d_backward_plan *pool_backward;
  evr_dense_plan *dense_plan;
  evr_dense_backward_data_plan *dense_data;
  evr_dense_backward_weights_plan *dense_weights;
  evr_softmax_cross_entropy_plan *loss_plan;
  EXPECT(evr_conv2d_plan_create(&conv, &options, &conv_plan) == EVR_OK);
  EXPECT(evr_conv2d_backward_weights_plan_create(&conv, &options, &conv_weights) == EVR_OK);
  EXPECT(evr_pool2d_plan_create(&pool, &options, &pool_plan) == EVR_OK);
  EXPECT(evr_pool2d_backward_plan_create(&pool, &options, &pool_backward) == EVR_OK);
  EXPECT(evr_dense_plan_create(&dense, &options, &dense_plan) == EVR_OK);
  EXPECT(evr_dense_backward_data_plan_create(&dense, &options, &dense_data) == EVR_OK);
  EXPECT(evr_dense_backward_weights_plan_create(&dense, &options, &dense_weights) == EVR_OK);
  EXPECT(evr_softmax_cross_entropy_plan_create(&classes, &options, &loss_plan) == EVR_OK);

  static float x[BATCH * PIXELS], y[BATCH * Y], pooled[BATCH * POOLED], logits[BATCH * CLASSES];
  static float dy[BATCH * Y], dpooled[BATCH * POOLED], dlogits[BATCH * CLASSES], losses[BATCH];
  static int32_t labels[BATCH], winners[BATCH * POOLED];
  static parameters p, gradient;
  float *values = (float *)&p, *slopes = (float *)&gradient;
  const int count = (int)(sizeof p / sizeof *values);
  for (int i = 0; i < count; i++) values[i] = 0.2f * (draw() - 0.5f);

  float first = 0.0f, last = 0.0f;
  for (int step = 0; step < STEPS; step++) {
    draw_pictures(x, labels);
    /* Forward: what the way back reads is kept. */
    EXPECT(evr_conv2d_forward(conv_plan, x, p.filters, p.filter_bias, y, NULL) == EVR_OK);
    EXPECT(evr_pool2d_forward(pool_plan, y, pooled, winners) == EVR_OK);
    EXPECT(evr_dense_forward(dense_plan, pooled, p.weights, p.bias, logits, NULL) == EVR_OK);
    /* The loss of each picture, and the gradient of their mean. */
    const evr_softmax_cross_entropy_arguments at_loss = {
        .x = logits, .labels = labels, .scale = 1.0f / BATCH, .loss = losses, .dx = dlogits};
    EXPECT(evr_softmax_cross_entropy_execute(loss_plan, &at_loss) == EVR_OK);
    /* Backward, the last layer first. */
    const evr_dense_backward_weights_arguments at_weights = {
        .x = pooled, .dy = dlogits, .dweights = gradient.weights, .dbias = gradient.bias};
    EXPECT(evr_dense_backward_weights_execute(dense_weights, &at_weights) == EVR_OK);
    const evr_dense_backward_data_arguments at_pooled = {
        .dy = dlogits, .weights = p.weights, .dx = dpooled};
    EXPECT(evr_dense_backward_data_execute(dense_data, &at_pooled) == EVR_OK);
    EXPECT(evr_pool2d_backward_execute(pool_backward, dpooled, winners, NULL, dy, NULL) == EVR_OK);
    const evr_conv2d_backward_weights_arguments at_filters = {
        .x = x,
        .dy = dy,
        .y = y, /* for ReLU's derivative */
        .dweights = gradient.filters,
        .dbias = gradient.filter_bias,
    };
    EXPECT(evr_conv2d_backward_weights_execute(conv_weights, &at_filters) == EVR_OK);
    /* Descend. */
    for (int i = 0; i < count; i++) values[i] -= 0.1f * slopes[i];

    float loss = 0.0f;
    for (int n = 0; n < BATCH; n++) loss += losses[n] / BATCH;
    if (step < 10) first += loss / 10;
    if (step >= STEPS - 10) last += loss / 10;
  }
  printf("mean loss of the first ten steps %.3f, of the last ten %.3f\n", (double)first,
         (double)last);
  evr_conv2d_plan_destroy(conv_plan);
  evr_conv2d_backward_weights_plan_destroy(conv_weights);
  evr_pool2d_plan_destroy(pool_plan);
  evr_pool2d_backward_plan_destroy(pool_backward);
  evr_dense_plan_destroy(dense_plan);
  evr_dense_backward_data_plan_destroy(dense_data);
  evr_dense_backward_weights_plan_destroy(dense_weights);
  evr_softmax_cross_entropy_plan_destroy(loss_plan);
  EXPECT(first > 0.8f && last < 0.1f);
  return 0;
}
