#include <nlohmann/json.hpp>

#include "report.h"

namespace evr_bench {
namespace {

using Json = nlohmann::ordered_json;

Json describe(const evr_pool2d_window &p) {
  const char *kinds[] = {"none", "max", "average", "min"};
  return {{"kind", kinds[p.kind]},
          {"kernel", {p.kernel_height, p.kernel_width}},
          {"stride", {p.stride_height, p.stride_width}},
          {"dilation", {p.dilation_height, p.dilation_width}},
          {"pad_top_bottom_left_right", {p.pad_top, p.pad_bottom, p.pad_left, p.pad_right}},
          {"ceil_mode", p.ceil_mode},
          {"count_include_pad", p.count_include_pad},
          {"global", p.global}};
}

Json describe(const Layer &layer) {
  switch (layer.operation) {
    case Operation::conv2d: {
      const evr_conv2d_desc &d = layer.conv2d;
      Json json = {
          {"batch", d.batch},
          {"groups", d.groups},
          {"in_channels", d.in_channels},
          {"in_size", {d.in_height, d.in_width}},
          {"out_channels", d.out_channels},
          {"kernel", {d.kernel_height, d.kernel_width}},
          {"stride", {d.stride_height, d.stride_width}},
          {"dilation", {d.dilation_height, d.dilation_width}},
          {"pad_top_bottom_left_right", {d.pad_top, d.pad_bottom, d.pad_left, d.pad_right}}};
      if (d.pool.kind != EVR_POOL_NONE) json["pool"] = describe(d.pool);
      return json;
    }
    case Operation::pool2d: {
      const evr_pool2d_desc &d = layer.pool2d;
      Json json = {
          {"batch", d.batch}, {"channels", d.channels}, {"in_size", {d.in_height, d.in_width}}};
      json.update(describe(d.window));
      return json;
    }
    case Operation::activation:
      return {{"activation", activation_name(layer.activation.activation.kind)},
              {"alpha", layer.activation.activation.alpha},
              {"count", layer.activation.count}};
    case Operation::softmax:
      return {{"batch", layer.softmax.batch},
              {"classes", layer.softmax.channels},
              {"size", {layer.softmax.height, layer.softmax.width}}};
    case Operation::dense:
      return {{"batch", layer.dense.batch},
              {"in_features", layer.dense.in_features},
              {"out_features", layer.dense.out_features}};
    case Operation::pad2d: {
      const evr_pad2d_desc &d = layer.pad2d;
      return {{"batch", d.batch},
              {"channels", d.channels},
              {"in_size", {d.in_height, d.in_width}},
              {"mode", pad_mode_name(d.mode)},
              {"pad_top_bottom_left_right", {d.pad_top, d.pad_bottom, d.pad_left, d.pad_right}}};
    }
  }
  return {};
}

Json describe(const Contender &c, const LayerResult &layer, const Context &context) {
  const int threads = context.settings.timing.threads;
  Json result = {{"name", c.name},
                 {"role", role_name(c.role)},
                 {"chosen", c.chosen},
                 {"isa", evr_isa_name(c.isa)},
                 {"implementation", c.prepared.implementation},
                 {"check",
                  {{"outcome", outcome_name(c.check.outcome)},
                   {"largest_error_over_rms", c.check.largest_error},
                   {"relative_error", c.check.relative_error}}}};
  if (c.check.allowance > 1) result["check"]["times_the_tolerance"] = c.check.allowance;
  if (!c.check.detail.empty()) result["check"]["detail"] = c.check.detail;
  if (!c.note.empty()) result["note"] = c.note;
  result["workspace_bytes"] = c.prepared.workspace_bytes;
  result["packed_bytes"] = c.prepared.packed_bytes;
  if (!c.timed()) return result;
  result["reported_ns"] = c.timing.reported_ns;
  result["median_ns"] = c.timing.median_ns;
  result["lowest_ns"] = c.timing.lowest_ns;
  result["highest_ns"] = c.timing.highest_ns;
  result["round_ns"] = c.timing.round_ns;
  result[layer.flop > 0 ? "gflops" : "gigabytes_per_second"] = rate(layer, c);
  result[layer.flop > 0 ? "fraction_of_fma_peak" : "fraction_of_copy_speed"] =
      fraction_of_best(layer, c, context.machine, threads);
  if (c.role != Role::ours && c.name != "memcpy") {
    const double ratio = ratio_to_ours(layer, &c);
    if (ratio > 0) result["ours_is_faster_by"] = ratio;
  }
  return result;
}

Json describe(const std::vector<Skip> &skips) {
  Json list = Json::array();
  for (const Skip &skip : skips)
    list.push_back({{"name", skip.contender}, {"reason", skip.reason}});
  return list;
}

Json describe(const LayerResult &layer, const Context &context) {
  Json result = {{"name", layer.layer.name},
                 {"shape", shape_text(layer.layer)},
                 {"descriptor", describe(layer.layer)},
                 {"repeat", layer.layer.repeat},
                 {"flop", layer.flop},
                 {"bytes", layer.bytes},
                 {"contenders", Json::array()},
                 {"skipped", describe(layer.skipped)}};
  for (const Contender &c : layer.contenders)
    result["contenders"].push_back(describe(c, layer, context));
  if (const Contender *best = layer.best_peer()) {
    result["best_peer"] = best->name;
    const double ratio = ratio_to_ours(layer, best);
    if (ratio > 0) result["ours_is_faster_than_best_peer_by"] = ratio;
  }
  return result;
}

Json describe(const Choice &choice, const Context &context) {
  const bool peers = context.settings.comparison == Comparison::peers;
  Json worst = Json::array();
  for (const Worst &w : choice.worst)
    worst.push_back({{"layer", w.layer->layer.name},
                     {"chosen", w.layer->ours()->name},
                     {"fastest", w.other->name},
                     {"ours_is_faster_by", w.ratio}});
  return {{"against", peers ? "best peer" : "fastest variant"},
          {"layers", choice.ratios.size()},
          {"within_5_percent_of_fastest_on", choice.within(close_enough)},
          {"at_least_0.9_of_fastest_on", choice.within(tolerable)},
          {"worst", worst}};
}

Json describe(const SuiteResult &suite, const Context &context) {
  const Summary summary = summarize(suite, context.machine, context.settings.timing.threads);
  const bool operations = suite.suite.counts_operations();
  Json overall = Json::array(), against = Json::array(), layers = Json::array();
  for (const Overall &o : summary.overall)
    overall.push_back(
        {{"name", o.name},
         {"role", role_name(o.role)},
         {"layers", o.layers},
         {operations ? "geometric_mean_gflops" : "geometric_mean_gigabytes_per_second", o.rate},
         {operations ? "geometric_mean_fraction_of_fma_peak"
                     : "geometric_mean_fraction_of_copy_speed",
          o.fraction}});
  for (const Against &a : summary.against)
    against.push_back({{"name", a.name},
                       {"layers", a.layers},
                       {"ours_no_slower_on", a.faster},
                       {"ours_is_faster_by", a.ratio},
                       {"ours_is_faster_by_weighted_by_repeat", a.weighted},
                       {"its_total_ns_with_repeats", a.total_ns},
                       {"our_total_ns_with_repeats", a.ours_ns}});
  for (const LayerResult &layer : suite.layers) layers.push_back(describe(layer, context));
  return {{"name", suite.suite.name},
          {"note", suite.suite.note},
          {"operation", operation_name(suite.suite.operation)},
          {"company", company_text(suite.suite, context.settings)},
          {"all_results_right", !suite.mismatch},
          {"summary",
           {{"overall", overall},
            {"ours_against", against},
            {"choice", describe(summary.choice, context)}}},
          {"layers", layers}};
}

}  // namespace

std::string math_name(evr_math math) {
  return math == EVR_MATH_EXACT ? "exact" : math == EVR_MATH_FAST ? "fast" : "standard";
}

std::string layout_name(evr_layout layout) { return layout == EVR_NHWC ? "NHWC" : "NCHW"; }

std::string epilogue_name(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none: return "neither bias nor activation";
    case Epilogue::bias: return "bias";
    case Epilogue::bias_relu: return "bias and ReLU";
  }
  return "unknown";
}

