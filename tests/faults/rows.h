/* Registry rows of deliberately broken variants; kernels/core/registry.c includes this in a test
 * build only. Names begin with "fault-". test_faults.c says which check must catch which. */
#ifndef TEST_FAULTS_ROWS_H
#define TEST_FAULTS_ROWS_H

#include "core/registry.h"

#define FOR_CONV2D_FAULTS(row)                                                                     \
  row("fault-last-bit-of-a-tail", fault_conv2d_last_bit) row("fault-rounds-twice",                 \
                                                             fault_conv2d_rounds_twice)            \
      row("fault-other-order", fault_conv2d_other_order) row(                                      \
          "fault-reads-past-x", fault_conv2d_reads_past_x) row("fault-reads-before-x",             \
                                                               fault_conv2d_reads_before_x)        \
          row("fault-reads-past-weights", fault_conv2d_reads_past_weights) row(                    \
              "fault-reads-past-bias",                                                             \
              fault_conv2d_reads_past_bias) row("fault-writes-past-y", fault_conv2d_writes_past_y) \
              row("fault-writes-before-y", fault_conv2d_writes_before_y) row(                      \
                  "fault-writes-x", fault_conv2d_writes_x) row("fault-leaves-an-output",           \
                                                               fault_conv2d_leaves_an_output)      \
                  row("fault-right-edge-is-zero", fault_conv2d_right_edge) row(                    \
                      "fault-skips-padding", fault_conv2d_skips_padding)                           \
                      row("fault-flushes-subnormals", fault_conv2d_flushes) row(                   \
                          "fault-drops-nan", fault_conv2d_drops_nan) row("fault-wrong-group",      \
                                                                         fault_conv2d_wrong_group) \
                          row("fault-drops-residual", fault_conv2d_drops_residual) row(            \
                              "fault-three-threads", fault_conv2d_three_threads)                   \
                              row("fault-seven-threads", fault_conv2d_seven_threads) row(          \
                                  "fault-trusts-workspace", fault_conv2d_trusts_workspace)         \
                                  row("fault-outgrows-workspace", fault_conv2d_outgrows_workspace) \
                                      row("fault-outgrows-packed", fault_conv2d_outgrows_packed)   \
                                          row("fault-shared-state", fault_conv2d_shared_state)     \
                                              row("fault-long-sums-beyond-the-bound",              \
                                                  fault_conv2d_beyond_the_bound)                   \
                                                  row("fault-refuses-all",                         \
                                                      fault_conv2d_refuses_all)                    \
                                                      row("fault-refuses-without-a-reason",        \
                                                          fault_conv2d_no_reason)
#define FOR_CONV2D_PLAN_FAULTS(row)                        \
  row("fault-keeps-first-x", fault_plan_keeps_first_x)     \
      row("fault-writes-into-plan", fault_plan_is_written) \
          row("fault-keeps-for-all-weights", fault_plan_keeps_for_all_weights)
#define FOR_STANDARD_CONV2D_FAULTS(row)                                                  \
  row("fault-standard-no-guard", fault_conv2d_standard_no_guard)                         \
      row("fault-standard-product-missing", fault_conv2d_standard_product_missing)       \
          row("fault-standard-drops-nan", fault_conv2d_standard_drops_nan)               \
              row("fault-standard-drops-residual", fault_conv2d_standard_drops_residual) \
                  row("fault-standard-three-threads", fault_conv2d_standard_three_threads)
#define FOR_FAST_CONV2D_FAULTS(row)                                              \
  row("fault-fast-coefficient", fault_conv2d_fast_coefficient)                   \
      row("fault-fast-three-threads", fault_conv2d_fast_three_threads)           \
          row("fault-fast-drops-nan", fault_conv2d_fast_drops_nan)               \
              row("fault-fast-drops-residual", fault_conv2d_fast_drops_residual) \
                  row("fault-fast-reads-past-x", fault_conv2d_fast_reads_past_x)
