// Which way a layer is run: forward, or one of the two backward passes.
#pragma once

#include <string>

#include "suite.h"

namespace evr_bench {

enum class Direction {
  forward,
  backward_data,     // the gradient at the layer's input
  backward_weights,  // at its weights and bias
};

// As the command line spells it: "backward-data".
const char *direction_name(Direction direction);

// Why the layers of that suite cannot be run that way, as a clause; "" where they can.
std::string no_such_direction(const Suite &suite, Direction direction);

}  // namespace evr_bench
