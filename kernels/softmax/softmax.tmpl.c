/* Softmax: NHWC with a vector over the channels of one pixel, NCHW with a vector over pixels. The
 * sixteen partial sums of the canonical order are lanes in the one and vectors in the other. */
#include "activation/exponential.h"
#include "core/checked.h"
#include "simd/simd.h"
#include "softmax/problem.h"

#define SUMS EVR_SOFTMAX_SUMS
#define VECTORS (SUMS / EVR_LANES) /* that hold the partial sums of one pixel */

/* Pixels that share the walk over the channels in NCHW: whole cache lines, and a row of partial
 * sums that stays in the first cache. */
#define PIXELS 64

/* Elements that make a task worth handing out. */
#define ELEMENTS_OF_TASK 8192

/* Halves added until one is left. */
static float tree_sum(vf sums[VECTORS]) {
  for (int half = VECTORS / 2; half > 0; half /= 2)
    for (int j = 0; j < half; j++) sums[j] = vf_add(sums[j], sums[j + half]);
  float lanes[EVR_LANES];
  vf_store(lanes, sums[0]);
  for (int half = EVR_LANES / 2; half > 0; half /= 2)
    for (int j = 0; j < half; j++) lanes[j] += lanes[j + half];
  return lanes[0];
}

static float maximum(const float *x, int64_t n) {
  vf most = vf_set1(x[0]);
  int64_t c = 0;
  for (; c + EVR_LANES <= n; c += EVR_LANES) most = vf_greater(vf_load(x + c), most);
  float lanes[EVR_LANES];
  vf_store(lanes, most);
  float result = lanes[0];
  for (int j = 1; j < EVR_LANES; j++) result = lanes[j] > result ? lanes[j] : result;
  for (; c < n; c++) result = x[c] > result ? x[c] : result;
  return result;
}

/* The channels of one pixel. A NaN that the maximum passes over comes back through the sum. */
static void softmax_row(const float *x, float *y, int64_t channels) {
  const vf most = vf_set1(maximum(x, channels));
  vf sums[VECTORS];
  for (int j = 0; j < VECTORS; j++) sums[j] = vf_zero();
  int64_t c = 0;
  for (; c + SUMS <= channels; c += SUMS)
    EVR_UNROLL
    for (int j = 0; j < VECTORS; j++) {
      const vf e = evr_exp(vf_sub(vf_load(x + c + j * EVR_LANES), most));
      vf_store(y + c + j * EVR_LANES, e);
      sums[j] = vf_add(sums[j], e);
    }
  for (int j = 0; c < channels; j++, c += EVR_LANES) {
    const int64_t n = evr_min(channels - c, EVR_LANES);
    vf_store_n(y + c, evr_exp(vf_sub(vf_load_n(x + c, n), most)), n);
    sums[j] = vf_add(sums[j], vf_load_n(y + c, n)); /* zero in the lanes beyond */
  }
  const vf sum = vf_set1(tree_sum(sums));
  for (c = 0; c + EVR_LANES <= channels; c += EVR_LANES)
    vf_store(y + c, vf_div(vf_load(y + c), sum));
  if (c < channels)
    vf_store_n(y + c, vf_div(vf_load_n(y + c, channels - c), sum), channels - c);
}

/* Whole vectors are not masked: that costs on some instruction sets. */
EVR_INLINE vf load(const float *p, int64_t lanes) {
  return lanes >= EVR_LANES ? vf_load(p) : vf_load_n(p, lanes);
}
EVR_INLINE void store(float *p, vf a, int64_t lanes) {
  if (lanes >= EVR_LANES)
    vf_store(p, a);
  else
    vf_store_n(p, a, lanes);
}

/* n <= PIXELS pixels, whose channels are step floats apart. */
static void softmax_pixels(const float *x, float *y, int64_t n, int64_t channels, int64_t step) {
  float most[PIXELS], sums[SUMS][PIXELS];
  memset(sums, 0, sizeof sums);
  for (int64_t i = 0; i < n; i += EVR_LANES) vf_store(most + i, load(x + i, n - i));
  for (int64_t c = 1; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES)
      vf_store(most + i, vf_greater(load(x + c * step + i, n - i), vf_load(most + i)));
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES) {
      float *sum = sums[c % SUMS] + i;
      const vf e = evr_exp(vf_sub(load(x + c * step + i, n - i), vf_load(most + i)));
      store(y + c * step + i, e, n - i);
      vf_store(sum, vf_add(vf_load(sum), e));
    }
  for (int half = SUMS / 2; half > 0; half /= 2)
    for (int j = 0; j < half; j++)
      for (int64_t i = 0; i < n; i += EVR_LANES)
        vf_store(sums[j] + i, vf_add(vf_load(sums[j] + i), vf_load(sums[j + half] + i)));
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES) {
      float *at = y + c * step + i;
      store(at, vf_div(load(at, n - i), vf_load(sums[0] + i)), n - i);
    }
}

typedef struct work {
  const evr_softmax_problem *problem;
  const evr_softmax_call *call;
  int64_t extent; /* all rows, or tasks of one image */
  int64_t share;  /* rows or pixels of a task */
} work;

static void run_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t channels = w->problem->desc.channels;
  const int64_t start = task * w->share, end = evr_min(start + w->share, w->extent);
  for (int64_t row = start; row < end; row++)
    softmax_row(w->call->x + row * channels, w->call->y + row * channels, channels);
}

static void run_pixels(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t channels = w->problem->desc.channels, pixels = w->problem->pixels;
  const int64_t image = task / w->extent * channels * pixels;
  const int64_t start = task % w->extent * w->share, end = evr_min(start + w->share, pixels);
  for (int64_t at = start; at < end; at += PIXELS)
    softmax_pixels(w->call->x + image + at, w->call->y + image + at, evr_min(end - at, PIXELS),
                   channels, pixels);
}

/* Where an image is one pixel, both layouts are rows. */
static void forward(const void *problem, const void *arguments) {
  const evr_softmax_problem *p = problem;
  const int64_t channels = p->desc.channels;
  work w = {.problem = p, .call = arguments};
  if (p->desc.layout == EVR_NHWC || p->pixels == 1) {
    w.extent = p->desc.batch * p->pixels;
    w.share = evr_max(ELEMENTS_OF_TASK / channels, 1);
    evr_parallel_for(&p->common.parallel, evr_ceil_div(w.extent, w.share), run_rows, &w);
  } else {
    w.share = PIXELS * evr_max(ELEMENTS_OF_TASK / PIXELS / channels, 1);
    w.extent = evr_ceil_div(p->pixels, w.share);
    evr_parallel_for(&p->common.parallel, p->desc.batch * w.extent, run_pixels, &w);
  }
}

/* A fifth of a nanosecond for an operation on one vector; the scalar form calls the C library. */
static double cost(const void *problem) {
  return 50.0 + 0.2 * ((const evr_softmax_problem *)problem)->work / EVR_LANES;
}

const evr_kernel EVR_NAME(evr_softmax_direct) = {.cost = cost, .forward = forward};
