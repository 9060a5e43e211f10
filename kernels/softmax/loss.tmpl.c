/* The backward pass of softmax, and the two losses. The sixteen partial sums of the canonical order
 * are lanes where a vector runs over the channels of a pixel, and vectors where it runs over
 * pixels. */
#include "softmax/loss.h"

#include <stdio.h>

#include "activation/apply.h"
#include "activation/functions.h"
#include "activation/logarithm.h"
#include "core/checked.h"

#define SUMS EVR_SOFTMAX_SUMS
#define VECTORS (SUMS / EVR_LANES)
#define PIXELS 64
#define ELEMENTS_OF_TASK 8192

EVR_INLINE vf load(const float *p, int64_t lanes) {
  return lanes >= EVR_LANES ? vf_load(p) : vf_load_n(p, lanes);
}
EVR_INLINE void store(float *p, vf a, int64_t lanes) {
  if (lanes >= EVR_LANES)
    vf_store(p, a);
  else if (lanes > 0)
    vf_store_n(p, a, lanes);
}

/* The first n lanes of a; elsewhere b. */
EVR_INLINE vf first_of(vf a, vf b, int64_t n) {
  static const float numbers[SUMS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return vf_select(vf_lt(vf_load(numbers), vf_set1((float)n)), a, b);
}

/* Halves added until one is left. */
EVR_INLINE float tree_sum(const vf partial[VECTORS]) {
  vf sums[VECTORS];
  EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) sums[j] = partial[j];
  EVR_UNROLL
  for (int half = VECTORS / 2; half > 0; half /= 2) EVR_UNROLL
  for (int j = 0; j < half; j++) sums[j] = vf_add(sums[j], sums[j + half]);
  float lanes[EVR_LANES];
  vf_store(lanes, sums[0]);
  EVR_UNROLL
  for (int half = EVR_LANES / 2; half > 0; half /= 2) EVR_UNROLL
  for (int j = 0; j < half; j++) lanes[j] += lanes[j + half];
  return lanes[0];
}

EVR_INLINE void clear(vf sums[VECTORS]) {
  EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) sums[j] = vf_zero();
}

/* ---- the backward pass of softmax ---- */

static void backward_row(const float *dy, const float *y, float *dx, int64_t channels) {
  vf sums[VECTORS];
  clear(sums);
  for (int64_t c = 0; c < channels; c += SUMS) EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) {
    const int64_t at = c + j * EVR_LANES, n = channels - at;
    if (n <= 0) break;
    const vf sum = vf_fma(load(dy + at, n), load(y + at, n), sums[j]);
    sums[j] = n >= EVR_LANES ? sum : first_of(sum, sums[j], n);
  }
  const vf sum = vf_set1(tree_sum(sums));
  for (int64_t c = 0; c < channels; c += EVR_LANES) {
    const int64_t n = channels - c;
    store(dx + c, vf_mul(load(y + c, n), vf_sub(load(dy + c, n), sum)), n);
  }
}

/* n <= PIXELS pixels, whose channels are step floats apart. */
static void backward_pixels(const float *dy, const float *y, float *dx, int64_t n, int64_t channels,
                            int64_t step) {
  float sums[SUMS][PIXELS];
  for (int j = 0; j < SUMS; j++)
    for (int64_t i = 0; i < PIXELS; i += EVR_LANES) vf_store(sums[j] + i, vf_zero());
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES) {
      float *sum = sums[c % SUMS] + i;
      vf_store(sum,
               vf_fma(load(dy + c * step + i, n - i), load(y + c * step + i, n - i), vf_load(sum)));
    }
  for (int half = SUMS / 2; half > 0; half /= 2)
    for (int j = 0; j < half; j++)
      for (int64_t i = 0; i < n; i += EVR_LANES)
        vf_store(sums[j] + i, vf_add(vf_load(sums[j] + i), vf_load(sums[j + half] + i)));
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES) {
      const int64_t at = c * step + i;
      const vf difference = vf_sub(load(dy + at, n - i), vf_load(sums[0] + i));
      store(dx + at, vf_mul(load(y + at, n - i), difference), n - i);
    }
}

/* ---- softmax with cross-entropy ---- */

/* A NaN may be passed over: it comes back through the sum. */
static float maximum(const float *x, int64_t n) {
  float result = x[0];
  int64_t c = 1;
  if (n >= EVR_LANES) {
    vf most = vf_load(x);
    for (c = EVR_LANES; c + EVR_LANES <= n; c += EVR_LANES) most = vf_greater(vf_load(x + c), most);
    float lanes[EVR_LANES];
    vf_store(lanes, most);
    result = lanes[0];
    for (int j = 1; j < EVR_LANES; j++) result = lanes[j] > result ? lanes[j] : result;
  }
  for (; c < n; c++) result = x[c] > result ? x[c] : result;
  return result;
}

