/* sched_getaffinity, and syscall names of the auxiliary vector, are not in plain C11. */
#define _GNU_SOURCE
#include "core/cpu.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include "core/cpu_features.h"
#include "core/environment.h"
#include "core/status.h"

static evr_cpu_info this_cpu;
static evr_cpu_feature features[EVR_CPU_MAX_FEATURES];
static int feature_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int count_cpus(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 && online <= INT32_MAX ? (int)online : 1;
}

static int64_t cache_bytes(int name) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : 0;
}

static void detect(void) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  this_cpu.l1d_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE);
  this_cpu.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE);
  this_cpu.l3_bytes = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
#endif
  this_cpu.logical_cpus = count_cpus();
  feature_count = evr_cpu_detect(&this_cpu, features);
}

const evr_cpu_info *evr_cpu(void) {
  pthread_once(&once, detect);
  return &this_cpu;
}

int64_t evr_l2_bytes(void) {
  const int64_t bytes = evr_cpu()->l2_bytes;
  return bytes > 0 ? bytes : 512 * 1024;
}

evr_status evr_cpu_query(evr_cpu_info *info) {
  if (info == NULL) return evr_fail(EVR_INVALID_ARGUMENT, "info is NULL");
  *info = *evr_cpu();
  return EVR_OK;
}

static const struct {
  evr_isa isa;
  const char *name;
} isa_names[] = {
    {EVR_ISA_ANY, "any"},   {EVR_ISA_SCALAR, "scalar"}, {EVR_ISA_NEON, "neon"},
    {EVR_ISA_AVX2, "avx2"}, {EVR_ISA_AVX512, "avx512"}, {EVR_ISA_AMX, "amx"},
};
enum { ISA_NAMES = sizeof isa_names / sizeof isa_names[0] };

const char *evr_isa_name(evr_isa isa) {
  for (int i = 0; i < ISA_NAMES; i++)
    if (isa_names[i].isa == isa) return isa_names[i].name;
  return "unknown";
}

evr_isa evr_isa_from_name(const char *name) {
  for (int i = 0; i < ISA_NAMES; i++)
    if (strcmp(isa_names[i].name, name) == 0) return isa_names[i].isa;
  return EVR_ISA_ANY;
}

/* Appends to text, and stays within size whatever is appended. */
typedef struct writer {
  char *text;
  size_t size, used;
} writer;

__attribute__((format(printf, 2, 3))) static void append(writer *w, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const size_t room = w->size - w->used;
  const int length = vsnprintf(w->text + w->used, room, format, arguments);
  va_end(arguments);
  if (length > 0) w->used += (size_t)length < room ? (size_t)length : room - 1;
}

evr_status evr_cpu_report(char *text, size_t size) {
  if (text == NULL) return evr_fail(EVR_INVALID_ARGUMENT, "text is NULL");
  if (size == 0) return evr_fail(EVR_INVALID_ARGUMENT, "size is 0; it must be at least 1");
  const evr_cpu_info *cpu = evr_cpu();
  writer w = {text, size, 0};
  append(&w, "model: %s%s%s\n", cpu->model[0] ? cpu->model : "unknown", cpu->vendor[0] ? ", " : "",
         cpu->vendor);
  append(&w, "instruction set: %s\n", evr_isa_name(cpu->isa));
  append(&w, "features:");
  for (int i = 0; i < feature_count; i++)
    append(&w, " %s%s", features[i].name, features[i].present ? "" : "(missing)");
  append(&w, "%s\n", feature_count == 0 ? " none asked for" : "");
  append(&w, "caches: L1d %lld KiB, L2 %lld KiB, L3 %lld KiB (0: unknown)\n",
         (long long)cpu->l1d_bytes / 1024, (long long)cpu->l2_bytes / 1024,
         (long long)cpu->l3_bytes / 1024);
  if (cpu->double_pumped_avx512)
    append(&w, "avx512: in two turns of 256 bits, no faster than avx2\n");
  append(&w, "cpus: %d\n", cpu->logical_cpus);
  evr_environment environment;
  if (evr_environment_get(&environment) != EVR_OK) {
    append(&w, "environment: refused: %s\n", evr_last_error());
    return EVR_OK;
  }
  append(&w, "environment: EVR_MAX_ISA=%s EVR_VARIANT=%s EVR_NUM_THREADS=",
         environment.max_isa == EVR_ISA_ANY ? "(unset)" : evr_isa_name(environment.max_isa),
         environment.variant[0] ? environment.variant : "(unset)");
  if (environment.num_threads > 0)
    append(&w, "%d\n", environment.num_threads);
  else
    append(&w, "(unset)\n");
  return EVR_OK;
}
