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

Workload make_workload(const Layer &layer, evr_layout layout, Epilogue epilogue, uint64_t seed) {
  Workload w;
  w.layer = layer;
  int64_t x_count = 0, weights_count = 0, bias_count = 0, y_count = 0;
  switch (layer.operation) {
    case Operation::conv2d: {
      evr_conv2d_desc &d = w.layer.conv2d;
      d.layout = layout;
      d.filter_layout = layout == EVR_NHWC ? EVR_HWIO : EVR_OIHW;
      d.activation.kind = epilogue == Epilogue::bias_relu ? EVR_RELU : EVR_IDENTITY;
      w.has_bias = epilogue != Epilogue::none;
      evr_conv2d_sizes sizes;
      if (evr_conv2d_get_sizes(&d, &sizes) != EVR_OK) throw Complaint(evr_last_error());
      w.out_height = sizes.out_height;
      w.out_width = sizes.out_width;
      x_count = sizes.x_count;
      weights_count = sizes.weights_count;
      bias_count = w.has_bias ? sizes.bias_count : 0;
      y_count = sizes.y_count;
      w.flop = 2.0 * static_cast<double>(sizes.residual_count) *  // what the convolution gives
               static_cast<double>(sizes.weights_count / d.out_channels);
      break;
    }
    case Operation::pool2d: {
      evr_pool2d_desc &d = w.layer.pool2d;
      d.layout = layout;
      evr_pool2d_sizes sizes;
      if (evr_pool2d_get_sizes(&d, &sizes) != EVR_OK) throw Complaint(evr_last_error());
      w.out_height = sizes.out_height;
      w.out_width = sizes.out_width;
      x_count = sizes.x_count;
      y_count = sizes.y_count;
      break;
    }
    case Operation::activation: x_count = y_count = layer.activation.count; break;
    case Operation::softmax: {
      evr_softmax_desc &d = w.layer.softmax;
      d.layout = layout;
      x_count = y_count = d.batch * d.channels * d.height * d.width;
      break;
    }
    case Operation::dense: {
      evr_dense_desc &d = w.layer.dense;
      d.weights_layout = layout == EVR_NHWC ? EVR_IO : EVR_OI;
      d.activation.kind = epilogue == Epilogue::bias_relu ? EVR_RELU : EVR_IDENTITY;
      w.has_bias = epilogue != Epilogue::none;
      x_count = d.batch * d.in_features;
      weights_count = d.in_features * d.out_features;
      bias_count = w.has_bias ? d.out_features : 0;
      y_count = d.batch * d.out_features;
      if (layer.counts_operations)
        w.flop = 2.0 * static_cast<double>(d.batch) * static_cast<double>(weights_count);
      break;
    }
    case Operation::pad2d: {
      evr_pad2d_desc &d = w.layer.pad2d;
      d.layout = layout;
      evr_pad2d_sizes sizes;
      if (evr_pad2d_get_sizes(&d, &sizes) != EVR_OK) throw Complaint(evr_last_error());
      x_count = sizes.x_count;
      y_count = sizes.y_count;
      break;
    }
  }
  w.x = Buffer(x_count);
  w.weights = Buffer(weights_count);
  w.bias = Buffer(bias_count);
  w.y = Buffer(y_count);
  w.x.fill_random(seed);
  w.weights.fill_random(seed + 1);
  w.bias.fill_random(seed + 2);
  if (layer.operation == Operation::activation || layer.operation == Operation::softmax) {
    // The functions of interest bend between -8 and 8.
    for (int64_t i = 0; i < x_count; i++) w.x.data()[i] *= 8.0f;
  }
  w.bytes = static_cast<double>(sizeof(float)) *
            (static_cast<double>(x_count) + static_cast<double>(weights_count) +
             static_cast<double>(bias_count) + static_cast<double>(y_count));
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

Check compare(const Buffer &expected, const Buffer &actual, bool bit_for_bit) {
  Check check;
  const int64_t count = expected.count();
  if (std::memcmp(expected.data(), actual.data(), static_cast<size_t>(count) * sizeof(float)) ==
      0) {
    check.outcome = Check::Outcome::identical;
    return check;
  }
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
  const bool within = check.largest_error <= largest_error_allowed &&
                      check.relative_error <= relative_error_allowed;
  check.outcome = within && !bit_for_bit ? Check::Outcome::within : Check::Outcome::mismatch;
  if (check.outcome == Check::Outcome::mismatch) {
    const int64_t place = bit_for_bit ? first : worst;
    char text[160];
    std::snprintf(text, sizeof text, "y[%lld] is %.9g where the reference has %.9g%s",
                  static_cast<long long>(place), static_cast<double>(actual.data()[place]),
                  static_cast<double>(expected.data()[place]),
                  bit_for_bit ? " (the bits must agree)" : "");
    check.detail = text;
  }
  return check;
}

}  // namespace evr_bench