static float log_of(float x) {
  float lanes[EVR_LANES];
  vf_store(lanes, evr_log(vf_set1(x)));
  return lanes[0];
}

/* e^(x - most) to dx; their sum. */
static float exponentials(const float *x, float most, float *dx, int64_t channels) {
  vf sums[VECTORS];
  clear(sums);
  for (int64_t c = 0; c < channels; c += SUMS) EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) {
    const int64_t at = c + j * EVR_LANES, n = channels - at;
    if (n <= 0) break;
    const vf e = evr_exp(vf_sub(load(x + at, n), vf_set1(most)));
    store(dx + at, e, n);
    sums[j] = vf_add(sums[j], n >= EVR_LANES ? e : first_of(e, vf_zero(), n));
  }
  return tree_sum(sums);
}

static float entropy_of_label(const float *x, int64_t label, float scale, float *dx,
                              int64_t channels) {
  const float most = maximum(x, channels);
  const float sum = exponentials(x, most, dx, channels);
  const float right = dx[label] / sum;
  for (int64_t c = 0; c < channels; c += EVR_LANES) {
    const int64_t n = channels - c;
    store(dx + c, vf_mul(vf_div(load(dx + c, n), vf_set1(sum)), vf_set1(scale)), n);
  }
  dx[label] = (right - 1.0f) * scale;
  return log_of(sum) - (x[label] - most);
}

static float entropy_of_targets(const float *x, const float *targets, float scale, float *dx,
                                int64_t channels) {
  const float most = maximum(x, channels);
  const float sum = exponentials(x, most, dx, channels);
  const vf log_sum = vf_set1(log_of(sum));
  vf sums[VECTORS], losses[VECTORS];
  clear(sums);
  clear(losses);
  for (int64_t c = 0; c < channels; c += SUMS) EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) {
    const int64_t at = c + j * EVR_LANES, n = channels - at;
    if (n <= 0) break;
    const vf t = load(targets + at, n); /* zeros beyond n, which add +0 to sums that begin at +0 */
    const vf loss = vf_mul(t, vf_sub(log_sum, vf_sub(load(x + at, n), vf_set1(most))));
    const vf none = vf_add(losses[j], vf_zero());
    const vm some = vm_or(vf_lt(t, vf_zero()), vm_or(vf_gt(t, vf_zero()), vf_is_nan(t)));
    sums[j] = vf_add(sums[j], t);
    losses[j] = vf_select(some, vf_add(losses[j], loss), none);
  }
  const vf total = vf_set1(tree_sum(sums));
  for (int64_t c = 0; c < channels; c += EVR_LANES) {
    const int64_t n = channels - c;
    const vf share = vf_div(load(dx + c, n), vf_set1(sum));
    const vf difference = vf_fma(share, total, vf_neg(load(targets + c, n)));
    store(dx + c, vf_mul(difference, vf_set1(scale)), n);
  }
  return tree_sum(losses);
}

/* ---- tasks ---- */

typedef struct work {
  const evr_softmax_problem *problem;
  const evr_softmax_backward_call *backward;
  const evr_softmax_cross_entropy_arguments *entropy;
  int64_t extent; /* all rows, or tasks of one image */
  int64_t share;  /* rows or pixels of a task */
} work;

static void run_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t channels = w->problem->desc.channels;
  const int64_t start = task * w->share, end = evr_min(start + w->share, w->extent);
  for (int64_t row = start; row < end; row++)
    backward_row(w->backward->dy + row * channels, w->backward->y + row * channels,
                 w->backward->dx + row * channels, channels);
}

static void run_pixels(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t channels = w->problem->desc.channels, pixels = w->problem->pixels;
  const int64_t image = task / w->extent * channels * pixels;
  const int64_t start = task % w->extent * w->share, end = evr_min(start + w->share, pixels);
  for (int64_t at = start; at < end; at += PIXELS)
    backward_pixels(w->backward->dy + image + at, w->backward->y + image + at,
                    w->backward->dx + image + at, evr_min(end - at, PIXELS), channels, pixels);
}

static bool are_rows(const evr_softmax_problem *p) {
  return p->desc.layout == EVR_NHWC || p->pixels == 1;
}

