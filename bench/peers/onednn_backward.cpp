// oneDNN's backward passes, as its developer guide advises for training: primitives made once with
// the forward pass's descriptor as a hint, weights and their gradient in the order that the
// primitive asks for (format_tag::any), the gradient at the bias in the same primitive, maxima from
// the workspace that the forward pass has left. A convolution cannot have a ReLU after it here: its
// derivative is a primitive of its own before.
#include "onednn.h"

namespace evr_bench::onednn {
namespace {

memory::desc free_order(const memory::desc &plain, OneDnnUse use) {
  return use == OneDnnUse::own_layout ? any_order(plain) : plain;
}

// dy in the order wanted, or what ReLU lets through of it, by a primitive of its own.
memory gradient_before_relu(Program &program, Workload &w, const memory::desc &plain,
                            const memory::desc &wanted, const evr_activation &activation) {
  const memory dy = program.ordered(program.users(plain, w.dy), wanted);
  if (activation.kind == EVR_IDENTITY) return dy;
  const Activation a = describe_activation(activation);
  const dnnl::eltwise_forward::primitive_desc hint(
      {prop_kind::forward_training, a.from_result, wanted, a.alpha, a.beta}, program.engine);
  const dnnl::eltwise_backward::primitive_desc chosen(
      {a.from_result, wanted, wanted, a.alpha, a.beta}, user_scratchpad(), program.engine, hint);
  const memory g(chosen.diff_src_desc(), program.engine);
  program.add(chosen, {{DNNL_ARG_DST, program.ordered(program.users(plain, w.y), wanted)},
                       {DNNL_ARG_DIFF_DST, dy},
                       {DNNL_ARG_DIFF_SRC, g}});
  return g;
}

// The gradient at the input, of a convolution or a dense layer.
template <typename Descriptor, typename Layer>
Prepared weighted_data(Workload &w, const dnnl::engine &engine, OneDnnUse use,
                       const Descriptor &chosen, const Layer &layer,
                       const evr_activation &activation) {
  Program program(engine);
  const memory plain_weights = program.users(layer.plain_weights, w.weights);
  memory weights = program.ordered(plain_weights, chosen.weights_desc());
  if (use == OneDnnUse::reordering) program.add_reorder(plain_weights, weights);
  const memory g =
      gradient_before_relu(program, w, layer.target, chosen.diff_dst_desc(), activation);
  program.add(chosen, {{DNNL_ARG_DIFF_DST, g},
                       {DNNL_ARG_WEIGHTS, weights},
                       {DNNL_ARG_DIFF_SRC, program.collected(program.users(layer.source, w.dx),
                                                             chosen.diff_src_desc())}});
  return std::move(program).finish(chosen.weights_desc().get_size());
}

// The gradients at the weights and the bias, likewise.
template <typename Descriptor, typename Layer>
Prepared weighted_weights(Workload &w, const dnnl::engine &engine, OneDnnUse use,
                          const Descriptor &chosen, const Layer &layer,
                          const evr_activation &activation) {
  Program program(engine);
  const memory users = program.users(layer.plain_weights, w.dweights);
  const bool reorders =
      use == OneDnnUse::reordering && chosen.diff_weights_desc() != layer.plain_weights;
  const memory dweights = reorders ? memory(chosen.diff_weights_desc(), engine)
                                   : program.collected(users, chosen.diff_weights_desc());
  const memory g =
      gradient_before_relu(program, w, layer.target, chosen.diff_dst_desc(), activation);
  Arguments arguments = {
      {DNNL_ARG_SRC, program.ordered(program.users(layer.source, w.x), chosen.src_desc())},
      {DNNL_ARG_DIFF_DST, g},
      {DNNL_ARG_DIFF_WEIGHTS, dweights}};
  if (w.has_bias) arguments.insert({DNNL_ARG_DIFF_BIAS, program.users(layer.bias, w.dbias)});
  program.add(chosen, std::move(arguments));
  if (reorders) program.add_reorder(dweights, users);
  return std::move(program).finish(0);
}

Prepared convolution(Workload &w, const dnnl::engine &engine, OneDnnUse use) {
  using Forward = dnnl::convolution_forward;
  using Data = dnnl::convolution_backward_data;
  using Weights = dnnl::convolution_backward_weights;
  const Convolution c = describe_convolution(w);
  if (!c.refusal.empty()) return refuse(c.refusal);
  const evr_activation &activation = w.layer.conv2d.activation;
  const auto kind = prop_kind::forward_training;
  const auto method = algorithm::convolution_direct;
  const memory::desc source = free_order(c.source, use), target = free_order(c.target, use);
  const memory::desc &weights = c.any_weights;
  const auto forward = w.has_bias ? Forward::desc(kind, method, source, weights, c.bias, target,
                                                  c.strides, c.dilations, c.before, c.after)
                                  : Forward::desc(kind, method, source, weights, target, c.strides,
                                                  c.dilations, c.before, c.after);
  const Forward::primitive_desc hint(forward, engine);
  if (w.direction == Direction::backward_data) {
    const Data::desc operation(method, source, weights, target, c.strides, c.dilations, c.before,
                               c.after);
    return weighted_data(w, engine, use,
                         Data::primitive_desc(operation, user_scratchpad(), engine, hint), c,
                         activation);
  }
  const auto operation = w.has_bias ? Weights::desc(method, source, weights, c.bias, target,
                                                    c.strides, c.dilations, c.before, c.after)
                                    : Weights::desc(method, source, weights, target, c.strides,
                                                    c.dilations, c.before, c.after);
  return weighted_weights(w, engine, use,
                          Weights::primitive_desc(operation, user_scratchpad(), engine, hint), c,
                          activation);
}

Prepared dense(Workload &w, const dnnl::engine &engine, OneDnnUse use) {
  using Forward = dnnl::inner_product_forward;
  using Data = dnnl::inner_product_backward_data;
  using Weights = dnnl::inner_product_backward_weights;
  const Dense d = describe_dense(w.layer.dense);
  const evr_activation &activation = w.layer.dense.activation;
  const auto kind = prop_kind::forward_training;
  const auto forward = w.has_bias ? Forward::desc(kind, d.source, d.any_weights, d.bias, d.target)
                                  : Forward::desc(kind, d.source, d.any_weights, d.target);
  const Forward::primitive_desc hint(forward, engine);
  if (w.direction == Direction::backward_data) {
    const Data::desc operation(d.source, d.any_weights, d.target);
    return weighted_data(w, engine, use,
                         Data::primitive_desc(operation, user_scratchpad(), engine, hint), d,
                         activation);
  }
  const auto operation = w.has_bias ? Weights::desc(d.source, d.any_weights, d.bias, d.target)
                                    : Weights::desc(d.source, d.any_weights, d.target);
  return weighted_weights(w, engine, use,
                          Weights::primitive_desc(operation, user_scratchpad(), engine, hint), d,
                          activation);
}

Prepared pooling(Workload &w, const dnnl::engine &engine) {
  using Forward = dnnl::pooling_v2_forward;
  using Backward = dnnl::pooling_v2_backward;
  const Pooling p = describe_pooling(w);
  if (!p.refusal.empty()) return refuse(p.refusal);
  const Forward::primitive_desc forward({prop_kind::forward_training, p.method, p.source, p.target,
                                         p.strides, p.kernel, p.dilations, p.before, p.after},
                                        engine);
  const Backward::primitive_desc chosen(
      {p.method, p.source, p.target, p.strides, p.kernel, p.dilations, p.before, p.after},
      user_scratchpad(), engine, forward);
  Program program(engine);
  Arguments arguments = {{DNNL_ARG_DIFF_DST, program.users(p.target, w.dy)},
                         {DNNL_ARG_DIFF_SRC, program.users(p.source, w.dx)}};
  if (p.method == algorithm::pooling_max) {
    const memory workspace(forward.workspace_desc(), engine);
    dnnl::stream stream(engine);
    dnnl::pooling_v2_forward(forward).execute(stream, {{DNNL_ARG_SRC, program.users(p.source, w.x)},
                                                       {DNNL_ARG_DST, memory(p.target, engine)},
                                                       {DNNL_ARG_WORKSPACE, workspace}});
    stream.wait();
    arguments.insert({DNNL_ARG_WORKSPACE, workspace});
  }
  program.add(chosen, std::move(arguments));
  return std::move(program).finish(0);
}

Prepared activation(Workload &w, const dnnl::engine &engine) {
  const evr_activation_desc &d = w.layer.activation;
  const Activation a = describe_activation(d.activation);
  if (!a.refusal.empty()) return refuse(a.refusal);
  // From the result where ours takes it from there.
  const bool from_result = !evr_activation_needs_z(&d.activation);
  if (from_result && a.from_result == algorithm::undef)
    return refuse("it has no derivative of this from the result");
  const algorithm method = from_result ? a.from_result : a.method;
  const memory::desc vector({d.count}, memory::data_type::f32, tag::x);
  const dnnl::eltwise_forward::primitive_desc hint(
      {prop_kind::forward_training, method, vector, a.alpha, a.beta}, engine);
  const dnnl::eltwise_backward::primitive_desc chosen({method, vector, vector, a.alpha, a.beta},
                                                      user_scratchpad(), engine, hint);
  Program program(engine);
  program.add(chosen, {{from_result ? DNNL_ARG_DST : DNNL_ARG_SRC,
                        program.users(vector, from_result ? w.y : w.x)},
                       {DNNL_ARG_DIFF_DST, program.users(vector, w.dy)},
                       {DNNL_ARG_DIFF_SRC, program.users(vector, w.dx)}});
  return std::move(program).finish(0);
}

Prepared softmax(Workload &w, const dnnl::engine &engine) {
  const memory::desc tensor = describe_softmax(w.layer.softmax);
  const dnnl::softmax_forward::primitive_desc hint({prop_kind::forward_training, tensor, 1},
                                                   engine);
  const dnnl::softmax_backward::primitive_desc chosen({tensor, tensor, 1}, user_scratchpad(),
                                                      engine, hint);
  Program program(engine);
  program.add(chosen, {{DNNL_ARG_DST, program.users(tensor, w.y)},
                       {DNNL_ARG_DIFF_DST, program.users(tensor, w.dy)},
                       {DNNL_ARG_DIFF_SRC, program.users(tensor, w.dx)}});
  return std::move(program).finish(0);
}

}  // namespace

Prepared prepare_backward(Workload &w, const dnnl::engine &engine, OneDnnUse use) {
  const Operation operation = w.layer.operation;
  if (operation == Operation::conv2d) return convolution(w, engine, use);
  if (operation == Operation::dense) return dense(w, engine, use);
  if (use != OneDnnUse::peer) return refuse("");  // without weights it is the peer itself
  if (operation == Operation::pool2d) return pooling(w, engine);
  if (operation == Operation::activation) return activation(w, engine);
  if (operation == Operation::softmax) return softmax(w, engine);
  return refuse("it has no padding");
}

}  // namespace evr_bench::onednn
