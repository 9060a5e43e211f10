/* Direct backward weights: no matrix is made; tiles of the gradient go through the pixels of a
 * block, reading the image where it lies.
 *
 * A task is a group's stretch of output channels, a panel, and some tiles of its rows. Block after
 * block, it packs the panel's g and adds what its tiles sum up; so no other task adds to the same
 * sums, and the blocks come in their order whatever the threads.
 *
 * Where few rows do not repay packing the same g for several tasks, a task is a panel and a block
 * instead. Its sums are kept, and added up in the order of the blocks when all are done. */
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
  bool in_place;              /* g lies as a panel has it */
  bool by_blocks;             /* a task is a panel and a block; parts then add up */
  int64_t parts, part_tiles;  /* tasks of a panel, and how many tiles each has at most */
  bool kept;                  /* sums are kept in scratch, as weights are OIHW */
  size_t g_bytes, slot_bytes;
  size_t sums_bytes; /* by_blocks: of one block and panel, with a row for the bias */
} blocking;

/* Panel i spans vectors [first, first + count): panels differ by at most one vector. */
static void panel_vectors(const blocking *b, int64_t panel, int64_t *first, int64_t *count) {
  *first = panel * b->vectors / b->panels;
  *count = (panel + 1) * b->vectors / b->panels - *first;
}

/* What packing g takes, or bringing it to the caches, in full tiles; and what it takes to keep the
 * sums of a block, in pixels of it. */
#define PACKING_TILES (EVR_LANES == 16 ? 0.45 : 1.6)
#define FETCHING_TILES (EVR_LANES == 16 ? 0.2 : 0.4)
#define KEEPING_PIXELS 12.0

/* Into how many parts to cut the tiles of panels, whose total is panels, for the longest thread to
 * have the least to do; *time is that, in tiles of all pixels. */
static int64_t count_parts(int64_t panels, int64_t tiles, int64_t threads, double packing,
                           double *time) {
  int64_t best = 1;
  for (int64_t wanted = 1; wanted <= evr_min(evr_min(tiles, 4 * threads), 64); wanted++) {
    const int64_t part_tiles = evr_ceil_div(tiles, wanted);
    const int64_t tasks = panels * evr_ceil_div(tiles, part_tiles);
    const double longest = (double)evr_ceil_div(tasks, threads) * ((double)part_tiles + packing);
    if (wanted > 1 && longest >= *time) continue;
    best = wanted;
    *time = longest;
  }
  return best;
}

static size_t bytes_of_blocks(const blocking *b, const evr_conv2d_problem *p) {
  return evr_size_product(b->sums_bytes, evr_size_product((size_t)(p->desc.batch * b->blocks),
                                                          (size_t)(p->desc.groups * b->panels)));
}

/* How tasks are cut. */
static void cut_tasks(blocking *b, const evr_conv2d_problem *p, int64_t threads) {
  const int64_t panels = p->desc.groups * b->panels, tiles = b->runs * b->run_tiles;
  const double packing = b->in_place ? FETCHING_TILES : PACKING_TILES;
  double time = 0.0;
  int64_t parts = threads > 1 ? count_parts(panels, tiles, threads, packing, &time) : 1;
  if (threads > 1) {
    /* Whole blocks, then the last ones of images. */
    const int64_t rows = p->sizes.conv_height, whole = rows / b->block_rows;
    const double last = (double)(rows % b->block_rows) / (double)b->block_rows;
    const double longest = (double)evr_ceil_div(panels * p->desc.batch * whole, threads) +
                           last * (double)evr_ceil_div(panels * p->desc.batch, threads);
    const double keeping = 1.0 + KEEPING_PIXELS / (double)b->pixels;
    const double share = longest * (double)b->block_rows / ((double)p->desc.batch * (double)rows);
    b->by_blocks = share * ((double)tiles * keeping + packing) < time &&
                   bytes_of_blocks(b, p) <= evr_size_sum(evr_size_floats(p->sizes.x_count),
                                                         evr_size_floats(p->sizes.y_count));
    if (b->by_blocks) parts = evr_min(evr_ceil_div(threads, panels), tiles);
  }
  b->part_tiles = evr_ceil_div(tiles, parts);
  b->parts = evr_ceil_div(tiles, b->part_tiles);
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
  const int64_t wide = b.panel_vectors * EVR_LANES;
  b.in_place = d->layout == EVR_NHWC && d->groups == 1 && d->out_channels == wide;
  b.g_bytes = evr_size_floats(b.pixels * wide);
  b.sums_bytes = evr_size_floats_of(p->depth + 1, wide, 1, 1);
  cut_tasks(&b, p, problem->common.parallel.threads);
  const int64_t rows = evr_min(b.part_tiles * EVR_GRADIENT_ROWS(1), p->depth);
  const bool sums = b.kept && !b.by_blocks;
  b.slot_bytes = evr_size_sum(b.g_bytes, sums ? evr_size_floats_of(rows, wide, 1, 1) : 0);
  return b;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  const blocking b = make_blocking(p);
  const size_t slots = evr_size_product(b.slot_bytes, (size_t)p->common.parallel.threads);
  return evr_size_sum(evr_backward_image_bytes(&p->conv),
                      evr_size_sum(slots, b.by_blocks ? bytes_of_blocks(&b, &p->conv) : 0));
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_backward_weights_call *call;
  blocking b;
  const float *x; /* the image that windows move over */
  bool packs;     /* g, of which a panel's lines must begin with lines of the cache */
  char *slots, *sums;
} job;

