#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_conv2d_desc desc;
  evr_conv2d_desc *desc_pointer;
  void **plan_place;
  evr_conv2d_backward_weights_plan *plan;
  evr_conv2d_backward_weights_plan *plan_owned; /* what plan was before a row changed it */
  evr_conv2d_backward_weights_arguments arguments;
  const evr_conv2d_backward_weights_arguments *arguments_pointer;
} fixture;

enum {
  PLAN_CREATE = 1 << 0,
  ONE_SHOT = 1 << 1,
  LIST = 1 << 2,
  EXECUTE = 1 << 3,
  DESC = PLAN_CREATE | ONE_SHOT | LIST,
  PLANNED = PLAN_CREATE | ONE_SHOT,
  CALL = ONE_SHOT | EXECUTE
};

static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_conv2d_backward_weights_plan **place = (evr_conv2d_backward_weights_plan **)f->plan_place;
  const evr_status status =
      evr_conv2d_backward_weights_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_conv2d_backward_weights_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_weights(f->desc_pointer, f->common.options_pointer,
                                     f->arguments_pointer);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_weights_list_variants(f->desc_pointer, f->common.options_pointer,
                                                   f->common.list, f->common.capacity,
                                                   f->common.count);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_conv2d_backward_weights_execute(f->plan, f->arguments_pointer);
}

static const bad_call calls[] = {
    {"evr_conv2d_backward_weights_plan_create", plan_create},
    {"evr_conv2d_backward_weights", one_shot},
    {"evr_conv2d_backward_weights_list_variants", list_variants},
    {"evr_conv2d_backward_weights_execute", execute},
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
  if (evr_conv2d_backward_weights_plan_create(&f->desc, NULL, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  evr_conv2d_backward_weights_arguments *a = &f->arguments;
  a->dy = bad_room(&f->common, Y_COUNT * sizeof(float));
  a->x = bad_room(&f->common, X_COUNT * sizeof(float));
  a->dweights = bad_room(&f->common, WEIGHTS_COUNT * sizeof(float));
  a->dbias = bad_room(&f->common, 6 * sizeof(float));
  a->workspace = bad_room(&f->common, evr_conv2d_backward_weights_workspace_size(f->plan));
}

static void teardown(void *p) {
  evr_conv2d_backward_weights_plan_destroy(((fixture *)p)->plan_owned);
}

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
    NULL_POINTER(EXECUTE, plan, "plan"),
    NULL_POINTER(CALL, arguments_pointer, "arguments"),
    NULL_POINTER(CALL, arguments.dy, "dy"),
    NULL_POINTER(CALL, arguments.x, "x"),
    {CALL,
     {SET(arguments.dweights, 0), SET(arguments.dbias, 0)},
     EVR_INVALID_ARGUMENT,
     {"dweights is NULL, and so is dbias"}},
    /* buffers that overlap */
    OVERLAPS(CALL, arguments.dweights, arguments.dy, -BYTES(WEIGHTS_COUNT) + 4,
             "dweights overlaps dy"),
    OVERLAPS(CALL, arguments.dweights, arguments.x, 0, "dweights overlaps x"),
    OVERLAPS(CALL, arguments.dweights, arguments.x, BYTES(X_COUNT) - 4, "dweights overlaps x"),
    OVERLAPS(CALL, arguments.dbias, arguments.dy, 0, "dbias overlaps dy"),
    OVERLAPS(CALL, arguments.dbias, arguments.x, BYTES(X_COUNT) - 4, "dbias overlaps x"),
    OVERLAPS(CALL, arguments.dbias, arguments.dweights, 4, "dbias overlaps dweights"),
    OVERLAPS(EXECUTE, arguments.workspace, arguments.dy, 1, "workspace overlaps dy"),
    OVERLAPS(EXECUTE, arguments.workspace, arguments.dbias, 3, "workspace overlaps dbias"),
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
     {SET(desc.activation.kind, EVR_TANH), ALIAS(arguments.y, arguments.dweights, 0)},
     EVR_OVERLAP,
     {"dweights overlaps y"}},
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_GELU), ALIAS(arguments.z, arguments.dweights, 0)},
     EVR_OVERLAP,
     {"dweights overlaps z"}},
    REFUSED(PLANNED, "depthwise-scalar", SET(desc.groups, 2),
            "desc.groups is 2, desc.in_channels 4 and desc.out_channels 6"),
    OPTION_ROWS(DESC),
    LIST_ROWS(LIST),
};

const bad_subject backward_weights_bad = {
    "conv2d_backward_weights",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
