/* Arithmetic on sizes that notices overflow. */
#ifndef EVR_CORE_CHECKED_H
#define EVR_CORE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns whether the result fits; *result is written only then. */
static inline bool evr_multiply(int64_t a, int64_t b, int64_t *result) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *result = product;
  return true;
}
static inline bool evr_sum(int64_t a, int64_t b, int64_t *result) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *result = sum;
  return true;
}

/* More floats than any machine has, and so few that their bytes, differences of pointers into them,
 * and small multiples fit into an integer as well. */
#if PTRDIFF_MAX > INT32_MAX
#define EVR_MOST_FLOATS ((int64_t)1 << 53)
#else
#define EVR_MOST_FLOATS ((int64_t)(PTRDIFF_MAX / (ptrdiff_t)sizeof(float)))
#endif

/* The product of four positive sizes as a count of floats, at most EVR_MOST_FLOATS. */
static inline bool evr_count_floats(int64_t a, int64_t b, int64_t c, int64_t d, int64_t *count) {
  int64_t product = 1;
  if (!evr_multiply(a, b, &product) || !evr_multiply(product, c, &product) ||
      !evr_multiply(product, d, &product) || product > EVR_MOST_FLOATS)
    return false;
  *count = product;
  return true;
}

/* Saturating sizes in bytes, for sums of products: EVR_SIZE_TOO_LARGE sticks, and whoever
 * allocates refuses it. */
#define EVR_SIZE_TOO_LARGE SIZE_MAX

static inline size_t evr_size_product(size_t a, size_t b) {
  size_t product;
  return __builtin_mul_overflow(a, b, &product) ? EVR_SIZE_TOO_LARGE : product;
}
static inline size_t evr_size_sum(size_t a, size_t b) {
  size_t sum;
  return __builtin_add_overflow(a, b, &sum) ? EVR_SIZE_TOO_LARGE : sum;
}
/* Rounded up to whole cache lines. */
static inline size_t evr_size_lines(size_t bytes) {
  return bytes > EVR_SIZE_TOO_LARGE - 63 ? EVR_SIZE_TOO_LARGE : (bytes + 63) & ~(size_t)63;
}
/* Bytes of count floats (count >= 0), in whole cache lines. */
static inline size_t evr_size_floats(int64_t count) {
  return evr_size_lines(evr_size_product((size_t)count, sizeof(float)));
}

/* The same for the product of four counts; EVR_SIZE_TOO_LARGE beyond EVR_MOST_FLOATS. */
static inline size_t evr_size_floats_of(int64_t a, int64_t b, int64_t c, int64_t d) {
  int64_t count;
  return evr_count_floats(a, b, c, d, &count) ? evr_size_floats(count) : EVR_SIZE_TOO_LARGE;
}

static inline int64_t evr_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t evr_max(int64_t a, int64_t b) { return a > b ? a : b; }
/* a >= 0, b > 0 */
static inline int64_t evr_ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static inline int64_t evr_round_up(int64_t a, int64_t b) { return evr_ceil_div(a, b) * b; }

static inline int64_t evr_greatest_common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

#endif
