#include <math.h>

#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_conv2d_desc desc;
  evr_conv2d_desc *desc_pointer;
  evr_padding_scheme scheme;
  evr_conv2d_sizes *sizes;
  void **plan_place;
  evr_conv2d_plan *plan;
  evr_conv2d_plan *plan_owned; /* what plan was before a row changed it */
  evr_conv2d_arguments arguments;
  const evr_conv2d_arguments *arguments_pointer;
  float *x, *weights, *bias, *residual, *y;
  void *packed, *packed_output, *workspace;
} fixture;

enum {
  GET_SIZES = 1 << 0,
  SET_PADDING = 1 << 1,
  PLAN_CREATE = 1 << 2,
  ONE_SHOT = 1 << 3,
  LIST = 1 << 4,
  PACK = 1 << 5,
  EXECUTE = 1 << 6,
  FORWARD = 1 << 7,
  DESC = GET_SIZES | PLAN_CREATE | ONE_SHOT | LIST,
  PLANNED = PLAN_CREATE | ONE_SHOT,
  OPTIONS = PLANNED | LIST
};

static evr_status get_sizes(void *p) {
  fixture *f = p;
  return evr_conv2d_get_sizes(f->desc_pointer, f->sizes);
}
static evr_status set_padding(void *p) {
  fixture *f = p;
  return evr_conv2d_set_padding(f->desc_pointer, f->scheme);
}
static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_conv2d_plan **place = (evr_conv2d_plan **)f->plan_place;
  const evr_status status =
      evr_conv2d_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_conv2d_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_conv2d(f->desc_pointer, f->common.options_pointer, f->x, f->weights, f->bias, f->y);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_conv2d_list_variants(f->desc_pointer, f->common.options_pointer, f->common.list,
                                  f->common.capacity, f->common.count);
}
static evr_status pack(void *p) {
  fixture *f = p;
  return evr_conv2d_pack(f->plan, f->weights, f->packed_output);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_conv2d_execute(f->plan, f->arguments_pointer);
}
static evr_status forward(void *p) {
  fixture *f = p;
  return evr_conv2d_forward(f->plan, f->x, f->weights, f->bias, f->y, f->workspace);
}

