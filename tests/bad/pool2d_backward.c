#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_pool2d_desc desc;
  evr_pool2d_desc *desc_pointer;
  void **plan_place;
  evr_pool2d_backward_plan *plan;
  evr_pool2d_backward_plan *plan_owned; /* what plan was before a row changed it */
  float *dy, *x, *dx;
  int32_t *indices;
  void *workspace;
} fixture;

enum {
  PLAN_CREATE = 1 << 0,
  ONE_SHOT = 1 << 1,
  LIST = 1 << 2,
  EXECUTE = 1 << 3,
  OPTIONS = PLAN_CREATE | ONE_SHOT | LIST,
  DESC = OPTIONS
};

static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_pool2d_backward_plan **place = (evr_pool2d_backward_plan **)f->plan_place;
  const evr_status status =
      evr_pool2d_backward_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_pool2d_backward_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_pool2d_backward(f->desc_pointer, f->common.options_pointer, f->dy, f->indices, f->x,
                             f->dx);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_pool2d_backward_list_variants(f->desc_pointer, f->common.options_pointer,
                                           f->common.list, f->common.capacity, f->common.count);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_pool2d_backward_execute(f->plan, f->dy, f->indices, f->x, f->dx, f->workspace);
}

static const bad_call calls[] = {
    {"evr_pool2d_backward_plan_create", plan_create},
    {"evr_pool2d_backward", one_shot},
    {"evr_pool2d_backward_list_variants", list_variants},
    {"evr_pool2d_backward_execute", execute},
};

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_pool2d_desc)EVR_POOL2D_DESC_INIT;
  f->desc.channels = 3;
  f->desc.in_height = 5;
  f->desc.in_width = 6;
  f->desc.window.kind = EVR_POOL_MAX;
  f->desc.window.kernel_height = f->desc.window.kernel_width = 2;
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  if (evr_pool2d_backward_plan_create(&f->desc, NULL, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  f->dy = bad_room(&f->common, 4 * 5 * 3 * sizeof(float));
  f->x = bad_room(&f->common, 5 * 6 * 3 * sizeof(float));
  f->dx = bad_room(&f->common, 5 * 6 * 3 * sizeof(float));
  f->indices = bad_room(&f->common, 4 * 5 * 3 * sizeof(int32_t));
}

static void teardown(void *p) { evr_pool2d_backward_plan_destroy(((fixture *)p)->plan_owned); }

#define X_COUNT (5 * 6 * 3)
#define Y_COUNT (4 * 5 * 3)

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, batch, -1, 1),
    AT_LEAST(DESC, channels, 0, 1),
    AT_LEAST(DESC, channels, -3, 1),
    AT_LEAST(DESC, in_height, 0, 1),
    AT_LEAST(DESC, in_height, -5, 1),
    AT_LEAST(DESC, in_width, 0, 1),
    AT_LEAST(DESC, in_width, -6, 1),
    AT_LEAST(DESC, window.kernel_height, 0, 1),
    AT_LEAST(DESC, window.kernel_height, -2, 1),
    AT_LEAST(DESC, window.kernel_width, 0, 1),
    AT_LEAST(DESC, window.kernel_width, -2, 1),
    AT_LEAST(DESC, window.stride_height, 0, 1),
    AT_LEAST(DESC, window.stride_height, -1, 1),
    AT_LEAST(DESC, window.stride_width, 0, 1),
    AT_LEAST(DESC, window.stride_width, -1, 1),
    AT_LEAST(DESC, window.dilation_height, 0, 1),
    AT_LEAST(DESC, window.dilation_height, -1, 1),
    AT_LEAST(DESC, window.dilation_width, 0, 1),
    AT_LEAST(DESC, window.dilation_width, -1, 1),
    AT_LEAST(DESC, window.pad_top, -1, 0),
    AT_LEAST(DESC, window.pad_bottom, -2, 0),
    AT_LEAST(DESC, window.pad_left, -3, 0),
    AT_LEAST(DESC, window.pad_right, -9223372036854775807, 0),
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    INVALID(DESC, SET(desc.layout, -1), "desc.layout is -1"),
    INVALID(DESC, SET(desc.window.kind, EVR_POOL_NONE), "desc.window.kind is 0"),
    INVALID(DESC, SET(desc.window.kind, 4), "desc.window.kind is 4"),
    INVALID(DESC, SET(desc.window.kind, -1), "desc.window.kind is -1"),
    /* a window larger than the padded input, pads as large as the window */
    INVALID(DESC, SET(desc.window.kernel_height, 6), "desc.window.kernel_height is 6"),
    INVALID(DESC, SET(desc.window.kernel_width, 7), "desc.window.kernel_width is 7"),
    {DESC,
     {SET(desc.window.dilation_width, 6)},
     EVR_INVALID_ARGUMENT,
     {"desc.window.dilation_width 6", "7"}},
    INVALID(DESC, SET(desc.window.pad_top, 2), "desc.window.pad_top is 2"),
    INVALID(DESC, SET(desc.window.pad_bottom, 2), "desc.window.pad_bottom is 2"),
    INVALID(DESC, SET(desc.window.pad_left, 3), "desc.window.pad_left is 3"),
    INVALID(DESC, SET(desc.window.pad_right, 2), "desc.window.pad_right is 2"),
    /* products that overflow */
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807", "(desc.batch x "}},
    {DESC,
     {SET(desc.batch, INT64_C(1) << 60), SET(desc.channels, 16)},
     EVR_OVERFLOW,
     {"1152921504606846976", "16"}},
    {DESC,
     {SET(desc.in_height, INT64_C(1) << 32), SET(desc.in_width, INT64_C(1) << 32)},
     EVR_OVERFLOW,
     {"4294967296 x 4294967296"}},
    {DESC,
     {SET(desc.window.dilation_height, INT64_MAX), SET(desc.window.kernel_height, 3)},
     EVR_OVERFLOW,
     {"desc.window.dilation_height 9223372036854775807"}},
    {DESC,
     {SET(desc.window.pad_left, INT64_MAX)},
     EVR_OVERFLOW,
     {"desc.in_width 6", "9223372036854775807"}},
    {DESC,
     {SET(desc.in_height, INT64_C(1) << 62), SET(desc.in_width, 2), SET(desc.window.global, 1)},
     EVR_OVERFLOW,
     {"x would have", "4611686018427387904"}},
    /* indices where there are none, or where 32 bits do not tell them apart */
    {ONE_SHOT, {SET(desc.window.kind, EVR_POOL_AVERAGE)}, EVR_INVALID_ARGUMENT, {"indices"}},
    {ONE_SHOT,
     {SET(desc.in_height, 65536), SET(desc.in_width, 32768)},
     EVR_INVALID_ARGUMENT,
     {"indices", "65536 x 32768"}},
    /* null pointers */
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(EXECUTE, plan, "plan"),
    NULL_POINTER(ONE_SHOT | EXECUTE, dy, "dy"),
    NULL_POINTER(ONE_SHOT | EXECUTE, dx, "dx"),
    {ONE_SHOT | EXECUTE,
     {SET(indices, 0), SET(x, 0)},
     EVR_INVALID_ARGUMENT,
     {"indices and x are NULL", "winner"}},
    /* buffers that overlap */
    OVERLAPS(ONE_SHOT | EXECUTE, dx, dy, 0, "dx overlaps dy"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, dy, BYTES(Y_COUNT) - 4, "dx overlaps dy"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, x, 0, "dx overlaps x"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, x, BYTES(X_COUNT) - 4, "dx overlaps x"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, indices, 0, "dx overlaps indices"),
    OVERLAPS(EXECUTE, workspace, x, 0, "workspace overlaps x"),
    OVERLAPS(EXECUTE, workspace, dx, 0, "workspace overlaps"),
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject pool2d_backward_bad = {
    "pool2d backward",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
