#include "contender.h"

namespace evr_bench {
namespace {

template <typename Wanted>
const Contender *fastest(const std::vector<Contender> &contenders, Wanted wanted) {
  const Contender *best = nullptr;
  for (const Contender &c : contenders) {
    if (!c.timed() || c.check.outcome == Check::Outcome::mismatch || !wanted(c)) continue;
    if (!best || c.timing.reported_ns < best->timing.reported_ns) best = &c;
  }
  return best;
}

}  // namespace

const char *role_name(Role role) {
  switch (role) {
    case Role::ours: return "ours";
    case Role::variant: return "variant";
    case Role::peer: return "peer";
    case Role::yardstick: return "yardstick";
  }
  return "unknown";
}

const Contender *LayerResult::ours() const {
  return fastest(contenders, [](const Contender &c) { return c.chosen; });
}

const Contender *LayerResult::find(const std::string &name) const {
  return fastest(contenders, [&](const Contender &c) { return c.name == name; });
}

const Contender *LayerResult::best_peer() const {
  return fastest(contenders, [](const Contender &c) { return c.role == Role::peer; });
}

const Contender *LayerResult::best_variant() const {
  return fastest(contenders, [](const Contender &c) {
    return c.role == Role::ours || c.role == Role::variant;
  });
}

}  // namespace evr_bench
