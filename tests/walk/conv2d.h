/* Convolution cases, and ways to run them. */
#ifndef TEST_WALK_CONV2D_H
#define TEST_WALK_CONV2D_H

#include "evrisim/conv2d.h"
#include "support/guard.h"
#include "walk/walk.h"

typedef struct conv2d_case {
  evr_conv2d_desc desc;
  bool bias, residual;
  test_values values;
} conv2d_case;

/* A case large enough that the shipped library would use several threads as well, with square
 * windows whose pads keep the size where they move by 1. */
typedef struct conv2d_shape {
  int64_t batch, groups, in_channels, height, width, out_channels, kernel, stride;
  evr_layout layout;
  evr_filter_layout filter_layout;
} conv2d_shape;
conv2d_case conv2d_shaped_case(const conv2d_shape *shape); /* of reals, with a bias */

/* Writes a case as a C programmer would say it. */
void conv2d_describe(const conv2d_case *c, char *text, size_t size);

/* The inputs of a case. conv2d_inputs_free releases them. */
typedef struct conv2d_inputs {
  evr_conv2d_sizes sizes;
  float *x, *weights, *bias, *residual; /* NULL where the case has none */
} conv2d_inputs;

/* False, with a failure recorded, where the library refuses the descriptor. */
bool conv2d_inputs_make(walk *walk, const conv2d_case *c, conv2d_inputs *inputs);
void conv2d_inputs_free(conv2d_inputs *inputs);

/* How a case is executed. */
typedef struct conv2d_way {
  placement where;
  bool packed;        /* weights packed beforehand */
  bool own_workspace; /* given by the caller rather than taken by the library */
  int threads;
  evr_thread_pool pool;
} conv2d_way;

/* Buffers of one execution, reused. */
typedef struct conv2d_buffers {
  guarded x, weights, bias, residual, y, packed, workspace;
} conv2d_buffers;
void conv2d_buffers_free(conv2d_buffers *buffers);

/* Executes a case by the walk's variant in guarded buffers: inputs read-only, the output filled
 * with NaN, the workspace with 0xa5. Returns the output, inside of buffers, or NULL where the
 * variant refuses (or a failure is recorded). */
const float *conv2d_run(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs,
                        const conv2d_way *way, conv2d_buffers *buffers);

/* The same of a plan that there is already; what tells a failure where it was. The output is in
 * buffers->y. */
bool conv2d_execute(walk *walk, const evr_conv2d_plan *plan, const conv2d_inputs *inputs,
                    const conv2d_way *way, conv2d_buffers *buffers, const char *what);

/* Of the process; each check runs in its own. */
extern conv2d_buffers conv2d_shared_buffers;

/* The reference's output for the same inputs, in plain memory; the caller frees it. */
float *conv2d_expected(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs);

/* What every way to execute the case must give, bit for bit: the reference's output; or, of a
 * variant that does not serve EVR_MATH_EXACT, its own with one thread, once that has been judged
 * (conv2d_judge.c). The caller frees it. NULL where the variant refuses or has failed. */
float *conv2d_settled(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs);

/* Whether what EVR_MATH_STANDARD promises is kept, output by output; else a failure is recorded.
 * reference: the reference's outputs. */
bool conv2d_standard_is_right(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs,
                              const double *exact, const double *magnitude, const float *reference,
                              const float *y);

/* By how much an output before the activation may be off, where terms of this magnitude are summed
 * up: gamma_n magnitude. */
double conv2d_bound(const conv2d_case *c, double magnitude);

/* How much an activation may stretch a difference: 1.5 for hard-swish, the greatest of those
 * without a parameter. */
double conv2d_steepness(const evr_activation *activation);

/* Whether the relative L2 error of a whole output keeps what EVR_MATH_FAST promises; else a failure
 * is recorded. exact and magnitude are the oracle's. */
bool conv2d_fast_is_right(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs,
                          const double *exact, const double *magnitude, const float *y);

/* Executes and compares bit for bit. False where refused or failed. */
bool conv2d_run_and_compare(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs,
                            const conv2d_way *way, const float *expected);

/* The same of a whole output behind its activation, against the reference; of special values, that
 * they are not lost. */
void conv2d_fast_judge(walk *walk, const conv2d_case *c, const conv2d_inputs *inputs,
                       const double *exact, const double *magnitude, const float *reference,
                       const float *y);

/* The convolution in double, written without the library: y, and the sum of the magnitudes of all
 * that was added up. No activation, no pooling. Layouts as the descriptor says. */
void conv2d_oracle(const conv2d_case *c, const conv2d_inputs *inputs, double *y, double *magnitude);

/* Descriptors. Each calls visit(walk, case) for every case. */
typedef void conv2d_visit(walk *walk, conv2d_case *c);
void conv2d_grid(walk *walk, conv2d_visit *visit);
bool conv2d_random_case(walk *walk, conv2d_case *c);

/* Cases of which a plan may keep much, since they are small, and of which it may not: every index
 * below CONV2D_PLAN_CASES. */
#define CONV2D_PLAN_CASES 34
conv2d_case conv2d_plan_case(int index);

/* Two threads, one for each argument. Both wait for the other before they call the library, a
 * number of times. */
#define CONV2D_TIMES 12
void conv2d_run_two(void *(*run)(void *), void *first, void *second);
void conv2d_wait_for_both(void);

void conv2d_check_kept_plan(walk *walk);
void conv2d_check_shared_plan(walk *walk);
void conv2d_check_trio(walk *walk);

#endif
