/* The calls that belong to no operation, and what all plans share. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/suite.h"

START_TEST(version_is_that_of_the_headers) {
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", EVR_VERSION_MAJOR, EVR_VERSION_MINOR, EVR_VERSION_PATCH);
  ck_assert_str_eq(evr_version(), EVR_VERSION_STRING);
  ck_assert_str_eq(evr_version(), text);
}
END_TEST

START_TEST(statuses_have_names) {
  static const char *const names[] = {
      "EVR_OK",          "EVR_INVALID_ARGUMENT", "EVR_OVERFLOW",      "EVR_OVERLAP",
      "EVR_UNSUPPORTED", "EVR_UNKNOWN_NAME",     "EVR_OUT_OF_MEMORY", "EVR_FILE_ERROR"};
  for (int i = 0; i < 8; i++) ck_assert_str_eq(evr_status_name((evr_status)i), names[i]);
  ck_assert_str_eq(evr_status_name((evr_status)8), "unknown status");
  ck_assert_str_eq(evr_status_name((evr_status)-1), "unknown status");
}
END_TEST

START_TEST(levels_have_names) {
  static const char *const names[] = {"any", "scalar", "neon", "avx2", "avx512", "amx"};
  for (int i = 0; i < 6; i++) {
    ck_assert_str_eq(evr_isa_name((evr_isa)i), names[i]);
    ck_assert_int_eq(evr_isa_from_name(names[i]), i);
  }
  ck_assert_str_eq(evr_isa_name((evr_isa)6), "unknown");
  ck_assert_str_eq(evr_isa_name((evr_isa)-1), "unknown");
}
END_TEST

START_TEST(cpu_is_found) {
  evr_cpu_info cpu;
  memset(&cpu, 0x5a, sizeof cpu);
  ck_assert_int_eq(evr_cpu_query(&cpu), EVR_OK);
  ck_assert_int_ge(cpu.isa, EVR_ISA_SCALAR);
  ck_assert_int_le(cpu.isa, EVR_ISA_AMX);
  ck_assert_int_ge(cpu.logical_cpus, 1);
  ck_assert(memchr(cpu.vendor, 0, sizeof cpu.vendor) != NULL);
  ck_assert(memchr(cpu.model, 0, sizeof cpu.model) != NULL);
#if defined(__x86_64__)
  ck_assert_ptr_nonnull(strstr(cpu.model, "(family "));
#endif
  ck_assert(cpu.l1d_bytes >= 0 && cpu.l2_bytes >= 0 && cpu.l3_bytes >= 0);
#if defined(__x86_64__)
  /* What the compiler's run-time library finds, by its own reading of CPUID. */
  __builtin_cpu_init();
  ck_assert_int_eq(cpu.isa >= EVR_ISA_AVX2,
                   __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  ck_assert_int_eq(cpu.isa >= EVR_ISA_AVX512,
                   __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
                       __builtin_cpu_supports("fma"));
#elif defined(__aarch64__)
  ck_assert_int_eq(cpu.isa, EVR_ISA_NEON);
#endif
}
END_TEST

START_TEST(cpu_null_is_refused) {
  ck_assert_int_eq(evr_cpu_query(NULL), EVR_INVALID_ARGUMENT);
  ck_assert_str_eq(evr_last_error(), "info is NULL");
  ck_assert_int_eq(evr_cpu_report(NULL, 100), EVR_INVALID_ARGUMENT);
  ck_assert_str_eq(evr_last_error(), "text is NULL");
  char text[4] = "abc";
  ck_assert_int_eq(evr_cpu_report(text, 0), EVR_INVALID_ARGUMENT);
  ck_assert(strstr(evr_last_error(), "size is 0") != NULL);
  ck_assert_str_eq(text, "abc");
}
END_TEST

START_TEST(cpu_report_stays_in_its_buffer) {
  char whole[2048];
  ck_assert_int_eq(evr_cpu_report(whole, sizeof whole), EVR_OK);
  const size_t length = strlen(whole);
  ck_assert_uint_gt(length, 40);
  ck_assert_uint_lt(length, sizeof whole - 1);
  ck_assert(strstr(whole, evr_isa_name(evr_cpu()->isa)) != NULL);
  for (size_t size = 1; size <= length + 1; size++) {
    char *cut = malloc(size); /* so that the sanitizer sees a byte too many */
    ck_assert(cut != NULL);
    ck_assert_int_eq(evr_cpu_report(cut, size), EVR_OK);
    ck_assert_uint_eq(strlen(cut), size - 1);
    ck_assert(memcmp(cut, whole, size - 1) == 0);
    free(cut);
  }
}
END_TEST

