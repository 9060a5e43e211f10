#include "core/plan_head.h"

#include "core/memory.h"
#include "core/status.h"

void *evr_plan_new(const evr_allocator *allocator, const evr_variant *variant, size_t bytes) {
  evr_plan_head *head = evr_allocate(allocator, bytes);
  if (head == NULL) {
    evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes for a plan", bytes);
    return NULL;
  }
  *head = (evr_plan_head){variant, *allocator};
  return head;
}

void evr_plan_free(void *plan) {
  if (plan == NULL) return;
  const evr_allocator allocator = ((evr_plan_head *)plan)->allocator;
  evr_release(&allocator, plan);
}

const char *evr_plan_variant(const void *plan) {
  return plan != NULL ? ((const evr_plan_head *)plan)->variant->name : "";
}
