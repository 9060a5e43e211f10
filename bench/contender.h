// Who is timed on a layer, and what came of it.
#pragma once

#include <string>
#include <vector>

#include "peers/peer.h"

namespace evr_bench {

enum class Role {
  ours,       // the variant that the library chose (or was told to)
  variant,    // another variant of ours
  peer,       // another library
  yardstick,  // something to measure against that is not a competitor: a plain copy
};

const char *role_name(Role role);

struct Timing {
  std::vector<double> round_ns;  // one execution, in each round
  double median_ns = 0, lowest_ns = 0, highest_ns = 0;
  double reported_ns = 0;  // one of them: what tables, rates and ratios are made of
};

struct Contender {
  std::string name;
  Role role = Role::variant;
  evr_isa isa = EVR_ISA_SCALAR;  // the level whose FMA peak it is held against
  bool chosen = false;           // the library's own choice
  Prepared prepared;
  Check check;
  double first_run_ns = 0;  // the run that was checked: cold, and timed once
  Timing timing;            // no rounds: not timed
  std::string note;         // anything the reader should know about the figure

  bool timed() const { return !timing.round_ns.empty(); }
};

struct Skip {
  std::string contender;
  std::string reason;
};

// What was found for one layer.
struct LayerResult {
  Layer layer;
  double flop = 0, bytes = 0;
  std::vector<Contender> contenders;
  std::vector<Skip> skipped;

  // The library's own choice; NULL where it was not timed.
  const Contender *ours() const;
  const Contender *find(const std::string &name) const;
  const Contender *best_peer() const;     // the fastest that was timed, or NULL
  const Contender *best_variant() const;  // the fastest of ours, or NULL
};

struct SuiteResult {
  Suite suite;
  std::vector<LayerResult> layers;
  bool mismatch = false;
};

}  // namespace evr_bench
