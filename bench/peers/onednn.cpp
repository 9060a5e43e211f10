// oneDNN, as its developer guide advises for inference: primitives made once, weights in the
// format that the primitive asks for (format_tag::any) and reordered once, bias and ReLU inside
// the primitive, a scratchpad given by the user. Activations stay in the plain layout that the
// user's tensors have.
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "../complaint.h"
#include "peer.h"

namespace evr_bench {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using tag = memory::format_tag;

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// Memory of oneDNN's own, kept alive by the closure that runs the primitive.
struct Execution {
  dnnl::stream stream;
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
};

class OneDnn final : public Peer {
 public:
  OneDnn(const PeerSettings &settings, bool own_layout)
      : settings_(settings),
        own_layout_(own_layout),
        status_(limit(settings)),
        engine_(dnnl::engine::kind::cpu, 0) {
    omp_set_num_threads(settings.threads);
  }

  std::string name() const override { return own_layout_ ? "oneDNN-own" : "oneDNN"; }
  bool has_own_layout() const override { return own_layout_; }

  std::string version() const override {
    const dnnl_version_t *v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }

  std::string refusal() const override {
    if (settings_.isa == EVR_ISA_SCALAR) return "its lowest instruction set is SSE4.1";
    if (status_ != dnnl::status::success)
      return std::string("it could not be limited to ") + evr_isa_name(settings_.isa);
    return "";
  }

  Prepared prepare(Workload &w) override {
    if (own_layout_ && w.layer.operation != Operation::conv2d)
      return refuse("only its convolutions choose a layout");
    try {
      switch (w.layer.operation) {
        case Operation::conv2d: return convolution(w);
        case Operation::pool2d: return pooling(w);
        case Operation::activation: return activation(w);
        case Operation::softmax: return softmax(w);
        case Operation::dense: return dense(w);
        case Operation::pad2d: return refuse("it has no padding");
      }
    } catch (const dnnl::error &error) {
      return refuse(std::string("oneDNN says: ") + error.what());
    }
    return refuse("it has no such operation");
  }

 private:
  // Counts only before oneDNN has looked at the CPU, so before anything else is asked of it.
  static dnnl::status limit(const PeerSettings &settings) {
    static const dnnl::status status =
        settings.isa == EVR_ISA_AVX2 && settings.machine_isa != EVR_ISA_AVX2
            ? dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2)
            : dnnl::status::success;
    return status;
  }

  // The same tensor, its order in memory left to the primitive where the peer has that freedom.
  memory::desc free_order(const memory::desc &plain) const {
    return own_layout_ ? memory::desc(plain.dims(), plain.data_type(), tag::any) : plain;
  }

  void reorder(memory from, memory to) {
    dnnl::stream stream(engine_);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  }

  // Source and target as the primitive wants them. What it wants in another order than the user's
  // is reordered here, once, and the result when it is looked at.
  template <typename Descriptor>
  Prepared finish(Workload &w, const Descriptor &descriptor, const memory::desc &source,
                  const memory::desc &target, std::unordered_map<int, memory> arguments,
                  size_t packed_bytes) {
    memory from(source, engine_, w.x.data()), to(target, engine_, w.y.data());
    Prepared prepared;
    if (descriptor.src_desc() != source) {
      memory own(descriptor.src_desc(), engine_);
      reorder(from, own);
      from = own;
    }
    if (descriptor.dst_desc() != target) {
      const memory own(descriptor.dst_desc(), engine_), users = to;
      prepared.collect = [this, own, users] { reorder(own, users); };
      to = own;
    }
    arguments.insert({DNNL_ARG_SRC, from});
    arguments.insert({DNNL_ARG_DST, to});
    auto execution = std::make_shared<Execution>();
    execution->stream = dnnl::stream(engine_);
    const memory scratchpad(descriptor.scratchpad_desc(), engine_);
    arguments.insert({DNNL_ARG_SCRATCHPAD, scratchpad});
    execution->arguments = std::move(arguments);
    prepared.implementation = descriptor.impl_info_str();
    prepared.workspace_bytes = descriptor.scratchpad_desc().get_size();
    prepared.packed_bytes = packed_bytes;
    prepared.run = [execution] {
      execution->primitive.execute(execution->stream, execution->arguments);
      execution->stream.wait();
    };
    set_primitive(*execution, descriptor);
    return prepared;
  }

  static void set_primitive(Execution &e, const dnnl::convolution_forward::primitive_desc &d) {
    e.primitive = dnnl::convolution_forward(d);
  }
  static void set_primitive(Execution &e, const dnnl::pooling_v2_forward::primitive_desc &d) {
    e.primitive = dnnl::pooling_v2_forward(d);
  }
  static void set_primitive(Execution &e, const dnnl::eltwise_forward::primitive_desc &d) {
    e.primitive = dnnl::eltwise_forward(d);
  }

