// What oneDNN's forward and backward primitives have in common here: descriptions of a layer's
// tensors, and the gathering of what one run executes.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include "peer.h"

namespace evr_bench::onednn {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

// Made by a function below; "refusal" says why not, and then the rest is empty.
struct Convolution {
  std::string refusal;
  memory::desc source, target, bias, plain_weights, any_weights;
  memory::dims strides, dilations, before, after;
};

struct Pooling {
  std::string refusal;
  algorithm method = algorithm::undef;
  memory::desc source, target;
  memory::dims strides, kernel, dilations, before, after;
};

struct Activation {
  std::string refusal;
  // The second takes its derivative from the result; undef where it has no such form.
  algorithm method = algorithm::undef, from_result = algorithm::undef;
  float alpha = 0, beta = 0;
};

struct Dense {
  memory::desc source, target, bias, plain_weights, any_weights;
};

Convolution describe_convolution(const Workload &w);
Pooling describe_pooling(const Workload &w);
Activation describe_activation(const evr_activation &activation);
Dense describe_dense(const evr_dense_desc &desc);
memory::desc describe_softmax(const evr_softmax_desc &desc);

dnnl::primitive_attr user_scratchpad();

// The same tensor, its order in memory left to the primitive.
memory::desc any_order(const memory::desc &plain);

// Gathers the primitives of one run, with the memory that they need.
class Program {
 public:
  explicit Program(dnnl::engine engine);

  // The user's own buffer.
  memory users(const memory::desc &desc, Buffer &buffer) const;
  // The same tensor in the order that is wanted: reordered here and now, unless it lies so already.
  memory ordered(const memory &from, const memory::desc &wanted) const;
  // Memory for what a primitive writes: the user's own, or in another order, from which collect
  // brings it there.
  memory collected(const memory &users, const memory::desc &wanted);

  // One more primitive, after those before. The first names the whole.
  void add(const dnnl::primitive_desc &descriptor, Arguments arguments);
  // A reordering that each run does; none where both lie in one order.
  void add_reorder(const memory &from, const memory &to);

  Prepared finish(size_t packed_bytes) &&;

  dnnl::engine engine;

 private:
  struct Step {
    dnnl::primitive primitive;
    Arguments arguments;
  };
  std::vector<Step> steps_;
  std::vector<std::pair<memory, memory>> collections_;
  Prepared prepared_;
};

// The backward pass of a layer, by the workload's direction.
Prepared prepare_backward(Workload &w, const dnnl::engine &engine, OneDnnUse use);

}  // namespace evr_bench::onednn
