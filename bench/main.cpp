// evrisim-bench: times every variant of the layers of a suite, or the library's choice against
// other libraries. docs/benchmarking.md tells how to read what it prints.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "complaint.h"
#include "ours.h"
#include "report.h"

namespace evr_bench {
namespace {

struct Options {
  std::vector<std::string> suites;
  Comparison comparison = Comparison::variants;
  Direction direction = Direction::forward;
  evr_layout layout = EVR_NHWC;
  evr_math math = EVR_MATH_STANDARD;
  evr_isa max_isa = EVR_ISA_ANY;
  std::optional<Epilogue> epilogue;
  int threads = 1;
  std::string variant, filter, json, html;
  bool list = false, weighted = false, reference = false, no_verify = false, no_peaks = false,
       lowest = false, own_layout = false;
  int rounds = 7;
  double round_milliseconds = 10;
  uint64_t seed = 1;
  int random = 0;  // layers to draw; 0 for none
};

// A line on standard error that says what is going on, rewritten in place; nothing where standard
// error is not a terminal.
class StatusLine {
 public:
  void show(const std::string &text) {
    if (!terminal_) return;
    std::fprintf(stderr, "\r\033[K%s", text.substr(0, 78).c_str());
    std::fflush(stderr);
  }
  void clear() { show(""); }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
};

// One of these names. CLI11's own transformer takes the numbers behind them as well, and says what
// is wrong in terms of both.
template <typename Value>
CLI::Validator choice(std::map<std::string, Value> values) {
  return CLI::Validator(
      [values](std::string &text) {
        const auto found = values.find(CLI::detail::to_lower(text));
        if (found != values.end()) {
          text = std::to_string(static_cast<int>(found->second));
          return std::string();
        }
        std::string names;
        for (const auto &[name, value] : values) names += (names.empty() ? "" : ", ") + name;
        return "\"" + text + "\" is none of " + names;
      },
      "");
}

// A number from least to most. CLI11's own range lets NaN pass, and unsigned numbers wrap around.
template <typename Number>
CLI::Validator between(Number least, Number most) {
  return CLI::Validator(
      [least, most](const std::string &text) {
        Number value{};
        const char *last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, value);
        if (error == std::errc() && end == last && value >= least && value <= most)
          return std::string();
        std::ostringstream sentence;
        sentence << "\"" << text << "\" is no " << (std::is_integral_v<Number> ? "whole " : "")
                 << "number from " << least << " to " << most;
        return sentence.str();
      },
      "");
}

// Descriptions in lines that fit 80 columns.
class HelpFormatter : public CLI::Formatter {
 public:
  static constexpr int name_width = 24;
  HelpFormatter() { column_width(name_width); }
  std::string make_option_desc(const CLI::Option *option) const override {
    return fold(option->get_description(), 80 - name_width, 0);
  }
};

void declare(CLI::App &app, Options &o) {
  app.add_option("--suite", o.suites,
                 "Suite to run, by name or by the path of a CSV file; may be repeated (short)")
      ->type_name("NAME");
  app.add_option("--random", o.random,
                 "A suite of N convolutions that are drawn at random, with the seed of --seed")
      ->check(between(1, 100000))
      ->type_name("N");
  app.add_option("--compare", o.comparison,
                 "variants: every variant of every layer; peers: the variant that the library "
                 "chooses, against other libraries (variants)")
      ->transform(
          choice<Comparison>({{"variants", Comparison::variants}, {"peers", Comparison::peers}}))
      ->type_name("WHAT");
  app.add_option("--direction", o.direction,
                 "forward, backward-data (the gradient at a layer's input) or backward-weights (at "
                 "its weights and bias) (forward)")
      ->transform(choice<Direction>({{"forward", Direction::forward},
                                     {"backward-data", Direction::backward_data},
                                     {"backward-weights", Direction::backward_weights}}))
      ->type_name("WHICH");
  app.add_option("--layout", o.layout, "nhwc or nchw (nhwc)")
      ->transform(choice<evr_layout>({{"nhwc", EVR_NHWC}, {"nchw", EVR_NCHW}}))
      ->type_name("LAYOUT");
  app.add_option("--threads", o.threads, "Threads for every contender (1)")
      ->check(between(1, 1024))
      ->type_name("N");
  app.add_option("--math", o.math, "exact, standard or fast (standard)")
      ->transform(choice<evr_math>(
          {{"exact", EVR_MATH_EXACT}, {"standard", EVR_MATH_STANDARD}, {"fast", EVR_MATH_FAST}}))
      ->type_name("MODE");
  app.add_option("--max-isa", o.max_isa,
                 "Highest instruction set for every contender: scalar, neon, avx2, avx512, amx")
      ->transform(choice<evr_isa>({{"any", EVR_ISA_ANY},
                                   {"scalar", EVR_ISA_SCALAR},
                                   {"neon", EVR_ISA_NEON},
                                   {"avx2", EVR_ISA_AVX2},
                                   {"avx512", EVR_ISA_AVX512},
                                   {"amx", EVR_ISA_AMX}}))
      ->envname("EVR_MAX_ISA")
      ->type_name("ISA");
  app.add_option("--epilogue", o.epilogue,
                 "What follows each convolution, fused where it can be: none, bias, bias-relu "
                 "(bias-relu; backward bias)")
      ->transform(choice<Epilogue>(
          {{"none", Epilogue::none}, {"bias", Epilogue::bias}, {"bias-relu", Epilogue::bias_relu}}))
      ->type_name("WHAT");
  app.add_option("--variant", o.variant,
                 "With --compare peers: this variant instead of the library's choice")
      ->type_name("NAME");
  app.add_option("--filter", o.filter, "Only layers whose name this regular expression is found in")
      ->type_name("REGEX");
  app.add_option("--rounds", o.rounds, "Rounds for each contender; the median is reported (7)")
      ->check(between(1, 1000))
      ->type_name("N");
  app.add_option("--round-ms", o.round_milliseconds, "Least length of a round in ms (10)")
      ->check(between(0.01, 60000.0))
      ->type_name("MS");
  app.add_option("--seed", o.seed, "Of the inputs, and of the layers that --random draws (1)")
      ->check(between<uint64_t>(0, std::numeric_limits<uint64_t>::max()))
      ->type_name("N");
  app.add_flag("--reference", o.reference,
               "Time the reference in as many rounds as the others, however long that takes");
  app.add_flag("--no-verify", o.no_verify, "Do not check results against the reference");
  app.add_flag("--lowest", o.lowest,
               "Report each contender's quickest round instead of its median: for a busy machine");
  app.add_flag("--own-layout", o.own_layout,
               "With --compare peers: oneDNN also on tensors in a layout that it chooses");
  app.add_flag("--no-peaks", o.no_peaks,
               "Do not measure the machine's peaks; fractions of them are left out");
  app.add_flag("--weighted", o.weighted,
               "Geometric means of the table count a layer as often as its network repeats it");
  app.add_option("--json", o.json, "Write everything to this file")->type_name("FILE");
  app.add_option("--html", o.html, "Write one page with charts to this file")->type_name("FILE");
  app.add_flag("--list", o.list,
               "List the suites and the peers; with --suite or --random, their layers");
}

// The suites that were asked for, in that order, and then the random one.
std::vector<Suite> named_suites(const Options &o) {
  std::vector<Suite> suites;
  for (const std::string &name : o.suites) suites.push_back(read_suite(name));
  if (o.random > 0) suites.push_back(random_suite(o.random, o.seed));
  return suites;
}

void print_list(const Options &o) {
  const std::vector<Suite> suites = named_suites(o);
  if (!suites.empty()) {
    for (const Suite &suite : suites) {
      std::printf("%s: %zu %s layers\n", suite.name.c_str(), suite.layers.size(),
                  operation_name(suite.operation));
      for (const Layer &layer : suite.layers)
        std::printf("  %-24s %s\n", layer.name.c_str(), shape_text(layer).c_str());
    }
    return;
  }
  std::printf("Suites in %s:\n", EVR_BENCH_SUITES);
  for (const std::string &name : suite_names()) {
    const Suite suite = read_suite(name);
    std::printf("  %-16s %2zu %s layers\n", name.c_str(), suite.layers.size(),
                operation_name(suite.operation));
  }
  std::printf("Peers:\n");
  PeerSettings settings;
  settings.machine_isa = settings.isa = query_machine(EVR_ISA_ANY).isa;
  for (const auto &peer : make_peers(settings))
    std::printf("  %-16s %s\n", peer->name().c_str(), peer->version().c_str());
  for (const MissingPeer &peer : missing_peers())
    std::printf("  %-16s %s\n", peer.name.c_str(), peer.reason.c_str());
}

std::string utc_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

std::vector<Suite> read_suites(const Options &o) {
  std::regex filter;
  try {
    filter = std::regex(o.filter);
  } catch (const std::regex_error &error) {
    throw Complaint("--filter \"" + o.filter + "\" is not a regular expression: " + error.what() +
                    ".");
  }
  std::vector<Suite> suites = named_suites(o);
  if (suites.empty()) suites.push_back(read_suite("short"));
  for (Suite &suite : suites) {
    std::vector<Layer> kept;
    for (const Layer &layer : suite.layers) {
      if (std::regex_search(layer.name, filter)) kept.push_back(layer);
    }
    if (kept.empty())
      throw Complaint("no layer of suite " + suite.name + " matches --filter \"" + o.filter +
                      "\".");
    suite.layers = std::move(kept);
  }
  return suites;
}

void write_file(const std::string &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Complaint(path + " cannot be written.");
}

// Fails at once where a report could not be written, rather than after minutes of measuring.
void try_file(const std::string &path) {
  if (path.empty()) return;
  std::ofstream file(path, std::ios::app);
  if (!file) throw Complaint(path + " cannot be written.");
}

RunSettings run_settings(const Options &o) {
  RunSettings s;
  s.comparison = o.comparison;
  s.direction = o.direction;
  s.layout = o.layout;
  s.epilogue =
      o.epilogue.value_or(o.direction == Direction::forward ? Epilogue::bias_relu : Epilogue::bias);
  s.plan.math = o.math;
  s.plan.max_isa = o.max_isa;
  s.plan.num_threads = o.threads;
  s.variant = o.variant;
  s.verify = !o.no_verify;
  s.reference_rounds = o.reference;
  s.seed = o.seed;
  s.timing.rounds = o.rounds;
  s.timing.round_seconds = o.round_milliseconds * 1e-3;
  s.timing.threads = o.threads;
  s.timing.report_lowest = o.lowest;
  return s;
}

// Before minutes of measuring: a direction that a suite does not have.
void check_direction(const std::vector<Suite> &suites, Direction direction) {
  for (const Suite &suite : suites) {
    const std::string reason = no_such_direction(suite, direction);
    if (!reason.empty())
      throw Complaint("--direction " + std::string(direction_name(direction)) +
                      " does not go with suite " + suite.name + ": " + reason + ".");
  }
}

bool any_has_variant(const std::vector<Suite> &suites, Direction direction,
                     const std::string &name) {
  return std::any_of(suites.begin(), suites.end(), [&](const Suite &suite) {
    return no_such_direction(suite, direction).empty() &&
           has_variant(suite.layers.front(), direction, name);
  });
}

// A name that none of the suites' operations has: else every layer would be skipped with the same
// sentence.
void check_variant_name(const std::string &name, const std::vector<Suite> &suites,
                        Direction direction) {
  if (name.empty() || any_has_variant(suites, direction, name)) return;
  std::string others;
  for (Direction other :
       {Direction::forward, Direction::backward_data, Direction::backward_weights}) {
    if (any_has_variant(suites, other, name))
      others += (others.empty() ? "" : ", ") + std::string(direction_name(other));
  }
  if (others.empty()) throw Complaint("--variant \"" + name + "\" is the name of no variant.");
  throw Complaint("--variant \"" + name + "\" is no variant of --direction " +
                  direction_name(direction) + ", but of " + others + ".");
}

int run(const Options &o, const std::string &command) {
  if (!o.variant.empty() && o.comparison == Comparison::variants)
    throw Complaint("--variant goes with --compare peers; --compare variants times them all.");
  const std::vector<Suite> suites = read_suites(o);
  check_direction(suites, o.direction);
  check_variant_name(o.variant, suites, o.direction);
  try_file(o.json);
  try_file(o.html);

  StatusLine status;
  Context context;
  context.date = utc_date();
  context.compiler = EVR_BENCH_COMPILER;
  context.command = command;
  context.settings = run_settings(o);
  context.weighted = o.weighted;
  context.machine = query_machine(o.max_isa);

  std::vector<std::unique_ptr<Peer>> peers;
  if (o.comparison == Comparison::peers) {
    PeerSettings settings;
    settings.threads = o.threads;
    settings.own_layout = o.own_layout;
    settings.direction = o.direction;
    settings.isa = context.machine.isa;
    settings.machine_isa = context.machine.cpu.isa;
    for (auto &peer : make_peers(settings)) {
      const std::string refusal = peer->refusal();
      if (refusal.empty()) {
        context.peers.emplace_back(peer->name(), peer->version());
        peers.push_back(std::move(peer));
      } else {
        context.missing.push_back({peer->name(), refusal});
      }
    }
    for (const MissingPeer &peer : missing_peers())
      context.missing.push_back({peer.name, peer.reason});
  }
  if (!o.no_peaks) {
    status.show("measuring the machine's peaks");
    measure_peaks(context.machine, o.threads);
    status.clear();
  }
  if (o.threads > context.machine.cpu.logical_cpus)
    std::fprintf(stderr, "evrisim-bench: %d threads share %d CPUs, so the figures say little.\n",
                 o.threads, context.machine.cpu.logical_cpus);

  initialize_timing("evrisim-bench");
  Table table(std::cout, style_of_stdout(), context);
  table.begin();
  std::string place;
  Runner runner(context.settings, context.machine, std::move(peers),
                [&](const std::string &text) { status.show(place + text); });
  std::vector<SuiteResult> results;
  bool mismatch = false;
  for (const Suite &suite : suites) {
    SuiteResult result;
    result.suite = suite;
    table.begin_suite(suite);
    for (size_t i = 0; i < suite.layers.size(); i++) {
      place = "[" + std::to_string(i + 1) + "/" + std::to_string(suite.layers.size()) + "] ";
      if (!o.no_peaks) measure_fma_again(context.machine, o.threads);
      LayerResult layer = runner.run(suite.layers[i]);
      for (const Contender &c : layer.contenders)
        result.mismatch |= c.check.outcome == Check::Outcome::mismatch;
      status.clear();
      table.layer(layer);
      result.layers.push_back(std::move(layer));
    }
    table.end_suite(result);
    mismatch |= result.mismatch;
    results.push_back(std::move(result));
  }
  const nlohmann::ordered_json json = to_json(context, results);
  if (!o.json.empty()) write_file(o.json, json_text(json, 1) + "\n");
  if (!o.html.empty()) write_file(o.html, to_html(json));
  std::cout << "\n";
  if (o.no_verify)
    std::cout << "Results were not checked (--no-verify).\n";
  else if (mismatch)
    std::cout << "SOME RESULTS ARE WRONG: see MISMATCH above.\n";
  else
    std::cout << "Every result was checked against the reference before it was timed.\n";
  if (!o.json.empty()) std::cout << "Figures: " << o.json << "\n";
  if (!o.html.empty()) std::cout << "Page:    " << o.html << "\n";
  if (!std::cout.flush()) throw Complaint("standard output cannot be written.");
  return mismatch ? 1 : 0;
}

}  // namespace
}  // namespace evr_bench

int main(int argc, char **argv) {
  using namespace evr_bench;
  Options options;
  CLI::App app(
      "Times evrisim's kernels: every variant of every layer of a suite, or the variant\n"
      "that the library chooses against other libraries. Results are checked before\n"
      "they are timed.",
      "evrisim-bench");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", evr_version(), "Print the library's version and leave");
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0) return app.exit(error); /* help or version was asked for */
    std::fprintf(stderr, "evrisim-bench: %s (--help lists the options)\n", error.what());
    return 2;
  }
  try {
    limit_peers(options.max_isa, argv);
    if (options.list) {
      print_list(options);
      return 0;
    }
    std::string command;
    for (int i = 0; i < argc; i++)
      command += (i ? " " : "") + std::string(i ? argv[i] : "evrisim-bench");
    return run(options, command);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "evrisim-bench: %s\n", error.what());
    return 2;
  }
}
