#include "conv/fused.h"

#include <string.h>

#include "core/checked.h"
#include "core/cpu.h"

/* Chunks that a thread takes in turn, at most, and multiply-adds that make one worth its start. */
#define CHUNKS_A_THREAD 4
#define CHUNK_MULTIPLIES 5e5

/* Most of the convolution's output that is held for a thread: half of L2. */
#if !defined(BAND_BYTES) /* less in a build for the tests, so that small cases are cut */
#define BAND_BYTES (evr_l2_bytes() / 2)
#endif
/* So little is held by all threads in any case. */
#define SMALL_BAND_BYTES (EVR_CONV2D_STACK_BYTES / 4 * 3)

/* Rows of the convolution. */
typedef struct span {
  int64_t begin, end;
} span;

/* The rows under pooled rows [begin, end). There are some, as no window is all padding. */
static span rows_under(const evr_fused *f, int64_t begin, int64_t end) {
  const evr_pool2d_window *w = &f->pool->desc.window;
  const int64_t first = begin * w->stride_height - w->pad_top;
  const int64_t beyond = (end - 1) * w->stride_height - w->pad_top + f->extent;
  return (span){evr_max(first, 0), evr_min(beyond, f->conv->sizes.conv_height)};
}

static int64_t most_rows_under(const evr_fused *f, int64_t pooled) {
  return evr_min((pooled - 1) * f->pool->desc.window.stride_height + f->extent,
                 f->conv->sizes.conv_height);
}

/* Cuts an image so that the thread with the most to do is done soonest; into many chunks where that
 * is the same, for threads that are slower than others. */
static void cut_chunks(evr_fused *f) {
  const int64_t batch = f->conv->desc.batch, threads = f->conv->common.parallel.threads;
  const int64_t pooled = f->pool->sizes.out_height;
  f->outside = f->inside = f->conv->common.parallel;
  f->inside.threads = 1;
  f->chunks = 1;
  f->chunk_rows = pooled;
  if (threads == 1) return;
  /* Rows of the convolution, one after the other; as if all threads could share them evenly. */
  const double shared = (double)batch * (double)f->conv->sizes.conv_height / (double)threads;
  double least = 1.05 * shared;
  bool cut = false;
  for (int64_t wanted = 1; wanted <= evr_min(pooled, CHUNKS_A_THREAD * threads); wanted++) {
    const int64_t height = evr_ceil_div(pooled, wanted), chunks = evr_ceil_div(pooled, height);
    const double turns = (double)evr_ceil_div(batch * chunks, threads);
    const double most = turns * (double)most_rows_under(f, height);
    if (most > least) continue;
    if (cut && batch * chunks > threads &&
        f->conv->multiplies / (double)(batch * chunks) < CHUNK_MULTIPLIES)
      break;
    cut = true;
    least = most;
    f->chunks = chunks;
    f->chunk_rows = height;
  }
  if (cut) {
    f->outside.threads = (int)evr_min(threads, batch * f->chunks);
    return;
  }
  f->inside.threads = f->outside.threads;
  f->outside.threads = 1;
}

/* Bands whose rows of the convolution fit into BAND_BYTES of each thread that works on them; and,
 * unless they are small, into half of what x, y and the weights take. */
static void cut_bands(evr_fused *f) {
  const evr_conv2d_problem *c = f->conv;
  const int64_t row_floats = c->sizes.conv_width * c->desc.out_channels;
  const double all =
      (double)c->sizes.x_count + (double)c->sizes.weights_count + (double)f->pool->sizes.y_count;
  const double share = 0.5 * all * sizeof(float) / f->outside.threads;
  const double cache = (double)BAND_BYTES * f->inside.threads;
  const double small = (double)SMALL_BAND_BYTES / f->outside.threads;
  const double bytes = share > small ? share : small;
  const double fitting = (bytes < cache ? bytes : cache) / ((double)row_floats * sizeof(float));
  const int64_t stride = f->pool->desc.window.stride_height;
  const int64_t rows = (int64_t)evr_min((int64_t)fitting, c->sizes.conv_height);
  const int64_t most = rows < f->extent ? 1 : (rows - f->extent) / stride + 1;
  /* All rows fit also where the last windows reach into the padding. */
  const int64_t bands =
      rows == c->sizes.conv_height ? 1 : evr_ceil_div(f->chunk_rows, evr_min(most, f->chunk_rows));
  f->band_rows = evr_ceil_div(f->chunk_rows, bands);
  f->map_rows = most_rows_under(f, f->band_rows);
}

