/* Worked cases of the course material (golden/cases.json, given as an argument): each in every
 * layout and by every variant that runs here. The file holds NHWC tensors and HWIO filters in
 * double; what they lose as floats is part of the bound. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evrisim/evrisim.h"
#include "support/suite.h"
#include "walk/walk.h"

static cJSON *cases;

typedef struct tensor {
  int64_t shape[4], count;
  double *data;
} tensor;

static tensor read_tensor(const cJSON *parent, const char *name) {
  const cJSON *object = cJSON_GetObjectItemCaseSensitive(parent, name);
  ck_assert_msg(object != NULL, "no tensor %s", name);
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(object, "shape");
  const cJSON *data = cJSON_GetObjectItemCaseSensitive(object, "data");
  tensor t = {.shape = {1, 1, 1, 1}, .count = cJSON_GetArraySize(data)};
  int64_t product = 1;
  const int dimensions = cJSON_GetArraySize(shape);
  ck_assert_int_le(dimensions, 4);
  for (int i = 0; i < dimensions; i++) {
    t.shape[i] = (int64_t)cJSON_GetArrayItem(shape, i)->valuedouble;
    product *= t.shape[i];
  }
  ck_assert_int_eq(product, t.count);
  t.data = malloc((size_t)t.count * sizeof *t.data);
  int64_t at = 0;
  for (const cJSON *item = data->child; item != NULL; item = item->next)
    t.data[at++] = item->valuedouble;
  return t;
}

static int64_t parameter(const cJSON *one, const char *name) {
  const cJSON *value =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(one, "params"), name);
  ck_assert_msg(cJSON_IsNumber(value), "no parameter %s", name);
  return (int64_t)value->valuedouble;
}

static const char *text_parameter(const cJSON *one, const char *name) {
  const cJSON *value =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(one, "params"), name);
  ck_assert_msg(cJSON_IsString(value), "no parameter %s", name);
  return value->valuestring;
}

/* The place of element i of an NHWC tensor in a layout. */
static int64_t place_of(const tensor *t, evr_layout layout, int64_t i) {
  if (layout == EVR_NHWC) return i;
  const int64_t channels = t->shape[3], plane = t->shape[1] * t->shape[2];
  return (i / (plane * channels) * channels + i % channels) * plane + i / channels % plane;
}

static float *to_layout(const tensor *t, evr_layout layout) {
  float *data = malloc((size_t)t->count * sizeof *data);
  for (int64_t i = 0; i < t->count; i++) data[place_of(t, layout, i)] = (float)t->data[i];
  return data;
}

static float *to_filter_layout(const tensor *t, evr_filter_layout layout) {
  float *data = malloc((size_t)t->count * sizeof *data);
  const int64_t taps = t->shape[0] * t->shape[1], ins = t->shape[2], outs = t->shape[3];
  for (int64_t tap = 0; tap < taps; tap++)
    for (int64_t i = 0; i < ins; i++)
      for (int64_t o = 0; o < outs; o++)
        data[layout == EVR_HWIO ? (tap * ins + i) * outs + o : (o * ins + i) * taps + tap] =
            (float)t->data[(tap * ins + i) * outs + o];
  return data;
}

static double greatest(const tensor *t) {
  double most = 0.0;
  for (int64_t i = 0; i < t->count; i++) most = fmax(most, fabs(t->data[i]));
  return most;
}

/* Each output within bound of the expected one. */
static void compare(const tensor *expected, evr_layout layout, const float *y, double bound,
                    const char *what) {
  for (int64_t i = 0; i < expected->count; i++) {
    const double got = (double)y[place_of(expected, layout, i)];
    ck_assert_msg(fabs(got - expected->data[i]) <= bound,
                  "%s: y[%lld] is %.9g, expected %.9g +- %g", what, (long long)i, got,
                  expected->data[i], bound);
  }
}

/* A figure that a source prints, against doubles that must meet it to its last digit and floats
 * that must meet it within their bound. Digits are counted in the figure as JSON prints it. */
static void compare_printed(const cJSON *printed, double exact, double got, double bound,
                            const char *what) {
  char text[64];
  snprintf(text, sizeof text, "%.15g", printed->valuedouble);
  const char *point = strchr(text, '.');
  const double digit = point != NULL ? pow(10.0, -(double)strlen(point + 1)) : 1.0;
  ck_assert_msg(fabs(exact - printed->valuedouble) <= 0.5001 * digit, "%s: %.15g is printed as %s",
                what, exact, text);
  ck_assert_msg(fabs(got - printed->valuedouble) <= 0.5001 * digit + bound, "%s: %.9g, printed %s",
                what, got, text);
}

