/* Direct backward weights: no matrix is made; tiles of the gradient go through the pixels of a
 * block, reading the image where it lies.
 *
 * A task is a group's stretch of output channels, a panel, and some tiles of its rows. Block after
 * block, it packs the panel's g and adds what its tiles sum up; so no other task adds to the same
 * sums, and the blocks come in their order whatever the threads. */
#include "conv/backward.h"
#include "conv/backward_image.h"
#include "conv/backward_weights_tile.h"
#include "conv/pace.h"
#include "core/memory.h"

typedef struct blocking {
  evr_backward_image image;
  int64_t block_rows, blocks; /* blocks of an image */
  int64_t pixels;             /* of a block, at most */
  int64_t runs, run_length;   /* rows that lie side by side in the image */
  int64_t run_tiles;          /* tiles of a run */
  int64_t vectors, panels;    /* of a group */
  int64_t panel_vectors;      /* of a panel, at most */
  int64_t parts, part_tiles;  /* tasks of a panel, and how many tiles each has at most */
  bool kept;                  /* sums are kept in scratch, as weights are OIHW */
  size_t g_bytes, slot_bytes;
} blocking;

/* Panel i spans vectors [first, first + count): panels differ by at most one vector. */
static void panel_vectors(const blocking *b, int64_t panel, int64_t *first, int64_t *count) {
  *first = panel * b->vectors / b->panels;
  *count = (panel + 1) * b->vectors / b->panels - *first;
}

static blocking make_blocking(const evr_conv2d_backward_problem *problem) {
  const evr_conv2d_problem *p = &problem->conv;
  const evr_conv2d_desc *d = &p->desc;
  blocking b = {.image = evr_backward_image_of(p), .kept = d->filter_layout == EVR_OIHW};
  b.block_rows = evr_min(evr_conv2d_block_rows(p), p->sizes.conv_height);
  b.blocks = evr_ceil_div(p->sizes.conv_height, b.block_rows);
  b.pixels = b.block_rows * p->sizes.conv_width;
  /* Of one group without gaps, the channels of a window row are neighbours. */
  const bool folded = d->groups == 1 && d->dilation_width == 1;
  b.runs = d->kernel_height * (folded ? 1 : d->kernel_width);
  b.run_length = p->group_in * (folded ? d->kernel_width : 1);
  b.vectors = evr_ceil_div(p->group_out, EVR_LANES);
  b.panels = evr_ceil_div(b.vectors, EVR_GRADIENT_VECTORS);
  b.panel_vectors = evr_ceil_div(b.vectors, b.panels);
  b.run_tiles = evr_ceil_div(b.run_length, EVR_GRADIENT_ROWS(b.panel_vectors));
  const int64_t threads = problem->common.parallel.threads;
  const int64_t wanted =
      threads > 1 ? evr_ceil_div(4 * threads, evr_min(4 * threads, d->groups * b.panels)) : 1;
  b.part_tiles = evr_ceil_div(b.runs * b.run_tiles, evr_min(wanted, b.runs * b.run_tiles));
  b.parts = evr_ceil_div(b.runs * b.run_tiles, b.part_tiles);
  const int64_t wide = b.panel_vectors * EVR_LANES;
  b.g_bytes = evr_size_floats(b.pixels * wide);
  const int64_t rows = evr_min(b.part_tiles * EVR_GRADIENT_ROWS(1), p->depth);
  b.slot_bytes = evr_size_sum(b.g_bytes, b.kept ? evr_size_floats_of(rows, wide, 1, 1) : 0);
  return b;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  const blocking b = make_blocking(p);
  return evr_size_sum(evr_backward_image_bytes(&p->conv),
                      evr_size_product(b.slot_bytes, (size_t)p->common.parallel.threads));
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_backward_weights_call *call;
  blocking b;
  const float *x; /* the image that windows move over */
  char *slots;
} job;

/* Tiles [first, end) of a panel. */
typedef struct part {
  const job *j;
  int64_t group, first, end;
  int64_t channel, channels; /* over all groups */
  int64_t vectors;
  float *g, *sums; /* in scratch; sums where they are kept */
} part;

