#include "timing.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <thread>

namespace evr_bench {
namespace {

// Takes the rounds out of Google Benchmark; the table is printed elsewhere.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context &) override { return true; }
  void ReportRuns(const std::vector<Run> &runs) override {
    for (const Run &run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      rounds[run.run_name.function_name].push_back(run.GetAdjustedRealTime());
    }
  }
  std::map<std::string, std::vector<double>> rounds;
};

int rounds_for(const Contender &contender, const TimingSettings &settings) {
  // A scalar variant on a layer of VGG takes seconds; three rounds tell enough about it.
  constexpr double long_ns = 0.3e9;
  return contender.first_run_ns > long_ns ? std::min(3, settings.rounds) : settings.rounds;
}

}  // namespace

void initialize_timing(const char *program) {
  // Rounds of all contenders of one layer in random order, so that no one always runs after the
  // same other and a slow spell of the machine falls on all.
  std::string arguments[] = {program, "--benchmark_enable_random_interleaving=true"};
  char *pointers[] = {arguments[0].data(), arguments[1].data(), nullptr};
  int count = 2;
  benchmark::Initialize(&count, pointers);
}

void time_interleaved(const std::vector<Contender *> &contenders, const TimingSettings &settings,
                      const RoundProgress &progress) {
  benchmark::ClearRegisteredBenchmarks();
  int all_rounds = 0, done = 0;
  for (const Contender *c : contenders) all_rounds += rounds_for(*c, settings);
  const Contender *last = nullptr;
  for (Contender *c : contenders) {
    const auto round = [&, c](benchmark::State &state) {
      progress(c->name, done, all_rounds);
      // The pools of OpenMP, OpenBLAS and pthreadpool spin for up to 50 ms after their work,
      // and would take the processors from the next contender.
      if (settings.threads > 1 && last != c)
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
      last = c;
      c->prepared.run();  // warms caches, the pool and the clock
      for (auto _ : state) c->prepared.run();
    };
    benchmark::RegisterBenchmark(c->name.c_str(), round)
        ->UseRealTime()
        ->Unit(benchmark::kNanosecond)
        ->MinTime(settings.round_seconds)
        ->Repetitions(rounds_for(*c, settings));
  }
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  benchmark::ClearRegisteredBenchmarks();
  for (Contender *c : contenders) {
    c->timing.round_ns = collector.rounds[c->name];
    if (c->timed()) summarize(c->timing, settings.report_lowest);
  }
}

void summarize(Timing &timing, bool report_lowest) {
  std::vector<double> sorted = timing.round_ns;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  timing.median_ns = n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
  timing.lowest_ns = sorted.front();
  timing.highest_ns = sorted.back();
  timing.reported_ns = report_lowest ? timing.lowest_ns : timing.median_ns;
}

}  // namespace evr_bench
