/* clock_gettime is POSIX. */
#define _POSIX_C_SOURCE 200809L
#include "core/trial.h"

#include <time.h>

#include "core/checked.h"
#include "core/memory.h"
#include "core/status.h"

/* One variant's share of a round. */
#define ENOUGH_NANOSECONDS 1.0e6
#define ENOUGH_RUNS 50

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Floats that are neither zero nor subnormal. */
static float *floats(const evr_allocator *allocator, int64_t count) {
  float *values = evr_allocate(allocator, evr_size_floats(count));
  if (values != NULL)
    for (int64_t i = 0; i < count; i++) values[i] = 0.5f + (float)(i % 61) / 64.0f;
  return values;
}

static double least_time(const evr_trial *trial, const evr_kernel *kernel, const void *problem,
                         const evr_trial_buffers *buffers) {
  trial->execute(kernel, problem, buffers); /* brings memory and code into the caches */
  const double begin = now();
  double least = 0.0;
  for (int run = 0; run < ENOUGH_RUNS; run++) {
    const double from = now();
    trial->execute(kernel, problem, buffers);
    const double to = now();
    if (run == 0 || to - from < least) least = to - from;
    if (to - begin > ENOUGH_NANOSECONDS) break;
  }
  return least;
}

evr_status evr_trial_time(const evr_trial *trial, const evr_variant *variant, const void *problem,
                          const evr_allocator *allocator, double *nanoseconds) {
  const evr_kernel *kernel = variant->kernel;
  const size_t packed_bytes = kernel->packed_size != NULL ? kernel->packed_size(problem) : 0;
  const size_t scratch_bytes = kernel->workspace_size != NULL ? kernel->workspace_size(problem) : 0;
  const size_t kept_bytes = trial->kept_size != NULL ? trial->kept_size(kernel, problem) : 0;
  int64_t x, weights, y;
  trial->count(problem, &x, &weights, &y);
  evr_trial_buffers b = {floats(allocator, x), floats(allocator, weights), floats(allocator, y),
                         packed_bytes > 0 ? evr_allocate(allocator, packed_bytes) : NULL,
                         evr_allocate(allocator, scratch_bytes)};
  void *kept = kept_bytes > 0 ? evr_allocate(allocator, kept_bytes) : NULL;
  evr_status status = EVR_OK;
  if (b.x == NULL || b.weights == NULL || b.y == NULL || b.workspace == NULL ||
      (packed_bytes > 0 && b.packed == NULL) || (kept_bytes > 0 && kept == NULL)) {
    status =
        evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no memory to time %s with", variant->name);
  } else {
    if (packed_bytes > 0) kernel->pack(problem, b.weights, b.packed);
    const void *executed = kept_bytes > 0 ? trial->keep(kernel, problem, kept) : problem;
    *nanoseconds = least_time(trial, kernel, executed, &b);
  }
  evr_release(allocator, kept);
  evr_release(allocator, b.workspace);
  evr_release(allocator, b.packed);
  evr_release(allocator, b.y);
  evr_release(allocator, b.weights);
  evr_release(allocator, b.x);
  return status;
}
