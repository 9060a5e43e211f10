/* Dense layers as one packed matrix product, for larger batches: Y = X W. */
#include "gemm/gemm.h"
#include "core/checked.h"
#include "dense/problem.h"
#include "simd/simd.h"

static size_t packed_size(const void *problem) {
  const evr_dense_desc *d = &((const evr_dense_problem *)problem)->desc;
  return evr_size_product(evr_size_floats(evr_round_up(d->out_features, EVR_LANES)),
                          (size_t)d->in_features);
}

static void pack(const void *problem, const float *weights, void *packed) {
  const evr_dense_desc *d = &((const evr_dense_problem *)problem)->desc;
  const bool io = d->weights_layout == EVR_IO;
  const evr_gemm_source source = {.source = weights,
                                  .k_step = io ? d->out_features : 1,
                                  .lane_step = io ? 1 : d->in_features,
                                  .k = d->in_features,
                                  .lanes = d->out_features};
  EVR_NAME(evr_gemm_pack_b)(&source, 0, d->in_features, packed);
}

typedef struct job {
  const evr_dense_problem *p;
  const evr_dense_call *call;
  int64_t band, bands;        /* rows of the batch in a task */
  int64_t stretch, stretches; /* outputs of a task */
} job;

static void run_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const job *j = argument;
  const evr_dense_desc *d = &j->p->desc;
  const int64_t row = task / j->stretches * j->band, output = task % j->stretches * j->stretch;
  const evr_gemm product = {
      .m = evr_min(j->band, d->batch - row),
      .n = evr_min(j->stretch, d->out_features - output),
      .k = d->in_features,
      .a = j->call->x + row * d->in_features,
      .a_row = d->in_features,
      .packed_b = (const float *)j->call->packed + output * d->in_features,
      .c = j->call->y + row * d->out_features + output,
      .c_row = d->out_features,
      .column_bias = j->call->bias != NULL ? j->call->bias + output : NULL,
      .activation = d->activation,
  };
  EVR_NAME(evr_gemm)(&product, NULL);
}

static void forward(const void *problem, const void *call) {
  const evr_dense_problem *p = problem;
  const evr_dense_desc *d = &p->desc;
  const int64_t rows = EVR_NAME(evr_gemm_tile_rows), columns = EVR_NAME(evr_gemm_tile_columns);
  const int64_t tasks = p->common.parallel.threads > 1 ? 4 * p->common.parallel.threads : 1;
  job j = {.p = p, .call = call};
  /* Outputs are cut first: each task then has its own weights to read. */
  j.stretch = evr_round_up(evr_ceil_div(d->out_features, tasks), columns);
  j.stretches = evr_ceil_div(d->out_features, j.stretch);
  j.band = evr_round_up(evr_ceil_div(d->batch, evr_ceil_div(tasks, j.stretches)), rows);
  j.bands = evr_ceil_div(d->batch, j.band);
  evr_parallel_for(&p->common.parallel, j.bands * j.stretches, run_task, &j);
}

/* Reading the weights, a third of packing them (weights that are packed once cost nothing after
 * that), and a pace of about three vectors a nanosecond in full tiles. */
static double cost(const void *problem) {
  const evr_dense_problem *p = problem;
  const int64_t outputs = p->desc.out_features, rows = EVR_NAME(evr_gemm_tile_rows);
  const double filled = (double)outputs / (double)evr_round_up(outputs, EVR_LANES);
  const double busy = p->desc.batch < rows ? (double)(p->desc.batch + 1) / (double)(rows + 1) : 1.0;
  const double packing = (double)p->weights_count * (p->desc.weights_layout == EVR_IO ? 0.25 : 0.4);
  return evr_dense_weights_cost(p) + packing / 3.0 +
         p->multiplies / (filled * busy * (EVR_LANES == 1 ? 0.35 : 3.2 * EVR_LANES)) + 100.0;
}

const evr_kernel EVR_NAME(evr_dense_gemm) = {
    .cost = cost, .packed_size = packed_size, .pack = pack, .forward = forward};