/* Tiles [first, end) of a panel. */
typedef struct part {
  const job *j;
  int64_t group, first, end;
  int64_t first_row, end_row; /* of these */
  int64_t channel, channels;  /* over all groups */
  int64_t vectors;
  float *g; /* in scratch */
  /* Rows of sums from first_row on, and those of g alone; whether they have room for whole
   * vectors. */
  float *sums, *bias;
  int64_t pitch;
  bool whole_sums, whole_bias;
} part;

/* Rows [*row, *row + *count) of a tile, counted over all rows of the group. */
static void tile_rows(const blocking *b, int64_t tile, int64_t *row, int64_t *count) {
  const int64_t run = tile / b->run_tiles, i = tile % b->run_tiles;
  const int64_t begin = i * b->run_length / b->run_tiles;
  *row = run * b->run_length + begin;
  *count = (i + 1) * b->run_length / b->run_tiles - begin;
}

/* Lanes of vector v that there is room for. */
static int64_t lanes_of(const part *t, int64_t v, bool whole) {
  return whole ? EVR_LANES : evr_min(EVR_LANES, t->channels - v * EVR_LANES);
}

/* One block: output rows [row, row + rows) of image n. */
static void add_block(const part *t, int64_t n, int64_t row, int64_t rows, bool first) {
  const job *j = t->j;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  const int64_t width = p->sizes.conv_width, wide = t->vectors * EVR_LANES;
  const float *g = t->g;
  if (j->packs)
    evr_backward_take_g(p, j->call->g, n, row, rows * width, t->channel, t->channels, wide, t->g);
  else
    g = j->call->g + (n * p->sizes.conv_height + row) * width * wide;
  if (t->first == 0 && j->call->dbias != NULL)
    evr_gradient_add_bias(g, rows * width, wide, t->bias, t->whole_bias ? wide : t->channels,
                          first);
  if (j->call->dweights == NULL) return;
  const int64_t line = b->image.width * d->in_channels;
  /* A stride that is never taken may be any number. */
  const int64_t step_h = p->sizes.conv_height > 1 ? d->stride_height : 0;
  const int64_t step_w = width > 1 ? d->stride_width : 0;
  evr_gradient_tile tile = {.x_pixel = step_w * d->in_channels,
                            .x_line = step_h * line,
                            .g = g,
                            .lines = rows,
                            .width = width,
                            .pitch = t->pitch,
                            .last_lanes = lanes_of(t, t->vectors - 1, t->whole_sums),
                            .first = first};
  const float *x = j->x + (n * b->image.height + row * step_h) * line + t->group * p->group_in;
  for (int64_t i = t->first; i < t->end; i++) {
    int64_t at, count;
    tile_rows(b, i, &at, &count);
    const int64_t run = at / b->run_length, offset = at % b->run_length;
    const int64_t columns = b->runs / d->kernel_height; /* of runs: 1, or the kernel's */
    tile.x = x + run / columns * d->dilation_height * line +
             run % columns * d->dilation_width * d->in_channels + offset;
    tile.sums = t->sums + (at - t->first_row) * t->pitch;
    evr_gradients[t->vectors - 1][count - 1](&tile);
  }
}