static void *last_error_of_a_new_thread(void *result) {
  strcpy(result, evr_last_error());
  return NULL;
}

START_TEST(errors_belong_to_their_thread) {
  ck_assert_str_eq(evr_last_error(), "");
  ck_assert_int_eq(evr_cpu_query(NULL), EVR_INVALID_ARGUMENT);
  char other[512] = "not run";
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, last_error_of_a_new_thread, other), 0);
  pthread_join(thread, NULL);
  ck_assert_str_eq(other, "");
  ck_assert_str_eq(evr_last_error(), "info is NULL");
  evr_cpu_info cpu;
  ck_assert_int_eq(evr_cpu_query(&cpu), EVR_OK);
  ck_assert_str_eq(evr_last_error(), "info is NULL"); /* kept until the next failure */
}
END_TEST

/* Within an operation the rows are contiguous, names are told apart, the reference is last and
 * accepts everything. */
START_TEST(registry_is_in_order) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  ck_assert_uint_gt(rows, 0);
  for (size_t i = 0; i < rows; i++) {
    const evr_variant *v = &registry[i];
    const char *operation = evr_operation_name(v->operation);
    ck_assert_msg(strlen(v->name) < 64, "%s %s: too long a name", operation, v->name);
    ck_assert_msg(v->math != 0, "%s %s serves no mode", operation, v->name);
    ck_assert_msg(v->kernel->cost != NULL && v->kernel->forward != NULL, "%s %s lacks functions",
                  operation, v->name);
    const bool last = i + 1 == rows || registry[i + 1].operation != v->operation;
    ck_assert_msg(last == (strcmp(v->name, "reference") == 0), "%s %s: the reference is not last",
                  operation, v->name);
    if (last) {
      ck_assert_msg(v->kernel->accepts == NULL, "%s: the reference refuses", operation);
      ck_assert_int_eq(v->isa, EVR_ISA_SCALAR);
      ck_assert_uint_eq(v->math, EVR_SERVES_ALL);
    }
    for (size_t j = 0; j < i; j++) {
      if (registry[j].operation != v->operation) continue;
      ck_assert_msg(strcmp(registry[j].name, v->name) != 0, "%s %s twice", operation, v->name);
      ck_assert_msg(registry[i - 1].operation == v->operation, "%s: rows apart", operation);
    }
  }
}
END_TEST

START_TEST(null_plans_are_harmless) {
  evr_conv2d_plan_destroy(NULL);
  ck_assert_str_eq(evr_conv2d_plan_variant(NULL), "");
  ck_assert_int_eq(evr_conv2d_plan_threads(NULL), 0);
  ck_assert_uint_eq(evr_conv2d_workspace_size(NULL, false), 0);
  ck_assert_uint_eq(evr_conv2d_workspace_size(NULL, true), 0);
  ck_assert_uint_eq(evr_conv2d_packed_size(NULL), 0);
  ck_assert_uint_eq(evr_conv2d_backward_data_packed_size(NULL), 0);
  evr_pool2d_plan_destroy(NULL);
  ck_assert_str_eq(evr_pool2d_plan_variant(NULL), "");
  evr_pad2d_plan_destroy(NULL);
  ck_assert_str_eq(evr_pad2d_plan_variant(NULL), "");
}
END_TEST

int main(void) {
  suite_begin("core");
  Suite *suite = suite_create("core");
  TCase *all = suite_case(suite, "core");
  tcase_add_test(all, version_is_that_of_the_headers);
  tcase_add_test(all, statuses_have_names);
  tcase_add_test(all, levels_have_names);
  tcase_add_test(all, cpu_is_found);
  tcase_add_test(all, cpu_null_is_refused);
  tcase_add_test(all, cpu_report_stays_in_its_buffer);
  tcase_add_test(all, errors_belong_to_their_thread);
  tcase_add_test(all, registry_is_in_order);
  tcase_add_test(all, null_plans_are_harmless);
  return suite_end(suite);
}
