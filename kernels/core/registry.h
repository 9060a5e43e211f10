/* The variants of every operation, in one table that the library, the tests and the benchmark
 * walk. A new variant is one source and one row in registry.c. */
#ifndef EVR_CORE_REGISTRY_H
#define EVR_CORE_REGISTRY_H

#include "core/threads.h"
#include "evrisim/plan.h"

typedef enum evr_operation {
  EVR_OP_CONV2D,
  EVR_OP_POOL2D,
  EVR_OP_ACTIVATION,
  EVR_OP_SOFTMAX,
  EVR_OP_DENSE,
  EVR_OP_PAD2D,
  EVR_OP_ACTIVATION_BACKWARD,
  EVR_OP_PAD2D_BACKWARD,
  EVR_OP_POOL2D_BACKWARD,
  EVR_OP_SOFTMAX_BACKWARD,
  EVR_OP_SOFTMAX_CROSS_ENTROPY,
  EVR_OP_SIGMOID_CROSS_ENTROPY,
  EVR_OP_DENSE_BACKWARD_DATA,
  EVR_OP_DENSE_BACKWARD_WEIGHTS,
  EVR_OP_CONV2D_BACKWARD_DATA,
  EVR_OP_CONV2D_BACKWARD_WEIGHTS,
  EVR_OP_CONV2D_TRANSPOSED,
  EVR_OPERATIONS /* how many there are */
} evr_operation;

const char *evr_operation_name(evr_operation operation); /* "conv2d", ... */

#define EVR_REASON_SIZE sizeof(((evr_variant_report *)0)->reason)

/* The first member of every problem (conv/problem.h, ...): what does not depend on the
 * operation. */
typedef struct evr_problem {
  evr_math math;
  evr_parallel parallel; /* threads is what the work is worth, at most what was asked for */
  /* Unless NULL, only variants whose bits are this one's may be chosen: with the number of threads
   * the cheapest variant may change, but not the result. */
  const struct evr_variant *same_bits;
} evr_problem;

/* The functions of a variant. problem is the operation's own type (evr_conv2d_problem, ...),
 * already checked; call is the buffers of one execution (evr_conv2d_call, ...), also checked. */
typedef struct evr_kernel {
  /* Whether the variant can serve; where not, a reason of at most EVR_REASON_SIZE bytes.
   * NULL: always. */
  bool (*accepts)(const void *problem, char *reason);
  /* Estimated nanoseconds, for ordering. */
  double (*cost)(const void *problem);
  /* Bytes of packed weights; NULL or 0: weights are read as they are. Saturating (checked.h). */
  size_t (*packed_size)(const void *problem);
  /* Bytes of scratch beside packed weights; NULL: none. Saturating. */
  size_t (*workspace_size)(const void *problem);
  /* weights as the descriptor lays them out; packed is aligned to EVR_ALIGNMENT. */
  void (*pack)(const void *problem, const float *weights, void *packed);
  void (*forward)(const void *problem, const void *call);
  /* Packed weights are welcome, and not needed: plain ones are read as they are. */
  bool reads_plain;
  /* Scratch is not held to what tensors and packed weights take. Of convolution only. */
  bool any_scratch;
  /* Results of NHWC may be written apart, as evr_spread says. Of convolution only. */
  bool spreads;
  /* Works out for a plan, once, what forward would at each call, and leaves it in the problem for
   * it; NULL: nothing. Of convolution only (evr_prepared in conv/problem.h). */
  void (*prepare)(void *problem);
  /* It makes use of a plan's room for it. */
  bool takes_room;
  /* What is prepared for one band serves all of as many rows. */
  bool prepares_bands;
  /* The same of the backward passes of convolution, but that it is left in so many bytes of the
   * plan (evr_conv2d_backward_problem); NULL or 0: nothing. */
  size_t (*state_size)(const void *problem);
  void (*make_state)(const void *problem, void *state);
  /* For convolutions of one image, at most EVR_MOST_UNITED, that may share what is copied of it:
   * all NHWC, with stride 1, the same activation and outputs that are spread. unite makes whole a
   * problem whose workspace and preparation serve all parts; false: they go one by one. The others
   * are called where it returned true, with the same parts; cost_united estimates nanoseconds for
   * all. whole and parts are evr_conv2d_problem, calls evr_conv2d_call. NULL: one by one. */
  bool (*unite)(void *whole, const void *const *parts, int count);
  double (*cost_united)(const void *whole, const void *const *parts, int count);
  void (*forward_united)(const void *whole, const void *const *parts, const void *const *calls,
                         int count);
} evr_kernel;

typedef struct evr_variant {
  const char *name; /* method-instruction set, or "reference" */
  evr_operation operation;
  evr_isa isa;   /* level needed */
  unsigned math; /* modes it may serve: a sum of EVR_SERVES(mode) */
  const evr_kernel *kernel;
} evr_variant;

#define EVR_SERVES(mode) (1u << (mode))
#define EVR_SERVES_FAST EVR_SERVES(EVR_MATH_FAST)
/* What keeps the bound of EVR_MATH_STANDARD output by output keeps that of EVR_MATH_FAST. */
#define EVR_SERVES_STANDARD (EVR_SERVES(EVR_MATH_STANDARD) | EVR_SERVES_FAST)
/* What keeps the canonical order of the sum keeps every promise. */
#define EVR_SERVES_ALL (EVR_SERVES_STANDARD | EVR_SERVES(EVR_MATH_EXACT))

/* The table: within an operation, preferred ones first, the reference last. */
const evr_variant *evr_registry(size_t *count);

/* Whether name is a variant, or a family of variants ("direct" of "direct-avx2"), of some
 * operation. */
bool evr_variant_name_known(const char *name);

#endif
