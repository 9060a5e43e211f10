/* Pooling in the vocabulary of simd.h: with channels in the lanes (NHWC), or output columns. */
#include "pool/channels.h"
#include "pool/rows.h"

/* A task is about this many floats of input: small enough to share out, large enough that its
 * set-up is nothing. */
#define TASK_FLOATS 32768

/* How an operation is cut into tasks: bands of output rows of each image, or of several; and blocks
 * of channels, or strips of columns within a task. An image is what has pixels of channels (NHWC),
 * or a plane whose pixels are single floats (NCHW). */
typedef struct work {
  const evr_pool2d_problem *problem;
  const evr_pool2d_call *call;
  evr_axis vertical, horizontal;
  int64_t images, task_images;
  int64_t pixel; /* floats */
  int64_t bands, band_rows;
  int64_t blocks, block_channels;
  int64_t strip_rows, strip_columns;
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

static void strips_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const evr_pool2d_sizes *s = &w->problem->sizes;
  const evr_pool_kind kind = w->problem->desc.window.kind;
  const int64_t plane_in = w->vertical.in * w->horizontal.in * w->pixel;
  const int64_t plane_out = s->out_height * s->out_width * w->pixel;
  const int64_t first = task / w->bands * w->task_images;
  const int64_t last = evr_min(w->images, first + w->task_images);
  const int64_t begin = task % w->bands * w->band_rows;
  const int64_t end = evr_min(s->out_height, begin + w->band_rows);
  evr_strip strip;
  strip.problem = w->problem;
  strip.vertical = w->vertical;
  strip.horizontal = w->horizontal;
  strip.pixel = w->pixel;
  strip.rows = w->strip_rows;
  for (int64_t column = 0; column < s->out_width; column += w->strip_columns) {
    evr_strip_begin(&strip, column, evr_min(w->strip_columns, s->out_width - column));
    for (int64_t image = first; image < last; image++) {
      const float *x = w->call->x + image * plane_in;
      float *y = w->call->y + image * plane_out;
      int32_t *indices =
          w->call->indices != NULL ? w->call->indices + image * plane_out : NULL;
      (kind == EVR_POOL_AVERAGE ? evr_strip_average
       : kind == EVR_POOL_MAX   ? evr_strip_max
                                : evr_strip_min)(&strip, x, y, indices, begin, end);
    }
  }
}

/* Several small images a task, or bands of large ones. */
static void run_strips(work *w) {
  const evr_pool2d_sizes *s = &w->problem->sizes;
  const int threads = w->problem->common.parallel.threads;
  const int64_t plane_floats = w->vertical.in * w->horizontal.in * w->pixel;
  w->task_images = evr_max(1, TASK_FLOATS / plane_floats);
  int64_t bands = 1;
  if (threads > 1 && w->images < 4 * threads)
    bands = evr_min(s->out_height, evr_max(1, plane_floats / TASK_FLOATS));
  w->band_rows = evr_ceil_div(s->out_height, bands);
  w->bands = evr_ceil_div(s->out_height, w->band_rows);
  /* Fewer rows of taps at a time where their strip would be short. */
  w->strip_rows = evr_min(w->vertical.kernel, EVR_STRIP_ROWS);
  const int64_t wanted = evr_min(s->out_width, evr_max(1, 4 * EVR_LANES / w->pixel));
  while (w->strip_rows > 1 &&
         evr_strip_columns(&w->horizontal, w->strip_rows, w->pixel) < wanted)
    w->strip_rows /= 2;
  w->strip_columns = evr_strip_columns(&w->horizontal, w->strip_rows, w->pixel);
  evr_parallel_for(&w->problem->common.parallel,
                   evr_ceil_div(w->images, w->task_images) * w->bands, strips_task, w);
}

/* Whether output columns are the better lanes: they are where pixels are single floats, or runs of a
 * few that are neighbours from window to window. */
static bool wants_strips(const work *w) {
  if (!evr_strip_fits(&w->horizontal, w->pixel)) return false;
  return w->pixel == 1 || (w->horizontal.stride == 1 && w->pixel < EVR_LANES);
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
  if (wants_strips(&w))
    run_strips(&w);
  else
    run_channels(&w);
}

/* Memory at about 20 bytes a nanosecond, and about 3 taps of a vector a nanosecond. */
static double cost(const void *problem) {
  const evr_pool2d_problem *p = problem;
  const double floats = (double)(p->sizes.x_count + p->sizes.y_count);
  return 0.2 * floats + p->taps / (3.0 * EVR_LANES) + 50.0;
}

const evr_kernel EVR_NAME(evr_pool2d_direct) = {.cost = cost, .forward = forward};
