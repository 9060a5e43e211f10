/* Names of the instruction sets that templates are compiled for, to declare their functions outside
 * of a template. Those that a build lacks stay undefined, and nothing refers to them. */
#ifndef EVR_SIMD_INSTANCES_H
#define EVR_SIMD_INSTANCES_H

#define EVR_FOR_EACH_INSTANCE(declare) declare(scalar) declare(avx2) declare(avx512) declare(neon)

#endif
