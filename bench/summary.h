// Figures for a whole suite.
#pragma once

#include <string>
#include <vector>

#include "contender.h"
#include "machine.h"

namespace evr_bench {

// How the library's choice does against one other, over the layers that both were timed on.
struct Against {
  std::string name;  // a contender, "best peer" or "fastest variant"
  int layers = 0;
  int faster = 0;       // layers on which ours takes no longer
  double ratio = 0;     // geometric mean of (its time / our time): above 1, ours is faster
  double weighted = 0;  // the same, each layer counted as often as the network repeats it
  double total_ns = 0;  // its time for all those layers, each times its repeat
  double ours_ns = 0;   // our time for the same
};

// One contender by itself.
struct Overall {
  std::string name;
  Role role = Role::variant;
  int layers = 0;
  double rate = 0;      // geometric mean of GFLOP/s (convolutions) or GB/s (the others)
  double fraction = 0;  // geometric mean of the fraction of peak, or of copy speed
};

struct Summary {
  std::vector<Overall> overall;
  std::vector<Against> against;
};

// Fraction of what the machine can do: of the FMA peak of its level, for a convolution; of the
// speed of a copy of as many bytes in the same rounds, for the others. 0 where it is not known.
double fraction_of_best(const LayerResult &layer, const Contender &c, const Machine &machine,
                        int threads);

// GFLOP/s of a convolution, GB/s of the others.
double rate(const LayerResult &layer, const Contender &c);

// Its time over our time on this layer; 0 where one of them has none.
double ratio_to_ours(const LayerResult &layer, const Contender *other);

Summary summarize(const SuiteResult &suite, const Machine &machine, int threads);

}  // namespace evr_bench
