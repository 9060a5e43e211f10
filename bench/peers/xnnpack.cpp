// XNNPACK's operators, as its header describes them: created once (which packs the weights), set
// up once for the shapes and buffers, run many times on a pthreadpool; ReLU is the operator's own
// output range. It works on NHWC only.
#include <pthreadpool.h>
#include <xnnpack.h>

#include <limits>

#include "../complaint.h"
#include "peer.h"

namespace evr_bench {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

struct DeleteOperator {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
};
using Operator = std::unique_ptr<std::remove_pointer_t<xnn_operator_t>, DeleteOperator>;

struct DestroyPool {
  void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};

uint32_t small(int64_t value) {
  if (value < 0 || value > std::numeric_limits<uint32_t>::max())
    throw Complaint("XNNPACK's operators take no size of " + std::to_string(value) + ".");
  return static_cast<uint32_t>(value);
}

size_t count(int64_t value) { return static_cast<size_t>(value); }

std::string status_text(xnn_status status) {
  switch (status) {
    case xnn_status_unsupported_hardware: return "XNNPACK does not support this CPU";
    case xnn_status_unsupported_parameter: return "XNNPACK does not support these parameters";
    case xnn_status_invalid_parameter: return "XNNPACK finds these parameters invalid";
    case xnn_status_out_of_memory: return "XNNPACK is out of memory";
    default: return "XNNPACK fails with status " + std::to_string(static_cast<int>(status));
  }
}

class XnnPack final : public Peer {
 public:
  explicit XnnPack(const PeerSettings &settings)
      : settings_(settings), status_(xnn_initialize(nullptr)) {
    if (settings.threads > 1) pool_.reset(pthreadpool_create(count(settings.threads)));
  }

  std::string name() const override { return "XNNPACK"; }
  // The library states no version of its own; Debian's is a snapshot of the day in its package's.
  std::string version() const override { return EVR_BENCH_XNNPACK_VERSION; }

  std::string refusal() const override {
    if (settings_.direction != Direction::forward) return "it has no backward passes";
    if (status_ != xnn_status_success) return status_text(status_);
    // It has no tiles to do without.
    if (settings_.isa < settings_.machine_isa && settings_.isa < EVR_ISA_AVX512)
      return std::string("it cannot be limited to ") + evr_isa_name(settings_.isa) + " at run time";
    return "";
  }

  Prepared prepare(Workload &w) override {
    switch (w.layer.operation) {
      case Operation::conv2d: return convolution(w);
      case Operation::pool2d: return pooling(w);
      case Operation::activation: return activation(w);
      case Operation::softmax: return softmax(w);
      case Operation::dense: return dense(w);
      case Operation::pad2d: return padding(w);
    }
    return refuse("it has no such operation");
  }

 private:
  Prepared finish(xnn_operator_t op, std::string implementation, size_t packed_bytes) {
    std::shared_ptr<xnn_operator> owned(op, DeleteOperator());
    Prepared prepared;
    prepared.implementation = std::move(implementation);
    prepared.packed_bytes = packed_bytes;
    prepared.run = [owned, pool = pool_.get()] {
      const xnn_status status = xnn_run_operator(owned.get(), pool);
      if (status != xnn_status_success) throw Complaint(status_text(status) + ".");
    };
    return prepared;
  }

  Prepared convolution(Workload &w) {
    const evr_conv2d_desc &d = w.layer.conv2d;
    if (d.layout != EVR_NHWC) return refuse("its convolutions are NHWC only");
    if (d.pad_mode != EVR_PAD_ZERO) return refuse("it pads with zeros only");
    if (d.pool.kind != EVR_POOL_NONE) return refuse("it has no fused pooling");
    if (d.activation.kind != EVR_IDENTITY && d.activation.kind != EVR_RELU)
      return refuse("its convolutions fuse only a range");
    // Its weights are group, output, row, column, input; one input channel in each group is its
    // depthwise case, and stays in that order.
    const int64_t group_in = d.in_channels / d.groups;
    Buffer weights(w.weights.count());
    float *next = weights.data();
    for (int64_t o = 0; o < d.out_channels; o++)
      for (int64_t row = 0; row < d.kernel_height; row++)
        for (int64_t column = 0; column < d.kernel_width; column++)
          for (int64_t i = 0; i < group_in; i++) *next++ = w.weight(o, i, row, column);
    xnn_operator_t op = nullptr;
    xnn_status status = xnn_create_convolution2d_nhwc_f32(
        small(d.pad_top), small(d.pad_right), small(d.pad_bottom), small(d.pad_left),
        small(d.kernel_height), small(d.kernel_width), small(d.stride_height),
        small(d.stride_width), small(d.dilation_height), small(d.dilation_width), small(d.groups),
        count(group_in), count(d.out_channels / d.groups), count(d.in_channels),
        count(d.out_channels), weights.data(), w.has_bias ? w.bias.data() : nullptr,
        d.activation.kind == EVR_RELU ? 0.0f : -infinity, infinity, 0, &op);
    if (status != xnn_status_success) return refuse(status_text(status));
    Operator guard(op);
    status =
        xnn_setup_convolution2d_nhwc_f32(op, count(d.batch), count(d.in_height), count(d.in_width),
                                         w.x.data(), w.y.data(), pool_.get());
    if (status != xnn_status_success) return refuse(status_text(status));
    const bool depthwise = group_in == 1 && d.groups > 1;
    return finish(guard.release(), depthwise ? "depthwise or indirect GEMM" : "indirect GEMM",
                  static_cast<size_t>(w.weights.count() + d.out_channels) * sizeof(float));
  }

