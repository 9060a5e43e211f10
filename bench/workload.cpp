#include "workload.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "complaint.h"

namespace evr_bench {

Buffer::Buffer(int64_t count) : count_(count) {
  constexpr size_t line = 64;
  const auto wanted = static_cast<size_t>(count);
  if (count < 0 || wanted > (std::numeric_limits<size_t>::max() - 2 * line) / sizeof(float))
    throw Complaint("a buffer of " + std::to_string(count) + " floats cannot be addressed.");
  const size_t bytes = (wanted * sizeof(float) + 2 * line - 1) / line * line;
  memory_.reset(static_cast<float *>(std::aligned_alloc(line, bytes)), std::free);
  if (!memory_) throw Complaint("no memory for a buffer of " + std::to_string(bytes) + " bytes.");
  std::memset(memory_.get(), 0, bytes);
}

void Buffer::fill(float value) { std::fill_n(data(), count_, value); }

void Buffer::fill_random(uint64_t seed) {
  // xorshift64* (Vigna, An experimental exploration of Marsaglia's xorshift generators, 2016):
  // the same numbers on every machine, and quick enough for 100 MB.
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (int64_t i = 0; i < count_; i++) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    const uint64_t bits = state * 0x2545F4914F6CDD1Du;
    data()[i] = static_cast<float>(static_cast<int32_t>(bits >> 40) - (1 << 23)) * 0x1p-23f;
  }
}

float Workload::weight(int64_t o, int64_t i, int64_t kernel_row, int64_t kernel_column) const {
  const evr_conv2d_desc &d = layer.conv2d;
  const int64_t group_in = d.in_channels / d.groups;
  const int64_t tap = kernel_row * d.kernel_width + kernel_column;
  const int64_t taps = d.kernel_height * d.kernel_width;
  return weights.data()[d.filter_layout == EVR_HWIO ? (tap * group_in + i) * d.out_channels + o
                                                    : (o * group_in + i) * taps + tap];
}

