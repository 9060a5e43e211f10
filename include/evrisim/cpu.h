/** @file cpu.h  What this machine's CPU can run. */
#ifndef EVRISIM_CPU_H
#define EVRISIM_CPU_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Instruction-set levels. A level is a bundle, all or nothing: every feature that its kernels
 *  use, and the operating system's consent to save its registers. On x86 the levels are nested. */
typedef enum evr_isa {
  EVR_ISA_ANY = 0, /**< in options: no limit */
  EVR_ISA_SCALAR =
      1,            /**< the baseline of the architecture (plain x86-64: SSE2, not used by hand) */
  EVR_ISA_NEON = 2, /**< AArch64 Advanced SIMD with fused multiply-add */
  EVR_ISA_AVX2 = 3, /**< AVX2, FMA3; YMM state enabled */
  EVR_ISA_AVX512 = 4, /**< AVX2 and AVX-512 F, BW, CD, DQ, VL; ZMM state enabled */
  /** AVX-512 as above, AMX-TILE, AMX-BF16; tile state enabled, and granted to this process by the
   *  operating system, which evrisim asks when it first looks at the CPU */
  EVR_ISA_AMX = 5
} evr_isa;

/** What evr_cpu_query found. */
typedef struct evr_cpu_info {
  evr_isa isa;     /**< the highest level that this CPU and operating system allow */
  char vendor[16]; /**< "GenuineIntel", "AuthenticAMD", ...; "" where unknown */
  char model[80];  /**< brand string, and on x86 the numbers of family and model, for machines that
                          are rented keep the generation from the former; "" where unknown */
  int64_t l1d_bytes; /**< level 1 data cache of one core; 0 where unknown */
  int64_t l2_bytes;  /**< level 2 cache of one core; 0 where unknown */
  int64_t l3_bytes;  /**< last level cache that a core can reach; 0 where unknown */
  int logical_cpus;  /**< CPUs that this process may be scheduled on, at least 1 */
  /** AVX-512 operations take two turns of units of 256 bits, so that they are no faster than
   * AVX2's. Known of AMD's processors; false where unknown. */
  bool double_pumped_avx512;
} evr_cpu_info;

/** Fills *info. Does not look at the environment. EVR_INVALID_ARGUMENT when info is NULL. */
EVR_API evr_status evr_cpu_query(evr_cpu_info *info);

/** Writes a report of a few lines (model, level, each feature found or missing, caches, the limits
 *  set by the environment) as a string of at most size bytes with its terminating zero; cut where
 *  it does not fit. A buffer of 2048 bytes always suffices. */
EVR_API evr_status evr_cpu_report(char *text, size_t size);

/** Name of a level as EVR_MAX_ISA takes it: "scalar", "neon", "avx2", "avx512",
 *  "amx"; "any"; "unknown". */
EVR_API const char *evr_isa_name(evr_isa isa);

#ifdef __cplusplus
}
#endif

#endif
