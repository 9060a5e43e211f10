// Suites: lists of layers, read from CSV files or drawn at random. The columns of each kind of file
// stand in docs/benchmarking.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evrisim/evrisim.h"

namespace evr_bench {

enum class Operation { conv2d, pool2d, activation, softmax, dense, pad2d };

const char *operation_name(Operation operation);

struct Layer {
  std::string name;
  Operation operation = Operation::conv2d;
  int64_t repeat = 1;             // how often the network contains this layer
  bool counts_operations = true;  // see Suite
  // The one that operation names is set; the others keep their initial values.
  evr_conv2d_desc conv2d = EVR_CONV2D_DESC_INIT;
  evr_pool2d_desc pool2d = EVR_POOL2D_DESC_INIT;
  evr_activation_desc activation = {{EVR_IDENTITY, 0.0f}, 0};
  evr_softmax_desc softmax = EVR_SOFTMAX_DESC_INIT;
  evr_dense_desc dense = EVR_DENSE_DESC_INIT;
  evr_pad2d_desc pad2d = EVR_PAD2D_DESC_INIT;
};

struct Suite {
  std::string name;
  std::string path;
  std::string note;  // where its layers come from, if that is not the path
  Operation operation = Operation::conv2d;
  std::vector<Layer> layers;
  // Whether its layers count multiply-adds: convolutions, and dense layers but where all are of
  // batch 1, which cost no more than reading the weights. The others count bytes.
  bool counts_operations() const;
};

// Reads a suite by name (a file of bench/suites without its ".csv") or by path (whatever holds a
// "/" or ends in ".csv"). Throws Complaint, naming file, line and field.
Suite read_suite(const std::string &name_or_path);

// That many different convolutions, at random: 1 to 512 channels, 1 to 256 pixels a side, kernels
// of 1 to 7, strides 1 and 2, one in eight depthwise. The same for a seed on every machine.
Suite random_suite(int layers, uint64_t seed);

// Names of the suites in bench/suites, sorted.
std::vector<std::string> suite_names();

// One line on a layer's shape, such as "3x224x224 -> 64x112x112, 7x7 stride 2".
std::string shape_text(const Layer &layer);

// Name of an activation as the suites spell it, such as "leaky_relu".
const char *activation_name(evr_activation_kind kind);

// Likewise of a padding mode, such as "zero".
const char *pad_mode_name(evr_pad_mode mode);

}  // namespace evr_bench
