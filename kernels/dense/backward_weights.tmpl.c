/* The gradient of dense weights as a sum of outer products: a tile of it stays in registers while
 * the rows of a block of the batch go by. Lanes run along the rows of the weights in memory:
 * outputs (IO) or inputs (OI). */
#include "core/checked.h"
#include "dense/backward.h"
#include "simd/stream.h"

#define ROWS 6
#define WIDE (EVR_REGISTERS > 16)
#define VECTORS (WIDE ? 4 : 2)

/* Of one example, storing a result of this many bytes takes all the time where it goes through the
 * caches: then a row of it is written from end to end, and not several side by side. Not with 16
 * registers, whose shorter tiles take longer than the stores. */
#define BY_ROW ((int64_t)14 << 20)

/* Floats of g (or x) that stay in the second cache while all rows of the result go by. */
#define NEAR_FLOATS 65536

/* The product of two matrices over the rows that they share: down[n, a] along[n, b]. */
typedef struct product {
  const float *down, *along;
  int64_t rows, columns; /* of the result */
  float *result;
  bool past;   /* it goes past the caches: one block, and all vectors of it are aligned */
  bool by_row; /* its rows are written one after the other */
} product;

EVR_INLINE vf load(const float *p, int64_t lanes) {
  return lanes == EVR_LANES ? vf_load(p) : vf_load_n(p, lanes);
}

/* rows x vectors (of EVR_LANES, or one of fewer lanes) of the result, over count rows of a block.
 * What the blocks before came to is there already, but for the first. */
EVR_INLINE void tile(const product *p, bool past, int rows, int vectors, int64_t lanes, int64_t row,
                     int64_t column, int64_t begin, int64_t count) {
  const float *down = p->down + begin * p->rows + row;
  const float *along = p->along + begin * p->columns + column;
  vf sums[ROWS][VECTORS];
  EVR_UNROLL
  for (int r = 0; r < rows; r++) EVR_UNROLL
  for (int v = 0; v < vectors; v++) sums[r][v] = vf_zero();
  for (int64_t n = 0; n < count; n++, down += p->rows, along += p->columns) {
    vf values[VECTORS];
    EVR_UNROLL
    for (int v = 0; v < vectors; v++) values[v] = load(along + v * EVR_LANES, lanes);
    EVR_UNROLL
    for (int r = 0; r < rows; r++) {
      const vf factor = vf_set1(down[r]);
      EVR_UNROLL
      for (int v = 0; v < vectors; v++) sums[r][v] = vf_fma(factor, values[v], sums[r][v]);
    }
  }
  EVR_UNROLL
  for (int r = 0; r < rows; r++) EVR_UNROLL
  for (int v = 0; v < vectors; v++) {
    float *to = p->result + (row + r) * p->columns + column + v * EVR_LANES;
    const vf before = begin == 0 ? vf_zero() : load(to, lanes);
    const vf sum = vf_add(before, sums[r][v]);
    if (past)
      vf_stream(to, sum);
    else if (lanes == EVR_LANES)
      vf_store(to, sum);
    else
      vf_store_n(to, sum, lanes);
  }
}

EVR_INLINE void tiles_along(const product *p, bool past, int rows, int64_t row, int64_t column,
                            int64_t last, int64_t begin, int64_t count) {
  int64_t at = column;
  for (; at + VECTORS * EVR_LANES <= last; at += VECTORS * EVR_LANES)
    tile(p, past, rows, VECTORS, EVR_LANES, row, at, begin, count);
  for (; at + EVR_LANES <= last; at += EVR_LANES)
    tile(p, past, rows, 1, EVR_LANES, row, at, begin, count);
  if (at < last) tile(p, false, rows, 1, last - at, row, at, begin, count);
}

EVR_INLINE void multiply_block(const product *p, bool past, int64_t row, int64_t end,
                               int64_t column, int64_t last, int64_t begin, int64_t count) {
  for (; !p->by_row && row + ROWS <= end; row += ROWS)
    tiles_along(p, past, ROWS, row, column, last, begin, count);
  for (; row < end; row++) tiles_along(p, past, 1, row, column, last, begin, count);
}

/* Rows [row, end) and columns [column, last) of the result, over the whole batch. */
static void multiply(const product *p, int64_t batch, int64_t row, int64_t end, int64_t column,
                     int64_t last) {
  if (p->past) {
    multiply_block(p, true, row, end, column, last, 0, batch);
    evr_stream_end();
    return;
  }
  for (int64_t begin = 0; begin < batch; begin += EVR_DENSE_BLOCK)
    multiply_block(p, false, row, end, column, last, begin,
                   evr_min(EVR_DENSE_BLOCK, batch - begin));
}

