#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_conv2d_desc desc;
  evr_conv2d_desc *desc_pointer;
  void **plan_place;
  evr_conv2d_backward_data_plan *plan;
  evr_conv2d_backward_data_plan *plan_owned; /* what plan was before a row changed it */
  evr_conv2d_backward_data_arguments arguments;
  const evr_conv2d_backward_data_arguments *arguments_pointer;
  void *packed_output;
} fixture;

enum {
  PLAN_CREATE = 1 << 0,
  ONE_SHOT = 1 << 1,
  LIST = 1 << 2,
  EXECUTE = 1 << 3,
  PACK = 1 << 4,
  DESC = PLAN_CREATE | ONE_SHOT | LIST,
  PLANNED = PLAN_CREATE | ONE_SHOT,
  CALL = ONE_SHOT | EXECUTE
};

static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_conv2d_backward_data_plan **place = (evr_conv2d_backward_data_plan **)f->plan_place;
  const evr_status status =
      evr_conv2d_backward_data_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_conv2d_backward_data_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_data(f->desc_pointer, f->common.options_pointer, f->arguments_pointer);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_data_list_variants(f->desc_pointer, f->common.options_pointer,
                                                f->common.list, f->common.capacity,
                                                f->common.count);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_data_execute(f->plan, f->arguments_pointer);
}

static evr_status pack(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_data_pack(f->plan, f->arguments.weights, f->packed_output);
}

static const bad_call calls[] = {
    {"evr_conv2d_backward_data_plan_create", plan_create},
    {"evr_conv2d_backward_data", one_shot},
    {"evr_conv2d_backward_data_list_variants", list_variants},
    {"evr_conv2d_backward_data_execute", execute},
    {"evr_conv2d_backward_data_pack", pack},
};

