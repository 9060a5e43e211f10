// What the machine can do at most: multiply-adds and copies, measured in the same run as the
// layers, and what the results were made with.
#pragma once

#include <string>
#include <vector>

#include "evrisim/evrisim.h"

namespace evr_bench {

struct FmaPeak {
  evr_isa isa;
  int threads;
  double gflops;
};

struct CopyPeak {
  std::string level;  // "L1", "L2", "L3", "memory"
  int threads;
  double bytes;                 // of source and destination together
  double gigabytes_per_second;  // bytes read plus bytes written
};

struct Machine {
  evr_cpu_info cpu;
  evr_isa isa;  // the highest level that this run may use
  std::vector<FmaPeak> fma;
  std::vector<CopyPeak> copy;

  double fma_peak(evr_isa level, int threads) const;  // 0 where it was not measured
  double copy_peak(const std::string &level, int threads) const;
};

// Queries the CPU; limits isa to max_isa.
Machine query_machine(evr_isa max_isa);

// Measures every level up to machine.isa on 1, 2 (where there are two CPUs) and the given number
// of threads; keeps the better of the old figure and the new, so that it may be called again.
void measure_peaks(Machine &machine, int threads);

// Measures the FMA peak of every level on the given number of threads once more, in some tens of
// milliseconds: called before each layer, so that a slow spell of the machine at the start of the
// run does not leave a peak that the layers then exceed.
void measure_fma_again(Machine &machine, int threads);

// The levels that this CPU has, up to machine.isa, lowest first.
std::vector<evr_isa> levels(const Machine &machine);

// A copy on several threads, as a contender can be timed: bytes/2 read and bytes/2 written.
void parallel_copy(float *to, const float *from, size_t count, int threads);

// A vector of multiply-adds in registers, one function an instruction set; returns the number of
// floating-point operations done. See fma_peak.cpp.
extern "C" {
double evr_bench_fma_scalar(long repetitions);
double evr_bench_fma_avx2(long repetitions);
double evr_bench_fma_avx512(long repetitions);
double evr_bench_fma_neon(long repetitions);
}

}  // namespace evr_bench
