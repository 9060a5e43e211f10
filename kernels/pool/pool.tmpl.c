/* Pooling in the vocabulary of simd.h: with channels in the lanes (NHWC), or output columns. */
#include "pool/blocks.h"
#include "pool/channels.h"
#include "pool/strips.h"

/* A task is about this many floats of input: small enough to share out, large enough that its
 * set-up is nothing. */
#define TASK_FLOATS 32768

/* How an operation is cut into tasks: bands of output rows of each image, or of several; and blocks
 * of channels, strips of columns, or blocks of planes within a task. An image is what has pixels of
 * channels (NHWC), or a plane whose pixels are single floats (NCHW). */
typedef struct work {
  const evr_pool2d_problem *problem;
  const evr_pool2d_call *call;
  evr_axis vertical, horizontal;
  int64_t images, task_images;
  int64_t pixel; /* floats */
  int64_t bands, band_rows;
  int64_t blocks, block_channels;
  evr_strip_shape strip;
  bool global; /* one window that is the plane, and results that are neighbours */
} work;

static void channels_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const evr_pool2d_sizes *s = &w->problem->sizes;
  const int64_t block = evr_take_number(&task, w->blocks);
  const int64_t band = evr_take_number(&task, w->bands), image = task;
  const int64_t first = block * w->block_channels;
  const int64_t in = image * w->problem->x_plane * w->pixel + first;
  const int64_t out = image * w->problem->y_plane * w->pixel + first;
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
  const int64_t plane_in = w->problem->x_plane * w->pixel;
  const int64_t plane_out = w->problem->y_plane * w->pixel;
  const int64_t band = evr_take_number(&task, w->bands), first = task * w->task_images;
  const int64_t last = evr_min(w->images, first + w->task_images);
  const int64_t begin = band * w->band_rows;
  const int64_t end = evr_min(s->out_height, begin + w->band_rows);
  evr_strip strip;
  strip.problem = w->problem;
  strip.vertical = w->vertical;
  strip.horizontal = w->horizontal;
  strip.pixel = w->pixel;
  strip.band_rows = w->strip.band_rows;
  for (int64_t column = 0; column < s->out_width; column += w->strip.columns) {
    evr_strip_begin(&strip, column, evr_min(w->strip.columns, s->out_width - column));
    for (int64_t image = first; image < last; image++) {
      const float *x = w->call->x + image * plane_in;
      float *y = w->call->y + image * plane_out;
      int32_t *indices = w->call->indices != NULL ? w->call->indices + image * plane_out : NULL;
      evr_strip_run(&strip, x, y, indices, begin, end);
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
  evr_parallel_for(&w->problem->common.parallel, evr_ceil_div(w->images, w->task_images) * w->bands,
                   strips_task, w);
}

/* Whether output columns are the better lanes: they are where pixels are single floats, or runs of
 * a few that are neighbours from window to window. */
static bool wants_strips(work *w) {
  const evr_pool2d_sizes *s = &w->problem->sizes;
  const bool better = w->pixel == 1 || (w->horizontal.stride == 1 && w->pixel < EVR_LANES);
  return better && evr_strip_plan(&w->vertical, &w->horizontal, w->pixel, s->out_height,
                                  s->out_width, &w->strip);
}

static void blocks_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const work *w = argument;
  const evr_pool2d_problem *p = w->problem;
  const int64_t last = evr_min(w->images, (task + 1) * w->task_images);
  for (int64_t image = task * w->task_images; image < last; image += EVR_LANES) {
    const evr_block b = {
        .x = w->call->x + image * p->x_plane,
        .y = w->call->y + image * p->y_plane,
        .indices = w->call->indices != NULL ? w->call->indices + image * p->y_plane : NULL,
        .planes = evr_min(EVR_LANES, last - image),
        .in = w->vertical.in * w->horizontal.in,
        .out = p->sizes.out_height * p->sizes.out_width,
        .in_plane = p->x_plane,
        .out_plane = p->y_plane};
    if (w->global)
      evr_block_run_global(p->desc.window.kind, &b);
    else
      evr_block_run(p, &w->vertical, &w->horizontal, &b);
  }
}

static void run_blocks(work *w) {
  const int64_t plane = w->vertical.in * w->horizontal.in;
  w->task_images = evr_round_up(evr_max(1, TASK_FLOATS / plane), EVR_LANES);
  evr_parallel_for(&w->problem->common.parallel, evr_ceil_div(w->images, w->task_images),
                   blocks_task, w);
}

/* Whether planes are the better lanes. */
static bool wants_blocks(work *w) {
  if (EVR_LANES == 1 || w->pixel > 1) return false;
  const evr_axis *v = &w->vertical, *h = &w->horizontal;
  w->global = v->kernel == v->in && h->kernel == h->in && v->dilation == 1 && h->dilation == 1 &&
              v->before + v->after + h->before + h->after == 0 && w->problem->y_plane == 1;
  if (w->global) return true;
  const evr_pool2d_sizes *s = &w->problem->sizes;
  return w->images > EVR_LANES / 2 && v->in * h->in <= EVR_BLOCK_PIXELS &&
         s->out_height * s->out_width <= EVR_BLOCK_PIXELS;
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
  if (wants_blocks(&w))
    run_blocks(&w);
  else if (wants_strips(&w))
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
