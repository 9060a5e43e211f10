// A layer made ready to run: its buffers, its size in operations and bytes, and what a right
// answer is.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "direction.h"

namespace evr_bench {

// Floats on a cache line boundary, which copies share. Some peers read a few elements past the
// end, as their headers state, so a line more than asked for is there.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t count);

  float *data() { return memory_.get(); }
  const float *data() const { return memory_.get(); }
  int64_t count() const { return count_; }
  void fill(float value);
  void fill_random(uint64_t seed);  // uniform in [-1, 1)

 private:
  std::shared_ptr<float> memory_;
  int64_t count_ = 0;
};

enum class Epilogue { none, bias, bias_relu };

struct Result {
  std::string name;
  Buffer values;
};

struct Workload {
  Layer layer;
  Direction direction = Direction::forward;
  // Backward, y is what the forward pass gave. What the direction does not touch is empty.
  Buffer x, weights, bias, y;
  Buffer dy, dx, dweights, dbias;
  std::vector<Result> results;  // what one run writes, of the buffers above
  bool has_bias = false;
  bool saves =
      true;  // the winners of a maximum or minimum, and packed weights, for the backward pass
  int64_t out_height = 0, out_width = 0;
  double flop = 0;    // two for each multiply-add of a convolution; 0 where only bytes count
  int64_t terms = 0;  // of each sum of the backward pass of weights; 0 elsewhere
  double bytes = 0;   // each tensor read or written once: the least that any method moves

  // The weight from input channel i of its group to output channel o.
  float weight(int64_t o, int64_t i, int64_t kernel_row, int64_t kernel_column) const;
};

// Allocates and fills the buffers. The layout and epilogue are those that all contenders get.
Workload make_workload(const Layer &layer, Direction direction, evr_layout layout,
                       Epilogue epilogue, uint64_t seed);

// The two halves of a forward convolution with pooling, as workloads of their own: the first writes
// what the second reads. They share the whole's other buffers.
struct Halves {
  Workload convolution, pooling;
};
Halves halve(const Workload &whole);

// How one result compares with the reference's.
struct Check {
  enum class Outcome { not_checked, identical, within, mismatch };
  Outcome outcome = Outcome::not_checked;
  double largest_error = 0;   // largest |difference| / root mean square of the reference
  double relative_error = 0;  // ||difference|| / ||reference||
  double allowance = 1;       // the tolerance, in multiples of the one below
  std::string detail;         // where it goes wrong, for a mismatch
};

const char *outcome_name(Check::Outcome outcome);

// The tolerance for everything that need not have the reference's bits. Float32 sums in any order
// stay ten times below it on all suites; bfloat16 or TF32 arithmetic, or one wrong tap, do not.
constexpr double largest_error_allowed = 1e-4;
constexpr double relative_error_allowed = 1e-5;

// What to allow a peer: that tolerance, or more where its sums have very many terms. Added one
// after the other, n random numbers lose about 0.4 u sqrt(n) of their sum to rounding, u = 2^-24,
// and a peer may add them so, as our own variants do not: u sqrt(n) is 1e-5 at n = 28 000.
double allowance_for_peers(const Workload &w);

// Compares a result with the reference's values for it: bit for bit, or within that many times the
// tolerance.
Check compare(const Result &actual, const Buffer &expected, bool bit_for_bit, double allowance);

// What two results come to: the worse outcome, the larger errors.
Check combine(const Check &one, const Check &other);

}  // namespace evr_bench
