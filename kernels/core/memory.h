/* The caller's allocator, and questions about buffers. */
#ifndef EVR_CORE_MEMORY_H
#define EVR_CORE_MEMORY_H

#include "evrisim/plan.h"

/* All buffers that kernels lay out start at a multiple of this. */
#define EVR_ALIGNMENT ((size_t)64)

/* An allocator must have both functions or neither. */
evr_status evr_check_allocator(const evr_allocator *allocator);

/* EVR_ALIGNMENT-aligned memory, or NULL (no sentence is recorded). size may be 0. */
void *evr_allocate(const evr_allocator *allocator, size_t size);
void evr_release(const evr_allocator *allocator, void *memory); /* NULL is allowed */

/* First aligned address at or after memory. Workspaces come with any alignment, so their queried
 * size has EVR_ALIGNMENT - 1 bytes to spare. */
static inline void *evr_align(void *memory) {
  return (void *)(((uintptr_t)memory + EVR_ALIGNMENT - 1) & ~(uintptr_t)(EVR_ALIGNMENT - 1));
}

/* Whether two buffers (sizes in bytes) share a byte. NULL shares nothing. */
static inline bool evr_overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
  if (a == NULL || b == NULL || a_size == 0 || b_size == 0) return false;
  const uintptr_t a_start = (uintptr_t)a, b_start = (uintptr_t)b;
  return a_start < b_start ? b_start - a_start < a_size : a_start - b_start < b_size;
}

#endif