/* Rows [*row, *row + *count) of a tile, counted over all rows of the group. */
static void tile_rows(const blocking *b, int64_t tile, int64_t *row, int64_t *count) {
  const int64_t run = tile / b->run_tiles, i = tile % b->run_tiles;
  const int64_t begin = i * b->run_length / b->run_tiles;
  *row = run * b->run_length + begin;
  *count = (i + 1) * b->run_length / b->run_tiles - begin;
}

static void add_bias(const part *t, int64_t pixels, bool first) {
  for (int64_t v = 0; v < t->vectors; v++) {
    vf sum = vf_zero();
    const float *g = t->g + v * EVR_LANES;
    for (int64_t i = 0; i < pixels; i++, g += t->vectors * EVR_LANES) sum = vf_add(sum, vf_load(g));
    evr_gradient_add(t->j->call->dbias + t->channel + v * EVR_LANES, sum, first,
                     evr_min(EVR_LANES, t->channels - v * EVR_LANES));
  }
}

/* One block: output rows [row, row + rows) of image n. */
static void add_block(const part *t, int64_t n, int64_t row, int64_t rows, bool first) {
  const job *j = t->j;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  const int64_t width = p->sizes.conv_width, wide = t->vectors * EVR_LANES;
  evr_backward_take_g(p, j->call->g, n, row, rows * width, t->channel, t->channels, wide, t->g);
  if (t->first == 0 && j->call->dbias != NULL) add_bias(t, rows * width, first);
  if (j->call->dweights == NULL) return;
  const int64_t line = b->image.width * d->in_channels;
  /* A stride that is never taken may be any number. */
  const int64_t step_h = p->sizes.conv_height > 1 ? d->stride_height : 0;
  const int64_t step_w = width > 1 ? d->stride_width : 0;
  evr_gradient_tile tile = {.x_pixel = step_w * d->in_channels,
                            .x_line = step_h * line,
                            .g = t->g,
                            .lines = rows,
                            .width = width,
                            .pitch = b->kept ? wide : d->out_channels,
                            .last_lanes = t->channels - (t->vectors - 1) * EVR_LANES,
                            .first = first};
  if (b->kept) tile.last_lanes = EVR_LANES;
  const float *x = j->x + (n * b->image.height + row * step_h) * line + t->group * p->group_in;
  int64_t first_row, count;
  tile_rows(b, t->first, &first_row, &count);
  for (int64_t i = t->first; i < t->end; i++) {
    int64_t at;
    tile_rows(b, i, &at, &count);
    const int64_t run = at / b->run_length, offset = at % b->run_length;
    const int64_t columns = b->runs / d->kernel_height; /* of runs: 1, or the kernel's */
    tile.x = x + run / columns * d->dilation_height * line +
             run % columns * d->dilation_width * d->in_channels + offset;
    tile.sums = b->kept ? t->sums + (at - first_row) * wide
                        : j->call->dweights + at * d->out_channels + t->channel;
    evr_gradients[t->vectors - 1][count - 1](&tile);
  }
}