std::string company_text(const Suite &suite, const RunSettings &settings) {
  if (suite.operation != Operation::conv2d && suite.operation != Operation::dense) return "";
  const Epilogue epilogue = settings.epilogue;
  switch (settings.direction) {
    case Direction::forward: return "each with " + epilogue_name(epilogue);
    case Direction::backward_data: return epilogue == Epilogue::bias_relu ? "each with ReLU" : "";
    case Direction::backward_weights:
      return epilogue == Epilogue::none ? "" : "each with " + epilogue_name(epilogue);
  }
  return "";
}

std::string comparison_name(Comparison comparison) {
  return comparison == Comparison::peers ? "peers" : "variants";
}

Json to_json(const Context &context, const std::vector<SuiteResult> &suites) {
  const Machine &m = context.machine;
  const RunSettings &s = context.settings;
  Json peers = Json::array(), fma = Json::array(), copy = Json::array();
  for (const auto &[name, version] : context.peers)
    peers.push_back({{"name", name}, {"version", version}});
  for (const FmaPeak &peak : m.fma)
    fma.push_back(
        {{"isa", evr_isa_name(peak.isa)}, {"threads", peak.threads}, {"gflops", peak.gflops}});
  for (const CopyPeak &peak : m.copy)
    copy.push_back({{"level", peak.level},
                    {"threads", peak.threads},
                    {"bytes", peak.bytes},
                    {"gigabytes_per_second", peak.gigabytes_per_second}});
  Json result = {{"format", "evrisim-bench 1"},
                 {"date", context.date},
                 {"command", context.command},
                 {"library", {{"version", evr_version()}, {"compiler", context.compiler}}},
                 {"machine",
                  {{"cpu", m.cpu.model},
                   {"vendor", m.cpu.vendor},
                   {"isa", evr_isa_name(m.cpu.isa)},
                   {"logical_cpus", m.cpu.logical_cpus},
                   {"l1d_bytes", m.cpu.l1d_bytes},
                   {"l2_bytes", m.cpu.l2_bytes},
                   {"l3_bytes", m.cpu.l3_bytes},
                   {"fma_peak", fma},
                   {"copy", copy}}},
                 {"settings",
                  {{"compare", comparison_name(s.comparison)},
                   {"direction", direction_name(s.direction)},
                   {"max_isa", evr_isa_name(m.isa)},
                   {"threads", s.timing.threads},
                   {"layout", layout_name(s.layout)},
                   {"math", math_name(s.plan.math)},
                   {"epilogue", epilogue_name(s.epilogue)},
                   {"variant", s.variant},
                   {"rounds", s.timing.rounds},
                   {"round_seconds", s.timing.round_seconds},
                   {"reported", s.timing.report_lowest ? "lowest" : "median"},
                   {"verified", s.verify},
                   {"tolerance",
                    {{"largest_error_over_rms", largest_error_allowed},
                     {"relative_error", relative_error_allowed}}},
                   {"seed", s.seed},
                   {"means_weighted_by_repeat", context.weighted}}},
                 {"peers", peers},
                 {"peers_skipped", describe(context.missing)},
                 {"suites", Json::array()}};
  for (const SuiteResult &suite : suites) result["suites"].push_back(describe(suite, context));
  return result;
}

std::string json_text(const Json &json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace evr_bench
