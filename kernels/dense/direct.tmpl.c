/* Dense layers whose weights are read once, as they are: for small batches, where memory sets the
 * pace. Lanes run over outputs.
 *
 * IO: a few rows of weights at a time stream past, and the sums wait in y between one such group of
 * rows and the next. OI: blocks of EVR_LANES outputs by EVR_LANES inputs are transposed in
 * registers; or the weights have been, when they were packed, and are read as IO. */
#include "activation/apply.h"
#include "activation/functions.h"
#include "core/checked.h"
#include "dense/problem.h"

/* IO: rows of weights that stream together, and outputs whose part of them stays in L1 while the
 * rows of the batch take their turns. */
#define ROWS 8
#define STRETCH 512

/* Floats of weights that come out of memory: asked for ahead, they come a quarter faster, where in
 * the caches that costs a seventh. */
#define FAR ((int64_t)3 << 20)

/* OI: blocks side by side, so that their chains of additions overlap; and floats of a cache
 * line. */
#define BLOCKS 2
#define LINE 16

typedef struct job {
  const evr_dense_problem *p;
  const evr_dense_call *call;
  const float *weights; /* plain, or transposed */
  bool io;              /* what their order is */
  int64_t share;        /* outputs of a task */
} job;

/* Sums of outputs o, o + 1, ... of one batch row, over count (at most ROWS) inputs from i on; and
 * asks for the same part of the rows ahead. */
