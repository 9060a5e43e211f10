#include <algorithm>

#include "onednn.h"

namespace evr_bench::onednn {
namespace {

constexpr auto f32 = memory::data_type::f32;

// Padding after the end that makes the output come out as rounded up.
int64_t extra(int64_t out, int64_t stride, int64_t kernel, int64_t dilation, int64_t in,
              int64_t before) {
  return std::max<int64_t>(0, (out - 1) * stride + (kernel - 1) * (dilation + 1) + 1 - in - before);
}

}  // namespace

Convolution describe_convolution(const Workload &w) {
  const evr_conv2d_desc &d = w.layer.conv2d;
  Convolution c;
  if (d.pad_mode != EVR_PAD_ZERO) {
    c.refusal = "it pads with zeros only";
    return c;
  }
  if (d.pool.kind != EVR_POOL_NONE) {
    c.refusal = "it has no fused pooling";
    return c;
  }
  if (d.activation.kind != EVR_IDENTITY && d.activation.kind != EVR_RELU) {
    c.refusal = "the harness fuses only ReLU into it";
    return c;
  }
  const tag plain = d.layout == EVR_NHWC ? tag::nhwc : tag::nchw;
  c.source = {{d.batch, d.in_channels, d.in_height, d.in_width}, f32, plain};
  c.target = {{d.batch, d.out_channels, w.out_height, w.out_width}, f32, plain};
  c.bias = {{d.out_channels}, f32, tag::x};
  memory::dims shape = {d.out_channels, d.in_channels, d.kernel_height, d.kernel_width};
  tag plain_weights = d.filter_layout == EVR_HWIO ? tag::hwio : tag::oihw;
  if (d.groups > 1) {
    shape = {d.groups, d.out_channels / d.groups, d.in_channels / d.groups, d.kernel_height,
             d.kernel_width};
    // HWIO with the groups inside O is oneDNN's h, w, i, g, o.
    plain_weights = d.filter_layout == EVR_HWIO ? tag::hwigo : tag::goihw;
  }
  c.plain_weights = {shape, f32, plain_weights};
  c.any_weights = any_order(c.plain_weights);
  c.strides = {d.stride_height, d.stride_width};
  c.dilations = {d.dilation_height - 1, d.dilation_width - 1};
  c.before = {d.pad_top, d.pad_left};
  c.after = {d.pad_bottom, d.pad_right};
  return c;
}

Pooling describe_pooling(const Workload &w) {
  const evr_pool2d_desc &d = w.layer.pool2d;
  const evr_pool2d_window &window = d.window;
  Pooling p;
  if (window.kind == EVR_POOL_MIN) {
    p.refusal = "it has no minimum pooling";
    return p;
  }
  const tag plain = d.layout == EVR_NHWC ? tag::nhwc : tag::nchw;
  p.source = {{d.batch, d.channels, d.in_height, d.in_width}, f32, plain};
  p.target = {{d.batch, d.channels, w.out_height, w.out_width}, f32, plain};
  p.kernel = {window.kernel_height, window.kernel_width};
  p.strides = {window.stride_height, window.stride_width};
  p.dilations = {window.dilation_height - 1, window.dilation_width - 1};
  p.before = {window.pad_top, window.pad_left};
  p.after = {window.pad_bottom, window.pad_right};
  if (window.global) {
    p.kernel = {d.in_height, d.in_width};
    p.strides = {1, 1};
    p.dilations = p.before = p.after = {0, 0};
  } else if (window.ceil_mode) {
    // What rounding up adds counts as padding here; only an average that counts the padding could
    // tell the difference.
    p.after = {
        extra(w.out_height, p.strides[0], p.kernel[0], p.dilations[0], d.in_height, p.before[0]),
        extra(w.out_width, p.strides[1], p.kernel[1], p.dilations[1], d.in_width, p.before[1])};
    if (window.kind == EVR_POOL_AVERAGE && window.count_include_pad)
      p.refusal = "it has no ceil_mode that leaves the added rows out of the count";
  }
  p.method = algorithm::pooling_max;
  if (window.kind == EVR_POOL_AVERAGE)
    p.method = window.count_include_pad ? algorithm::pooling_avg_include_padding
                                        : algorithm::pooling_avg_exclude_padding;
  return p;
}

Activation describe_activation(const evr_activation &activation) {
  Activation a;
  switch (activation.kind) {
    case EVR_RELU:
      a.method = algorithm::eltwise_relu;
      a.from_result = algorithm::eltwise_relu_use_dst_for_bwd;
      break;
    case EVR_LEAKY_RELU:
      a.method = algorithm::eltwise_relu;
      a.from_result = algorithm::eltwise_relu_use_dst_for_bwd;
      a.alpha = activation.alpha;
      break;
    case EVR_ELU:
      a.method = algorithm::eltwise_elu;
      a.from_result = algorithm::eltwise_elu_use_dst_for_bwd;
      a.alpha = activation.alpha;
      break;
    case EVR_SIGMOID:
      a.method = algorithm::eltwise_logistic;
      a.from_result = algorithm::eltwise_logistic_use_dst_for_bwd;
      break;
    case EVR_TANH:
      a.method = algorithm::eltwise_tanh;
      a.from_result = algorithm::eltwise_tanh_use_dst_for_bwd;
      break;
    case EVR_RELU6:
      // The second version differs in the derivative at 6 alone, where it is 0 as ours is.
      a.method = algorithm::eltwise_clip_v2;
      a.from_result = algorithm::eltwise_clip_v2_use_dst_for_bwd;
      a.beta = 6.0f;
      break;
    case EVR_HARD_SWISH: a.method = algorithm::eltwise_hardswish; break;
    case EVR_SILU:
      a.method = algorithm::eltwise_swish;
      a.alpha = 1.0f;
      break;
    case EVR_GELU: a.method = algorithm::eltwise_gelu_erf; break;
    case EVR_GELU_TANH: a.method = algorithm::eltwise_gelu_tanh; break;
    default: a.refusal = "it has no such function";
  }
  return a;
}

Dense describe_dense(const evr_dense_desc &d) {
  Dense dense;
  dense.source = {{d.batch, d.in_features}, f32, tag::nc};
  dense.target = {{d.batch, d.out_features}, f32, tag::nc};
  dense.bias = {{d.out_features}, f32, tag::x};
  dense.plain_weights = {
      {d.out_features, d.in_features}, f32, d.weights_layout == EVR_IO ? tag::io : tag::oi};
  dense.any_weights = any_order(dense.plain_weights);
  return dense;
}

memory::desc describe_softmax(const evr_softmax_desc &d) {
  if (d.height * d.width == 1) return {{d.batch, d.channels}, f32, tag::nc};
  return {
      {d.batch, d.channels, d.height, d.width}, f32, d.layout == EVR_NHWC ? tag::nhwc : tag::nchw};
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

memory::desc any_order(const memory::desc &plain) {
  return {plain.dims(), plain.data_type(), tag::any};
}

Program::Program(dnnl::engine with) : engine(std::move(with)) {}

memory Program::users(const memory::desc &desc, Buffer &buffer) const {
  return {desc, engine, buffer.data()};
}

memory Program::ordered(const memory &from, const memory::desc &wanted) const {
  if (from.get_desc() == wanted) return from;
  const memory to(wanted, engine);
  dnnl::stream stream(engine);
  dnnl::reorder(from, to).execute(stream, const_cast<memory &>(from), const_cast<memory &>(to));
  stream.wait();
  return to;
}

memory Program::collected(const memory &users, const memory::desc &wanted) {
  if (users.get_desc() == wanted) return users;
  collections_.emplace_back(memory(wanted, engine), users);
  return collections_.back().first;
}

void Program::add(const dnnl::primitive_desc &descriptor, Arguments arguments) {
  const memory scratchpad(descriptor.scratchpad_desc(), engine);
  arguments.insert({DNNL_ARG_SCRATCHPAD, scratchpad});
  prepared_.workspace_bytes += descriptor.scratchpad_desc().get_size();
  prepared_.implementation +=
      (steps_.empty() ? "" : ", ") + std::string(descriptor.impl_info_str());
  steps_.push_back({dnnl::primitive(descriptor), std::move(arguments)});
}

void Program::add_reorder(const memory &from, const memory &to) {
  if (from.get_desc() == to.get_desc()) return;
  prepared_.implementation += std::string(steps_.empty() ? "" : ", ") + "reorder";
  steps_.push_back({dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}});
}

Prepared Program::finish(size_t packed_bytes) && {
  prepared_.packed_bytes = packed_bytes;
  prepared_.run = [steps = std::move(steps_), stream = dnnl::stream(engine)] {
    for (const Step &step : steps) step.primitive.execute(stream, step.arguments);
    const_cast<dnnl::stream &>(stream).wait();
  };
  if (!collections_.empty()) {
    prepared_.collect = [collections = std::move(collections_), with = engine] {
      dnnl::stream stream(with);
      for (auto [from, to] : collections) dnnl::reorder(from, to).execute(stream, from, to);
      stream.wait();
    };
  }
  return std::move(prepared_);
}

}  // namespace evr_bench::onednn
