/* The auxiliary vector (Linux: Documentation/arch/arm64/elf_hwcaps.rst). */
#include "core/cpu_features.h"
#if defined(__linux__)
#include <sys/auxv.h>
#define EVR_HWCAP_ASIMD (1ul << 1)
#endif

int evr_cpu_detect(evr_cpu_info *cpu, evr_cpu_feature features[EVR_CPU_MAX_FEATURES]) {
#if defined(__linux__)
  const bool asimd = (getauxval(AT_HWCAP) & EVR_HWCAP_ASIMD) != 0;
#else
  const bool asimd = true; /* part of every AArch64 application profile outside Linux */
#endif
  features[0] = (evr_cpu_feature){"asimd", asimd};
  cpu->isa = asimd ? EVR_ISA_NEON : EVR_ISA_SCALAR;
  return 1;
}
