/* Worked cases from JSON files: each in every layout and by every variant that runs here. The files
 * hold NHWC tensors and HWIO filters in double; what they lose as floats is part of the bound. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/registry.h"
#include "evrisim/evrisim.h"

/* Runs one case of an operation. false: it is not one of theirs. */
bool golden_forward(const cJSON *one, const char *op);
bool golden_backward(const cJSON *one, const char *op);

typedef struct golden_tensor {
  int64_t shape[4], count;
  double *data; /* the caller frees it */
} golden_tensor;

/* JSON has no word for a NaN: it is the string "NaN". */
golden_tensor golden_read(const cJSON *parent, const char *name);
int64_t golden_parameter(const cJSON *one, const char *name);
const char *golden_text(const cJSON *one, const char *name);
/* The pooling that a case is about, of x, in NHWC. */
evr_pool2d_desc golden_pool(const cJSON *one, const golden_tensor *x);

/* The place of element i of an NHWC tensor in a layout. */
int64_t golden_place(const golden_tensor *t, evr_layout layout, int64_t i);
float *golden_to_layout(const golden_tensor *t, evr_layout layout);
float *golden_to_filter_layout(const golden_tensor *t, evr_filter_layout layout);
double golden_greatest(const golden_tensor *t);

/* Each output within bound of the expected one, and NaN where that is. */
void golden_compare(const golden_tensor *expected, evr_layout layout, const float *y, double bound,
                    const char *what);
/* A figure that a source prints, against doubles that must meet it to its last digit and floats
 * that must meet it within their bound. Digits are counted in the figure as JSON prints it. */
void golden_compare_printed(const cJSON *printed, double exact, double got, double bound,
                            const char *what);

/* Calls, and checks the result, for each variant of an operation that runs here and serves. */
typedef evr_status golden_call(const evr_plan_options *options, void *context);
void golden_each_variant(evr_operation operation, golden_call *call, void *context,
                         void (*check)(void *context, const char *variant));

#endif