static const bad_call calls[] = {
    {"evr_conv2d_get_sizes", get_sizes},
    {"evr_conv2d_set_padding", set_padding},
    {"evr_conv2d_plan_create", plan_create},
    {"evr_conv2d", one_shot},
    {"evr_conv2d_list_variants", list_variants},
    {"evr_conv2d_pack", pack},
    {"evr_conv2d_execute", execute},
    {"evr_conv2d_forward", forward},
};

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_conv2d_desc)EVR_CONV2D_DESC_INIT;
  f->desc.in_channels = 4;
  f->desc.in_height = 5;
  f->desc.in_width = 6;
  f->desc.out_channels = 6;
  f->desc.kernel_height = f->desc.kernel_width = 3;
  f->desc_pointer = &f->desc;
  f->scheme = EVR_SAME_UPPER;
  f->sizes = bad_room(&f->common, sizeof *f->sizes);
  f->plan_place = &f->common.plan_out;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "direct-scalar"; /* one that packs, on every machine */
  if (evr_conv2d_plan_create(&f->desc, &options, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  evr_conv2d_sizes sizes;
  if (evr_conv2d_get_sizes(&f->desc, &sizes) != EVR_OK) return;
  f->x = bad_room(&f->common, (size_t)sizes.x_count * sizeof(float));
  f->weights = bad_room(&f->common, (size_t)sizes.weights_count * sizeof(float));
  f->bias = bad_room(&f->common, (size_t)sizes.bias_count * sizeof(float));
  f->residual = bad_room(&f->common, (size_t)sizes.residual_count * sizeof(float));
  f->y = bad_room(&f->common, (size_t)sizes.y_count * sizeof(float));
  f->packed = bad_room(&f->common, evr_conv2d_packed_size(f->plan));
  f->packed_output = bad_room(&f->common, evr_conv2d_packed_size(f->plan));
  f->workspace = bad_room(&f->common, evr_conv2d_workspace_size(f->plan, false));
  f->arguments =
      (evr_conv2d_arguments){f->x, f->weights, f->packed, f->bias, f->residual, f->y, f->workspace};
  f->arguments_pointer = &f->arguments;
}

static void teardown(void *p) { evr_conv2d_plan_destroy(((fixture *)p)->plan_owned); }

#define POOL_MAX SET(desc.pool.kind, EVR_POOL_MAX)
#define REFLECT SET(desc.pad_mode, EVR_PAD_REFLECT)

static const bad_row rows[] = {
    /* sizes zero and negative, strides and dilations below 1 */
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, batch, -1, 1),
    AT_LEAST(DESC, groups, 0, 1),
    AT_LEAST(DESC, groups, -2, 1),
    AT_LEAST(DESC, in_channels, 0, 1),
    AT_LEAST(DESC, in_channels, -4, 1),
    AT_LEAST(DESC, in_height, 0, 1),
    AT_LEAST(DESC, in_height, -5, 1),
    AT_LEAST(DESC, in_width, 0, 1),
    AT_LEAST(DESC, in_width, -6, 1),
    AT_LEAST(DESC, out_channels, 0, 1),
    AT_LEAST(DESC, out_channels, -6, 1),
    AT_LEAST(DESC, kernel_height, 0, 1),
    AT_LEAST(DESC, kernel_height, -3, 1),
    AT_LEAST(DESC, kernel_width, 0, 1),
    AT_LEAST(DESC, kernel_width, -3, 1),
    AT_LEAST(DESC, stride_height, 0, 1),
    AT_LEAST(DESC, stride_height, -1, 1),
    AT_LEAST(DESC, stride_width, 0, 1),
    AT_LEAST(DESC, stride_width, -1, 1),
    AT_LEAST(DESC, dilation_height, 0, 1),
    AT_LEAST(DESC, dilation_height, -1, 1),
    AT_LEAST(DESC, dilation_width, 0, 1),
    AT_LEAST(DESC, dilation_width, -1, 1),
    AT_LEAST(DESC, pad_top, -1, 0),
    AT_LEAST(DESC, pad_bottom, -2, 0),
    AT_LEAST(DESC, pad_left, -3, 0),
    AT_LEAST(DESC, pad_right, -4, 0),
    AT_LEAST(DESC, in_height, -9223372036854775807, 1),
    AT_LEAST(DESC, pad_top, -9223372036854775807, 0),
    /* groups that do not divide */
    INVALID(DESC, SET(desc.groups, 3),
            "desc.groups is 3, which does not divide desc.in_channels 4"),
    INVALID(DESC, SET(desc.groups, 4),
            "desc.groups is 4, which does not divide desc.out_channels 6"),
    INVALID(DESC, SET(desc.groups, 8),
            "desc.groups is 8, which does not divide desc.in_channels 4"),
    /* unknown enum values */
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    INVALID(DESC, SET(desc.layout, -1), "desc.layout is -1"),
    INVALID(DESC, SET(desc.filter_layout, 2), "desc.filter_layout is 2"),
    INVALID(DESC, SET(desc.filter_layout, -1), "desc.filter_layout is -1"),
    INVALID(DESC, SET(desc.pad_mode, 3), "desc.pad_mode is 3"),
    INVALID(DESC, SET(desc.pad_mode, -1), "desc.pad_mode is -1"),
    INVALID(DESC, SET(desc.activation.kind, 12),
            "desc.activation.kind is 12, which is no evr_activation_kind: 0 to 11"),
    INVALID(DESC, SET(desc.activation.kind, -1), "desc.activation.kind is -1"),
    {DESC,
     {SET(desc.activation.kind, EVR_LEAKY_RELU), SET_REAL(desc.activation.alpha, (double)NAN)},
     EVR_INVALID_ARGUMENT,
     {"desc.activation.alpha is nan"}},
    {DESC,
     {SET(desc.activation.kind, EVR_ELU), SET_REAL(desc.activation.alpha, -(double)INFINITY)},
     EVR_INVALID_ARGUMENT,
     {"desc.activation.alpha is -inf"}},
    /* a kernel larger than the padded input */
    INVALID(DESC, SET(desc.kernel_height, 6), "desc.kernel_height is 6"),
    INVALID(DESC, SET(desc.kernel_width, 7), "desc.kernel_width is 7"),
    {DESC,
     {SET(desc.kernel_height, 8), SET(desc.pad_top, 1), SET(desc.pad_bottom, 1)},
     EVR_INVALID_ARGUMENT,
     {"desc.kernel_height is 8", "padded input of 7"}},
    {DESC,
     {SET(desc.dilation_width, 3)},
     EVR_INVALID_ARGUMENT,
     {"desc.kernel_width is 3 with desc.dilation_width 3", "7"}},
    /* reflection not smaller than the input */
    {DESC,
     {REFLECT, SET(desc.pad_top, 5)},
     EVR_INVALID_ARGUMENT,
     {"desc.pad_top is 5", "desc.in_height, which is 5"}},
    {DESC, {REFLECT, SET(desc.pad_bottom, 6)}, EVR_INVALID_ARGUMENT, {"desc.pad_bottom is 6"}},
    {DESC,
     {REFLECT, SET(desc.pad_left, 6)},
     EVR_INVALID_ARGUMENT,
     {"desc.pad_left is 6", "desc.in_width, which is 6"}},
    {DESC, {REFLECT, SET(desc.pad_right, 7)}, EVR_INVALID_ARGUMENT, {"desc.pad_right is 7"}},
    /* products that overflow; powers of two wrap to small numbers where nobody looks */
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807", "(desc.batch x "}},
    {DESC, {SET(desc.batch, INT64_C(1) << 62)}, EVR_OVERFLOW, {"x would have 4611686018427387904"}},
    {DESC,
     {SET(desc.in_height, INT64_C(1) << 32), SET(desc.in_width, INT64_C(1) << 32)},
     EVR_OVERFLOW,
     {"4294967296 x 4294967296"}},
    {DESC, {SET(desc.batch, INT64_C(1) << 55)}, EVR_OVERFLOW, {"36028797018963968"}},
    {DESC,
     {SET(desc.out_channels, INT64_C(1) << 60)},
     EVR_OVERFLOW,
     {"weights would have", "1152921504606846976"}},
    {DESC,
     {SET(desc.out_channels, INT64_C(1) << 40), SET(desc.batch, INT64_C(1) << 30)},
     EVR_OVERFLOW,
     {"output would have 1073741824", "1099511627776 floats (desc.batch x output height x"}},
    {DESC,
     {SET(desc.pad_top, INT64_MAX)},
     EVR_OVERFLOW,
     {"desc.in_height 5 plus desc.pad_top 9223372036854775807 and desc.pad_bottom 0"}},
    {DESC,
     {SET(desc.pad_left, INT64_C(1) << 62), SET(desc.pad_right, INT64_C(1) << 62)},
     EVR_OVERFLOW,
     {"desc.in_width 6", "4611686018427387904"}},
    {DESC,
     {SET(desc.dilation_height, INT64_C(1) << 62)},
     EVR_OVERFLOW,
     {"desc.dilation_height 4611686018427387904", "desc.kernel_height 3"}},
    {DESC,
     {SET(desc.kernel_width, INT64_MAX), SET(desc.dilation_width, 2)},
     EVR_OVERFLOW,
     {"desc.kernel_width 9223372036854775807"}},
    {DESC,
     {SET(desc.pad_top, INT64_C(1) << 61), SET(desc.stride_height, INT64_C(1) << 61)},
     EVR_OVERFLOW,
     {"the padded x would have", "height and width with pads x desc.in_channels)"}},
    /* the fused pooling */
    INVALID(DESC, SET(desc.pool.kind, 4), "desc.pool.kind is 4"),
    INVALID(DESC, SET(desc.pool.kind, -1), "desc.pool.kind is -1"),
    {DESC,
     {POOL_MAX, SET(desc.pool.kernel_height, 0)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.kernel_height is 0"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.kernel_width, -1)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.kernel_width is -1"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.stride_height, 0)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.stride_height is 0"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.stride_width, -1)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.stride_width is -1"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.dilation_height, 0)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.dilation_height is 0"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.dilation_width, 0)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.dilation_width is 0"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.pad_top, -1)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.pad_top is -1"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.pad_right, 1)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.pad_right is 1"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.kernel_height, 4)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.kernel_height is 4"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.kernel_width, 5)},
     EVR_INVALID_ARGUMENT,
     {"desc.pool.kernel_width is 5"}},
    {DESC,
     {POOL_MAX, SET(desc.pool.dilation_width, INT64_MAX), SET(desc.pool.kernel_width, 3)},
     EVR_OVERFLOW,
     {"desc.pool.dilation_width 9223372036854775807"}},
    /* set_padding */
    {SET_PADDING, {SET(scheme, 3)}, EVR_INVALID_ARGUMENT, {"scheme is 3"}},
    {SET_PADDING, {SET(scheme, -1)}, EVR_INVALID_ARGUMENT, {"scheme is -1"}},
    AT_LEAST(SET_PADDING, in_height, 0, 1),
    AT_LEAST(SET_PADDING, in_width, -1, 1),
    AT_LEAST(SET_PADDING, kernel_height, 0, 1),
    AT_LEAST(SET_PADDING, kernel_width, -3, 1),
    AT_LEAST(SET_PADDING, stride_height, 0, 1),
    AT_LEAST(SET_PADDING, stride_width, -1, 1),
    AT_LEAST(SET_PADDING, dilation_height, 0, 1),
    AT_LEAST(SET_PADDING, dilation_width, -1, 1),
    {SET_PADDING,
     {SET(desc.dilation_width, INT64_MAX)},
     EVR_OVERFLOW,
     {"desc.dilation_width 9223372036854775807", "desc.kernel_width 3"}},
    /* null pointers */
    NULL_POINTER(DESC | SET_PADDING, desc_pointer, "desc"),
    NULL_POINTER(GET_SIZES, sizes, "sizes"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(PACK | EXECUTE | FORWARD, plan, "plan"),
    NULL_POINTER(ONE_SHOT | FORWARD, x, "x"),
    NULL_POINTER(ONE_SHOT | FORWARD, y, "y"),
    NULL_POINTER(ONE_SHOT | FORWARD | PACK, weights, "weights"),
    NULL_POINTER(PACK, packed_output, "packed"),
    NULL_POINTER(EXECUTE, arguments_pointer, "arguments"),
    NULL_POINTER(EXECUTE, arguments.x, "x"),
    NULL_POINTER(EXECUTE, arguments.y, "y"),
    {EXECUTE,
     {SET(arguments.weights, 0), SET(arguments.packed, 0)},
     EVR_INVALID_ARGUMENT,
     {"weights is NULL"}},
    /* buffers that overlap: the same, one byte at the front, one byte at the end */
    OVERLAPS(ONE_SHOT | FORWARD, y, x, 0, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, BYTES(5 * 6 * 4) - 4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, -BYTES(3 * 4 * 6) + 4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, weights, 8, "y overlaps weights"),
    OVERLAPS(ONE_SHOT | FORWARD, y, bias, BYTES(6) - 4, "y overlaps bias"),
    OVERLAPS(FORWARD, workspace, x, 0, "workspace overlaps x"),
    OVERLAPS(FORWARD, workspace, weights, 0, "workspace overlaps weights"),
    OVERLAPS(FORWARD, workspace, bias, 3, "workspace overlaps bias"),
    OVERLAPS(FORWARD, workspace, y, BYTES(3 * 4 * 6) - 1, "workspace overlaps y"),
    OVERLAPS(PACK, packed_output, weights, 0, "packed overlaps weights"),
    OVERLAPS(PACK, packed_output, weights, BYTES(3 * 3 * 4 * 6) - 1, "packed overlaps weights"),
    OVERLAPS(EXECUTE, arguments.y, arguments.x, 0, "y overlaps x"),
    OVERLAPS(EXECUTE, arguments.y, arguments.residual, 0, "y overlaps residual"),
    OVERLAPS(EXECUTE, arguments.y, arguments.residual, BYTES(3 * 4 * 6) - 4, "y overlaps residual"),
    OVERLAPS(EXECUTE, arguments.y, arguments.packed, 4, "y overlaps packed"),
    OVERLAPS(EXECUTE, arguments.y, arguments.bias, 0, "y overlaps bias"),
    {EXECUTE,
     {SET(arguments.packed, 0), ALIAS(arguments.y, arguments.weights, 4)},
     EVR_OVERLAP,
     {"y overlaps weights"}},
    {EXECUTE,
     {SET(arguments.packed, 0), ALIAS(arguments.workspace, arguments.residual, 4)},
     EVR_OVERLAP,
     {"workspace overlaps residual"}},
    /* refusals of variants */
    REFUSED(PLANNED, "few-outputs-scalar", SET(desc.out_channels, 65),
            "needs at most 64 output channels a group; desc.out_channels is 65 and desc.groups 1"),
    REFUSED(PLANNED, "depthwise-scalar", SET(desc.groups, 2),
            "needs one input channel a group; desc.in_channels is 4 and desc.groups 2"),
    {PLANNED,
     {SET_TEXT(common.options.variant, "few-outputs-scalar"), SET(desc.groups, 2),
      SET(desc.dilation_height, INT64_C(1) << 20), SET(desc.pad_top, INT64_C(1) << 21)},
     EVR_UNSUPPORTED,
     {"windows of desc.kernel_height 3 with desc.dilation_height 1048576 need ",
      " bytes of scratch, and there may be "}},
    {PLANNED,
     {SET_TEXT(common.options.variant, "depthwise-scalar"), SET(desc.groups, 2),
      SET(desc.in_channels, 2), SET(desc.dilation_width, INT64_C(1) << 20),
      SET(desc.pad_left, INT64_C(1) << 21)},
     EVR_UNSUPPORTED,
     {"windows of desc.kernel_width 3 with desc.dilation_width 1048576 need ",
      " bytes of scratch, and there may be "}},
    {PLANNED,
     {SET_TEXT(common.options.variant, "few-outputs-scalar"), SET(desc.groups, 2),
      SET(desc.kernel_height, 1), SET(desc.kernel_width, 1),
      SET(desc.stride_width, INT64_C(1) << 20), SET(desc.pad_left, INT64_C(1) << 21)},
     EVR_UNSUPPORTED,
     {"desc.in_channels 4 with desc.stride_width 1048576 need ",
      " bytes of scratch, and there may be "}},
    REFUSED_FAST(PLANNED, "winograd4-scalar", SET(desc.kernel_height, 2),
                 "needs desc.kernel_height 3; it is 2"),
    REFUSED_FAST(PLANNED, "winograd2-scalar", SET(desc.stride_width, 2),
                 "needs desc.stride_width 1; it is 2"),
    REFUSED(PLANNED, "winograd4-scalar", SET(common.options.math, EVR_MATH_EXACT),
            "does not keep the promise of options.math EVR_MATH_EXACT"),
    /* options, list */
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject conv2d_bad = {
    "conv2d", sizeof(fixture),
    setup,    teardown,
    calls,    sizeof calls / sizeof calls[0],
    rows,     sizeof rows / sizeof rows[0],
};
