#include "support/compare.h"

#include <string.h>

uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static bool is_nan(float value) { return (float_bits(value) & 0x7fffffffu) > 0x7f800000u; }

bool same_float(float a, float b) {
  return float_bits(a) == float_bits(b) || (is_nan(a) && is_nan(b));
}

int64_t first_difference(const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!same_float(a[i], b[i])) return i;
  return -1;
}

#define UNTOUCHED_BITS 0x7fed5eedu

float untouched(void) {
  const uint32_t bits = UNTOUCHED_BITS;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* By memcpy: a float that is moved through an x87 register may not keep its payload. */
void fill_untouched(float *data, int64_t count) {
  const uint32_t bits = UNTOUCHED_BITS;
  for (int64_t i = 0; i < count; i++) memcpy(&data[i], &bits, sizeof bits);
}

bool all_untouched(const float *data, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (float_bits(data[i]) != UNTOUCHED_BITS) return false;
  return true;
}

uint64_t hash_floats(const float *data, int64_t count) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (int64_t i = 0; i < count; i++) {
    const uint32_t bits = float_bits(data[i]);
    for (int byte = 0; byte < 4; byte++) {
      hash ^= bits >> (8 * byte) & 0xff;
      hash *= UINT64_C(0x100000001b3);
    }
  }
  return hash;
}
