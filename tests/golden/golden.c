#include "golden/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"
#include "walk/walk.h"

golden_tensor golden_read(const cJSON *parent, const char *name) {
  const cJSON *object = cJSON_GetObjectItemCaseSensitive(parent, name);
  ck_assert_msg(object != NULL, "no tensor %s", name);
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(object, "shape");
  const cJSON *data = cJSON_GetObjectItemCaseSensitive(object, "data");
  golden_tensor t = {.shape = {1, 1, 1, 1}, .count = cJSON_GetArraySize(data)};
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
  for (const cJSON *item = data->child; item != NULL; item = item->next) {
    const bool nan = cJSON_IsString(item) && strcmp(item->valuestring, "NaN") == 0;
    ck_assert_msg(nan || cJSON_IsNumber(item), "%s[%lld] is no number", name, (long long)at);
    t.data[at++] = nan ? NAN : item->valuedouble;
  }
  return t;
}

int64_t golden_parameter(const cJSON *one, const char *name) {
  const cJSON *value =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(one, "params"), name);
  ck_assert_msg(cJSON_IsNumber(value), "no parameter %s", name);
  return (int64_t)value->valuedouble;
}

const char *golden_text(const cJSON *one, const char *name) {
  const cJSON *value =
      cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(one, "params"), name);
  ck_assert_msg(cJSON_IsString(value), "no parameter %s", name);
  return value->valuestring;
}

evr_pool2d_desc golden_pool(const cJSON *one, const golden_tensor *x) {
  evr_pool2d_desc d = EVR_POOL2D_DESC_INIT;
  d.batch = x->shape[0];
  d.in_height = x->shape[1];
  d.in_width = x->shape[2];
  d.channels = x->shape[3];
  const char *mode = golden_text(one, "mode");
  d.window.kind = strcmp(mode, "max") == 0   ? EVR_POOL_MAX
                  : strcmp(mode, "min") == 0 ? EVR_POOL_MIN
                  : strcmp(mode, "avg") == 0 ? EVR_POOL_AVERAGE
                                             : EVR_POOL_NONE;
  d.window.kernel_height = d.window.kernel_width = golden_parameter(one, "kernel");
  d.window.stride_height = d.window.stride_width = golden_parameter(one, "stride");
  return d;
}

int64_t golden_place(const golden_tensor *t, evr_layout layout, int64_t i) {
  if (layout == EVR_NHWC) return i;
  const int64_t channels = t->shape[3], plane = t->shape[1] * t->shape[2];
  return (i / (plane * channels) * channels + i % channels) * plane + i / channels % plane;
}

float *golden_to_layout(const golden_tensor *t, evr_layout layout) {
  float *data = malloc((size_t)t->count * sizeof *data);
  for (int64_t i = 0; i < t->count; i++) data[golden_place(t, layout, i)] = (float)t->data[i];
  return data;
}

float *golden_to_filter_layout(const golden_tensor *t, evr_filter_layout layout) {
  float *data = malloc((size_t)t->count * sizeof *data);
  const int64_t taps = t->shape[0] * t->shape[1], ins = t->shape[2], outs = t->shape[3];
  for (int64_t tap = 0; tap < taps; tap++)
    for (int64_t i = 0; i < ins; i++)
      for (int64_t o = 0; o < outs; o++)
        data[layout == EVR_HWIO ? (tap * ins + i) * outs + o : (o * ins + i) * taps + tap] =
            (float)t->data[(tap * ins + i) * outs + o];
  return data;
}

double golden_greatest(const golden_tensor *t) {
  double most = 0.0;
  for (int64_t i = 0; i < t->count; i++) most = fmax(most, fabs(t->data[i]));
  return most;
}

void golden_compare(const golden_tensor *expected, evr_layout layout, const float *y, double bound,
                    const char *what) {
  for (int64_t i = 0; i < expected->count; i++) {
    const double got = (double)y[golden_place(expected, layout, i)];
    const bool agrees =
        isnan(expected->data[i]) ? isnan(got) : fabs(got - expected->data[i]) <= bound;
    ck_assert_msg(agrees, "%s: y[%lld] is %.9g, expected %.9g +- %g", what, (long long)i, got,
                  expected->data[i], bound);
  }
}

void golden_compare_printed(const cJSON *printed, double exact, double got, double bound,
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

void golden_each_variant(evr_operation operation, golden_call *call, void *context,
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
}
