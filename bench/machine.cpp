#include "machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "complaint.h"
#include "workload.h"

namespace evr_bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs work(thread) over and over on each thread for about the given time, all starting together,
// and returns the sum of the threads' rates; work returns how much it did.
double rate(int threads, double seconds, const std::function<double(int)> &work) {
  std::atomic<int> waiting{threads};
  std::vector<double> rates(static_cast<size_t>(threads));
  const auto body = [&](int thread) {
    waiting--;
    while (waiting > 0) std::this_thread::yield();
    const auto start = Clock::now();
    double done = 0, elapsed = 0;
    do {
      done += work(thread);
      elapsed = seconds_since(start);
    } while (elapsed < seconds);
    rates[static_cast<size_t>(thread)] = done / elapsed;
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; thread++) others.emplace_back(body, thread);
  body(0);
  for (std::thread &other : others) other.join();
  double sum = 0;
  for (double r : rates) sum += r;
  return sum;
}

// Many short attempts rather than a long one: whatever else the machine does costs some of them.
double best_rate(int threads, int attempts, const std::function<double(int)> &work) {
  double best = 0;
  for (int attempt = 0; attempt < attempts; attempt++)
    best = std::max(best, rate(threads, 0.004, work));
  return best;
}

using FmaLoop = double (*)(long);

FmaLoop fma_loop(evr_isa isa) {
  switch (isa) {
    case EVR_ISA_SCALAR: return evr_bench_fma_scalar;
#if defined(__x86_64__)
    case EVR_ISA_AVX2: return evr_bench_fma_avx2;
    case EVR_ISA_AVX512: return evr_bench_fma_avx512;
#elif defined(__aarch64__)
    case EVR_ISA_NEON: return evr_bench_fma_neon;
#endif
    default: return nullptr;
  }
}

void keep_better(std::vector<FmaPeak> &peaks, FmaPeak found) {
  for (FmaPeak &peak : peaks) {
    if (peak.isa == found.isa && peak.threads == found.threads) {
      peak.gflops = std::max(peak.gflops, found.gflops);
      return;
    }
  }
  peaks.push_back(found);
}

void keep_better(std::vector<CopyPeak> &peaks, const CopyPeak &found) {
  for (CopyPeak &peak : peaks) {
    if (peak.level == found.level && peak.threads == found.threads) {
      peak.gigabytes_per_second = std::max(peak.gigabytes_per_second, found.gigabytes_per_second);
      return;
    }
  }
  peaks.push_back(found);
}

struct CopySize {
  const char *level;
  int64_t bytes;     // of source and destination together
  bool each_thread;  // a cache of each core's own, so each thread has that much
};

std::vector<CopySize> copy_sizes(const evr_cpu_info &cpu) {
  constexpr int64_t mebibyte = 1 << 20;
  std::vector<CopySize> sizes;
  // Half of a cache holds source, destination and what else runs. Beyond the last level, four
  // times its size, but never so much that the run needs a large machine.
  if (cpu.l1d_bytes > 0) sizes.push_back({"L1", cpu.l1d_bytes / 2, true});
  if (cpu.l2_bytes > 0) sizes.push_back({"L2", cpu.l2_bytes / 2, true});
  // The last level may be shared with other machines on the same host, so a small part of it.
  if (cpu.l3_bytes > 4 * cpu.l2_bytes)
    sizes.push_back({"L3", std::min(cpu.l3_bytes / 2, 12 * mebibyte), false});
  const int64_t last = std::max({cpu.l3_bytes, cpu.l2_bytes, 16 * mebibyte});
  sizes.push_back({"memory", std::min(4 * last, 512 * mebibyte), false});
  return sizes;
}

