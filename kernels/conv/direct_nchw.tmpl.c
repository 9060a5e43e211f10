/* Direct convolution, NCHW: the product W[channels x depth] X[depth x pixels] without its second
 * matrix. Lanes run over output pixels, counted through the rows of the output plane so that small
 * maps fill them.
 *
 * A task takes a few panels of pixels, and of each a block of the depth at a time out of the image,
 * into a buffer that stays in the caches while all output channels pass over it. */
#include "conv/direct.h"
#include "conv/gather.h"
#include "conv/pace.h"
#include "conv/weights.h"
#include "core/cpu.h"
#include "gemm/tile.h"

/* Steps of depth that are gathered at once, at most: deeper blocks store and load sums less
 * often. */
#define DEPTH 512

/* Panels of pixels in a task, at most. All of them meet a panel of weights before the next one is
 * read, and they share half of L2. */
#define PANELS 16

/* Floats of a cache line. */
#define LINE 16

/* With fewer input channels than this the panels of a task are gathered side by side, as finding
 * where the pixels of a tap are would else take longer than copying them. */
#define WIDE_BELOW 8

/* Least depth of a block, where memory is short. */
#define LEAST_DEPTH 8

/* Cycles for a tile to start and end, to look for the segments of a tap, and to copy a step. */
#define TILE_START EVR_BY_WIDTH(23.0, 18.0)
#define TAP_START EVR_BY_WIDTH(4.5, 4.7)
#define SEGMENT_FIND EVR_BY_WIDTH(2.6, 2.8)
#define SEGMENT_COPY EVR_BY_WIDTH(1.2, 1.1)

/* Times as long where the pixels of a segment lie apart. */
#define APART EVR_BY_WIDTH(1.1, 1.3)

/* So few pixels left over by whole vectors are done one by one, with output channels in the
 * lanes. */
#define ODD_PIXELS (EVR_GEMM_HAS_COLUMN ? 3 : 0)

/* Output channels that meet all panels of a task before the odd pixels do. */
#define CHANNELS (4 * EVR_GEMM_ROWS)

typedef struct blocking {
  int64_t depth;              /* steps of a block */
  int64_t vectors;            /* of an output plane; odd pixels not counted */
  int64_t full_panels;        /* of vectors */
  int64_t panels;             /* and one of the odd pixels, if there are any */
  int64_t group, tasks;       /* panels of a task, tasks of an image and stretch */
  int64_t columns;            /* floats of a panel's row in the buffer, at most */
  bool wide;                  /* the panels of a task share rows of its buffer */
  int64_t stretch, stretches; /* output channels of a task, tasks of a group */
  size_t buffer_bytes, slot_bytes;
} blocking;

/* Panels differ by at most one vector, the wider ones first; the odd pixels have one. */
static int64_t first_vector(const blocking *b, int64_t panel) {
  if (panel >= b->full_panels) return b->vectors + panel - b->full_panels;
  return panel * (b->vectors / b->full_panels) + evr_min(panel, b->vectors % b->full_panels);
}

/* Segments of a tap in so many pixels, at most; one more for what is beyond the last pixel. */
static int64_t most_segments(const evr_conv2d_problem *p, int64_t pixels) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t width = p->sizes.conv_width;
  const int64_t rows = evr_min((pixels + width - 2) / width + 1, p->sizes.conv_height);
  /* Zeros side by side are one segment. */
  const int64_t row = d->pad_mode == EVR_PAD_ZERO ? 3 : 1 + d->pad_left + d->pad_right;
  return rows * evr_min(row, width) + 1;
}

static void size_buffer(const evr_conv2d_problem *p, blocking *b) {
  /* A copied segment may end in whole vectors, and rows of a power of 2 keep a line apart. */
  const int64_t width = b->group * b->columns + (b->wide ? LINE : 0);
  b->buffer_bytes = evr_size_floats(width * b->depth + EVR_LANES);
  const int64_t pixels = b->wide ? b->group * b->columns : b->columns;
  const size_t segments = evr_size_product((size_t)most_segments(p, pixels), sizeof(evr_segment));
  b->slot_bytes = evr_size_sum(b->buffer_bytes, evr_size_lines(segments));
}

