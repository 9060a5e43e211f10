#include "suite.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "complaint.h"

namespace evr_bench {
namespace {

const std::vector<std::string> conv2d_columns = {
    "name",     "batch",    "groups", "in_c",  "in_h",  "in_w",  "out_c", "k_h",   "k_w",
    "stride_h", "stride_w", "dil_h",  "dil_w", "pad_t", "pad_b", "pad_l", "pad_r", "repeat"};
// A suite of convolutions may have these as well: square windows, and the same padding all around.
const std::vector<std::string> trio_columns = {"pool", "pool_k", "pool_stride", "pool_pad"};
const std::vector<std::string> pool2d_columns = {
    "name",   "batch", "channels", "in_h",     "in_w",      "kind",
    "k_h",    "k_w",   "stride_h", "stride_w", "dil_h",     "dil_w",
    "pad_t",  "pad_b", "pad_l",    "pad_r",    "ceil_mode", "count_include_pad",
    "global", "repeat"};
const std::vector<std::string> activation_columns = {"name", "activation", "alpha", "count",
                                                     "repeat"};

const std::vector<std::string> softmax_columns = {"name", "batch", "classes",
                                                  "in_h", "in_w",  "repeat"};
const std::vector<std::string> dense_columns = {"name", "batch", "in_features", "out_features",
                                                "repeat"};
const std::vector<std::string> pad2d_columns = {"name",  "batch", "channels", "in_h",
                                                "in_w",  "mode",  "pad_t",    "pad_b",
                                                "pad_l", "pad_r", "repeat"};

const std::map<std::string, evr_pad_mode> pad_modes = {
    {"zero", EVR_PAD_ZERO}, {"replicate", EVR_PAD_REPLICATE}, {"reflect", EVR_PAD_REFLECT}};

const std::map<std::string, evr_pool_kind> pool_kinds = {
    {"max", EVR_POOL_MAX}, {"average", EVR_POOL_AVERAGE}, {"min", EVR_POOL_MIN}};

const std::map<std::string, evr_activation_kind> activation_kinds = {
    {"identity", EVR_IDENTITY},
    {"relu", EVR_RELU},
    {"leaky_relu", EVR_LEAKY_RELU},
    {"elu", EVR_ELU},
    {"sigmoid", EVR_SIGMOID},
    {"tanh", EVR_TANH},
    {"scaled_tanh", EVR_SCALED_TANH},
    {"relu6", EVR_RELU6},
    {"hard_swish", EVR_HARD_SWISH},
    {"silu", EVR_SILU},
    {"gelu", EVR_GELU},
    {"gelu_tanh", EVR_GELU_TANH}};

template <typename Value>
std::string keys_of(const std::map<std::string, Value> &map) {
  std::string text;
  for (const auto &entry : map) text += (text.empty() ? "" : ", ") + entry.first;
  return text;
}

// Spreadsheets begin what they save as UTF-8 with it.
const std::string byte_order_mark = "\xEF\xBB\xBF";

std::vector<std::string> split(const std::string &line) {
  std::vector<std::string> cells(1);
  for (char c : line) {
    if (c == ',')
      cells.emplace_back();
    else
      cells.back() += c;
  }
  for (std::string &cell : cells) {
    const auto first = cell.find_first_not_of(" \t\r");
    const auto last = cell.find_last_not_of(" \t\r");
    cell = first == std::string::npos ? "" : cell.substr(first, last - first + 1);
  }
  return cells;
}

// As RFC 3629 has it: no longer forms than needed, no surrogates. JSON can hold nothing else.
bool is_utf8(const std::string &text) {
  static constexpr uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    const int more = first < 0x80                    ? 0
                     : first >= 0xC0 && first < 0xE0 ? 1
                     : first >= 0xE0 && first < 0xF0 ? 2
                     : first >= 0xF0 && first < 0xF8 ? 3
                                                     : -1;
    if (more < 0) return false;
    uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
    for (int k = 0; k < more; k++, i++) {
      if (i == text.size() || (text[i] & 0xC0) != 0x80) return false;
      code = code << 6 | (text[i] & 0x3F);
    }
    if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  }
  return true;
}

// One line of a suite, read by field name.
class Record {
 public:
  Record(std::string place, const std::vector<std::string> &header,
         const std::vector<std::string> &cells)
      : place_(std::move(place)) {
    for (size_t i = 0; i < header.size(); i++) cells_[header[i]] = cells[i];
  }

