// The results as a table in the terminal, as JSON, and as a page.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "runner.h"
#include "summary.h"

namespace evr_bench {

// What the results were made with, gathered once.
struct Context {
  std::string date;      // UTC, as ISO 8601 has it
  std::string compiler;  // of the library
  std::string command;   // as it was typed
  Machine machine;
  RunSettings settings;
  bool weighted = false;  // the table's means count a layer as often as it repeats
  std::vector<std::pair<std::string, std::string>> peers;  // name and version
  std::vector<Skip> missing;                               // peers that cannot run at all
};

// Lines of at most that width, where words allow it; all but the first are indented twice.
std::string fold(const std::string &text, int width, int indent);

struct TableStyle {
  int width = 80;  // columns of the terminal
  bool color = false;
  bool unicode = true;  // bars and the micro sign
};

// What the output stream is, from the terminal and the environment (COLUMNS, NO_COLOR, locale).
TableStyle style_of_stdout();

// Prints as the run goes on: the context, then each suite's layers as they are done.
class Table {
 public:
  Table(std::ostream &out, TableStyle style, const Context &context);
  void begin();
  void begin_suite(const Suite &suite);
  void layer(const LayerResult &layer);
  void end_suite(const SuiteResult &suite);

 private:
  void variants_layer(const LayerResult &layer);
  void peers_layer(const LayerResult &layer);
  void peers_heading(const Suite &suite);
  void variants_summary(const SuiteResult &suite, const Summary &summary);
  void peers_summary(const SuiteResult &suite, const Summary &summary);
  void skips(const SuiteResult &suite);
  void noise(const SuiteResult &suite);
  void short_variants_layer(const LayerResult &layer);
  void short_variants_heading();
  void worst(const Choice &choice);
  std::string paint(const char *code, const std::string &text) const;
  std::string time_text(double nanoseconds) const;
  std::string ratio_cell(double ratio, int width) const;
  std::string bar(double share, int width) const;

  std::ostream &out_;
  TableStyle style_;
  const Context &context_;
  std::vector<std::string> columns_;              // of ratios: peers, then our own im2col
  bool convolutions_ = true, operations_ = true;  // what the suite at hand is of, and counts
  bool many_ = false;                             // more layers than one wants a chart of, each
  int name_width_ = 14;
};

nlohmann::ordered_json to_json(const Context &context, const std::vector<SuiteResult> &suites);

// As text, indented by so many spaces; -1 puts all on one line. The command line and paths need not
// be UTF-8: what is not becomes U+FFFD.
std::string json_text(const nlohmann::ordered_json &json, int indent);

// The page: bench/report.html with the JSON in its place.
std::string to_html(const nlohmann::ordered_json &results);

std::string math_name(evr_math math);
std::string layout_name(evr_layout layout);
std::string epilogue_name(Epilogue epilogue);
// What goes with each layer of a suite, as a clause: "each with bias and ReLU"; "" for nothing.
std::string company_text(const Suite &suite, const RunSettings &settings);
std::string comparison_name(Comparison comparison);

}  // namespace evr_bench
