#include "summary.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace evr_bench {
namespace {

// A geometric mean, term by term.
class Mean {
 public:
  void add(double value, double weight = 1.0) {
    if (value <= 0) return;
    logarithms_ += weight * std::log(value);
    weights_ += weight;
  }
  double value() const { return weights_ > 0 ? std::exp(logarithms_ / weights_) : 0; }

 private:
  double logarithms_ = 0, weights_ = 0;
};

Against against(const SuiteResult &suite, const std::string &name,
                const std::function<const Contender *(const LayerResult &)> &pick) {
  Against result;
  result.name = name;
  Mean plain, weighted;
  for (const LayerResult &layer : suite.layers) {
    const Contender *other = pick(layer);
    const double ratio = ratio_to_ours(layer, other);
    if (ratio <= 0) continue;
    const auto repeat = static_cast<double>(layer.layer.repeat);
    result.layers++;
    result.faster += ratio >= 1.0;
    plain.add(ratio);
    weighted.add(ratio, repeat);
    result.total_ns += repeat * other->timing.reported_ns;
    result.ours_ns += repeat * layer.ours()->timing.reported_ns;
  }
  result.ratio = plain.value();
  result.weighted = weighted.value();
  return result;
}

// Beside peers the best of them is what counts, else the fastest of our own.
Choice judge(const SuiteResult &suite, bool peers) {
  Choice choice;
  for (const LayerResult &layer : suite.layers) {
    const Contender *other = peers ? layer.best_peer() : layer.best_variant();
    const double ratio = ratio_to_ours(layer, other);
    if (ratio > 0) choice.worst.push_back({&layer, other, ratio});
  }
  std::stable_sort(choice.worst.begin(), choice.worst.end(),
                   [](const Worst &a, const Worst &b) { return a.ratio < b.ratio; });
  for (const Worst &layer : choice.worst) choice.ratios.push_back(layer.ratio);
  if (choice.worst.size() > worst_layers)
    choice.worst.erase(choice.worst.begin() + worst_layers, choice.worst.end());
  return choice;
}

}  // namespace

int Choice::within(double factor) const {
  return static_cast<int>(std::count_if(ratios.begin(), ratios.end(),
                                        [&](double ratio) { return ratio * factor >= 1.0; }));
}

double rate(const LayerResult &layer, const Contender &c) {
  if (!c.timed()) return 0;
  return (layer.flop > 0 ? layer.flop : layer.bytes) / c.timing.reported_ns;
}

double fraction_of_best(const LayerResult &layer, const Contender &c, const Machine &machine,
                        int threads) {
  if (!c.timed()) return 0;
  if (layer.flop > 0) {
    const double peak = machine.fma_peak(c.isa, threads);
    return peak > 0 ? rate(layer, c) / peak : 0;
  }
  const Contender *copy = layer.find("memcpy");
  return copy ? copy->timing.reported_ns / c.timing.reported_ns : 0;
}

double ratio_to_ours(const LayerResult &layer, const Contender *other) {
  const Contender *ours = layer.ours();
  if (!ours || !other || !other->timed()) return 0;
  return other->timing.reported_ns / ours->timing.reported_ns;
}

Summary summarize(const SuiteResult &suite, const Machine &machine, int threads) {
  Summary summary;
  // Names in the order of their first appearance. What the library chose may bear several names,
  // so it stands first under one; and beside peers under no other.
  std::vector<std::pair<std::string, Role>> names;
  bool any_peer = false, any_variant = false, any_ours = false;
  for (const LayerResult &layer : suite.layers) {
    for (const Contender &c : layer.contenders) {
      any_ours |= c.chosen;
      any_peer |= c.role == Role::peer;
      any_variant |= c.role == Role::variant;
      const auto same = [&](const auto &entry) { return entry.first == c.name; };
      const auto known = std::find_if(names.begin(), names.end(), same);
      if (known == names.end())
        names.emplace_back(c.name, c.role);
      else if (c.role == Role::variant)
        known->second = c.role;
    }
  }
  const auto add_overall = [&](const std::string &name, Role role, const auto &pick) {
    Overall overall;
    overall.name = name;
    overall.role = role;
    Mean rates, fractions;
    for (const LayerResult &layer : suite.layers) {
      const Contender *c = pick(layer);
      if (!c) continue;
      overall.layers++;
      rates.add(rate(layer, *c));
      fractions.add(fraction_of_best(layer, *c, machine, threads));
    }
    overall.rate = rates.value();
    overall.fraction = fractions.value();
    if (overall.layers > 0) summary.overall.push_back(overall);
  };
  if (any_ours)
    add_overall("evrisim", Role::ours, [](const LayerResult &layer) { return layer.ours(); });
  for (const auto &[name, role] : names) {
    if (role == Role::ours && any_peer) continue;
    const std::string &wanted = name;
    const auto pick = [&wanted](const LayerResult &layer) { return layer.find(wanted); };
    add_overall(name, role == Role::ours ? Role::variant : role, pick);
    if (!any_ours) continue;
    const Against found = against(suite, name, pick);
    if (found.layers > 0) summary.against.push_back(found);
  }
  if (any_ours && any_peer)
    summary.against.push_back(
        against(suite, "best peer", [](const LayerResult &layer) { return layer.best_peer(); }));
  if (any_ours && any_variant)
    summary.against.push_back(against(
        suite, "fastest variant", [](const LayerResult &layer) { return layer.best_variant(); }));
  if (any_ours) summary.choice = judge(suite, any_peer);
  return summary;
}

}  // namespace evr_bench
