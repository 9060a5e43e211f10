#include "runner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "complaint.h"
#include "ours.h"

namespace evr_bench {
namespace {

constexpr const char *reference_name = "reference";
constexpr const char *copy_name = "memcpy";
// Our own convolution and then our own pooling, to see what fusing them gains.
constexpr const char *unfused_name = "unfused";

// Above this the reference gets one run instead of rounds: seven rounds on a layer of VGG would
// take minutes and tell nothing that one run does not.
constexpr double reference_limit_ns = 0.05e9;

double run_once(const std::function<void()> &run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

// Fills what a run writes with NaN, so that what it leaves out shows.
void spoil(Workload &w) {
  for (Result &result : w.results) result.values.fill(std::nanf(""));
}

bool is_trio(const Workload &w) {
  return w.layer.operation == Operation::conv2d && w.layer.conv2d.pool.kind != EVR_POOL_NONE;
}

// Someone who has no fused pooling runs a convolution and then its pooling.
Prepared prepare_halves(const Workload &w, const std::function<Prepared(Workload &)> &prepare) {
  const auto halves = std::make_shared<Halves>(halve(w));
  const Prepared first = prepare(halves->convolution);
  if (!first.run) return first;
  const Prepared second = prepare(halves->pooling);
  if (!second.run) return second;
  if (first.collect || second.collect) return refuse("its halves would need reordering in between");
  Prepared both;
  both.implementation = first.implementation + ", " + second.implementation;
  both.packed_bytes = first.packed_bytes;
  both.workspace_bytes = first.workspace_bytes + second.workspace_bytes +
                         static_cast<size_t>(halves->pooling.x.count()) * sizeof(float);
  both.run = [halves, first = first.run, second = second.run] {
    first();
    second();
  };
  return both;
}

}  // namespace

const char *unsaved_name(const Layer &layer, Direction direction) {
  if (direction != Direction::backward_data) return nullptr;
  if (layer.operation == Operation::conv2d) return "plain";
  const bool winners =
      layer.operation == Operation::pool2d && layer.pool2d.window.kind != EVR_POOL_AVERAGE;
  return winners ? "from-x" : nullptr;
}

bool has_yardstick(const Layer &layer, Direction direction) {
  return layer.operation == Operation::conv2d && has_variant(layer, direction, yardstick_variant);
}

Runner::Runner(RunSettings settings, Machine machine, std::vector<std::unique_ptr<Peer>> peers,
               Progress progress)
    : settings_(std::move(settings)),
      machine_(std::move(machine)),
      peers_(std::move(peers)),
      progress_(std::move(progress)) {}

LayerResult Runner::run(const Layer &layer) {
  title_ = layer.name;
  Workload w = make_workload(layer, settings_.direction, settings_.layout, settings_.epilogue,
                             settings_.seed);
  LayerResult result;
  result.layer = w.layer;
  result.flop = w.flop;
  result.bytes = w.bytes;
  expected_.clear();
  reference_ns_ = 0;
  if (settings_.verify) compute_reference(w);

  if (settings_.comparison == Comparison::variants)
    add_variants(w, result);
  else
    add_ours_and_peers(w, result);
  if (!layer.counts_operations) add_copy(w, result);

  std::vector<Contender *> field;
  for (Contender &contender : result.contenders) {
    progress_(title_ + ": checking " + contender.name);
    check(w, contender);
    if (contender.check.outcome == Check::Outcome::mismatch) continue;
    if (contender.name == reference_name && !settings_.reference_rounds &&
        contender.first_run_ns > reference_limit_ns) {
      contender.timing.round_ns = {contender.first_run_ns};
      contender.note = "one run only";
      summarize(contender.timing, settings_.timing.report_lowest);
      continue;
    }
    field.push_back(&contender);
  }
  time_interleaved(field, settings_.timing, [&](const std::string &name, int done, int all) {
    progress_(title_ + ": timing " + name + " (round " + std::to_string(done + 1) + " of " +
              std::to_string(all) + ")");
  });
  // What the closures hold (packed weights, workspaces, the workload itself) goes with the layer.
  for (Contender &contender : result.contenders)
    contender.prepared.run = contender.prepared.collect = nullptr;
  return result;
}

void Runner::compute_reference(Workload &w) {
  progress_(title_ + ": computing the reference");
  evr_plan_options options = settings_.plan;
  std::string name;
  const Prepared reference = prepare_ours(w, options, reference_name, &name);
  if (!reference.run) throw Complaint(title_ + ": " + reference.refusal);
  spoil(w);
  reference_ns_ = run_once(reference.run);
  for (const Result &result : w.results) {
    const Buffer &values = result.values;
    Buffer kept(values.count());
    std::copy_n(values.data(), values.count(), kept.data());
    // The inputs are finite and small, so a NaN here was never written over, and would agree with
    // every other contender that writes nothing.
    for (int64_t i = 0; i < kept.count(); i++) {
      if (std::isnan(kept.data()[i]))
        throw Complaint(title_ + ": the reference leaves " + result.name + "[" + std::to_string(i) +
                        "] a NaN.");
    }
    expected_.push_back(std::move(kept));
  }
}

void Runner::add_variants(Workload &w, LayerResult &result) {
  for (const evr_variant_report &report : list_variants(w.layer, w.direction, settings_.plan)) {
    if (!report.accepted)
      result.skipped.push_back({report.name, report.reason});
    else
      add_ours(w, result, report.name, report.chosen);
  }
}

void Runner::add_ours(Workload &w, LayerResult &result, const char *variant, bool chosen) {
  Contender contender;
  contender.prepared = prepare_ours(w, settings_.plan, variant, &contender.name);
  if (!contender.prepared.run) {
    result.skipped.push_back({variant ? variant : "evrisim", contender.prepared.refusal});
    return;
  }
  for (const Contender &other : result.contenders) {
    if (other.prepared.implementation == contender.name) return;
  }
  contender.role = chosen ? Role::ours : Role::variant;
  contender.chosen = chosen;
  contender.isa = machine_.isa;
  for (const evr_variant_report &report : list_variants(w.layer, w.direction, settings_.plan)) {
    // The compiler may use no more for scalar code than the baseline has, and the peak of a
    // variant is that of its own level.
    if (contender.name == report.name) contender.isa = report.isa;
  }
  if (settings_.comparison == Comparison::peers && !chosen) contender.name = variant;
  result.contenders.push_back(std::move(contender));
}

void Runner::add_ours_and_peers(Workload &w, LayerResult &result) {
  add_ours(w, result, settings_.variant.empty() ? nullptr : settings_.variant.c_str(), true);
  if (has_yardstick(w.layer, w.direction)) add_ours(w, result, yardstick_variant, false);
  if (is_trio(w)) add_unfused(w, result);
  if (unsaved_name(w.layer, w.direction) != nullptr) add_unsaved(w, result);
  if (settings_.reference_rounds) add_ours(w, result, reference_name, false);
  for (const auto &peer : peers_) {
    progress_(title_ + ": preparing " + peer->name());
    Contender contender;
    contender.name = peer->name();
    contender.role = peer->is_yardstick() ? Role::yardstick : Role::peer;
    contender.isa = machine_.isa;
    const std::string refusal = peer->refusal();
    if (!refusal.empty())
      contender.prepared = refuse(refusal);
    else if (is_trio(w))
      contender.prepared = prepare_halves(w, [&](Workload &half) { return peer->prepare(half); });
    else
      contender.prepared = peer->prepare(w);
    if (contender.prepared.run)
      result.contenders.push_back(std::move(contender));
    else if (!contender.prepared.refusal.empty())
      result.skipped.push_back({peer->name(), contender.prepared.refusal});
  }
}

void Runner::add_unfused(Workload &w, LayerResult &result) {
  Contender unfused;
  unfused.name = unfused_name;
  unfused.role = Role::yardstick;
  unfused.isa = machine_.isa;
  evr_plan_options options = settings_.plan;
  const char *variant = settings_.variant.empty() ? nullptr : settings_.variant.c_str();
  unfused.prepared = prepare_halves(w, [&](Workload &half) {
    std::string name;
    const bool filter = half.layer.operation == Operation::conv2d;
    return prepare_ours(half, options, filter ? variant : nullptr, &name);
  });
  if (unfused.prepared.run)
    result.contenders.push_back(std::move(unfused));
  else
    result.skipped.push_back({unfused_name, unfused.prepared.refusal});
}

void Runner::add_unsaved(const Workload &w, LayerResult &result) {
  const char *const name = unsaved_name(w.layer, w.direction);
  const auto own = std::make_shared<Workload>(w);  // of the same buffers
  own->saves = false;
  Contender unsaved;
  unsaved.name = name;
  unsaved.role = Role::yardstick;
  unsaved.isa = machine_.isa;
  std::string variant;
  const char *forced = settings_.variant.empty() ? nullptr : settings_.variant.c_str();
  unsaved.prepared = prepare_ours(*own, settings_.plan, forced, &variant);
  if (!unsaved.prepared.run) {
    result.skipped.push_back({name, unsaved.prepared.refusal});
    return;
  }
  unsaved.prepared.run = [own, run = unsaved.prepared.run] { run(); };
  result.contenders.push_back(std::move(unsaved));
}

void Runner::add_copy(Workload &w, LayerResult &result) {
  // As many bytes as the layer moves, half of them read and half written.
  const auto half = std::max<int64_t>(1, std::llround(w.bytes / (2 * sizeof(float))));
  const auto from = std::make_shared<Buffer>(half), to = std::make_shared<Buffer>(half);
  Contender copy;
  copy.name = copy_name;
  copy.role = Role::yardstick;
  copy.isa = machine_.isa;
  copy.prepared.implementation = "memcpy";
  copy.prepared.run = [from, to, half, threads = settings_.timing.threads] {
    parallel_copy(to->data(), from->data(), static_cast<size_t>(half), threads);
  };
  result.contenders.push_back(std::move(copy));
}

bool Runner::needs_bits(const Workload &w, const Contender &contender) const {
  // A maximum or minimum is one of its inputs, whoever finds it, and so is a padded pixel. Their
  // gradients are sums.
  const bool forward = w.direction == Direction::forward;
  if (forward && w.layer.operation == Operation::pad2d) return true;
  if (forward && w.layer.operation == Operation::pool2d &&
      w.layer.pool2d.window.kind != EVR_POOL_AVERAGE)
    return true;
  const bool ours = contender.role == Role::ours || contender.role == Role::variant;
  return ours && settings_.plan.math == EVR_MATH_EXACT;
}

void Runner::check(Workload &w, Contender &contender) {
  spoil(w);
  contender.first_run_ns = run_once(contender.prepared.run);
  if (contender.prepared.collect) contender.prepared.collect();
  if (contender.name == copy_name) return;
  const bool ours = contender.role == Role::ours || contender.role == Role::variant;
  const double allowance = ours ? 1.0 : allowance_for_peers(w);
  for (size_t i = 0; i < expected_.size(); i++)
    contender.check = combine(
        contender.check, compare(w.results[i], expected_[i], needs_bits(w, contender), allowance));
}

}  // namespace evr_bench
