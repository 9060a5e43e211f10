// Times contenders against each other, in alternating rounds, by Google Benchmark.
#pragma once

#include <functional>
#include <vector>

#include "contender.h"

namespace evr_bench {

struct TimingSettings {
  int rounds = 7;               // at least 3 where one execution takes very long
  double round_seconds = 0.01;  // lower bound of one round's time on one contender
  int threads = 1;
  bool report_lowest = false;  // the quickest round instead of the median
};

// Called at the start of each round of each contender: name, and rounds done of all rounds.
using RoundProgress = std::function<void(const std::string &, int, int)>;

// Sets Google Benchmark up; once, before the first timing.
void initialize_timing(const char *program);

// Fills in the timing of each contender given. All have run once before (first_run_ns).
void time_interleaved(const std::vector<Contender *> &contenders, const TimingSettings &settings,
                      const RoundProgress &progress);

// Computes the figures from round_ns, which must not be empty.
void summarize(Timing &timing, bool report_lowest);

}  // namespace evr_bench