#define X_COUNT (5 * 6 * 4)
#define Y_COUNT (3 * 4 * 6)
#define WEIGHTS_COUNT (3 * 3 * 4 * 6)

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_conv2d_desc)EVR_CONV2D_DESC_INIT;
  f->desc.in_channels = 4;
  f->desc.in_height = 5;
  f->desc.in_width = 6;
  f->desc.out_channels = 6;
  f->desc.kernel_height = f->desc.kernel_width = 3;
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  f->arguments_pointer = &f->arguments;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "direct-scalar"; /* one that packs, on every machine */
  if (evr_conv2d_backward_data_plan_create(&f->desc, &options, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  evr_conv2d_backward_data_arguments *a = &f->arguments;
  a->dy = bad_room(&f->common, Y_COUNT * sizeof(float));
  a->weights = bad_room(&f->common, WEIGHTS_COUNT * sizeof(float));
  f->packed_output = bad_room(&f->common, evr_conv2d_backward_data_packed_size(f->plan));
  a->dx = bad_room(&f->common, X_COUNT * sizeof(float));
  a->dresidual = bad_room(&f->common, Y_COUNT * sizeof(float));
  a->workspace = bad_room(&f->common, evr_conv2d_backward_data_workspace_size(f->plan));
}

static void teardown(void *p) { evr_conv2d_backward_data_plan_destroy(((fixture *)p)->plan_owned); }

static const bad_row rows[] = {
    /* the forward pass's checks, one of each kind */
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, stride_width, -1, 1),
    AT_LEAST(DESC, pad_left, -3, 0),
    INVALID(DESC, SET(desc.groups, 3),
            "desc.groups is 3, which does not divide desc.in_channels 4"),
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    INVALID(DESC, SET(desc.activation.kind, 12),
            "desc.activation.kind is 12, which is no evr_activation_kind: 0 to 11"),
    INVALID(DESC, SET(desc.kernel_height, 6), "desc.kernel_height is 6"),
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807", "(desc.batch x "}},
    /* its own */
    {DESC,
     {SET(desc.pool.kind, EVR_POOL_MAX)},
     EVR_UNSUPPORTED,
     {"desc.pool.kind is 1", "without pooling"}},
    /* null pointers */
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(EXECUTE | PACK, plan, "plan"),
    NULL_POINTER(CALL, arguments_pointer, "arguments"),
    NULL_POINTER(CALL, arguments.dy, "dy"),
    NULL_POINTER(CALL | PACK, arguments.weights, "weights"),
    NULL_POINTER(PACK, packed_output, "packed"),
    NULL_POINTER(CALL, arguments.dx, "dx"),
    /* buffers that overlap */
    OVERLAPS(CALL, arguments.dx, arguments.dy, 0, "dx overlaps dy"),
    OVERLAPS(CALL, arguments.dx, arguments.dy, BYTES(Y_COUNT) - 4, "dx overlaps dy"),
    OVERLAPS(CALL, arguments.dx, arguments.dy, -BYTES(X_COUNT) + 4, "dx overlaps dy"),
    OVERLAPS(CALL, arguments.dx, arguments.weights, BYTES(WEIGHTS_COUNT) - 4,
             "dx overlaps weights"),
    OVERLAPS(CALL, arguments.dresidual, arguments.dy, 0, "dresidual overlaps dy"),
    OVERLAPS(CALL, arguments.dresidual, arguments.dx, BYTES(X_COUNT) - 4, "dresidual overlaps dx"),
    OVERLAPS(CALL, arguments.dresidual, arguments.weights, 4, "dresidual overlaps weights"),
    OVERLAPS(EXECUTE, arguments.workspace, arguments.dy, 1, "workspace overlaps dy"),
    OVERLAPS(EXECUTE, arguments.workspace, arguments.dx, BYTES(X_COUNT) - 1,
             "workspace overlaps dx"),
    OVERLAPS(PACK, packed_output, arguments.weights, BYTES(WEIGHTS_COUNT) - 1,
             "packed overlaps weights"),
    {EXECUTE,
     {ALIAS(arguments.packed, packed_output, 0), ALIAS(arguments.dx, packed_output, 4)},
     EVR_OVERLAP,
     {"dx overlaps packed"}},
    /* what a fused activation needs */
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_RELU)},
     EVR_INVALID_ARGUMENT,
     {"y and z are NULL; the derivative of desc.activation.kind 1 needs", "result of the forward"}},
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_SILU), ALIAS(arguments.y, arguments.dy, 0)},
     EVR_INVALID_ARGUMENT,
     {"z is NULL", "before the activation"}},
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_TANH), ALIAS(arguments.y, arguments.dx, 0)},
     EVR_OVERLAP,
     {"dx overlaps y"}},
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_GELU), ALIAS(arguments.z, arguments.dx, 0)},
     EVR_OVERLAP,
     {"dx overlaps z"}},
    /* refusals of variants, which run a convolution of dy, in the words of the caller's */
    REFUSED(PLANNED, "few-outputs-scalar", SET(desc.in_channels, 65),
            "needs at most 64 input channels a group; desc.in_channels is 65 and desc.groups 1"),
    REFUSED(PLANNED, "depthwise-scalar", SET(desc.groups, 2),
            "needs one output channel a group; desc.out_channels is 6 and desc.groups 2"),
    REFUSED(PLANNED, "depthwise-stride2-scalar", SET(desc.layout, EVR_NCHW),
            "needs desc.layout NHWC; it is NCHW"),
    {PLANNED, /* of one channel, layouts are no matter */
     {SET_TEXT(common.options.variant, "depthwise-stride2-scalar"), SET(desc.in_channels, 1),
      SET(desc.out_channels, 1)},
     EVR_UNSUPPORTED,
     {"needs desc.stride_height 2; it is 1"}},
    REFUSED(
        PLANNED, "depthwise-stride2-scalar", SET(desc.groups, 2),
        "needs one channel in and out of each group; desc.in_channels is 4, desc.out_channels 6 "
        "and desc.groups 2"),
    {PLANNED,
     {SET_TEXT(common.options.variant, "depthwise-stride2-scalar"), SET(desc.groups, 4),
      SET(desc.out_channels, 4), SET(desc.stride_height, 2)},
     EVR_UNSUPPORTED,
     {"needs desc.stride_width 2; it is 1"}},
    {PLANNED,
     {SET_TEXT(common.options.variant, "few-outputs-scalar"), SET(desc.groups, 2),
      SET(desc.dilation_height, INT64_C(1) << 20), SET(desc.pad_top, INT64_C(1) << 21)},
     EVR_UNSUPPORTED,
     {"windows of desc.kernel_height 3 with desc.dilation_height 1048576 need ",
      " bytes of scratch, and there may be "}},
    REFUSED_FAST(PLANNED, "winograd4-scalar", SET(desc.kernel_width, 2),
                 "needs desc.kernel_width 3; it is 2"),
    REFUSED_FAST(PLANNED, "winograd2-scalar", SET(desc.stride_height, 2),
                 "needs desc.kernel_height 3; it is 3, of which desc.stride_height 2 leaves 2"),
    REFUSED_FAST(PLANNED, "winograd4-scalar", SET(desc.dilation_width, 2),
                 "needs desc.dilation_width 1; it is 2"),
    REFUSED_FAST(PLANNED, "winograd4-scalar", SET(desc.groups, 2), "needs desc.groups 1; it is 2"),
    {PLANNED,
     {SET_TEXT(common.options.variant, "direct-scalar"),
      SET(desc.dilation_height, INT64_C(1) << 40), SET(desc.pad_top, INT64_C(1) << 41),
      SET(desc.out_channels, 4096)},
     EVR_UNSUPPORTED,
     {"pads dy for desc.kernel_height 3 with desc.dilation_height 1099511627776 and "
      "desc.kernel_width 3 with desc.dilation_width 1, which does not fit"}},
    OPTION_ROWS(DESC),
    LIST_ROWS(LIST),
};

const bad_subject backward_data_bad = {
    "conv2d_backward_data",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