/* Fewer panels in a task, or a lower block of the depth, until its buffer is small enough:
 * whichever costs less, as more tasks find more segments, and more blocks start more tiles. */
static void shrink(const evr_conv2d_problem *p, blocking *b) {
  for (size_buffer(p, b); b->slot_bytes > (size_t)p->scratch_share; size_buffer(p, b)) {
    const double taps = (double)(p->desc.kernel_height * p->desc.kernel_width);
    const double gather = taps * (TAP_START + SEGMENT_FIND) + (double)p->depth * SEGMENT_COPY;
    /* The segments are shorter as well. */
    const double more_tasks =
        b->wide ? 2.0 * (double)evr_ceil_div(b->panels, b->group) * gather : 0.0;
    const int64_t blocks = evr_ceil_div(p->depth, b->depth);
    const double more_blocks = (double)blocks * TILE_START *
                               (double)(b->panels * evr_ceil_div(p->group_out, EVR_GEMM_ROWS));
    const bool shallow = b->depth <= LEAST_DEPTH;
    if (b->group > 1 && (shallow || more_tasks <= more_blocks))
      b->group = evr_ceil_div(b->group, 2);
    else if (shallow)
      return;
    else
      b->depth = evr_ceil_div(p->depth, blocks + evr_ceil_div(blocks, 8));
  }
}

static blocking make_blocking(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t threads = p->common.parallel.threads;
  blocking b = {0};
  b.depth = evr_ceil_div(p->depth, evr_ceil_div(p->depth, DEPTH));
  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  const bool odd = pixels % EVR_LANES > 0 && pixels % EVR_LANES <= ODD_PIXELS;
  b.vectors = odd ? pixels / EVR_LANES : evr_ceil_div(pixels, EVR_LANES);
  b.full_panels = evr_ceil_div(b.vectors, EVR_GEMM_VECTORS);
  b.panels = b.full_panels + odd;
  const int64_t fitting =
      evr_l2_bytes() / 2 / (b.depth * EVR_GEMM_COLUMNS * (int64_t)sizeof(float));
  b.group = evr_min(evr_max(1, evr_min(PANELS, fitting)), b.panels);
  /* Enough tasks for every thread: fewer panels, then fewer channels each, although these gather
   * the same pixels again. */
  const int64_t images = d->batch * d->groups;
  const int64_t wanted = threads > 1 ? evr_ceil_div(3 * threads, images) : 1;
  if (b.panels < wanted * b.group) b.group = evr_max(1, b.panels / wanted);
  b.columns = b.full_panels > 0 ? evr_ceil_div(b.vectors, b.full_panels) * EVR_LANES : EVR_LANES;
  b.wide = p->group_in < WIDE_BELOW;
  shrink(p, &b);
  b.tasks = evr_ceil_div(b.panels, b.group);
  int64_t pieces = 1;
  while (b.tasks * pieces < wanted && b.tasks * images * pieces % threads != 0) pieces++;
  b.stretch = evr_round_up(evr_ceil_div(p->group_out, pieces), EVR_GEMM_ROWS);
  b.stretches = evr_ceil_div(p->group_out, b.stretch);
  return b;
}

_Static_assert(sizeof(blocking) <= sizeof(((evr_prepared *)0)->state), "it fits");

void EVR_NAME(evr_conv2d_direct_nchw_prepare)(void *problem) {
  evr_conv2d_problem *p = problem;
  const blocking b = make_blocking(p);
  evr_keep_prepared(p, EVR_NAME(evr_conv2d_direct_nchw_prepare), &b, sizeof b);
}

static void read_blocking(const evr_conv2d_problem *p, blocking *b) {
  if (!evr_read_prepared(p, EVR_NAME(evr_conv2d_direct_nchw_prepare), b, sizeof *b))
    *b = make_blocking(p);
}

size_t EVR_NAME(evr_conv2d_direct_nchw_workspace_size)(const evr_conv2d_problem *p) {
  return evr_size_product(make_blocking(p).slot_bytes, (size_t)p->common.parallel.threads);
}

size_t EVR_NAME(evr_conv2d_direct_nchw_packed_size)(const evr_conv2d_problem *p) {
  return evr_conv2d_packed_matrix_size(p);
}

