/* CPUID and XGETBV (Intel SDM volume 2, CPUID; volume 1, 13.3). Feature bits only, never model
 * numbers: virtual machines mask features that the model has. */
#define _GNU_SOURCE /* syscall */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/cpu_features.h"

static uint64_t xcr0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* Of leaf 1. An extended family is added to 15, and an extended model to one of family 6 or 15 (SDM
 * volume 2, CPUID; AMD APM volume 3, appendix E.3). */
static void add_numbers(char *model, size_t size, unsigned leaf) {
  const unsigned base = leaf >> 8 & 15, extended = leaf >> 16 & 15;
  const unsigned family = base == 15 ? base + (leaf >> 20 & 255) : base;
  const unsigned number = (leaf >> 4 & 15) + (base == 6 || base == 15 ? extended << 4 : 0);
  const size_t used = strlen(model);
  snprintf(model + used, size - used, "%s(family %u, model %u)", used > 0 ? " " : "", family,
           number);
}

static void copy_model(char *model) {
  unsigned words[12];
  if ((unsigned)__get_cpuid_max(0x80000000u, NULL) < 0x80000004u) return;
  for (unsigned leaf = 0; leaf < 3; leaf++)
    __get_cpuid(0x80000002u + leaf, &words[4 * leaf], &words[4 * leaf + 1], &words[4 * leaf + 2],
                &words[4 * leaf + 3]);
  memcpy(model, words, sizeof words);
  model[sizeof words] = '\0';
  size_t start = 0, end = strlen(model);
  while (model[start] == ' ') start++;
  while (end > start && model[end - 1] == ' ') end--;
  memmove(model, model + start, end - start);
  model[end - start] = '\0';
}

/* Deterministic cache parameters, leaf 4 (Intel) or 0x8000001d (AMD): a core's own caches, and the
 * part of the last one that it can reach, which sysconf reports for a whole AMD package. */
static void find_caches(evr_cpu_info *cpu) {
  const unsigned leaves[] = {4, 0x8000001du};
  for (int i = 0; i < 2; i++)
    for (unsigned index = 0; index < 16; index++) { /* some hypervisors never say the end */
      unsigned a = 0, b = 0, c = 0, d = 0;
      if (!__get_cpuid_count(leaves[i], index, &a, &b, &c, &d)) break;
      const unsigned type = a & 31, level = a >> 5 & 7; /* type 1: data, 2: code, 3: both */
      if (type == 0 || type > 3) break;
      const int64_t ways = (b >> 22) + 1, partitions = (b >> 12 & 1023) + 1, line = (b & 4095) + 1;
      const int64_t bytes = ways * partitions * line * ((int64_t)c + 1);
      if (type == 2) continue;
      if (level == 1) cpu->l1d_bytes = bytes;
      if (level == 2) cpu->l2_bytes = bytes;
      if (level == 3) cpu->l3_bytes = bytes;
    }
}

/* AMD's performance optimization identifiers, leaf 0x8000001a (APM volume 3, appendix E.4): bit 2,
 * units of 256 bits; bit 3, of 512. */
static bool is_double_pumped(void) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0x8000001au, &a, &b, &c, &d) && (a & 4) != 0 && (a & 8) == 0;
}

/* Linux keeps tile registers from a process until it asks for them: for all of its threads, once
 * and for good (Documentation/arch/x86/xstate.rst). It refuses where a thread's signal stack is too
 * small to hold them. */
#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM */
#define TILE_DATA 18

/* Of leaf 7; compilers differ in their names. */
#define AMX_BF16 (1u << 22)
#define AMX_TILE (1u << 24)

static bool tiles_are_granted(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return true;
#endif
}

int evr_cpu_detect(evr_cpu_info *cpu, evr_cpu_feature features[EVR_CPU_MAX_FEATURES]) {
  unsigned a = 0, b = 0, c = 0, d = 0, b7 = 0, d7 = 0;
  if (__get_cpuid(0, &a, &b, &c, &d)) {
    memcpy(cpu->vendor, &b, 4);
    memcpy(cpu->vendor + 4, &d, 4);
    memcpy(cpu->vendor + 8, &c, 4);
  }
  copy_model(cpu->model);
  find_caches(cpu);
  a = b = c = d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d)) add_numbers(cpu->model, sizeof cpu->model, a);
  const unsigned c1 = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    b7 = b;
    d7 = d;
  }
  const uint64_t state = c1 & bit_OSXSAVE ? xcr0() : 0;
  const bool tiles = (d7 & AMX_TILE) != 0 && (d7 & AMX_BF16) != 0 &&
                     (state & 0x60000) == 0x60000; /* XTILECFG, XTILEDATA */
  const struct {
    const char *name;
    bool present;
    evr_isa isa;
  } asked[] = {
      {"avx", c1 & bit_AVX, EVR_ISA_AVX2},
      {"fma", c1 & bit_FMA, EVR_ISA_AVX2},
      {"avx2", b7 & bit_AVX2, EVR_ISA_AVX2},
      {"os-ymm", (state & 0x06) == 0x06, EVR_ISA_AVX2},
      {"avx512f", b7 & bit_AVX512F, EVR_ISA_AVX512},
      {"avx512bw", b7 & bit_AVX512BW, EVR_ISA_AVX512},
      {"avx512cd", b7 & bit_AVX512CD, EVR_ISA_AVX512},
      {"avx512dq", b7 & bit_AVX512DQ, EVR_ISA_AVX512},
      {"avx512vl", b7 & bit_AVX512VL, EVR_ISA_AVX512},
      {"os-zmm", (state & 0xe6) == 0xe6, EVR_ISA_AVX512},
      {"amx-tile", (d7 & AMX_TILE) != 0, EVR_ISA_AMX},
      {"amx-bf16", (d7 & AMX_BF16) != 0, EVR_ISA_AMX},
      {"os-tiles", tiles && tiles_are_granted(), EVR_ISA_AMX},
  };
  const int count = sizeof asked / sizeof asked[0];
  bool avx2 = true, avx512 = true, amx = true;
  for (int i = 0; i < count; i++) {
    features[i] = (evr_cpu_feature){asked[i].name, asked[i].present};
    if (!asked[i].present && asked[i].isa == EVR_ISA_AVX2) avx2 = false;
    if (!asked[i].present && asked[i].isa <= EVR_ISA_AVX512) avx512 = false;
    if (!asked[i].present) amx = false;
  }
  cpu->double_pumped_avx512 = avx512 && is_double_pumped();
  cpu->isa = amx ? EVR_ISA_AMX : avx512 ? EVR_ISA_AVX512 : avx2 ? EVR_ISA_AVX2 : EVR_ISA_SCALAR;
  return count;
}
