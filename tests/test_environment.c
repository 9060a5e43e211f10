/* The environment variables. They are read once, so each test sets them in its own process before
 * the first call. */
#define _POSIX_C_SOURCE 200112L /* setenv */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "evrisim/evrisim.h"
#include "support/suite.h"

static evr_conv2d_desc a_convolution(void) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.in_channels = desc.out_channels = 16;
  desc.in_height = desc.in_width = 64;
  desc.kernel_height = desc.kernel_width = 3;
  return desc;
}

/* Calls that read the environment, each of which must answer the same. */
static evr_status ask(const evr_plan_options *options) {
  const evr_conv2d_desc desc = a_convolution();
  evr_conv2d_plan *plan;
  const evr_status status = evr_conv2d_plan_create(&desc, options, &plan);
  evr_conv2d_plan_destroy(plan);
  size_t count;
  char kept[512];
  strcpy(kept, evr_last_error());
  const evr_status listed = evr_conv2d_list_variants(&desc, options, NULL, 0, &count);
  ck_assert_int_eq(status, listed);
  ck_assert_str_eq(kept, evr_last_error());
  return status;
}

typedef struct bad_value {
  const char *name, *value;
} bad_value;

static const bad_value bad_values[] = {
    {"EVR_MAX_ISA", "avx3"},
    {"EVR_MAX_ISA", "AVX2"},
    {"EVR_MAX_ISA", "avx2 "},
    {"EVR_MAX_ISA", "unknown"},
    {"EVR_VARIANT", "no-such"},
    {"EVR_VARIANT", "direct-"},
    {"EVR_VARIANT", "referenc"},
    {"EVR_VARIANT", "reference-avx2"},
    {"EVR_NUM_THREADS", "0"},
    {"EVR_NUM_THREADS", "-1"},
    {"EVR_NUM_THREADS", "two"},
    {"EVR_NUM_THREADS", "2x"},
    {"EVR_NUM_THREADS", "4097"},
    {"EVR_NUM_THREADS", "1.5"},
    {"EVR_NUM_THREADS", " "},
    {"EVR_NUM_THREADS", "99999999999999999999"},
    {"EVR_VARIANT",
     "a-name-that-is-longer-than-any-that-the-library-keeps-room-for-in-its-buffers"},
};

START_TEST(bad_value_is_an_error_of_every_plan) {
  const bad_value *bad = &bad_values[_i];
  setenv(bad->name, bad->value, 1);
  ck_assert_int_eq(ask(NULL), EVR_UNKNOWN_NAME);
  char words[128];
  snprintf(words, sizeof words, "%s is \"%.60s\"", bad->name, bad->value);
  ck_assert_msg(strstr(evr_last_error(), words) != NULL, "\"%s\" lacks \"%s\"", evr_last_error(),
                words);
  /* Options that say otherwise do not hide it, and neither does a later call. */
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "reference";
  options.max_isa = EVR_ISA_SCALAR;
  options.num_threads = 1;
  ck_assert_int_eq(ask(&options), EVR_UNKNOWN_NAME);
  unsetenv(bad->name);
  ck_assert_int_eq(ask(NULL), EVR_UNKNOWN_NAME);
  char report[2048];
  ck_assert_int_eq(evr_cpu_report(report, sizeof report), EVR_OK);
  ck_assert(strstr(report, words) != NULL);
}
END_TEST

static const char *chosen(const evr_plan_options *options, int *threads) {
  const evr_conv2d_desc desc = a_convolution();
  evr_conv2d_plan *plan;
  ck_assert_msg(evr_conv2d_plan_create(&desc, options, &plan) == EVR_OK, "%s", evr_last_error());
  const char *name = evr_conv2d_plan_variant(plan);
  if (threads != NULL) *threads = evr_conv2d_plan_threads(plan);
  evr_conv2d_plan_destroy(plan);
  return name;
}

START_TEST(max_isa_limits_the_choice) {
  static const char *const levels[] = {"any", "scalar", "neon", "avx2", "avx512", "amx"};
  setenv("EVR_MAX_ISA", levels[_i], 1);
  const evr_conv2d_desc desc = a_convolution();
  evr_variant_report list[64];
  size_t count;
  ck_assert_int_eq(evr_conv2d_list_variants(&desc, NULL, list, 64, &count), EVR_OK);
  const evr_isa limit = _i == 0 ? EVR_ISA_AMX : (evr_isa)_i;
  int accepted = 0, choices = 0;
  for (size_t i = 0; i < count; i++) {
    if (list[i].isa > limit) {
      ck_assert_msg(!list[i].accepted, "%s is accepted at %s", list[i].name, levels[_i]);
      if (list[i].isa <= evr_cpu()->isa)
        ck_assert_msg(strstr(list[i].reason, "EVR_MAX_ISA") != NULL, "%s: \"%s\"", list[i].name,
                      list[i].reason);
    }
    accepted += list[i].accepted;
    choices += list[i].chosen;
  }
  ck_assert_int_ge(accepted, 2); /* the reference and a scalar one at least */
  ck_assert_int_eq(choices, 1);
  chosen(NULL, NULL);
}
END_TEST