  Prepared pooling(Workload &w) {
    const evr_pool2d_desc &d = w.layer.pool2d;
    const evr_pool2d_window &window = d.window;
    if (d.layout != EVR_NHWC) return refuse("its pooling is NHWC only");
    if (window.kind == EVR_POOL_MIN) return refuse("it has no minimum pooling");
    if (window.ceil_mode && !window.global) return refuse("it has no ceil_mode");
    const bool average = window.kind == EVR_POOL_AVERAGE;
    const size_t channels = count(d.channels);
    xnn_operator_t op = nullptr;
    xnn_status status;
    if (window.global && average) {
      status = xnn_create_global_average_pooling_nwc_f32(channels, channels, channels, -infinity,
                                                         infinity, 0, &op);
      if (status != xnn_status_success) return refuse(status_text(status));
      Operator guard(op);
      status = xnn_setup_global_average_pooling_nwc_f32(
          op, count(d.batch), count(d.in_height * d.in_width), w.x.data(), w.y.data(), pool_.get());
      if (status != xnn_status_success) return refuse(status_text(status));
      return finish(guard.release(), "global average", 0);
    }
    const uint32_t kernel_height = small(window.global ? d.in_height : window.kernel_height);
    const uint32_t kernel_width = small(window.global ? d.in_width : window.kernel_width);
    const bool padded = window.pad_top || window.pad_right || window.pad_bottom || window.pad_left;
    if (average) {
      if (window.dilation_height != 1 || window.dilation_width != 1)
        return refuse("it has no average pooling with dilation");
      // Its average leaves padding out of the count.
      if (padded && window.count_include_pad) return refuse("its average never counts padding");
      status = xnn_create_average_pooling2d_nhwc_f32(
          small(window.pad_top), small(window.pad_right), small(window.pad_bottom),
          small(window.pad_left), kernel_height, kernel_width, small(window.stride_height),
          small(window.stride_width), channels, channels, channels, -infinity, infinity, 0, &op);
      if (status != xnn_status_success) return refuse(status_text(status));
      Operator guard(op);
      status = xnn_setup_average_pooling2d_nhwc_f32(op, count(d.batch), count(d.in_height),
                                                    count(d.in_width), w.x.data(), w.y.data(),
                                                    pool_.get());
      if (status != xnn_status_success) return refuse(status_text(status));
      return finish(guard.release(), "average", 0);
    }
    status = xnn_create_max_pooling2d_nhwc_f32(
        small(window.pad_top), small(window.pad_right), small(window.pad_bottom),
        small(window.pad_left), kernel_height, kernel_width, small(window.stride_height),
        small(window.stride_width), small(window.dilation_height), small(window.dilation_width),
        channels, channels, channels, -infinity, infinity, 0, &op);
    if (status != xnn_status_success) return refuse(status_text(status));
    Operator guard(op);
    status =
        xnn_setup_max_pooling2d_nhwc_f32(op, count(d.batch), count(d.in_height), count(d.in_width),
                                         w.x.data(), w.y.data(), pool_.get());
    if (status != xnn_status_success) return refuse(status_text(status));
    return finish(guard.release(), "max", 0);
  }

