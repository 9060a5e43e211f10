/* Gradients of elementwise functions over runs of memory. */
#include "activation/backward.h"
#include "activation/derivatives.h"
#include "core/checked.h"
#include "simd/stream.h"

/* Vectors at a time, where registers allow; four would not fit for the longest derivatives. */
#define TOGETHER (EVR_REGISTERS > 16 && EVR_LANES > 1 ? 2 : 1)

/* Called with a constant kind and is_z; past: past the caches, to a dx that is aligned. */
EVR_INLINE void apply(bool past, bool is_z, evr_activation_kind kind, float alpha, const float *dy,
                      const float *saved, float *dx, int64_t n) {
  const evr_activation a = {kind, alpha};
  int64_t i = 0;
  for (; i + TOGETHER * EVR_LANES <= n; i += TOGETHER * EVR_LANES) {
    vf value[TOGETHER];
    EVR_UNROLL
    for (int v = 0; v < TOGETHER; v++) {
      const int64_t at = i + v * EVR_LANES;
      value[v] = vf_mul(vf_load(dy + at), vf_slope(&a, is_z, vf_load(saved + at)));
    }
    EVR_UNROLL
    for (int v = 0; v < TOGETHER; v++)
      if (past)
        vf_stream(dx + i + v * EVR_LANES, value[v]);
      else
        vf_store(dx + i + v * EVR_LANES, value[v]);
  }
  for (; i < n; i += EVR_LANES) {
    const int64_t lanes = evr_min(EVR_LANES, n - i);
    const vf slope = vf_slope(&a, is_z, vf_load_n(saved + i, lanes));
    vf_store_n(dx + i, vf_mul(vf_load_n(dy + i, lanes), slope), lanes);
  }
}

EVR_INLINE void apply_any(bool past, const evr_activation *activation, const float *dy,
                          evr_saved saved, float *dx, int64_t n) {
  const float alpha = activation->alpha, *const v = saved.values;
#define CASE(kind)                                 \
  case kind:                                       \
    apply(past, false, kind, alpha, dy, v, dx, n); \
    break
#define CASE_Y_OR_Z(kind)                            \
  case kind:                                         \
    if (saved.is_z)                                  \
      apply(past, true, kind, alpha, dy, v, dx, n);  \
    else                                             \
      apply(past, false, kind, alpha, dy, v, dx, n); \
    break
  switch (activation->kind) {
    case EVR_IDENTITY:
      if (dx != dy) memcpy(dx, dy, (size_t)n * sizeof *dx);
      break;
      CASE(EVR_RELU);
      CASE(EVR_LEAKY_RELU);
      CASE_Y_OR_Z(EVR_ELU);
      CASE_Y_OR_Z(EVR_SIGMOID);
      CASE_Y_OR_Z(EVR_TANH);
      CASE_Y_OR_Z(EVR_SCALED_TANH);
      CASE(EVR_RELU6);
      CASE(EVR_HARD_SWISH);
      CASE(EVR_SILU);
      CASE(EVR_GELU);
      CASE(EVR_GELU_TANH);
  }
#undef CASE
#undef CASE_Y_OR_Z
}

void EVR_NAME(evr_activation_backward_apply)(const evr_activation *activation, const float *dy,
                                             evr_saved saved, float *dx, int64_t n) {
  apply_any(false, activation, dy, saved, dx, n);
}

/* A task: as in activation.tmpl.c. */
#define BLOCK 16384

static evr_saved saved_from(evr_saved saved, int64_t start) {
  if (saved.values != NULL) saved.values += start;
  return saved;
}

/* To a dx that begins anywhere. */
static void apply_past(const evr_activation *activation, const float *dy, evr_saved saved,
                       float *dx, int64_t n) {
  const int64_t vector = EVR_LANES * (int64_t)sizeof(float);
  const int64_t beyond = (int64_t)((uintptr_t)dx % (uintptr_t)vector);
  int64_t first = beyond > 0 ? (vector - beyond) / (int64_t)sizeof(float) : 0;
  first = evr_min(first, n);
  apply_any(false, activation, dy, saved, dx, first);
  apply_any(true, activation, dy + first, saved_from(saved, first), dx + first, n - first);
  evr_stream_end();
}

typedef struct work {
  const evr_activation_problem *problem;
  const evr_activation_backward_call *call;
} work;

static void run_block(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t start = task * BLOCK;
  const int64_t count = evr_min(BLOCK, w->problem->count - start);
  const float *const dy = w->call->dy + start;
  const evr_saved saved = saved_from(w->call->saved, start);
  float *const dx = w->call->dx + start;
  const bool large = w->problem->count * (int64_t)sizeof(float) >= EVR_PAST_CACHES;
  if (EVR_STREAMS && dx != dy && dx != saved.values && large)
    apply_past(&w->problem->activation, dy, saved, dx, count);
  else
    apply_any(false, &w->problem->activation, dy, saved, dx, count);
}

static void backward(const void *problem, const void *arguments) {
  const evr_activation_problem *p = problem;
  work w = {p, arguments};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(p->count, BLOCK), run_block, &w);
}

static double cost(const void *problem) {
  return 50.0 + 0.2 * ((const evr_activation_problem *)problem)->work / EVR_LANES;
}

const evr_kernel EVR_NAME(evr_activation_backward_direct) = {.cost = cost, .forward = backward};
