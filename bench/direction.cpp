#include "direction.h"

namespace evr_bench {

const char *direction_name(Direction direction) {
  switch (direction) {
    case Direction::forward: return "forward";
    case Direction::backward_data: return "backward-data";
    case Direction::backward_weights: return "backward-weights";
  }
  return "unknown";
}

std::string no_such_direction(const Suite &suite, Direction direction) {
  if (direction == Direction::forward) return "";
  const bool filters = suite.operation == Operation::conv2d;
  if (direction == Direction::backward_weights && !filters && suite.operation != Operation::dense)
    return std::string(operation_name(suite.operation)) + " layers have no weights";
  for (const Layer &layer : suite.layers) {
    if (filters && layer.conv2d.pool.kind != EVR_POOL_NONE)
      return layer.name + " has pooling fused into it, which only the forward pass can have";
  }
  return "";
}

}  // namespace evr_bench
