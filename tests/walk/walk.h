/* A walk: one variant, held to the reference and to an oracle over many descriptors. The same walks
 * run over the library's variants (test_walk.c) and over planted faults (test_faults.c). */
#ifndef TEST_WALK_H
#define TEST_WALK_H

#include <inttypes.h>

#include "core/registry.h"
#include "support/random.h"

typedef struct walk {
  const evr_variant *variant;
  test_random random;
  int64_t cases;      /* tried */
  int64_t served;     /* of these, accepted by the variant */
  char failure[2048]; /* the first one; "" while all is well */
} walk;

typedef struct walk_check {
  const char *name;
  evr_operation operation;
  void (*run)(walk *walk);
  bool must_serve; /* a variant that accepts none of these cases is not tested at all */
} walk_check;

/* All checks of all operations. */
const walk_check *walk_checks(int *count);

/* Each operation's own, ended by a row without a name. */
extern const walk_check conv2d_checks[], pool2d_checks[], activation_checks[], softmax_checks[],
    dense_checks[], pad2d_checks[], activation_backward_checks[], pad2d_backward_checks[],
    pool2d_backward_checks[], loss_checks[], dense_backward_checks[], conv2d_backward_checks[];

void walk_begin(walk *walk, const evr_variant *variant);
bool walk_failed(const walk *walk);
/* Records the first failure. */
void walk_fail(walk *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether to run the next case of a grid: all, or one in test_scale(). */
bool walk_take(walk *walk, int64_t index);

/* A short list of large cases: all, or, where the walk is shortened, from a drawn one on until the
 * variant has served one. */
void walk_list(walk *walk, int64_t count, void (*visit)(struct walk *walk, int64_t index));

/* The strictest mode that the variant serves. */
evr_math walk_mode(const walk *walk);

/* Options that force the walk's variant, in the strictest mode that it serves, or the reference. */
evr_plan_options walk_options(const walk *walk, int threads);
evr_plan_options walk_reference_options(void);

/* Whether the status of making a plan says that the variant serves. A refusal must be
 * EVR_UNSUPPORTED, with a sentence that names the variant, and list_variants must say the same:
 * list and count are its answer. Everything else is a failure. */
bool walk_serves(walk *walk, evr_status status, const evr_variant_report *list, size_t count,
                 const char *what);

/* Compares an output with what is expected, bit for bit. */
bool walk_same(walk *walk, const float *expected, const float *got, int64_t count,
               const char *what);

/* The variants of the registry that this machine and EVR_MAX_ISA allow. */
bool variant_runs_here(const evr_variant *variant);

#endif
