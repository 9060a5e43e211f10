#include "bad/bad.h"

/* The backward pass of softmax, and the losses. */
typedef struct fixture {
  bad_common common;
  evr_softmax_desc desc;
  evr_softmax_desc *desc_pointer;
  int64_t count; /* of the binary loss */
  void **plan_place;
  evr_softmax_backward_plan *softmax, *softmax_owned; /* owned: before a row changed it */
  evr_softmax_cross_entropy_plan *entropy, *entropy_owned;
  evr_sigmoid_cross_entropy_plan *binary, *binary_owned;
  float *dy, *y, *dx, *x, *loss, *targets;
  evr_softmax_cross_entropy_arguments arguments;
  evr_softmax_cross_entropy_arguments *arguments_pointer;
} fixture;

enum {
  SOFTMAX_CREATE = 1 << 0,
  SOFTMAX_LIST = 1 << 1,
  SOFTMAX_EXECUTE = 1 << 2,
  SOFTMAX_SHOT = 1 << 3,
  ENTROPY_CREATE = 1 << 4,
  ENTROPY_LIST = 1 << 5,
  ENTROPY_EXECUTE = 1 << 6,
  ENTROPY_SHOT = 1 << 7,
  BINARY_CREATE = 1 << 8,
  BINARY_LIST = 1 << 9,
  BINARY_EXECUTE = 1 << 10,
  BINARY_SHOT = 1 << 11,
  DESC =
      SOFTMAX_CREATE | SOFTMAX_LIST | SOFTMAX_SHOT | ENTROPY_CREATE | ENTROPY_LIST | ENTROPY_SHOT,
  BINARY = BINARY_CREATE | BINARY_LIST | BINARY_SHOT,
  SOFTMAX = SOFTMAX_EXECUTE | SOFTMAX_SHOT,
  ENTROPY = ENTROPY_EXECUTE | ENTROPY_SHOT
};

static evr_status create_softmax(void *p) {
  fixture *f = p;
  evr_softmax_backward_plan **place = (evr_softmax_backward_plan **)f->plan_place;
  const evr_status status =
      evr_softmax_backward_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_softmax_backward_plan_destroy(*place);
  return checked;
}
static evr_status list_softmax(void *p) {
  fixture *f = p;
  return evr_softmax_backward_list_variants(f->desc_pointer, f->common.options_pointer,
                                            f->common.list, f->common.capacity, f->common.count);
}

static evr_status create_entropy(void *p) {
  fixture *f = p;
  evr_softmax_cross_entropy_plan **place = (evr_softmax_cross_entropy_plan **)f->plan_place;
  const evr_status status =
      evr_softmax_cross_entropy_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_softmax_cross_entropy_plan_destroy(*place);
  return checked;
}
static evr_status list_entropy(void *p) {
  fixture *f = p;
  return evr_softmax_cross_entropy_list_variants(f->desc_pointer, f->common.options_pointer,
                                                 f->common.list, f->common.capacity,
                                                 f->common.count);
}

static evr_status create_binary(void *p) {
  fixture *f = p;
  evr_sigmoid_cross_entropy_plan **place = (evr_sigmoid_cross_entropy_plan **)f->plan_place;
  const evr_status status =
      evr_sigmoid_cross_entropy_plan_create(f->count, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_sigmoid_cross_entropy_plan_destroy(*place);
  return checked;
}
static evr_status list_binary(void *p) {
  fixture *f = p;
  return evr_sigmoid_cross_entropy_list_variants(
      f->count, f->common.options_pointer, f->common.list, f->common.capacity, f->common.count);
}

static evr_status execute_softmax(void *p) {
  fixture *f = p;
  return evr_softmax_backward_execute(f->softmax, f->dy, f->y, f->dx);
}
static evr_status shot_softmax(void *p) {
  fixture *f = p;
  return evr_softmax_backward(f->desc_pointer, f->common.options_pointer, f->dy, f->y, f->dx);
}
static evr_status execute_entropy(void *p) {
  fixture *f = p;
  return evr_softmax_cross_entropy_execute(f->entropy, f->arguments_pointer);
}
static evr_status shot_entropy(void *p) {
  fixture *f = p;
  return evr_softmax_cross_entropy(f->desc_pointer, f->common.options_pointer,
                                   f->arguments_pointer);
}
static evr_status execute_binary(void *p) {
  fixture *f = p;
  return evr_sigmoid_cross_entropy_execute(f->binary, f->x, f->targets, 1.0f, f->loss, f->dx);
}
static evr_status shot_binary(void *p) {
  fixture *f = p;
  return evr_sigmoid_cross_entropy(f->count, f->common.options_pointer, f->x, f->targets, 1.0f,
                                   f->loss, f->dx);
}

static const bad_call calls[] = {
    {"evr_softmax_backward_plan_create", create_softmax},
    {"evr_softmax_backward_list_variants", list_softmax},
    {"evr_softmax_backward_execute", execute_softmax},
    {"evr_softmax_backward", shot_softmax},
    {"evr_softmax_cross_entropy_plan_create", create_entropy},
    {"evr_softmax_cross_entropy_list_variants", list_entropy},
    {"evr_softmax_cross_entropy_execute", execute_entropy},
    {"evr_softmax_cross_entropy", shot_entropy},
    {"evr_sigmoid_cross_entropy_plan_create", create_binary},
    {"evr_sigmoid_cross_entropy_list_variants", list_binary},
    {"evr_sigmoid_cross_entropy_execute", execute_binary},
    {"evr_sigmoid_cross_entropy", shot_binary},
};

#define ROWS 12
#define FLOATS (ROWS * 5)

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_softmax_desc){2, 5, 2, 3, EVR_NHWC};
  f->desc_pointer = &f->desc;
  f->count = FLOATS;
  f->plan_place = &f->common.plan_out;
  if (evr_softmax_backward_plan_create(&f->desc, NULL, &f->softmax_owned) != EVR_OK ||
      evr_softmax_cross_entropy_plan_create(&f->desc, NULL, &f->entropy_owned) != EVR_OK ||
      evr_sigmoid_cross_entropy_plan_create(FLOATS, NULL, &f->binary_owned) != EVR_OK)
    return;
  f->softmax = f->softmax_owned;
  f->entropy = f->entropy_owned;
  f->binary = f->binary_owned;
  float **const tensors[] = {&f->dy, &f->y, &f->x, &f->targets, &f->loss, &f->dx};
  for (int i = 0; i < 6; i++) *tensors[i] = bad_room(&f->common, FLOATS * sizeof(float));
  int32_t *labels = bad_room(&f->common, ROWS * sizeof *labels);
  for (int i = 0; i < ROWS; i++) labels[i] = i % 5;
  labels[ROWS] = 77; /* for rows that move the labels on */
  f->arguments = (evr_softmax_cross_entropy_arguments){f->x, labels, NULL, 1.0f, f->loss, f->dx};
  f->arguments_pointer = &f->arguments;
}