  [[noreturn]] void complain(const std::string &field, const std::string &what) const {
    throw Complaint(place_ + ", field " + field + ": " + what + ".");
  }

  bool has(const std::string &field) const { return cells_.count(field) > 0; }

  const std::string &text(const std::string &field) const {
    const std::string &cell = cells_.at(field);
    if (cell.empty()) complain(field, "it is empty");
    return cell;
  }

  int64_t integer(const std::string &field, int64_t lowest) const {
    const std::string &cell = text(field);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error == std::errc::result_out_of_range) complain(field, "\"" + cell + "\" is too large");
    if (error != std::errc() || end != cell.data() + cell.size())
      complain(field, "\"" + cell + "\" is not a whole number");
    if (value < lowest) complain(field, cell + " is below " + std::to_string(lowest));
    return value;
  }

  bool flag(const std::string &field) const {
    const std::string &cell = text(field);
    if (cell != "0" && cell != "1") complain(field, "\"" + cell + "\" is neither 0 nor 1");
    return cell == "1";
  }

  float real(const std::string &field) const {
    const std::string &cell = text(field);
    float value = 0.0f;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error == std::errc::result_out_of_range)
      complain(field, "\"" + cell + "\" is out of a float32's range");
    if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
      complain(field, "\"" + cell + "\" is not a number");
    return value;
  }

  template <typename Value>
  Value one_of(const std::string &field, const std::map<std::string, Value> &choices) const {
    const auto found = choices.find(text(field));
    if (found == choices.end())
      complain(field, "\"" + text(field) + "\" is not one of " + keys_of(choices));
    return found->second;
  }

  const std::string &place() const { return place_; }

 private:
  std::string place_;
  std::map<std::string, std::string> cells_;
};

void read_conv2d(const Record &record, evr_conv2d_desc &desc) {
  desc.batch = record.integer("batch", 1);
  desc.groups = record.integer("groups", 1);
  desc.in_channels = record.integer("in_c", 1);
  desc.in_height = record.integer("in_h", 1);
  desc.in_width = record.integer("in_w", 1);
  desc.out_channels = record.integer("out_c", 1);
  desc.kernel_height = record.integer("k_h", 1);
  desc.kernel_width = record.integer("k_w", 1);
  desc.stride_height = record.integer("stride_h", 1);
  desc.stride_width = record.integer("stride_w", 1);
  desc.dilation_height = record.integer("dil_h", 1);
  desc.dilation_width = record.integer("dil_w", 1);
  desc.pad_top = record.integer("pad_t", 0);
  desc.pad_bottom = record.integer("pad_b", 0);
  desc.pad_left = record.integer("pad_l", 0);
  desc.pad_right = record.integer("pad_r", 0);
  if (record.has("pool")) {
    evr_pool2d_window &pool = desc.pool;
    pool.kind = record.one_of("pool", pool_kinds);
    pool.kernel_height = pool.kernel_width = record.integer("pool_k", 1);
    pool.stride_height = pool.stride_width = record.integer("pool_stride", 1);
    pool.pad_top = pool.pad_bottom = pool.pad_left = pool.pad_right = record.integer("pool_pad", 0);
  }
  evr_conv2d_sizes sizes;
  if (evr_conv2d_get_sizes(&desc, &sizes) != EVR_OK)
    throw Complaint(record.place() + ": " + evr_last_error());
}

