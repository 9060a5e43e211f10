/* Values on which arithmetic by pieces of floats is at its worst. */
#ifndef TEST_SUPPORT_ADVERSARY_H
#define TEST_SUPPORT_ADVERSARY_H

#include "support/random.h"

typedef struct adversary {
  const char *name;
  /* index: of the term within a sum. */
  float (*make)(test_random *random, int64_t index);
} adversary;

#define ADVERSARIES 8
extern const adversary adversaries[ADVERSARIES];

/* To be put one by one among values near 1, near 2^-60 and so on. */
#define SINGLE_VALUES 20
#define SURROUNDINGS 4
extern const float single_values[SINGLE_VALUES], surroundings[SURROUNDINGS];

#endif
