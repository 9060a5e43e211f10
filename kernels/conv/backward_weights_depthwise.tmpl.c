/* Depthwise backward weights: one vector of channels at a time, whose taps are all in registers.
 *
 * A task copies a block's part of the image and of g for its channels, padding written out, so that
 * what it reads is side by side in either layout; and it owns its sums, so that blocks come in
 * their order whatever the threads. */
#include <inttypes.h>
#include <stdio.h>

#include "conv/backward.h"
#include "conv/backward_image.h"
#include "conv/backward_weights_tile.h"

/* Taps that are summed up at once, at most. */
#define MOST_TAPS 9

typedef struct blocking {
  int64_t block_rows, pixels; /* of a block, at most */
  int64_t in_rows, in_width;  /* of the copied part of the image */
  int64_t taps;
  size_t x_bytes, g_bytes, slot_bytes;
} blocking;

static blocking make_blocking(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  blocking b = {.taps = d->kernel_height * d->kernel_width};
  b.block_rows = evr_min(evr_conv2d_block_rows(p), p->sizes.conv_height);
  b.pixels = b.block_rows * p->sizes.conv_width;
  /* A stride that is never taken may be any number. */
  b.in_rows = (b.block_rows > 1 ? (b.block_rows - 1) * d->stride_height : 0) +
              (d->kernel_height - 1) * d->dilation_height + 1;
  b.in_width = d->in_width + d->pad_left + d->pad_right;
  b.x_bytes = evr_size_floats_of(b.in_rows, b.in_width, EVR_LANES, 1);
  b.g_bytes = evr_size_floats_of(b.pixels, EVR_LANES, 1, 1);
  b.slot_bytes =
      evr_size_sum(evr_size_sum(b.x_bytes, b.g_bytes), evr_size_floats_of(b.taps, EVR_LANES, 1, 1));
  return b;
}

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  if (p->group_in == 1 && p->group_out == 1) return true;
  snprintf(reason, EVR_REASON_SIZE,
           "needs one channel in and out of each group; desc.groups is %" PRId64 " for %" PRId64
           " in and %" PRId64 " out",
           p->desc.groups, p->desc.in_channels, p->desc.out_channels);
  return false;
}

static size_t workspace_size(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  return evr_size_product(make_blocking(&p->conv).slot_bytes, (size_t)p->common.parallel.threads);
}

typedef struct job {
  const evr_conv2d_problem *p;
  const evr_conv2d_backward_weights_call *call;
  blocking b;
} job;

/* Some taps of one block. */
typedef struct window {
  const float *x, *g;
  int64_t x_pixel, x_line, lines, width;
  int64_t offset[MOST_TAPS]; /* of each tap, in floats */
} window;

/* T is constant where this is inlined. */
EVR_INLINE void gather_taps(const window *w, const int T, bool first, float *sums) {
  vf acc[MOST_TAPS];
  const float *at[MOST_TAPS];
  EVR_UNROLL
  for (int t = 0; t < T; t++) acc[t] = vf_zero();
  const float *g = w->g;
  for (int64_t line = 0; line < w->lines; line++) {
    EVR_UNROLL
    for (int t = 0; t < T; t++) at[t] = w->x + line * w->x_line + w->offset[t];
    int64_t x = 0;
    for (int64_t i = 0; i < w->width; i++, x += w->x_pixel, g += EVR_LANES) {
      const vf value = vf_load(g);
      EVR_UNROLL
      for (int t = 0; t < T; t++) acc[t] = vf_fma(vf_load(at[t] + x), value, acc[t]);
    }
  }
  EVR_UNROLL
  for (int t = 0; t < T; t++) evr_gradient_add(sums + t * EVR_LANES, acc[t], first, EVR_LANES);
}

static void gather(const window *w, int64_t taps, bool first, float *sums) {
  switch (taps) {
    case 1: gather_taps(w, 1, first, sums); break;
    case 2: gather_taps(w, 2, first, sums); break;
    case 3: gather_taps(w, 3, first, sums); break;
    case 4: gather_taps(w, 4, first, sums); break;
    case 5: gather_taps(w, 5, first, sums); break;
    case 6: gather_taps(w, 6, first, sums); break;
    case 7: gather_taps(w, 7, first, sums); break;
    case 8: gather_taps(w, 8, first, sums); break;
    default: gather_taps(w, 9, first, sums); break;
  }
}

/* Row ih of image n, channels [channel, channel + lanes), padded, to vectors. */
static void copy_row(const evr_conv2d_problem *p, const float *x, int64_t n, int64_t ih,
                     int64_t channel, int64_t lanes, int64_t width, float *to) {
  const evr_conv2d_desc *d = &p->desc;
  if (ih < 0 || lanes < EVR_LANES) memset(to, 0, (size_t)(width * EVR_LANES) * sizeof *to);
  if (ih < 0) return;
  float *inner = to + d->pad_left * EVR_LANES;
  if (d->layout == EVR_NCHW) {
    const int64_t plane = d->in_height * d->in_width;
    evr_channels_last(x + (n * d->in_channels + channel) * plane + ih * d->in_width, plane, inner,
                      EVR_LANES, d->in_width, lanes);
  } else {
    const float *from = x + (n * d->in_height + ih) * d->in_width * d->in_channels + channel;
    for (int64_t i = 0; i < d->in_width; i++, from += d->in_channels)
      vf_store(inner + i * EVR_LANES, lanes == EVR_LANES ? vf_load(from) : vf_load_n(from, lanes));
  }
  for (int64_t i = 0; i < width; i++) {
    if (i == d->pad_left) i += d->in_width;
    if (i >= width) break;
    const int64_t iw = evr_source_pixel(i - d->pad_left, d->in_width, d->pad_mode);
    vf_store(to + i * EVR_LANES, iw < 0 ? vf_zero() : vf_load(inner + iw * EVR_LANES));
  }
}