void read_pool2d(const Record &record, evr_pool2d_desc &desc) {
  desc.batch = record.integer("batch", 1);
  desc.channels = record.integer("channels", 1);
  desc.in_height = record.integer("in_h", 1);
  desc.in_width = record.integer("in_w", 1);
  desc.window.kind = record.one_of("kind", pool_kinds);
  desc.window.kernel_height = record.integer("k_h", 1);
  desc.window.kernel_width = record.integer("k_w", 1);
  desc.window.stride_height = record.integer("stride_h", 1);
  desc.window.stride_width = record.integer("stride_w", 1);
  desc.window.dilation_height = record.integer("dil_h", 1);
  desc.window.dilation_width = record.integer("dil_w", 1);
  desc.window.pad_top = record.integer("pad_t", 0);
  desc.window.pad_bottom = record.integer("pad_b", 0);
  desc.window.pad_left = record.integer("pad_l", 0);
  desc.window.pad_right = record.integer("pad_r", 0);
  desc.window.ceil_mode = record.flag("ceil_mode");
  desc.window.count_include_pad = record.flag("count_include_pad");
  desc.window.global = record.flag("global");
  evr_pool2d_sizes sizes;
  if (evr_pool2d_get_sizes(&desc, &sizes) != EVR_OK)
    throw Complaint(record.place() + ": " + evr_last_error());
}

void read_activation(const Record &record, evr_activation_desc &desc) {
  desc.activation.kind = record.one_of("activation", activation_kinds);
  desc.activation.alpha = record.real("alpha");
  desc.count = record.integer("count", 1);
}

void read_softmax(const Record &record, evr_softmax_desc &desc) {
  desc.batch = record.integer("batch", 1);
  desc.channels = record.integer("classes", 1);
  desc.height = record.integer("in_h", 1);
  desc.width = record.integer("in_w", 1);
}

void read_dense(const Record &record, evr_dense_desc &desc) {
  desc.batch = record.integer("batch", 1);
  desc.in_features = record.integer("in_features", 1);
  desc.out_features = record.integer("out_features", 1);
}

void read_pad2d(const Record &record, evr_pad2d_desc &desc) {
  desc.batch = record.integer("batch", 1);
  desc.channels = record.integer("channels", 1);
  desc.in_height = record.integer("in_h", 1);
  desc.in_width = record.integer("in_w", 1);
  desc.mode = record.one_of("mode", pad_modes);
  desc.pad_top = record.integer("pad_t", 0);
  desc.pad_bottom = record.integer("pad_b", 0);
  desc.pad_left = record.integer("pad_l", 0);
  desc.pad_right = record.integer("pad_r", 0);
  evr_pad2d_sizes sizes;
  if (evr_pad2d_get_sizes(&desc, &sizes) != EVR_OK)
    throw Complaint(record.place() + ": " + evr_last_error());
}

Operation operation_of(const std::string &path, const std::vector<std::string> &header) {
  // The column that only one kind of suite has tells which kind is meant.
  const auto has = [&](const char *column) {
    return std::find(header.begin(), header.end(), column) != header.end();
  };
  Operation operation;
  std::vector<std::string> wanted;
  if (has("activation")) {
    operation = Operation::activation;
    wanted = activation_columns;
  } else if (has("kind")) {
    operation = Operation::pool2d;
    wanted = pool2d_columns;
  } else if (has("out_c")) {
    operation = Operation::conv2d;
    wanted = conv2d_columns;
    if (has("pool")) wanted.insert(wanted.end(), trio_columns.begin(), trio_columns.end());
  } else if (has("classes")) {
    operation = Operation::softmax;
    wanted = softmax_columns;
  } else if (has("in_features")) {
    operation = Operation::dense;
    wanted = dense_columns;
  } else if (has("mode")) {
    operation = Operation::pad2d;
    wanted = pad2d_columns;
  } else {
    throw Complaint(path +
                    ", line 1: the header names none of the fields out_c (a convolution "
                    "suite), kind (pooling), activation, classes (softmax), in_features (dense) "
                    "and mode (padding), so it is no suite.");
  }
  std::set<std::string> seen;
  for (const std::string &column : header) {
    if (std::find(wanted.begin(), wanted.end(), column) == wanted.end())
      throw Complaint(path + ", line 1, field " + column + ": a suite of " +
                      operation_name(operation) + " layers has no such column.");
    if (!seen.insert(column).second)
      throw Complaint(path + ", line 1, field " + column + ": the column stands there twice.");
  }
  for (const std::string &column : wanted) {
    if (!seen.count(column))
      throw Complaint(path + ", line 1, field " + column + ": the column is missing.");
  }
  return operation;
}

