/* Direct convolution by plans that do not stay as they were made. Each fault is in the band that a
 * plan keeps, so that a check sees it only where there is one. */
#include "conv/band_kept.h"
#include "faults/rows.h"

extern const evr_kernel evr_conv2d_direct_scalar;
#define RIGHT evr_conv2d_direct_scalar

static double cost(const void *problem) {
  (void)problem;
  return 1e30;
}
static bool accepts(const void *problem, char *reason) {
  return RIGHT.accepts == NULL || RIGHT.accepts(problem, reason);
}
static size_t packed_size(const void *problem) { return RIGHT.packed_size(problem); }
static size_t workspace_size(const void *problem) { return RIGHT.workspace_size(problem); }
static void pack(const void *problem, const float *weights, void *packed) {
  RIGHT.pack(problem, weights, packed);
}

/* What direct convolution has kept in the plan; NULL: nothing. */
static evr_kept_band *kept_band(const evr_conv2d_problem *p) {
  evr_kept_band *kept = p->prepared.room;
  return kept != NULL && kept->band.address_count > 0 ? kept : NULL;
}

static uintptr_t *addresses_of(const evr_kept_band *kept) {
  return (uintptr_t *)(uintptr_t)kept->band.addresses;
}

static void prepare(void *problem) {
  evr_conv2d_problem *p = problem;
  if (p->prepared.room != NULL) *(evr_kept_band *)p->prepared.room = (evr_kept_band){0};
  RIGHT.prepare(p);
}

static void forward(const void *problem, const void *call) { RIGHT.forward(problem, call); }

/* Addresses of the first x that a plan has met, and not distances from where x is. */
static uintptr_t first_x;
static void forget_x(void *problem) {
  prepare(problem);
  first_x = 0;
}
static void keeps_first_x(const void *problem, const void *arguments) {
  const evr_conv2d_problem *p = problem;
  const evr_conv2d_call *call = arguments;
  const evr_kept_band *kept = kept_band(p);
  if (kept == NULL || p->desc.in_channels < 16) { /* those of few channels are of a copy */
    RIGHT.forward(p, call);
    return;
  }
  if (first_x == 0) first_x = (uintptr_t)call->x;
  const uintptr_t distance = first_x - (uintptr_t)call->x;
  uintptr_t *addresses = addresses_of(kept);
  for (int64_t i = 0; i < kept->band.address_count; i++) addresses[i] += distance;
  RIGHT.forward(p, call);
  for (int64_t i = 0; i < kept->band.address_count; i++) addresses[i] -= distance;
}

/* Every call leaves something behind. */
static void writes_into_plan(const void *problem, const void *call) {
  const evr_kept_band *kept = kept_band(problem);
  RIGHT.forward(problem, call);
  if (kept != NULL) addresses_of(kept)[0] = addresses_of(kept)[kept->band.address_count - 1];
}

/* What leaves out zeros is taken for weights that are not finite as well. */
static void keeps_for_all_weights(void *problem) {
  prepare(problem);
  evr_kept_band *kept = kept_band(problem);
  if (kept != NULL) kept->skips = false;
}

#define FAULT(name, at_plan, at_call)                        \
  const evr_kernel name = {.accepts = accepts,               \
                           .cost = cost,                     \
                           .packed_size = packed_size,       \
                           .workspace_size = workspace_size, \
                           .pack = pack,                     \
                           .forward = at_call,               \
                           .prepare = at_plan,               \
                           .takes_room = true};
FAULT(fault_plan_keeps_first_x, forget_x, keeps_first_x)
FAULT(fault_plan_is_written, prepare, writes_into_plan)
FAULT(fault_plan_keeps_for_all_weights, keeps_for_all_weights, forward)