  static void set_primitive(Execution &e, const dnnl::softmax_forward::primitive_desc &d) {
    e.primitive = dnnl::softmax_forward(d);
  }
  static void set_primitive(Execution &e, const dnnl::inner_product_forward::primitive_desc &d) {
    e.primitive = dnnl::inner_product_forward(d);
  }

  Prepared convolution(Workload &w) {
    const evr_conv2d_desc &d = w.layer.conv2d;
    if (d.pad_mode != EVR_PAD_ZERO) return refuse("it pads with zeros only");
    if (d.pool.kind != EVR_POOL_NONE) return refuse("it has no fused pooling");
    const auto f32 = memory::data_type::f32;
    const tag plain = d.layout == EVR_NHWC ? tag::nhwc : tag::nchw;
    const memory::desc source({d.batch, d.in_channels, d.in_height, d.in_width}, f32, plain);
    const memory::desc target({d.batch, d.out_channels, w.out_height, w.out_width}, f32, plain);
    const memory::desc bias({d.out_channels}, f32, tag::x);
    memory::dims shape = {d.out_channels, d.in_channels, d.kernel_height, d.kernel_width};
    tag plain_weights = d.filter_layout == EVR_HWIO ? tag::hwio : tag::oihw;
    if (d.groups > 1) {
      shape = {d.groups, d.out_channels / d.groups, d.in_channels / d.groups, d.kernel_height,
               d.kernel_width};
      // HWIO with the groups inside O is oneDNN's h, w, i, g, o.
      plain_weights = d.filter_layout == EVR_HWIO ? tag::hwigo : tag::goihw;
    }
    const memory::desc any_weights(shape, f32, tag::any);
    const memory::dims strides = {d.stride_height, d.stride_width};
    const memory::dims dilations = {d.dilation_height - 1, d.dilation_width - 1};
    const memory::dims before = {d.pad_top, d.pad_left}, after = {d.pad_bottom, d.pad_right};
    dnnl::primitive_attr attributes = user_scratchpad();
    if (d.activation.kind == EVR_RELU) {
      dnnl::post_ops after_sum;
      after_sum.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(after_sum);
    } else if (d.activation.kind != EVR_IDENTITY) {
      return refuse("the harness fuses only ReLU into it");
    }
    const auto kind = prop_kind::forward_inference;
    const auto method = algorithm::convolution_direct;
    const auto operation =
        w.has_bias
            ? dnnl::convolution_forward::desc(kind, method, free_order(source), any_weights, bias,
                                              free_order(target), strides, dilations, before, after)
            : dnnl::convolution_forward::desc(kind, method, free_order(source), any_weights,
                                              free_order(target), strides, dilations, before,
                                              after);
    const dnnl::convolution_forward::primitive_desc chosen(operation, attributes, engine_);

    const memory packed(chosen.weights_desc(), engine_);
    reorder(memory({shape, f32, plain_weights}, engine_, w.weights.data()), packed);
    std::unordered_map<int, memory> arguments = {{DNNL_ARG_WEIGHTS, packed}};
    if (w.has_bias) arguments.insert({DNNL_ARG_BIAS, memory(bias, engine_, w.bias.data())});
    return finish(w, chosen, source, target, std::move(arguments),
                  chosen.weights_desc().get_size());
  }

  Prepared pooling(Workload &w) {
    const evr_pool2d_desc &d = w.layer.pool2d;
    const evr_pool2d_window &window = d.window;
    if (window.kind == EVR_POOL_MIN) return refuse("it has no minimum pooling");
    const auto f32 = memory::data_type::f32;
    const tag plain = d.layout == EVR_NHWC ? tag::nhwc : tag::nchw;
    const memory::desc source({d.batch, d.channels, d.in_height, d.in_width}, f32, plain);
    const memory::desc target({d.batch, d.channels, w.out_height, w.out_width}, f32, plain);
    memory::dims kernel = {window.kernel_height, window.kernel_width};
    memory::dims strides = {window.stride_height, window.stride_width};
    memory::dims dilations = {window.dilation_height - 1, window.dilation_width - 1};
    memory::dims before = {window.pad_top, window.pad_left};
    memory::dims after = {window.pad_bottom, window.pad_right};
    if (window.global) {
      kernel = {d.in_height, d.in_width};
      strides = {1, 1};
      dilations = before = after = {0, 0};
    } else if (window.ceil_mode) {
      // What rounding up adds counts as padding here; only an average that counts the padding
      // could tell the difference.
      after = {extra(w.out_height, strides[0], kernel[0], dilations[0], d.in_height, before[0]),
               extra(w.out_width, strides[1], kernel[1], dilations[1], d.in_width, before[1])};
      if (window.kind == EVR_POOL_AVERAGE && window.count_include_pad)
        return refuse("it has no ceil_mode that leaves the added rows out of the count");
    }
    algorithm method = algorithm::pooling_max;
    if (window.kind == EVR_POOL_AVERAGE)
      method = window.count_include_pad ? algorithm::pooling_avg_include_padding
                                        : algorithm::pooling_avg_exclude_padding;
    const dnnl::pooling_v2_forward::desc operation(prop_kind::forward_inference, method, source,
                                                   target, strides, kernel, dilations, before,
                                                   after);
    const dnnl::pooling_v2_forward::primitive_desc chosen(operation, user_scratchpad(), engine_);
    return finish(w, chosen, source, target, {}, 0);
  }

