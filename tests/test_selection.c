/* How a variant is chosen and refused, and the sizes and pads that are computed for a caller. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/walk.h"

#define MOST 64

static evr_conv2d_desc dense_convolution(void) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = 8;
  d.in_height = d.in_width = 7;
  d.kernel_height = d.kernel_width = 3;
  return d;
}

/* The list of an operation's variants for some descriptor that every family member serves. */
static evr_status list_of(evr_operation operation, const evr_plan_options *options,
                          evr_variant_report *list, size_t capacity, size_t *count) {
  const evr_conv2d_desc conv = dense_convolution();
  evr_conv2d_transposed_desc transposed = EVR_CONV2D_TRANSPOSED_DESC_INIT;
  transposed.in_channels = transposed.out_channels = 8;
  transposed.in_height = transposed.in_width = 7;
  transposed.kernel_height = transposed.kernel_width = 3;
  const evr_pool2d_desc pool = {1, 3,        5,
                                5, EVR_NHWC, {EVR_POOL_MAX, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0}};
  const evr_activation_desc activation = {{EVR_RELU, 0.0f}, 10};
  const evr_softmax_desc softmax = {1, 10, 1, 1, EVR_NHWC};
  const evr_dense_desc dense = {1, 5, 6, EVR_IO, {EVR_IDENTITY, 0.0f}};
  const evr_pad2d_desc pad = {1, 2, 3, 4, 1, 1, 1, 1, EVR_PAD_ZERO, EVR_NHWC};
  switch (operation) {
    case EVR_OP_CONV2D: return evr_conv2d_list_variants(&conv, options, list, capacity, count);
    case EVR_OP_CONV2D_BACKWARD_DATA:
      return evr_conv2d_backward_data_list_variants(&conv, options, list, capacity, count);
    case EVR_OP_CONV2D_BACKWARD_WEIGHTS:
      return evr_conv2d_backward_weights_list_variants(&conv, options, list, capacity, count);
    case EVR_OP_CONV2D_TRANSPOSED:
      return evr_conv2d_transposed_list_variants(&transposed, options, list, capacity, count);
    case EVR_OP_POOL2D: return evr_pool2d_list_variants(&pool, options, list, capacity, count);
    case EVR_OP_ACTIVATION:
      return evr_activation_list_variants(&activation, options, list, capacity, count);
    case EVR_OP_SOFTMAX: return evr_softmax_list_variants(&softmax, options, list, capacity, count);
    case EVR_OP_DENSE: return evr_dense_list_variants(&dense, options, list, capacity, count);
    case EVR_OP_PAD2D: return evr_pad2d_list_variants(&pad, options, list, capacity, count);
    case EVR_OP_ACTIVATION_BACKWARD:
      return evr_activation_backward_list_variants(&activation, options, list, capacity, count);
    case EVR_OP_PAD2D_BACKWARD:
      return evr_pad2d_backward_list_variants(&pad, options, list, capacity, count);
    case EVR_OP_SOFTMAX_BACKWARD:
      return evr_softmax_backward_list_variants(&softmax, options, list, capacity, count);
    case EVR_OP_SOFTMAX_CROSS_ENTROPY:
      return evr_softmax_cross_entropy_list_variants(&softmax, options, list, capacity, count);
    case EVR_OP_SIGMOID_CROSS_ENTROPY:
      return evr_sigmoid_cross_entropy_list_variants(9, options, list, capacity, count);
    case EVR_OP_DENSE_BACKWARD_DATA:
      return evr_dense_backward_data_list_variants(&dense, options, list, capacity, count);
    case EVR_OP_DENSE_BACKWARD_WEIGHTS:
      return evr_dense_backward_weights_list_variants(&dense, options, list, capacity, count);
    case EVR_OP_POOL2D_BACKWARD:
      return evr_pool2d_backward_list_variants(&pool, options, list, capacity, count);
    case EVR_OPERATIONS: break;
  }
  return EVR_INVALID_ARGUMENT;
}

