/* Direct convolution, NHWC: no matrix is made; tiles read pixels of the image by their addresses.
 * (NCHW is handed to direct_nchw.tmpl.c.)
 *
 * A task is a band of pixels of one image and group, and a stretch of its output channels. For each
 * block of channels and each cut of the sum, the weights of that block and cut (a panel that
 * streams from L2) meet every tile of the band. */
#include "conv/direct.h"

#include <stdatomic.h>

#include "activation/apply.h"
#include "conv/band.h"
#include "conv/band_kept.h"
#include "conv/band_rows.h"
#include "conv/direct_tile.h"
#include "conv/pace.h"
#include "conv/weights.h"
#include "core/checked.h"
#include "core/cpu.h"
#include "core/memory.h"

#define PANEL_BYTES (192 * 1024)

/* Sums of fewer terms than this are done before the lines of y that they go to have come, above all
 * where y is not aligned: asked for ahead, VGG's first layer takes 1.8 ms instead of 2.8 with
 * AVX-512, and with AVX2 2.0 instead of 3.0, but no less where y is aligned. Deeper sums lose
 * 0.5 %. */
#define SHALLOW 48

/* Sums of fewer terms are done in wider tiles (direct_tile.h). */
#define WIDE_BELOW 200

/* Addresses of a band, all runs together. */
#define BAND_ADDRESSES 8192
#define BAND_PIXELS 1024
/* Pixels of a band, where memory is short. */
#define LEAST_BAND_PIXELS 8

/* Fewer weights than this are packed by one thread, in some 15 us. */
#define PACK_ALONE 65536

/* Packed weights begin with a line that says whether they are all finite. */
typedef struct packed_header {
  uint32_t finite; /* 1: they are */
} packed_header;
#define HEADER_BYTES EVR_ALIGNMENT

/* Nanoseconds for a tile to start and end, and for each run but the first. */
#define TILE_START EVR_BY_WIDTH(5.4, 12.0)
#define RUN_START EVR_BY_WIDTH(1.7, 2.0)

/* Nanoseconds of a thread's share that is not cut into several tasks. */
#define BRIEF 60000.0

typedef struct blocking {
  evr_band_shape shape;
  int64_t vectors, blocks;    /* of a group's output channels; block b has vectors near b/blocks */
  int64_t cut;                /* values of k in one panel: whole runs, or a part of one */
  int64_t bands;              /* of an image */
  int64_t stretch, stretches; /* blocks of a task, stretches of a group */
  size_t slot_bytes;
  const evr_kept_band *kept; /* of a plan whose band is a whole image; or NULL */
} blocking;

/* Block b spans vectors [first, first + count): blocks differ by at most one vector. */
static void block_vectors(const blocking *b, int64_t block, int64_t *first, int64_t *count) {
  if (b->blocks == 1) {
    *first = 0;
    *count = b->vectors;
    return;
  }
  *first = block * b->vectors / b->blocks;
  *count = (block + 1) * b->vectors / b->blocks - *first;
}

/* The time of tiles as sweep cuts them, and as the blocks of b are (pace.h). */
static double product_time(const void *context, int64_t pixels, int64_t depth) {
  const blocking *b = context;
  const int64_t most = EVR_TILE_PIXELS(evr_ceil_div(b->vectors, b->blocks));
  const int64_t tiles = evr_ceil_div(pixels, most), least = pixels / tiles;
  const int64_t longer = pixels - least * tiles;
  const int64_t narrow = b->vectors / b->blocks, wider = b->vectors - narrow * b->blocks;
  double time = 0.0;
  for (int wide = 0; wide < 2; wide++) {
    const double vectors = (double)(narrow + wide);
    const double blocks = (double)(wide ? wider : b->blocks - wider);
    const double bytes = vectors * EVR_LANES * sizeof(float);
    const double reading = bytes * (double)depth > EVR_PACE_L1 ? bytes / EVR_PACE_L2_SPEED : 0.0;
    time +=
        blocks * ((double)longer * fmax(evr_step_time((double)(least + 1) * vectors), reading) +
                  (double)(tiles - longer) * fmax(evr_step_time((double)least * vectors), reading));
  }
  const double runs = (double)depth / (double)b->shape.run_length;
  const double start = TILE_START + RUN_START * fmax(runs - 1.0, 0.0);
  return (double)depth * time + start * (double)(tiles * b->blocks);
}

