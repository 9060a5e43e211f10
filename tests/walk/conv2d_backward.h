/* The backward passes of convolution, and transposed convolution, on the cases of conv2d.h. */
#ifndef TEST_WALK_CONV2D_BACKWARD_H
#define TEST_WALK_CONV2D_BACKWARD_H

#include "evrisim/conv2d_backward.h"
#include "walk/conv2d.h"

/* What an execution reads. Of transposed convolution dy stands for x. NULL where there is none. */
typedef struct conv2d_gradient_inputs {
  evr_conv2d_sizes sizes; /* of the forward pass */
  float *x, *weights, *dy, *bias;
  float *y, *z; /* whichever of them the activation's derivative is taken from */
  void *packed; /* once they are placed: weights packed beforehand */
} conv2d_gradient_inputs;

/* An operation gives one gradient or two: dx and dresidual, dweights and dbias, y. */
typedef struct gradients {
  float *first, *second; /* NULL: not asked for, or the operation has none */
} gradients;

void conv2d_gradient_counts(evr_operation operation, const evr_conv2d_sizes *sizes, int64_t *first,
                            int64_t *second);

bool conv2d_gradient_inputs_make(walk *walk, const conv2d_case *c, conv2d_gradient_inputs *inputs);
void conv2d_gradient_inputs_free(conv2d_gradient_inputs *inputs);

typedef struct conv2d_gradient_way {
  placement where;
  bool own_workspace, first, second;
  int threads;
  evr_thread_pool pool;
  bool packed; /* of backward data: weights packed beforehand */
} conv2d_gradient_way;

typedef struct conv2d_gradient_buffers {
  guarded x, weights, dy, bias, y, z, first, second, workspace, packed;
} conv2d_gradient_buffers;

/* Executes a case by the walk's variant in guarded buffers, as conv2d_run does. False where the
 * variant refuses, or a failure is recorded. */
bool conv2d_gradient_run(walk *walk, const conv2d_case *c, const conv2d_gradient_inputs *inputs,
                         const conv2d_gradient_way *way, conv2d_gradient_buffers *buffers,
                         gradients *got);

/* A plan of the operation, whose type the caller does not need to know. */
evr_status conv2d_gradient_plan_create(evr_operation operation, const conv2d_case *c,
                                       const evr_conv2d_sizes *sizes,
                                       const evr_plan_options *options, void **plan);
void conv2d_gradient_plan_destroy(evr_operation operation, void *plan);
size_t conv2d_gradient_workspace_size(evr_operation operation, const void *plan);
evr_status conv2d_gradient_execute(evr_operation operation, const void *plan,
                                   const conv2d_gradient_inputs *inputs, const gradients *out,
                                   void *workspace);

/* Both gradients by the reference, the activation's part by a call of its own; the caller frees
 * each. */
gradients conv2d_gradient_expected(walk *walk, const conv2d_case *c,
                                   const conv2d_gradient_inputs *inputs);

/* The first gradient, or both, in double, written without the library by spreading each output's
 * part over all that it depends on; and the sums of the magnitudes of all that was added up. second
 * may be NULL. */
typedef struct conv2d_gradient_sums {
  double *first, *first_magnitude, *second, *second_magnitude;
} conv2d_gradient_sums;
conv2d_gradient_sums conv2d_gradient_oracle(evr_operation operation, const conv2d_case *c,
                                            const conv2d_gradient_inputs *inputs);
void conv2d_gradient_sums_free(conv2d_gradient_sums *sums);

/* Blocks into which the sums of backward weights are cut. */
int64_t conv2d_gradient_blocks(const conv2d_case *c, const conv2d_gradient_inputs *inputs);

/* What an error may be, in units of the sum of magnitudes. */
double conv2d_gradient_bound(evr_operation operation, const conv2d_case *c,
                             const conv2d_gradient_inputs *inputs);

/* What EVR_MATH_STANDARD promises of the first gradient, output by output: the reference's bits
 * where a term is extreme or tiny, else the bound. What is folded from several places of a padded
 * image, or added up from several blocks of pixels, has the reference's bits only in those places
 * or blocks that have such a term, so there the bound is asked for unless all terms are tiny. */
void conv2d_gradient_judge_standard(walk *walk, const conv2d_case *c,
                                    const conv2d_gradient_inputs *inputs, const float *reference,
                                    const float *got, int64_t count);

/* What every way to execute must give as the first gradient: see conv2d_settled. The caller frees
 * it. */
float *conv2d_gradient_settled(walk *walk, const conv2d_case *c,
                               const conv2d_gradient_inputs *inputs,
                               conv2d_gradient_buffers *buffers);

evr_conv2d_transposed_desc transposed_of(const evr_conv2d_desc *conv,
                                         const evr_conv2d_sizes *sizes);

#endif
