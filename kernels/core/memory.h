/* The caller's allocator, and questions about buffers. */
#ifndef EVR_CORE_MEMORY_H
#define EVR_CORE_MEMORY_H

#include "core/checked.h"
#include "evrisim/plan.h"

/* All buffers that kernels lay out start at a multiple of this. */
#define EVR_ALIGNMENT ((size_t)64)

/* An allocator must have both functions or neither. */
evr_status evr_check_allocator(const char *name, const evr_allocator *allocator);

/* EVR_ALIGNMENT-aligned memory, or NULL (no sentence is recorded). size may be 0. */
void *evr_allocate(const evr_allocator *allocator, size_t size);
void evr_release(const evr_allocator *allocator, void *memory); /* NULL is allowed */

/* First aligned address at or after memory. */
static inline void *evr_align(void *memory) {
  return (void *)(((uintptr_t)memory + EVR_ALIGNMENT - 1) & ~(uintptr_t)(EVR_ALIGNMENT - 1));
}

/* The address so many floats from another one. Addresses are numbers where they may lie outside of
 * any object, to which C has no pointers. */
static inline uintptr_t evr_address(uintptr_t from, int64_t floats) {
  return from + (uintptr_t)floats * sizeof(float);
}

/* Workspaces and packed weights come with any alignment, so their queried sizes have room to align
 * them. 0 stays 0; saturating. */
static inline size_t evr_with_slack(size_t bytes) {
  return bytes > 0 ? evr_size_sum(bytes, EVR_ALIGNMENT - 1) : 0;
}

/* Finds *workspace, aligned, for an execution that was given one of so many bytes (evr_with_slack),
 * or NULL: then one is allocated, and is *own, to be released. NULL where bytes is 0. */
evr_status evr_take_workspace(const evr_allocator *allocator, size_t bytes, void *given, void **own,
                              void **workspace);

/* Whether two buffers (sizes in bytes) share a byte. NULL shares nothing. */
static inline bool evr_overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
  if (a == NULL || b == NULL || a_size == 0 || b_size == 0) return false;
  const uintptr_t a_start = (uintptr_t)a, b_start = (uintptr_t)b;
  return a_start < b_start ? b_start - a_start < a_size : a_start - b_start < b_size;
}

/* The same of buffers of at least a byte, without a branch, and true of some empty ones as well. An
 * int, to be joined to others by | without a branch. */
static inline int evr_may_overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
  const uintptr_t a_start = (uintptr_t)a, b_start = (uintptr_t)b;
  return (a_start - b_start < b_size) | (b_start - a_start < a_size);
}

#endif
