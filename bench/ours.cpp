#include "ours.h"

#include "complaint.h"

namespace evr_bench {
namespace {

void demand(evr_status status) {
  if (status != EVR_OK) throw Complaint(evr_last_error());
}

struct Destroy {
  void operator()(evr_conv2d_plan *plan) const { evr_conv2d_plan_destroy(plan); }
  void operator()(evr_pool2d_plan *plan) const { evr_pool2d_plan_destroy(plan); }
  void operator()(evr_activation_plan *plan) const { evr_activation_plan_destroy(plan); }
  void operator()(evr_softmax_plan *plan) const { evr_softmax_plan_destroy(plan); }
  void operator()(evr_dense_plan *plan) const { evr_dense_plan_destroy(plan); }
  void operator()(evr_pad2d_plan *plan) const { evr_pad2d_plan_destroy(plan); }
};

Buffer bytes_buffer(size_t bytes) {
  return Buffer(static_cast<int64_t>((bytes + sizeof(float) - 1) / sizeof(float)));
}

Prepared prepare_conv2d(Workload &w, const evr_plan_options &options, std::string *name) {
  struct State {
    std::unique_ptr<evr_conv2d_plan, Destroy> plan;
    Buffer packed, workspace;
    evr_conv2d_arguments arguments{};
  };
  auto state = std::make_shared<State>();
  evr_conv2d_plan *plan = nullptr;
  if (evr_conv2d_plan_create(&w.layer.conv2d, &options, &plan) != EVR_OK)
    return refuse(evr_last_error());
  state->plan.reset(plan);
  *name = evr_conv2d_plan_variant(plan);
  Prepared prepared;
  prepared.packed_bytes = evr_conv2d_packed_size(plan);
  prepared.workspace_bytes = evr_conv2d_workspace_size(plan, prepared.packed_bytes > 0);
  state->packed = bytes_buffer(prepared.packed_bytes);
  state->workspace = bytes_buffer(prepared.workspace_bytes);
  evr_conv2d_arguments &a = state->arguments;
  if (prepared.packed_bytes > 0) {
    demand(evr_conv2d_pack(plan, w.weights.data(), state->packed.data()));
    a.packed = state->packed.data();
  } else {
    a.weights = w.weights.data();
  }
  a.x = w.x.data();
  a.y = w.y.data();
  a.bias = w.has_bias ? w.bias.data() : nullptr;
  a.workspace = state->workspace.data();
  prepared.implementation = *name;
  prepared.run = [state] { demand(evr_conv2d_execute(state->plan.get(), &state->arguments)); };
  return prepared;
}

Prepared prepare_pool2d(Workload &w, const evr_plan_options &options, std::string *name) {
  evr_pool2d_plan *made = nullptr;
  if (evr_pool2d_plan_create(&w.layer.pool2d, &options, &made) != EVR_OK)
    return refuse(evr_last_error());
  std::shared_ptr<evr_pool2d_plan> plan(made, Destroy());
  *name = evr_pool2d_plan_variant(made);
  Prepared prepared;
  prepared.implementation = *name;
  prepared.run = [plan, &w] {
    demand(evr_pool2d_forward(plan.get(), w.x.data(), w.y.data(), nullptr));
  };
  return prepared;
}

// Operations whose plans take an x and a y, and no memory besides.
template <typename Plan, typename Descriptor>
Prepared prepare_plain(Workload &w, const Descriptor &desc, const evr_plan_options &options,
                       evr_status (*create)(const Descriptor *, const evr_plan_options *, Plan **),
                       const char *(*variant)(const Plan *),
                       evr_status (*forward)(const Plan *, const float *, float *),
                       std::string *name) {
  Plan *made = nullptr;
  if (create(&desc, &options, &made) != EVR_OK) return refuse(evr_last_error());
  std::shared_ptr<Plan> plan(made, Destroy());
  *name = variant(made);
  Prepared prepared;
  prepared.implementation = *name;
  prepared.run = [plan, forward, &w] { demand(forward(plan.get(), w.x.data(), w.y.data())); };
  return prepared;
}

Prepared prepare_dense(Workload &w, const evr_plan_options &options, std::string *name) {
  struct State {
    std::unique_ptr<evr_dense_plan, Destroy> plan;
    Buffer packed;
    evr_dense_arguments arguments{};
  };
  auto state = std::make_shared<State>();
  evr_dense_plan *plan = nullptr;
  if (evr_dense_plan_create(&w.layer.dense, &options, &plan) != EVR_OK)
    return refuse(evr_last_error());
  state->plan.reset(plan);
  *name = evr_dense_plan_variant(plan);
  Prepared prepared;
  prepared.packed_bytes = evr_dense_packed_size(plan);
  evr_dense_arguments &a = state->arguments;
  if (prepared.packed_bytes > 0) {
    state->packed = bytes_buffer(prepared.packed_bytes);
    demand(evr_dense_pack(plan, w.weights.data(), state->packed.data()));
    a.packed = state->packed.data();
  } else {
    a.weights = w.weights.data();
  }
  a.x = w.x.data();
  a.y = w.y.data();
  a.bias = w.has_bias ? w.bias.data() : nullptr;
  prepared.implementation = *name;
  prepared.run = [state] { demand(evr_dense_execute(state->plan.get(), &state->arguments)); };
  return prepared;
}

template <typename Descriptor>
std::vector<evr_variant_report> listed(evr_status (*list)(const Descriptor *,
                                                          const evr_plan_options *,
                                                          evr_variant_report *, size_t, size_t *),
                                       const Descriptor &desc, const evr_plan_options &options) {
  size_t count = 0;
  demand(list(&desc, &options, nullptr, 0, &count));
  std::vector<evr_variant_report> reports(count);
  demand(list(&desc, &options, reports.data(), count, &count));
  return reports;
}

}  // namespace

Prepared prepare_ours(Workload &w, const evr_plan_options &options, const char *variant,
                      std::string *name) {
  evr_plan_options forced = options;
  if (variant) forced.variant = variant;
  switch (w.layer.operation) {
    case Operation::conv2d: return prepare_conv2d(w, forced, name);
    case Operation::pool2d: return prepare_pool2d(w, forced, name);
    case Operation::activation:
      return prepare_plain(w, w.layer.activation, forced, evr_activation_plan_create,
                           evr_activation_plan_variant, evr_activation_forward, name);
    case Operation::softmax:
      return prepare_plain(w, w.layer.softmax, forced, evr_softmax_plan_create,
                           evr_softmax_plan_variant, evr_softmax_forward, name);
    case Operation::dense: return prepare_dense(w, forced, name);
    case Operation::pad2d:
      return prepare_plain(w, w.layer.pad2d, forced, evr_pad2d_plan_create, evr_pad2d_plan_variant,
                           evr_pad2d_forward, name);
  }
  return refuse("no such operation");
}

std::vector<evr_variant_report> list_variants(const Workload &w, const evr_plan_options &options) {
  switch (w.layer.operation) {
    case Operation::conv2d: return listed(evr_conv2d_list_variants, w.layer.conv2d, options);
    case Operation::pool2d: return listed(evr_pool2d_list_variants, w.layer.pool2d, options);
    case Operation::activation:
      return listed(evr_activation_list_variants, w.layer.activation, options);
    case Operation::softmax: return listed(evr_softmax_list_variants, w.layer.softmax, options);
    case Operation::dense: return listed(evr_dense_list_variants, w.layer.dense, options);
    case Operation::pad2d: return listed(evr_pad2d_list_variants, w.layer.pad2d, options);
  }
  return {};
}

}  // namespace evr_bench
