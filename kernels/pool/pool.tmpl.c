/* Pooling in the vocabulary of simd.h: with channels in the lanes (NHWC), or output columns. */
#include "pool/channels.h"

/* A task is about this many floats of input: small enough to share out, large enough that its
 * set-up is nothing. */
#define TASK_FLOATS 32768

/* How an operation is cut into tasks: bands of output rows of each image, and blocks of channels. */
typedef struct work {
  const evr_pool2d_problem *problem;
  const evr_pool2d_call *call;
  evr_axis vertical, horizontal;
  int64_t images, pixel;
  int64_t bands, band_rows;
  int64_t blocks, block_channels;
} work;

static void channels_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const evr_pool2d_sizes *s = &w->problem->sizes;
  const int64_t block = task % w->blocks, band = task / w->blocks % w->bands;
  const int64_t image = task / w->blocks / w->bands;
  const int64_t first = block * w->block_channels;
  const int64_t in = image * w->vertical.in * w->horizontal.in * w->pixel + first;
  const int64_t out = image * s->out_height * s->out_width * w->pixel + first;
  const evr_channels_job job = {
      .problem = w->problem,
      .vertical = w->vertical,
      .horizontal = w->horizontal,
      .x = w->call->x + in,
      .y = w->call->y + out,
      .indices = w->call->indices != NULL ? w->call->indices + out : NULL,
      .pixel = w->pixel,
      .channels = block + 1 < w->blocks ? w->block_channels : w->pixel - first};
  const int64_t begin = band * w->band_rows;
  evr_channels_rows(&job, begin, evr_min(s->out_height, begin + w->band_rows));
}

/* Bands of rows; where one image has too few, blocks of channels as well. */
static void run_channels(work *w) {
  const evr_pool2d_sizes *s = &w->problem->sizes;
  const int threads = w->problem->common.parallel.threads;
  const int64_t image_floats = w->vertical.in * w->horizontal.in * w->pixel;
  const int64_t tasks = evr_max(1, image_floats / TASK_FLOATS);
  w->band_rows = evr_ceil_div(s->out_height, evr_min(tasks, s->out_height));
  w->bands = evr_ceil_div(s->out_height, w->band_rows);
  w->block_channels = w->pixel;
  if (threads > 1 && w->images * w->bands < 2 * threads)
    w->block_channels = evr_max(4 * EVR_LANES, evr_round_up(w->pixel / (2 * threads), EVR_LANES));
  w->blocks = evr_max(1, w->pixel / w->block_channels); /* the last has what is left over */
  evr_parallel_for(&w->problem->common.parallel, w->images * w->bands * w->blocks, channels_task,
                   w);
}

static void forward(const void *problem, const void *arguments) {
  const evr_pool2d_problem *p = problem;
  const evr_pool2d_desc *d = &p->desc;
  const bool nhwc = d->layout == EVR_NHWC;
  work w = {.problem = p,
            .call = arguments,
            .vertical = evr_vertical_axis(p),
            .horizontal = evr_horizontal_axis(p),
            .images = nhwc ? d->batch : d->batch * d->channels,
            .pixel = nhwc ? d->channels : 1};
  run_channels(&w);
}

/* Memory at about 20 bytes a nanosecond, and about 3 taps of a vector a nanosecond. */
static double cost(const void *problem) {
  const evr_pool2d_problem *p = problem;
  const double floats = (double)(p->sizes.x_count + p->sizes.y_count);
  return 0.2 * floats + p->taps / (3.0 * EVR_LANES) + 50.0;
}

const evr_kernel EVR_NAME(evr_pool2d_direct) = {.cost = cost, .forward = forward};
