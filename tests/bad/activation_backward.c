#include <math.h>

#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_activation_desc desc;
  evr_activation_desc *desc_pointer;
  void **plan_place;
  evr_activation_backward_plan *plan;
  evr_activation_backward_plan *plan_owned; /* what plan was before a row changed it */
  float *dy, *y, *z, *dx;
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
  evr_activation_backward_plan **place = (evr_activation_backward_plan **)f->plan_place;
  const evr_status status =
      evr_activation_backward_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_activation_backward_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_activation_backward(f->desc_pointer, f->common.options_pointer, f->dy, f->y, f->z,
                                 f->dx);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_activation_backward_list_variants(f->desc_pointer, f->common.options_pointer,
                                               f->common.list, f->common.capacity, f->common.count);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_activation_backward_execute(f->plan, f->dy, f->y, f->z, f->dx);
}

static const bad_call calls[] = {
    {"evr_activation_backward_plan_create", plan_create},
    {"evr_activation_backward", one_shot},
    {"evr_activation_backward_list_variants", list_variants},
    {"evr_activation_backward_execute", execute},
};

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_activation_desc){{EVR_ELU, 1.0f}, 37};
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  if (evr_activation_backward_plan_create(&f->desc, NULL, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  f->dy = bad_room(&f->common, 37 * sizeof(float));
  f->y = bad_room(&f->common, 37 * sizeof(float));
  f->z = bad_room(&f->common, 37 * sizeof(float));
  f->dx = bad_room(&f->common, 37 * sizeof(float));
}

static void teardown(void *p) { evr_activation_backward_plan_destroy(((fixture *)p)->plan_owned); }

static const bad_row rows[] = {
    AT_LEAST(DESC, count, 0, 1),
    AT_LEAST(DESC, count, -37, 1),
    {DESC, {SET(desc.count, INT64_MAX)}, EVR_OVERFLOW, {"desc.count is 9223372036854775807"}},
    {DESC,
     {SET(desc.count, INT64_C(1) << 61)},
     EVR_OVERFLOW,
     {"desc.count is 2305843009213693952"}},
    INVALID(DESC, SET(desc.activation.kind, 12),
            "desc.activation.kind is 12, which is no evr_activation_kind: 0 to 11"),
    INVALID(DESC, SET(desc.activation.kind, -1), "desc.activation.kind is -1"),
    INVALID(DESC, SET_REAL(desc.activation.alpha, (double)NAN), "desc.activation.alpha is nan"),
    {DESC,
     {SET(desc.activation.kind, EVR_LEAKY_RELU), SET_REAL(desc.activation.alpha, (double)INFINITY)},
     EVR_INVALID_ARGUMENT,
     {"desc.activation.alpha is inf"}},
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(PLAN_CREATE, plan_place, "plan"),
    NULL_POINTER(EXECUTE, plan, "plan"),
    NULL_POINTER(ONE_SHOT | EXECUTE, dy, "dy"),
    NULL_POINTER(ONE_SHOT | EXECUTE, dx, "dx"),
    {ONE_SHOT | EXECUTE, {SET(y, 0), SET(z, 0)}, EVR_INVALID_ARGUMENT, {"y and z are NULL"}},
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_SILU), SET(z, 0)},
     EVR_INVALID_ARGUMENT,
     {"z is NULL", "before the activation"}},
    {ONE_SHOT,
     {SET(desc.activation.kind, EVR_LEAKY_RELU), SET_REAL(desc.activation.alpha, -0.5), SET(z, 0)},
     EVR_INVALID_ARGUMENT,
     {"z is NULL", "alpha -0.5"}},
    /* in place is allowed, halfway is not */
    OVERLAPS(ONE_SHOT | EXECUTE, dx, dy, 4, "dx overlaps dy"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, dy, -BYTES(37) + 1, "dx overlaps dy"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, y, BYTES(37) - 1, "dx overlaps y"),
    OVERLAPS(ONE_SHOT | EXECUTE, dx, z, -4, "dx overlaps z"),
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject activation_backward_bad = {
    "activation backward",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
