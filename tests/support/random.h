/* Seeded inputs. Every value is made with integer arithmetic and a scaling by powers of two, so the
 * same seed gives the same bits on every machine. */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct test_random {
  uint64_t state;
} test_random;

/* Draw in statements, one after the other: C leaves open in which order the arguments of a call, or
 * the values of an initializer, are drawn, and one seed would give other cases elsewhere. */
uint64_t random_bits(test_random *random);
/* Uniform in [low, high]. */
int64_t random_between(test_random *random, int64_t low, int64_t high);
bool random_chance(test_random *random, int percent);
/* One of the count values. */
int64_t random_of(test_random *random, const int64_t *values, int count);

/* What a tensor is filled with. */
typedef enum test_values {
  VALUES_INTEGERS, /* -4 .. 4: every sum that the tests make of them is exact in any order */
  VALUES_REALS,    /* 24 random bits in (-1, 1) */
  VALUES_TINY,     /* reals times 2^-70: products and sums are subnormal */
  VALUES_SPECIAL,  /* reals among which NaN, infinities, subnormals, -0 and the largest floats */
  VALUES_WIDE,     /* reals times a power of two from 2^-40 to 2^8 */
  VALUES_BITS      /* any 32 bits */
} test_values;

const char *values_name(test_values values);

/* one_in: of VALUES_SPECIAL, how rare the special ones are. */
void random_fill(test_random *random, test_values values, int64_t one_in, float *data,
                 int64_t count);

/* EVR_TEST_SEED, else 1; where that is "random", a seed of the moment. The same on every call. */
uint64_t test_seed(void);
/* EVR_TEST_ROUNDS, else the default, divided by test_scale(); at least 1. */
int64_t test_rounds(int64_t by_default);
/* EVR_TEST_SCALE, else 1: a slow machine (an emulator) runs one case in so many. */
int64_t test_scale(void);

#endif
