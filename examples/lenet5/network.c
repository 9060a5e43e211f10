#include "network.h"

#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 9 };

typedef enum layer_kind { CONVOLVE, AVERAGE, CONNECT } layer_kind;

/* A layer reads values[i] and writes values[i + 1]. */
typedef struct layer {
  layer_kind kind;
  int64_t weights, weights_count, bias, bias_count; /* places in the parameters */
  int64_t fan_in;
  evr_conv2d_plan *conv;
  evr_conv2d_backward_data_plan *conv_data;
  evr_conv2d_backward_weights_plan *conv_weights;
  evr_pool2d_plan *pool;
  evr_pool2d_backward_plan *pool_backward;
  evr_dense_plan *dense;
  evr_dense_backward_data_plan *dense_data;
  evr_dense_backward_weights_plan *dense_weights;
  void *workspace; /* for whichever of its plans runs */
} layer;

struct lenet {
  int64_t batch, parameter_count;
  layer layers[LAYERS];
  evr_softmax_cross_entropy_plan *loss_plan;
  float *parameters, *gradients, *velocity, *mask; /* mask: 0 where C3 has no connection */
  float *values[LAYERS + 1], *slopes[LAYERS + 1];  /* slopes: gradients of the loss */
  float *losses;
  int32_t *labels;
};

/* S2 and S4 are an average, then a coefficient and a bias for each map: a depthwise convolution of
 * 1 x 1. (The paper adds four pixels up; its coefficients are a quarter of these.) */
static const struct {
  layer_kind kind;
  int64_t side, in, out, kernel, groups;
} shapes[LAYERS] = {{CONVOLVE, 32, 1, 6, 5, 1},   /* C1 */
                    {AVERAGE, 28, 6, 6, 2, 1},    /* S2 */
                    {CONVOLVE, 14, 6, 6, 1, 6},   /* its coefficients */
                    {CONVOLVE, 14, 6, 16, 5, 1},  /* C3 */
                    {AVERAGE, 10, 16, 16, 2, 1},  /* S4 */
                    {CONVOLVE, 5, 16, 16, 1, 16}, /* its coefficients */
                    {CONVOLVE, 5, 16, 120, 5, 1}, /* C5 */
                    {CONNECT, 1, 120, 84, 1, 1},  /* F6 */
                    {CONNECT, 1, 84, 10, 1, 1}};  /* output */

enum { C3 = 3 };

/* Table I: which maps of S2 each map of C3 sees. */
static const unsigned char table_1[16][6] = {
    {1, 1, 1, 0, 0, 0}, {0, 1, 1, 1, 0, 0}, {0, 0, 1, 1, 1, 0}, {0, 0, 0, 1, 1, 1},
    {1, 0, 0, 0, 1, 1}, {1, 1, 0, 0, 0, 1}, {1, 1, 1, 1, 0, 0}, {0, 1, 1, 1, 1, 0},
    {0, 0, 1, 1, 1, 1}, {1, 0, 0, 1, 1, 1}, {1, 1, 0, 0, 1, 1}, {1, 1, 1, 0, 0, 1},
    {1, 1, 0, 1, 1, 0}, {0, 1, 1, 0, 1, 1}, {1, 0, 1, 1, 0, 1}, {1, 1, 1, 1, 1, 1}};

static evr_status plan_convolution(lenet *net, int i, const evr_plan_options *options,
                                   int64_t *out_side) {
  layer *l = &net->layers[i];
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.batch = net->batch;
  desc.groups = shapes[i].groups;
  desc.in_channels = shapes[i].in;
  desc.out_channels = shapes[i].out;
  desc.in_height = desc.in_width = shapes[i].side;
  desc.kernel_height = desc.kernel_width = shapes[i].kernel;
  desc.activation.kind = EVR_SCALED_TANH;
  *out_side = shapes[i].side - shapes[i].kernel + 1;
  l->fan_in = shapes[i].in / shapes[i].groups * shapes[i].kernel * shapes[i].kernel;
  evr_status status = evr_conv2d_plan_create(&desc, options, &l->conv);
  if (status == EVR_OK && i > 0) /* nobody asks how the picture should change */
    status = evr_conv2d_backward_data_plan_create(&desc, options, &l->conv_data);
  if (status == EVR_OK)
    status = evr_conv2d_backward_weights_plan_create(&desc, options, &l->conv_weights);
  return status;
}