static void check_printed(const cJSON *one, const tensor *expected, evr_layout layout,
                          const float *y, double bound) {
  const cJSON *printed = cJSON_GetObjectItemCaseSensitive(one, "printed");
  for (const cJSON *figure = printed != NULL ? printed->child : NULL; figure != NULL;
       figure = figure->next) {
    int n, h, w;
    if (strcmp(figure->string, "mean") == 0) {
      double exact = 0.0, got = 0.0;
      for (int64_t i = 0; i < expected->count; i++) {
        exact += expected->data[i] / (double)expected->count;
        got += (double)y[i] / (double)expected->count;
      }
      compare_printed(figure, exact, got, bound, "mean");
    } else if (strcmp(figure->string, "Z") == 0) {
      compare_printed(figure, expected->data[0], (double)y[0], bound, "Z");
    } else if (sscanf(figure->string, "Z[%d,%d,%d]", &n, &h, &w) == 3) {
      int64_t i = ((n * expected->shape[1] + h) * expected->shape[2] + w) * expected->shape[3];
      for (const cJSON *value = figure->child; value != NULL; value = value->next, i++)
        compare_printed(value, expected->data[i], (double)y[place_of(expected, layout, i)], bound,
                        figure->string);
    } else {
      ck_abort_msg("%s is a figure that this test does not know", figure->string);
    }
  }
}

/* Runs visit for each variant of an operation that runs here. */
typedef evr_status golden_call(const evr_plan_options *options, void *context);

static int each_variant(evr_operation operation, golden_call *call, void *context,
                        void (*check)(void *context, const char *variant)) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int ran = 0;
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != operation || !variant_runs_here(&registry[i])) continue;
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[i].name;
    const evr_status status = call(&options, context);
    if (status == EVR_UNSUPPORTED) continue;
    ck_assert_msg(status == EVR_OK, "%s: %s", registry[i].name, evr_last_error());
    check(context, registry[i].name);
    ran++;
  }
  ck_assert_int_ge(ran, 2);
  return ran;
}

/* ---- convolution ---- */

typedef struct conv_context {
  const cJSON *one;
  evr_conv2d_desc desc;
  tensor expected;
  float *x, *weights, *bias, *y;
  double bound;
} conv_context;

static evr_status run_conv(const evr_plan_options *options, void *context) {
  conv_context *c = context;
  for (int64_t i = 0; i < c->expected.count; i++) c->y[i] = NAN;
  return evr_conv2d(&c->desc, options, c->x, c->weights, c->bias, c->y);
}

static void check_conv(void *context, const char *variant) {
  conv_context *c = context;
  char what[128];
  snprintf(what, sizeof what, "%s, %s, %s", variant, c->desc.layout == EVR_NHWC ? "NHWC" : "NCHW",
           c->desc.filter_layout == EVR_HWIO ? "HWIO" : "OIHW");
  compare(&c->expected, c->desc.layout, c->y, c->bound, what);
  check_printed(c->one, &c->expected, c->desc.layout, c->y, c->bound);
}

static void conv_in_layouts(conv_context *c, const tensor *x, const tensor *w, const tensor *b) {
  evr_conv2d_desc *d = &c->desc;
  d->batch = x->shape[0];
  d->in_height = x->shape[1];
  d->in_width = x->shape[2];
  d->in_channels = x->shape[3];
  d->kernel_height = w->shape[0];
  d->kernel_width = w->shape[1];
  ck_assert_int_eq(w->shape[2], d->in_channels);
  d->out_channels = w->shape[3];
  ck_assert_int_eq(b->count, d->out_channels);
  evr_conv2d_sizes sizes;
  ck_assert_msg(evr_conv2d_get_sizes(d, &sizes) == EVR_OK, "%s", evr_last_error());
  ck_assert_int_eq(sizes.out_height, c->expected.shape[1]);
  ck_assert_int_eq(sizes.out_width, c->expected.shape[2]);
  ck_assert_int_eq(sizes.y_count, c->expected.count);
  /* gamma_n with two more roundings: of x and of w to floats; then the largest sum that can be. */
  const double terms = (double)(sizes.weights_count / d->out_channels) + 3.0;
  c->bound = terms * 0x1p-24 * (terms * greatest(x) * greatest(w) + greatest(b));
  const tensor *wide[] = {x, w, b, &c->expected};
  bool integers = true;
  for (int t = 0; t < 4; t++)
    for (int64_t i = 0; i < wide[t]->count; i++)
      integers = integers && wide[t]->data[i] == floor(wide[t]->data[i]);
  if (integers) c->bound = 0.0;
  for (int layouts = 0; layouts < 4; layouts++) {
    d->layout = layouts & 1 ? EVR_NCHW : EVR_NHWC;
    d->filter_layout = layouts & 2 ? EVR_OIHW : EVR_HWIO;
    c->x = to_layout(x, d->layout);
    c->weights = to_filter_layout(w, d->filter_layout);
    c->bias = malloc((size_t)b->count * sizeof(float));
    for (int64_t i = 0; i < b->count; i++) c->bias[i] = (float)b->data[i];
    c->y = malloc((size_t)c->expected.count * sizeof(float));
    each_variant(EVR_OP_CONV2D, run_conv, c, check_conv);
    free(c->x);
    free(c->weights);
    free(c->bias);
    free(c->y);
  }
}