/* Kept sums to where OIHW has them. */
static void write_sums(const part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const int64_t taps = p->desc.kernel_height * p->desc.kernel_width;
  int64_t first, end, count;
  tile_rows(&t->j->b, t->first, &first, &count);
  tile_rows(&t->j->b, t->end - 1, &end, &count);
  end += count;
  const int64_t wide = t->vectors * EVR_LANES;
  float *const dweights = t->j->call->dweights + t->channel * p->depth;
  /* By squares, so that neither side leaves the cache. */
  for (int64_t from = first; from < end; from += 64) {
    const int64_t rows = evr_min(64, end - from);
    const float *sums = t->sums + (from - first) * wide;
    if (taps == 1) {
      evr_channels_last(sums, wide, dweights + from, p->depth, t->channels, rows);
      continue;
    }
    for (int64_t c = 0; c < t->channels; c++) {
      float *to = dweights + c * p->depth;
      int64_t tap = from / p->group_in, at = from % p->group_in * taps + tap;
      for (int64_t row = 0; row < rows; row++) {
        to[at] = sums[row * wide + c];
        at += taps;
        if (at >= p->depth) at = ++tap;
      }
    }
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  const int64_t tiles = b->runs * b->run_tiles;
  char *scratch = j->slots + (size_t)slot * b->slot_bytes;
  part t = {.j = j,
            .group = task / b->parts / b->panels,
            .first = task % b->parts * b->part_tiles,
            .g = (float *)(void *)scratch,
            .sums = (float *)(void *)(scratch + b->g_bytes)};
  t.end = evr_min(t.first + b->part_tiles, tiles);
  int64_t vector;
  panel_vectors(b, task / b->parts % b->panels, &vector, &t.vectors);
  t.channel = t.group * p->group_out + vector * EVR_LANES;
  t.channels = evr_min(t.vectors * EVR_LANES, p->group_out - vector * EVR_LANES);
  for (int64_t n = 0; n < p->desc.batch; n++)
    for (int64_t row = 0; row < p->sizes.conv_height; row += b->block_rows)
      add_block(&t, n, row, evr_min(b->block_rows, p->sizes.conv_height - row), n == 0 && row == 0);
  if (b->kept && j->call->dweights != NULL) write_sums(&t);
}

static void forward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_weights_call *call = arguments;
  job j = {.p = &p->conv, .call = call, .b = make_blocking(p)};
  char *workspace = call->workspace;
  if (call->dweights != NULL)
    j.x = evr_backward_image_make(j.p, &p->common.parallel, call->x, (float *)(void *)workspace);
  j.slots = workspace + evr_backward_image_bytes(j.p);
  evr_parallel_for(&p->common.parallel, p->conv.desc.groups * j.b.panels * j.b.parts, run_task, &j);
}

/* The copy of the image, g to be packed and summed up, tiles (pace.h), their ends and those of
 * their lines, sums to add, and kept ones to write. Fitted like the estimates of pace.h, to 1800
 * times. */
static double cost(const void *problem) {
  const evr_conv2d_backward_problem *q = problem;
  const evr_conv2d_problem *p = &q->conv;
  const evr_conv2d_desc *d = &p->desc;
  const blocking b = make_blocking(q);
  const bool nchw = d->layout == EVR_NCHW;
  const double vectors = (double)b.vectors, groups = (double)d->groups;
  const double lines = (double)d->batch * (double)p->sizes.conv_height;
  const double pixels = lines * (double)p->sizes.conv_width;
  const double panels = groups * (double)b.panels;
  const double blocks = (double)d->batch * (double)b.blocks;

  const double copied =
      b.image.copied
          ? (double)d->batch * (double)b.image.height *
                (8.4 + (nchw ? 0.28 : 0.055) * (double)b.image.width * (double)d->in_channels)
          : 0.0;
  /* Channels that fill no vector are taken one by one from planes, and vectors filled with
   * zeros. */
  const double odd = (double)(p->group_out % EVR_LANES);
  const double zeros = 0.11 * groups * (vectors * EVR_LANES - (double)p->group_out);
  const double taken =
      nchw ? groups * (0.07 * ((double)p->group_out - odd) + 0.5 * odd) : 2.5 * panels;
  const double gradient = (double)b.parts * (18.0 * panels * blocks + pixels * (taken + zeros)) +
                          1.1 * pixels * vectors * groups;
  const double apart = d->kernel_height * d->kernel_width > 1 ? 0.64 : 0.27;
  const double written = b.kept ? apart * (double)p->sizes.weights_count : 0.0;
  const double tiles = panels * (double)(b.runs * b.run_tiles) * (7.0 * blocks + 0.27 * lines);
  const double added = 0.5 * blocks * groups * (double)p->depth * vectors;
  const double rows_of_tiles =
      (double)b.runs *
      evr_tiled_time(b.run_length, b.vectors, EVR_GRADIENT_ROWS(b.panel_vectors), b.panel_vectors);
  return 16.0 + copied + gradient + written + tiles + added + pixels * groups * rows_of_tiles;
}

const evr_kernel EVR_NAME(evr_conv2d_backward_weights_direct) = {
    .cost = cost, .workspace_size = workspace_size, .forward = forward};
