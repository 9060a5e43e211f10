#include <math.h>

#include "bad/bad.h"

/* Both backward passes of dense layers. */
typedef struct fixture {
  bad_common common;
  evr_dense_desc desc;
  evr_dense_desc *desc_pointer;
  void **plan_place;
  evr_dense_backward_data_plan *data, *data_owned; /* owned: before a row changed it */
  evr_dense_backward_weights_plan *weights, *weights_owned;
  evr_dense_backward_data_arguments d;
  evr_dense_backward_data_arguments *d_pointer;
  evr_dense_backward_weights_arguments w;
  evr_dense_backward_weights_arguments *w_pointer;
} fixture;

enum {
  DATA_CREATE = 1 << 0,
  DATA_LIST = 1 << 1,
  DATA_EXECUTE = 1 << 2,
  DATA_SHOT = 1 << 3,
  WEIGHTS_CREATE = 1 << 4,
  WEIGHTS_LIST = 1 << 5,
  WEIGHTS_EXECUTE = 1 << 6,
  WEIGHTS_SHOT = 1 << 7,
  DATA = DATA_EXECUTE | DATA_SHOT,
  WEIGHTS = WEIGHTS_EXECUTE | WEIGHTS_SHOT,
  LISTS = DATA_LIST | WEIGHTS_LIST,
  DESC = DATA_CREATE | DATA_SHOT | WEIGHTS_CREATE | WEIGHTS_SHOT | LISTS
};

static evr_status create_data(void *p) {
  fixture *f = p;
  evr_dense_backward_data_plan **place = (evr_dense_backward_data_plan **)f->plan_place;
  const evr_status status =
      evr_dense_backward_data_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_dense_backward_data_plan_destroy(*place);
  return checked;
}
static evr_status list_data(void *p) {
  fixture *f = p;
  return evr_dense_backward_data_list_variants(f->desc_pointer, f->common.options_pointer,
                                               f->common.list, f->common.capacity, f->common.count);
}

static evr_status create_weights(void *p) {
  fixture *f = p;
  evr_dense_backward_weights_plan **place = (evr_dense_backward_weights_plan **)f->plan_place;
  const evr_status status =
      evr_dense_backward_weights_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_dense_backward_weights_plan_destroy(*place);
  return checked;
}
static evr_status list_weights(void *p) {
  fixture *f = p;
  return evr_dense_backward_weights_list_variants(f->desc_pointer, f->common.options_pointer,
                                                  f->common.list, f->common.capacity,
                                                  f->common.count);
}

static evr_status execute_data(void *p) {
  fixture *f = p;
  return evr_dense_backward_data_execute(f->data, f->d_pointer);
}
static evr_status shot_data(void *p) {
  fixture *f = p;
  return evr_dense_backward_data(f->desc_pointer, f->common.options_pointer, f->d_pointer);
}
static evr_status execute_weights(void *p) {
  fixture *f = p;
  return evr_dense_backward_weights_execute(f->weights, f->w_pointer);
}
static evr_status shot_weights(void *p) {
  fixture *f = p;
  return evr_dense_backward_weights(f->desc_pointer, f->common.options_pointer, f->w_pointer);
}

static const bad_call calls[] = {
    {"evr_dense_backward_data_plan_create", create_data},
    {"evr_dense_backward_data_list_variants", list_data},
    {"evr_dense_backward_data_execute", execute_data},
    {"evr_dense_backward_data", shot_data},
    {"evr_dense_backward_weights_plan_create", create_weights},
    {"evr_dense_backward_weights_list_variants", list_weights},
    {"evr_dense_backward_weights_execute", execute_weights},
    {"evr_dense_backward_weights", shot_weights},
};

