/* What the plans of all operations have in common. */
#ifndef EVR_CORE_PLAN_HEAD_H
#define EVR_CORE_PLAN_HEAD_H

#include "core/registry.h"

/* The first member of every plan. */
typedef struct evr_plan_head {
  const evr_variant *variant;
  evr_allocator allocator; /* that the plan is from */
} evr_plan_head;

/* A plan of that many bytes with its head filled in; NULL, with a sentence, where the allocator
 * gives nothing. */
void *evr_plan_new(const evr_allocator *allocator, const evr_variant *variant, size_t bytes);
void evr_plan_free(void *plan); /* NULL is allowed */

/* Name of a plan's variant; "" for NULL. */
const char *evr_plan_variant(const void *plan);

#endif