  Prepared activation(Workload &w) {
    const evr_activation_desc &d = w.layer.activation;
    // Rows of one element are its slow path; one long row of channels is the documented way to
    // run a contiguous vector.
    const size_t n = count(d.count);
    using Setup = xnn_status (*)(xnn_operator_t, size_t, const float *, float *, pthreadpool_t);
    xnn_operator_t op = nullptr;
    xnn_status status;
    Setup setup;
    switch (d.activation.kind) {
      case EVR_RELU:
        status = xnn_create_clamp_nc_f32(n, n, n, 0.0f, infinity, 0, &op);
        setup = xnn_setup_clamp_nc_f32;
        break;
      case EVR_RELU6:
        status = xnn_create_clamp_nc_f32(n, n, n, 0.0f, 6.0f, 0, &op);
        setup = xnn_setup_clamp_nc_f32;
        break;
      case EVR_LEAKY_RELU:
        status = xnn_create_leaky_relu_nc_f32(n, n, n, d.activation.alpha, 0, &op);
        setup = xnn_setup_leaky_relu_nc_f32;
        break;
      case EVR_ELU:
        status = xnn_create_elu_nc_f32(n, n, n, d.activation.alpha, 0, &op);
        setup = xnn_setup_elu_nc_f32;
        break;
      case EVR_SIGMOID:
        status = xnn_create_sigmoid_nc_f32(n, n, n, 0, &op);
        setup = xnn_setup_sigmoid_nc_f32;
        break;
      case EVR_HARD_SWISH:
        status = xnn_create_hardswish_nc_f32(n, n, n, 0, &op);
        setup = xnn_setup_hardswish_nc_f32;
        break;
      default: return refuse("it has no such function");
    }
    if (status != xnn_status_success) return refuse(status_text(status));
    Operator guard(op);
    status = setup(op, 1, w.x.data(), w.y.data(), pool_.get());
    if (status != xnn_status_success) return refuse(status_text(status));
    return finish(guard.release(), "elementwise", 0);
  }

  Prepared softmax(Workload &w) {
    const evr_softmax_desc &d = w.layer.softmax;
    if (d.layout == EVR_NCHW && d.height * d.width > 1) return refuse("its softmax is NHWC only");
    const size_t channels = count(d.channels);
    xnn_operator_t op = nullptr;
    xnn_status status = xnn_create_softmax_nc_f32(channels, channels, channels, 0, &op);
    if (status != xnn_status_success) return refuse(status_text(status));
    Operator guard(op);
    status = xnn_setup_softmax_nc_f32(op, count(d.batch * d.height * d.width), w.x.data(),
                                      w.y.data(), pool_.get());
    if (status != xnn_status_success) return refuse(status_text(status));
    return finish(guard.release(), "softmax", 0);
  }

  Prepared dense(Workload &w) {
    const evr_dense_desc &d = w.layer.dense;
    const size_t in = count(d.in_features), out = count(d.out_features);
    xnn_operator_t op = nullptr;
    xnn_status status = xnn_create_fully_connected_nc_f32(
        in, out, in, out, w.weights.data(), w.has_bias ? w.bias.data() : nullptr,
        d.activation.kind == EVR_RELU ? 0.0f : -infinity, infinity,
        d.weights_layout == EVR_IO ? XNN_FLAG_TRANSPOSE_WEIGHTS : 0, &op);
    if (status != xnn_status_success) return refuse(status_text(status));
    Operator guard(op);
    status =
        xnn_setup_fully_connected_nc_f32(op, count(d.batch), w.x.data(), w.y.data(), pool_.get());
    if (status != xnn_status_success) return refuse(status_text(status));
    return finish(guard.release(), "GEMM",
                  static_cast<size_t>(w.weights.count() + d.out_features) * sizeof(float));
  }

  Prepared padding(Workload &w) {
    const evr_pad2d_desc &d = w.layer.pad2d;
    if (d.mode != EVR_PAD_ZERO) return refuse("it pads with a constant only");
    const bool nhwc = d.layout == EVR_NHWC;
    const size_t rows = nhwc ? 1 : 2;  // where the two image dimensions stand among the four
    size_t shape[4] = {count(d.batch), 0, 0, 0}, before[4] = {}, after[4] = {};
    shape[nhwc ? 3 : 1] = count(d.channels);
    shape[rows] = count(d.in_height);
    shape[rows + 1] = count(d.in_width);
    before[rows] = count(d.pad_top);
    before[rows + 1] = count(d.pad_left);
    after[rows] = count(d.pad_bottom);
    after[rows + 1] = count(d.pad_right);
    const uint32_t zero = 0;
    xnn_operator_t op = nullptr;
    xnn_status status = xnn_create_constant_pad_nd_x32(&zero, 0, &op);
    if (status != xnn_status_success) return refuse(status_text(status));
    Operator guard(op);
    status = xnn_setup_constant_pad_nd_x32(op, 4, shape, before, after, w.x.data(), w.y.data(),
                                           pool_.get());
    if (status != xnn_status_success) return refuse(status_text(status));
    return finish(guard.release(), "constant pad", 0);
  }

  PeerSettings settings_;
  xnn_status status_;
  std::unique_ptr<std::remove_pointer_t<pthreadpool_t>, DestroyPool> pool_;
};

}  // namespace

std::unique_ptr<Peer> make_xnnpack(const PeerSettings &settings) {
  return std::make_unique<XnnPack>(settings);
}

}  // namespace evr_bench