/* Kept sums to where OIHW has them. */
static void write_sums(const part *t) {
  const evr_conv2d_problem *p = t->j->p;
  const int64_t taps = p->desc.kernel_height * p->desc.kernel_width;
  const int64_t wide = t->vectors * EVR_LANES;
  float *const dweights = t->j->call->dweights + t->channel * p->depth;
  /* By squares, so that neither side leaves the cache. */
  for (int64_t from = t->first_row; from < t->end_row; from += 64) {
    const int64_t rows = evr_min(64, t->end_row - from);
    const float *sums = t->sums + (from - t->first_row) * wide;
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

/* Tiles [first, end) of a panel, counted over all groups. */
static part make_part(const job *j, int64_t panel, int64_t first, int64_t end, int slot) {
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  char *scratch = j->slots + (size_t)slot * b->slot_bytes;
  part t = {.j = j,
            .group = panel / b->panels,
            .first = first,
            .end = end,
            .g = (float *)(void *)scratch,
            .whole_sums = b->kept || b->by_blocks,
            .whole_bias = b->by_blocks};
  int64_t count;
  tile_rows(b, end - 1, &t.end_row, &count);
  t.end_row += count;
  tile_rows(b, first, &t.first_row, &count);
  int64_t vector;
  panel_vectors(b, panel % b->panels, &vector, &t.vectors);
  t.channel = t.group * p->group_out + vector * EVR_LANES;
  t.channels = evr_min(t.vectors * EVR_LANES, p->group_out - vector * EVR_LANES);
  t.pitch = t.whole_sums ? t.vectors * EVR_LANES : p->desc.out_channels;
  if (j->call->dbias != NULL) t.bias = j->call->dbias + t.channel;
  if (b->kept)
    t.sums = (float *)(void *)(scratch + b->g_bytes);
  else if (j->call->dweights != NULL)
    t.sums = j->call->dweights + t.first_row * p->desc.out_channels + t.channel;
  return t;
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  const int64_t first = task % b->parts * b->part_tiles;
  const part t = make_part(j, task / b->parts, first,
                           evr_min(first + b->part_tiles, b->runs * b->run_tiles), slot);
  for (int64_t n = 0; n < p->desc.batch; n++)
    for (int64_t row = 0; row < p->sizes.conv_height; row += b->block_rows)
      add_block(&t, n, row, evr_min(b->block_rows, p->sizes.conv_height - row), n == 0 && row == 0);
  if (b->kept && j->call->dweights != NULL) write_sums(&t);
}

/* ---- by blocks ---- */

/* The sums of a block, counted over all images, and a panel. */
static float *block_sums(const job *j, int64_t block, int64_t panel) {
  const int64_t panels = j->p->desc.groups * j->b.panels;
  return (float *)(void *)(j->sums + (size_t)(block * panels + panel) * j->b.sums_bytes);
}

static void run_block(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  const int64_t panels = p->desc.groups * b->panels;
  const int64_t block = task / panels, panel = task % panels;
  part t = make_part(j, panel, 0, b->runs * b->run_tiles, slot);
  t.sums = block_sums(j, block, panel);
  t.bias = t.sums + p->depth * t.pitch;
  const int64_t row = block % b->blocks * b->block_rows;
  add_block(&t, block / b->blocks, row, evr_min(b->block_rows, p->sizes.conv_height - row), true);
}

/* The sums of a panel's blocks, in their order, of rows [row, row + rows), to rows that are pitch
 * apart. */
static void add_up(const part *t, int64_t panel, int64_t row, int64_t rows, float *to,
                   int64_t pitch, bool whole) {
  const job *j = t->j;
  const int64_t blocks = j->p->desc.batch * j->b.blocks;
  for (int64_t block = 0; block < blocks; block++) {
    const float *from = block_sums(j, block, panel) + row * t->pitch;
    for (int64_t i = 0; i < rows; i++, from += t->pitch)
      for (int64_t v = 0; v < t->vectors; v++)
        evr_gradient_add(to + i * pitch + v * EVR_LANES, vf_load(from + v * EVR_LANES), block == 0,
                         lanes_of(t, v, whole));
  }
}

/* Rows that are added up together, and stay in the first level cache. */
#define ROWS_AT_ONCE 32

static void run_part(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  const int64_t first = task % b->parts * b->part_tiles, panel = task / b->parts;
  part t = make_part(j, panel, first, evr_min(first + b->part_tiles, b->runs * b->run_tiles), slot);
  if (first == 0 && t.bias != NULL) add_up(&t, panel, p->depth, 1, t.bias, 0, false);
  if (j->call->dweights == NULL) return;
  const int64_t pitch = b->kept ? t.pitch : p->desc.out_channels;
  if (b->kept) t.sums = block_sums(j, 0, panel) + t.first_row * t.pitch;
  for (int64_t row = t.first_row; row < t.end_row; row += ROWS_AT_ONCE)
    add_up(&t, panel, row, evr_min(ROWS_AT_ONCE, t.end_row - row),
           t.sums + (row - t.first_row) * pitch, pitch, b->kept);
  if (b->kept) write_sums(&t);
}

static void forward(const void *problem, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_weights_call *call = arguments;
  job j = {.p = &p->conv, .call = call, .b = make_blocking(p)};
  if (call->dweights == NULL) j.b.parts = 1; /* the one that has the bias */
  j.packs = !j.b.in_place || (uintptr_t)call->g % EVR_ALIGNMENT != 0;
  char *workspace = call->workspace;
  if (call->dweights != NULL)
    j.x = evr_backward_image_make(j.p, &p->common.parallel, call->x, (float *)(void *)workspace);
  j.slots = workspace + evr_backward_image_bytes(j.p);
  const int64_t panels = p->conv.desc.groups * j.b.panels;
  if (j.b.by_blocks) {
    j.sums = j.slots + j.b.slot_bytes * (size_t)p->common.parallel.threads;
    const int64_t blocks = p->conv.desc.batch * j.b.blocks;
    evr_parallel_for(&p->common.parallel, panels * blocks, run_block, &j);
    evr_parallel_for(&p->common.parallel, panels * j.b.parts, run_part, &j);
  } else {
    evr_parallel_for(&p->common.parallel, panels * j.b.parts, run_task, &j);
  }
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
  const double times = b.by_blocks ? 1.0 : (double)b.parts;
  const double gradient =
      times * (18.0 * panels * blocks + pixels * (b.in_place ? 1.2 : taken + zeros)) +
      1.1 * pixels * vectors * groups;
  const double a_sum = d->kernel_height * d->kernel_width > 1 ? 0.64 : 0.27;
  const double written = b.kept ? a_sum * (double)p->sizes.weights_count : 0.0;
  const double tiles = panels * (double)(b.runs * b.run_tiles) * (7.0 * blocks + 0.27 * lines);
  const double added = (b.by_blocks ? 2.0 : 0.5) * blocks * groups * (double)p->depth * vectors;
  const double rows_of_tiles =
      (double)b.runs *
      evr_tiled_time(b.run_length, b.vectors, EVR_GRADIENT_ROWS(b.panel_vectors), b.panel_vectors);
  /* The pixels of a tile come from L2 then; wide tiles have enough to do meanwhile. */
  const int64_t apart =
      p->sizes.conv_width > 1 ? d->stride_width * d->in_channels * (int64_t)sizeof(float) : 1;
  const double late = apart % EVR_PACE_COLLIDE == 0 ? EVR_BY_WIDTH(1.35, 1.0) : 1.0;
  return 16.0 + copied + gradient + written + tiles + added +
         pixels * groups * late * rows_of_tiles;
}

const evr_kernel EVR_NAME(evr_conv2d_backward_weights_direct) = {
    .cost = cost, .workspace_size = workspace_size, .forward = forward};
