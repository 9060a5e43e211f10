/* Random numbers that are the same on every machine: splitmix64 (Steele, Lea, Flood, Fast
 * splittable pseudorandom number generators, 2014). */
#ifndef EVRISIM_EXAMPLES_LENET5_RANDOM_H
#define EVRISIM_EXAMPLES_LENET5_RANDOM_H

#include <stdint.h>

static inline uint64_t random_bits(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Between the two, and neither of them. */
static inline double random_between(uint64_t *state, double low, double high) {
  return low + (high - low) * (((double)(random_bits(state) >> 40) + 0.5) * 0x1p-24);
}

/* 0 to count - 1, each as likely as the others but for one part in 2^32 / count. */
static inline int64_t random_below(uint64_t *state, uint32_t count) {
  return (int64_t)((random_bits(state) >> 32) * count >> 32);
}

#endif