/* A panel streams from L2 while a tile of sums stays in registers: the tile's loads and stores and
 * its addresses are shared by as many terms as leave L2 to the image. */
static int64_t panel_cut(int64_t runs, int64_t run_length) {
  const int64_t panel = evr_min(PANEL_BYTES, evr_l2_bytes() / 4);
  const int64_t most = evr_max(panel / (EVR_TILE_VECTORS * EVR_LANES * (int64_t)sizeof(float)), 8);
  const int64_t depth = runs * run_length;
  if (depth <= most) return depth;
  if (run_length <= most) return most / run_length * run_length;
  return evr_ceil_div(run_length, evr_ceil_div(run_length, most));
}

/* Pixels of a band: as many as L2 holds the input of, as it is swept once for each block of
 * channels; whole rows if possible; and enough bands for every thread, as long as a band keeps a
 * panel busy. */
static int64_t band_pixels(const blocking *b, const evr_conv2d_problem *p, int64_t wanted_bands) {
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  const int64_t pixels = height * width;
  const double read_bytes =
      (double)p->sizes.x_count * sizeof(float) / (double)(p->desc.batch * p->desc.groups * pixels);
  const int64_t fits =
      evr_max((int64_t)fmin((double)evr_l2_bytes() / 2 / read_bytes, BAND_PIXELS), 96);
  const int64_t most = evr_max(
      evr_min(evr_min(BAND_PIXELS, fits), BAND_ADDRESSES / evr_band_addresses(&b->shape)), 8);
  const int64_t bands =
      evr_max(evr_ceil_div(pixels, most), evr_min(wanted_bands, evr_ceil_div(pixels, 96)));
  const int64_t band = evr_ceil_div(pixels, bands);
  if (width > most) return band;
  return evr_ceil_div(height, evr_min(bands, height)) * width;
}

/* Halves a band until its scratch is small enough, in whole rows as far as it can: a part of a row
 * may lie in two, of which both would be copied. Returns its pixels. */
static int64_t size_band(blocking *b, const evr_conv2d_problem *p, int64_t band) {
  const size_t share = (size_t)p->scratch_share;
  const int64_t width = p->sizes.conv_width;
  for (evr_band_shape_size(&b->shape, p, band);
       evr_band_bytes(&b->shape) > share && band > (b->shape.copied ? width : LEAST_BAND_PIXELS);
       evr_band_shape_size(&b->shape, p, band))
    band = band > width && band % width == 0 ? evr_ceil_div(band / width, 2) * width
                                             : evr_ceil_div(band, 2);
  return band;
}

static blocking make_blocking(const evr_conv2d_problem *p) {
  blocking b;
  b.vectors = evr_ceil_div(p->group_out, EVR_LANES);
  b.blocks =
      evr_ceil_div(b.vectors, p->depth < WIDE_BELOW ? EVR_TILE_MOST_VECTORS : EVR_TILE_VECTORS);
  evr_band_shape_init(&b.shape, p, product_time, &b);
  b.cut = panel_cut(b.shape.runs, b.shape.run_length);
  const int64_t threads = p->common.parallel.threads;
  const int64_t images = p->desc.batch * p->desc.groups;
  /* Several tasks for each thread, lest one waits for another; but short ones lose more by being
   * cut than by waiting. */
  const bool brief = (double)images * b.shape.steps_time < BRIEF * (double)threads;
  const int64_t wanted = threads > 1 ? evr_ceil_div((brief ? 1 : 4) * threads, images) : 1;
  int64_t band = band_pixels(&b, p, wanted);
  if (threads > 1 && band < p->sizes.conv_height * p->sizes.conv_width)
    evr_band_shape_cut(&b.shape, p, evr_ceil_div(band, p->sizes.conv_width), product_time, &b);
  band = size_band(&b, p, band);
  b.bands = evr_ceil_div(p->sizes.conv_height * p->sizes.conv_width, band);
  b.stretches = threads > 1 ? evr_min(b.blocks, evr_ceil_div(wanted, b.bands)) : 1;
  b.stretch = evr_ceil_div(b.blocks, b.stretches);
  b.stretches = evr_ceil_div(b.blocks, b.stretch);
  b.slot_bytes = evr_band_bytes(&b.shape);
  b.kept = NULL;
  return b;
}

