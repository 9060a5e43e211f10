#include "support/adversary.h"

#include <float.h>
#include <math.h>
#include <string.h>

static float with_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static uint32_t mantissa(test_random *r) { return (uint32_t)random_bits(r) & 0x7fffff; }

static float uniform(test_random *r, int64_t index) {
  (void)index;
  return (float)random_between(r, -(1 << 24) + 1, (1 << 24) - 1) * 0x1p-24f;
}
static float one_sign(test_random *r, int64_t index) {
  (void)index;
  return with_bits(0x3f800000 | mantissa(r));
}
/* Each of a magnitude of its own, over 17 powers of 2 beyond those of uniform ones. */
static float mixed(test_random *r, int64_t index) {
  (void)index;
  return ldexpf(uniform(r, 0), (int)random_between(r, -8, 8));
}
/* Terms come in pairs of nearly opposite ones: x is the same but for its last bits, w the other
 * way round. */
static float cancelling(test_random *r, int64_t index) {
  const float size = with_bits(0x3fc00000 | (mantissa(r) & 0xffff));
  return index % 2 == 0 ? size : -size;
}
/* What is left after each piece is as large as can be. */
static float large_rests(test_random *r, int64_t index) {
  (void)index;
  return with_bits(0x3f807f3f | (mantissa(r) & 0x7f0000));
}
/* The products that are left out are all of one sign and as large as can be. */
static float large_losses(test_random *r, int64_t index) {
  (void)r;
  (void)index;
  return with_bits(0x3f807f3f);
}
static float one_and_an_ulp(test_random *r, int64_t index) {
  (void)index;
  const float value = ldexpf(1.0f + FLT_EPSILON, (int)random_between(r, -4, 4));
  return random_chance(r, 50) ? -value : value;
}
static float ties(test_random *r, int64_t index) {
  (void)index;
  return with_bits(0x3f808080 | (mantissa(r) & 0x7f0000));
}

const adversary adversaries[ADVERSARIES] = {{"uniform", uniform},
                                            {"one sign", one_sign},
                                            {"mixed", mixed},
                                            {"cancelling", cancelling},
                                            {"large rests", large_rests},
                                            {"large losses", large_losses},
                                            {"1 + 2^-23", one_and_an_ulp},
                                            {"ties", ties}};

const float single_values[SINGLE_VALUES] = {INFINITY, -INFINITY, NAN,       FLT_MAX,   -FLT_MAX,
                                            0x1p127f, 1e38f,     FLT_MIN,   -FLT_MIN,  0x1p-149f,
                                            1e-38f,   1e-39f,    0x1p-103f, 0x1p-104f, 1e-30f,
                                            1e30f,    0x1p-40f,  0x1p-41f,  0x1p-80f,  -0.0f};
const float surroundings[SURROUNDINGS] = {1.0f, 0x1p-60f, 0x1p60f, 0x1p-30f};