static evr_status plan_average(lenet *net, int i, const evr_plan_options *options,
                               int64_t *out_side) {
  layer *l = &net->layers[i];
  evr_pool2d_desc desc = EVR_POOL2D_DESC_INIT;
  desc.batch = net->batch;
  desc.channels = shapes[i].in;
  desc.in_height = desc.in_width = shapes[i].side;
  desc.window.kind = EVR_POOL_AVERAGE;
  desc.window.kernel_height = desc.window.kernel_width = 2;
  desc.window.stride_height = desc.window.stride_width = 2;
  *out_side = shapes[i].side / 2;
  evr_status status = evr_pool2d_plan_create(&desc, options, &l->pool);
  if (status == EVR_OK) status = evr_pool2d_backward_plan_create(&desc, options, &l->pool_backward);
  return status;
}

static evr_status plan_dense(lenet *net, int i, const evr_plan_options *options) {
  layer *l = &net->layers[i];
  evr_dense_desc desc = EVR_DENSE_DESC_INIT;
  desc.batch = net->batch;
  desc.in_features = l->fan_in = shapes[i].in;
  desc.out_features = shapes[i].out;
  if (i < LAYERS - 1) desc.activation.kind = EVR_SCALED_TANH;
  evr_status status = evr_dense_plan_create(&desc, options, &l->dense);
  if (status == EVR_OK)
    status = evr_dense_backward_data_plan_create(&desc, options, &l->dense_data);
  if (status == EVR_OK)
    status = evr_dense_backward_weights_plan_create(&desc, options, &l->dense_weights);
  return status;
}

static float *floats(int64_t count) { return calloc((size_t)count, sizeof(float)); }

/* Of a plan that a layer does not have it is 0. */
static size_t workspace_size(const layer *l) {
  const size_t sizes[] = {evr_conv2d_workspace_size(l->conv, false),
                          evr_conv2d_backward_data_workspace_size(l->conv_data),
                          evr_conv2d_backward_weights_workspace_size(l->conv_weights),
                          evr_pool2d_backward_workspace_size(l->pool_backward),
                          evr_dense_workspace_size(l->dense, false),
                          evr_dense_backward_data_workspace_size(l->dense_data),
                          evr_dense_backward_weights_workspace_size(l->dense_weights)};
  size_t most = 1;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
    if (sizes[i] > most) most = sizes[i];
  return most;
}

static bool make_layer(lenet *net, int i, const evr_plan_options *options) {
  layer *l = &net->layers[i];
  int64_t out_side = 1;
  l->kind = shapes[i].kind;
  evr_status status = l->kind == CONVOLVE  ? plan_convolution(net, i, options, &out_side)
                      : l->kind == AVERAGE ? plan_average(net, i, options, &out_side)
                                           : plan_dense(net, i, options);
  if (status != EVR_OK) return false;
  if (l->kind != AVERAGE) {
    l->bias_count = shapes[i].out;
    l->weights_count = l->fan_in * shapes[i].out;
    l->weights = net->parameter_count;
    l->bias = l->weights + l->weights_count;
    net->parameter_count = l->bias + l->bias_count;
  }
  const int64_t count = net->batch * out_side * out_side * shapes[i].out;
  net->values[i + 1] = floats(count);
  net->slopes[i + 1] = floats(count);
  l->workspace = malloc(workspace_size(l));
  return net->values[i + 1] && net->slopes[i + 1] && l->workspace;
}

/* Uniform with variance 1 / (inputs of a unit): LeCun et al., Efficient BackProp, 1998, section
 * 4.6. The 2.4 / inputs of the paper is so narrow that plain descent stands still. An average
 * begins as it is. Roots are correctly rounded, so the weights are the same everywhere. */
