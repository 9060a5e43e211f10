/* What detection on one architecture yields. */
#ifndef EVR_CORE_CPU_FEATURES_H
#define EVR_CORE_CPU_FEATURES_H

#include "evrisim/cpu.h"

#define EVR_CPU_MAX_FEATURES 16

typedef struct evr_cpu_feature {
  const char *name;
  bool present;
} evr_cpu_feature;

/* Sets cpu->isa, vendor and model, and cache sizes where it knows better than sysconf; fills
 * features and returns how many there are. */
int evr_cpu_detect(evr_cpu_info *cpu, evr_cpu_feature features[EVR_CPU_MAX_FEATURES]);

#endif