/* One case says that its first row and column are padding: cut off, they come back as pads. */
static void cut_padding(tensor *x) {
  ck_assert(x->shape[0] == 1 && x->shape[3] == 1);
  const int64_t height = x->shape[1], width = x->shape[2];
  for (int64_t i = 0; i < width; i++) ck_assert(x->data[i] == 0.0);
  for (int64_t i = 0; i < height; i++) ck_assert(x->data[i * width] == 0.0);
  for (int64_t h = 1; h < height; h++)
    for (int64_t w = 1; w < width; w++)
      x->data[(h - 1) * (width - 1) + w - 1] = x->data[h * width + w];
  x->shape[1]--;
  x->shape[2]--;
  x->count = x->shape[1] * x->shape[2];
}

static void convolution(const cJSON *one) {
  const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(one, "inputs");
  tensor x = read_tensor(inputs, "x"), w = read_tensor(inputs, "w"), b = read_tensor(inputs, "b");
  conv_context c = {.one = one, .desc = EVR_CONV2D_DESC_INIT};
  c.expected = read_tensor(cJSON_GetObjectItemCaseSensitive(one, "outputs"), "y");
  evr_conv2d_desc *d = &c.desc;
  d->stride_height = d->stride_width = parameter(one, "stride");
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = parameter(one, "pad");
  conv_in_layouts(&c, &x, &w, &b);
  const cJSON *note = cJSON_GetObjectItemCaseSensitive(one, "note");
  if (note != NULL && strstr(note->valuestring, "asymmetric padding 1,0,1,0") != NULL) {
    cut_padding(&x);
    d->pad_top = d->pad_left = 1;
    conv_in_layouts(&c, &x, &w, &b);
  }
  free(x.data);
  free(w.data);
  free(b.data);
  free(c.expected.data);
}

/* ---- operations with one input ---- */

typedef struct plane_context {
  evr_pool2d_desc pool;
  evr_pad2d_desc pad;
  evr_activation_desc activation;
  evr_layout layout;
  tensor expected;
  float *x, *y;
  double bound;
} plane_context;

static evr_status run_pool(const evr_plan_options *options, void *context) {
  plane_context *c = context;
  return evr_pool2d(&c->pool, options, c->x, c->y, NULL);
}
static evr_status run_pad(const evr_plan_options *options, void *context) {
  plane_context *c = context;
  return evr_pad2d(&c->pad, options, c->x, c->y);
}
static evr_status run_activation(const evr_plan_options *options, void *context) {
  plane_context *c = context;
  return evr_activate(&c->activation, options, c->x, c->y);
}
static void check_plane(void *context, const char *variant) {
  plane_context *c = context;
  char what[128];
  snprintf(what, sizeof what, "%s, %s", variant, c->layout == EVR_NHWC ? "NHWC" : "NCHW");
  compare(&c->expected, c->layout, c->y, c->bound, what);
  for (int64_t i = 0; i < c->expected.count; i++) c->y[i] = NAN;
}