std::string find_suite(const std::string &name) {
  const bool is_path = name.find('/') != std::string::npos ||
                       (name.size() > 4 && name.compare(name.size() - 4, 4, ".csv") == 0);
  if (is_path) return name;
  std::string known;
  for (const std::string &candidate : suite_names()) {
    if (candidate == name) return std::string(EVR_BENCH_SUITES) + "/" + name + ".csv";
    known += (known.empty() ? "" : ", ") + candidate;
  }
  throw Complaint("there is no suite \"" + name + "\"; known: " +
                  (known.empty() ? "none (" EVR_BENCH_SUITES " cannot be read)" : known) +
                  ", or give the path of a CSV file.");
}

std::string size_text(int64_t height, int64_t width) {
  return std::to_string(height) + "x" + std::to_string(width);
}

std::string step_text(const char *word, int64_t height, int64_t width) {
  if (height == 1 && width == 1) return "";
  return std::string(" ") + word + " " +
         (height == width ? std::to_string(height) : size_text(height, width));
}

std::string window_text(const evr_pool2d_window &window) {
  std::string text;
  for (const auto &entry : pool_kinds) {
    if (entry.second == window.kind) text = entry.first;
  }
  if (window.global) return text + " global";
  return text + " " + size_text(window.kernel_height, window.kernel_width) +
         step_text("stride", window.stride_height, window.stride_width);
}

}  // namespace

const char *operation_name(Operation operation) {
  switch (operation) {
    case Operation::conv2d: return "convolution";
    case Operation::pool2d: return "pooling";
    case Operation::activation: return "activation";
    case Operation::softmax: return "softmax";
    case Operation::dense: return "dense";
    case Operation::pad2d: return "padding";
  }
  return "unknown";
}

const char *activation_name(evr_activation_kind kind) {
  for (const auto &entry : activation_kinds) {
    if (entry.second == kind) return entry.first.c_str();
  }
  return "unknown";
}

const char *pad_mode_name(evr_pad_mode mode) {
  for (const auto &entry : pad_modes) {
    if (entry.second == mode) return entry.first.c_str();
  }
  return "unknown";
}

bool Suite::counts_operations() const {
  if (operation == Operation::conv2d) return true;
  return operation == Operation::dense &&
         std::any_of(layers.begin(), layers.end(),
                     [](const Layer &layer) { return layer.dense.batch > 1; });
}