START_TEST(max_isa_and_option_meet_at_the_lower) {
  setenv("EVR_MAX_ISA", "scalar", 1);
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.max_isa = EVR_ISA_AVX512;
  const char *name = chosen(&options, NULL);
  ck_assert_msg(strstr(name, "-avx") == NULL && strstr(name, "-neon") == NULL, "%s", name);
  options.variant = "direct"; /* a family: its best that the limit allows */
  ck_assert_str_eq(chosen(&options, NULL), "direct-scalar");
}
END_TEST

START_TEST(variant_is_forced) {
  setenv("EVR_VARIANT", "reference", 1);
  ck_assert_str_eq(chosen(NULL, NULL), "reference");
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT; /* an option outranks the environment */
  options.variant = "direct-scalar";
  ck_assert_str_eq(chosen(&options, NULL), "direct-scalar");
}
END_TEST

START_TEST(variant_family_is_forced) {
  setenv("EVR_VARIANT", "direct", 1);
  const char *name = chosen(NULL, NULL);
  ck_assert_msg(strncmp(name, "direct-", 7) == 0, "%s", name);
}
END_TEST

/* One name stands for all operations; where an operation has none of that name it is free. */
START_TEST(variant_of_another_operation_leaves_the_choice) {
  setenv("EVR_VARIANT", "copy", 1);
  ck_assert_str_ne(chosen(NULL, NULL), "copy");
  evr_pad2d_desc desc = EVR_PAD2D_DESC_INIT;
  desc.channels = desc.in_height = desc.in_width = 2;
  evr_pad2d_plan *plan;
  ck_assert_int_eq(evr_pad2d_plan_create(&desc, NULL, &plan), EVR_OK);
  ck_assert_str_eq(evr_pad2d_plan_variant(plan), "copy");
  evr_pad2d_plan_destroy(plan);
}
END_TEST

START_TEST(threads_are_limited) {
  setenv("EVR_NUM_THREADS", "3", 1);
  int threads;
  chosen(NULL, &threads);
  ck_assert_int_eq(threads, 3); /* 17 million operations are worth more */
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.num_threads = 2;
  chosen(&options, &threads);
  ck_assert_int_eq(threads, 2);
  options.num_threads = 4096;
  chosen(&options, &threads);
  ck_assert_int_ge(threads, 4);
  /* How many more depends on the CPU. But little work is worth one anywhere. */
  evr_conv2d_desc little = EVR_CONV2D_DESC_INIT;
  little.in_channels = little.out_channels = little.in_height = little.in_width = 4;
  little.kernel_height = little.kernel_width = 1;
  evr_conv2d_plan *plan;
  ck_assert_int_eq(evr_conv2d_plan_create(&little, &options, &plan), EVR_OK);
  ck_assert_int_eq(evr_conv2d_plan_threads(plan), 1);
  evr_conv2d_plan_destroy(plan);
}
END_TEST

START_TEST(empty_values_are_unset) {
  setenv("EVR_MAX_ISA", "", 1);
  setenv("EVR_VARIANT", "", 1);
  setenv("EVR_NUM_THREADS", "", 1);
  ck_assert_int_eq(ask(NULL), EVR_OK);
}
END_TEST

int main(void) {
  suite_begin("environment");
  unsetenv("EVR_MAX_ISA");
  Suite *suite = suite_create("environment");
  TCase *bad = suite_case(suite, "bad values");
  tcase_add_loop_test(bad, bad_value_is_an_error_of_every_plan, 0,
                      (int)(sizeof bad_values / sizeof bad_values[0]));
  TCase *good = suite_case(suite, "good values");
  tcase_add_loop_test(good, max_isa_limits_the_choice, 0, 6);
  tcase_add_test(good, max_isa_and_option_meet_at_the_lower);
  tcase_add_test(good, variant_is_forced);
  tcase_add_test(good, variant_family_is_forced);
  tcase_add_test(good, variant_of_another_operation_leaves_the_choice);
  tcase_add_test(good, threads_are_limited);
  tcase_add_test(good, empty_values_are_unset);
  return suite_end(suite);
}
