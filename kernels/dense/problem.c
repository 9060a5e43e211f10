#include "dense/problem.h"

#include <inttypes.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/status.h"

static evr_status count(const char *what, const char *rows_name, int64_t rows,
                        const char *columns_name, int64_t columns, int64_t *result) {
  if (evr_count_floats(rows, columns, 1, 1, result)) return EVR_OK;
  return evr_fail(EVR_OVERFLOW,
                  "%s would have %" PRId64 " x %" PRId64 " floats (%s x %s), which do not fit",
                  what, rows, columns, rows_name, columns_name);
}

evr_status evr_dense_problem_init(evr_dense_problem *problem, const evr_dense_desc *desc) {
  EVR_TRY(evr_check_pointer("desc", desc));
  EVR_TRY(evr_check_at_least("desc.batch", desc->batch, 1));
  EVR_TRY(evr_check_at_least("desc.in_features", desc->in_features, 1));
  EVR_TRY(evr_check_at_least("desc.out_features", desc->out_features, 1));
  if (desc->weights_layout != EVR_IO && desc->weights_layout != EVR_OI)
    return evr_fail(EVR_INVALID_ARGUMENT, "desc.weights_layout is %d, which is no evr_dense_layout",
                    (int)desc->weights_layout);
  EVR_TRY(evr_check_activation("desc.activation", &desc->activation));
  *problem = (evr_dense_problem){.desc = *desc};
  const char *batch = "desc.batch", *in = "desc.in_features", *out = "desc.out_features";
  EVR_TRY(count("x", batch, desc->batch, in, desc->in_features, &problem->x_count));
  EVR_TRY(count("the weights", in, desc->in_features, out, desc->out_features,
                &problem->weights_count));
  EVR_TRY(count("y", batch, desc->batch, out, desc->out_features, &problem->y_count));
  problem->multiplies = (double)problem->y_count * (double)desc->in_features;
  return EVR_OK;
}