static void set_pool(plane_context *c, const cJSON *one, const tensor *x) {
  c->pool = (evr_pool2d_desc)EVR_POOL2D_DESC_INIT;
  c->pool.batch = x->shape[0];
  c->pool.in_height = x->shape[1];
  c->pool.in_width = x->shape[2];
  c->pool.channels = x->shape[3];
  evr_pool2d_window *w = &c->pool.window;
  const char *mode = text_parameter(one, "mode");
  w->kind = strcmp(mode, "max") == 0   ? EVR_POOL_MAX
            : strcmp(mode, "min") == 0 ? EVR_POOL_MIN
            : strcmp(mode, "avg") == 0 ? EVR_POOL_AVERAGE
                                       : EVR_POOL_NONE;
  w->kernel_height = w->kernel_width = parameter(one, "kernel");
  w->stride_height = w->stride_width = parameter(one, "stride");
  const double terms = (double)(w->kernel_height * w->kernel_width) + 2.0;
  c->bound = 0x1p-24 * greatest(x) * (w->kind == EVR_POOL_AVERAGE ? terms : 1.0);
}

static void set_pad(plane_context *c, const cJSON *one, const tensor *x) {
  static const char *const modes[] = {"zero", "replicate", "reflect"};
  const int64_t pad = parameter(one, "pad");
  c->pad = (evr_pad2d_desc){x->shape[0], x->shape[3], x->shape[1], x->shape[2],  pad,
                            pad,         pad,         pad,         EVR_PAD_ZERO, EVR_NHWC};
  int mode = 0;
  while (mode < 3 && strcmp(text_parameter(one, "mode"), modes[mode]) != 0) mode++;
  c->pad.mode = (evr_pad_mode)mode;
  c->bound = 0x1p-24 * greatest(x);
}

static void plane_operation(const cJSON *one, const char *op) {
  tensor x = read_tensor(cJSON_GetObjectItemCaseSensitive(one, "inputs"), "x");
  plane_context c = {.expected =
                         read_tensor(cJSON_GetObjectItemCaseSensitive(one, "outputs"), "y")};
  const bool flattens = strcmp(op, "flatten") == 0;
  if (strcmp(op, "pool2d_forward") == 0) {
    set_pool(&c, one, &x);
  } else if (strcmp(op, "pad2d") == 0) {
    set_pad(&c, one, &x);
  } else if (strcmp(op, "activation") == 0) {
    ck_assert_str_eq(text_parameter(one, "kind"), "relu");
    c.activation = (evr_activation_desc){{EVR_RELU, 0.0f}, x.count};
  }
  for (int l = 0; l < 2; l++) {
    c.layout = c.pool.layout = c.pad.layout = l ? EVR_NCHW : EVR_NHWC;
    c.x = to_layout(&x, c.layout);
    c.y = malloc((size_t)c.expected.count * sizeof *c.y);
    for (int64_t i = 0; i < c.expected.count; i++) c.y[i] = NAN;
    if (flattens) {
      ck_assert(x.shape[3] == 1); /* so that both layouts have the order of the file */
      ck_assert_int_eq(evr_flatten(c.layout, x.shape[0], 1, x.shape[1], x.shape[2], c.x, c.y),
                       EVR_OK);
      compare(&c.expected, EVR_NHWC, c.y, 0.0, "flatten");
    } else if (strcmp(op, "pool2d_forward") == 0) {
      each_variant(EVR_OP_POOL2D, run_pool, &c, check_plane);
    } else if (strcmp(op, "pad2d") == 0) {
      each_variant(EVR_OP_PAD2D, run_pad, &c, check_plane);
    } else {
      each_variant(EVR_OP_ACTIVATION, run_activation, &c, check_plane);
    }
    free(c.x);
    free(c.y);
  }
  free(x.data);
  free(c.expected.data);
}

/* ---- the backward pass of pooling ---- */

typedef struct unpool_context {
  evr_pool2d_desc pool;
  tensor expected;
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
  compare(&c->expected, c->pool.layout, c->dx, c->bound, what);
  for (int64_t i = 0; i < c->expected.count; i++) c->dx[i] = NAN;
}

/* A plane of two dimensions in the file is one image of one channel. */
static tensor as_image(tensor t) {
  if (t.shape[2] == 1 && t.shape[3] == 1) {
    t.shape[2] = t.shape[1];
    t.shape[1] = t.shape[0];
    t.shape[0] = 1;
  }
  return t;
}

