/* Worked cases of forward passes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/golden.h"
#include "support/suite.h"

/* ---- convolution ---- */

static void check_printed(const cJSON *one, const golden_tensor *expected, evr_layout layout,
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
      golden_compare_printed(figure, exact, got, bound, "mean");
    } else if (strcmp(figure->string, "Z") == 0) {
      golden_compare_printed(figure, expected->data[0], (double)y[0], bound, "Z");
    } else if (sscanf(figure->string, "Z[%d,%d,%d]", &n, &h, &w) == 3) {
      int64_t i = ((n * expected->shape[1] + h) * expected->shape[2] + w) * expected->shape[3];
      for (const cJSON *value = figure->child; value != NULL; value = value->next, i++)
        golden_compare_printed(value, expected->data[i],
                               (double)y[golden_place(expected, layout, i)], bound, figure->string);
    } else {
      ck_abort_msg("%s is a figure that this test does not know", figure->string);
    }
  }
}

typedef struct conv_context {
  const cJSON *one;
  evr_conv2d_desc desc;
  golden_tensor expected;
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
  golden_compare(&c->expected, c->desc.layout, c->y, c->bound, what);
  check_printed(c->one, &c->expected, c->desc.layout, c->y, c->bound);
}

static void conv_in_layouts(conv_context *c, const golden_tensor *x, const golden_tensor *w,
                            const golden_tensor *b) {
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
  c->bound =
      terms * 0x1p-24 * (terms * golden_greatest(x) * golden_greatest(w) + golden_greatest(b));
  const golden_tensor *wide[] = {x, w, b, &c->expected};
  bool integers = true;
  for (int t = 0; t < 4; t++)
    for (int64_t i = 0; i < wide[t]->count; i++)
      integers = integers && wide[t]->data[i] == floor(wide[t]->data[i]);
  if (integers) c->bound = 0.0;
  for (int layouts = 0; layouts < 4; layouts++) {
    d->layout = layouts & 1 ? EVR_NCHW : EVR_NHWC;
    d->filter_layout = layouts & 2 ? EVR_OIHW : EVR_HWIO;
    c->x = golden_to_layout(x, d->layout);
    c->weights = golden_to_filter_layout(w, d->filter_layout);
    c->bias = malloc((size_t)b->count * sizeof(float));
    for (int64_t i = 0; i < b->count; i++) c->bias[i] = (float)b->data[i];
    c->y = malloc((size_t)c->expected.count * sizeof(float));
    golden_each_variant(EVR_OP_CONV2D, run_conv, c, check_conv);
    free(c->x);
    free(c->weights);
    free(c->bias);
    free(c->y);
  }
}

/* One case says that its first row and column are padding: cut off, they come back as pads. */
static void cut_padding(golden_tensor *x) {
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
  golden_tensor x = golden_read(inputs, "x"), w = golden_read(inputs, "w"),
                b = golden_read(inputs, "b");
  conv_context c = {.one = one, .desc = EVR_CONV2D_DESC_INIT};
  c.expected = golden_read(cJSON_GetObjectItemCaseSensitive(one, "outputs"), "y");
  evr_conv2d_desc *d = &c.desc;
  d->stride_height = d->stride_width = golden_parameter(one, "stride");
  d->pad_top = d->pad_bottom = d->pad_left = d->pad_right = golden_parameter(one, "pad");
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
  golden_tensor expected;
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
  golden_compare(&c->expected, c->layout, c->y, c->bound, what);
  for (int64_t i = 0; i < c->expected.count; i++) c->y[i] = NAN;
}

static void set_pool(plane_context *c, const cJSON *one, const golden_tensor *x) {
  c->pool = golden_pool(one, x);
  const evr_pool2d_window *w = &c->pool.window;
  const double terms = (double)(w->kernel_height * w->kernel_width) + 2.0;
  c->bound = 0x1p-24 * golden_greatest(x) * (w->kind == EVR_POOL_AVERAGE ? terms : 1.0);
}

static void set_pad(plane_context *c, const cJSON *one, const golden_tensor *x) {
  static const char *const modes[] = {"zero", "replicate", "reflect"};
  const int64_t pad = golden_parameter(one, "pad");
  c->pad = (evr_pad2d_desc){x->shape[0], x->shape[3], x->shape[1], x->shape[2],  pad,
                            pad,         pad,         pad,         EVR_PAD_ZERO, EVR_NHWC};
  int mode = 0;
  while (mode < 3 && strcmp(golden_text(one, "mode"), modes[mode]) != 0) mode++;
  c->pad.mode = (evr_pad_mode)mode;
  c->bound = 0x1p-24 * golden_greatest(x);
}

static void plane_operation(const cJSON *one, const char *op) {
  golden_tensor x = golden_read(cJSON_GetObjectItemCaseSensitive(one, "inputs"), "x");
  plane_context c = {.expected =
                         golden_read(cJSON_GetObjectItemCaseSensitive(one, "outputs"), "y")};
  const bool flattens = strcmp(op, "flatten") == 0;
  if (strcmp(op, "pool2d_forward") == 0) {
    set_pool(&c, one, &x);
  } else if (strcmp(op, "pad2d") == 0) {
    set_pad(&c, one, &x);
  } else if (strcmp(op, "activation") == 0) {
    ck_assert_str_eq(golden_text(one, "kind"), "relu");
    c.activation = (evr_activation_desc){{EVR_RELU, 0.0f}, x.count};
  }
  for (int l = 0; l < 2; l++) {
    c.layout = c.pool.layout = c.pad.layout = l ? EVR_NCHW : EVR_NHWC;
    c.x = golden_to_layout(&x, c.layout);
    c.y = malloc((size_t)c.expected.count * sizeof *c.y);
    for (int64_t i = 0; i < c.expected.count; i++) c.y[i] = NAN;
    if (flattens) {
      ck_assert(x.shape[3] == 1); /* so that both layouts have the order of the file */
      ck_assert_int_eq(evr_flatten(c.layout, x.shape[0], 1, x.shape[1], x.shape[2], c.x, c.y),
                       EVR_OK);
      golden_compare(&c.expected, EVR_NHWC, c.y, 0.0, "flatten");
    } else if (strcmp(op, "pool2d_forward") == 0) {
      golden_each_variant(EVR_OP_POOL2D, run_pool, &c, check_plane);
    } else if (strcmp(op, "pad2d") == 0) {
      golden_each_variant(EVR_OP_PAD2D, run_pad, &c, check_plane);
    } else {
      golden_each_variant(EVR_OP_ACTIVATION, run_activation, &c, check_plane);
    }
    free(c.x);
    free(c.y);
  }
  free(x.data);
  free(c.expected.data);
}

bool golden_forward(const cJSON *one, const char *op) {
  if (strcmp(op, "conv2d_forward") == 0) {
    convolution(one);
    return true;
  }
  static const char *const others[] = {"pool2d_forward", "pad2d", "activation", "flatten"};
  for (int i = 0; i < 4; i++)
    if (strcmp(op, others[i]) == 0) {
      plane_operation(one, op);
      return true;
    }
  return false;
}
