/* Comparison of outputs bit for bit. */
#ifndef TEST_COMPARE_H
#define TEST_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

uint32_t float_bits(float value);

/* Equal bits; any NaN equals any NaN, since sign and payload of a NaN differ between CPUs. */
bool same_float(float a, float b);

/* Index of the first difference, or -1. */
int64_t first_difference(const float *a, const float *b, int64_t count);

/* What an output holds before a call: a NaN that no kernel makes. */
float untouched(void);
void fill_untouched(float *data, int64_t count);
bool all_untouched(const float *data, int64_t count);

/* FNV-1a over the bytes of the values, lowest first. */
uint64_t hash_floats(const float *data, int64_t count);

#endif
