/* Elementwise functions over runs of memory. */
#include "activation/apply.h"
#include "activation/functions.h"
#include "activation/problem.h"
#include "core/checked.h"
#include "simd/stream.h"

/* Vectors at a time, where registers allow: three in a hundred are saved, of some functions. */
#define TOGETHER (EVR_REGISTERS > 16 && EVR_LANES > 1 ? 4 : 1)

/* Called with a constant kind, so that the switch of vf_activate is gone from the loop; past: past
 * the caches, to a y that is aligned. */
EVR_INLINE void apply(bool past, evr_activation_kind kind, float alpha, const float *x, float *y,
                      int64_t n) {
  const evr_activation a = {kind, alpha};
  int64_t i = 0;
  for (; i + TOGETHER * EVR_LANES <= n; i += TOGETHER * EVR_LANES) {
    vf value[TOGETHER];
    EVR_UNROLL
    for (int v = 0; v < TOGETHER; v++) value[v] = vf_activate(&a, vf_load(x + i + v * EVR_LANES));
    EVR_UNROLL
    for (int v = 0; v < TOGETHER; v++)
      if (past)
        vf_stream(y + i + v * EVR_LANES, value[v]);
      else
        vf_store(y + i + v * EVR_LANES, value[v]);
  }
  for (; i + EVR_LANES <= n; i += EVR_LANES) vf_store(y + i, vf_activate(&a, vf_load(x + i)));
  if (i < n) vf_store_n(y + i, vf_activate(&a, vf_load_n(x + i, n - i)), n - i);
}

EVR_INLINE void apply_any(bool past, const evr_activation *activation, const float *x, float *y,
                          int64_t n) {
  const float alpha = activation->alpha;
  switch (activation->kind) {
    case EVR_IDENTITY:
      if (x != y) apply(past, EVR_IDENTITY, alpha, x, y, n);
      break;
    case EVR_RELU: apply(past, EVR_RELU, alpha, x, y, n); break;
    case EVR_LEAKY_RELU: apply(past, EVR_LEAKY_RELU, alpha, x, y, n); break;
    case EVR_ELU: apply(past, EVR_ELU, alpha, x, y, n); break;
    case EVR_SIGMOID: apply(past, EVR_SIGMOID, alpha, x, y, n); break;
    case EVR_TANH: apply(past, EVR_TANH, alpha, x, y, n); break;
    case EVR_SCALED_TANH: apply(past, EVR_SCALED_TANH, alpha, x, y, n); break;
    case EVR_RELU6: apply(past, EVR_RELU6, alpha, x, y, n); break;
    case EVR_HARD_SWISH: apply(past, EVR_HARD_SWISH, alpha, x, y, n); break;
    case EVR_SILU: apply(past, EVR_SILU, alpha, x, y, n); break;
    case EVR_GELU: apply(past, EVR_GELU, alpha, x, y, n); break;
    case EVR_GELU_TANH: apply(past, EVR_GELU_TANH, alpha, x, y, n); break;
  }
}

void EVR_NAME(evr_activation_apply)(const evr_activation *activation, const float *x, float *y,
                                    int64_t n) {
  apply_any(false, activation, x, y, n);
}

void EVR_NAME(evr_exp_apply)(const float *x, float *y, int64_t n) {
  int64_t i = 0;
  for (; i + EVR_LANES <= n; i += EVR_LANES) vf_store(y + i, evr_exp(vf_load(x + i)));
  if (i < n) vf_store_n(y + i, evr_exp(vf_load_n(x + i, n - i)), n - i);
}

/* A task is a block of this many elements: its pages are its own, and it is worth handing out. */
#define BLOCK 16384

/* To a y that begins anywhere. */
static void apply_past(const evr_activation *activation, const float *x, float *y, int64_t n) {
  const int64_t vector = EVR_LANES * (int64_t)sizeof(float);
  const int64_t beyond = (int64_t)((uintptr_t)y % (uintptr_t)vector);
  int64_t first = beyond > 0 ? (vector - beyond) / (int64_t)sizeof(float) : 0;
  first = evr_min(first, n);
  EVR_NAME(evr_activation_apply)(activation, x, y, first);
  apply_any(true, activation, x + first, y + first, n - first);
  evr_stream_end();
}

typedef struct work {
  const evr_activation_problem *problem;
  const evr_activation_call *call;
} work;

static void run_block(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t start = task * BLOCK;
  const int64_t count = evr_min(BLOCK, w->problem->count - start);
  const float *const x = w->call->x + start;
  float *const y = w->call->y + start;
  if (EVR_STREAMS && x != y && w->problem->count * (int64_t)sizeof(float) >= EVR_PAST_CACHES)
    apply_past(&w->problem->activation, x, y, count);
  else
    EVR_NAME(evr_activation_apply)(&w->problem->activation, x, y, count);
}

static void forward(const void *problem, const void *arguments) {
  const evr_activation_problem *p = problem;
  work w = {p, arguments};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(p->count, BLOCK), run_block, &w);
}

/* A fifth of a nanosecond for an operation on one vector; the scalar form calls the C library. */
static double cost(const void *problem) {
  return 50.0 + 0.2 * ((const evr_activation_problem *)problem)->work / EVR_LANES;
}

const evr_kernel EVR_NAME(evr_activation_direct) = {.cost = cost, .forward = forward};
