/* The allocator hook: NULL at each call in turn, and everything given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/compare.h"
#include "support/hooks.h"
#include "support/suite.h"
#include "walk/walk.h"

#define FLOATS 4096
static float x[FLOATS], weights[FLOATS], bias[64], y[FLOATS];

/* With strides and pads, so that there is something to copy; or depthwise. */
static evr_status backward_call(evr_operation operation, int64_t groups, evr_layout layout,
                                const evr_plan_options *options) {
  if (operation == EVR_OP_CONV2D_TRANSPOSED) {
    evr_conv2d_transposed_desc d = EVR_CONV2D_TRANSPOSED_DESC_INIT;
    d.in_channels = d.out_channels = 8;
    d.groups = groups;
    d.in_height = d.in_width = 5;
    d.kernel_height = d.kernel_width = 3;
    d.stride_width = groups > 1 ? 1 : 2;
    d.layout = layout;
    return evr_conv2d_transposed(&d, options, x, weights, bias, y);
  }
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = 8;
  d.groups = groups;
  d.in_height = d.in_width = 7;
  d.kernel_height = d.kernel_width = 3;
  d.pad_left = 4;
  d.layout = layout;
  const evr_conv2d_backward_data_arguments data = {.dy = x, .weights = weights, .dx = y};
  const evr_conv2d_backward_weights_arguments gradients = {
      .x = x, .dy = weights, .dweights = y, .dbias = y + FLOATS - 8};
  return operation == EVR_OP_CONV2D_BACKWARD_DATA
             ? evr_conv2d_backward_data(&d, options, &data)
             : evr_conv2d_backward_weights(&d, options, &gradients);
}

static bool is_backward(evr_operation operation) {
  return operation == EVR_OP_CONV2D_BACKWARD_DATA || operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS ||
         operation == EVR_OP_CONV2D_TRANSPOSED;
}