void EVR_NAME(evr_conv2d_direct_nchw_pack)(const evr_conv2d_problem *p, const float *weights,
                                           void *packed) {
  evr_conv2d_pack_matrix(p, weights, packed);
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  blocking b;
} job;

/* A panel of pixels and the block of the depth in its buffer. */
typedef struct panel {
  int64_t pixel, pixels;
  int64_t width; /* of the buffer: at least pixels in whole vectors */
  float *buffer; /* [step][width] */
} panel;

/* Fills the buffer with steps k to k + depth of x, the planes of one image and group. */
static void gather(const evr_conv2d_problem *p, const panel *s, const float *x, int64_t k,
                   int64_t depth, evr_segment *segments) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t plane = d->in_height * d->in_width, end = k + depth;
  float *to = s->buffer;
  while (k < end) {
    const int64_t tap = k / p->group_in;
    const int64_t after = evr_min((tap + 1) * p->group_in, end);
    int64_t n = evr_find_segments(p, tap / d->kernel_width, tap % d->kernel_width, s->pixel,
                                  s->pixels, segments);
    if (s->width > s->pixels) n = evr_add_segment(segments, n, -1, s->width - s->pixels);
    for (int64_t ic = k % p->group_in; k < after; k++, ic++) {
      evr_copy_segments(x + ic * plane, (p->group_in - ic) * plane, segments, n, d->stride_width,
                        to);
      to += s->width;
    }
  }
}

/* What a task works on. */
typedef struct part {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  int64_t image, group;
  const float *weights; /* of the group */
  panel panels[PANELS];
  int64_t count;
  bool odd; /* the last panel holds odd pixels */
} part;

/* One panel of pixels against channels c to c + rows of the group; tile holds what they share. */
static void multiply(const part *t, evr_gemm_tile tile, int64_t k, const panel *s, int64_t c,
                     int64_t rows, bool odd) {
  const evr_conv2d_problem *p = t->p;
  const int64_t channel = t->group * p->group_out + c;
  const int64_t plane = t->image * p->desc.out_channels + channel;
  tile.a = t->weights + c * p->depth + k * EVR_GEMM_ROWS;
  tile.b = s->buffer;
  tile.b_row = s->width;
  tile.c = t->call->y + plane * p->y_plane + s->pixel;
  tile.columns = s->pixels;
  tile.row_bias = t->call->bias != NULL ? t->call->bias + channel : NULL;
  if (t->call->residual != NULL)
    tile.residual = t->call->residual + plane * p->residual_plane + s->pixel;
  if (!odd) {
    EVR_NAME(evr_gemm_run_tile)(&tile, rows, true);
    return;
  }
#if EVR_GEMM_HAS_COLUMN
  for (int64_t i = 0; i < s->pixels; i++) {
    EVR_NAME(evr_gemm_run_column)(&tile, rows);
    tile.b++;
    tile.c++;
    if (tile.residual != NULL) tile.residual++;
  }
#endif
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  const int64_t stretch = evr_take_number(&task, b->stretches);
  const int64_t first_panel = evr_take_number(&task, b->tasks) * b->group;
  const int64_t group = evr_take_number(&task, p->desc.groups);
  const int64_t out_plane = p->sizes.conv_height * p->sizes.conv_width;
  part t = {.p = p,
            .call = j->call,
            .image = task,
            .group = group,
            .count = evr_min(b->group, b->panels - first_panel)};
  t.weights = evr_conv2d_packed_group(p, j->call->packed, t.group);
  t.odd = first_panel + t.count > b->full_panels;
  const float *x = j->call->x + (t.image * d->in_channels + t.group * p->group_in) *
                                    (d->in_height * d->in_width);

  char *slot_memory = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  float *buffer = (float *)(void *)slot_memory;
  evr_segment *segments = (evr_segment *)(void *)(slot_memory + b->buffer_bytes);
  const int64_t first = first_vector(b, first_panel) * EVR_LANES;
  const int64_t end = first_vector(b, first_panel + t.count) * EVR_LANES;
  const panel all = {first, evr_min(end, out_plane) - first, end - first + LINE, buffer};
  for (int64_t i = 0; i < t.count; i++) {
    const int64_t from = first_vector(b, first_panel + i) * EVR_LANES;
    const int64_t to = first_vector(b, first_panel + i + 1) * EVR_LANES;
    t.panels[i] = (panel){from, evr_min(to, out_plane) - from, b->wide ? all.width : to - from,
                          buffer + (b->wide ? from - first : i * b->depth * b->columns)};
  }

  const int64_t channels_end = evr_min((stretch + 1) * b->stretch, p->group_out);
  evr_gemm_tile tile = {
      .c_row = p->y_plane, .residual_row = p->residual_plane, .activation = &d->activation};
  for (int64_t k = 0; k < p->depth; k += tile.depth) {
    tile.depth = evr_min(b->depth, p->depth - k);
    tile.first = k == 0;
    tile.last = k + tile.depth == p->depth;
    if (b->wide)
      gather(p, &all, x, k, tile.depth, segments);
    else
      for (int64_t i = 0; i < t.count; i++) gather(p, &t.panels[i], x, k, tile.depth, segments);
    for (int64_t c = stretch * b->stretch; c < channels_end; c += CHANNELS) {
      const int64_t c_end = evr_min(c + CHANNELS, channels_end);
      for (int64_t r = c; r < c_end; r += EVR_GEMM_ROWS) {
        tile.a_next = r + EVR_GEMM_ROWS < channels_end ? p->depth * EVR_GEMM_ROWS : 0;
        for (int64_t i = 0; i < t.count - t.odd; i++)
          multiply(&t, tile, k, &t.panels[i], r, evr_min(c_end - r, EVR_GEMM_ROWS), false);
      }
      tile.a_next = p->depth * EVR_GEMM_ROWS;
      if (t.odd) multiply(&t, tile, k, &t.panels[t.count - 1], c, c_end - c, true);
    }
  }
}