_Static_assert(sizeof(blocking) <= sizeof(((evr_prepared *)0)->state), "it fits");

static void prepare(void *problem) {
  evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NCHW) {
    EVR_NAME(evr_conv2d_direct_nchw_prepare)(p);
    return;
  }
  blocking b = make_blocking(p);
  if (b.bands == 1) b.kept = evr_band_keep(&b.shape, p);
  evr_keep_prepared(p, prepare, &b, sizeof b);
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NCHW) return EVR_NAME(evr_conv2d_direct_nchw_workspace_size)(p);
  return evr_size_product(make_blocking(p).slot_bytes, (size_t)p->common.parallel.threads);
}

static size_t packed_size(const void *problem) {
  const evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NCHW) return EVR_NAME(evr_conv2d_direct_nchw_packed_size)(p);
  const int64_t vectors = evr_ceil_div(p->group_out, EVR_LANES);
  const size_t column = evr_size_product((size_t)vectors, EVR_LANES * sizeof(float));
  const size_t group = evr_size_product(column, (size_t)p->depth);
  return evr_size_sum(HEADER_BYTES, evr_size_product(group, (size_t)p->desc.groups));
}

typedef struct packing {
  const evr_conv2d_problem *p;
  const float *weights;
  float *to;
  blocking b;
  atomic_bool finite;
} packing;

static void pack_block(void *argument, int64_t task, int slot) {
  (void)slot;
  packing *k = argument;
  const blocking *b = &k->b;
  const int64_t group = task / b->blocks;
  int64_t first, count;
  block_vectors(b, task % b->blocks, &first, &count);
  float *to = k->to + (group * b->vectors + first) * EVR_LANES * k->p->depth;
  if (!evr_weights_take(k->p, k->weights, group, first * EVR_LANES, count, to))
    atomic_store_explicit(&k->finite, false, memory_order_relaxed);
}

/* Packed weights: [group][block][k in canonical order][channels of the block], zeros beyond the
 * group's last channel. */
static void pack(const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NCHW) {
    EVR_NAME(evr_conv2d_direct_nchw_pack)(p, weights, packed);
    return;
  }
  packing k = {.p = p,
               .weights = weights,
               .to = (float *)(void *)((char *)packed + HEADER_BYTES),
               .b = make_blocking(p)};
  atomic_init(&k.finite, true);
  evr_parallel parallel = p->common.parallel;
  if (p->sizes.weights_count < PACK_ALONE) parallel.threads = 1;
  evr_parallel_for(&parallel, p->desc.groups * k.b.blocks, pack_block, &k);
  ((packed_header *)packed)->finite = atomic_load(&k.finite) ? 1 : 0;
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_call *call;
  blocking b;
} job;

/* One block of output channels of one band. */
typedef struct block_work {
  const job *j;
  const evr_band *band;
  const float *weights; /* of the block, all of k */
  int64_t image, group;
  int64_t channel, channels; /* over all groups */
  int64_t vectors;
} block_work;

/* The k of a sum, [begin, end) of its canonical order. */
typedef struct cut {
  int64_t begin, end;
} cut;

/* Sums one pixel again with every tap, zeros included, where leaving out zeros may have kept a -0
 * that a zero would have turned to +0. */
static void repair_pixel(const block_work *w, int64_t place) {
  const evr_conv2d_problem *p = w->j->p;
  const evr_conv2d_desc *d = &p->desc;
  const evr_conv2d_call *call = w->j->call;
  const evr_spread to = evr_output_spread(p);
  const int64_t oh = place / to.row, ow = place % to.row / to.pixel;
  for (int64_t i = 0; i < w->channels; i++) {
    const float *weight = w->weights + i;
    float sum = 0.0f;
    for (int64_t kh = 0; kh < d->kernel_height; kh++)
      for (int64_t kw = 0; kw < d->kernel_width; kw++) {
        const int64_t ih = evr_window_top(p, oh) + kh * d->dilation_height;
        const int64_t iw = ow * d->stride_width - d->pad_left + kw * d->dilation_width;
        const bool inside = ih >= 0 && ih < d->in_height && iw >= 0 && iw < d->in_width;
        const float *x = call->x;
        if (inside)
          x += ((w->image * d->in_height + ih) * d->in_width + iw) * d->in_channels +
               w->group * p->group_in;
        for (int64_t ic = 0; ic < p->group_in; ic++, weight += w->vectors * EVR_LANES)
          sum = fmaf(inside ? x[ic] : 0.0f, *weight, sum);
      }
    const int64_t at = w->image * to.image + place + w->channel + i;
    if (call->bias != NULL) sum += call->bias[w->channel + i];
    if (call->residual != NULL) sum += call->residual[at];
    call->y[at] = d->activation.kind == EVR_RELU && sum < 0.0f ? 0.0f : sum;
  }
}

