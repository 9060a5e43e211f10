/* Worked cases of backward passes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/golden.h"
#include "support/suite.h"

/* ---- the backward pass of pooling ---- */

#define UNWRITTEN 1234.5f /* no NaN, which some expect */

typedef struct unpool_context {
  evr_pool2d_desc pool;
  golden_tensor expected;
  float *x, *dy, *dx;
  int32_t *indices; /* NULL: winners are found in x */
  double bound;
} unpool_context;

static evr_status run_unpool(const evr_plan_options *options, void *context) {
  unpool_context *c = context;
  return evr_pool2d_backward(&c->pool, options, c->dy, c->indices, c->x, c->dx);
}
static void check_unpool(void *context, const char *variant) {
  unpool_context *c = context;
  char what[128];
  snprintf(what, sizeof what, "%s, %s%s", variant, c->pool.layout == EVR_NHWC ? "NHWC" : "NCHW",
           c->indices != NULL ? ", by indices" : "");
  golden_compare(&c->expected, c->pool.layout, c->dx, c->bound, what);
  for (int64_t i = 0; i < c->expected.count; i++) c->dx[i] = UNWRITTEN;
}

/* A plane of two dimensions in the file is one image of one channel. */
static golden_tensor as_image(golden_tensor t) {
  if (t.shape[2] == 1 && t.shape[3] == 1) {
    t.shape[2] = t.shape[1];
    t.shape[1] = t.shape[0];
    t.shape[0] = 1;
  }
  return t;
}

/* The same channels so many times, so that vectors are filled as well. */
static golden_tensor repeat_channels(const golden_tensor *t, int64_t times) {
  golden_tensor made = *t;
  made.shape[3] *= times;
  made.count *= times;
  made.data = malloc((size_t)made.count * sizeof *made.data);
  const int64_t channels = t->shape[3];
  for (int64_t i = 0; i < made.count; i++)
    made.data[i] = t->data[i / (channels * times) * channels + i % channels];
  return made;
}

/* Winners as the forward pass reports them, and as the case has them if it does. */
static int32_t *find_winners(const unpool_context *c, const golden_tensor *dy,
                             const golden_tensor *winners) {
  float *y = malloc((size_t)dy->count * sizeof *y);
  int32_t *indices = malloc((size_t)dy->count * sizeof *indices);
  ck_assert_int_eq(evr_pool2d(&c->pool, NULL, c->x, y, indices), EVR_OK);
  for (int64_t i = 0; winners != NULL && i < winners->count; i++) {
    int32_t *found = &indices[golden_place(winners, c->pool.layout, i)];
    const int32_t expected = (int32_t)winners->data[i];
    ck_assert_msg(*found == expected, "winner %lld is %d, expected %d", (long long)i, *found,
                  expected);
  }
  free(y);
  return indices;
}

static void unpool_in_layouts(unpool_context *c, const golden_tensor *x, const golden_tensor *dy,
                              const golden_tensor *winners) {
  c->pool.channels = x->shape[3];
  c->dx = malloc((size_t)c->expected.count * sizeof *c->dx);
  for (int64_t i = 0; i < c->expected.count; i++) c->dx[i] = UNWRITTEN;
  for (int l = 0; l < 2; l++) {
    c->pool.layout = l ? EVR_NCHW : EVR_NHWC;
    c->x = golden_to_layout(x, c->pool.layout);
    c->dy = golden_to_layout(dy, c->pool.layout);
    golden_each_variant(EVR_OP_POOL2D_BACKWARD, run_unpool, c, check_unpool);
    if (c->pool.window.kind != EVR_POOL_AVERAGE) {
      c->indices = find_winners(c, dy, winners);
      golden_each_variant(EVR_OP_POOL2D_BACKWARD, run_unpool, c, check_unpool);
      free(c->indices);
      c->indices = NULL;
    }
    free(c->x);
    free(c->dy);
  }
  free(c->dx);
}