static void teardown(void *p) {
  fixture *f = p;
  evr_softmax_backward_plan_destroy(f->softmax_owned);
  evr_softmax_cross_entropy_plan_destroy(f->entropy_owned);
  evr_sigmoid_cross_entropy_plan_destroy(f->binary_owned);
}

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, channels, -3, 1),
    AT_LEAST(DESC, height, 0, 1),
    AT_LEAST(DESC, width, -1, 1),
    INVALID(DESC, SET(desc.layout, 2), "desc.layout is 2"),
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807", "(desc.batch x "}},
    {BINARY, {SET(count, 0)}, EVR_INVALID_ARGUMENT, {"count is 0; it must be at least 1"}},
    {BINARY, {SET(count, INT64_MAX)}, EVR_OVERFLOW, {"count is 9223372036854775807"}},
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(SOFTMAX_CREATE | ENTROPY_CREATE | BINARY_CREATE, plan_place, "plan"),
    NULL_POINTER(SOFTMAX_EXECUTE, softmax, "plan"),
    NULL_POINTER(ENTROPY_EXECUTE, entropy, "plan"),
    NULL_POINTER(BINARY_EXECUTE, binary, "plan"),
    NULL_POINTER(SOFTMAX, dy, "dy"),
    NULL_POINTER(SOFTMAX, y, "y"),
    NULL_POINTER(SOFTMAX | BINARY_EXECUTE | BINARY_SHOT, dx, "dx"),
    NULL_POINTER(BINARY_EXECUTE | BINARY_SHOT, x, "x"),
    NULL_POINTER(BINARY_EXECUTE | BINARY_SHOT, targets, "targets"),
    NULL_POINTER(BINARY_EXECUTE | BINARY_SHOT, loss, "loss"),
    NULL_POINTER(ENTROPY, arguments_pointer, "arguments"),
    NULL_POINTER(ENTROPY, arguments.x, "x"),
    NULL_POINTER(ENTROPY, arguments.loss, "loss"),
    NULL_POINTER(ENTROPY, arguments.dx, "dx"),
    {ENTROPY, {SET(arguments.labels, 0)}, EVR_INVALID_ARGUMENT, {"are NULL", "targets"}},
    {ENTROPY,
     {ALIAS(arguments.targets, targets, 0)},
     EVR_INVALID_ARGUMENT,
     {"are both given", "labels"}},
    /* the last label is 77; read as labels, the bytes of the arena are far too large */
    {ENTROPY,
     {ALIAS(arguments.labels, arguments.labels, 4)},
     EVR_INVALID_ARGUMENT,
     {"labels[11] is 77; it must be from 0 to 4"}},
    {ENTROPY, {ALIAS(arguments.labels, y, 0)}, EVR_INVALID_ARGUMENT, {"labels[0] is"}},
    OVERLAPS(SOFTMAX, dx, dy, 4, "dx overlaps dy"),
    OVERLAPS(SOFTMAX, dx, y, -BYTES(FLOATS) + 1, "dx overlaps y"),
    OVERLAPS(BINARY_EXECUTE | BINARY_SHOT, dx, x, 0, "dx overlaps x"),
    OVERLAPS(BINARY_EXECUTE | BINARY_SHOT, loss, targets, 0, "loss overlaps targets"),
    OVERLAPS(BINARY_EXECUTE | BINARY_SHOT, dx, loss, 8, "dx overlaps loss"),
    OVERLAPS(ENTROPY, arguments.dx, x, 0, "dx overlaps x"),
    OVERLAPS(ENTROPY, arguments.loss, x, 4, "loss overlaps x"),
    OVERLAPS(ENTROPY, arguments.loss, arguments.labels, 0, "loss overlaps labels"),
    OPTION_ROWS(DESC | BINARY),
    LIST_ROWS(SOFTMAX_LIST | ENTROPY_LIST),
    {BINARY_LIST, {SET(common.count, 0)}, EVR_INVALID_ARGUMENT, {"count is NULL"}},
};

const bad_subject loss_bad = {
    "losses", sizeof(fixture),
    setup,    teardown,
    calls,    sizeof calls / sizeof calls[0],
    rows,     sizeof rows / sizeof rows[0],
};