EVR_INLINE void add_rows(const job *j, const float *x, float *y, int64_t i, const int count,
                         const bool ahead, int64_t o, int64_t end) {
  const int64_t pitch = j->p->desc.out_features;
  const float *w = j->weights + i * pitch;
  vf element[ROWS];
  EVR_UNROLL
  for (int r = 0; r < count; r++) element[r] = vf_set1(x[i + r]);
  for (; o + EVR_LANES <= end; o += EVR_LANES) {
    vf sum = i == 0 ? vf_zero() : vf_load(y + o);
    EVR_UNROLL
    for (int r = 0; r < count; r++) {
      if (ahead) __builtin_prefetch(w + (count + r) * pitch + o, 0, 2);
      sum = vf_fma(element[r], vf_load(w + r * pitch + o), sum);
    }
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

/* Vectors of outputs that a small layer sums in registers at once, and the floats of weights that
 * make a layer small: then their order in memory does not matter. */
#define COLUMNS 8
#define SMALL 32768

/* Outputs [o, end) of one batch row, in so many vectors. Where the last is not whole, it begins
 * earlier and does some outputs again, if its task has as many as lanes. */
EVR_INLINE void sum_columns(const job *j, const float *x, float *y, const int vectors, int64_t o,
                            int64_t end, int64_t lanes) {
  const int64_t pitch = j->p->desc.out_features, depth = j->p->desc.in_features;
  const int64_t last = evr_min((vectors - 1) * EVR_LANES, end - lanes - o);
  const float *w = j->weights + o;
  vf sum[COLUMNS];
  EVR_UNROLL
  for (int v = 0; v < vectors; v++) sum[v] = vf_zero();
  for (int64_t i = 0; i < depth; i++, w += pitch) {
    const vf element = vf_set1(x[i]);
    EVR_UNROLL
    for (int v = 0; v + 1 < vectors; v++)
      sum[v] = vf_fma(element, vf_load(w + v * EVR_LANES), sum[v]);
    const bool whole = vectors > 1 || lanes == EVR_LANES;
    const vf weights = whole ? vf_load(w + last) : vf_load_n(w, lanes);
    sum[vectors - 1] = vf_fma(element, weights, sum[vectors - 1]);
  }
  EVR_UNROLL
  for (int v = 0; v + 1 < vectors; v++) vf_store(y + o + v * EVR_LANES, sum[v]);
  if (lanes == EVR_LANES)
    vf_store(y + o + last, sum[vectors - 1]);
  else
    vf_store_n(y + o, sum[vectors - 1], lanes);
}

static void multiply_small(const job *j, const float *x, float *y, int64_t begin, int64_t end) {
  const int64_t lanes = evr_min(EVR_LANES, end - begin);
  for (int64_t o = begin; o < end; o += COLUMNS * EVR_LANES) {
    const int64_t stop = evr_min(o + COLUMNS * EVR_LANES, end);
    switch (evr_ceil_div(stop - o, EVR_LANES)) {
      case 1: sum_columns(j, x, y, 1, o, stop, lanes); break;
      case 2: sum_columns(j, x, y, 2, o, stop, lanes); break;
      case 3: sum_columns(j, x, y, 3, o, stop, lanes); break;
      case 4: sum_columns(j, x, y, 4, o, stop, lanes); break;
      case 5: sum_columns(j, x, y, 5, o, stop, lanes); break;
      case 6: sum_columns(j, x, y, 6, o, stop, lanes); break;
      case 7: sum_columns(j, x, y, 7, o, stop, lanes); break;
      default: sum_columns(j, x, y, COLUMNS, o, stop, lanes);
    }
  }
}

static void multiply_io(const job *j, int64_t begin, int64_t end) {
  const evr_dense_desc *d = &j->p->desc;
  if (j->p->weights_count <= SMALL) {
    for (int64_t n = 0; n < d->batch; n++)
      multiply_small(j, j->call->x + n * d->in_features, j->call->y + n * d->out_features, begin,
                     end);
    return;
  }
  const int64_t stretch = d->batch > 1 ? STRETCH : end - begin;
  const bool far = j->p->weights_count > FAR;
  for (int64_t i = 0; i < d->in_features;) {
    const int64_t count = d->in_features - i >= ROWS ? ROWS : 1;
    for (int64_t o = begin; o < end; o += stretch)
      for (int64_t n = 0; n < d->batch; n++) {
        const float *x = j->call->x + n * d->in_features;
        float *y = j->call->y + n * d->out_features;
        const int64_t stop = evr_min(o + stretch, end);
        if (count < ROWS)
          add_rows(j, x, y, i, 1, false, o, stop);
        else if (far && n == 0 && i + 2 * ROWS <= d->in_features)
          add_rows(j, x, y, i, ROWS, true, o, stop);
        else
          add_rows(j, x, y, i, ROWS, false, o, stop);
      }
    i += count;
  }
}

/* Adds count (at most EVR_LANES) inputs to the sums of EVR_LANES outputs, whose weights begin at w;
 * of fewer outputs the last one stands in for those that are missing. */
EVR_INLINE vf add_block(const job *j, const float *w, int64_t outputs, const float *x,
                        int64_t count, vf sum) {
  /* Inputs kept for the next block and distances of rows would leave too few registers. */
  const int64_t pitch = evr_anew(j->p->desc.in_features);
  x += evr_anew(0);
  vf block[EVR_LANES];
  EVR_UNROLL
  for (int l = 0; l < EVR_LANES; l++) {
    block[l] = count >= EVR_LANES ? vf_load(w) : vf_load_n(w, count);
    if (l + 1 < evr_min(outputs, EVR_LANES)) w += pitch;
  }
  vf_transpose(block);
  EVR_UNROLL
  for (int l = 0; l < EVR_LANES; l++)
    if (count >= EVR_LANES || l < count) sum = vf_fma(vf_set1(x[l]), block[l], sum);
  return sum;
}

/* Sums of EVR_LANES * BLOCKS outputs from o on, of one batch row. Whole lines of the cache are read
 * at once: rows a power of 2 apart push each other out of it. */
static void multiply_blocks(const job *j, const float *x, float *y, int64_t o) {
  const int64_t depth = j->p->desc.in_features;
  int64_t i = 0;
  vf sum[BLOCKS];
  EVR_UNROLL
  for (int b = 0; b < BLOCKS; b++) sum[b] = vf_zero();
  for (; i + LINE <= depth; i += LINE) {
    EVR_UNROLL
    for (int b = 0; b < BLOCKS; b++)
      for (int64_t l = i; l < i + LINE; l += EVR_LANES)
        sum[b] = add_block(j, j->weights + (o + b * EVR_LANES) * depth + l, EVR_LANES, x + l,
                           EVR_LANES, sum[b]);
  }
  for (; i < depth; i += EVR_LANES) {
    EVR_UNROLL
    for (int b = 0; b < BLOCKS; b++)
      sum[b] = add_block(j, j->weights + (o + b * EVR_LANES) * depth + i, EVR_LANES, x + i,
                         depth - i, sum[b]);
  }
  EVR_UNROLL
  for (int b = 0; b < BLOCKS; b++) vf_store(y + o + b * EVR_LANES, sum[b]);
}

/* The same of fewer outputs, at least one and at most EVR_LANES. */
static void multiply_few(const job *j, const float *x, float *y, int64_t o, int64_t outputs) {
  const int64_t depth = j->p->desc.in_features;
  vf sum = vf_zero();
  for (int64_t i = 0; i < depth; i += EVR_LANES)
    sum = add_block(j, j->weights + o * depth + i, outputs, x + i, depth - i, sum);
  vf_store_n(y + o, sum, outputs);
}

static void multiply_oi(const job *j, int64_t begin, int64_t end) {
  const evr_dense_desc *d = &j->p->desc;
  int64_t o = begin;
  for (; o + BLOCKS * EVR_LANES <= end; o += BLOCKS * EVR_LANES)
    for (int64_t n = 0; n < d->batch; n++)
      multiply_blocks(j, j->call->x + n * d->in_features, j->call->y + n * d->out_features, o);
  for (; o < end; o += EVR_LANES)
    for (int64_t n = 0; n < d->batch; n++)
      multiply_few(j, j->call->x + n * d->in_features, j->call->y + n * d->out_features, o,
                   evr_min(EVR_LANES, end - o));
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
  if (j->io)
    multiply_io(j, begin, end);
  else
    multiply_oi(j, begin, end);
  finish(j, begin, end);
}

static size_t packed_size(const void *problem) {
  const evr_dense_problem *p = problem;
  return p->desc.weights_layout == EVR_OI ? evr_size_floats(p->weights_count) : 0;
}

/* OI to IO. Blocks of inputs, so that the lines that are written stay in the cache while they
 * fill. */
static void pack(const void *problem, const float *weights, void *packed) {
  const evr_dense_desc *d = &((const evr_dense_problem *)problem)->desc;
  float *to = packed;
  for (int64_t i = 0; i < d->in_features; i += LINE)
    for (int64_t o = 0; o < d->out_features; o++)
      for (int64_t l = i; l < evr_min(i + LINE, d->in_features); l++)
        to[l * d->out_features + o] = weights[o * d->in_features + l];
}

static void forward(const void *problem, const void *arguments) {
  const evr_dense_problem *p = problem;
  const evr_dense_call *call = arguments;
  const int64_t outputs = p->desc.out_features, threads = p->common.parallel.threads;
  const int64_t unit = BLOCKS * EVR_LANES;
  const bool packed = call->packed != NULL;
  job j = {.p = p,
           .call = call,
           .weights = packed ? call->packed : call->weights,
           .io = packed || p->desc.weights_layout == EVR_IO,
           .share = evr_round_up(evr_ceil_div(outputs, threads), unit)};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(outputs, j.share), run_task, &j);
}

/* Weights out of memory, or out of the caches, and about two vectors a nanosecond, or half of that
 * where they are transposed, as they are on calls with plain weights. */
static double cost(const void *problem) {
  const evr_dense_problem *p = problem;
  const double lanes = p->desc.out_features < EVR_LANES ? (double)p->desc.out_features : EVR_LANES;
  const double pace = p->desc.weights_layout == EVR_IO ? 2.0 : 1.0;
  return evr_dense_weights_cost(p) + p->multiplies / (EVR_LANES == 1 ? 0.35 : pace * lanes) + 50.0;
}

const evr_kernel EVR_NAME(evr_dense_direct) = {.cost = cost,
                                               .packed_size = packed_size,
                                               .pack = pack,
                                               .forward = forward,
                                               .reads_plain = true};
