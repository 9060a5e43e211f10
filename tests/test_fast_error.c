/* The error of the convolutions that serve EVR_MATH_FAST alone, on random data: what
 * docs/numbers.md says of it. One row for each number of channels; the error is that of the whole
 * output against double precision, relative in the L2 norm. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "walk/conv2d.h"

/* The figures of docs/numbers.md, and what rounding differently may add to them. */
typedef struct stated {
  const char *family;
  double per_root; /* error at most per_root * sqrt(channels) + constant */
  double constant;
} stated;
static const stated stated_errors[] = {
    {"winograd4", 1.0e-7, 4.0e-7}, {"winograd2", 3.2e-8, 1.2e-7}, {"amx-bf16x2", 0.0, 5.0e-6}};

#define PROMISE 2e-5

static const int64_t channels[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

static double allowed_error(const char *variant, int64_t in_channels) {
  for (size_t i = 0; i < sizeof stated_errors / sizeof stated_errors[0]; i++)
    if (strncmp(variant, stated_errors[i].family, strlen(stated_errors[i].family)) == 0)
      return stated_errors[i].per_root * sqrt((double)in_channels) + stated_errors[i].constant;
  return PROMISE;
}

/* Negative where the variant does not take so few channels. */
static double relative_error(const evr_variant *variant, int64_t in_channels) {
  walk w;
  walk_begin(&w, variant);
  conv2d_case c = {.desc = EVR_CONV2D_DESC_INIT, .values = VALUES_REALS};
  evr_conv2d_desc *d = &c.desc;
  d->in_channels = in_channels;
  d->out_channels = 16;
  d->in_height = d->in_width = 14;
  d->kernel_height = d->kernel_width = 3;
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = 1;
  conv2d_inputs in;
  ck_assert(conv2d_inputs_make(&w, &c, &in));
  const conv2d_way way = {PLACE_END, true, true, 1, {NULL, NULL}};
  const float *y = conv2d_run(&w, &c, &in, &way, &conv2d_shared_buffers);
  ck_assert_msg(!walk_failed(&w), "%s", w.failure);
  if (y == NULL) {
    conv2d_inputs_free(&in);
    return -1.0;
  }
  const size_t count = (size_t)in.sizes.y_count;
  double *exact = malloc(2 * count * sizeof *exact);
  if (exact == NULL) abort();
  conv2d_oracle(&c, &in, exact, exact + count);
  double error = 0.0, size = 0.0;
  for (size_t i = 0; i < count; i++) {
    error += ((double)y[i] - exact[i]) * ((double)y[i] - exact[i]);
    size += exact[i] * exact[i];
  }
  free(exact);
  conv2d_inputs_free(&in);
  return sqrt(error / size);
}

START_TEST(error_is_as_stated) {
  size_t rows, checked = 0;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    const evr_variant *variant = &registry[i];
    if (variant->operation != EVR_OP_CONV2D || variant->math != EVR_SERVES_FAST ||
        strncmp(variant->name, "fault-", 6) == 0 || !variant_runs_here(variant))
      continue;
    int measured = 0;
    for (size_t k = 0; k < sizeof channels / sizeof channels[0]; k++) {
      const double error = relative_error(variant, channels[k]);
      if (error < 0.0) continue;
      checked++;
      measured++;
      const double allowed = allowed_error(variant->name, channels[k]);
      printf("  %s: %lld channels: %.2g\n", variant->name, (long long)channels[k], error);
      ck_assert_msg(error <= allowed && allowed <= PROMISE,
                    "%s, %lld channels: relative L2 error %g, stated is at most %g", variant->name,
                    (long long)channels[k], error, allowed);
    }
    ck_assert_msg(measured >= 5, "%s took %d of the cases", variant->name, measured);
  }
  ck_assert_uint_gt(checked, 0);
}
END_TEST

int main(void) {
  suite_begin("fast error");
  Suite *suite = suite_create("fast error");
  tcase_add_test(suite_case(suite, "convolution"), error_is_as_stated);
  return suite_end(suite);
}