namespace {

// Sizes of a layer's tensors, in floats.
struct Counts {
  int64_t x = 0, weights = 0, bias = 0, y = 0;
};

// Gives the layer's descriptor its layout and epilogue, and counts.
Counts set_up(Workload &w, evr_layout layout, Epilogue epilogue) {
  const auto demand = [](evr_status status) {
    if (status != EVR_OK) throw Complaint(evr_last_error());
  };
  Counts counts;
  switch (w.layer.operation) {
    case Operation::conv2d: {
      evr_conv2d_desc &d = w.layer.conv2d;
      d.layout = layout;
      d.filter_layout = layout == EVR_NHWC ? EVR_HWIO : EVR_OIHW;
      d.activation.kind = epilogue == Epilogue::bias_relu ? EVR_RELU : EVR_IDENTITY;
      w.has_bias = epilogue != Epilogue::none;
      evr_conv2d_sizes sizes;
      demand(evr_conv2d_get_sizes(&d, &sizes));
      w.out_height = sizes.out_height;
      w.out_width = sizes.out_width;
      counts = {sizes.x_count, sizes.weights_count, w.has_bias ? sizes.bias_count : 0,
                sizes.y_count};
      w.flop = 2.0 * static_cast<double>(sizes.residual_count) *  // what the convolution gives
               static_cast<double>(sizes.weights_count / d.out_channels);
      break;
    }
    case Operation::pool2d: {
      evr_pool2d_desc &d = w.layer.pool2d;
      d.layout = layout;
      evr_pool2d_sizes sizes;
      demand(evr_pool2d_get_sizes(&d, &sizes));
      w.out_height = sizes.out_height;
      w.out_width = sizes.out_width;
      counts.x = sizes.x_count;
      counts.y = sizes.y_count;
      break;
    }
    case Operation::activation: counts.x = counts.y = w.layer.activation.count; break;
    case Operation::softmax: {
      evr_softmax_desc &d = w.layer.softmax;
      d.layout = layout;
      counts.x = counts.y = d.batch * d.channels * d.height * d.width;
      break;
    }
    case Operation::dense: {
      evr_dense_desc &d = w.layer.dense;
      d.weights_layout = layout == EVR_NHWC ? EVR_IO : EVR_OI;
      d.activation.kind = epilogue == Epilogue::bias_relu ? EVR_RELU : EVR_IDENTITY;
      w.has_bias = epilogue != Epilogue::none;
      counts = {d.batch * d.in_features, d.in_features * d.out_features,
                w.has_bias ? d.out_features : 0, d.batch * d.out_features};
      if (w.layer.counts_operations)
        w.flop = 2.0 * static_cast<double>(d.batch) * static_cast<double>(counts.weights);
      break;
    }
    case Operation::pad2d: {
      evr_pad2d_desc &d = w.layer.pad2d;
      d.layout = layout;
      evr_pad2d_sizes sizes;
      demand(evr_pad2d_get_sizes(&d, &sizes));
      counts.x = sizes.x_count;
      counts.y = sizes.y_count;
      break;
    }
  }
  return counts;
}

// The result of the forward pass, which the backward pass reads again.
void set_forward_result(Workload &w) {
  evr_status status = EVR_OK;
  switch (w.layer.operation) {
    case Operation::activation:
      status = evr_activate(&w.layer.activation, nullptr, w.x.data(), w.y.data());
      break;
    case Operation::softmax:
      status = evr_softmax(&w.layer.softmax, nullptr, w.x.data(), w.y.data());
      break;
    default:
      // Only where ReLU left something matters, and half of random numbers will do for that.
      for (int64_t i = 0; i < w.y.count(); i++) w.y.data()[i] = std::max(w.y.data()[i], 0.0f);
  }
  if (status != EVR_OK) throw Complaint(evr_last_error());
}

bool has_fused_activation(const Layer &layer) {
  return (layer.operation == Operation::conv2d && layer.conv2d.activation.kind != EVR_IDENTITY) ||
         (layer.operation == Operation::dense && layer.dense.activation.kind != EVR_IDENTITY);
}

// Clears the counts of what the direction does not touch, and gives that of all it does: x, y and
// the gradients have the sizes of x and y, and each is read or written once.
int64_t keep_touched(const Workload &w, Counts &counts) {
  const Counts all = counts;
  switch (w.direction) {
    case Direction::forward: return all.x + all.weights + all.bias + all.y;
    case Direction::backward_weights:
      counts.y = has_fused_activation(w.layer) ? all.y : 0;
      return all.x + all.y + all.weights + all.bias + counts.y;
    case Direction::backward_data: break;
  }
  const int64_t gradients = all.y + all.x;
  switch (w.layer.operation) {
    case Operation::conv2d:
    case Operation::dense:
      counts.x = 0;
      counts.y = has_fused_activation(w.layer) ? all.y : 0;
      return gradients + all.weights + counts.y;
    case Operation::pool2d:
      counts.y = 0;
      // The winners are indices of four bytes.
      return gradients + (w.layer.pool2d.window.kind == EVR_POOL_AVERAGE ? 0 : all.y);
    case Operation::activation:  // from x or from y
    case Operation::softmax: return gradients + all.y;
    case Operation::pad2d: counts.x = counts.y = 0; return gradients;
  }
  return gradients;
}

}  // namespace

Workload make_workload(const Layer &layer, Direction direction, evr_layout layout,
                       Epilogue epilogue, uint64_t seed) {
  Workload w;
  w.layer = layer;
  w.direction = direction;
  Counts counts = set_up(w, layout, epilogue);
  const Counts all = counts;
  w.bytes = static_cast<double>(sizeof(float)) * static_cast<double>(keep_touched(w, counts));
  w.x = Buffer(counts.x);
  w.y = Buffer(counts.y);
  w.x.fill_random(seed);
  if (layer.operation == Operation::activation || layer.operation == Operation::softmax) {
    // The functions of interest bend between -8 and 8.
    for (int64_t i = 0; i < w.x.count(); i++) w.x.data()[i] *= 8.0f;
  }
  if (direction != Direction::backward_weights) {
    w.weights = Buffer(all.weights);
    w.weights.fill_random(seed + 1);
  }
  if (direction == Direction::forward) {
    w.bias = Buffer(all.bias);
    w.bias.fill_random(seed + 2);
    w.results = {{"y", w.y}};
    return w;
  }
  w.y.fill_random(seed + 3);
  set_forward_result(w);
  w.dy = Buffer(all.y);
  w.dy.fill_random(seed + 4);
  if (direction == Direction::backward_data) {
    w.dx = Buffer(all.x);
    w.results = {{"dx", w.dx}};
  } else {
    const bool filter = layer.operation == Operation::conv2d;
    w.terms = all.y / (filter ? layer.conv2d.out_channels : layer.dense.out_features);
    w.dweights = Buffer(all.weights);
    w.results = {{"dweights", w.dweights}};
    if (w.has_bias) {
      w.dbias = Buffer(all.bias);
      w.results.push_back({"dbias", w.dbias});
    }
  }
  return w;
}

