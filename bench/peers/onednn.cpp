// oneDNN, as its developer guide advises for inference: primitives made once, weights in the
// format that the primitive asks for (format_tag::any) and reordered once, bias and ReLU inside
// the primitive, a scratchpad given by the user. Activations stay in the plain layout that the
// user's tensors have.
#include "onednn.h"

#include <omp.h>

#include "../complaint.h"

namespace evr_bench {
namespace {

using namespace onednn;

class OneDnn final : public Peer {
 public:
  OneDnn(const PeerSettings &settings, OneDnnUse use)
      : settings_(settings),
        use_(use),
        status_(limit(settings)),
        engine_(dnnl::engine::kind::cpu, 0) {
    omp_set_num_threads(settings.threads);
  }

  std::string name() const override {
    switch (use_) {
      case OneDnnUse::peer: return "oneDNN";
      case OneDnnUse::own_layout: return "oneDNN-own";
      case OneDnnUse::reordering: return "oneDNN-reorder";
    }
    return "";
  }
  bool is_yardstick() const override { return use_ != OneDnnUse::peer; }

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
    if (use_ == OneDnnUse::own_layout && w.layer.operation != Operation::conv2d)
      return refuse("only its convolutions choose a layout");
    try {
      if (w.direction != Direction::forward) return prepare_backward(w, engine_, use_);
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
    return use_ == OneDnnUse::own_layout ? any_order(plain) : plain;
  }

  static dnnl::primitive_attr with_relu(const evr_activation &activation) {
    dnnl::primitive_attr attributes = user_scratchpad();
    if (activation.kind == EVR_RELU) {
      dnnl::post_ops after_sum;
      after_sum.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(after_sum);
    }
    return attributes;
  }

  // From a plain x to a plain y, without weights.
  template <typename Descriptor>
  Prepared plain(Workload &w, const Descriptor &chosen) {
    Program program(engine_);
    program.add(chosen, {{DNNL_ARG_SRC, program.users(chosen.src_desc(), w.x)},
                         {DNNL_ARG_DST, program.users(chosen.dst_desc(), w.y)}});
    return std::move(program).finish(0);
  }

  // With weights, and images perhaps, in the order that the primitive has chosen.
  template <typename Descriptor, typename Layer>
  Prepared weighted(Workload &w, const Descriptor &chosen, const Layer &layer) {
    Program program(engine_);
    Arguments arguments = {
        {DNNL_ARG_SRC, program.ordered(program.users(layer.source, w.x), chosen.src_desc())},
        {DNNL_ARG_WEIGHTS,
         program.ordered(program.users(layer.plain_weights, w.weights), chosen.weights_desc())},
        {DNNL_ARG_DST, program.collected(program.users(layer.target, w.y), chosen.dst_desc())}};
    if (w.has_bias) arguments.insert({DNNL_ARG_BIAS, program.users(layer.bias, w.bias)});
    program.add(chosen, std::move(arguments));
    return std::move(program).finish(chosen.weights_desc().get_size());
  }

  Prepared convolution(Workload &w) {
    using Forward = dnnl::convolution_forward;
    const Convolution c = describe_convolution(w);
    if (!c.refusal.empty()) return refuse(c.refusal);
    const auto kind = prop_kind::forward_inference;
    const auto method = algorithm::convolution_direct;
    const memory::desc source = free_order(c.source), target = free_order(c.target);
    const auto operation = w.has_bias
                               ? Forward::desc(kind, method, source, c.any_weights, c.bias, target,
                                               c.strides, c.dilations, c.before, c.after)
                               : Forward::desc(kind, method, source, c.any_weights, target,
                                               c.strides, c.dilations, c.before, c.after);
    return weighted(
        w, Forward::primitive_desc(operation, with_relu(w.layer.conv2d.activation), engine_), c);
  }

  Prepared pooling(Workload &w) {
    using Forward = dnnl::pooling_v2_forward;
    const Pooling p = describe_pooling(w);
    if (!p.refusal.empty()) return refuse(p.refusal);
    const Forward::desc operation(prop_kind::forward_inference, p.method, p.source, p.target,
                                  p.strides, p.kernel, p.dilations, p.before, p.after);
    return plain(w, Forward::primitive_desc(operation, user_scratchpad(), engine_));
  }

  Prepared activation(Workload &w) {
    using Forward = dnnl::eltwise_forward;
    const evr_activation_desc &d = w.layer.activation;
    const Activation a = describe_activation(d.activation);
    if (!a.refusal.empty()) return refuse(a.refusal);
    const memory::desc vector({d.count}, memory::data_type::f32, tag::x);
    const Forward::desc operation(prop_kind::forward_inference, a.method, vector, a.alpha, a.beta);
    return plain(w, Forward::primitive_desc(operation, user_scratchpad(), engine_));
  }

  Prepared softmax(Workload &w) {
    using Forward = dnnl::softmax_forward;
    const memory::desc tensor = describe_softmax(w.layer.softmax);
    const Forward::desc operation(prop_kind::forward_inference, tensor, 1);
    return plain(w, Forward::primitive_desc(operation, user_scratchpad(), engine_));
  }

  Prepared dense(Workload &w) {
    using Forward = dnnl::inner_product_forward;
    const Dense d = describe_dense(w.layer.dense);
    const auto kind = prop_kind::forward_inference;
    const auto operation = w.has_bias
                               ? Forward::desc(kind, d.source, d.any_weights, d.bias, d.target)
                               : Forward::desc(kind, d.source, d.any_weights, d.target);
    return weighted(
        w, Forward::primitive_desc(operation, with_relu(w.layer.dense.activation), engine_), d);
  }

  PeerSettings settings_;
  OneDnnUse use_;
  dnnl::status status_;
  dnnl::engine engine_;
};

}  // namespace

std::unique_ptr<Peer> make_onednn(const PeerSettings &settings, OneDnnUse use) {
  return std::make_unique<OneDnn>(settings, use);
}

}  // namespace evr_bench