/* One panel of weights against every tile of a region. tile holds what the tiles share. */
static void sweep(const block_work *w, const evr_region *region, evr_tile *tile,
                  int64_t first_run) {
  const int64_t most = EVR_TILE_PIXELS(w->vectors);
  int64_t tiles = 1, least = region->pixels, longer = 0;
  if (region->pixels > most) {
    tiles = evr_ceil_div(region->pixels, most);
    least = region->pixels / tiles;
    longer = region->pixels - least * tiles;
  }
  evr_tile_function *const *functions = evr_tiles[w->vectors - 1];
  const uintptr_t *addresses =
      w->band->addresses + region->address + first_run * region->address_step;
  const int64_t *places = w->band->places + region->place;
  int64_t pixel = 0;
  for (int64_t i = 0; i < tiles; i++) {
    const int64_t count = least + (i < longer);
    tile->addresses = addresses + pixel;
    tile->places = places + pixel;
    if (functions[count - 1](tile))
      for (int64_t m = 0; m < count; m++) repair_pixel(w, tile->places[m]);
    pixel += count;
  }
}

/* The runs of a region within a cut: [*first, *end) of its runs. */
static void runs_in_cut(const evr_run *runs, int64_t count, cut k, int64_t run_length,
                        int64_t *first, int64_t *end) {
  int64_t run = 0;
  while (run < count && runs[run].k + run_length <= k.begin) run++;
  *first = run;
  while (run < count && runs[run].k < k.end) run++;
  *end = run;
}

static void convolve_cut(const block_work *w, evr_tile *tile, cut k) {
  const int64_t run_length = w->j->b.shape.run_length;
  const bool all = k.begin == 0 && k.end == w->j->p->depth;
  for (int64_t r = 0; r < w->band->count; r++) {
    const evr_region *region = &w->band->regions[r];
    const evr_run *runs = w->band->runs + region->run;
    int64_t first = 0, end = region->runs;
    if (!all) runs_in_cut(runs, region->runs, k, run_length, &first, &end);
    /* A window without any tap inside the image still has an output. */
    const bool empty = region->runs == 0;
    if (first == end && !(empty && k.begin == 0)) continue;
    tile->pixel_step = region->address_step;
    tile->run = runs + first;
    tile->runs = end - first;
    tile->offset = 0;
    tile->length = run_length;
    if (!empty && k.end - k.begin < run_length) {
      tile->offset = k.begin - runs[first].k;
      tile->length = k.end - k.begin;
    }
    tile->watch = region->runs < w->j->b.shape.runs;
    tile->begin = first == 0 && tile->offset == 0;
    tile->end = end == region->runs && tile->offset + tile->length == run_length;
    sweep(w, region, tile, first);
  }
}

