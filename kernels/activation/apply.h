/* Elementwise functions over a run of values, one definition for each instruction set. */
#ifndef EVR_ACTIVATION_APPLY_H
#define EVR_ACTIVATION_APPLY_H

#include "evrisim/types.h"

/* y[i] = activation(x[i]) for i < n; x == y is allowed. */
void evr_activation_apply_scalar(const evr_activation *activation, const float *x, float *y,
                                 int64_t n);
void evr_activation_apply_avx2(const evr_activation *activation, const float *x, float *y,
                               int64_t n);
void evr_activation_apply_avx512(const evr_activation *activation, const float *x, float *y,
                                 int64_t n);
void evr_activation_apply_neon(const evr_activation *activation, const float *x, float *y,
                               int64_t n);

/* y[i] = e^x[i] for i < n; x == y is allowed. */
void evr_exp_apply_scalar(const float *x, float *y, int64_t n);
void evr_exp_apply_avx2(const float *x, float *y, int64_t n);
void evr_exp_apply_avx512(const float *x, float *y, int64_t n);
void evr_exp_apply_neon(const float *x, float *y, int64_t n);

/* y[i] = log x[i], of positive normal numbers; and log(1 + x[i]) for 0 <= x[i] <= 1. */
void evr_log_apply_scalar(const float *x, float *y, int64_t n);
void evr_log_apply_avx2(const float *x, float *y, int64_t n);
void evr_log_apply_avx512(const float *x, float *y, int64_t n);
void evr_log_apply_neon(const float *x, float *y, int64_t n);
void evr_log1p_apply_scalar(const float *x, float *y, int64_t n);
void evr_log1p_apply_avx2(const float *x, float *y, int64_t n);
void evr_log1p_apply_avx512(const float *x, float *y, int64_t n);
void evr_log1p_apply_neon(const float *x, float *y, int64_t n);

#endif