/* The mask of a maximum is what a gradient of 1 comes to; distributing is what an average does. */
static void unpool(const cJSON *one, const char *op) {
  const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(one, "inputs");
  const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(one, "outputs");
  const bool mask = strcmp(op, "max_mask") == 0, distribute = strcmp(op, "distribute") == 0;
  const bool knows_winners = cJSON_HasObjectItem(outputs, "indices");
  static double one_value = 1.0;
  const char *result = mask ? "mask" : distribute ? "a" : "dx";
  enum { DX, X, DY, WINNERS, TENSORS };
  golden_tensor tensors[TENSORS] = {{{1, 1, 1, 1}, 0, NULL}};
  tensors[DX] = as_image(golden_read(outputs, result));
  tensors[X] = as_image(golden_read(distribute ? outputs : inputs, distribute ? "a" : "x"));
  tensors[DY] = (golden_tensor){{1, 1, 1, 1}, 1, &one_value};
  if (!mask) tensors[DY] = golden_read(inputs, distribute ? "dz" : "dy");
  if (knows_winners) tensors[WINNERS] = golden_read(outputs, "indices");
  const golden_tensor *x = &tensors[X];
  unpool_context c = {.bound = 0.0};
  if (mask || distribute) {
    c.pool = (evr_pool2d_desc){1, 1, x->shape[1], x->shape[2], EVR_NHWC, EVR_POOL2D_WINDOW_INIT};
    c.pool.window.global = true;
    c.pool.window.kind = mask ? EVR_POOL_MAX : EVR_POOL_AVERAGE;
  } else {
    c.pool = golden_pool(one, x);
    /* at most four windows hold a pixel of those that are no integers */
    c.bound = knows_winners ? 0.0 : 8.0 * 0x1p-24 * 4.0 * golden_greatest(&tensors[DY]);
  }
  for (int64_t times = 1; times <= 17; times += 16) {
    golden_tensor repeated[TENSORS];
    const int given = knows_winners ? TENSORS : WINNERS;
    for (int i = 0; i < given; i++) repeated[i] = repeat_channels(&tensors[i], times);
    c.expected = repeated[DX];
    unpool_in_layouts(&c, &repeated[X], &repeated[DY], knows_winners ? &repeated[WINNERS] : NULL);
    for (int i = 0; i < given; i++) free(repeated[i].data);
  }
  for (int i = 0; i < TENSORS; i++)
    if (tensors[i].data != &one_value) free(tensors[i].data);
}

/* ---- the backward pass of convolution ---- */

typedef struct gradient_context {
  const cJSON *one;
  evr_conv2d_desc desc;
  golden_tensor dx, dw, db;
  float *x, *weights, *dy, *dx_out, *dw_out, *db_out;
  double bounds[3]; /* of dx, dw and db */
} gradient_context;

static evr_status run_backward_data(const evr_plan_options *options, void *context) {
  gradient_context *c = context;
  const evr_conv2d_backward_data_arguments a = {
      .dy = c->dy, .weights = c->weights, .dx = c->dx_out};
  return evr_conv2d_backward_data(&c->desc, options, &a);
}

static evr_status run_backward_weights(const evr_plan_options *options, void *context) {
  gradient_context *c = context;
  const evr_conv2d_backward_weights_arguments a = {
      .x = c->x, .dy = c->dy, .dweights = c->dw_out, .dbias = c->db_out};
  return evr_conv2d_backward_weights(&c->desc, options, &a);
}

/* The source prints the mean of each gradient. */
static void check_mean(const gradient_context *c, const char *name, const golden_tensor *expected,
                       const float *got, double bound, const char *what) {
  const cJSON *printed =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c->one, "printed"), name);
  ck_assert_msg(printed != NULL, "no figure %s", name);
  double exact = 0.0, mean = 0.0;
  for (int64_t i = 0; i < expected->count; i++) {
    exact += expected->data[i] / (double)expected->count;
    mean += (double)got[i] / (double)expected->count;
  }
  golden_compare_printed(printed, exact, mean, bound, what);
}

static void describe_gradient(const gradient_context *c, const char *variant, const char *name,
                              char *what, size_t size) {
  snprintf(what, size, "%s of %s, %s, %s", name, variant,
           c->desc.layout == EVR_NHWC ? "NHWC" : "NCHW",
           c->desc.filter_layout == EVR_HWIO ? "HWIO" : "OIHW");
}

static void check_dx(void *context, const char *variant) {
  gradient_context *c = context;
  char what[128];
  describe_gradient(c, variant, "dx", what, sizeof what);
  golden_compare(&c->dx, c->desc.layout, c->dx_out, c->bounds[0], what);
  check_mean(c, "dA_mean", &c->dx, c->dx_out, c->bounds[0], what);
  for (int64_t i = 0; i < c->dx.count; i++) c->dx_out[i] = NAN;
}

