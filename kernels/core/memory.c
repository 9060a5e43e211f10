#include "core/memory.h"

#include <stdlib.h>

#include "core/status.h"

evr_status evr_check_allocator(const char *name, const evr_allocator *allocator) {
  if ((allocator->allocate == NULL) != (allocator->release == NULL))
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "%s.%s is NULL while the other function is set; give both or neither", name,
                    allocator->allocate == NULL ? "allocate" : "release");
  return EVR_OK;
}

void *evr_allocate(const evr_allocator *allocator, size_t size) {
  if (size > (size_t)PTRDIFF_MAX) return NULL;
  /* aligned_alloc wants a multiple of the alignment, and an empty request must not give NULL. */
  const size_t whole =
      size == 0 ? EVR_ALIGNMENT : (size + EVR_ALIGNMENT - 1) & ~(EVR_ALIGNMENT - 1);
  if (allocator->allocate != NULL)
    return allocator->allocate(allocator->user, whole, EVR_ALIGNMENT);
  return aligned_alloc(EVR_ALIGNMENT, whole);
}

void evr_release(const evr_allocator *allocator, void *memory) {
  if (memory == NULL) return;
  if (allocator->release != NULL)
    allocator->release(allocator->user, memory);
  else
    free(memory);
}

evr_status evr_take_workspace(const evr_allocator *allocator, size_t bytes, void *given, void **own,
                              void **workspace) {
  *own = *workspace = NULL;
  if (bytes == 0) return EVR_OK;
  if (given == NULL) {
    *own = given = evr_allocate(allocator, bytes);
    if (given == NULL)
      return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes of workspace", bytes);
  }
  *workspace = evr_align(given);
  return EVR_OK;
}