/* Every variant of the registry, in its order, one of them chosen, the cheapest. */
START_TEST(list_is_the_registry) {
  const evr_operation operation = (evr_operation)_i;
  evr_variant_report list[MOST];
  size_t count, rows, at = 0;
  ck_assert_int_eq(list_of(operation, NULL, list, MOST, &count), EVR_OK);
  const evr_variant *registry = evr_registry(&rows);
  const evr_variant_report *chosen = NULL;
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != operation) continue;
    ck_assert_uint_lt(at, count);
    const evr_variant_report *r = &list[at++];
    ck_assert_str_eq(r->name, registry[i].name);
    ck_assert_int_eq(r->isa, registry[i].isa);
    if (!variant_runs_here(&registry[i])) ck_assert(!r->accepted);
    ck_assert_int_eq(r->accepted, r->reason[0] == '\0');
    ck_assert(!r->accepted || r->cost > 0.0);
    if (!r->chosen) continue;
    ck_assert(r->accepted && chosen == NULL);
    chosen = r;
  }
  ck_assert_uint_eq(at, count);
  ck_assert(chosen != NULL);
  for (size_t i = 0; i < count; i++) ck_assert(!list[i].accepted || list[i].cost >= chosen->cost);
  ck_assert(list[count - 1].accepted); /* the reference */
}
END_TEST

START_TEST(list_is_cut_at_its_capacity) {
  const evr_operation operation = (evr_operation)_i;
  evr_variant_report whole[MOST], cut[MOST];
  size_t count, again;
  ck_assert_int_eq(list_of(operation, NULL, whole, MOST, &count), EVR_OK);
  ck_assert_int_eq(list_of(operation, NULL, NULL, 0, &again), EVR_OK);
  ck_assert_uint_eq(again, count);
  for (size_t capacity = 1; capacity < count; capacity++) {
    memset(cut, 0x5c, sizeof cut);
    ck_assert_int_eq(list_of(operation, NULL, cut, capacity, &again), EVR_OK);
    ck_assert_uint_eq(again, count);
    for (size_t i = 0; i < capacity; i++) ck_assert_str_eq(cut[i].name, whole[i].name);
    for (size_t i = 0; i < sizeof cut[capacity]; i++)
      ck_assert_int_eq(((const unsigned char *)&cut[capacity])[i], 0x5c);
  }
}
END_TEST

/* A level above what options allow: EVR_UNSUPPORTED, with the level and who forbade it. */
START_TEST(level_above_the_limit_is_refused) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  const evr_conv2d_desc d = dense_convolution();
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != EVR_OP_CONV2D || registry[i].isa == EVR_ISA_SCALAR) continue;
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[i].name;
    options.max_isa = EVR_ISA_SCALAR;
    evr_conv2d_plan *plan = (evr_conv2d_plan *)&options;
    ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_UNSUPPORTED);
    ck_assert(plan == NULL);
    const char *said = evr_last_error();
    ck_assert_msg(strstr(said, registry[i].name) && strstr(said, evr_isa_name(registry[i].isa)) &&
                      strstr(said, "scalar"),
                  "%s", said);
    evr_variant_report list[MOST];
    size_t count;
    ck_assert_int_eq(evr_conv2d_list_variants(&d, &options, list, MOST, &count), EVR_OK);
    for (size_t r = 0; r < count; r++) {
      ck_assert(!list[r].chosen);
      if (strcmp(list[r].name, registry[i].name) == 0)
        ck_assert(!list[r].accepted && strstr(said, list[r].reason) != NULL);
    }
  }
}
END_TEST