static void check_dw(void *context, const char *variant) {
  gradient_context *c = context;
  char what[128];
  describe_gradient(c, variant, "dw", what, sizeof what);
  float *expected = golden_to_filter_layout(&c->dw, c->desc.filter_layout);
  for (int64_t i = 0; i < c->dw.count; i++)
    ck_assert_msg(fabs((double)c->dw_out[i] - (double)expected[i]) <= c->bounds[1],
                  "%s[%lld] is %.9g, expected %.9g", what, (long long)i, (double)c->dw_out[i],
                  (double)expected[i]);
  free(expected);
  golden_compare(&c->db, EVR_NHWC, c->db_out, c->bounds[2], what);
  check_mean(c, "dW_mean", &c->dw, c->dw_out, c->bounds[1], what);
  check_mean(c, "db_mean", &c->db, c->db_out, c->bounds[2], what);
  for (int64_t i = 0; i < c->dw.count; i++) c->dw_out[i] = NAN;
  for (int64_t i = 0; i < c->db.count; i++) c->db_out[i] = NAN;
}

static void convolution_backward(const cJSON *one) {
  const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(one, "inputs");
  const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(one, "outputs");
  golden_tensor x = golden_read(inputs, "x"), w = golden_read(inputs, "w"),
                dy = golden_read(inputs, "dy");
  gradient_context c = {.one = one,
                        .desc = EVR_CONV2D_DESC_INIT,
                        .dx = golden_read(outputs, "dx"),
                        .dw = golden_read(outputs, "dw"),
                        .db = golden_read(outputs, "db")};
  evr_conv2d_desc *d = &c.desc;
  d->batch = x.shape[0];
  d->in_height = x.shape[1];
  d->in_width = x.shape[2];
  d->in_channels = x.shape[3];
  d->kernel_height = w.shape[0];
  d->kernel_width = w.shape[1];
  d->out_channels = w.shape[3];
  d->stride_height = d->stride_width = golden_parameter(one, "stride");
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = golden_parameter(one, "pad");
  /* As of the forward pass: terms of one sum, with their roundings to floats. */
  const double data_terms = (double)(w.shape[0] * w.shape[1] * w.shape[3]) + 3.0;
  const double weights_terms = (double)(dy.count / w.shape[3]) + 3.0;
  c.bounds[0] = data_terms * 0x1p-24 * data_terms * golden_greatest(&w) * golden_greatest(&dy);
  c.bounds[1] =
      weights_terms * 0x1p-24 * weights_terms * golden_greatest(&x) * golden_greatest(&dy);
  c.bounds[2] = weights_terms * 0x1p-24 * weights_terms * golden_greatest(&dy);
  c.dx_out = malloc((size_t)c.dx.count * sizeof(float));
  c.dw_out = malloc((size_t)c.dw.count * sizeof(float));
  c.db_out = malloc((size_t)c.db.count * sizeof(float));
  for (int layouts = 0; layouts < 4; layouts++) {
    d->layout = layouts & 1 ? EVR_NCHW : EVR_NHWC;
    d->filter_layout = layouts & 2 ? EVR_OIHW : EVR_HWIO;
    c.x = golden_to_layout(&x, d->layout);
    c.dy = golden_to_layout(&dy, d->layout);
    c.weights = golden_to_filter_layout(&w, d->filter_layout);
    golden_each_variant(EVR_OP_CONV2D_BACKWARD_DATA, run_backward_data, &c, check_dx);
    golden_each_variant(EVR_OP_CONV2D_BACKWARD_WEIGHTS, run_backward_weights, &c, check_dw);
    free(c.x);
    free(c.dy);
    free(c.weights);
  }
  free(c.dx_out);
  free(c.dw_out);
  free(c.db_out);
  free(c.dx.data);
  free(c.dw.data);
  free(c.db.data);
  free(x.data);
  free(w.data);
  free(dy.data);
}

bool golden_backward(const cJSON *one, const char *op) {
  if (strcmp(op, "conv2d_backward") == 0)
    convolution_backward(one);
  else if (strcmp(op, "pool2d_backward") == 0 || strcmp(op, "max_mask") == 0 ||
           strcmp(op, "distribute") == 0)
    unpool(one, op);
  else
    return false;
  return true;
}
