#include "support/random.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
uint64_t random_bits(test_random *random) {
  random->state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = random->state;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

int64_t random_between(test_random *random, int64_t low, int64_t high) {
  return low + (int64_t)(random_bits(random) % (uint64_t)(high - low + 1));
}

bool random_chance(test_random *random, int percent) {
  return random_between(random, 0, 99) < percent;
}

int64_t random_of(test_random *random, const int64_t *values, int count) {
  return values[random_between(random, 0, count - 1)];
}

const char *values_name(test_values values) {
  switch (values) {
    case VALUES_INTEGERS: return "integers";
    case VALUES_REALS: return "reals";
    case VALUES_TINY: return "tiny";
    case VALUES_SPECIAL: return "special";
    case VALUES_WIDE: return "wide";
    case VALUES_BITS: return "bits";
  }
  return "?";
}

static float real(test_random *random) {
  return (float)random_between(random, -(1 << 24) + 1, (1 << 24) - 1) * 0x1p-24f;
}

static float special(test_random *random) {
  const float sign = random_chance(random, 50) ? -1.0f : 1.0f;
  switch (random_between(random, 0, 9)) {
    case 0:
    case 1: return NAN;
    case 2: return sign * INFINITY;
    case 3: return sign * 0.0f;
    case 4: return sign * FLT_MAX;
    case 5: return sign * FLT_MIN;
    case 6: return sign * 0x1p-149f;
    default: /* a subnormal */
      return sign * (float)random_between(random, 1, (1 << 23) - 1) * 0x1p-149f;
  }
}

void random_fill(test_random *random, test_values values, int64_t one_in, float *data,
                 int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    switch (values) {
      case VALUES_INTEGERS: data[i] = (float)random_between(random, -4, 4); break;
      case VALUES_REALS: data[i] = real(random); break;
      case VALUES_TINY: data[i] = real(random) * 0x1p-70f; break;
      case VALUES_SPECIAL:
        data[i] = random_between(random, 1, one_in) == 1 ? special(random) : real(random);
        break;
      case VALUES_WIDE: { /* two calls in one expression would come in either order */
        const int exponent = (int)random_between(random, -40, 8);
        data[i] = ldexpf(real(random), exponent);
        break;
      }
      case VALUES_BITS: {
        const uint32_t bits = (uint32_t)random_bits(random);
        memcpy(&data[i], &bits, sizeof bits);
        break;
      }
    }
  }
}

/* A variable of the environment as a number of at least 0; what is not one ends the test program:
 * a mistyped seed must not be taken for another. */
static bool number_of(const char *name, uint64_t *number) {
  const char *text = getenv(name);
  if (text == NULL || text[0] == '\0') return false;
  char *end;
  *number = strtoull(text, &end, 0);
  if (*end != '\0' || text[0] == '-') {
    fprintf(stderr, "%s is \"%s\", which is no number\n", name, text);
    exit(2);
  }
  return true;
}

uint64_t test_seed(void) {
  static uint64_t seed;
  static bool known;
  const char *text = getenv("EVR_TEST_SEED");
  if (!known && text != NULL && strcmp(text, "random") == 0)
    seed = ((uint64_t)time(NULL) * 1000003u + (uint64_t)getpid()) % 1000000000u;
  else if (!known && !number_of("EVR_TEST_SEED", &seed))
    seed = 1; /* whether a commit is good must not be a matter of luck */
  known = true;
  return seed;
}

int64_t test_scale(void) {
  uint64_t scale = 1;
  return number_of("EVR_TEST_SCALE", &scale) && scale > 0 ? (int64_t)scale : 1;
}

int64_t test_rounds(int64_t by_default) {
  uint64_t rounds = (uint64_t)by_default;
  number_of("EVR_TEST_ROUNDS", &rounds);
  const int64_t scaled = (int64_t)rounds / test_scale();
  return scaled > 0 ? scaled : 1;
}