START_TEST(descriptor_that_a_variant_cannot_serve_is_refused) {
  const evr_conv2d_desc d = dense_convolution();
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "depthwise-scalar";
  evr_conv2d_plan *plan;
  ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_UNSUPPORTED);
  ck_assert_msg(strstr(evr_last_error(), "options.variant is \"depthwise-scalar\"") != NULL, "%s",
                evr_last_error());
  options.variant = "depthwise"; /* the whole family */
  ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_UNSUPPORTED);
  float x = 1.0f, y = 2.0f;
  ck_assert_int_eq(evr_conv2d(&d, &options, &x, &x, NULL, &y), EVR_UNSUPPORTED);
  ck_assert(y == 2.0f);
}
END_TEST

/* Winograd's convolution is not as exact as the other modes ask for, and the fastest where it
 * is. */
START_TEST(winograd_serves_fast_alone) {
  evr_conv2d_desc d = dense_convolution();
  d.in_channels = d.out_channels = 128;
  d.in_height = d.in_width = 28;
  d.pad_top = d.pad_bottom = d.pad_left = d.pad_right = 1;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.max_isa = EVR_ISA_AVX512; /* tiles are faster still */
  evr_conv2d_plan *plan;
  for (int math = EVR_MATH_STANDARD; math <= EVR_MATH_FAST; math++)
    for (int layout = EVR_NHWC; layout <= EVR_NCHW; layout++) {
      d.layout = (evr_layout)layout;
      options.math = (evr_math)math;
      options.variant = NULL;
      ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_OK);
      const bool winograd = strncmp(evr_conv2d_plan_variant(plan), "winograd4-", 10) == 0;
      ck_assert_msg(winograd == (math == EVR_MATH_FAST), "math %d chose %s", math,
                    evr_conv2d_plan_variant(plan));
      evr_conv2d_plan_destroy(plan);
      options.variant = "winograd2";
      const evr_status expected = math == EVR_MATH_FAST ? EVR_OK : EVR_UNSUPPORTED;
      ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), expected);
      evr_conv2d_plan_destroy(plan);
    }
  options.math = (evr_math)(EVR_MATH_FAST + 1);
  ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_INVALID_ARGUMENT);
}
END_TEST

/* A family's name stands for its best member within the limit. */
/* The variant that a plan chooses, from the registry. */
static const evr_variant *choice_of(const evr_conv2d_desc *desc, evr_math math, int threads) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = math;
  options.num_threads = threads;
  evr_conv2d_plan *plan;
  ck_assert_int_eq(evr_conv2d_plan_create(desc, &options, &plan), EVR_OK);
  size_t rows;
  const evr_variant *registry = evr_registry(&rows), *found = NULL;
  for (size_t i = 0; i < rows; i++)
    if (registry[i].operation == EVR_OP_CONV2D &&
        strcmp(registry[i].name, evr_conv2d_plan_variant(plan)) == 0)
      found = &registry[i];
  evr_conv2d_plan_destroy(plan);
  ck_assert_ptr_nonnull(found);
  return found;
}

/* Bits do not depend on the number of threads, so variants with bits of their own must not be
 * chosen with one number of threads and left with another. */
START_TEST(threads_do_not_change_whose_bits_a_plan_has) {
  static const evr_math modes[] = {EVR_MATH_STANDARD, EVR_MATH_FAST};
  const unsigned exact = EVR_SERVES(EVR_MATH_EXACT);
  int inexact = 0;
  for (int64_t channels = 8; channels <= 256; channels *= 2)
    for (int64_t out = 8; out <= 512; out *= 2)
      for (int64_t size = 6; size <= 34; size += 4)
        for (int layout = 0; layout < 2; layout++) {
          evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
          d.in_channels = channels;
          d.out_channels = out;
          d.in_height = d.in_width = size;
          d.kernel_height = d.kernel_width = 3;
          d.layout = layout == 0 ? EVR_NHWC : EVR_NCHW;
          for (int m = 0; m < 2; m++) {
            const evr_variant *one = choice_of(&d, modes[m], 1);
            inexact += (one->math & exact) == 0;
            for (int threads = 2; threads <= 16; threads += threads < 4 ? 1 : 4) {
              const evr_variant *more = choice_of(&d, modes[m], threads);
              ck_assert_msg(one == more || (one->math & more->math & exact) != 0,
                            "%d channels of %d x %d to %d: %s with one thread, %s with %d",
                            (int)channels, (int)size, (int)size, (int)out, one->name, more->name,
                            threads);
            }
          }
        }
  ck_assert_int_gt(inexact, 0);
}
END_TEST

