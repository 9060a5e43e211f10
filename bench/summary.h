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

// A layer on which the library's choice does badly.
struct Worst {
  const LayerResult *layer;
  const Contender *other;  // the best peer, or the fastest variant
  double ratio;            // its time / our time
};

// How close the choice comes to the fastest there is (peer or variant, whichever was compared),
// layer by layer.
struct Choice {
  std::vector<double> ratios;  // its time / our time, lowest first
  std::vector<Worst> worst;    // the lowest of them, at most worst_layers

  // Layers on which the choice takes at most so many times as long as the fastest.
  int within(double factor) const;
};

constexpr size_t worst_layers = 10;
constexpr double close_enough = 1.05;    // of the fastest variant's time: the choice was right
constexpr double tolerable = 1.0 / 0.9;  // of the best peer's time: below that is a cliff

struct Summary {
  std::vector<Overall> overall;
  std::vector<Against> against;
  Choice choice;
};

// Fraction of what the machine can do: of the FMA peak of its level, for a convolution; of the
// speed of a copy of as many bytes in the same rounds, for the others. 0 where it is not known.
double fraction_of_best(const LayerResult &layer, const Contender &c, const Machine &machine,
                        int threads);

// GFLOP/s of a convolution, GB/s of the others.
double rate(const LayerResult &layer, const Contender &c);

// Its time over our time on this layer; 0 where one of them has none.
double ratio_to_ours(const LayerResult &layer, const Contender *other);

// Points into the suite, which must outlive what it gives.
Summary summarize(const SuiteResult &suite, const Machine &machine, int threads);

}  // namespace evr_bench