static void begin_weights(lenet *net, uint64_t seed) {
  for (int64_t p = 0; p < net->parameter_count; ++p) net->mask[p] = 1.0f;
  for (int64_t p = 0; p < net->layers[C3].weights_count; ++p) /* HWIO */
    net->mask[net->layers[C3].weights + p] = table_1[p % 16][p / 16 % 6];
  for (int i = 0; i < LAYERS; ++i) {
    const layer *l = &net->layers[i];
    for (int64_t p = l->weights; p < l->weights + l->weights_count; ++p)
      net->parameters[p] = shapes[i].groups > 1 ? 1.0f
                                                : (float)random_between(&seed, -1.0, 1.0) *
                                                      sqrtf(3.0f / (float)l->fan_in) * net->mask[p];
  }
}

lenet *lenet_create(int64_t batch, const evr_plan_options *options, uint64_t seed) {
  lenet *net = calloc(1, sizeof *net);
  if (!net) return NULL;
  net->batch = batch;
  for (int i = 0; i < LAYERS; ++i)
    if (!make_layer(net, i, options)) goto fail;
  evr_softmax_desc desc = EVR_SOFTMAX_DESC_INIT;
  desc.batch = batch;
  desc.channels = LENET_CLASSES;
  desc.height = desc.width = 1;
  if (evr_softmax_cross_entropy_plan_create(&desc, options, &net->loss_plan) != EVR_OK) goto fail;
  net->values[0] = floats(batch * LENET_PIXELS);
  net->losses = floats(batch);
  net->labels = calloc((size_t)batch, sizeof *net->labels);
  net->parameters = floats(net->parameter_count);
  net->gradients = floats(net->parameter_count);
  net->velocity = floats(net->parameter_count);
  net->mask = floats(net->parameter_count);
  if (!net->values[0] || !net->losses || !net->labels || !net->parameters || !net->gradients ||
      !net->velocity || !net->mask)
    goto fail;
  begin_weights(net, seed);
  return net;
fail:
  lenet_destroy(net);
  return NULL;
}

void lenet_destroy(lenet *net) {
  if (!net) return;
  for (int i = 0; i < LAYERS; ++i) {
    layer *l = &net->layers[i];
    evr_conv2d_plan_destroy(l->conv);
    evr_conv2d_backward_data_plan_destroy(l->conv_data);
    evr_conv2d_backward_weights_plan_destroy(l->conv_weights);
    evr_pool2d_plan_destroy(l->pool);
    evr_pool2d_backward_plan_destroy(l->pool_backward);
    evr_dense_plan_destroy(l->dense);
    evr_dense_backward_data_plan_destroy(l->dense_data);
    evr_dense_backward_weights_plan_destroy(l->dense_weights);
    free(l->workspace);
  }
  for (int i = 0; i <= LAYERS; ++i) {
    free(net->values[i]);
    free(net->slopes[i]);
  }
  evr_softmax_cross_entropy_plan_destroy(net->loss_plan);
  free(net->parameters);
  free(net->gradients);
  free(net->velocity);
  free(net->mask);
  free(net->losses);
  free(net->labels);
  free(net);
}

static evr_status run_forward(lenet *net, int i) {
  const layer *l = &net->layers[i];
  const float *x = net->values[i], *weights = net->parameters + l->weights,
              *bias = net->parameters + l->bias;
  float *y = net->values[i + 1];
  if (l->kind == CONVOLVE) return evr_conv2d_forward(l->conv, x, weights, bias, y, l->workspace);
  if (l->kind == AVERAGE) return evr_pool2d_forward(l->pool, x, y, NULL);
  return evr_dense_forward(l->dense, x, weights, bias, y, l->workspace);
}