/* Some of these have so little scratch for each of several threads that a variant must do with less
 * of either. */
static evr_conv2d_desc small_convolution(test_random *r) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = random_between(r, 1, 160);
  d.out_channels = random_between(r, 1, 5);
  if (random_chance(r, 20)) d.groups = d.in_channels = d.out_channels = 9;
  d.in_height = random_between(r, 7, 30);
  d.in_width = random_between(r, 7, 30);
  d.kernel_height = d.kernel_width = random_between(r, 1, 3);
  d.stride_height = d.stride_width = random_between(r, 1, 2);
  d.layout = random_chance(r, 50) ? EVR_NHWC : EVR_NCHW;
  return d;
}

START_TEST(what_is_listed_as_accepted_can_be_planned) {
  static const int threads[] = {1, 2, 3, 7, 64};
  test_random random = {test_seed()};
  for (int64_t i = 0; i < test_rounds(300); i++) {
    const evr_conv2d_desc d = small_convolution(&random);
    evr_plan_options o = EVR_PLAN_OPTIONS_INIT;
    o.num_threads = threads[i % 5];
    evr_variant_report list[MOST];
    size_t count;
    ck_assert_int_eq(evr_conv2d_list_variants(&d, &o, list, MOST, &count), EVR_OK);
    for (size_t v = 0; v < count; v++) {
      evr_conv2d_plan *plan;
      o.variant = list[v].name;
      const bool planned = evr_conv2d_plan_create(&d, &o, &plan) == EVR_OK;
      ck_assert_msg(planned == list[v].accepted, "round %d: %s on %d threads is %s, but %s", (int)i,
                    list[v].name, o.num_threads, list[v].accepted ? "accepted" : list[v].reason,
                    planned ? "a plan was made" : evr_last_error());
      evr_conv2d_plan_destroy(plan);
    }
  }
}
END_TEST

/* Of its single tap no next one is ever asked for. */
START_TEST(stride_of_any_size_has_backward_data) {
  evr_conv2d_desc d = dense_convolution();
  d.pad_left = d.pad_right = d.pad_top = d.pad_bottom = 1;
  d.stride_width = INT64_MAX;
  d.stride_height = INT64_C(1) << 60;
  evr_conv2d_backward_data_plan *plan;
  ck_assert_msg(evr_conv2d_backward_data_plan_create(&d, NULL, &plan) == EVR_OK, "%s",
                evr_last_error());
  evr_conv2d_backward_data_plan_destroy(plan);
}
END_TEST

START_TEST(family_is_its_best_member) {
  const evr_conv2d_desc d = dense_convolution();
  static const evr_isa limits[] = {EVR_ISA_SCALAR, EVR_ISA_NEON, EVR_ISA_AVX2, EVR_ISA_AVX512,
                                   EVR_ISA_AMX};
  for (int i = 0; i < 5; i++) {
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = "im2col-gemm";
    options.max_isa = limits[i];
    evr_conv2d_plan *plan;
    ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_OK);
    const char *name = evr_conv2d_plan_variant(plan);
    ck_assert_msg(strncmp(name, "im2col-gemm-", 12) == 0, "%s", name);
    size_t rows;
    const evr_variant *registry = evr_registry(&rows);
    for (size_t r = 0; r < rows; r++)
      if (strcmp(registry[r].name, name) == 0) ck_assert_int_le(registry[r].isa, limits[i]);
    evr_conv2d_plan_destroy(plan);
  }
}
END_TEST

/* A descriptor so large that scratch for its many threads cannot be counted: such a variant is
 * passed over, and one that needs less is chosen. */