void EVR_NAME(evr_conv2d_direct_nchw_forward)(const evr_conv2d_problem *p,
                                              const evr_conv2d_call *call) {
  job j;
  j.p = p;
  j.call = call;
  read_blocking(p, &j.b);
  evr_parallel_for(&p->common.parallel, p->desc.batch * p->desc.groups * j.b.tasks * j.b.stretches,
                   run_task, &j);
}

/* Segments to find for each tap and to copy for each step, vectors to copy, tiles, and the product
 * (pace.h). */
double EVR_NAME(evr_conv2d_direct_nchw_cost)(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  const blocking b = make_blocking(p);
  const int64_t odd = b.panels - b.full_panels,
                out_plane = p->sizes.conv_height * p->sizes.conv_width;
  const double depth = (double)p->depth, blocks = (double)evr_ceil_div(p->depth, b.depth);
  const double row_tiles = (double)evr_ceil_div(p->group_out, EVR_GEMM_ROWS);
  const double odd_pixels = odd > 0 ? (double)(out_plane - b.vectors * EVR_LANES) : 0.0;
  const double column_tiles = odd_pixels * (double)evr_ceil_div(p->group_out, CHANNELS);

  const double gathers = (double)(b.wide ? b.tasks : b.panels);
  const double segments = evr_segment_count(p, (double)out_plane / gathers);
  const double taps = gathers * (double)(d->kernel_height * d->kernel_width);
  const double finding = taps * (TAP_START + SEGMENT_FIND * segments);
  const double copying =
      (d->stride_width > 1 ? APART : 1.0) * depth *
      (SEGMENT_COPY * gathers * segments + EVR_BY_WIDTH(0.44, 0.78) * (double)b.vectors);

  double steps = b.full_panels == 0
                     ? 0.0
                     : evr_tiled_time(p->group_out, b.vectors, EVR_GEMM_ROWS, EVR_GEMM_VECTORS);
  /* Vectors of which only EVR_GEMM_ROWS lanes count, wide ones being the slower for it. */
  if (odd > 0)
    steps += odd_pixels * EVR_BY_WIDTH(1.6, 1.7) *
             evr_tiled_time(1, evr_ceil_div(p->group_out, EVR_GEMM_ROWS), 1, 4);
  const double tiles = TILE_START * blocks * ((double)b.full_panels * row_tiles + column_tiles);
  return EVR_BY_WIDTH(21.0, 22.0) +
         (double)(d->batch * d->groups) *
             (EVR_BY_WIDTH(21.0, 13.0) + finding + copying + tiles + depth * steps);
}