std::vector<std::string> suite_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(EVR_BENCH_SUITES, error)) {
    if (entry.path().extension() == ".csv") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Suite read_suite(const std::string &name_or_path) {
  Suite suite;
  suite.path = find_suite(name_or_path);
  suite.name = std::filesystem::path(suite.path).stem().string();
  std::ifstream file(suite.path);
  if (!file || std::filesystem::is_directory(suite.path))
    throw Complaint(suite.path + " cannot be read as a suite.");

  std::string line;
  std::vector<std::string> header;
  std::set<std::string> names;
  for (int number = 1; std::getline(file, line); number++) {
    const std::string place = suite.path + ", line " + std::to_string(number);
    if (!is_utf8(line)) throw Complaint(place + ": it is not UTF-8.");
    if (number == 1 && line.rfind(byte_order_mark, 0) == 0) line.erase(0, byte_order_mark.size());
    const std::vector<std::string> cells = split(line);
    if (number == 1) {
      header = cells;
      suite.operation = operation_of(suite.path, header);
      continue;
    }
    if (cells.size() == 1 && cells[0].empty()) continue;  // a blank line
    if (cells.size() < header.size())
      throw Complaint(place + ", field " + header[cells.size()] + ": it is missing (" +
                      std::to_string(cells.size()) + " fields of " + std::to_string(header.size()) +
                      ").");
    if (cells.size() > header.size())
      throw Complaint(place + ": " + std::to_string(cells.size()) +
                      " fields, and the header names " + std::to_string(header.size()) +
                      "; the first too many is \"" + cells[header.size()] + "\".");
    const Record record(place, header, cells);
    Layer layer;
    layer.name = record.text("name");
    layer.operation = suite.operation;
    layer.repeat = record.integer("repeat", 1);
    if (!names.insert(layer.name).second)
      record.complain("name", "\"" + layer.name + "\" is used twice");
    switch (suite.operation) {
      case Operation::conv2d: read_conv2d(record, layer.conv2d); break;
      case Operation::pool2d: read_pool2d(record, layer.pool2d); break;
      case Operation::activation: read_activation(record, layer.activation); break;
      case Operation::softmax: read_softmax(record, layer.softmax); break;
      case Operation::dense: read_dense(record, layer.dense); break;
      case Operation::pad2d: read_pad2d(record, layer.pad2d); break;
    }
    suite.layers.push_back(layer);
  }
  if (suite.layers.empty()) throw Complaint(suite.path + " holds no layers.");
  for (Layer &layer : suite.layers) layer.counts_operations = suite.counts_operations();
  return suite;
}

std::string shape_text(const Layer &layer) {
  switch (layer.operation) {
    case Operation::conv2d: {
      const evr_conv2d_desc &d = layer.conv2d;
      evr_conv2d_sizes sizes;
      if (evr_conv2d_get_sizes(&d, &sizes) != EVR_OK) return "";
      std::string text = d.batch > 1 ? std::to_string(d.batch) + "x" : "";
      text += std::to_string(d.in_channels) + "x" + size_text(d.in_height, d.in_width) + " -> " +
              std::to_string(d.out_channels) + "x" + size_text(sizes.out_height, sizes.out_width) +
              ", " + size_text(d.kernel_height, d.kernel_width) +
              step_text("stride", d.stride_height, d.stride_width) +
              step_text("dilation", d.dilation_height, d.dilation_width);
      if (d.groups > 1)
        text +=
            d.groups == d.in_channels ? ", depthwise" : ", " + std::to_string(d.groups) + " groups";
      return d.pool.kind != EVR_POOL_NONE ? text + ", " + window_text(d.pool) : text;
    }
    case Operation::pool2d: {
      const evr_pool2d_desc &d = layer.pool2d;
      evr_pool2d_sizes sizes;
      if (evr_pool2d_get_sizes(&d, &sizes) != EVR_OK) return "";
      std::string text = d.batch > 1 ? std::to_string(d.batch) + "x" : "";
      text += std::to_string(d.channels) + "x" + size_text(d.in_height, d.in_width) + " -> " +
              size_text(sizes.out_height, sizes.out_width) + ", ";
      return text + window_text(d.window);
    }
    case Operation::activation:
      return std::string(activation_name(layer.activation.activation.kind)) + " of " +
             std::to_string(layer.activation.count) + " values";
    case Operation::softmax: {
      const evr_softmax_desc &d = layer.softmax;
      std::string text = d.batch > 1 ? std::to_string(d.batch) + "x" : "";
      text += std::to_string(d.channels);
      return d.height * d.width > 1 ? text + "x" + size_text(d.height, d.width) : text;
    }
    case Operation::dense: {
      const evr_dense_desc &d = layer.dense;
      const std::string text = d.batch > 1 ? std::to_string(d.batch) + "x" : "";
      return text + std::to_string(d.in_features) + " -> " + std::to_string(d.out_features);
    }
    case Operation::pad2d: {
      const evr_pad2d_desc &d = layer.pad2d;
      evr_pad2d_sizes sizes;
      if (evr_pad2d_get_sizes(&d, &sizes) != EVR_OK) return "";
      return (d.batch > 1 ? std::to_string(d.batch) + "x" : "") + std::to_string(d.channels) + "x" +
             size_text(d.in_height, d.in_width) + " -> " +
             size_text(sizes.out_height, sizes.out_width) + ", " + pad_mode_name(d.mode);
    }
  }
  return "";
}

}  // namespace evr_bench
