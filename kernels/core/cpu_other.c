/* An architecture without hand-tuned kernels. */
#include "core/cpu_features.h"

int evr_cpu_detect(evr_cpu_info *cpu, evr_cpu_feature features[EVR_CPU_MAX_FEATURES]) {
  (void)features;
  cpu->isa = EVR_ISA_SCALAR;
  return 0;
}