/* The mask of a maximum is what a gradient of 1 comes to; distributing is what an average does. */
static void unpool(const cJSON *one, const char *op) {
  const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(one, "inputs");
  const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(one, "outputs");
  const bool mask = strcmp(op, "max_mask") == 0, distribute = strcmp(op, "distribute") == 0;
  const char *result = mask ? "mask" : distribute ? "a" : "dx";
  unpool_context c = {.expected = as_image(read_tensor(outputs, result))};
  tensor x = as_image(read_tensor(distribute ? outputs : inputs, distribute ? "a" : "x"));
  static double one_value = 1.0;
  tensor dy = {{1, 1, 1, 1}, 1, &one_value};
  if (!mask) dy = read_tensor(inputs, distribute ? "dz" : "dy");
  plane_context plane = {.bound = 0.0};
  if (mask || distribute) {
    plane.pool = (evr_pool2d_desc){1, 1, x.shape[1], x.shape[2], EVR_NHWC, EVR_POOL2D_WINDOW_INIT};
    plane.pool.window.global = true;
    plane.pool.window.kind = mask ? EVR_POOL_MAX : EVR_POOL_AVERAGE;
  } else {
    set_pool(&plane, one, &x);
    c.bound = 8.0 * 0x1p-24 * 4.0 * greatest(&dy); /* at most four windows hold a pixel */
  }
  c.pool = plane.pool;
  const bool average = c.pool.window.kind == EVR_POOL_AVERAGE;
  c.dx = malloc((size_t)c.expected.count * sizeof *c.dx);
  for (int64_t i = 0; i < c.expected.count; i++) c.dx[i] = NAN;
  for (int l = 0; l < 2; l++) {
    c.pool.layout = l ? EVR_NCHW : EVR_NHWC;
    c.x = to_layout(&x, c.pool.layout);
    c.dy = to_layout(&dy, c.pool.layout);
    each_variant(EVR_OP_POOL2D_BACKWARD, run_unpool, &c, check_unpool);
    if (!average) {
      float *y = malloc((size_t)dy.count * sizeof *y);
      c.indices = malloc((size_t)dy.count * sizeof *c.indices);
      ck_assert_int_eq(evr_pool2d(&c.pool, NULL, c.x, y, c.indices), EVR_OK);
      each_variant(EVR_OP_POOL2D_BACKWARD, run_unpool, &c, check_unpool);
      free(y);
      free(c.indices);
      c.indices = NULL;
    }
    free(c.x);
    free(c.dy);
  }
  if (!mask) free(dy.data);
  free(x.data);
  free(c.dx);
  free(c.expected.data);
}

/* ---- the backward pass of convolution ---- */

typedef struct gradient_context {
  const cJSON *one;
  evr_conv2d_desc desc;
  tensor dx, dw, db;
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
static void check_mean(const gradient_context *c, const char *name, const tensor *expected,
                       const float *got, double bound, const char *what) {
  const cJSON *printed =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c->one, "printed"), name);
  ck_assert_msg(printed != NULL, "no figure %s", name);
  double exact = 0.0, mean = 0.0;
  for (int64_t i = 0; i < expected->count; i++) {
    exact += expected->data[i] / (double)expected->count;
    mean += (double)got[i] / (double)expected->count;
  }
  compare_printed(printed, exact, mean, bound, what);
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
  compare(&c->dx, c->desc.layout, c->dx_out, c->bounds[0], what);
  check_mean(c, "dA_mean", &c->dx, c->dx_out, c->bounds[0], what);
  for (int64_t i = 0; i < c->dx.count; i++) c->dx_out[i] = NAN;
}

static void check_dw(void *context, const char *variant) {
  gradient_context *c = context;
  char what[128];
  describe_gradient(c, variant, "dw", what, sizeof what);
  float *expected = to_filter_layout(&c->dw, c->desc.filter_layout);
  for (int64_t i = 0; i < c->dw.count; i++)
    ck_assert_msg(fabs((double)c->dw_out[i] - (double)expected[i]) <= c->bounds[1],
                  "%s[%lld] is %.9g, expected %.9g", what, (long long)i, (double)c->dw_out[i],
                  (double)expected[i]);
  free(expected);
  compare(&c->db, EVR_NHWC, c->db_out, c->bounds[2], what);
  check_mean(c, "dW_mean", &c->dw, c->dw_out, c->bounds[1], what);
  check_mean(c, "db_mean", &c->db, c->db_out, c->bounds[2], what);
  for (int64_t i = 0; i < c->dw.count; i++) c->dw_out[i] = NAN;
  for (int64_t i = 0; i < c->db.count; i++) c->db_out[i] = NAN;
}