CopyPeak measure_copy(const CopySize &size, int threads) {
  const int64_t share = size.each_thread ? size.bytes : size.bytes / threads;
  const int64_t half = std::max<int64_t>(1, share / 2 / static_cast<int64_t>(sizeof(float)));
  std::vector<Buffer> from, to;
  for (int thread = 0; thread < threads; thread++) {
    from.emplace_back(half);
    to.emplace_back(half);
  }
  const size_t bytes = static_cast<size_t>(half) * sizeof(float);
  const int repetitions = static_cast<int>(std::max<size_t>(1, (1 << 18) / bytes));
  const double found = best_rate(threads, 20, [&](int thread) {
    const auto t = static_cast<size_t>(thread);
    for (int r = 0; r < repetitions; r++) {
      std::memcpy(to[t].data(), from[t].data(), bytes);
      __asm__ volatile("" : : "r"(to[t].data()) : "memory");
    }
    return 2.0 * static_cast<double>(bytes) * repetitions;
  });
  return {size.level, threads, 2.0 * static_cast<double>(bytes) * threads, found * 1e-9};
}

void measure_fma(Machine &machine, evr_isa isa, int threads, int attempts) {
  const FmaLoop loop = fma_loop(isa);
  if (!loop) return;
  constexpr long repetitions = 500;  // about 0.1 ms
  const double found = best_rate(threads, attempts, [&](int) { return loop(repetitions); }) * 1e-9;
  keep_better(machine.fma, {isa, threads, found});
}

}  // namespace

// Tiles multiply and add nothing in float32: what they do is held against vectors.
double Machine::fma_peak(evr_isa level, int threads) const {
  if (level == EVR_ISA_AMX) level = EVR_ISA_AVX512;
  for (const FmaPeak &peak : fma) {
    if (peak.isa == level && peak.threads == threads) return peak.gflops;
  }
  return 0;
}

double Machine::copy_peak(const std::string &level, int threads) const {
  for (const CopyPeak &peak : copy) {
    if (peak.level == level && peak.threads == threads) return peak.gigabytes_per_second;
  }
  return 0;
}

Machine query_machine(evr_isa max_isa) {
  Machine machine{};
  if (evr_cpu_query(&machine.cpu) != EVR_OK) throw Complaint(evr_last_error());
  machine.isa = machine.cpu.isa;
  if (max_isa != EVR_ISA_ANY && max_isa < machine.isa) machine.isa = max_isa;
  if (machine.isa == EVR_ISA_NEON && machine.cpu.isa != EVR_ISA_NEON) machine.isa = EVR_ISA_SCALAR;
  return machine;
}

std::vector<evr_isa> levels(const Machine &machine) {
  std::vector<evr_isa> found;
  for (evr_isa isa : {EVR_ISA_SCALAR, EVR_ISA_NEON, EVR_ISA_AVX2, EVR_ISA_AVX512}) {
    if (isa <= machine.isa && fma_loop(isa)) found.push_back(isa);
  }
  return found;
}

void measure_fma_again(Machine &machine, int threads) {
  for (evr_isa isa : levels(machine)) measure_fma(machine, isa, threads, 4);
}

void measure_peaks(Machine &machine, int threads) {
  std::vector<int> counts = {1};
  if (machine.cpu.logical_cpus > 1) counts.push_back(2);
  if (std::find(counts.begin(), counts.end(), threads) == counts.end()) counts.push_back(threads);
  for (int n : counts) {
    for (evr_isa isa : levels(machine)) measure_fma(machine, isa, n, 20);
    for (const CopySize &size : copy_sizes(machine.cpu))
      keep_better(machine.copy, measure_copy(size, n));
  }
}

void parallel_copy(float *to, const float *from, size_t count, int threads) {
  if (threads == 1) {
    std::memcpy(to, from, count * sizeof(float));
    return;
  }
  const auto shares = static_cast<size_t>(threads);
#pragma omp parallel for num_threads(threads)
  for (int share = 0; share < threads; share++) {
    const size_t begin = count * static_cast<size_t>(share) / shares;
    const size_t end = count * (static_cast<size_t>(share) + 1) / shares;
    std::memcpy(to + begin, from + begin, (end - begin) * sizeof(float));
  }
}

}  // namespace evr_bench
