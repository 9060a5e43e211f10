// Runs suites: makes each layer ready for all its contenders, checks their results, times them.
#pragma once

#include <functional>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "contender.h"
#include "machine.h"
#include "timing.h"

namespace evr_bench {

// Our own im2col, beside peers: a family, whose member for this machine stands in the results by
// this name. Not all directions have it.
constexpr const char *yardstick_variant = "im2col-gemm";
bool has_yardstick(const Layer &layer, Direction direction);

// Our own backward pass of a maximum or minimum that finds the winners in x again, likewise: to see
// what saving them is worth.
const char *unsaved_name(const Layer &layer, Direction direction);

enum class Comparison { variants, peers };

struct RunSettings {
  Comparison comparison = Comparison::variants;
  Direction direction = Direction::forward;
  evr_layout layout = EVR_NHWC;
  Epilogue epilogue = Epilogue::bias_relu;
  evr_plan_options plan = EVR_PLAN_OPTIONS_INIT;  // math, max_isa, num_threads
  std::string variant;  // takes the place of the library's choice; "" for none
  bool verify = true;
  bool reference_rounds = false;  // time the reference like the others, however long it takes
  uint64_t seed = 1;
  TimingSettings timing;
};

// Where the runner tells what it is doing; may be shown or dropped.
using Progress = std::function<void(const std::string &)>;

class Runner {
 public:
  Runner(RunSettings settings, Machine machine, std::vector<std::unique_ptr<Peer>> peers,
         Progress progress);

  LayerResult run(const Layer &layer);

 private:
  void add_variants(Workload &w, LayerResult &result);
  void add_ours_and_peers(Workload &w, LayerResult &result);
  void add_ours(Workload &w, LayerResult &result, const char *variant, bool chosen);
  void add_unfused(Workload &w, LayerResult &result);
  void add_unsaved(const Workload &w, LayerResult &result);
  void add_copy(Workload &w, LayerResult &result);
  void compute_reference(Workload &w);
  void check(Workload &w, Contender &contender);
  bool needs_bits(const Workload &w, const Contender &contender) const;

  RunSettings settings_;
  Machine machine_;
  std::vector<std::unique_ptr<Peer>> peers_;
  Progress progress_;
  std::string title_;             // of the layer at hand, for progress
  std::vector<Buffer> expected_;  // what the reference computed, result by result, or empty
  double reference_ns_ = 0;       // how long that took
};

}  // namespace evr_bench
