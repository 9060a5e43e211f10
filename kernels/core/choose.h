/* From options and the environment to one variant. */
#ifndef EVR_CORE_CHOOSE_H
#define EVR_CORE_CHOOSE_H

#include "core/registry.h"
#include "core/trial.h"

/* Options and environment, checked and merged. */
typedef struct evr_settings {
  evr_math math;
  evr_isa max_isa;             /* never EVR_ISA_ANY: the lowest of CPU, options and environment */
  const char *isa_limit;       /* who set max_isa, for sentences */
  const char *variant;         /* forced name or family, or NULL */
  bool variant_is_option;      /* forced by the caller rather than the environment */
  bool variant_may_be_missing; /* an operation without a variant of that name chooses freely */
  int threads;                 /* at least 1 */
  evr_allocator allocator;
  evr_thread_pool pool;
  evr_effort effort;
  evr_choices *choices; /* or NULL */
  char environment_variant[64];
} evr_settings;

/* options NULL: defaults. */
evr_status evr_settings_get(const evr_plan_options *options, evr_settings *settings);

/* Fills in the part of a problem that does not depend on the operation. work is the arithmetic in
 * floating-point operations (or bytes moved, for what only moves data): the threads that it is
 * worth are used, and no more. */
void evr_problem_init(evr_problem *problem, const evr_settings *settings, double work);

/* The same where costs are estimates in nanoseconds: as many threads as are worth the time that the
 * cheapest variant takes on one, and the bits of that variant, whatever the threads. problem begins
 * with an evr_problem, initialised but for those. */
void evr_problem_take_threads(evr_operation operation, const evr_settings *settings,
                              evr_problem *problem);

/* Whether name is the variant's name or its family. */
bool evr_variant_is_called(const evr_variant *variant, const char *name);

/* Most bytes of packed weights and workspace together that a variant may ask for: it is refused
 * where it wants more. Small enough to add bands of a feature map and slack for alignment. */
#define EVR_MOST_MEMORY ((size_t)PTRDIFF_MAX / 2)

/* The forced variant; or the one that settings.choices names; or with EVR_MEASURE the fastest; or
 * the accepted variant of least cost. problem is the operation's own type. trial NULL: the
 * operation has nothing to time. */
evr_status evr_choose(evr_operation operation, const evr_settings *settings, const void *problem,
                      const evr_trial *trial, const evr_variant **chosen);

/* The answer of ..._list_variants; nothing is timed for it. trial as for evr_choose. */
evr_status evr_list_variants(evr_operation operation, const evr_settings *settings,
                             const void *problem, const evr_trial *trial, evr_variant_report *list,
                             size_t capacity, size_t *count);

#endif
