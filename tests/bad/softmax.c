#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_softmax_desc desc;
  evr_softmax_desc *desc_pointer;
  void **plan_place;
  evr_softmax_plan *plan;
  evr_softmax_plan *plan_owned; /* what plan was before a row changed it */
  float *x, *y;
} fixture;

enum {
  PLAN_CREATE = 1 << 0,
  ONE_SHOT = 1 << 1,
  LIST = 1 << 2,
  FORWARD = 1 << 3,
  OPTIONS = PLAN_CREATE | ONE_SHOT | LIST,
  DESC = OPTIONS
};

static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_softmax_plan **place = (evr_softmax_plan **)f->plan_place;
  const evr_status status =
      evr_softmax_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_softmax_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_softmax(f->desc_pointer, f->common.options_pointer, f->x, f->y);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_softmax_list_variants(f->desc_pointer, f->common.options_pointer, f->common.list,
                                   f->common.capacity, f->common.count);
}
static evr_status forward(void *p) {
  fixture *f = p;
  return evr_softmax_forward(f->plan, f->x, f->y);
}

static const bad_call calls[] = {
    {"evr_softmax_plan_create", plan_create},
    {"evr_softmax", one_shot},
    {"evr_softmax_list_variants", list_variants},
    {"evr_softmax_forward", forward},
};

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_softmax_desc){2, 5, 2, 3, EVR_NHWC};
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  if (evr_softmax_plan_create(&f->desc, NULL, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  f->x = bad_room(&f->common, 60 * sizeof(float));
  f->y = bad_room(&f->common, 60 * sizeof(float));
}

static void teardown(void *p) { evr_softmax_plan_destroy(((fixture *)p)->plan_owned); }

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, batch, -2, 1),
    AT_LEAST(DESC, channels, 0, 1),
    AT_LEAST(DESC, channels, -5, 1),
    AT_LEAST(DESC, height, 0, 1),
    AT_LEAST(DESC, height, -2, 1),
    AT_LEAST(DESC, width, 0, 1),
    AT_LEAST(DESC, width, -3, 1),
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    INVALID(DESC, SET(desc.layout, -1), "desc.layout is -1"),
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807", "(desc.batch x "}},
    {DESC,
     {SET(desc.height, INT64_C(1) << 32), SET(desc.width, INT64_C(1) << 32)},
     EVR_OVERFLOW,
     {"4294967296 x 4294967296"}},
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(FORWARD, plan, "plan"),
    NULL_POINTER(ONE_SHOT | FORWARD, x, "x"),
    NULL_POINTER(ONE_SHOT | FORWARD, y, "y"),
    /* in place is allowed, halfway is not */
    OVERLAPS(ONE_SHOT | FORWARD, y, x, 4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, -4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, BYTES(60) - 1, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, -BYTES(60) + 1, "y overlaps x"),
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject softmax_bad = {
    "softmax", sizeof(fixture),
    setup,     teardown,
    calls,     sizeof calls / sizeof calls[0],
    rows,      sizeof rows / sizeof rows[0],
};
