/** @file plan.h  What all plans share: options, memory, threads, and reports on the choice. */
#ifndef EVRISIM_PLAN_H
#define EVRISIM_PLAN_H

#include "cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is promised about the numbers; see docs/numbers.md. */
typedef enum evr_math {
  EVR_MATH_STANDARD = 0, /**< componentwise error <= gamma_n (sum |x||w| + |b|), n = K + 1 */
  EVR_MATH_EXACT = 1,    /**< the reference's bits on every instruction set, any thread count */
  EVR_MATH_FAST = 2      /**< relative L2 error of the whole output <= 2e-5 (with AMX, 3.1e-5 where
                            all values have one worst form: docs/numbers.md) */
} evr_math;

/** How much a plan may spend on its choice of a variant. */
typedef enum evr_effort {
  EVR_ESTIMATE = 0, /**< compare estimated costs; nothing is run */
  EVR_MEASURE = 1   /**< time the promising variants: at least six runs of each, on tensors of the
                         plan's own: where the allocator gives no memory for them, the plan fails
                         with EVR_OUT_OF_MEMORY. For pooling, activations, softmax and padding,
                         which have one method for each instruction set, and for the backward
                         passes of dense layers, the same as EVR_ESTIMATE */
} evr_effort;

/** Measured choices, see choices.h. */
typedef struct evr_choices evr_choices;

/** Where the library gets memory: plans, and workspaces that the caller does not give.
 *  Both functions NULL: the C library. Calls may come from any thread that makes or executes a
 *  plan, but never from inside a parallel region. */
typedef struct evr_allocator {
  void *(*allocate)(void *user, size_t size, size_t alignment); /**< alignment: a power of 2 */
  void (*release)(void *user, void *memory); /**< memory: from allocate, never NULL */
  void *user;
} evr_allocator;

/** One share of parallel work; share counts from 0. */
typedef void evr_share(void *argument, int share);

/** A caller's own thread pool. run calls body(argument, i) exactly once for each i from 0 to
 *  shares - 1, in any order, on any threads, and returns when all have returned. NULL: OpenMP, or
 *  serial in a build without it. A share never waits for another. */
typedef struct evr_thread_pool {
  void (*run)(void *user, evr_share *body, void *argument, int shares);
  void *user;
} evr_thread_pool;

/** How a plan is to be made. Zero initialisation is the default of each field. */
typedef struct evr_plan_options {
  evr_math math;
  const char *variant; /**< force this variant ("direct-avx2"), or the best of a family ("direct",
                            "im2col-gemm"); NULL: EVR_VARIANT, else the library chooses. Read only
                            during the call. */
  evr_isa max_isa;     /**< use nothing above this level; EVR_ISA_ANY: no limit. EVR_MAX_ISA lowers
                            it further. */
  int num_threads;     /**< at most so many threads; 0: EVR_NUM_THREADS, else all that OpenMP
                            gives. Few are used where the work is small. */
  evr_allocator allocator;
  evr_thread_pool thread_pool;
  evr_effort effort;    /**< not used where a variant is forced */
  evr_choices *choices; /**< looked in before any other choice (but a forced one), and added to by
                             EVR_MEASURE; NULL: none. Read and written only during the call. */
} evr_plan_options;

/** All defaults. */
#define EVR_PLAN_OPTIONS_INIT \
  { EVR_MATH_STANDARD, NULL, EVR_ISA_ANY, 0, {NULL, NULL, NULL}, {NULL, NULL}, EVR_ESTIMATE, NULL }

/** One line of an answer to "which variants are there for this descriptor, and why not?" */
typedef struct evr_variant_report {
  const char *name; /**< static storage */
  evr_isa isa;      /**< level needed */
  bool accepted;    /**< can serve this descriptor with these options on this machine */
  bool chosen;      /**< a plan made now would use it, unless it measured */
  double cost;      /**< estimated time in nanoseconds, where accepted; for ordering only */
  char reason[160]; /**< why it is refused; "" where accepted */
} evr_variant_report;

#ifdef __cplusplus
}
#endif

#endif