/* Rows [first, first + rows) of the convolution of one image. */
static void init_filter(const evr_fused *f, int64_t first, int64_t rows, evr_conv2d_problem *band) {
  *band = *f->conv;
  evr_conv2d_sizes *s = &band->sizes;
  const double part = (double)rows / (double)s->conv_height / (double)band->desc.batch;
  band->common.parallel = f->inside;
  band->desc.batch = 1;
  band->first_row = first;
  band->multiplies *= part;
  s->conv_height = s->out_height = rows;
  s->x_count = (int64_t)((double)s->x_count * part) + 1;
  s->y_count = s->residual_count = rows * s->conv_width * band->desc.out_channels;
  band->y_plane = f->map_plane;
  band->prepared.by = NULL;
  band->prepared.room = NULL;
}

/* Pooled rows [begin, end) of one image, whose input is the rows under them. */
static void init_condense(const evr_fused *f, int64_t begin, int64_t end,
                          evr_pool2d_problem *band) {
  *band = *f->pool;
  const span under = rows_under(f, begin, end);
  evr_pool2d_window *w = &band->desc.window;
  band->common.parallel.threads = (int)evr_min(f->pool->common.parallel.threads, f->inside.threads);
  band->desc.batch = 1;
  band->desc.in_height = under.end - under.begin;
  w->pad_top = evr_max(w->pad_top - begin * w->stride_height, 0);
  band->sizes.out_height = end - begin;
  band->sizes.x_count = band->desc.in_height * band->desc.in_width * band->desc.channels;
  band->sizes.y_count = band->sizes.out_height * band->sizes.out_width * band->desc.channels;
  band->x_plane = f->map_plane;
}

/* Rows of the convolution that band i of a chunk computes. */
static int64_t band_height(const evr_fused *f, int64_t begin, int64_t end, int64_t i) {
  const int64_t row = begin + i * f->band_rows;
  const span under = rows_under(f, row, evr_min(row + f->band_rows, end));
  const int64_t have = i == 0 ? 0 : rows_under(f, row - f->band_rows, row).end;
  return under.end - evr_max(under.begin, have);
}

/* Most scratch of the convolution of a band: a smaller band may want more than a larger one. From
 * the second band of a chunk on all are of one height, but for the last one, and those whose
 * windows reach into the padding below. */
static size_t find_scratch(const evr_fused *f) {
  if (f->filter->workspace_size == NULL) return 0;
  const evr_pool2d_window *w = &f->pool->desc.window;
  const int64_t inner = f->conv->sizes.conv_height + w->pad_top - f->extent;
  const int64_t padded = inner < 0 ? 0 : inner / w->stride_height + 1; /* the first such row */
  size_t most = 0;
  int64_t done[2] = {0, 0}; /* heights that come in turn */
  for (int64_t chunk = 0; chunk < f->chunks; chunk++) {
    const int64_t begin = chunk * f->chunk_rows;
    const int64_t end = evr_min(begin + f->chunk_rows, f->pool->sizes.out_height);
    const int64_t last = evr_ceil_div(end - begin, f->band_rows) - 1;
    const int64_t edge = (padded - begin) / f->band_rows;
    const int64_t bands[] = {0, 1, edge, edge + 1, last - 1, last};
    for (size_t b = 0; b < sizeof bands / sizeof *bands; b++) {
      if (bands[b] < 0 || bands[b] > last) continue;
      const int64_t height = band_height(f, begin, end, bands[b]);
      if (height == 0 || height == done[0] || height == done[1]) continue;
      done[1] = done[0];
      done[0] = height;
      evr_conv2d_problem band;
      init_filter(f, 0, height, &band);
      const size_t bytes = evr_size_lines(f->filter->workspace_size(&band));
      if (bytes > most) most = bytes;
    }
  }
  return most;
}