#define FOR_POOL2D_FAULTS(row)                                     \
  row("fault-last-of-equals", fault_pool2d_last_of_equals)         \
      row("fault-nan-loses", fault_pool2d_nan_loses)               \
          row("fault-counts-padding", fault_pool2d_counts_padding) \
              row("fault-writes-past-indices", fault_pool2d_writes_past_indices)
#define FOR_PAD2D_FAULTS(row)                                 \
  row("fault-mirrors-the-edge", fault_pad2d_mirrors_the_edge) \
      row("fault-pads-with-minus-zero", fault_pad2d_minus_zero)
#define FOR_ACTIVATION_FAULTS(row)                     \
  row("fault-tail-is-not-done", fault_activation_tail) \
      row("fault-relu-of-nan", fault_activation_nan)
#define FOR_SOFTMAX_FAULTS(row)                   \
  row("fault-overflows", fault_softmax_overflows) \
      row("fault-not-in-place", fault_softmax_not_in_place)
#define FOR_DENSE_FAULTS(row)                             \
  row("fault-adds-bias-first", fault_dense_bias_first)    \
      row("fault-reads-past-x", fault_dense_reads_past_x) \
          row("fault-transposes", fault_dense_transposes)

#define FOR_ACTIVATION_BACKWARD_FAULTS(row)                                                     \
  row("fault-slope-of-nan", fault_slope_of_nan) row("fault-takes-z-for-y", fault_takes_z_for_y) \
      row("fault-slope-after-writing", fault_slope_after_writing)
#define FOR_PAD2D_BACKWARD_FAULTS(row)                \
  row("fault-leaves-last-row", fault_leaves_last_row) \
      row("fault-folds-backwards", fault_folds_backwards)
#define FOR_POOL2D_BACKWARD_FAULTS(row)                                   \
  row("fault-unpools-by-last-of-equals", fault_unpools_by_last_of_equals) \
      row("fault-unpools-without-padding", fault_unpools_without_padding) \
          row("fault-unpools-onto", fault_unpools_onto)
#define FOR_CONV2D_BACKWARD_DATA_FAULTS(row)                       \
  row("fault-last-bit", fault_data_last_bit)                       \
      row("fault-forgets-stride", fault_data_forgets_stride)       \
          row("fault-writes-past-dx", fault_data_writes_past_dx)   \
              row("fault-three-threads", fault_data_three_threads) \
                  row("fault-counts-calls", fault_data_counts_calls)
#define FOR_CONV2D_BACKWARD_WEIGHTS_FAULTS(row)                                           \
  row("fault-adds", fault_weights_add) row("fault-leaves-bias", fault_weights_leave_bias) \
      row("fault-other-blocks", fault_weights_other_blocks)                               \
          row("fault-skips-padding", fault_weights_skip_padding)
#define FOR_STANDARD_CONV2D_BACKWARD_WEIGHTS_FAULTS(row)                            \
  row("fault-standard-no-guard", fault_weights_standard_no_guard)                   \
      row("fault-standard-product-missing", fault_weights_standard_product_missing) \
          row("fault-standard-three-threads", fault_weights_standard_three_threads)
#define FOR_CONV2D_TRANSPOSED_FAULTS(row)              \
  row("fault-drops-bias", fault_transposed_drops_bias) \
      row("fault-forgets-stride", fault_transposed_forgets_stride)
#define FOR_SOFTMAX_BACKWARD_FAULTS(row) \
  row("fault-softmax-slope-in-order", fault_softmax_slope_in_order)
#define FOR_SOFTMAX_CROSS_ENTROPY_FAULTS(row) \
  row("fault-entropy-forgets-scale", fault_entropy_forgets_scale)
#define FOR_SIGMOID_CROSS_ENTROPY_FAULTS(row) row("fault-binary-loss-tail", fault_binary_loss_tail)
#define FOR_DENSE_BACKWARD_DATA_FAULTS(row) \
  row("fault-dense-forgets-an-output", fault_dense_forgets_an_output)