Halves halve(const Workload &whole) {
  Halves halves = {whole, whole};
  Workload &first = halves.convolution, &second = halves.pooling;
  first.layer.conv2d.pool.kind = EVR_POOL_NONE;
  evr_conv2d_sizes sizes;
  if (evr_conv2d_get_sizes(&first.layer.conv2d, &sizes) != EVR_OK)
    throw Complaint(evr_last_error());
  first.out_height = sizes.out_height;
  first.out_width = sizes.out_width;
  first.y = second.x = Buffer(sizes.y_count);
  const evr_conv2d_desc &d = whole.layer.conv2d;
  second.layer.operation = Operation::pool2d;
  second.layer.pool2d = {d.batch,         d.out_channels, sizes.out_height,
                         sizes.out_width, d.layout,       d.pool};
  return halves;
}

const char *outcome_name(Check::Outcome outcome) {
  switch (outcome) {
    case Check::Outcome::not_checked: return "not checked";
    case Check::Outcome::identical: return "identical";
    case Check::Outcome::within: return "within tolerance";
    case Check::Outcome::mismatch: return "MISMATCH";
  }
  return "unknown";
}

double allowance_for_peers(const Workload &w) {
  const double loss = 0x1p-24 * std::sqrt(static_cast<double>(w.terms));
  return std::max(1.0, loss / relative_error_allowed);
}

Check compare(const Result &result, const Buffer &expected, bool bit_for_bit, double allowance) {
  const Buffer &actual = result.values;
  Check check;
  const int64_t count = expected.count();
  if (std::memcmp(expected.data(), actual.data(), static_cast<size_t>(count) * sizeof(float)) ==
      0) {
    check.outcome = Check::Outcome::identical;
    return check;
  }
  check.allowance = allowance;
  double squares = 0, error_squares = 0, largest = -1;
  int64_t worst = 0, first = -1;
  for (int64_t i = 0; i < count; i++) {
    const double e = expected.data()[i], a = actual.data()[i];
    // A NaN that the reference does not have must not slip through a comparison.
    const double error =
        std::isnan(a - e) ? std::numeric_limits<double>::infinity() : std::fabs(a - e);
    squares += e * e;
    error_squares += error * error;
    if (error > largest) {
      largest = error;
      worst = i;
    }
    if (first < 0 && std::memcmp(expected.data() + i, actual.data() + i, sizeof(float)) != 0)
      first = i;
  }
  const double rms = std::sqrt(squares / static_cast<double>(count));
  check.largest_error = rms > 0 ? largest / rms : largest;
  check.relative_error = squares > 0 ? std::sqrt(error_squares / squares) : largest;
  const bool within = check.largest_error <= allowance * largest_error_allowed &&
                      check.relative_error <= allowance * relative_error_allowed;
  check.outcome = within && !bit_for_bit ? Check::Outcome::within : Check::Outcome::mismatch;
  if (check.outcome == Check::Outcome::mismatch) {
    const int64_t place = bit_for_bit ? first : worst;
    char text[160];
    std::snprintf(
        text, sizeof text, "%s[%lld] is %.9g where the reference has %.9g%s", result.name.c_str(),
        static_cast<long long>(place), static_cast<double>(actual.data()[place]),
        static_cast<double>(expected.data()[place]), bit_for_bit ? " (the bits must agree)" : "");
    check.detail = text;
  }
  return check;
}

Check combine(const Check &one, const Check &other) {
  Check both = one.outcome >= other.outcome ? one : other;
  both.largest_error = std::max(one.largest_error, other.largest_error);
  both.relative_error = std::max(one.relative_error, other.relative_error);
  both.allowance = std::max(one.allowance, other.allowance);
  return both;
}

}  // namespace evr_bench
