#include "ours.h"

#include "ours_calls.h"

namespace evr_bench {
namespace {

const Calls<evr_conv2d_desc, evr_conv2d_plan> conv2d_calls = {
    evr_conv2d_plan_create, evr_conv2d_plan_destroy, evr_conv2d_plan_variant,
    evr_conv2d_list_variants};
const Calls<evr_pool2d_desc, evr_pool2d_plan> pool2d_calls = {
    evr_pool2d_plan_create, evr_pool2d_plan_destroy, evr_pool2d_plan_variant,
    evr_pool2d_list_variants};
const Calls<evr_activation_desc, evr_activation_plan> activation_calls = {
    evr_activation_plan_create, evr_activation_plan_destroy, evr_activation_plan_variant,
    evr_activation_list_variants};
const Calls<evr_softmax_desc, evr_softmax_plan> softmax_calls = {
    evr_softmax_plan_create, evr_softmax_plan_destroy, evr_softmax_plan_variant,
    evr_softmax_list_variants};
const Calls<evr_dense_desc, evr_dense_plan> dense_calls = {
    evr_dense_plan_create, evr_dense_plan_destroy, evr_dense_plan_variant, evr_dense_list_variants};
const Calls<evr_pad2d_desc, evr_pad2d_plan> pad2d_calls = {
    evr_pad2d_plan_create, evr_pad2d_plan_destroy, evr_pad2d_plan_variant, evr_pad2d_list_variants};

// Operations with weights, which are packed once where the variant wants that.
template <typename Arguments, typename Descriptor, typename Plan>
Prepared prepare_weighted(Workload &w, const Descriptor &desc, const evr_plan_options &options,
                          const Calls<Descriptor, Plan> &calls, size_t (*packed_size)(const Plan *),
                          evr_status (*pack)(const Plan *, const float *, void *),
                          size_t (*workspace_size)(const Plan *, bool),
                          evr_status (*execute)(const Plan *, const Arguments *)) {
  Prepared prepared;
  const auto running = std::make_shared<Running<Plan, Arguments>>();
  running->plan = calls.plan(desc, options, &prepared);
  if (!running->plan) return prepared;
  const Plan *plan = running->plan.get();
  prepared.packed_bytes = packed_size(plan);
  prepared.workspace_bytes = workspace_size(plan, prepared.packed_bytes > 0);
  running->packed = bytes_buffer(prepared.packed_bytes);
  running->workspace = bytes_buffer(prepared.workspace_bytes);
  Arguments &a = running->arguments;
  if (prepared.packed_bytes > 0) {
    demand(pack(plan, w.weights.data(), running->packed.data()));
    a.packed = running->packed.data();
  } else {
    a.weights = w.weights.data();
  }
  a.x = w.x.data();
  a.y = w.y.data();
  a.bias = w.has_bias ? w.bias.data() : nullptr;
  a.workspace = running->workspace.data();
  prepared.run = [running, execute] { demand(execute(running->plan.get(), &running->arguments)); };
  return prepared;
}

Prepared prepare_pool2d(Workload &w, const evr_plan_options &options) {
  Prepared prepared;
  const auto plan = pool2d_calls.plan(w.layer.pool2d, options, &prepared);
  if (!plan) return prepared;
  prepared.run = [plan, &w] {
    demand(evr_pool2d_forward(plan.get(), w.x.data(), w.y.data(), nullptr));
  };
  return prepared;
}

// Operations whose plans take an x and a y, and no memory besides.
template <typename Descriptor, typename Plan>
Prepared prepare_plain(Workload &w, const Descriptor &desc, const evr_plan_options &options,
                       const Calls<Descriptor, Plan> &calls,
                       evr_status (*forward)(const Plan *, const float *, float *)) {
  Prepared prepared;
  const auto plan = calls.plan(desc, options, &prepared);
  if (!plan) return prepared;
  prepared.run = [plan, forward, &w] { demand(forward(plan.get(), w.x.data(), w.y.data())); };
  return prepared;
}

Prepared prepare_forward(Workload &w, const evr_plan_options &options) {
  const Layer &layer = w.layer;
  switch (layer.operation) {
    case Operation::conv2d:
      return prepare_weighted(w, layer.conv2d, options, conv2d_calls, evr_conv2d_packed_size,
                              evr_conv2d_pack, evr_conv2d_workspace_size, evr_conv2d_execute);
    case Operation::pool2d: return prepare_pool2d(w, options);
    case Operation::activation:
      return prepare_plain(w, layer.activation, options, activation_calls, evr_activation_forward);
    case Operation::softmax:
      return prepare_plain(w, layer.softmax, options, softmax_calls, evr_softmax_forward);
    case Operation::dense:
      return prepare_weighted(w, layer.dense, options, dense_calls, evr_dense_packed_size,
                              evr_dense_pack, evr_dense_workspace_size, evr_dense_execute);
    case Operation::pad2d:
      return prepare_plain(w, layer.pad2d, options, pad2d_calls, evr_pad2d_forward);
  }
  return refuse("no such operation");
}

}  // namespace

Prepared prepare_ours(Workload &w, const evr_plan_options &options, const char *variant,
                      std::string *name) {
  evr_plan_options forced = options;
  if (variant) forced.variant = variant;
  Prepared prepared =
      w.direction == Direction::forward ? prepare_forward(w, forced) : prepare_backward(w, forced);
  *name = prepared.implementation;
  return prepared;
}

std::vector<evr_variant_report> list_variants(const Layer &layer, Direction direction,
                                              const evr_plan_options &options) {
  if (direction != Direction::forward) return list_backward_variants(layer, direction, options);
  switch (layer.operation) {
    case Operation::conv2d: return conv2d_calls.variants(layer.conv2d, options);
    case Operation::pool2d: return pool2d_calls.variants(layer.pool2d, options);
    case Operation::activation: return activation_calls.variants(layer.activation, options);
    case Operation::softmax: return softmax_calls.variants(layer.softmax, options);
    case Operation::dense: return dense_calls.variants(layer.dense, options);
    case Operation::pad2d: return pad2d_calls.variants(layer.pad2d, options);
  }
  return {};
}

bool has_variant(const Layer &layer, Direction direction, const std::string &name) {
  for (const evr_variant_report &report : list_variants(layer, direction, EVR_PLAN_OPTIONS_INIT)) {
    const std::string known = report.name;
    if (known == name || known.rfind(name + "-", 0) == 0) return true;
  }
  return false;
}

}  // namespace evr_bench
