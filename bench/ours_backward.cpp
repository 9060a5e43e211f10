// evrisim's backward passes. What the forward pass has saved (its result, the winners of a pooling)
// is there already, and weights are packed once, as oneDNN's are reordered once.
#include "ours_calls.h"

namespace evr_bench {
namespace {

const Calls<evr_conv2d_desc, evr_conv2d_backward_data_plan> conv2d_data_calls = {
    evr_conv2d_backward_data_plan_create, evr_conv2d_backward_data_plan_destroy,
    evr_conv2d_backward_data_plan_variant, evr_conv2d_backward_data_list_variants};
const Calls<evr_conv2d_desc, evr_conv2d_backward_weights_plan> conv2d_weights_calls = {
    evr_conv2d_backward_weights_plan_create, evr_conv2d_backward_weights_plan_destroy,
    evr_conv2d_backward_weights_plan_variant, evr_conv2d_backward_weights_list_variants};
const Calls<evr_dense_desc, evr_dense_backward_data_plan> dense_data_calls = {
    evr_dense_backward_data_plan_create, evr_dense_backward_data_plan_destroy,
    evr_dense_backward_data_plan_variant, evr_dense_backward_data_list_variants};
const Calls<evr_dense_desc, evr_dense_backward_weights_plan> dense_weights_calls = {
    evr_dense_backward_weights_plan_create, evr_dense_backward_weights_plan_destroy,
    evr_dense_backward_weights_plan_variant, evr_dense_backward_weights_list_variants};
const Calls<evr_pool2d_desc, evr_pool2d_backward_plan> pool2d_calls = {
    evr_pool2d_backward_plan_create, evr_pool2d_backward_plan_destroy,
    evr_pool2d_backward_plan_variant, evr_pool2d_backward_list_variants};
const Calls<evr_activation_desc, evr_activation_backward_plan> activation_calls = {
    evr_activation_backward_plan_create, evr_activation_backward_plan_destroy,
    evr_activation_backward_plan_variant, evr_activation_backward_list_variants};
const Calls<evr_softmax_desc, evr_softmax_backward_plan> softmax_calls = {
    evr_softmax_backward_plan_create, evr_softmax_backward_plan_destroy,
    evr_softmax_backward_plan_variant, evr_softmax_backward_list_variants};
const Calls<evr_pad2d_desc, evr_pad2d_backward_plan> pad2d_calls = {
    evr_pad2d_backward_plan_create, evr_pad2d_backward_plan_destroy,
    evr_pad2d_backward_plan_variant, evr_pad2d_backward_list_variants};

float *or_null(Buffer &buffer) { return buffer.count() > 0 ? buffer.data() : nullptr; }

void set_arguments(Workload &w, evr_conv2d_backward_data_arguments &a) {
  a.weights = w.weights.data();
  a.dx = w.dx.data();
}
void set_arguments(Workload &w, evr_dense_backward_data_arguments &a) {
  a.weights = w.weights.data();
  a.dx = w.dx.data();
}
void set_arguments(Workload &w, evr_conv2d_backward_weights_arguments &a) {
  a.x = w.x.data();
  a.dweights = w.dweights.data();
  a.dbias = or_null(w.dbias);
}
void set_arguments(Workload &w, evr_dense_backward_weights_arguments &a) {
  a.x = w.x.data();
  a.dweights = w.dweights.data();
  a.dbias = or_null(w.dbias);
}

// Weights packed beforehand, for the operation that has such.
template <typename Plan, typename Arguments>
void pack(const Workload &, Running<Plan, Arguments> &) {}
void pack(const Workload &w,
          Running<evr_conv2d_backward_data_plan, evr_conv2d_backward_data_arguments> &running) {
  const evr_conv2d_backward_data_plan *plan = running.plan.get();
  const size_t bytes = evr_conv2d_backward_data_packed_size(plan);
  if (bytes == 0 || !w.saves) return;
  running.packed = bytes_buffer(bytes);
  demand(evr_conv2d_backward_data_pack(plan, w.weights.data(), running.packed.data()));
  running.arguments.packed = running.packed.data();
}

// Convolutions and dense layers.
template <typename Arguments, typename Descriptor, typename Plan>
Prepared prepare_weighted(Workload &w, const Descriptor &desc, const evr_plan_options &options,
                          const Calls<Descriptor, Plan> &calls,
                          size_t (*workspace_size)(const Plan *),
                          evr_status (*execute)(const Plan *, const Arguments *)) {
  Prepared prepared;
  const auto running = std::make_shared<Running<Plan, Arguments>>();
  running->plan = calls.plan(desc, options, &prepared);
  if (!running->plan) return prepared;
  prepared.workspace_bytes = workspace_size(running->plan.get());
  running->workspace = bytes_buffer(prepared.workspace_bytes);
  Arguments &a = running->arguments;
  a.dy = w.dy.data();
  a.y = or_null(w.y);
  a.workspace = running->workspace.data();
  set_arguments(w, a);
  pack(w, *running);
  prepared.run = [running, execute] { demand(execute(running->plan.get(), &running->arguments)); };
  return prepared;
}

Prepared prepare_pool2d(Workload &w, const evr_plan_options &options) {
  Prepared prepared;
  const auto plan = pool2d_calls.plan(w.layer.pool2d, options, &prepared);
  if (!plan) return prepared;
  prepared.workspace_bytes = evr_pool2d_backward_workspace_size(plan.get());
  Buffer workspace = bytes_buffer(prepared.workspace_bytes);
  std::shared_ptr<std::vector<int32_t>> winners;
  if (w.layer.pool2d.window.kind != EVR_POOL_AVERAGE && w.saves) {
    const auto count = static_cast<size_t>(w.dy.count());
    winners = std::make_shared<std::vector<int32_t>>(count);
    std::vector<float> y(count);
    demand(evr_pool2d(&w.layer.pool2d, nullptr, w.x.data(), y.data(), winners->data()));
  }
  prepared.run = [plan, winners, workspace, &w]() mutable {
    demand(evr_pool2d_backward_execute(plan.get(), w.dy.data(), winners ? winners->data() : nullptr,
                                       w.x.data(), w.dx.data(), workspace.data()));
  };
  return prepared;
}

Prepared prepare_activation(Workload &w, const evr_plan_options &options) {
  Prepared prepared;
  const evr_activation_desc &desc = w.layer.activation;
  const auto plan = activation_calls.plan(desc, options, &prepared);
  if (!plan) return prepared;
  const bool needs_z = evr_activation_needs_z(&desc.activation);
  prepared.run = [plan, needs_z, &w] {
    demand(evr_activation_backward_execute(plan.get(), w.dy.data(), needs_z ? nullptr : w.y.data(),
                                           needs_z ? w.x.data() : nullptr, w.dx.data()));
  };
  return prepared;
}

Prepared prepare_softmax(Workload &w, const evr_plan_options &options) {
  Prepared prepared;
  const auto plan = softmax_calls.plan(w.layer.softmax, options, &prepared);
  if (!plan) return prepared;
  prepared.run = [plan, &w] {
    demand(evr_softmax_backward_execute(plan.get(), w.dy.data(), w.y.data(), w.dx.data()));
  };
  return prepared;
}

Prepared prepare_pad2d(Workload &w, const evr_plan_options &options) {
  Prepared prepared;
  const auto plan = pad2d_calls.plan(w.layer.pad2d, options, &prepared);
  if (!plan) return prepared;
  prepared.run = [plan, &w] {
    demand(evr_pad2d_backward_execute(plan.get(), w.dy.data(), w.dx.data()));
  };
  return prepared;
}

}  // namespace

Prepared prepare_backward(Workload &w, const evr_plan_options &options) {
  const Layer &layer = w.layer;
  const bool data = w.direction == Direction::backward_data;
  switch (layer.operation) {
    case Operation::conv2d:
      return data ? prepare_weighted(w, layer.conv2d, options, conv2d_data_calls,
                                     evr_conv2d_backward_data_workspace_size,
                                     evr_conv2d_backward_data_execute)
                  : prepare_weighted(w, layer.conv2d, options, conv2d_weights_calls,
                                     evr_conv2d_backward_weights_workspace_size,
                                     evr_conv2d_backward_weights_execute);
    case Operation::dense:
      return data ? prepare_weighted(w, layer.dense, options, dense_data_calls,
                                     evr_dense_backward_data_workspace_size,
                                     evr_dense_backward_data_execute)
                  : prepare_weighted(w, layer.dense, options, dense_weights_calls,
                                     evr_dense_backward_weights_workspace_size,
                                     evr_dense_backward_weights_execute);
    case Operation::pool2d: return prepare_pool2d(w, options);
    case Operation::activation: return prepare_activation(w, options);
    case Operation::softmax: return prepare_softmax(w, options);
    case Operation::pad2d: return prepare_pad2d(w, options);
  }
  return refuse("no such operation");
}

std::vector<evr_variant_report> list_backward_variants(const Layer &layer, Direction direction,
                                                       const evr_plan_options &options) {
  const bool data = direction == Direction::backward_data;
  switch (layer.operation) {
    case Operation::conv2d:
      return data ? conv2d_data_calls.variants(layer.conv2d, options)
                  : conv2d_weights_calls.variants(layer.conv2d, options);
    case Operation::dense:
      return data ? dense_data_calls.variants(layer.dense, options)
                  : dense_weights_calls.variants(layer.dense, options);
    case Operation::pool2d: return pool2d_calls.variants(layer.pool2d, options);
    case Operation::activation: return activation_calls.variants(layer.activation, options);
    case Operation::softmax: return softmax_calls.variants(layer.softmax, options);
    case Operation::pad2d: return pad2d_calls.variants(layer.pad2d, options);
  }
  return {};
}

}  // namespace evr_bench