#define FOR_DENSE_BACKWARD_WEIGHTS_FAULTS(row)        \
  row("fault-dense-one-block", fault_dense_one_block) \
      row("fault-dense-bias-of-half", fault_dense_bias_of_half)

#define DECLARE_FAULT(name, kernel) extern const evr_kernel kernel;
FOR_CONV2D_FAULTS(DECLARE_FAULT)
FOR_CONV2D_PLAN_FAULTS(DECLARE_FAULT)
FOR_STANDARD_CONV2D_FAULTS(DECLARE_FAULT)
FOR_FAST_CONV2D_FAULTS(DECLARE_FAULT)
FOR_POOL2D_FAULTS(DECLARE_FAULT)
FOR_PAD2D_FAULTS(DECLARE_FAULT)
FOR_ACTIVATION_FAULTS(DECLARE_FAULT)
FOR_SOFTMAX_FAULTS(DECLARE_FAULT)
FOR_DENSE_FAULTS(DECLARE_FAULT)
FOR_ACTIVATION_BACKWARD_FAULTS(DECLARE_FAULT)
FOR_PAD2D_BACKWARD_FAULTS(DECLARE_FAULT)
FOR_POOL2D_BACKWARD_FAULTS(DECLARE_FAULT)
FOR_CONV2D_BACKWARD_DATA_FAULTS(DECLARE_FAULT)
FOR_CONV2D_BACKWARD_WEIGHTS_FAULTS(DECLARE_FAULT)
FOR_STANDARD_CONV2D_BACKWARD_WEIGHTS_FAULTS(DECLARE_FAULT)
FOR_CONV2D_TRANSPOSED_FAULTS(DECLARE_FAULT)
FOR_SOFTMAX_BACKWARD_FAULTS(DECLARE_FAULT)
FOR_SOFTMAX_CROSS_ENTROPY_FAULTS(DECLARE_FAULT)
FOR_SIGMOID_CROSS_ENTROPY_FAULTS(DECLARE_FAULT)
FOR_DENSE_BACKWARD_DATA_FAULTS(DECLARE_FAULT)
FOR_DENSE_BACKWARD_WEIGHTS_FAULTS(DECLARE_FAULT)

#define CONV2D_FAULT(name, kernel) {name, EVR_OP_CONV2D, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define STANDARD_CONV2D_FAULT(name, kernel) \
  {name, EVR_OP_CONV2D, EVR_ISA_SCALAR, EVR_SERVES_STANDARD, &kernel},
#define FAST_CONV2D_FAULT(name, kernel) \
  {name, EVR_OP_CONV2D, EVR_ISA_SCALAR, EVR_SERVES_FAST, &kernel},