static evr_status run_backward(lenet *net, int i) {
  const layer *l = &net->layers[i];
  const float *x = net->values[i], *y = net->values[i + 1], *dy = net->slopes[i + 1];
  const float *weights = net->parameters + l->weights;
  float *dweights = net->gradients + l->weights, *dbias = net->gradients + l->bias;
  if (l->kind == AVERAGE)
    return evr_pool2d_backward_execute(l->pool_backward, dy, NULL, NULL, net->slopes[i],
                                       l->workspace);
  if (l->kind == CONNECT) {
    evr_status status = evr_dense_backward_weights_execute(
        l->dense_weights, &(evr_dense_backward_weights_arguments){.x = x,
                                                                  .dy = dy,
                                                                  .y = y,
                                                                  .dweights = dweights,
                                                                  .dbias = dbias,
                                                                  .workspace = l->workspace});
    if (status != EVR_OK) return status;
    return evr_dense_backward_data_execute(
        l->dense_data,
        &(evr_dense_backward_data_arguments){
            .dy = dy, .y = y, .weights = weights, .dx = net->slopes[i], .workspace = l->workspace});
  }
  evr_status status = evr_conv2d_backward_weights_execute(
      l->conv_weights, &(evr_conv2d_backward_weights_arguments){.x = x,
                                                                .dy = dy,
                                                                .y = y,
                                                                .dweights = dweights,
                                                                .dbias = dbias,
                                                                .workspace = l->workspace});
  if (status != EVR_OK || i == 0) return status;
  return evr_conv2d_backward_data_execute(
      l->conv_data,
      &(evr_conv2d_backward_data_arguments){
          .dy = dy, .weights = weights, .y = y, .dx = net->slopes[i], .workspace = l->workspace});
}

/* Forward, with loss and gradient, of count examples; the rest of the minibatch is blank. */
static evr_status look(lenet *net, const unsigned char *pixels, const unsigned char *labels,
                       int64_t count, lenet_score *score) {
  /* Ink 1.175 and paper -0.1: mean about 0 and variance about 1, as in the paper. */
  for (int64_t p = 0; p < net->batch * LENET_PIXELS; ++p)
    net->values[0][p] =
        p < count * LENET_PIXELS ? (float)pixels[p] * (1.275f / 255.0f) - 0.1f : -0.1f;
  for (int64_t n = 0; n < net->batch; ++n) net->labels[n] = n < count ? labels[n] : 0;
  evr_status status = EVR_OK;
  for (int i = 0; i < LAYERS && status == EVR_OK; ++i) status = run_forward(net, i);
  const float *answers = net->values[LAYERS];
  if (status == EVR_OK)
    status = evr_softmax_cross_entropy_execute(
        net->loss_plan, &(evr_softmax_cross_entropy_arguments){.x = answers,
                                                               .labels = net->labels,
                                                               .scale = 1.0f / (float)net->batch,
                                                               .loss = net->losses,
                                                               .dx = net->slopes[LAYERS]});
  for (int64_t n = 0; n < count && status == EVR_OK; ++n) {
    int best = 0;
    for (int c = 1; c < LENET_CLASSES; ++c)
      if (answers[n * LENET_CLASSES + c] > answers[n * LENET_CLASSES + best]) best = c;
    score->correct += best == labels[n];
    score->loss += (double)net->losses[n];
    ++score->examples;
  }
  return status;
}

evr_status lenet_step(lenet *net, const unsigned char *pixels, const unsigned char *labels,
                      float rate, float momentum, lenet_score *score) {
  evr_status status = look(net, pixels, labels, net->batch, score);
  for (int i = LAYERS - 1; i >= 0 && status == EVR_OK; --i) status = run_backward(net, i);
  if (status != EVR_OK) return status;
  for (int64_t p = 0; p < net->parameter_count; ++p) {
    net->velocity[p] = momentum * net->velocity[p] - rate * (net->gradients[p] * net->mask[p]);
    net->parameters[p] += net->velocity[p];
  }
  return EVR_OK;
}

evr_status lenet_test(lenet *net, const unsigned char *pixels, const unsigned char *labels,
                      int64_t count, lenet_score *score) {
  evr_status status = EVR_OK;
  for (int64_t n = 0; n < count && status == EVR_OK; n += net->batch)
    status = look(net, pixels + n * LENET_PIXELS, labels + n,
                  count - n < net->batch ? count - n : net->batch, score);
  return status;
}

int64_t lenet_weights(const lenet *net) {
  int64_t count = 0;
  for (int64_t p = 0; p < net->parameter_count; ++p) count += net->mask[p] != 0.0f;
  return count;
}

uint64_t lenet_hash(const lenet *net) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (int64_t p = 0; p < net->parameter_count; ++p) {
    uint32_t bits;
    memcpy(&bits, &net->parameters[p], sizeof bits);
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (bits >> shift & 255)) * UINT64_C(0x100000001b3);
  }
  return hash;
}