/* Everything that an operation allocates for, from plan to result, without a workspace. */
static evr_status whole_call(evr_operation operation, const evr_plan_options *options) {
  switch (operation) {
    case EVR_OP_CONV2D: {
      evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
      d.in_channels = d.out_channels = 8;
      d.in_height = d.in_width = 7;
      d.kernel_height = d.kernel_width = 3;
      d.pad_left = 1;
      return evr_conv2d(&d, options, x, weights, bias, y);
    }
    case EVR_OP_CONV2D_BACKWARD_DATA:
    case EVR_OP_CONV2D_BACKWARD_WEIGHTS:
    case EVR_OP_CONV2D_TRANSPOSED: return backward_call(operation, 1, EVR_NHWC, options);
    case EVR_OP_POOL2D: {
      evr_pool2d_desc d = EVR_POOL2D_DESC_INIT;
      d.channels = 5;
      d.in_height = d.in_width = 9;
      d.window.kind = EVR_POOL_AVERAGE;
      d.window.kernel_height = d.window.kernel_width = 3;
      return evr_pool2d(&d, options, x, y, NULL);
    }
    case EVR_OP_ACTIVATION: {
      const evr_activation_desc d = {{EVR_TANH, 0.0f}, 100};
      return evr_activate(&d, options, x, y);
    }
    case EVR_OP_SOFTMAX: {
      const evr_softmax_desc d = {3, 10, 2, 2, EVR_NCHW};
      return evr_softmax(&d, options, x, y);
    }
    case EVR_OP_DENSE: {
      evr_dense_desc d = EVR_DENSE_DESC_INIT;
      d.batch = 3;
      d.in_features = d.out_features = 20;
      return evr_dense(&d, options, x, weights, bias, y);
    }
    case EVR_OP_PAD2D: {
      evr_pad2d_desc d = EVR_PAD2D_DESC_INIT;
      d.channels = d.in_height = d.in_width = 5;
      d.pad_top = d.pad_right = 2;
      return evr_pad2d(&d, options, x, y);
    }
    case EVR_OP_ACTIVATION_BACKWARD: {
      const evr_activation_desc d = {{EVR_SILU, 0.0f}, 100};
      return evr_activation_backward(&d, options, x, NULL, weights, y);
    }
    case EVR_OP_PAD2D_BACKWARD: {
      evr_pad2d_desc d = EVR_PAD2D_DESC_INIT;
      d.channels = d.in_height = d.in_width = 5;
      d.pad_top = d.pad_right = 2;
      return evr_pad2d_backward(&d, options, x, y);
    }
    case EVR_OP_SOFTMAX_BACKWARD: {
      const evr_softmax_desc d = {3, 10, 2, 2, EVR_NCHW};
      return evr_softmax_backward(&d, options, x, weights, y);
    }
    case EVR_OP_SOFTMAX_CROSS_ENTROPY: {
      const evr_softmax_desc d = {3, 10, 1, 1, EVR_NCHW};
      const int32_t labels[] = {0, 9, 3};
      const evr_softmax_cross_entropy_arguments a = {x, labels, NULL, 1.0f, y + 30, y};
      return evr_softmax_cross_entropy(&d, options, &a);
    }
    case EVR_OP_SIGMOID_CROSS_ENTROPY:
      return evr_sigmoid_cross_entropy(100, options, x, weights, 1.0f, y + 100, y);
    case EVR_OP_DENSE_BACKWARD_DATA:
    case EVR_OP_DENSE_BACKWARD_WEIGHTS: {
      evr_dense_desc d = EVR_DENSE_DESC_INIT;
      d.batch = 3;
      d.in_features = d.out_features = 20;
      d.activation.kind = EVR_SIGMOID;
      const evr_dense_backward_data_arguments a = {.dy = x, .y = bias, .weights = weights, .dx = y};
      if (operation == EVR_OP_DENSE_BACKWARD_DATA) return evr_dense_backward_data(&d, options, &a);
      const evr_dense_backward_weights_arguments b = {
          .x = x, .dy = weights, .y = bias, .dweights = y, .dbias = y + 400};
      return evr_dense_backward_weights(&d, options, &b);
    }
    case EVR_OP_POOL2D_BACKWARD: {
      evr_pool2d_desc d = EVR_POOL2D_DESC_INIT;
      d.channels = 5;
      d.in_height = d.in_width = 9;
      d.window.kind = EVR_POOL_MAX;
      d.window.kernel_height = d.window.kernel_width = 3;
      return evr_pool2d_backward(&d, options, weights, NULL, x, y);
    }
    case EVR_OPERATIONS: break;
  }
  return EVR_INVALID_ARGUMENT;
}

/* A depthwise convolution, for the variants that serve no other; and one with its pooling. */
static evr_status depthwise_call(evr_operation operation, const evr_plan_options *options) {
  if (is_backward(operation)) return backward_call(operation, 8, EVR_NCHW, options);
  if (operation != EVR_OP_CONV2D) return whole_call(operation, options);
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = d.groups = 9;
  d.in_height = d.in_width = 7;
  d.kernel_height = d.kernel_width = 3;
  d.layout = EVR_NCHW;
  d.pad_mode = EVR_PAD_REPLICATE;
  d.pad_top = d.pad_left = 2;
  return evr_conv2d(&d, options, x, weights, bias, y);
}

static evr_status trio_call(evr_operation operation, const evr_plan_options *options) {
  if (operation != EVR_OP_CONV2D) return whole_call(operation, options);
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = 3;
  d.out_channels = 8;
  d.in_height = d.in_width = 9;
  d.kernel_height = d.kernel_width = 3;
  d.activation.kind = EVR_RELU;
  d.pool.kind = EVR_POOL_MAX;
  d.pool.kernel_height = d.pool.kernel_width = d.pool.stride_height = d.pool.stride_width = 2;
  return evr_conv2d(&d, options, x, weights, bias, y);
}

