/* Pieces of docs/api.md about the other operations: a small network's end, layer by layer. */
#include "snippet.h"

/* Max pooling that remembers its winners. */
static void pool(const float *x, float *y, int32_t *winners) {
  evr_pool2d_desc desc = EVR_POOL2D_DESC_INIT;
  desc.channels = 2;
  desc.in_height = desc.in_width = 4;
  desc.window.kind = EVR_POOL_MAX;
  desc.window.kernel_height = desc.window.kernel_width = 2;
  desc.window.stride_height = desc.window.stride_width = 2;
  EXPECT(evr_pool2d(&desc, NULL, x, y, winners) == EVR_OK);
  /* y[i] is x's value in row winners[i] / 4, column winners[i] % 4 of its channel */
  for (int i = 0; i < 2 * 2 * 2; i++) EXPECT(y[i] == x[winners[i] * 2 + i % 2]);
}

/* One value for each channel. */
static void pool_globally(const float *x, float *y) {
  evr_pool2d_desc desc = EVR_POOL2D_DESC_INIT;
  desc.channels = 2;
  desc.in_height = desc.in_width = 4;
  desc.window.kind = EVR_POOL_AVERAGE;
  desc.window.global = true;
  EXPECT(evr_pool2d(&desc, NULL, x, y, NULL) == EVR_OK);
}

static void pad(const float *x, float *y) {
  evr_pad2d_desc desc = EVR_PAD2D_DESC_INIT;
  desc.channels = 2;
  desc.in_height = desc.in_width = 4;
  desc.pad_left = desc.pad_right = 1;
  desc.mode = EVR_PAD_REFLECT;
  EXPECT(evr_pad2d(&desc, NULL, x, y) == EVR_OK);
}

static void activate_in_place(float *values, int64_t count) {
  const evr_activation_desc desc = {.activation = {EVR_LEAKY_RELU, 0.01f}, .count = count};
  EXPECT(evr_activate(&desc, NULL, values, values) == EVR_OK);
}

/* 32 features to the probabilities of 10 classes. */
static void classify(const float *map, const float *weights, const float *bias, float *features,
                     float *probabilities) {
  EXPECT(evr_flatten(EVR_NHWC, 1, 2, 4, 4, map, features) == EVR_OK);

  evr_dense_desc layer = EVR_DENSE_DESC_INIT;
  layer.in_features = 32;
  layer.out_features = 10;
  float scores[10];
  EXPECT(evr_dense(&layer, NULL, features, weights, bias, scores) == EVR_OK);

  evr_softmax_desc classes = EVR_SOFTMAX_DESC_INIT;
  classes.channels = 10;
  EXPECT(evr_softmax(&classes, NULL, scores, probabilities) == EVR_OK);
}

int main(void) {
  float map[32], pooled[8], averages[2], padded[4 * 6 * 2], values[3] = {-1.0f, 0.0f, 2.0f};
  float weights[32 * 10], bias[10] = {0}, features[32], probabilities[10];
  int32_t winners[8];
  for (int i = 0; i < 32; i++) map[i] = (float)((i * 7) % 32);
  for (int i = 0; i < 320; i++) weights[i] = i % 10 == 3 ? 0.01f : 0.0f;
  pool(map, pooled, winners);
  pool_globally(map, averages);
  float sum = 0.0f;
  for (int i = 0; i < 32; i += 2) sum += map[i];
  EXPECT(averages[0] == sum / 16.0f);
  pad(map, padded);
  EXPECT(padded[0] == map[2] && padded[2] == map[0] && padded[10] == map[4]);
  activate_in_place(values, 3);
  EXPECT(values[0] == -0.01f && values[1] == 0.0f && values[2] == 2.0f);
  classify(map, weights, bias, features, probabilities);
  EXPECT(memcmp(map, features, sizeof map) == 0);
  EXPECT(probabilities[3] > 0.9f && probabilities[0] < 0.1f);
  return 0;
}
