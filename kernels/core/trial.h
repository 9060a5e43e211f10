/* Timing the variants of an operation. */
#ifndef EVR_CORE_TRIAL_H
#define EVR_CORE_TRIAL_H

#include "core/registry.h"

/* Memory of a trial's own, as large as the problem says. */
typedef struct evr_trial_buffers {
  float *x, *weights, *y;
  void *packed; /* packed weights, or NULL where the variant reads them as they are */
  void *workspace;
} evr_trial_buffers;

/* What timing needs to know of an operation. */
typedef struct evr_trial {
  /* Writes what of a descriptor tells choices apart, as one line of text. */
  void (*describe)(const void *problem, char *text, size_t size);
  /* Floats of x, weights and y. */
  void (*count)(const void *problem, int64_t *x, int64_t *weights, int64_t *y);
  /* The problem as a plan keeps it, with what the kernel works out once for all calls, in so many
   * bytes from an allocator. NULL or 0 bytes: nothing is kept, and the problem is executed as it
   * is. */
  size_t (*kept_size)(const evr_kernel *kernel, const void *problem);
  const void *(*keep)(const evr_kernel *kernel, const void *problem, void *memory);
  /* One execution. */
  void (*execute)(const evr_kernel *kernel, const void *problem, const evr_trial_buffers *buffers);
} evr_trial;

/* Executes the variant a few times, at least for a millisecond where that is quick, and sets the
 * least time of one execution, in nanoseconds. Packing is not timed: whoever measures executes a
 * plan often, with packed weights. */
evr_status evr_trial_time(const evr_trial *trial, const evr_variant *variant, const void *problem,
                          const evr_allocator *allocator, double *nanoseconds);

#endif
