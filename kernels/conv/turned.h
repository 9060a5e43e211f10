/* Backward data as forward convolutions: of the gradient, with turned filters whose inputs and
 * outputs are exchanged. turned.c makes the convolutions, and turned_variants.c a variant of each
 * variant of the forward pass. */
#ifndef EVR_CONV_TURNED_H
#define EVR_CONV_TURNED_H

#include "conv/backward_data.h"
#include "simd/instances.h"

/* to[column * to_step + row] = from[row * from_step + column], for each instruction set. */
typedef void evr_turn(const float *from, int64_t from_step, float *to, int64_t to_step,
                      int64_t rows, int64_t columns);
#define EVR_TURN_DECLARE(isa) evr_turn evr_turn_##isa;
EVR_FOR_EACH_INSTANCE(EVR_TURN_DECLARE)

/* The functions of evr_kernel, inner being the forward pass's. */
bool evr_turned_accepts(const void *problem, const evr_kernel *inner, char *reason);
double evr_turned_cost(const void *problem, const evr_kernel *inner);
size_t evr_turned_workspace_size(const void *problem, const evr_kernel *inner);
void evr_turned_forward(const void *problem, const evr_kernel *inner, evr_turn *turn,
                        const void *call);

#endif
