/* The workspace of the variant that a plan chooses is never larger than what the convolution reads
 * and writes: its input, its output and its packed weights. im2col-gemm, which is there to be
 * compared with, copies its input more than once and is not held to that. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/random.h"
#include "support/suite.h"

#define RANDOM_LAYERS 4000

static const char *suites_folder;
static int plans, checked, failed;

/* Complains about one plan; true where it is one that counts. */
static void check_plan(const char *name, const evr_conv2d_desc *d, const evr_plan_options *o) {
  evr_conv2d_plan *plan;
  ck_assert_msg(evr_conv2d_plan_create(d, o, &plan) == EVR_OK, "%s: %s", name, evr_last_error());
  const char *variant = evr_conv2d_plan_variant(plan);
  evr_conv2d_sizes sizes;
  ck_assert(evr_conv2d_get_sizes(d, &sizes) == EVR_OK);
  const size_t packed = evr_conv2d_packed_size(plan);
  const size_t workspace = evr_conv2d_workspace_size(plan, packed > 0);
  const size_t weights = packed > 0 ? packed : (size_t)sizes.weights_count * sizeof(float);
  const size_t allowed = (size_t)(sizes.x_count + sizes.y_count) * sizeof(float) + weights;
  const int threads = evr_conv2d_plan_threads(plan);
  evr_conv2d_plan_destroy(plan);
  plans++;
  if (strncmp(variant, "im2col", 6) == 0) return;
  checked++;
  if (workspace <= allowed) return;
  failed++;
  printf("%s: %s %s, %d threads: %zu bytes of workspace for %" PRId64 " + %" PRId64
         " floats and %zu bytes of weights\n",
         name, d->layout == EVR_NHWC ? "NHWC" : "NCHW", variant, threads, workspace, sizes.x_count,
         sizes.y_count, weights);
}

static void check_layer(const char *name, evr_conv2d_desc d) {
  static const int most_threads[] = {1, 2, 7, 64};
  for (int layout = 0; layout < 2; layout++)
    for (int i = 0; i < 4; i++)
      for (int fast = 0; fast < 2; fast++) {
        d.layout = layout == 0 ? EVR_NHWC : EVR_NCHW;
        d.filter_layout = layout == 0 ? EVR_HWIO : EVR_OIHW;
        evr_plan_options o = EVR_PLAN_OPTIONS_INIT;
        o.num_threads = most_threads[i];
        o.math = fast ? EVR_MATH_FAST : EVR_MATH_STANDARD;
        check_plan(name, &d, &o);
      }
}

/* The columns of bench/suites, as docs/benchmarking.md has them. */
static void set_column(evr_conv2d_desc *d, const char *column, const char *cell) {
  const int64_t value = strtoll(cell, NULL, 10);
  const struct {
    const char *name;
    int64_t *at;
  } columns[] = {
      {"batch", &d->batch},
      {"groups", &d->groups},
      {"in_c", &d->in_channels},
      {"in_h", &d->in_height},
      {"in_w", &d->in_width},
      {"out_c", &d->out_channels},
      {"k_h", &d->kernel_height},
      {"k_w", &d->kernel_width},
      {"stride_h", &d->stride_height},
      {"stride_w", &d->stride_width},
      {"dil_h", &d->dilation_height},
      {"dil_w", &d->dilation_width},
      {"pad_t", &d->pad_top},
      {"pad_b", &d->pad_bottom},
      {"pad_l", &d->pad_left},
      {"pad_r", &d->pad_right},
      {"pool_k", &d->pool.kernel_height},
      {"pool_stride", &d->pool.stride_height},
      {"pool_pad", &d->pool.pad_top},
  };
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
    if (strcmp(column, columns[i].name) == 0) *columns[i].at = value;
  if (strcmp(column, "pool") == 0)
    d->pool.kind = strcmp(cell, "max") == 0 ? EVR_POOL_MAX : EVR_POOL_AVERAGE;
}