static void convolve_block(const block_work *w) {
  const evr_conv2d_problem *p = w->j->p;
  const evr_conv2d_desc *d = &p->desc;
  const evr_conv2d_call *call = w->j->call;
  const blocking *b = &w->j->b;
  const int64_t at = w->image * evr_output_spread(p).image + w->channel;
  evr_tile tile = {
      .weights = w->weights,
      .y = call->y + at,
      .last_lanes = w->channels - (w->vectors - 1) * EVR_LANES,
      .relu = d->activation.kind == EVR_RELU,
      .prefetch =
          p->depth < SHALLOW && (EVR_LANES == 16 || (uintptr_t)(call->y + at) % EVR_ALIGNMENT != 0),
      .bias = call->bias != NULL ? call->bias + w->channel : NULL,
      .residual = call->residual != NULL ? call->residual + at : NULL,
  };
  const int64_t run_length = b->shape.run_length;
  cut k = {0, 0};
  for (; k.begin < p->depth; k.begin = k.end) {
    k.end = evr_min(k.begin + b->cut, p->depth);
    if (b->cut < run_length) /* a part of a run ends with the run */
      k.end = evr_min(k.end, (k.begin / run_length + 1) * run_length);
    convolve_cut(w, &tile, k);
  }
  if (d->activation.kind == EVR_IDENTITY || d->activation.kind == EVR_RELU) return;
  for (int64_t i = 0; i < w->band->place_count; i++) {
    float *y = tile.y + w->band->places[i];
    EVR_NAME(evr_activation_apply)(&d->activation, y, y, w->channels);
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const blocking *b = &j->b;
  const evr_conv2d_problem *p = j->p;
  const int64_t stretch = evr_take_number(&task, b->stretches);
  const int64_t first_pixel = evr_take_number(&task, b->bands) * b->shape.pixels;
  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  block_work w = {.j = j};
  w.group = evr_take_number(&task, p->desc.groups);
  w.image = task;
  const packed_header *header = j->call->packed;
  const float *packed = (const float *)(const void *)((const char *)header + HEADER_BYTES);
  evr_band band;
  evr_region regions[EVR_MOST_REGIONS];
  void *const scratch = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  const float *const x = evr_band_image(p, j->call->x, w.image, w.group);
  const bool finite = header->finite == 1;
  if (b->kept != NULL && (finite || !b->kept->skips))
    evr_band_recall(&band, b->kept, &b->shape, p, x, scratch);
  else
    evr_band_init(&band, regions, &b->shape, p, x, first_pixel,
                  evr_min(b->shape.pixels, pixels - first_pixel), finite, scratch);
  w.band = &band;
  const int64_t end = evr_min((stretch + 1) * b->stretch, b->blocks);
  for (int64_t block = stretch * b->stretch; block < end; block++) {
    int64_t first;
    block_vectors(b, block, &first, &w.vectors);
    w.weights = packed + (w.group * b->vectors + first) * EVR_LANES * p->depth;
    w.channel = w.group * p->group_out + first * EVR_LANES;
    w.channels = evr_min(w.vectors * EVR_LANES, p->group_out - first * EVR_LANES);
    convolve_block(&w);
  }
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NCHW) {
    EVR_NAME(evr_conv2d_direct_nchw_forward)(p, call);
    return;
  }
  job j;
  j.p = p;
  j.call = call;
  if (!evr_read_prepared(p, prepare, &j.b, sizeof j.b)) j.b = make_blocking(p);
  evr_parallel_for(&p->common.parallel, p->desc.batch * p->desc.groups * j.b.bands * j.b.stretches,
                   run_task, &j);
}

/* Addresses for each run of a pixel, tiles, and the product in whole vectors (pace.h). */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = problem;
  if (p->desc.layout == EVR_NCHW) return EVR_NAME(evr_conv2d_direct_nchw_cost)(p);
  const blocking b = make_blocking(p);
  const int64_t pixels = p->sizes.conv_height * p->sizes.conv_width;
  /* The few sums of a single pixel wait between runs as well. */
  const double waiting = pixels == 1 && EVR_LANES < 16 ? 1.1 : 1.0;
  const bool by_run = b.shape.address_count > (double)pixels;
  const double pointers =
      EVR_BY_WIDTH(0.15, 0.066) * (double)pixels + EVR_BY_WIDTH(1.3, 0.72) * b.shape.address_count +
      (by_run ? EVR_BY_WIDTH(1.3, 1.5) * (double)p->sizes.conv_height * (double)b.shape.runs : 0.0);
  const double copying = 0.12 * evr_band_copied(&b.shape, p);
  const double image = EVR_BY_WIDTH(16.0, 8.7) + pointers + copying + waiting * b.shape.steps_time;
  return EVR_BY_WIDTH(14.0, 15.0) + (double)(p->desc.batch * p->desc.groups) * image;
}

const evr_kernel EVR_NAME(evr_conv2d_direct) = {
    .cost = cost,
    .packed_size = packed_size,
    .workspace_size = workspace_size,
    .pack = pack,
    .forward = forward,
    .prepare = prepare,
    .takes_room = true,
    .spreads = true,
};