#define BATCH 3
#define IN 8
#define OUT 6

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_dense_desc)EVR_DENSE_DESC_INIT;
  f->desc.batch = BATCH;
  f->desc.in_features = IN;
  f->desc.out_features = OUT;
  f->desc.activation.kind = EVR_TANH;
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  if (evr_dense_backward_data_plan_create(&f->desc, NULL, &f->data_owned) != EVR_OK ||
      evr_dense_backward_weights_plan_create(&f->desc, NULL, &f->weights_owned) != EVR_OK)
    return;
  f->data = f->data_owned;
  f->weights = f->weights_owned;
  float *dy = bad_room(&f->common, BATCH * OUT * sizeof(float));
  float *y = bad_room(&f->common, BATCH * OUT * sizeof(float));
  f->d = (evr_dense_backward_data_arguments){.dy = dy, .y = y};
  f->d.weights = bad_room(&f->common, IN * OUT * sizeof(float));
  f->d.dx = bad_room(&f->common, BATCH * IN * sizeof(float));
  f->w = (evr_dense_backward_weights_arguments){.dy = dy, .y = y};
  f->w.x = bad_room(&f->common, BATCH * IN * sizeof(float));
  f->w.dweights = bad_room(&f->common, IN * OUT * sizeof(float));
  f->w.dbias = bad_room(&f->common, OUT * sizeof(float));
  f->d_pointer = &f->d;
  f->w_pointer = &f->w;
}

static void teardown(void *p) {
  fixture *f = p;
  evr_dense_backward_data_plan_destroy(f->data_owned);
  evr_dense_backward_weights_plan_destroy(f->weights_owned);
}

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, in_features, -8, 1),
    AT_LEAST(DESC, out_features, 0, 1),
    INVALID(DESC, SET(desc.weights_layout, 2), "desc.weights_layout is 2"),
    INVALID(DESC, SET(desc.activation.kind, 12),
            "desc.activation.kind is 12, which is no evr_activation_kind: 0 to 11"),
    {DESC,
     {SET(desc.activation.kind, EVR_ELU), SET_REAL(desc.activation.alpha, (double)NAN)},
     EVR_INVALID_ARGUMENT,
     {"desc.activation.alpha is nan"}},
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807 x 8", "(desc.batch x desc.in_features)"}},
    {DESC,
     {SET(desc.in_features, INT64_C(1) << 40), SET(desc.out_features, INT64_C(1) << 40)},
     EVR_OVERFLOW,
     {"the weights would have 1099511627776 x 1099511627776"}},
    NULL_POINTER(DESC, desc_pointer, "desc"),
    NULL_POINTER(DATA_CREATE | WEIGHTS_CREATE, plan_place, "plan"),
    NULL_POINTER(DATA_EXECUTE, data, "plan"),
    NULL_POINTER(WEIGHTS_EXECUTE, weights, "plan"),
    NULL_POINTER(DATA, d_pointer, "arguments"),
    NULL_POINTER(WEIGHTS, w_pointer, "arguments"),
    NULL_POINTER(DATA, d.dy, "dy"),
    NULL_POINTER(DATA, d.weights, "weights"),
    NULL_POINTER(DATA, d.dx, "dx"),
    {DATA, {SET(d.y, 0)}, EVR_INVALID_ARGUMENT, {"y and z are NULL"}},
    {WEIGHTS, {SET(w.y, 0)}, EVR_INVALID_ARGUMENT, {"y and z are NULL"}},
    {DATA_SHOT, {SET(desc.activation.kind, EVR_GELU)}, EVR_INVALID_ARGUMENT, {"z is NULL"}},
    NULL_POINTER(WEIGHTS, w.x, "x"),
    NULL_POINTER(WEIGHTS, w.dy, "dy"),
    NULL_POINTER(WEIGHTS, w.dweights, "dweights"),
    OVERLAPS(DATA, d.dx, d.dy, 0, "dx overlaps dy"),
    OVERLAPS(DATA, d.dx, d.y, 4, "dx overlaps y"),
    OVERLAPS(DATA, d.dx, d.weights, BYTES(IN *OUT) - 4, "dx overlaps weights"),
    OVERLAPS(DATA, d.workspace, d.dx, 0, "workspace overlaps dx"),
    OVERLAPS(WEIGHTS, w.dweights, w.x, 0, "dweights overlaps x"),
    OVERLAPS(WEIGHTS, w.dbias, w.dweights, 8, "dbias overlaps dweights"),
    OVERLAPS(WEIGHTS, w.workspace, w.dweights, 0, "workspace overlaps"),
    OPTION_ROWS(DESC),
    LIST_ROWS(LISTS),
};

const bad_subject dense_backward_bad = {
    "dense backward",
    sizeof(fixture),
    setup,
    teardown,
    calls,
    sizeof calls / sizeof calls[0],
    rows,
    sizeof rows / sizeof rows[0],
};
