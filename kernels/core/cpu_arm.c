/* The auxiliary vector (Linux: Documentation/arch/arm64/elf_hwcaps.rst). */
#include <stdio.h>
#include "core/cpu_features.h"
#if defined(__linux__)
#include <sys/auxv.h>
#define EVR_HWCAP_ASIMD (1ul << 1)
#define EVR_HWCAP_CPUID (1ul << 11)

/* The main ID register, which Linux lets programs read where it says so: implementer, variant, part
 * and revision. */
static void name_model(char *model, size_t size) {
  if ((getauxval(AT_HWCAP) & EVR_HWCAP_CPUID) == 0) return;
  uint64_t id;
  __asm__("mrs %0, MIDR_EL1" : "=r"(id));
  snprintf(model, size, "MIDR 0x%08llx", (unsigned long long)id);
}
#endif

int evr_cpu_detect(evr_cpu_info *cpu, evr_cpu_feature features[EVR_CPU_MAX_FEATURES]) {
#if defined(__linux__)
  const bool asimd = (getauxval(AT_HWCAP) & EVR_HWCAP_ASIMD) != 0;
  name_model(cpu->model, sizeof cpu->model);
#else
  const bool asimd = true; /* part of every AArch64 application profile outside Linux */
#endif
  features[0] = (evr_cpu_feature){"asimd", asimd};
  cpu->isa = asimd ? EVR_ISA_NEON : EVR_ISA_SCALAR;
  return 1;
}
