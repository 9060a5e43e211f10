/* Backward data as forward convolutions: of the gradient, with turned filters whose inputs and
 * outputs are exchanged. turned_parts.c makes the convolutions, turned.c runs them, and
 * turned_variants.c makes a variant of each variant of the forward pass. */
#ifndef EVR_CONV_TURNED_H
#define EVR_CONV_TURNED_H

#include "conv/backward_data.h"

/* The functions of evr_kernel, inner being the forward pass's. */
bool evr_turned_accepts(const void *problem, const evr_kernel *inner, char *reason);
double evr_turned_cost(const void *problem, const evr_kernel *inner);
size_t evr_turned_packed_size(const void *problem, const evr_kernel *inner);
size_t evr_turned_workspace_size(const void *problem, const evr_kernel *inner);
size_t evr_turned_state_size(const void *problem, const evr_kernel *inner);
void evr_turned_make_state(const void *problem, const evr_kernel *inner, void *state);
void evr_turned_pack(const void *problem, const evr_kernel *inner, const float *weights,
                     void *packed);
void evr_turned_forward(const void *problem, const evr_kernel *inner, const void *call);

#endif