typedef evr_status operation_call(evr_operation operation, const evr_plan_options *options);
static operation_call *const kinds_of_call[] = {whole_call, depthwise_call, trio_call};

static void fail_each_allocation(const evr_variant *variant, operation_call *call) {
  for (int64_t fail_at = 1;; fail_at++) {
    tally count = {.fail_at = fail_at};
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = variant->name;
    options.allocator = tallying_allocator(&count);
    fill_untouched(y, FLOATS);
    const evr_status status = call(variant->operation, &options);
    const char *name = variant->name;
    ck_assert_msg(count.alive == 0, "%s: %lld blocks are not released", name,
                  (long long)count.alive);
    ck_assert_msg(!count.foreign, "%s: a block was released that was not allocated", name);
    if (status == EVR_UNSUPPORTED) return;
    if (status == EVR_OK) {
      ck_assert_msg(count.calls < fail_at, "%s: an allocation failed unseen", name);
      ck_assert_msg(count.calls > 0, "%s: the allocator was not called", name);
      ck_assert(!all_untouched(y, 20));
      return;
    }
    ck_assert_msg(status == EVR_OUT_OF_MEMORY, "%s: %s: %s", name, evr_status_name(status),
                  evr_last_error());
    ck_assert_msg(strpbrk(evr_last_error(), "0123456789") != NULL, "%s: \"%s\" lacks the size",
                  name, evr_last_error());
    ck_assert_msg(all_untouched(y, FLOATS), "%s: y is touched", name);
    ck_assert_int_lt(fail_at, 100);
  }
}

START_TEST(every_allocation_may_fail) {
  size_t rows, walked = 0;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (!variant_runs_here(&registry[i])) continue;
    fail_each_allocation(&registry[i], kinds_of_call[_i]);
    walked++;
  }
  ck_assert_uint_ge(walked, 2 * EVR_OPERATIONS);
}
END_TEST

/* Plans and their executions release exactly what they took, and only that. */
START_TEST(nothing_is_leaked) {
  tally count = {0};
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.allocator = tallying_allocator(&count);
  for (int operation = 0; operation < EVR_OPERATIONS; operation++)
    for (int kind = 0; kind < 3; kind++)
      ck_assert_int_eq(kinds_of_call[kind]((evr_operation)operation, &options), EVR_OK);
  ck_assert(count.calls >= 3 * EVR_OPERATIONS && count.alive == 0 && !count.foreign);
}
END_TEST

/* A workspace that the caller gives is all that an execution needs. */
START_TEST(given_workspace_is_enough) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = 8;
  d.in_height = d.in_width = 7;
  d.kernel_height = d.kernel_width = 3;
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != EVR_OP_CONV2D || !variant_runs_here(&registry[i])) continue;
    tally count = {0};
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[i].name;
    options.allocator = tallying_allocator(&count);
    evr_conv2d_plan *plan;
    if (evr_conv2d_plan_create(&d, &options, &plan) != EVR_OK) continue;
    const int64_t calls = count.calls;
    char *workspace = malloc(evr_conv2d_workspace_size(plan, false) + 1);
    ck_assert_int_eq(evr_conv2d_forward(plan, x, weights, bias, y, workspace), EVR_OK);
    ck_assert_msg(evr_conv2d_workspace_size(plan, false) == 0 || count.calls == calls,
                  "%s allocates beside its workspace", registry[i].name);
    free(workspace);
    evr_conv2d_plan_destroy(plan);
    ck_assert_int_eq(count.alive, 0);
  }
}
END_TEST

/* Buffers of a convolution by weights that are packed, or not. */
enum { BUFFERS = 6, WRITTEN = 4 };
typedef struct buffer {
  const char *name;
  char *start;
  size_t bytes;
} buffer;