START_TEST(variant_that_needs_too_much_memory_is_passed_over) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = INT64_C(1) << 50;
  d.in_height = d.in_width = d.out_channels = d.kernel_height = d.kernel_width = 1;
  d.pad_top = 1; /* a row of zeros is among the scratch */
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.num_threads = 4096;
  evr_variant_report list[MOST];
  size_t count, refused = 0;
  for (int layout = 0; layout < 2; layout++) {
    d.layout = layout ? EVR_NCHW : EVR_NHWC;
    ck_assert_int_eq(evr_conv2d_list_variants(&d, &options, list, MOST, &count), EVR_OK);
    evr_conv2d_plan *plan;
    ck_assert_int_eq(evr_conv2d_plan_create(&d, &options, &plan), EVR_OK);
    for (size_t i = 0; i < count; i++) {
      if (strstr(list[i].reason, "do not fit in memory") == NULL) continue;
      refused++;
      ck_assert_str_ne(evr_conv2d_plan_variant(plan), list[i].name);
      evr_plan_options forced = options;
      forced.variant = list[i].name;
      evr_conv2d_plan *none;
      ck_assert_int_eq(evr_conv2d_plan_create(&d, &forced, &none), EVR_UNSUPPORTED);
      ck_assert(strstr(evr_last_error(), "do not fit in memory") != NULL);
    }
    evr_conv2d_plan_destroy(plan);
  }
  ck_assert_uint_gt(refused, 0);
}
END_TEST

/* ---- sizes and pads ---- */

/* However many bands there are to be, only the few kinds of them are looked at. */
START_TEST(plan_of_many_bands_is_made_at_once) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_height = INT64_C(1) << 50;
  d.in_width = d.in_channels = d.out_channels = d.kernel_height = d.kernel_width = 1;
  d.pool.kind = EVR_POOL_MAX;
  evr_conv2d_plan *plan;
  const clock_t start = clock();
  ck_assert_int_eq(evr_conv2d_plan_create(&d, NULL, &plan), EVR_OK);
  ck_assert_msg(clock() - start < CLOCKS_PER_SEC, "took a second or more");
  evr_conv2d_plan_destroy(plan);
}
END_TEST

/* Variants are asked what they would take for any descriptor there is: no product of that may
 * overflow, which the sanitizers' build sees, and none may take long. */
START_TEST(extreme_descriptors_are_estimated) {
  static const int64_t extremes[] = {INT64_MAX,        INT64_C(1) << 62, INT64_C(1) << 40,
                                     INT64_C(1) << 32, INT64_C(1) << 31, INT64_C(1) << 28};
  const clock_t start = clock();
  int listed = 0;
  for (int field = 0; field < 16; field++)
    for (int e = 0; e < 6; e++)
      for (int kind = 0; kind < 8; kind++) {
        evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
        d.in_height = d.in_width = 8;
        d.in_channels = d.out_channels = 4;
        d.kernel_height = d.kernel_width = 3;
        int64_t *const fields[] = {
            &d.batch,         &d.groups,       &d.in_channels,     &d.in_height,
            &d.in_width,      &d.out_channels, &d.kernel_height,   &d.kernel_width,
            &d.stride_height, &d.stride_width, &d.dilation_height, &d.dilation_width,
            &d.pad_top,       &d.pad_bottom,   &d.pad_left,        &d.pad_right};
        *fields[field] = extremes[e];
        if (kind & 1) {
          d.layout = EVR_NCHW;
          d.filter_layout = EVR_OIHW;
        }
        if (kind & 2) d.groups = d.out_channels = d.in_channels;
        if (kind & 4) d.out_channels = kind & 2 ? d.groups : 2;
        evr_conv2d_sizes sizes;
        if (evr_conv2d_get_sizes(&d, &sizes) != EVR_OK) continue;
        evr_variant_report list[MOST];
        size_t count;
        ck_assert_int_eq(evr_conv2d_list_variants(&d, NULL, list, MOST, &count), EVR_OK);
        ck_assert_int_eq(evr_conv2d_backward_weights_list_variants(&d, NULL, list, MOST, &count),
                         EVR_OK);
        ck_assert_int_eq(evr_conv2d_backward_data_list_variants(&d, NULL, list, MOST, &count),
                         EVR_OK);
        listed++;
      }
  ck_assert_int_gt(listed, 100);
  ck_assert_msg(clock() - start < 5 * CLOCKS_PER_SEC, "took five seconds or more");
}
END_TEST