static void add_bias(const job *j, const float *g, int64_t pixels, int64_t channel, int64_t lanes,
                     bool first) {
  vf sum = vf_zero();
  for (int64_t i = 0; i < pixels; i++) sum = vf_add(sum, vf_load(g + i * EVR_LANES));
  evr_gradient_add(j->call->dbias + channel, sum, first, lanes);
}

/* One block: output rows [row, row + rows) of image n. */
static void add_block(const job *j, int64_t n, int64_t row, int64_t rows, int64_t channel,
                      int64_t lanes, float *x, float *g, float *sums) {
  const evr_conv2d_problem *p = j->p;
  const evr_conv2d_desc *d = &p->desc;
  const blocking *b = &j->b;
  const bool first = n == 0 && row == 0;
  const int64_t out_width = p->sizes.conv_width;
  evr_backward_take_g(p, j->call->g, n, row, rows * out_width, channel, lanes, EVR_LANES, g);
  if (j->call->dbias != NULL) add_bias(j, g, rows * out_width, channel, lanes, first);
  if (j->call->dweights == NULL) return;
  const int64_t step_h = p->sizes.conv_height > 1 ? d->stride_height : 0;
  const int64_t in_rows = (rows - 1) * step_h + (d->kernel_height - 1) * d->dilation_height + 1;
  for (int64_t i = 0; i < in_rows; i++) {
    const int64_t ih = evr_source_pixel(row * step_h + i - d->pad_top, d->in_height, d->pad_mode);
    copy_row(p, j->call->x, n, ih, channel, lanes, b->in_width, x + i * b->in_width * EVR_LANES);
  }
  window w = {.x = x,
              .g = g,
              .x_pixel = out_width > 1 ? d->stride_width * EVR_LANES : 0,
              .x_line = step_h * b->in_width * EVR_LANES,
              .lines = rows,
              .width = out_width};
  for (int64_t tap = 0; tap < b->taps; tap += MOST_TAPS) {
    const int64_t count = evr_min(MOST_TAPS, b->taps - tap);
    for (int64_t t = 0; t < count; t++)
      w.offset[t] = ((tap + t) / d->kernel_width * d->dilation_height * b->in_width +
                     (tap + t) % d->kernel_width * d->dilation_width) *
                    EVR_LANES;
    gather(&w, count, first, sums + tap * EVR_LANES);
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  const job *j = argument;
  const evr_conv2d_problem *p = j->p;
  const blocking *b = &j->b;
  char *scratch = (char *)j->call->workspace + (size_t)slot * b->slot_bytes;
  float *x = (float *)(void *)scratch, *g = (float *)(void *)(scratch + b->x_bytes);
  float *sums = (float *)(void *)(scratch + b->x_bytes + b->g_bytes);
  const int64_t channel = task * EVR_LANES, channels = p->desc.in_channels;
  const int64_t lanes = evr_min(EVR_LANES, channels - channel);
  for (int64_t n = 0; n < p->desc.batch; n++)
    for (int64_t row = 0; row < p->sizes.conv_height; row += b->block_rows)
      add_block(j, n, row, evr_min(b->block_rows, p->sizes.conv_height - row), channel, lanes, x, g,
                sums);
  float *dweights = j->call->dweights;
  if (dweights == NULL) return;
  for (int64_t tap = 0; tap < b->taps; tap++)
    for (int64_t c = 0; c < lanes; c++)
      dweights[p->desc.filter_layout == EVR_HWIO ? tap * channels + channel + c
                                                 : (channel + c) * b->taps + tap] =
          sums[tap * EVR_LANES + c];
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_backward_problem *p = problem;
  job j = {&p->conv, call, make_blocking(&p->conv)};
  evr_parallel_for(&p->common.parallel, evr_ceil_div(p->conv.desc.in_channels, EVR_LANES), run_task,
                   &j);
}

/* A load and a product for each tap, and the copies. */
static double cost(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  const blocking b = make_blocking(&p->conv);
  const double blocks = (double)p->conv.desc.batch * (double)p->conv.sizes.conv_height /
                        (double)b.block_rows *
                        (double)evr_ceil_div(p->conv.desc.in_channels, EVR_LANES);
  const double step = EVR_LANES == 1 ? 3.0 : 0.3;
  return 150.0 + blocks * ((double)b.pixels * (step * (double)b.taps + 0.6) +
                           0.6 * (double)b.in_rows * (double)b.in_width);
}

const evr_kernel EVR_NAME(evr_conv2d_backward_weights_depthwise) = {
    .accepts = accepts, .cost = cost, .workspace_size = workspace_size, .forward = forward};