/* Cells of a line, in place. */
static int split(char *line, char *cells[], int most) {
  int count = 0;
  line[strcspn(line, "\r\n")] = '\0';
  for (char *at = line; count < most; at++) {
    cells[count++] = at;
    at += strcspn(at, ",");
    if (*at == '\0') break;
    *at = '\0';
  }
  return count;
}

#define MOST_CELLS 32
#define MOST_LINE 1024

static void check_suite(const char *suite) {
  char path[MOST_LINE], header[MOST_LINE], line[MOST_LINE];
  char *columns[MOST_CELLS], *cells[MOST_CELLS];
  snprintf(path, sizeof path, "%s/%s.csv", suites_folder, suite);
  FILE *file = fopen(path, "r");
  ck_assert_msg(file != NULL, "%s cannot be read", path);
  ck_assert(fgets(header, sizeof header, file) != NULL);
  const int width = split(header, columns, MOST_CELLS);
  while (fgets(line, sizeof line, file) != NULL) {
    evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
    ck_assert_int_eq(split(line, cells, MOST_CELLS), width);
    for (int i = 0; i < width; i++) set_column(&d, columns[i], cells[i]);
    evr_pool2d_window *pool = &d.pool;
    if (pool->kind != EVR_POOL_NONE) {
      pool->kernel_width = pool->kernel_height;
      pool->stride_width = pool->stride_height;
      pool->pad_bottom = pool->pad_left = pool->pad_right = pool->pad_top;
    }
    check_layer(cells[0], d);
  }
  fclose(file);
}

START_TEST(suites) {
  static const char *const names[] = {"short",        "resnet50", "vgg16", "alexnet",
                                      "mobilenet_v1", "lessons",  "fused"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) check_suite(names[i]);
  ck_assert_int_gt(plans, 500);
  /* Without vectors im2col-gemm is often the fastest. */
  ck_assert_int_gt(checked, plans / 2);
  ck_assert_msg(failed == 0, "%d of %d plans want too much workspace", failed, checked);
}
END_TEST

/* 1 to 2^most, every power of two as likely to be the range. */
static int64_t random_size(test_random *random, int most) {
  return 1 + random_between(random, 0, (INT64_C(1) << random_between(random, 0, most)) - 1);
}

START_TEST(random_layers) {
  test_random random = {test_seed()};
  for (int64_t i = 0; i < test_rounds(RANDOM_LAYERS); i++) {
    evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
    d.in_channels = random_size(&random, 9);
    d.out_channels = random_size(&random, 9);
    d.in_height = random_size(&random, 8);
    d.in_width = random_size(&random, 8);
    d.kernel_height = d.kernel_width = random_between(&random, 1, 7);
    d.stride_height = d.stride_width = random_between(&random, 1, 2);
    if (random_chance(&random, 50))
      d.pad_top = d.pad_bottom = d.pad_left = d.pad_right = d.kernel_height / 2;
    if (random_chance(&random, 20)) { /* much in the padding, and little in the image */
      d.dilation_height = d.dilation_width = random_between(&random, 1, 4);
      d.pad_top = d.pad_left = random_between(&random, 0, 14);
      d.pad_bottom = d.pad_right = random_between(&random, 0, 14);
    }
    if (random_chance(&random, 24)) {
      d.groups = d.in_channels;
      d.out_channels =
          d.in_channels * (random_chance(&random, 50) ? 1 : random_between(&random, 2, 4));
    } else if (random_chance(&random, 10)) {
      d.groups = random_between(&random, 2, 6);
      d.in_channels *= d.groups;
      d.out_channels *= d.groups;
    }
    evr_conv2d_sizes sizes;
    if (evr_conv2d_get_sizes(&d, &sizes) != EVR_OK)
      continue; /* the kernel is larger than the image */
    char name[128];
    snprintf(name, sizeof name,
             "%" PRId64 "x%" PRId64 "x%" PRId64 " to %" PRId64 " channels, %" PRId64
             " groups, kernel %" PRId64 " stride %" PRId64 " pad %" PRId64,
             d.in_channels, d.in_height, d.in_width, d.out_channels, d.groups, d.kernel_height,
             d.stride_height, d.pad_top);
    check_layer(name, d);
  }
  ck_assert_int_gt(checked, 0);
  ck_assert_msg(failed == 0, "%d of %d plans want too much workspace", failed, checked);
}
END_TEST