/* A long row is searched for where its taps change once for each of its bands, not once for each
 * pixel of each band: that was the square of its length, and 17 s here. */
START_TEST(long_rows_take_the_time_of_their_pixels) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_height = d.kernel_height = 1;
  d.in_width = INT64_C(1) << 21;
  d.in_channels = d.out_channels = d.groups = 2;
  d.kernel_width = 3;
  d.pad_left = d.pad_right = 1;
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  float *x = calloc((size_t)s.x_count, sizeof *x), *y = malloc((size_t)s.y_count * sizeof *y);
  ck_assert(x != NULL && y != NULL);
  const float weights[3 * 2] = {1.0f};
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "direct";
  const clock_t start = clock();
  ck_assert_msg(evr_conv2d(&d, &options, x, weights, NULL, y) == EVR_OK, "%s", evr_last_error());
  ck_assert_msg(clock() - start < 5 * CLOCKS_PER_SEC, "took five seconds or more");
  free(y);
  free(x);
}
END_TEST

/* SAME as TensorFlow and ONNX define it: ceil(in / stride) outputs, the smallest padding. */
START_TEST(same_padding_gives_the_same_size) {
  for (int64_t in = 1; in <= 12; in++)
    for (int64_t kernel = 1; kernel <= 5; kernel++)
      for (int64_t stride = 1; stride <= 4; stride++)
        for (int64_t dilation = 1; dilation <= 3; dilation++)
          for (int scheme = EVR_SAME_UPPER; scheme <= EVR_SAME_LOWER; scheme++) {
            evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
            d.in_channels = d.out_channels = 1;
            d.in_height = in;
            d.in_width = 7;
            d.kernel_height = kernel;
            d.kernel_width = 2;
            d.stride_height = stride;
            d.dilation_height = dilation;
            d.pad_top = d.pad_bottom = d.pad_left = d.pad_right = 99;
            ck_assert_int_eq(evr_conv2d_set_padding(&d, (evr_padding_scheme)scheme), EVR_OK);
            const int64_t out = (in + stride - 1) / stride;
            const int64_t needed = (out - 1) * stride + dilation * (kernel - 1) + 1 - in;
            const int64_t total = needed > 0 ? needed : 0;
            ck_assert_int_eq(d.pad_top + d.pad_bottom, total);
            ck_assert_int_eq(d.pad_bottom - d.pad_top, total % 2 == 0             ? 0
                                                       : scheme == EVR_SAME_UPPER ? 1
                                                                                  : -1);
            ck_assert_int_eq(d.pad_left, scheme == EVR_SAME_UPPER ? 0 : 1);
            ck_assert_int_eq(d.pad_right, scheme == EVR_SAME_UPPER ? 1 : 0);
            evr_conv2d_sizes sizes;
            ck_assert_int_eq(evr_conv2d_get_sizes(&d, &sizes), EVR_OK);
            ck_assert_int_eq(sizes.out_height, out);
            ck_assert_int_eq(sizes.out_width, 7);
          }
}
END_TEST

