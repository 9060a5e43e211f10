/* CPU detection, done once. */
#ifndef EVR_CORE_CPU_H
#define EVR_CORE_CPU_H

#include "evrisim/cpu.h"

/* Of this machine; the same object on every call. */
const evr_cpu_info *evr_cpu(void);

/* Of the second-level cache in bytes; half a megabyte where the machine does not say. */
int64_t evr_l2_bytes(void);

/* Level of that name, or EVR_ISA_ANY where there is none ("any" included). */
evr_isa evr_isa_from_name(const char *name);

#endif