/* few-outputs reads planes where they lie if windows are a pixel wide: beside them it has no more
 * than a row of padding for each thread, however many planes there are. */
START_TEST(planes_in_place) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.layout = EVR_NCHW;
  d.in_channels = 4096;
  d.out_channels = 1;
  d.in_height = 5;
  d.in_width = 64;
  d.kernel_height = d.kernel_width = 1;
  size_t count;
  ck_assert(evr_conv2d_list_variants(&d, NULL, NULL, 0, &count) == EVR_OK);
  evr_variant_report list[32];
  ck_assert_uint_le(count, 32);
  ck_assert(evr_conv2d_list_variants(&d, NULL, list, count, &count) == EVR_OK);
  int held = 0;
  for (size_t i = 0; i < count; i++)
    for (int64_t height = 1; height <= 3; height += 2) {
      if (strncmp(list[i].name, "few-outputs", 11) != 0 || !list[i].accepted) continue;
      evr_plan_options o = EVR_PLAN_OPTIONS_INIT;
      o.variant = list[i].name;
      o.num_threads = 2;
      d.kernel_height = height;
      d.pad_top = d.pad_bottom = height / 2;
      evr_conv2d_plan *plan;
      ck_assert_msg(evr_conv2d_plan_create(&d, &o, &plan) == EVR_OK, "%s", evr_last_error());
      const size_t row = (size_t)d.in_width * sizeof(float);
      ck_assert_uint_le(evr_conv2d_workspace_size(plan, true), 2 * row + 64);
      evr_conv2d_plan_destroy(plan);
      held++;
    }
  ck_assert_int_gt(held, 0);
}
END_TEST

/* Where scratch is short a plan has fewer threads than it was asked for, but as many as there is
 * scratch for: who asks for more never has fewer. */
START_TEST(threads_that_fit) {
  test_random random = {test_seed()};
  int cut = 0;
  for (int64_t i = 0; i < test_rounds(300); i++) {
    evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
    d.in_channels = d.out_channels = d.groups = random_between(&random, 1, 64);
    d.in_height = random_between(&random, 1, 20);
    d.in_width = random_between(&random, 500, 2000);
    d.kernel_height = d.kernel_width = random_between(&random, 1, 7);
    d.pad_top = d.pad_bottom = d.pad_left = d.pad_right = d.kernel_height / 2;
    d.layout = random_chance(&random, 50) ? EVR_NHWC : EVR_NCHW;
    int least = 1;
    for (int asked = 1; asked <= 24; asked++) {
      evr_plan_options o = EVR_PLAN_OPTIONS_INIT;
      o.variant = "depthwise-scalar";
      o.num_threads = asked;
      evr_conv2d_plan *plan;
      if (evr_conv2d_plan_create(&d, &o, &plan) != EVR_OK) continue; /* the image is too low */
      const int threads = evr_conv2d_plan_threads(plan);
      evr_conv2d_plan_destroy(plan);
      cut += threads < asked;
      ck_assert_msg(threads >= least,
                    "%" PRId64 " channels of %" PRId64 "x%" PRId64 ", kernel %" PRId64
                    ": %d threads where %d were asked for, but %d where fewer were",
                    d.in_channels, d.in_height, d.in_width, d.kernel_height, threads, asked, least);
      least = threads;
    }
  }
  ck_assert_int_gt(cut, 0);
}
END_TEST