START_TEST(valid_padding_is_none) {
  evr_conv2d_desc d = dense_convolution();
  d.pad_top = d.pad_bottom = d.pad_left = d.pad_right = 5;
  ck_assert_int_eq(evr_conv2d_set_padding(&d, EVR_VALID), EVR_OK);
  ck_assert(d.pad_top == 0 && d.pad_bottom == 0 && d.pad_left == 0 && d.pad_right == 0);
  evr_pool2d_desc p = EVR_POOL2D_DESC_INIT;
  p.channels = 1;
  p.in_height = 5;
  p.in_width = 6;
  p.window.kind = EVR_POOL_MAX;
  p.window.kernel_height = 2;
  p.window.kernel_width = 3;
  p.window.stride_height = 2;
  p.window.pad_left = 1;
  ck_assert_int_eq(evr_pool2d_set_padding(&p, EVR_SAME_LOWER), EVR_OK);
  ck_assert(p.window.pad_top == 1 && p.window.pad_bottom == 0 && p.window.pad_left == 1 &&
            p.window.pad_right == 1);
  ck_assert_int_eq(evr_pool2d_set_padding(&p, EVR_VALID), EVR_OK);
  ck_assert(p.window.pad_top == 0 && p.window.pad_left == 0 && p.window.pad_right == 0);
}
END_TEST

START_TEST(counts_follow_the_descriptor) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.batch = 2;
  d.groups = 3;
  d.in_channels = 6;
  d.out_channels = 9;
  d.in_height = 10;
  d.in_width = 11;
  d.kernel_height = 3;
  d.kernel_width = 2;
  d.stride_height = 2;
  d.dilation_width = 3;
  d.pad_top = 1;
  d.pad_right = 4;
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  ck_assert_int_eq(s.conv_height, 5);
  ck_assert_int_eq(s.conv_width, 12);
  ck_assert_int_eq(s.x_count, 2 * 6 * 10 * 11);
  ck_assert_int_eq(s.weights_count, 3 * 2 * 2 * 9);
  ck_assert_int_eq(s.bias_count, 9);
  ck_assert_int_eq(s.y_count, 2 * 9 * 5 * 12);
  ck_assert_int_eq(s.residual_count, s.y_count);
  d.pool = (evr_pool2d_window){EVR_POOL_MAX, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, true, false, false};
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  ck_assert_int_eq(s.conv_height, 5);
  ck_assert_int_eq(s.out_height, 3); /* rounded up */
  ck_assert_int_eq(s.out_width, 6);
  ck_assert_int_eq(s.y_count, 2 * 9 * 3 * 6);
  ck_assert_int_eq(s.residual_count, 2 * 9 * 5 * 12);
}
END_TEST

int main(void) {
  suite_begin("selection");
  Suite *suite = suite_create("selection");
  TCase *choice = suite_case(suite, "choice");
  tcase_add_loop_test(choice, list_is_the_registry, 0, EVR_OPERATIONS);
  tcase_add_loop_test(choice, list_is_cut_at_its_capacity, 0, EVR_OPERATIONS);
  tcase_add_test(choice, level_above_the_limit_is_refused);
  tcase_add_test(choice, descriptor_that_a_variant_cannot_serve_is_refused);
  tcase_add_test(choice, winograd_serves_fast_alone);
  tcase_add_test(choice, threads_do_not_change_whose_bits_a_plan_has);
  tcase_add_test(choice, what_is_listed_as_accepted_can_be_planned);
  tcase_add_test(choice, stride_of_any_size_has_backward_data);
  tcase_add_test(choice, family_is_its_best_member);
  tcase_add_test(choice, variant_that_needs_too_much_memory_is_passed_over);
  tcase_add_test(choice, plan_of_many_bands_is_made_at_once);
  tcase_add_test(choice, extreme_descriptors_are_estimated);
  tcase_add_test(choice, long_rows_take_the_time_of_their_pixels);
  TCase *sizes = suite_case(suite, "sizes");
  tcase_add_test(sizes, same_padding_gives_the_same_size);
  tcase_add_test(sizes, valid_padding_is_none);
  tcase_add_test(sizes, counts_follow_the_descriptor);
  return suite_end(suite);
}