static evr_status execute(const evr_conv2d_plan *plan, bool packed, const buffer b[BUFFERS]) {
  const evr_conv2d_arguments a = {.x = (void *)b[0].start,
                                  .weights = packed ? NULL : (void *)b[1].start,
                                  .packed = packed ? b[1].start : NULL,
                                  .bias = (void *)b[2].start,
                                  .residual = (void *)b[3].start,
                                  .y = (void *)b[4].start,
                                  .workspace = b[5].start};
  return evr_conv2d_execute(plan, &a);
}

/* What is written may not share a single byte with any other buffer, at either of its ends; buffers
 * may touch. */
START_TEST(every_pair_of_buffers) {
  const bool packed = _i != 0;
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = 16;
  d.in_height = d.in_width = 20;
  d.kernel_height = d.kernel_width = 3;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "im2col-gemm-scalar"; /* has more scratch than is on the stack */
  evr_conv2d_plan *plan;
  ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_OK);
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  const size_t workspace = evr_conv2d_workspace_size(plan, packed);
  ck_assert_uint_gt(workspace, 0);
  buffer b[BUFFERS] = {
      {"x", NULL, (size_t)s.x_count * sizeof(float)},
      {packed ? "packed" : "weights", NULL,
       packed ? evr_conv2d_packed_size(plan) : (size_t)s.weights_count * sizeof(float)},
      {"bias", NULL, (size_t)s.bias_count * sizeof(float)},
      {"residual", NULL, (size_t)s.residual_count * sizeof(float)},
      {"y", NULL, (size_t)s.y_count * sizeof(float)},
      {"workspace", NULL, workspace},
  };
  size_t longest = 0;
  for (int i = 0; i < BUFFERS; i++)
    if (b[i].bytes > longest) longest = b[i].bytes;
  const size_t apart = (3 * longest / 64 + 1) * 64;
  char *const memory = calloc(BUFFERS, apart);
  ck_assert_ptr_nonnull(memory);
  for (int i = 0; i < BUFFERS; i++)
    b[i].start = memory + (size_t)i * apart + (longest / 64 + 1) * 64;
  if (packed) ck_assert_int_eq(evr_conv2d_pack(plan, (void *)b[0].start, b[1].start), EVR_OK);
  ck_assert_int_eq(execute(plan, packed, b), EVR_OK);
  for (int w = WRITTEN; w < BUFFERS; w++)
    for (int o = 0; o < w; o++) {
      char sentence[64];
      snprintf(sentence, sizeof sentence, "%s overlaps %s", b[w].name, b[o].name);
      char *const own = b[w].start;
      char *const places[] = {b[o].start - b[w].bytes, b[o].start + b[o].bytes};
      for (int end = 0; end < 2; end++) {
        b[w].start = places[end];
        const bool aligned = (uintptr_t)b[w].start % sizeof(float) == 0; /* packed may end oddly */
        ck_assert_msg(!aligned || execute(plan, packed, b) == EVR_OK, "%s beside %s: %s", b[w].name,
                      b[o].name, evr_last_error());
        b[w].start = places[end] + (end == 0 ? 1 : -1);
        ck_assert_msg(execute(plan, packed, b) == EVR_OVERLAP, "%s", sentence);
        ck_assert_str_eq(evr_last_error(), sentence);
      }
      b[w].start = own;
    }
  free(memory);
  evr_conv2d_plan_destroy(plan);
}
END_TEST

int main(void) {
  suite_begin("memory");
  for (int i = 0; i < FLOATS; i++) x[i] = weights[i] = (float)(i % 7) - 3.0f;
  Suite *suite = suite_create("memory");
  TCase *all = suite_case(suite, "memory");
  tcase_add_loop_test(all, every_allocation_may_fail, 0, 3);
  tcase_add_test(all, nothing_is_leaked);
  tcase_add_test(all, given_workspace_is_enough);
  tcase_add_loop_test(all, every_pair_of_buffers, 0, 2);
  return suite_end(suite);
}