/* Weights packed with a plan of so many threads: *size bytes, of which those in between are 0. */
static void *pack_with(const evr_conv2d_desc *d, const char *variant, int threads,
                       const float *weights, size_t *size) {
  evr_plan_options o = EVR_PLAN_OPTIONS_INIT;
  o.variant = variant;
  o.num_threads = threads;
  evr_conv2d_plan *plan;
  ck_assert_msg(evr_conv2d_plan_create(d, &o, &plan) == EVR_OK, "%s", evr_last_error());
  *size = evr_conv2d_packed_size(plan);
  void *packed = aligned_alloc(64, *size / 64 * 64 + 64);
  ck_assert_ptr_nonnull(packed);
  memset(packed, 0, *size);
  ck_assert(evr_conv2d_pack(plan, weights, packed) == EVR_OK);
  evr_conv2d_plan_destroy(plan);
  return packed;
}

/* Packed weights serve plans of the same descriptor and variant, however many threads these have,
 * and however little scratch that leaves to each. */
START_TEST(packed_for_any_threads) {
  test_random random = {test_seed()};
  int compared = 0;
  for (int64_t i = 0; i < test_rounds(400); i++) {
    evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
    d.layout = random_chance(&random, 30) ? EVR_NHWC : EVR_NCHW;
    d.in_channels = random_between(&random, 1, 96);
    d.groups = random_chance(&random, 60) ? d.in_channels : 1;
    d.out_channels = d.groups * random_between(&random, 1, d.groups > 1 ? 3 : 70);
    d.in_height = random_between(&random, 1, 20);
    d.in_width = random_between(&random, 1, 400);
    d.kernel_height = random_between(&random, 1, 7);
    d.kernel_width = random_between(&random, 1, 7);
    d.pad_top = d.pad_bottom = d.kernel_height - 1;
    d.pad_left = d.pad_right = d.kernel_width - 1;
    d.dilation_width = random_chance(&random, 20) ? 2 : 1;
    if (random_chance(&random, 30)) {
      d.pool.kind = EVR_POOL_MAX;
      d.pool.kernel_height = d.pool.kernel_width = 2;
      d.pool.stride_height = d.pool.stride_width = 1;
    }
    evr_conv2d_sizes sizes;
    if (evr_conv2d_get_sizes(&d, &sizes) != EVR_OK) continue;
    float *weights = malloc((size_t)sizes.weights_count * sizeof *weights);
    ck_assert_ptr_nonnull(weights);
    for (int64_t k = 0; k < sizes.weights_count; k++) weights[k] = (float)(k + 1);
    evr_variant_report list[32];
    size_t count;
    ck_assert(evr_conv2d_list_variants(&d, NULL, list, 32, &count) == EVR_OK);
    ck_assert_uint_le(count, 32);
    for (size_t v = 0; v < count; v++) {
      if (!list[v].accepted) continue;
      const int threads = (int)random_between(&random, 2, 200);
      size_t alone_size, shared_size;
      void *alone = pack_with(&d, list[v].name, 1, weights, &alone_size);
      void *shared = pack_with(&d, list[v].name, threads, weights, &shared_size);
      ck_assert_msg(alone_size == shared_size && memcmp(alone, shared, alone_size) == 0,
                    "%s, %" PRId64 " channels of %" PRId64 "x%" PRId64 ", kernel %" PRId64
                    "x%" PRId64 ": weights packed for %d threads are others than for one",
                    list[v].name, d.in_channels, d.in_height, d.in_width, d.kernel_height,
                    d.kernel_width, threads);
      compared += alone_size > 0;
      free(alone);
      free(shared);
    }
    free(weights);
  }
  ck_assert_int_gt(compared, 0);
}
END_TEST

int main(int argc, char **argv) {
  suite_begin("workspace");
  if (argc != 2) {
    fprintf(stderr, "usage: test_workspace FOLDER_OF_SUITES\n");
    return EXIT_FAILURE;
  }
  suites_folder = argv[1];
  Suite *suite = suite_create("workspace");
  TCase *layers = suite_case(suite, "layers");
  tcase_add_test(layers, suites);
  tcase_add_test(layers, random_layers);
  tcase_add_test(layers, planes_in_place);
  tcase_add_test(layers, threads_that_fit);
  tcase_add_test(layers, packed_for_any_threads);
  return suite_end(suite);
}
