// What the user is told, in one sentence, when the benchmark cannot go on.
#pragma once

#include <stdexcept>
#include <string>

namespace evr_bench {

class Complaint : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace evr_bench
