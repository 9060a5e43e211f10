#include <math.h>

#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_conv2d_transposed_desc desc;
  evr_conv2d_transposed_desc *desc_pointer;
  evr_conv2d_transposed_sizes *sizes;
  void **plan_place;
  evr_conv2d_transposed_plan *plan;
  evr_conv2d_transposed_plan *plan_owned; /* what plan was before a row changed it */
  float *x, *weights, *bias, *y;
  void *workspace;
} fixture;

enum {
  GET_SIZES = 1 << 0,
  PLAN_CREATE = 1 << 1,
  ONE_SHOT = 1 << 2,
  LIST = 1 << 3,
  FORWARD = 1 << 4,
  PLANNED = PLAN_CREATE | ONE_SHOT,
  OPTIONS = PLANNED | LIST,
  DESC = GET_SIZES | OPTIONS
};

static evr_status get_sizes(void *p) {
  fixture *f = p;
  return evr_conv2d_transposed_get_sizes(f->desc_pointer, f->sizes);
}
static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_conv2d_transposed_plan **place = (evr_conv2d_transposed_plan **)f->plan_place;
  const evr_status status =
      evr_conv2d_transposed_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_conv2d_transposed_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_conv2d_transposed(f->desc_pointer, f->common.options_pointer, f->x, f->weights,
                               f->bias, f->y);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_conv2d_transposed_list_variants(f->desc_pointer, f->common.options_pointer,
                                             f->common.list, f->common.capacity, f->common.count);
}
static evr_status forward(void *p) {
  fixture *f = p;
  return evr_conv2d_transposed_forward(f->plan, f->x, f->weights, f->bias, f->y, f->workspace);
}

static const bad_call calls[] = {
    {"evr_conv2d_transposed_get_sizes", get_sizes},
    {"evr_conv2d_transposed_plan_create", plan_create},
    {"evr_conv2d_transposed", one_shot},
    {"evr_conv2d_transposed_list_variants", list_variants},
    {"evr_conv2d_transposed_forward", forward},
};