  // Padding after the end that makes the output come out as rounded up.
  static int64_t extra(int64_t out, int64_t stride, int64_t kernel, int64_t dilation, int64_t in,
                       int64_t before) {
    return std::max<int64_t>(0,
                             (out - 1) * stride + (kernel - 1) * (dilation + 1) + 1 - in - before);
  }

  Prepared activation(Workload &w) {
    const evr_activation_desc &d = w.layer.activation;
    float alpha = 0.0f, beta = 0.0f;
    algorithm method;
    switch (d.activation.kind) {
      case EVR_RELU: method = algorithm::eltwise_relu; break;
      case EVR_LEAKY_RELU:
        method = algorithm::eltwise_relu;
        alpha = d.activation.alpha;
        break;
      case EVR_ELU:
        method = algorithm::eltwise_elu;
        alpha = d.activation.alpha;
        break;
      case EVR_SIGMOID: method = algorithm::eltwise_logistic; break;
      case EVR_TANH: method = algorithm::eltwise_tanh; break;
      case EVR_RELU6:
        method = algorithm::eltwise_clip;
        beta = 6.0f;
        break;
      case EVR_HARD_SWISH: method = algorithm::eltwise_hardswish; break;
      case EVR_SILU:
        method = algorithm::eltwise_swish;
        alpha = 1.0f;
        break;
      case EVR_GELU: method = algorithm::eltwise_gelu_erf; break;
      case EVR_GELU_TANH: method = algorithm::eltwise_gelu_tanh; break;
      default: return refuse("it has no such function");
    }
    const memory::desc vector({d.count}, memory::data_type::f32, tag::x);
    const dnnl::eltwise_forward::desc operation(prop_kind::forward_inference, method, vector, alpha,
                                                beta);
    const dnnl::eltwise_forward::primitive_desc chosen(operation, user_scratchpad(), engine_);
    return finish(w, chosen, vector, vector, {}, 0);
  }

  Prepared softmax(Workload &w) {
    const evr_softmax_desc &d = w.layer.softmax;
    const auto f32 = memory::data_type::f32;
    const bool rows = d.height * d.width == 1;
    const memory::desc tensor = rows ? memory::desc({d.batch, d.channels}, f32, tag::nc)
                                     : memory::desc({d.batch, d.channels, d.height, d.width}, f32,
                                                    d.layout == EVR_NHWC ? tag::nhwc : tag::nchw);
    const dnnl::softmax_forward::desc operation(prop_kind::forward_inference, tensor, 1);
    const dnnl::softmax_forward::primitive_desc chosen(operation, user_scratchpad(), engine_);
    return finish(w, chosen, tensor, tensor, {}, 0);
  }

  Prepared dense(Workload &w) {
    const evr_dense_desc &d = w.layer.dense;
    const auto f32 = memory::data_type::f32;
    const memory::desc source({d.batch, d.in_features}, f32, tag::nc);
    const memory::desc target({d.batch, d.out_features}, f32, tag::nc);
    const memory::desc bias({d.out_features}, f32, tag::x);
    const memory::dims shape = {d.out_features, d.in_features};
    const memory::desc any_weights(shape, f32, tag::any);
    const tag plain_weights = d.weights_layout == EVR_IO ? tag::io : tag::oi;
    dnnl::primitive_attr attributes = user_scratchpad();
    if (d.activation.kind == EVR_RELU) {
      dnnl::post_ops after_sum;
      after_sum.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(after_sum);
    }
    const auto kind = prop_kind::forward_inference;
    const auto operation =
        w.has_bias ? dnnl::inner_product_forward::desc(kind, source, any_weights, bias, target)
                   : dnnl::inner_product_forward::desc(kind, source, any_weights, target);
    const dnnl::inner_product_forward::primitive_desc chosen(operation, attributes, engine_);
    const memory packed(chosen.weights_desc(), engine_);
    reorder(memory({shape, f32, plain_weights}, engine_, w.weights.data()), packed);
    std::unordered_map<int, memory> arguments = {{DNNL_ARG_WEIGHTS, packed}};
    if (w.has_bias) arguments.insert({DNNL_ARG_BIAS, memory(bias, engine_, w.bias.data())});
    return finish(w, chosen, source, target, std::move(arguments),
                  chosen.weights_desc().get_size());
  }

  PeerSettings settings_;
  bool own_layout_;
  dnnl::status status_;
  dnnl::engine engine_;
};

}  // namespace

std::unique_ptr<Peer> make_onednn(const PeerSettings &settings, bool own_layout) {
  return std::make_unique<OneDnn>(settings, own_layout);
}

}  // namespace evr_bench