void evr_fused_init(evr_fused *f, evr_conv2d_problem *conv) {
  f->conv = conv;
  const evr_pool2d_window *w = &f->pool->desc.window;
  f->extent = (w->kernel_height - 1) * w->dilation_height + 1;
  cut_chunks(f);
  cut_bands(f);
  f->map_plane = f->map_rows * f->conv->sizes.conv_width;
  f->map_bytes = evr_size_floats(f->map_plane * f->conv->desc.out_channels);
  const evr_conv2d_sizes all = {.x_count = f->conv->sizes.x_count,
                                .y_count = f->pool->sizes.y_count,
                                .weights_count = f->conv->sizes.weights_count};
  evr_conv2d_share_scratch(conv, &all, (int64_t)f->map_bytes * f->outside.threads,
                           (int64_t)f->outside.threads * f->inside.threads);
  f->scratch_bytes = find_scratch(f);
}

size_t evr_fused_workspace_size(const evr_fused *f) {
  return evr_size_product(evr_size_sum(f->map_bytes, f->scratch_bytes), (size_t)f->outside.threads);
}

typedef struct job {
  const evr_fused *f;
  const evr_conv2d_call *call;
} job;

/* Moves rows [from, from + count) of the map to its beginning. */
static void keep_rows(const evr_fused *f, float *map, int64_t from, int64_t count) {
  const bool nhwc = f->conv->desc.layout == EVR_NHWC;
  const int64_t channels = f->conv->desc.out_channels;
  const int64_t row = f->conv->sizes.conv_width * (nhwc ? channels : 1);
  for (int64_t plane = 0; plane < (nhwc ? 1 : channels); plane++, map += f->map_plane)
    memmove(map, map + from * row, (size_t)(count * row) * sizeof *map);
}

/* Rows [first, first + rows) of the convolution of an image, to y. */
static void filter_rows(const job *j, int64_t image, int64_t first, int64_t rows, float *y,
                        void *scratch) {
  const evr_fused *f = j->f;
  evr_conv2d_problem band;
  init_filter(f, first, rows, &band);
  const evr_conv2d_desc *d = &band.desc;
  evr_conv2d_call call = *j->call;
  call.x += image * d->in_height * d->in_width * d->in_channels;
  if (call.residual != NULL) {
    const int64_t pixel = first * band.sizes.conv_width;
    call.residual += image * band.residual_plane * d->out_channels +
                     pixel * (d->layout == EVR_NHWC ? d->out_channels : 1);
  }
  call.y = y;
  call.workspace = scratch;
  f->filter->forward(&band, &call);
}

/* Pooled rows [begin, end) of an image, from the map of what is under them. */
static void condense_rows(const job *j, int64_t image, int64_t begin, int64_t end,
                          const float *map) {
  const evr_fused *f = j->f;
  evr_pool2d_problem band;
  init_condense(f, begin, end, &band);
  const evr_pool2d_desc *d = &band.desc;
  const int64_t pixel = begin * band.sizes.out_width;
  const evr_pool2d_call call = {.x = map,
                                .y = j->call->y + image * band.y_plane * d->channels +
                                     pixel * (d->layout == EVR_NHWC ? d->channels : 1)};
  f->condense->forward(&band, &call);
}

static void run_chunk(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_fused *f = j->f;
  const int64_t image = task / f->chunks, first = task % f->chunks * f->chunk_rows;
  const int64_t end = evr_min(first + f->chunk_rows, f->pool->sizes.out_height);
  char *memory = (char *)j->call->workspace + (size_t)slot * (f->map_bytes + f->scratch_bytes);
  float *map = (float *)(void *)memory;
  const int64_t row_floats = f->conv->sizes.conv_width *
                             (f->conv->desc.layout == EVR_NHWC ? f->conv->desc.out_channels : 1);
  span held = {0, 0};
  for (int64_t row = first; row < end; row += f->band_rows) {
    const int64_t band_end = evr_min(row + f->band_rows, end);
    const span under = rows_under(f, row, band_end);
    const int64_t kept = evr_max(held.end - under.begin, 0);
    if (kept > 0 && under.begin > held.begin) keep_rows(f, map, under.begin - held.begin, kept);
    const int64_t wanted = under.end - under.begin - kept;
    if (wanted > 0)
      filter_rows(j, image, under.begin + kept, wanted, map + kept * row_floats,
                  memory + f->map_bytes);
    condense_rows(j, image, row, band_end, map);
    held = under;
  }
}

void evr_fused_run(const evr_fused *f, const evr_conv2d_call *call) {
  job j = {f, call};
  evr_parallel_for(&f->outside, f->conv->desc.batch * f->chunks, run_chunk, &j);
}
