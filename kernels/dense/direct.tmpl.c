/* Dense layers whose weights are read once, as they are: for small batches, where memory sets the
 * pace. Lanes run over outputs.
 *
 * IO: a few rows of weights at a time stream past, and the sums wait in y between one such group of
 * rows and the next. OI: blocks of EVR_LANES outputs by EVR_LANES inputs are transposed in
 * registers. */
#include "activation/apply.h"
#include "activation/functions.h"
#include "core/checked.h"
#include "dense/problem.h"

/* IO: rows of weights that stream together, and outputs whose part of them stays in L1 while the
 * rows of the batch take their turns. */
#define ROWS 8
#define STRETCH 512

/* OI: blocks side by side, so that their chains of additions overlap. */
#define BLOCKS (EVR_LANES == 16 ? 2 : 4)

typedef struct job {
  const evr_dense_problem *p;
  const evr_dense_call *call;
  int64_t share; /* outputs of a task */
} job;

/* Sums of outputs o, o + 1, ... of one batch row, over count (at most ROWS) inputs from i on. */
EVR_INLINE void add_rows(const job *j, const float *x, float *y, int64_t i, const int count,
                         int64_t o, int64_t end) {
  const int64_t pitch = j->p->desc.out_features;
  const float *w = j->call->weights + i * pitch;
  vf element[ROWS];
  EVR_UNROLL
  for (int r = 0; r < count; r++) element[r] = vf_set1(x[i + r]);
  for (; o + EVR_LANES <= end; o += EVR_LANES) {
    vf sum = i == 0 ? vf_zero() : vf_load(y + o);
    EVR_UNROLL
    for (int r = 0; r < count; r++) sum = vf_fma(element[r], vf_load(w + r * pitch + o), sum);
    vf_store(y + o, sum);
  }
  if (o < end) {
    vf sum = i == 0 ? vf_zero() : vf_load_n(y + o, end - o);
    EVR_UNROLL
    for (int r = 0; r < count; r++)
      sum = vf_fma(element[r], vf_load_n(w + r * pitch + o, end - o), sum);
    vf_store_n(y + o, sum, end - o);
  }
}

static void multiply_io(const job *j, int64_t begin, int64_t end) {
  const evr_dense_desc *d = &j->p->desc;
  const int64_t stretch = d->batch > 1 ? STRETCH : end - begin;
  for (int64_t i = 0; i < d->in_features;) {
    const int64_t count = d->in_features - i >= ROWS ? ROWS : 1;
    for (int64_t o = begin; o < end; o += stretch)
      for (int64_t n = 0; n < d->batch; n++) {
        const float *x = j->call->x + n * d->in_features;
        float *y = j->call->y + n * d->out_features;
        if (count == ROWS)
          add_rows(j, x, y, i, ROWS, o, evr_min(o + stretch, end));
        else
          add_rows(j, x, y, i, 1, o, evr_min(o + stretch, end));
      }
    i += count;
  }
}

/* Sums of outputs o to o + BLOCKS * EVR_LANES of one batch row; those from end on are not stored,
 * and the last one before it stands in for them. */
static void multiply_blocks(const job *j, const float *x, float *y, int64_t o, int64_t end) {
  const int64_t depth = j->p->desc.in_features;
  vf sum[BLOCKS];
  EVR_UNROLL
  for (int b = 0; b < BLOCKS; b++) sum[b] = vf_zero();
  for (int64_t i = 0; i < depth; i += EVR_LANES) {
    const int64_t count = evr_min(depth - i, EVR_LANES);
    EVR_UNROLL
    for (int b = 0; b < BLOCKS; b++) {
      const float *w = j->call->weights + i;
      const int64_t first = o + b * EVR_LANES;
      vf block[EVR_LANES];
      if (first >= end) continue;
      if (count == EVR_LANES) {
        EVR_UNROLL
        for (int l = 0; l < EVR_LANES; l++)
          block[l] = vf_load(w + evr_min(first + l, end - 1) * depth);
        vf_transpose(block);
        EVR_UNROLL
        for (int l = 0; l < EVR_LANES; l++) sum[b] = vf_fma(vf_set1(x[i + l]), block[l], sum[b]);
      } else {
        EVR_UNROLL
        for (int l = 0; l < EVR_LANES; l++)
          block[l] = vf_load_n(w + evr_min(first + l, end - 1) * depth, count);
        vf_transpose(block);
        EVR_UNROLL
        for (int l = 0; l < EVR_LANES; l++)
          if (l < count) sum[b] = vf_fma(vf_set1(x[i + l]), block[l], sum[b]);
      }
    }
  }
  EVR_UNROLL
  for (int b = 0; b < BLOCKS; b++) {
    const int64_t first = o + b * EVR_LANES;
    if (first < end) vf_store_n(y + first, sum[b], evr_min(end - first, EVR_LANES));
  }
}

static void multiply_oi(const job *j, int64_t begin, int64_t end) {
  const evr_dense_desc *d = &j->p->desc;
  for (int64_t o = begin; o < end; o += BLOCKS * EVR_LANES)
    for (int64_t n = 0; n < d->batch; n++)
      multiply_blocks(j, j->call->x + n * d->in_features, j->call->y + n * d->out_features, o,
                      end);
}

static void finish(const job *j, int64_t begin, int64_t end) {
  const evr_dense_desc *d = &j->p->desc;
  if (j->call->bias == NULL && d->activation.kind == EVR_IDENTITY) return;
  for (int64_t n = 0; n < d->batch; n++) {
    float *y = j->call->y + n * d->out_features;
    if (j->call->bias != NULL)
      for (int64_t o = begin; o < end; o++) y[o] += j->call->bias[o];
    EVR_NAME(evr_activation_apply)(&d->activation, y + begin, y + begin, end - begin);
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const job *j = argument;
  const int64_t begin = task * j->share;
  const int64_t end = evr_min(begin + j->share, j->p->desc.out_features);
  if (j->p->desc.weights_layout == EVR_IO)
    multiply_io(j, begin, end);
  else
    multiply_oi(j, begin, end);
  finish(j, begin, end);
}

static void forward(const void *problem, const void *call) {
  const evr_dense_problem *p = problem;
  const int64_t outputs = p->desc.out_features, threads = p->common.parallel.threads;
  const int64_t unit = BLOCKS * EVR_LANES;
  job j = {p, call, evr_round_up(evr_ceil_div(outputs, threads), unit)};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(outputs, j.share), run_task, &j);
}

/* Weights at 10 GB/s, and a pace of about one vector a nanosecond. */
static double cost(const void *problem) {
  const evr_dense_problem *p = problem;
  const double lanes = p->desc.out_features < EVR_LANES ? (double)p->desc.out_features : EVR_LANES;
  const double pace = p->desc.weights_layout == EVR_IO ? 1.5 : 0.7;
  return 0.4 * (double)p->weights_count +
         p->multiplies / (EVR_LANES == 1 ? 0.35 : pace * lanes) + 50.0;
}

const evr_kernel EVR_NAME(evr_dense_direct) = {.cost = cost, .forward = forward};