static void backward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const int64_t channels = p->desc.channels;
  work w = {.problem = p, .backward = arguments};
  if (are_rows(p)) {
    w.extent = p->desc.batch * p->pixels;
    w.share = evr_max(ELEMENTS_OF_TASK / channels, 1);
    evr_parallel_for(&p->common.parallel, evr_ceil_div(w.extent, w.share), run_rows, &w);
  } else {
    w.share = PIXELS * evr_max(ELEMENTS_OF_TASK / PIXELS / channels, 1);
    w.extent = evr_ceil_div(p->pixels, w.share);
    evr_parallel_for(&p->common.parallel, p->desc.batch * w.extent, run_pixels, &w);
  }
}

static void run_entropies(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const evr_softmax_cross_entropy_arguments *a = w->entropy;
  const int64_t channels = w->problem->desc.channels;
  const int64_t start = task * w->share, end = evr_min(start + w->share, w->extent);
  for (int64_t row = start; row < end; row++) {
    const int64_t at = row * channels;
    a->loss[row] =
        a->labels != NULL
            ? entropy_of_label(a->x + at, a->labels[row], a->scale, a->dx + at, channels)
            : entropy_of_targets(a->x + at, a->targets + at, a->scale, a->dx + at, channels);
  }
}

static void entropy(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  work w = {.problem = p, .entropy = arguments, .extent = p->desc.batch * p->pixels};
  w.share = evr_max(ELEMENTS_OF_TASK / p->desc.channels, 1);
  evr_parallel_for(&p->common.parallel, evr_ceil_div(w.extent, w.share), run_entropies, &w);
}

static bool accepts_rows(const void *problem, char *reason) {
  if (are_rows(problem)) return true;
  snprintf(reason, EVR_REASON_SIZE, "the channels of a pixel are no neighbours in NCHW");
  return false;
}

static double cost(const void *problem) {
  return 50.0 + 0.2 * ((const evr_softmax_problem *)problem)->work / EVR_LANES;
}

const evr_kernel EVR_NAME(evr_softmax_backward_direct) = {.cost = cost, .forward = backward};
const evr_kernel EVR_NAME(evr_softmax_cross_entropy_direct) = {
    .accepts = accepts_rows, .cost = cost, .forward = entropy};

/* ---- sigmoid with binary cross-entropy ---- */

EVR_INLINE void apply(const evr_sigmoid_cross_entropy_call *call, int64_t first, int64_t count) {
  for (int64_t i = first; i < first + count; i += EVR_LANES) {
    const int64_t n = first + count - i;
    const vf x = load(call->x + i, n), t = load(call->targets + i, n);
    const vf tail = evr_log1p(evr_exp(vf_neg(vf_abs(x))));
    store(call->loss + i, vf_add(vf_fnma(x, t, evr_relu(x)), tail), n);
    store(call->dx + i, vf_mul(vf_sub(evr_sigmoid(x), t), vf_set1(call->scale)), n);
  }
}

#if defined(EVR_SIMD_SCALAR)
void evr_sigmoid_cross_entropy_apply_scalar(const evr_sigmoid_cross_entropy_call *call,
                                            int64_t first, int64_t count) {
  apply(call, first, count);
}
#endif

typedef struct binary_work {
  const evr_sigmoid_cross_entropy_problem *problem;
  const evr_sigmoid_cross_entropy_call *call;
} binary_work;

static void run_binary(void *argument, int64_t task, int slot) {
  (void)slot;
  const binary_work *w = argument;
  const int64_t start = task * ELEMENTS_OF_TASK;
  apply(w->call, start, evr_min(ELEMENTS_OF_TASK, w->problem->count - start));
}

static void binary(const void *problem, const void *arguments) {
  const evr_sigmoid_cross_entropy_problem *p = problem;
  binary_work w = {p, arguments};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(p->count, ELEMENTS_OF_TASK), run_binary, &w);
}

static double binary_cost(const void *problem) {
  return 50.0 + 0.2 * 80.0 * (double)((const evr_sigmoid_cross_entropy_problem *)problem)->count /
                    EVR_LANES;
}

const evr_kernel EVR_NAME(evr_sigmoid_cross_entropy_direct) = {.cost = binary_cost,
                                                               .forward = binary};

/* ---- the logarithms alone, for the reference and the tests ---- */

void EVR_NAME(evr_log_apply)(const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i += EVR_LANES) store(y + i, evr_log(load(x + i, n - i)), n - i);
}

void EVR_NAME(evr_log1p_apply)(const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i += EVR_LANES) store(y + i, evr_log1p(load(x + i, n - i)), n - i);
}