#define POOL2D_FAULT(name, kernel) {name, EVR_OP_POOL2D, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define PAD2D_FAULT(name, kernel) {name, EVR_OP_PAD2D, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define ACTIVATION_FAULT(name, kernel) \
  {name, EVR_OP_ACTIVATION, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define SOFTMAX_FAULT(name, kernel) {name, EVR_OP_SOFTMAX, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define DENSE_FAULT(name, kernel) {name, EVR_OP_DENSE, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define ACTIVATION_BACKWARD_FAULT(name, kernel) \
  {name, EVR_OP_ACTIVATION_BACKWARD, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define PAD2D_BACKWARD_FAULT(name, kernel) \
  {name, EVR_OP_PAD2D_BACKWARD, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define POOL2D_BACKWARD_FAULT(name, kernel) \
  {name, EVR_OP_POOL2D_BACKWARD, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define CONV2D_BACKWARD_DATA_FAULT(name, kernel) \
  {name, EVR_OP_CONV2D_BACKWARD_DATA, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define CONV2D_BACKWARD_WEIGHTS_FAULT(name, kernel) \
  {name, EVR_OP_CONV2D_BACKWARD_WEIGHTS, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define STANDARD_CONV2D_BACKWARD_WEIGHTS_FAULT(name, kernel) \
  {name, EVR_OP_CONV2D_BACKWARD_WEIGHTS, EVR_ISA_SCALAR, EVR_SERVES_STANDARD, &kernel},
#define CONV2D_TRANSPOSED_FAULT(name, kernel) \
  {name, EVR_OP_CONV2D_TRANSPOSED, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define SOFTMAX_BACKWARD_FAULT(name, kernel) \
  {name, EVR_OP_SOFTMAX_BACKWARD, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define SOFTMAX_CROSS_ENTROPY_FAULT(name, kernel) \
  {name, EVR_OP_SOFTMAX_CROSS_ENTROPY, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define SIGMOID_CROSS_ENTROPY_FAULT(name, kernel) \
  {name, EVR_OP_SIGMOID_CROSS_ENTROPY, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define DENSE_BACKWARD_DATA_FAULT(name, kernel) \
  {name, EVR_OP_DENSE_BACKWARD_DATA, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define DENSE_BACKWARD_WEIGHTS_FAULT(name, kernel) \
  {name, EVR_OP_DENSE_BACKWARD_WEIGHTS, EVR_ISA_SCALAR, EVR_SERVES_ALL, &kernel},
#define PLANTED_FAULTS                                                                \
  FOR_CONV2D_FAULTS(CONV2D_FAULT)                                                     \
  FOR_CONV2D_PLAN_FAULTS(CONV2D_FAULT)                                                \
  FOR_STANDARD_CONV2D_FAULTS(STANDARD_CONV2D_FAULT)                                   \
  FOR_FAST_CONV2D_FAULTS(FAST_CONV2D_FAULT)                                           \
  FOR_POOL2D_FAULTS(POOL2D_FAULT)                                                     \
  FOR_PAD2D_FAULTS(PAD2D_FAULT)                                                       \
  FOR_ACTIVATION_FAULTS(ACTIVATION_FAULT)                                             \
  FOR_SOFTMAX_FAULTS(SOFTMAX_FAULT)                                                   \
  FOR_DENSE_FAULTS(DENSE_FAULT)                                                       \
  FOR_ACTIVATION_BACKWARD_FAULTS(ACTIVATION_BACKWARD_FAULT)                           \
  FOR_PAD2D_BACKWARD_FAULTS(PAD2D_BACKWARD_FAULT)                                     \
  FOR_POOL2D_BACKWARD_FAULTS(POOL2D_BACKWARD_FAULT)                                   \
  FOR_CONV2D_BACKWARD_DATA_FAULTS(CONV2D_BACKWARD_DATA_FAULT)                         \
  FOR_CONV2D_BACKWARD_WEIGHTS_FAULTS(CONV2D_BACKWARD_WEIGHTS_FAULT)                   \
  FOR_STANDARD_CONV2D_BACKWARD_WEIGHTS_FAULTS(STANDARD_CONV2D_BACKWARD_WEIGHTS_FAULT) \
  FOR_CONV2D_TRANSPOSED_FAULTS(CONV2D_TRANSPOSED_FAULT)                               \
  FOR_SOFTMAX_BACKWARD_FAULTS(SOFTMAX_BACKWARD_FAULT)                                 \
  FOR_SOFTMAX_CROSS_ENTROPY_FAULTS(SOFTMAX_CROSS_ENTROPY_FAULT)                       \
  FOR_SIGMOID_CROSS_ENTROPY_FAULTS(SIGMOID_CROSS_ENTROPY_FAULT)                       \
  FOR_DENSE_BACKWARD_DATA_FAULTS(DENSE_BACKWARD_DATA_FAULT)                           \
  FOR_DENSE_BACKWARD_WEIGHTS_FAULTS(DENSE_BACKWARD_WEIGHTS_FAULT)

#endif
