// The most multiply-adds that a core can do: twelve independent chains in registers. Compiled once
// for each instruction set, with EVR_BENCH_FMA_NAME and EVR_BENCH_FMA_BYTES (of a vector) set by
// meson. Contraction is allowed here and only here: where the instruction set has a fused
// multiply-add, a * b + c becomes one.
#include "machine.h"

namespace {

typedef float vector __attribute__((vector_size(EVR_BENCH_FMA_BYTES)));

constexpr int chains = 12;  // 2 units x 5 cycles of latency need 10, and 16 registers allow 13
constexpr int steps = 64;   // between two looks at the loop counter

}  // namespace

double EVR_BENCH_FMA_NAME(long repetitions) {
  vector sum[chains];
  vector factor = {}, term = {};
  factor += 0.999999f;
  term += 1e-6f;
  // Every loop over the chains is unrolled: one index that is not a constant, anywhere, would keep
  // them all in memory.
#pragma GCC unroll 12
  for (int c = 0; c < chains; c++) sum[c] = term * static_cast<float>(c);
  for (long r = 0; r < repetitions; r++) {
    for (int s = 0; s < steps; s++) {
#pragma GCC unroll 12
      for (int c = 0; c < chains; c++) {
        sum[c] = sum[c] * factor + term;
        // Keeps each chain as it is written: no reordering, nothing known about its value.
#if defined(__x86_64__)
        __asm__("" : "+v"(sum[c]));
#elif defined(__aarch64__)
        __asm__("" : "+w"(sum[c]));
#endif
      }
    }
  }
  volatile float keep = 0.0f;
#pragma GCC unroll 12
  for (int c = 0; c < chains; c++) keep = keep + sum[c][0];
  return 2.0 * chains * steps * static_cast<double>(repetitions) *
         static_cast<double>(sizeof(vector) / sizeof(float));
}