#define X_COUNT (3 * 4 * 6)
#define Y_COUNT (8 * 9 * 4)
#define WEIGHTS_COUNT (3 * 3 * 4 * 6)

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_conv2d_transposed_desc)EVR_CONV2D_TRANSPOSED_DESC_INIT;
  f->desc.in_channels = 6;
  f->desc.in_height = 3;
  f->desc.in_width = 4;
  f->desc.out_channels = 4;
  f->desc.kernel_height = f->desc.kernel_width = 3;
  f->desc.stride_height = f->desc.stride_width = 2;
  f->desc.output_padding_height = 1;
  f->desc.activation.kind = EVR_RELU;
  f->sizes = bad_room(&f->common, sizeof *f->sizes);
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  if (evr_conv2d_transposed_plan_create(&f->desc, NULL, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  f->x = bad_room(&f->common, X_COUNT * sizeof(float));
  f->weights = bad_room(&f->common, WEIGHTS_COUNT * sizeof(float));
  f->bias = bad_room(&f->common, 4 * sizeof(float));
  f->y = bad_room(&f->common, Y_COUNT * sizeof(float));
  f->workspace = bad_room(&f->common, evr_conv2d_transposed_workspace_size(f->plan));
}

static void teardown(void *p) { evr_conv2d_transposed_plan_destroy(((fixture *)p)->plan_owned); }

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, groups, 0, 1),
    AT_LEAST(DESC, in_channels, 0, 1),
    AT_LEAST(DESC, out_channels, -1, 1),
    AT_LEAST(DESC, in_height, 0, 1),
    AT_LEAST(DESC, in_width, -5, 1),
    AT_LEAST(DESC, kernel_height, 0, 1),
    AT_LEAST(DESC, kernel_width, -1, 1),
    AT_LEAST(DESC, stride_height, 0, 1),
    AT_LEAST(DESC, stride_width, -1, 1),
    AT_LEAST(DESC, dilation_height, 0, 1),
    AT_LEAST(DESC, dilation_width, -1, 1),
    AT_LEAST(DESC, pad_top, -1, 0),
    AT_LEAST(DESC, pad_bottom, -2, 0),
    AT_LEAST(DESC, pad_left, -3, 0),
    AT_LEAST(DESC, pad_right, -4, 0),
    AT_LEAST(DESC, output_padding_height, -1, 0),
    AT_LEAST(DESC, output_padding_width, -1, 0),
    INVALID(DESC, SET(desc.groups, 4),
            "desc.groups is 4, which does not divide desc.in_channels 6"),
    INVALID(DESC, SET(desc.groups, 3),
            "desc.groups is 3, which does not divide desc.out_channels 4"),
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    INVALID(DESC, SET(desc.filter_layout, -1), "desc.filter_layout is -1"),
    INVALID(DESC, SET(desc.activation.kind, 12),
            "desc.activation.kind is 12, which is no evr_activation_kind: 0 to 11"),
    {DESC,
     {SET(desc.activation.kind, EVR_ELU), SET_REAL(desc.activation.alpha, -(double)INFINITY)},
     EVR_INVALID_ARGUMENT,
     {"desc.activation.alpha is -inf"}},
    {DESC,
     {SET(desc.output_padding_height, 2)},
     EVR_INVALID_ARGUMENT,
     {"desc.output_padding_height is 2", "desc.stride_height 2 or desc.dilation_height 1"}},
    {DESC,
     {SET(desc.output_padding_width, 3), SET(desc.dilation_width, 3)},
     EVR_INVALID_ARGUMENT,
     {"desc.output_padding_width is 3", "desc.dilation_width 3"}},
    {DESC,
     {SET(desc.pad_top, 4), SET(desc.pad_bottom, 4)},
     EVR_INVALID_ARGUMENT,
     {"desc.pad_top 4 and desc.pad_bottom 4 leave nothing", "8 without them"}},
    {DESC,
     {SET(desc.pad_left, INT64_MAX)},
     EVR_INVALID_ARGUMENT,
     {"desc.pad_left 9223372036854775807"}},
    {DESC,
     {SET(desc.pad_left, INT64_MAX), SET(desc.pad_right, 1)},
     EVR_OVERFLOW,
     {"the width of y does not fit", "desc.pad_left 9223372036854775807 and desc.pad_right 1"}},
    {DESC,
     {SET(desc.pad_top, INT64_C(1) << 30), SET(desc.dilation_height, INT64_C(1) << 29),
      SET(desc.batch, INT64_C(1) << 20)},
     EVR_OVERFLOW,
     {"the padded y would have 1048576 x 1073741830 x 9 x 4",
      "height and width of y with pads x desc.out_channels)"}},
    {DESC,
     {SET(desc.stride_height, INT64_MAX)},
     EVR_OVERFLOW,
     {"the height of y does not fit", "desc.stride_height 9223372036854775807"}},
    {DESC, {SET(desc.dilation_width, INT64_MAX)}, EVR_OVERFLOW, {"the width of y does not fit"}},
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"y would have 9223372036854775807", "(desc.batch x height of y x width of y x desc.out_"}},
    {DESC,
     {SET(desc.in_channels, INT64_C(1) << 60)},
     EVR_OVERFLOW,
     {"x would have", "desc.in_channels)"}},
    {DESC,
     {SET(desc.in_channels, INT64_C(1) << 48)},
     EVR_OVERFLOW,
     {"weights would have 3 x 3 x 4 x 281474976710656", "desc.out_channels / desc.groups"}},
    /* null pointers */
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(GET_SIZES, sizes, "sizes"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(FORWARD, plan, "plan"),
    NULL_POINTER(ONE_SHOT | FORWARD, x, "x"),
    NULL_POINTER(ONE_SHOT | FORWARD, weights, "weights"),
    NULL_POINTER(ONE_SHOT | FORWARD, y, "y"),
    /* buffers that overlap */
    OVERLAPS(ONE_SHOT | FORWARD, y, x, 0, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, BYTES(X_COUNT) - 4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, -BYTES(Y_COUNT) + 4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, weights, BYTES(WEIGHTS_COUNT) - 4, "y overlaps weights"),
    OVERLAPS(ONE_SHOT | FORWARD, y, bias, BYTES(4) - 4, "y overlaps bias"),
    OVERLAPS(FORWARD, workspace, x, 1, "workspace overlaps x"),
    OVERLAPS(FORWARD, workspace, y, BYTES(Y_COUNT) - 1, "workspace overlaps y"),
    /* refusals of variants, which run a convolution of x, in the words of the caller's */
    REFUSED(PLANNED, "few-outputs-scalar", SET(desc.out_channels, 65),
            "needs at most 64 output channels a group; desc.out_channels is 65 and desc.groups 1"),
    REFUSED(PLANNED, "depthwise-scalar", SET(desc.groups, 2),
            "needs one input channel a group; desc.in_channels is 6 and desc.groups 2"),
    REFUSED(
        PLANNED, "depthwise-stride2-scalar", SET(desc.groups, 2),
        "needs one channel in and out of each group; desc.in_channels is 6, desc.out_channels 4 "
        "and desc.groups 2"),
    REFUSED_FAST(PLANNED, "winograd4-scalar", SET(desc.groups, 2),
                 "needs desc.kernel_height 3; it is 3, of which desc.stride_height 2 leaves 2"),
    {PLANNED,
     {SET_TEXT(common.options.variant, "direct-scalar"),
      SET(desc.dilation_height, INT64_C(1) << 40), SET(desc.pad_top, INT64_C(1) << 41),
      SET(desc.in_channels, 4096)},
     EVR_UNSUPPORTED,
     {"pads x for desc.kernel_height 3 with desc.dilation_height 1099511627776 and "
      "desc.kernel_width 3 with desc.dilation_width 1, which does not fit"}},
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject transposed_bad = {
    "conv2d_transposed",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
