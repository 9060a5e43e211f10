/* Pieces of docs/api.md about convolution. */
#include "snippet.h"

static evr_conv2d_desc describe(void) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.batch = 1;
  desc.in_channels = 3;
  desc.in_height = 224;
  desc.in_width = 224;
  desc.out_channels = 64;
  desc.kernel_height = desc.kernel_width = 7;
  desc.stride_height = desc.stride_width = 2;
  desc.activation.kind = EVR_RELU;
  return desc;
}

static void size_buffers(const evr_conv2d_desc *desc) {
  evr_conv2d_sizes sizes;
  if (evr_conv2d_get_sizes(desc, &sizes) != EVR_OK) {
    fprintf(stderr, "%s\n", evr_last_error());
    return;
  }
  float *y = malloc((size_t)sizes.y_count * sizeof *y);
  printf("%lld x %lld\n", (long long)sizes.out_height, (long long)sizes.out_width);
  EXPECT(y != NULL && sizes.out_height == 112 && sizes.y_count == 112 * 112 * 64);
  free(y);
}

static void pad(evr_conv2d_desc *desc) {
  evr_status status = evr_conv2d_set_padding(desc, EVR_SAME_UPPER);
  EXPECT(status == EVR_OK);
  /* 7 x 7 with stride 2 over 224 pixels: 2 above and left, 3 below and right */
  EXPECT(desc->pad_top == 2 && desc->pad_bottom == 3);
}

/* One call. */
static evr_status once(const evr_conv2d_desc *desc, const float *x, const float *weights,
                       const float *bias, float *y) {
  return evr_conv2d(desc, NULL, x, weights, bias, y);
}

/* A plan, packed weights and a workspace of our own: nothing is allocated or packed in the loop. */
static evr_status many(const evr_conv2d_desc *desc, const float *const *images, int count,
                       const float *weights, const float *bias, float *const *results) {
  evr_conv2d_plan *plan;
  evr_status status = evr_conv2d_plan_create(desc, NULL, &plan);
  if (status != EVR_OK) return status;
  void *packed = malloc(evr_conv2d_packed_size(plan) + 1); /* the size may be 0 */
  void *workspace = malloc(evr_conv2d_workspace_size(plan, true) + 1);
  if (packed == NULL || workspace == NULL)
    status = EVR_OUT_OF_MEMORY;
  else
    status = evr_conv2d_pack(plan, weights, packed);
  for (int i = 0; i < count && status == EVR_OK; i++) {
    const evr_conv2d_arguments arguments = {
        .x = images[i],
        .weights = weights, /* for variants that do not pack */
        .packed = packed,
        .bias = bias,
        .y = results[i],
        .workspace = workspace,
    };
    status = evr_conv2d_execute(plan, &arguments);
  }
  free(packed);
  free(workspace);
  evr_conv2d_plan_destroy(plan);
  return status;
}

/* Filter, detect, condense in one call: y is the pooled output. */
static evr_status trio(const float *x, const float *weights, const float *bias, float *y,
                       evr_conv2d_sizes *sizes) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.in_channels = 1;
  desc.in_height = desc.in_width = 28;
  desc.out_channels = 6;
  desc.kernel_height = desc.kernel_width = 5;
  desc.activation.kind = EVR_RELU;
  desc.pool.kind = EVR_POOL_MAX;
  desc.pool.kernel_height = desc.pool.kernel_width = 2;
  desc.pool.stride_height = desc.pool.stride_width = 2;
  evr_status status = evr_conv2d_get_sizes(&desc, sizes); /* 24 x 24, then 12 x 12 */
  return status != EVR_OK ? status : evr_conv2d(&desc, NULL, x, weights, bias, y);
}

static float *filled(int64_t count, float value) {
  float *values = malloc((size_t)count * sizeof *values);
  EXPECT(values != NULL);
  for (int64_t i = 0; i < count; i++) values[i] = value;
  return values;
}

int main(void) {
  evr_conv2d_desc desc = describe();
  pad(&desc);
  size_buffers(&desc);

  evr_conv2d_sizes sizes;
  EXPECT(evr_conv2d_get_sizes(&desc, &sizes) == EVR_OK);
  float *x = filled(sizes.x_count, 1.0f), *weights = filled(sizes.weights_count, 1.0f);
  float *bias = filled(sizes.bias_count, -1.0f);
  float *y = filled(sizes.y_count, 0.0f), *again = filled(sizes.y_count, 0.0f);
  EXPECT(once(&desc, x, weights, bias, y) == EVR_OK);
  const float *const images[] = {x, x};
  float *const results[] = {again, again};
  EXPECT(many(&desc, images, 2, weights, bias, results) == EVR_OK);
  EXPECT(memcmp(y, again, (size_t)sizes.y_count * sizeof *y) == 0);
  EXPECT(y[(56 * 112 + 56) * 64] == 3 * 49 - 1);

  EXPECT(trio(x, weights, bias, y, &sizes) == EVR_OK);
  EXPECT(sizes.conv_height == 24 && sizes.out_height == 12 && sizes.y_count == 12 * 12 * 6);
  EXPECT(y[0] == 24.0f && y[12 * 12 * 6 - 1] == 24.0f);
  free(x);
  free(weights);
  free(bias);
  free(y);
  free(again);
  return 0;
}
