// A suite that is drawn instead of read: a random sample of convolutions, so that the choice is
// held to shapes that no one had in mind.
#include <random>
#include <set>

#include "complaint.h"
#include "suite.h"

namespace evr_bench {
namespace {

// Above this a layer is drawn again: its reference alone would take seconds.
constexpr double most_flop = 1e9;

// std::mt19937_64 gives the same numbers everywhere; the standard's distributions do not.
class Dice {
 public:
  explicit Dice(uint64_t seed) : bits_(seed) {}

  // 0 to count - 1. What is left over of 2^64 favours the low numbers by nothing that shows.
  int64_t below(int64_t count) {
    return static_cast<int64_t>(bits_() % static_cast<uint64_t>(count));
  }

  // 1 to 2^most, every power of two as likely to be the range: a uniform draw from 1 to 512 would
  // hold next to no small sizes.
  int64_t size(int64_t most) { return 1 + below(int64_t{1} << below(most + 1)); }

 private:
  std::mt19937_64 bits_;
};

evr_conv2d_desc draw(Dice &dice) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.batch = 1;
  d.in_channels = dice.size(9);
  d.out_channels = dice.size(9);
  d.in_height = dice.size(8);
  d.in_width = dice.size(8);
  d.kernel_height = d.kernel_width = 1 + dice.below(7);
  d.stride_height = d.stride_width = 1 + dice.below(2);
  d.pad_top = d.pad_bottom = d.pad_left = d.pad_right = dice.below(2) * (d.kernel_height / 2);
  if (dice.below(8) == 0) d.groups = d.out_channels = d.in_channels;
  return d;
}

// The shape: 64x28x28_128k3s2p1, or 64x28x28_dwk3s2p1 where it is depthwise.
std::string name_of(const evr_conv2d_desc &d) {
  const auto text = [](int64_t value) { return std::to_string(value); };
  return text(d.in_channels) + "x" + text(d.in_height) + "x" + text(d.in_width) + "_" +
         (d.groups > 1 ? "dw" : text(d.out_channels)) + "k" + text(d.kernel_height) + "s" +
         text(d.stride_height) + "p" + text(d.pad_top);
}

}  // namespace

Suite random_suite(int layers, uint64_t seed) {
  Suite suite;
  suite.name = suite.path = "random";
  Dice dice(seed);
  std::set<std::string> names;
  int too_large = 0;
  while (static_cast<int>(suite.layers.size()) < layers) {
    Layer layer;
    layer.conv2d = draw(dice);
    evr_conv2d_sizes sizes;
    // A kernel that is larger than the padded image is no layer.
    if (evr_conv2d_get_sizes(&layer.conv2d, &sizes) != EVR_OK) continue;
    const double flop = 2.0 * static_cast<double>(sizes.residual_count) *
                        static_cast<double>(sizes.weights_count / layer.conv2d.out_channels);
    if (flop > most_flop) {
      too_large++;
      continue;
    }
    layer.name = name_of(layer.conv2d);
    if (names.insert(layer.name).second) suite.layers.push_back(std::move(layer));
  }
  suite.note = "drawn with seed " + std::to_string(seed) + "; " + std::to_string(too_large) +
               (too_large == 1 ? " shape" : " shapes") + " above " +
               std::to_string(static_cast<int>(most_flop * 1e-9)) + " GFLOP drawn again";
  return suite;
}

}  // namespace evr_bench
