#include <math.h>

#include "bad/bad.h"

typedef struct fixture {
  bad_common common;
  evr_dense_desc desc;
  evr_dense_desc *desc_pointer;
  void **plan_place;
  evr_dense_plan *plan;
  evr_dense_plan *plan_owned; /* what plan was before a row changed it */
  evr_dense_arguments arguments;
  const evr_dense_arguments *arguments_pointer;
  float *x, *weights, *bias, *y;
  void *packed, *packed_output, *workspace;
} fixture;

enum {
  PLAN_CREATE = 1 << 0,
  ONE_SHOT = 1 << 1,
  LIST = 1 << 2,
  PACK = 1 << 3,
  EXECUTE = 1 << 4,
  FORWARD = 1 << 5,
  OPTIONS = PLAN_CREATE | ONE_SHOT | LIST,
  DESC = OPTIONS
};

static evr_status plan_create(void *p) {
  fixture *f = p;
  evr_dense_plan **place = (evr_dense_plan **)f->plan_place;
  const evr_status status =
      evr_dense_plan_create(f->desc_pointer, f->common.options_pointer, place);
  if (place == NULL) return status;
  const evr_status checked = bad_plan_status(status, *place);
  evr_dense_plan_destroy(*place);
  return checked;
}
static evr_status one_shot(void *p) {
  fixture *f = p;
  return evr_dense(f->desc_pointer, f->common.options_pointer, f->x, f->weights, f->bias, f->y);
}
static evr_status list_variants(void *p) {
  fixture *f = p;
  return evr_dense_list_variants(f->desc_pointer, f->common.options_pointer, f->common.list,
                                 f->common.capacity, f->common.count);
}
static evr_status pack(void *p) {
  fixture *f = p;
  return evr_dense_pack(f->plan, f->weights, f->packed_output);
}
static evr_status execute(void *p) {
  fixture *f = p;
  return evr_dense_execute(f->plan, f->arguments_pointer);
}
static evr_status forward(void *p) {
  fixture *f = p;
  return evr_dense_forward(f->plan, f->x, f->weights, f->bias, f->y, f->workspace);
}

static const bad_call calls[] = {
    {"evr_dense_plan_create", plan_create},
    {"evr_dense", one_shot},
    {"evr_dense_list_variants", list_variants},
    {"evr_dense_pack", pack},
    {"evr_dense_execute", execute},
    {"evr_dense_forward", forward},
};

#define BATCH 2
#define INS 7
#define OUTS 10

static void setup(void *p) {
  fixture *f = p;
  f->desc = (evr_dense_desc)EVR_DENSE_DESC_INIT;
  f->desc.batch = BATCH;
  f->desc.in_features = INS;
  f->desc.out_features = OUTS;
  f->desc_pointer = &f->desc;
  f->plan_place = &f->common.plan_out;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "gemm-scalar"; /* one that packs, on every machine */
  if (evr_dense_plan_create(&f->desc, &options, &f->plan_owned) != EVR_OK) return;
  f->plan = f->plan_owned;
  f->x = bad_room(&f->common, BATCH * INS * sizeof(float));
  f->weights = bad_room(&f->common, INS * OUTS * sizeof(float));
  f->bias = bad_room(&f->common, OUTS * sizeof(float));
  f->y = bad_room(&f->common, BATCH * OUTS * sizeof(float));
  f->packed = bad_room(&f->common, evr_dense_packed_size(f->plan));
  f->packed_output = bad_room(&f->common, evr_dense_packed_size(f->plan));
  f->workspace = bad_room(&f->common, evr_dense_workspace_size(f->plan, false));
  f->arguments = (evr_dense_arguments){f->x, f->weights, f->packed, f->bias, f->y, f->workspace};
  f->arguments_pointer = &f->arguments;
}

static void teardown(void *p) { evr_dense_plan_destroy(((fixture *)p)->plan_owned); }

static const bad_row rows[] = {
    AT_LEAST(DESC, batch, 0, 1),
    AT_LEAST(DESC, batch, -2, 1),
    AT_LEAST(DESC, in_features, 0, 1),
    AT_LEAST(DESC, in_features, -7, 1),
    AT_LEAST(DESC, out_features, 0, 1),
    AT_LEAST(DESC, out_features, -10, 1),
    INVALID(DESC, SET(desc.weights_layout, 2), "desc.weights_layout is 2"),
    INVALID(DESC, SET(desc.weights_layout, -1), "desc.weights_layout is -1"),
    INVALID(DESC, SET(desc.activation.kind, 12),
            "desc.activation.kind is 12, which is no evr_activation_kind: 0 to 11"),
    INVALID(DESC, SET(desc.activation.kind, -1), "desc.activation.kind is -1"),
    {DESC,
     {SET(desc.activation.kind, EVR_ELU), SET_REAL(desc.activation.alpha, (double)NAN)},
     EVR_INVALID_ARGUMENT,
     {"desc.activation.alpha is nan"}},
    /* products that overflow */
    {DESC,
     {SET(desc.batch, INT64_MAX)},
     EVR_OVERFLOW,
     {"x would have 9223372036854775807 x 7", "(desc.batch x desc.in_features)"}},
    {DESC,
     {SET(desc.in_features, INT64_C(1) << 32), SET(desc.out_features, INT64_C(1) << 32)},
     EVR_OVERFLOW,
     {"weights would have 4294967296 x 4294967296"}},
    {DESC,
     {SET(desc.batch, INT64_C(1) << 32), SET(desc.out_features, INT64_C(1) << 32),
      SET(desc.in_features, 1)},
     EVR_OVERFLOW,
     {"y would have 4294967296 x 4294967296"}},
    {DESC,
     {SET(desc.out_features, INT64_C(1) << 61), SET(desc.in_features, 1)},
     EVR_OVERFLOW,
     {"2305843009213693952"}},
    /* null pointers */
    NULL_POINTER(DESC, desc_pointer, "desc"),
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
    /* buffers that overlap */
    OVERLAPS(ONE_SHOT | FORWARD, y, x, 0, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, x, BYTES(BATCH *INS) - 4, "y overlaps x"),
    OVERLAPS(ONE_SHOT | FORWARD, y, weights, -BYTES(BATCH *OUTS) + 1, "y overlaps weights"),
    OVERLAPS(ONE_SHOT | FORWARD, y, bias, 4, "y overlaps bias"),
    OVERLAPS(FORWARD, workspace, x, 0, "workspace overlaps x"),
    OVERLAPS(FORWARD, workspace, weights, 1, "workspace overlaps weights"),
    OVERLAPS(FORWARD, workspace, bias, 0, "workspace overlaps bias"),
    OVERLAPS(FORWARD, workspace, y, BYTES(BATCH *OUTS) - 1, "workspace overlaps y"),
    OVERLAPS(PACK, packed_output, weights, BYTES(INS *OUTS) - 1, "packed overlaps weights"),
    OVERLAPS(EXECUTE, arguments.y, arguments.packed, 4, "y overlaps packed"),
    OVERLAPS(EXECUTE, arguments.y, arguments.x, 4, "y overlaps x"),
    {EXECUTE,
     {SET(arguments.packed, 0), ALIAS(arguments.y, arguments.weights, 4)},
     EVR_OVERLAP,
     {"y overlaps weights"}},
    OPTION_ROWS(OPTIONS),
    LIST_ROWS(LIST),
};

const bad_subject dense_bad = {
    "dense", sizeof(fixture),
    setup,   teardown,
    calls,   sizeof calls / sizeof calls[0],
    rows,    sizeof rows / sizeof rows[0],
};