/* Outputs [first, end) of the bias. */
static void add_up(const evr_dense_desc *d, const float *g, int64_t first, int64_t end,
                   float *dbias) {
  for (int64_t o = first; o < end; o += EVR_LANES) {
    const int64_t lanes = evr_min(EVR_LANES, end - o);
    vf sum = vf_zero();
    for (int64_t begin = 0; begin < d->batch; begin += EVR_DENSE_BLOCK) {
      vf of_block = vf_zero();
      const int64_t last = evr_min(begin + EVR_DENSE_BLOCK, d->batch);
      for (int64_t n = begin; n < last; n++)
        of_block = vf_add(of_block, load(g + n * d->out_features + o, lanes));
      sum = vf_add(sum, of_block);
    }
    if (lanes == EVR_LANES)
      vf_store(dbias + o, sum);
    else
      vf_store_n(dbias + o, sum, lanes);
  }
}

typedef struct work {
  const evr_dense_desc *desc;
  const evr_dense_backward_weights_call *call;
  product product;
  int64_t band, bands;        /* rows of a task */
  int64_t stretch, stretches; /* columns of a task */
  int64_t outputs;            /* of the bias in a task; these come after the others */
} work;

static void run_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const int64_t of_weights = w->bands * w->stretches;
  if (task >= of_weights) {
    const int64_t first = (task - of_weights) * w->outputs;
    add_up(w->desc, w->call->g, first, evr_min(first + w->outputs, w->desc->out_features),
           w->call->dbias);
    return;
  }
  const int64_t row = task / w->stretches * w->band, column = task % w->stretches * w->stretch;
  multiply(&w->product, w->desc->batch, row, evr_min(row + w->band, w->product.rows), column,
           evr_min(column + w->stretch, w->product.columns));
}

static void backward(const void *problem, const void *arguments) {
  const evr_dense_problem *p = problem;
  const evr_dense_desc *d = &p->desc;
  const evr_dense_backward_weights_call *call = arguments;
  const int threads = p->common.parallel.threads;
  const int64_t tasks = threads > 1 ? 4 * threads : 1;
  work w = {.desc = d, .call = call};
  if (d->weights_layout == EVR_IO)
    w.product =
        (product){call->x, call->g, d->in_features, d->out_features, call->dweights, false, false};
  else
    w.product =
        (product){call->g, call->x, d->out_features, d->in_features, call->dweights, false, false};
  const int64_t bytes = p->weights_count * (int64_t)sizeof(float);
  w.product.past = EVR_STREAMS && d->batch <= EVR_DENSE_BLOCK && bytes >= EVR_PAST_CACHES &&
                   w.product.columns % EVR_LANES == 0 &&
                   (uintptr_t)call->dweights % (EVR_LANES * sizeof(float)) == 0;
  w.product.by_row = WIDE && d->batch == 1 && !w.product.past && bytes >= BY_ROW;
  const int64_t vectors = VECTORS * EVR_LANES;
  w.stretch =
      evr_max(vectors, NEAR_FLOATS / evr_min(d->batch, EVR_DENSE_BLOCK) / vectors * vectors);
  w.stretches = evr_ceil_div(w.product.columns, w.stretch);
  w.band = evr_round_up(evr_ceil_div(w.product.rows, evr_max(1, evr_ceil_div(tasks, w.stretches))),
                        ROWS);
  w.bands = evr_ceil_div(w.product.rows, w.band);
  w.outputs = evr_max(EVR_LANES, evr_round_up(evr_ceil_div(d->out_features, tasks), EVR_LANES));
  const int64_t of_bias = call->dbias != NULL ? evr_ceil_div(d->out_features, w.outputs) : 0;
  evr_parallel_for(&p->common.parallel, w.bands * w.stretches + of_bias, run_task, &w);
}

/* About two vectors of multiply-adds a nanosecond; the result is written for every block. */
static double cost(const void *problem) {
  const evr_dense_problem *p = problem;
  const double blocks = (double)evr_ceil_div(p->desc.batch, EVR_DENSE_BLOCK);
  return p->multiplies / (2.0 * EVR_LANES) + 0.1 * blocks * (double)p->weights_count + 100.0;
}

const evr_kernel EVR_NAME(evr_dense_backward_weights_direct) = {.cost = cost, .forward = backward};
