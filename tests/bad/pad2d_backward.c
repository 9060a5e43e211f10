#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_pad2d_desc desc;
  evr_pad2d_desc *desc_pointer;
  evr_layout flatten_layout;
  int64_t flatten_batch, flatten_channels, flatten_height, flatten_width;
  void **plan_place;
  evr_pad2d_backward_plan *plan;
  evr_pad2d_backward_plan *plan_owned; /* what plan was before a row changed it */
  float *dy, *dx;
} fixture;

enum {
  PLAN_CREATE = 1 << 0,
  ONE_SHOT = 1 << 1,
  LIST = 1 << 2,
  EXECUTE = 1 << 3,
  FLATTEN = 1 << 4,
  OPTIONS = PLAN_CREATE | ONE_SHOT | LIST,
  DESC = OPTIONS
};

static evr_status flatten(void *p) {
  fixture *f = p;
  return evr_flatten_backward(f->flatten_layout, f->flatten_batch, f->flatten_channels,
                              f->flatten_height, f->flatten_width, f->dy, f->dx);
}
static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_pad2d_backward_plan **place = (evr_pad2d_backward_plan **)f->plan_place;
  const evr_status status =
      evr_pad2d_backward_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_pad2d_backward_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_pad2d_backward(f->desc_pointer, f->common.options_pointer, f->dy, f->dx);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_pad2d_backward_list_variants(f->desc_pointer, f->common.options_pointer,
                                          f->common.list, f->common.capacity, f->common.count);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_pad2d_backward_execute(f->plan, f->dy, f->dx);
}

static const bad_call calls[] = {
    {"evr_pad2d_backward_plan_create", plan_create},
    {"evr_pad2d_backward", one_shot},
    {"evr_pad2d_backward_list_variants", list_variants},
    {"evr_pad2d_backward_execute", execute},
    {"evr_flatten_backward", flatten},
};

#define X_COUNT (5 * 6 * 3)
#define Y_COUNT (6 * 7 * 3)
#define REFLECT SET(desc.mode, EVR_PAD_REFLECT)
#define FLATTEN_AT_LEAST(field, number)                              \
  {                                                                  \
    FLATTEN, {SET(flatten_##field, number)}, EVR_INVALID_ARGUMENT, { \
#field " is " #number "; it must be at least 1"                \
    }                                                                \
  }

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_pad2d_desc)EVR_PAD2D_DESC_INIT;
  f->desc.channels = 3;
  f->desc.in_height = 5;
  f->desc.in_width = 6;
  f->desc.pad_top = f->desc.pad_left = 1;
  f->flatten_batch = 1;
  f->flatten_channels = 3;
  f->flatten_height = 5;
  f->flatten_width = 6;
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  if (evr_pad2d_backward_plan_create(&f->desc, NULL, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  f->dy = bad_room(&f->common, Y_COUNT * sizeof(float));
  f->dx = bad_room(&f->common, X_COUNT * sizeof(float));
}

static void teardown(void *p) { evr_pad2d_backward_plan_destroy(((fixture *)p)->plan_owned); }

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, batch, -1, 1),
    AT_LEAST(DESC, channels, 0, 1),
    AT_LEAST(DESC, channels, -3, 1),
    AT_LEAST(DESC, in_height, 0, 1),
    AT_LEAST(DESC, in_height, -5, 1),
    AT_LEAST(DESC, in_width, 0, 1),
    AT_LEAST(DESC, in_width, -6, 1),
    AT_LEAST(DESC, pad_top, -1, 0),
    AT_LEAST(DESC, pad_bottom, -2, 0),
    AT_LEAST(DESC, pad_left, -3, 0),
    AT_LEAST(DESC, pad_right, -9223372036854775807, 0),
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    INVALID(DESC, SET(desc.layout, -1), "desc.layout is -1"),
    INVALID(DESC, SET(desc.mode, 3), "desc.mode is 3"),
    INVALID(DESC, SET(desc.mode, -1), "desc.mode is -1"),
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
    {DESC, {REFLECT, SET(desc.pad_right, 9)}, EVR_INVALID_ARGUMENT, {"desc.pad_right is 9"}},
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
     {SET(desc.pad_top, INT64_MAX)},
     EVR_OVERFLOW,
     {"desc.in_height 5 plus desc.pad_top 9223372036854775807 and desc.pad_bottom 0"}},
    {DESC,
     {SET(desc.pad_right, INT64_C(1) << 61)},
     EVR_OVERFLOW,
     {"y would have", "2305843009213693"}},
    /* null pointers */
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(EXECUTE, plan, "plan"),
    NULL_POINTER(ONE_SHOT | EXECUTE | FLATTEN, dy, "dy"),
    NULL_POINTER(ONE_SHOT | EXECUTE | FLATTEN, dx, "dx"),
    /* buffers that overlap */
    OVERLAPS(ONE_SHOT | EXECUTE | FLATTEN, dx, dy, 0, "dx overlaps dy"),
    OVERLAPS(ONE_SHOT | EXECUTE | FLATTEN, dx, dy, -BYTES(X_COUNT) + 4, "dx overlaps dy"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, dy, BYTES(Y_COUNT) - 4, "dx overlaps dy"),
    /* flatten */
    FLATTEN_AT_LEAST(batch, 0),
    FLATTEN_AT_LEAST(batch, -1),
    FLATTEN_AT_LEAST(channels, 0),
    FLATTEN_AT_LEAST(channels, -3),
    FLATTEN_AT_LEAST(height, 0),
    FLATTEN_AT_LEAST(height, -5),
    FLATTEN_AT_LEAST(width, 0),
    FLATTEN_AT_LEAST(width, -6),
    INVALID(FLATTEN, SET(flatten_layout, 2), "layout is 2"),
    INVALID(FLATTEN, SET(flatten_layout, -1), "layout is -1"),
    {FLATTEN,
     {SET(flatten_height, INT64_C(1) << 32), SET(flatten_width, INT64_C(1) << 32)},
     EVR_OVERFLOW,
     {"4294967296 x 4294967296"}},
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject pad2d_backward_bad = {
    "pad2d backward",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