static void convolution_backward(const cJSON *one) {
  const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(one, "inputs");
  const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(one, "outputs");
  tensor x = read_tensor(inputs, "x"), w = read_tensor(inputs, "w"), dy = read_tensor(inputs, "dy");
  gradient_context c = {.one = one,
                        .desc = EVR_CONV2D_DESC_INIT,
                        .dx = read_tensor(outputs, "dx"),
                        .dw = read_tensor(outputs, "dw"),
                        .db = read_tensor(outputs, "db")};
  evr_conv2d_desc *d = &c.desc;
  d->batch = x.shape[0];
  d->in_height = x.shape[1];
  d->in_width = x.shape[2];
  d->in_channels = x.shape[3];
  d->kernel_height = w.shape[0];
  d->kernel_width = w.shape[1];
  d->out_channels = w.shape[3];
  d->stride_height = d->stride_width = parameter(one, "stride");
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = parameter(one, "pad");
  /* As of the forward pass: terms of one sum, with their roundings to floats. */
  const double data_terms = (double)(w.shape[0] * w.shape[1] * w.shape[3]) + 3.0;
  const double weights_terms = (double)(dy.count / w.shape[3]) + 3.0;
  c.bounds[0] = data_terms * 0x1p-24 * data_terms * greatest(&w) * greatest(&dy);
  c.bounds[1] = weights_terms * 0x1p-24 * weights_terms * greatest(&x) * greatest(&dy);
  c.bounds[2] = weights_terms * 0x1p-24 * weights_terms * greatest(&dy);
  c.dx_out = malloc((size_t)c.dx.count * sizeof(float));
  c.dw_out = malloc((size_t)c.dw.count * sizeof(float));
  c.db_out = malloc((size_t)c.db.count * sizeof(float));
  for (int layouts = 0; layouts < 4; layouts++) {
    d->layout = layouts & 1 ? EVR_NCHW : EVR_NHWC;
    d->filter_layout = layouts & 2 ? EVR_OIHW : EVR_HWIO;
    c.x = to_layout(&x, d->layout);
    c.dy = to_layout(&dy, d->layout);
    c.weights = to_filter_layout(&w, d->filter_layout);
    each_variant(EVR_OP_CONV2D_BACKWARD_DATA, run_backward_data, &c, check_dx);
    each_variant(EVR_OP_CONV2D_BACKWARD_WEIGHTS, run_backward_weights, &c, check_dw);
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

/* ---- all cases ---- */

static const char *const forward_operations[] = {"conv2d_forward", "pool2d_forward", "pad2d",
                                                 "activation", "flatten"};
static const char *const unpool_operations[] = {"pool2d_backward", "max_mask", "distribute"};

static bool is_one_of(const char *op, const char *const *names, int count) {
  for (int i = 0; i < count; i++)
    if (strcmp(op, names[i]) == 0) return true;
  return false;
}

static const char *text_of(const cJSON *one, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(one, name)->valuestring;
}

START_TEST(case_passes) {
  const cJSON *one = cJSON_GetArrayItem(cases, _i);
  const char *op = text_of(one, "op");
  if (strcmp(op, "conv2d_backward") == 0) {
    convolution_backward(one);
    return;
  }
  if (is_one_of(op, unpool_operations, 3)) {
    unpool(one, op);
    return;
  }
  ck_assert_msg(is_one_of(op, forward_operations, 5), "%s: operation %s", text_of(one, "name"), op);
  if (strcmp(op, "conv2d_forward") == 0)
    convolution(one);
  else
    plane_operation(one, op);
}
END_TEST

static cJSON *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  char *text = malloc((size_t)size + 1);
  if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) exit(2);
  text[size] = '\0';
  fclose(file);
  cJSON *parsed = cJSON_Parse(text);
  free(text);
  return parsed;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s cases.json\n", argv[0]);
    return 2;
  }
  suite_begin("golden");
  cJSON *file = read_file(argv[1]);
  cases = cJSON_GetObjectItemCaseSensitive(file, "cases");
  if (!cJSON_IsArray(cases) || cJSON_GetArraySize(cases) == 0) {
    fprintf(stderr, "%s holds no cases\n", argv[1]);
    return 2;
  }
  Suite *suite = suite_create("golden");
  TCase *all = suite_case(suite, "cases");
  tcase_add_loop_test(all, case_passes, 0, cJSON_GetArraySize(cases));
  const int result = suite_end(suite);
  cJSON_Delete(file);
  return result;
}
