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

/* Channels up to which NHWC is transposed: where AVX2 breaks even, AVX-512 still gains a sixth. */
#define NARROW 48

/* Elements that make a task worth handing out. */
#define ELEMENTS_OF_TASK 8192

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

/* Halves added until one is left. */
EVR_INLINE float tree_sum(vf sums[VECTORS]) {
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

/* A NaN may be passed over: it comes back through the sum. */
EVR_INLINE float maximum(const float *x, int64_t n) {
  if (n < EVR_LANES) {
    float result = x[0];
    for (int64_t c = 1; c < n; c++) result = x[c] > result ? x[c] : result;
    return result;
  }
  vf most = vf_load(x);
  for (int64_t c = EVR_LANES; c < n; c += EVR_LANES) /* the last vector may overlap */
    most = vf_greater(vf_load(x + evr_min(c, n - EVR_LANES)), most);
  float lanes[EVR_LANES];
  vf_store(lanes, most);
  EVR_UNROLL
  for (int half = EVR_LANES / 2; half > 0; half /= 2) EVR_UNROLL
  for (int j = 0; j < half; j++) lanes[j] = lanes[j + half] > lanes[j] ? lanes[j + half] : lanes[j];
  return lanes[0];
}

/* The channels of one pixel. */
static void softmax_row(const float *x, float *y, int64_t channels) {
  static const float numbers[SUMS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const vf most = vf_set1(maximum(x, channels));
  vf sums[VECTORS];
  EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) sums[j] = vf_zero();
  int64_t c = 0;
  for (; c + SUMS <= channels; c += SUMS) EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) {
    const vf e = evr_exp(vf_sub(vf_load(x + c + j * EVR_LANES), most));
    vf_store(y + c + j * EVR_LANES, e);
    sums[j] = vf_add(sums[j], e);
  }
  EVR_UNROLL
  for (int j = 0; j < VECTORS; j++) {
    const int64_t n = channels - c - j * EVR_LANES;
    if (n <= 0) break;
    float *at = y + c + j * EVR_LANES;
    const vf e = evr_exp(vf_sub(load(x + c + j * EVR_LANES, n), most));
    const vm exists = vf_lt(vf_load(numbers), vf_set1((float)n));
    store(at, e, n);
    sums[j] = vf_add(sums[j], vf_select(exists, e, vf_zero()));
  }
  const vf sum = vf_set1(tree_sum(sums));
  for (c = 0; c < channels; c += EVR_LANES)
    store(y + c, vf_div(load(y + c, channels - c), sum), channels - c);
}

/* n <= PIXELS pixels, whose channels are step floats apart. */
static void softmax_pixels(const float *x, float *y, int64_t n, int64_t channels, int64_t step) {
  float most[PIXELS], sums[SUMS][PIXELS];
  for (int64_t i = 0; i < n; i += EVR_LANES) vf_store(most + i, load(x + i, n - i));
  for (int64_t c = 1; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES)
      vf_store(most + i, vf_greater(load(x + c * step + i, n - i), vf_load(most + i)));
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES) {
      float *sum = sums[c % SUMS] + i;
      const vf e = evr_exp(vf_sub(load(x + c * step + i, n - i), vf_load(most + i)));
      store(y + c * step + i, e, n - i);
      vf_store(sum, c < SUMS ? e : vf_add(vf_load(sum), e));
    }
  /* Partial sums from channels on are zero, and not there. */
  for (int half = SUMS / 2; half > 0; half /= 2)
    for (int j = 0; j < half && j + half < channels; j++)
      for (int64_t i = 0; i < n; i += EVR_LANES)
        vf_store(sums[j] + i, vf_add(vf_load(sums[j] + i), vf_load(sums[j + half] + i)));
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < n; i += EVR_LANES) {
      float *at = y + c * step + i;
      store(at, vf_div(load(at, n - i), vf_load(sums[0] + i)), n - i);
    }
}

/* n <= PIXELS pixels of at most NARROW channels each, which would not fill the vectors of
 * softmax_row: they are transposed, and back. */
static void softmax_narrow(const float *x, float *y, int64_t n, int64_t channels) {
  float planes[NARROW + EVR_LANES][PIXELS];
  planes[0][0] = 0.0f; /* gcc does not see that n and channels are at least 1 */
  for (int64_t i = 0; i < n; i += EVR_LANES)
    for (int64_t c = 0; c < channels; c += EVR_LANES) {
      vf tile[EVR_LANES];
      EVR_UNROLL
      for (int j = 0; j < EVR_LANES; j++)
        tile[j] = i + j < n ? load(x + (i + j) * channels + c, channels - c) : vf_zero();
      vf_transpose(tile);
      EVR_UNROLL
      for (int k = 0; k < EVR_LANES; k++) vf_store(planes[c + k] + i, tile[k]);
    }
  softmax_pixels(planes[0], planes[0], n, channels, PIXELS);
  for (int64_t i = 0; i < n; i += EVR_LANES)
    for (int64_t c = 0; c < channels; c += EVR_LANES) {
      vf tile[EVR_LANES];
      EVR_UNROLL
      for (int k = 0; k < EVR_LANES; k++) tile[k] = vf_load(planes[c + k] + i);
      vf_transpose(tile);
      EVR_UNROLL
      for (int j = 0; j < EVR_LANES; j++)
        if (i + j < n) store(y + (i + j) * channels + c, tile[j], channels - c);
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
  if (EVR_LANES > 1 && channels <= NARROW && end - start >= EVR_LANES) {
    for (int64_t row = start; row < end; row += PIXELS)
      softmax_narrow(w->call->x + row * channels, w->call->y + row * channels,
                     evr_min(end - row, PIXELS), channels);
    return;
  }
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
