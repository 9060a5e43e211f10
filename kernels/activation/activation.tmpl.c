/* Elementwise functions over runs of memory. */
#include "activation/apply.h"
#include "activation/functions.h"

void EVR_NAME(evr_activation_apply)(const evr_activation *activation, const float *x, float *y,
                                    int64_t n) {
  const evr_activation a = *activation;
  int64_t i = 0;
  for (; i + EVR_LANES <= n; i += EVR_LANES) vf_store(y + i, evr_activate(&a, vf_load(x + i)));
  if (i < n) vf_store_n(y + i, evr_activate(&a, vf_load_n(x + i, n - i)), n - i);
}
