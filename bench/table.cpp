#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <regex>
#include <sstream>

#include "report.h"

namespace evr_bench {
namespace {

constexpr const char *bold = "1";
constexpr const char *faint = "2";
constexpr const char *green = "32";
constexpr const char *red = "31";
constexpr const char *loud = "1;31";

// Columns that a string takes: its UTF-8 characters, none of which are wide here.
int width_of(const std::string &text) {
  int width = 0;
  for (char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

// Columns of the table of --compare peers, after the layer's name.
constexpr int variant_width = 16, time_width = 7, rate_width = 5, percent_width = 4;
constexpr int figures_width =
    1 + variant_width + 1 + time_width + 1 + rate_width + 1 + percent_width;
constexpr int extra_width = 9;  // lowest time and workspace, where there is room

// Of --compare variants: the longest name of a variant.
constexpr int whole_name_width = 24;

// Columns of the table of --compare variants where there are many layers, after the layer's name.
constexpr size_t many_layers = 40;
constexpr int choice_width = 18, choice_time_width = 8;

std::string fit(const std::string &text, int width) {
  if (width_of(text) <= width) return text;
  // Layers of one network differ at either end of their names, so the middle goes.
  const auto head = static_cast<size_t>((width - 1) / 2);
  const auto tail = static_cast<size_t>(width - 1) - head;
  return text.substr(0, head) + "~" + text.substr(text.size() - tail);
}

std::string left(const std::string &text, int width) {
  const int gap = width - width_of(text);
  return gap > 0 ? text + std::string(static_cast<size_t>(gap), ' ') : text;
}

std::string right(const std::string &text, int width) {
  const int gap = width - width_of(text);
  return gap > 0 ? std::string(static_cast<size_t>(gap), ' ') + text : text;
}

// "N" for each number that stands by itself, and so not for that of a name such as avx512.
std::string without_figures(const std::string &text) {
  static const std::regex figure("\\b[0-9]+(x[0-9]+)?\\b");
  return std::regex_replace(text, figure, "N");
}

}  // namespace

std::string fold(const std::string &text, int width, int indent) {
  std::string folded(static_cast<size_t>(indent), ' '), word;
  int column = indent;
  bool first = true;
  std::istringstream words(text);
  while (words >> word) {
    if (!first && column + 1 + width_of(word) > width) {
      folded += "\n" + std::string(static_cast<size_t>(2 * indent), ' ');
      column = 2 * indent;
      first = true;
    }
    folded += (first ? "" : " ") + word;
    column += (first ? 0 : 1) + width_of(word);
    first = false;
  }
  return folded;
}

namespace {

std::string number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// Four significant digits at most.
std::string rate_text(double value) {
  return value <= 0 ? "-" : number(value, value < 10 ? 2 : value < 1000 ? 1 : 0);
}

// "87%", and from ten times on "12x", so that it fits its column.
std::string percent(double fraction) {
  if (fraction <= 0) return "-";
  if (fraction < 9.995) return number(100 * fraction, 0) + "%";
  return fraction < 999.5 ? number(fraction, 0) + "x" : ">999x";
}

std::string bytes_text(size_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes == 0) return "0";
  if (value < 1024 * 1024) return number(value / 1024, value < 10240 ? 1 : 0) + "K";
  return number(value / (1024 * 1024), 1) + "M";
}

}  // namespace

TableStyle style_of_stdout() {
  TableStyle style;
  std::setlocale(LC_CTYPE, "");
  style.unicode = std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  style.color = terminal && !std::getenv("NO_COLOR");
  winsize size{};
  if (const char *columns = std::getenv("COLUMNS"))
    style.width = std::atoi(columns);
  else if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.width = size.ws_col;
  style.width = std::clamp(style.width, 80, 140);
  return style;
}

Table::Table(std::ostream &out, TableStyle style, const Context &context)
    : out_(out), style_(style), context_(context) {}

std::string Table::paint(const char *code, const std::string &text) const {
  return style_.color ? "\033[" + std::string(code) + "m" + text + "\033[0m" : text;
}

std::string Table::time_text(double nanoseconds) const {
  if (nanoseconds <= 0) return "-";
  double value = nanoseconds;
  const char *unit = "ns";
  if (nanoseconds >= 1e9)
    value *= 1e-9, unit = "s";
  else if (nanoseconds >= 1e6)
    value *= 1e-6, unit = "ms";
  else if (nanoseconds >= 1e3)
    value *= 1e-3, unit = style_.unicode ? "µs" : "us";
  return number(value, value < 10 ? 2 : value < 100 ? 1 : 0) + " " + unit;
}

std::string Table::ratio_cell(double ratio, int width) const {
  if (ratio <= 0) return right("-", width);
  const std::string size = number(ratio, ratio < 10 ? 2 : ratio < 100 ? 1 : 0) + "x";
  const std::string text = right(ratio < 10000 ? size : ">9999x", width);
  // Two per cent either way is the noise of a run, and gets no colour.
  return ratio >= 1.02 ? paint(green, text) : ratio < 0.98 ? paint(red, text) : text;
}

std::string Table::bar(double share, int width) const {
  if (width <= 0 || share <= 0) return "";
  const double length = std::min(share, 1.0) * width;
  const int full = static_cast<int>(length);
  std::string text;
  if (!style_.unicode) return std::string(static_cast<size_t>(std::max(full, 1)), '#');
  for (int i = 0; i < full; i++) text += "█";
  static const char *eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  text += eighths[static_cast<int>((length - full) * 8)];
  return text.empty() ? "▏" : text;
}

void Table::begin() {
  const Machine &m = context_.machine;
  const RunSettings &s = context_.settings;
  const int threads = s.timing.threads;
  const char *dot = style_.unicode ? " · " : ", ";
  out_ << paint(bold, std::string("evrisim ") + evr_version() + " benchmark") << dot
       << context_.date << "\n";
  out_ << (m.cpu.model[0] ? m.cpu.model : "unknown CPU") << dot << m.cpu.logical_cpus
       << (m.cpu.logical_cpus == 1 ? " CPU" : " CPUs") << dot << "up to " << evr_isa_name(m.isa);
  if (m.isa != m.cpu.isa) out_ << " (the machine has " << evr_isa_name(m.cpu.isa) << ")";
  out_ << "\n"
       << threads << (threads == 1 ? " thread" : " threads") << dot << layout_name(s.layout) << dot
       << math_name(s.plan.math) << " math" << dot
       << (s.direction == Direction::forward ? "" : direction_name(s.direction) + std::string(dot))
       << context_.compiler << "\n";
  if (s.comparison == Comparison::peers) {
    std::string line = "Peers       ";
    for (const auto &[name, version] : context_.peers) {
      const bool first = line.back() == ' ', last = name == context_.peers.back().first;
      const std::string text = name + " " + version + (last ? "" : ",");
      if (!first && width_of(line) + 1 + width_of(text) > style_.width) {
        out_ << line << "\n";
        line = "            " + text;
      } else {
        line += (first ? "" : " ") + text;
      }
    }
    out_ << line << (context_.peers.empty() ? "none" : "") << "\n";
    for (const Skip &skip : context_.missing)
      out_ << "            " << skip.contender << " skipped: " << skip.reason << "\n";
  }
  if (m.fma.empty()) return;
  out_ << "FMA peak    ";
  for (evr_isa isa : levels(m))
    out_ << evr_isa_name(isa) << " " << rate_text(m.fma_peak(isa, threads)) << "   ";
  out_ << "GFLOP/s\nCopy        ";
  for (const char *level : {"L1", "L2", "L3", "memory"}) {
    const double speed = m.copy_peak(level, threads);
    if (speed > 0) out_ << level << " " << rate_text(speed) << "   ";
  }
  out_ << "GB/s, read + written\n";
}

void Table::begin_suite(const Suite &suite) {
  convolutions_ = suite.operation == Operation::conv2d;
  operations_ = suite.counts_operations();
  const Direction direction = context_.settings.direction;
  const bool backward = direction != Direction::forward;
  const std::string company = company_text(suite, context_.settings);
  out_ << "\n"
       << paint(bold, suite.name) << "  " << suite.layers.size()
       << " " + std::string(operation_name(suite.operation)) +
              (suite.layers.size() == 1 ? " layer" : " layers")
       << (backward ? ", " + std::string(direction_name(direction)) : "")
       << (company.empty() ? "" : ", " + company) << "\n";
  if (!suite.note.empty()) out_ << paint(faint, suite.note) << "\n";
  columns_.clear();
  many_ = suite.layers.size() > many_layers;
  if (context_.settings.comparison == Comparison::peers)
    peers_heading(suite);
  else if (many_)
    short_variants_heading();
  out_.flush();
}

// Columns stand in 80 of the terminal's.
static std::string heading_of(const std::string &column) {
  if (column == yardstick_variant) return "im2col";
  return column == "oneDNN-reorder" ? "reorder" : column;
}

void Table::peers_heading(const Suite &suite) {
  const bool trio = std::any_of(suite.layers.begin(), suite.layers.end(), [](const Layer &layer) {
    return layer.conv2d.pool.kind != EVR_POOL_NONE;
  });
  const bool dense = suite.operation == Operation::dense;
  for (const auto &[name, version] : context_.peers) {
    if (name == "OpenBLAS"         ? dense || (convolutions_ && !trio)
        : name == "oneDNN-own"     ? convolutions_
        : name == "oneDNN-reorder" ? dense || convolutions_
                                   : true)
      columns_.push_back(name);
  }
  if (has_yardstick(suite.layers.front(), context_.settings.direction))
    columns_.push_back(yardstick_variant);
  if (trio) columns_.push_back("unfused");
  for (const Layer &layer : suite.layers)
    if (const char *name = unsaved_name(layer, context_.settings.direction)) {
      columns_.push_back(name);
      break;
    }
  int longest = 5;
  for (const Layer &layer : suite.layers) longest = std::max(longest, width_of(layer.name));
  const int wide = style_.width >= 100;
  name_width_ = std::min(longest, wide ? 26 : 13);
  out_ << left("", name_width_) << right("", figures_width + (wide ? 2 * extra_width : 0))
       << paint(faint, " ours is faster than it by") << "\n";
  std::string line = left("layer", name_width_) + " " + left("variant", variant_width) + " " +
                     right("time", time_width) + " " +
                     right(operations_ ? "GF/s" : "GB/s", rate_width) + " " +
                     right(operations_ ? "peak" : "copy", percent_width);
  if (wide) line += right("lowest", extra_width) + right("scratch", extra_width);
  for (const std::string &column : columns_) {
    const std::string name = heading_of(column);
    line += " " + right(name, std::max(6, width_of(name)));
  }
  out_ << paint(faint, line) << "\n";
}

void Table::layer(const LayerResult &layer) {
  if (context_.settings.comparison == Comparison::peers)
    peers_layer(layer);
  else if (many_)
    short_variants_layer(layer);
  else
    variants_layer(layer);
  for (const Contender &c : layer.contenders) {
    if (c.check.outcome == Check::Outcome::mismatch)
      out_ << paint(loud,
                    "  MISMATCH: " + c.name + " on " + layer.layer.name + ": " + c.check.detail)
           << "\n";
  }
  out_.flush();
}

// Whether the choice is of that family itself, which then has no time of its own.
static bool is_choice(const LayerResult &layer, const std::string &column) {
  return layer.ours() && !layer.find(column) && layer.ours()->name.rfind(column, 0) == 0;
}

void Table::peers_layer(const LayerResult &layer) {
  const Contender *ours = layer.ours();
  const int threads = context_.settings.timing.threads;
  out_ << left(fit(layer.layer.name, name_width_), name_width_) << " ";
  if (!ours) {
    out_ << paint(red, "skipped: see below") << "\n";
    return;
  }
  out_ << left(fit(ours->name, variant_width), variant_width) << " "
       << right(time_text(ours->timing.reported_ns), time_width) << " "
       << right(rate_text(rate(layer, *ours)), rate_width) << " "
       << right(percent(fraction_of_best(layer, *ours, context_.machine, threads)), percent_width);
  if (style_.width >= 100)
    out_ << right(time_text(ours->timing.lowest_ns), extra_width)
         << right(bytes_text(ours->prepared.workspace_bytes), extra_width);
  for (const std::string &column : columns_) {
    const Contender *other = layer.find(column);
    const int width = std::max(6, width_of(heading_of(column)));
    if (is_choice(layer, column))
      out_ << " " << right("=", width);
    else
      out_ << " " << ratio_cell(ratio_to_ours(layer, other), width);
  }
  out_ << "\n";
}

void Table::variants_layer(const LayerResult &layer) {
  const int threads = context_.settings.timing.threads;
  const std::string size = layer.flop > 0 ? rate_text(layer.flop * 1e-6) + " MFLOP"
                                          : rate_text(layer.bytes * 1e-6) + " MB moved";
  const std::string shape = "  " + shape_text(layer.layer);
  out_ << "\n" << paint(bold, layer.layer.name) << shape;
  if (width_of(layer.layer.name + shape + size) + 2 <= style_.width)
    out_ << "  " << paint(faint, size);
  out_ << "\n";
  const Contender *reference = layer.find("reference");
  double best = 0;
  for (const Contender &c : layer.contenders) best = std::max(best, rate(layer, c));
  for (const Contender &c : layer.contenders) {
    if (!c.timed()) continue;
    const double speedup =
        reference && &c != reference ? reference->timing.reported_ns / c.timing.reported_ns : 0;
    const double speed = rate(layer, c);
    std::string line = left(c.name, whole_name_width) + right(time_text(c.timing.reported_ns), 9) +
                       right(rate_text(speed), 8) + (operations_ ? " GF/s" : " GB/s") +
                       right(percent(fraction_of_best(layer, c, context_.machine, threads)), 6) +
                       right(speedup > 0 ? number(speedup, speedup < 10 ? 1 : 0) + "x" : "", 7) +
                       "  ";
    const int room = style_.width - 2 - width_of(line);
    std::string tail = bar(speed / best, c.note.empty() ? room : room / 2);
    if (!c.note.empty()) tail += " " + c.note;
    out_ << (c.chosen ? paint(green, style_.unicode ? "▸ " : "> ") : "  ") << line
         << (c.chosen ? paint(green, tail) : tail) << "\n";
  }
}

void Table::short_variants_heading() {
  const int room = style_.width - 2 * (1 + choice_width + choice_time_width) - 6;
  name_width_ = std::min(room, 30);
  out_ << paint(faint, left("layer", name_width_) + " " + left("chosen", choice_width) +
                           right("time", choice_time_width) + " " + left("fastest", choice_width) +
                           right("time", choice_time_width) + right("ratio", 6))
       << "\n";
}

void Table::short_variants_layer(const LayerResult &layer) {
  const Contender *ours = layer.ours(), *best = layer.best_variant();
  out_ << left(fit(layer.layer.name, name_width_), name_width_) << " ";
  if (!ours || !best) {
    out_ << paint(red, "not timed") << "\n";
    return;
  }
  const auto figures = [&](const Contender &c) {
    return left(fit(c.name, choice_width), choice_width) +
           right(time_text(c.timing.reported_ns), choice_time_width);
  };
  const std::string ratio = right(number(ratio_to_ours(layer, best), 2), 6);
  out_ << figures(*ours) << " "
       << (best == ours ? left("=", choice_width + choice_time_width) : figures(*best))
       << (ratio_to_ours(layer, best) * close_enough < 1.0 ? paint(red, ratio) : ratio) << "\n";
}

// Of a few layers the table above says it all.
void Table::worst(const Choice &choice) {
  if (choice.ratios.size() <= worst_layers) return;
  const bool peers = context_.settings.comparison == Comparison::peers;
  out_ << paint(bold, "The worst " + std::to_string(choice.worst.size()) + " of " +
                          std::to_string(choice.ratios.size()) + " layers") +
              (peers ? ", against the best peer" : ", against the fastest variant")
       << "\n";
  for (const Worst &w : choice.worst) {
    const Contender &ours = *w.layer->ours();
    std::string line = "  " + right(number(w.ratio, 2), 5) + "x  ";
    const std::string tail = "  " + left(fit(ours.name, choice_width), choice_width) +
                             right(time_text(ours.timing.reported_ns), choice_time_width) + "  " +
                             (w.other == &ours ? "itself" : w.other->name);
    const int room = style_.width - width_of(line) - 2 * (2 + choice_width) - choice_time_width;
    line += left(fit(w.layer->layer.name, room), std::min(room, 34)) + tail;
    out_ << fit(line, style_.width) << "\n";
  }
}

void Table::end_suite(const SuiteResult &suite) {
  const Summary summary = summarize(suite, context_.machine, context_.settings.timing.threads);
  if (context_.settings.comparison == Comparison::peers)
    peers_summary(suite, summary);
  else
    variants_summary(suite, summary);
  worst(summary.choice);
  skips(suite);
  noise(suite);
  out_.flush();
}

void Table::peers_summary(const SuiteResult &suite, const Summary &summary) {
  const Overall *ours = nullptr;
  for (const Overall &o : summary.overall) {
    if (o.role == Role::ours) ours = &o;
  }
  const int wide = style_.width >= 100;
  const auto find = [&](const std::string &name) -> const Against * {
    for (const Against &a : summary.against) {
      if (a.name == name) return &a;
    }
    return nullptr;
  };
  const int room = wide ? 2 * extra_width : 0;
  std::string line = left(context_.weighted ? "geometric mean, by repeat" : "geometric mean",
                          name_width_ + 1 + variant_width + 1 + time_width);
  line += " " + right(ours ? rate_text(ours->rate) : "-", rate_width) + " " +
          right(ours ? percent(ours->fraction) : "-", percent_width) + right("", room);
  std::string counts = left("ours is no slower on", name_width_ + figures_width + room);
  out_ << paint(bold, line);
  for (const std::string &column : columns_) {
    const Against *a = find(column);
    const int width = std::max(6, width_of(heading_of(column)));
    const bool same =
        !a && std::all_of(suite.layers.begin(), suite.layers.end(),
                          [&](const LayerResult &layer) { return is_choice(layer, column); });
    const std::string none = right(same ? "=" : "-", width);
    out_ << " " << (a ? ratio_cell(context_.weighted ? a->weighted : a->ratio, width) : none);
    counts += " " + (a ? right(std::to_string(a->faster) + "/" + std::to_string(a->layers), width)
                       : none);
  }
  out_ << "\n" << counts << "\n";
  if (const Against *best = find("best peer"); best && best->layers > 0) {
    out_ << "against the best peer of each layer: "
         << paint(bold, number(context_.weighted ? best->weighted : best->ratio, 2) + "x")
         << ", no slower on " << best->faster << " of " << best->layers << " layers,\n"
         << "at least 0.9 times as fast on " << summary.choice.within(tolerable) << "\n";
  }
}

void Table::variants_summary(const SuiteResult &suite, const Summary &summary) {
  out_ << "\n"
       << paint(bold, "Geometric means of " + suite.suite.name)
       << (context_.weighted ? ", each layer counted as often as it repeats" : "") << "\n";
  double best = 0;
  for (const Overall &o : summary.overall) best = std::max(best, o.rate);
  for (const Overall &o : summary.overall) {
    const std::string name = o.role == Role::ours ? "as chosen" : o.name;
    std::string line = left(name, whole_name_width) + right(std::to_string(o.layers), 5) +
                       (o.layers == 1 ? " layer " : " layers") + right(rate_text(o.rate), 8) +
                       (operations_ ? " GF/s" : " GB/s") + right(percent(o.fraction), 6) + "  ";
    out_ << "  " << line << bar(o.rate / best, style_.width - 2 - width_of(line)) << "\n";
  }
  for (const Against &a : summary.against) {
    if (a.name == "fastest variant")
      out_ << "The variant chosen was the fastest on " << a.faster << " of " << a.layers
           << " layers,\nwithin 5% of the fastest on " << summary.choice.within(close_enough)
           << "; it runs at " << percent(context_.weighted ? a.weighted : a.ratio)
           << " of the fastest's speed.\n";
  }
}

void Table::skips(const SuiteResult &suite) {
  // Variants that refuse the same layers for the same reason share an entry, and where there are
  // many layers, so do reasons that differ in their figures.
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> layers_of, names_of;
  for (const LayerResult &layer : suite.layers) {
    for (const Skip &skip : layer.skipped)
      layers_of[{many_ ? without_figures(skip.reason) : skip.reason, skip.contender}].push_back(
          layer.layer.name);
  }
  if (layers_of.empty()) return;
  for (const auto &[what, layers] : layers_of) {
    std::string where;
    if (layers.size() == suite.layers.size())
      where = "all layers";
    else if (layers.size() <= 2)
      where = layers[0] + (layers.size() == 2 ? ", " + layers[1] : "");
    else
      where = std::to_string(layers.size()) + " layers";
    names_of[{where, what.first}].push_back(what.second);
  }
  out_ << paint(faint, "Skipped:") << "\n";
  for (const auto &[what, names] : names_of) {
    std::string text = names[0];
    for (size_t i = 1; i < names.size(); i++) text += ", " + names[i];
    text += ": " + what.second + " (" + what.first + ")";
    out_ << paint(faint, fold(text, style_.width, 2)) << "\n";
  }
}

void Table::noise(const SuiteResult &suite) {
  int noisy = 0;
  for (const LayerResult &layer : suite.layers) {
    noisy += std::any_of(layer.contenders.begin(), layer.contenders.end(), [](const Contender &c) {
      return c.timing.median_ns > 1.2 * c.timing.lowest_ns;
    });
  }
  if (noisy > 0)
    out_ << paint(red, "On " + std::to_string(noisy) + " of " +
                           std::to_string(suite.layers.size()) +
                           " layers a median is over 20% above the quickest round:\n"
                           "the machine was busy, or its clock was not steady.")
         << "\n";
}

}  // namespace evr_bench
