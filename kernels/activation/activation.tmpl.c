/* Elementwise functions over runs of memory. */
#include "activation/apply.h"
#include "activation/functions.h"
#include "activation/problem.h"
#include "core/checked.h"

/* Vectors at a time, where registers allow: three in a hundred are saved, of some functions. */
#define TOGETHER (EVR_REGISTERS > 16 && EVR_LANES > 1 ? 4 : 1)

/* Called with a constant kind, so that the switch of vf_activate is gone from the loop. */
EVR_INLINE void apply(evr_activation_kind kind, float alpha, const float *x, float *y, int64_t n) {
  const evr_activation a = {kind, alpha};
  int64_t i = 0;
  for (; i + TOGETHER * EVR_LANES <= n; i += TOGETHER * EVR_LANES) {
    vf value[TOGETHER];
    EVR_UNROLL
    for (int v = 0; v < TOGETHER; v++) value[v] = vf_activate(&a, vf_load(x + i + v * EVR_LANES));
    EVR_UNROLL
    for (int v = 0; v < TOGETHER; v++) vf_store(y + i + v * EVR_LANES, value[v]);
  }
  for (; i + EVR_LANES <= n; i += EVR_LANES) vf_store(y + i, vf_activate(&a, vf_load(x + i)));
  if (i < n) vf_store_n(y + i, vf_activate(&a, vf_load_n(x + i, n - i)), n - i);
}

void EVR_NAME(evr_activation_apply)(const evr_activation *activation, const float *x, float *y,
                                    int64_t n) {
  const float alpha = activation->alpha;
  switch (activation->kind) {
    case EVR_IDENTITY:
      if (x != y) apply(EVR_IDENTITY, alpha, x, y, n);
      break;
    case EVR_RELU: apply(EVR_RELU, alpha, x, y, n); break;
    case EVR_LEAKY_RELU: apply(EVR_LEAKY_RELU, alpha, x, y, n); break;
    case EVR_ELU: apply(EVR_ELU, alpha, x, y, n); break;
    case EVR_SIGMOID: apply(EVR_SIGMOID, alpha, x, y, n); break;
    case EVR_TANH: apply(EVR_TANH, alpha, x, y, n); break;
    case EVR_SCALED_TANH: apply(EVR_SCALED_TANH, alpha, x, y, n); break;
    case EVR_RELU6: apply(EVR_RELU6, alpha, x, y, n); break;
    case EVR_HARD_SWISH: apply(EVR_HARD_SWISH, alpha, x, y, n); break;
    case EVR_SILU: apply(EVR_SILU, alpha, x, y, n); break;
    case EVR_GELU: apply(EVR_GELU, alpha, x, y, n); break;
    case EVR_GELU_TANH: apply(EVR_GELU_TANH, alpha, x, y, n); break;
  }
}

void EVR_NAME(evr_exp_apply)(const float *x, float *y, int64_t n) {
  int64_t i = 0;
  for (; i + EVR_LANES <= n; i += EVR_LANES) vf_store(y + i, evr_exp(vf_load(x + i)));
  if (i < n) vf_store_n(y + i, evr_exp(vf_load_n(x + i, n - i)), n - i);
}

/* A task is a block of this many elements: its pages are its own, and it is worth handing out. */
#define BLOCK 16384

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
  EVR_NAME(evr_activation_apply)(&w->problem->activation, x, w->call->y + start, count);
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
