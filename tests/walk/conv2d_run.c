/* One convolution case: inputs, execution in guarded buffers, oracle. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "walk/conv2d.h"

void conv2d_describe(const conv2d_case *c, char *text, size_t size) {
  static const char *const modes[] = {"zero", "replicate", "reflect"};
  static const char *const pools[] = {"none", "max", "average", "min"};
  const evr_conv2d_desc *d = &c->desc;
  const int used = snprintf(
      text, size,
      "batch %" PRId64 " groups %" PRId64 " x %" PRId64 "x%" PRId64 "x%" PRId64
      " (h,w,c) out_channels %" PRId64 " kernel %" PRId64 "x%" PRId64 " stride %" PRId64 ",%" PRId64
      " dilation %" PRId64 ",%" PRId64 " pads t%" PRId64 " b%" PRId64 " l%" PRId64 " r%" PRId64
      " %s %s %s activation %d alpha %g%s%s %s",
      d->batch, d->groups, d->in_height, d->in_width, d->in_channels, d->out_channels,
      d->kernel_height, d->kernel_width, d->stride_height, d->stride_width, d->dilation_height,
      d->dilation_width, d->pad_top, d->pad_bottom, d->pad_left, d->pad_right, modes[d->pad_mode],
      d->layout == EVR_NHWC ? "NHWC" : "NCHW", d->filter_layout == EVR_HWIO ? "HWIO" : "OIHW",
      (int)d->activation.kind, (double)d->activation.alpha, c->bias ? " bias" : "",
      c->residual ? " residual" : "", values_name(c->values));
  const evr_pool2d_window *w = &d->pool;
  if (w->kind != EVR_POOL_NONE && used > 0 && (size_t)used < size)
    snprintf(text + used, size - (size_t)used,
             " pool %s %" PRId64 "x%" PRId64 " stride %" PRId64 ",%" PRId64 " pads t%" PRId64
             " b%" PRId64 " l%" PRId64 " r%" PRId64 "%s%s%s",
             pools[w->kind], w->kernel_height, w->kernel_width, w->stride_height, w->stride_width,
             w->pad_top, w->pad_bottom, w->pad_left, w->pad_right, w->ceil_mode ? " ceil" : "",
             w->count_include_pad ? " include_pad" : "", w->global ? " global" : "");
}

static float *fill(walk *w, const conv2d_case *c, int64_t rarity, int64_t count) {
  float *data = malloc((size_t)count * sizeof *data);
  if (data == NULL) abort();
  random_fill(&w->random, c->values, rarity, data, count);
  return data;
}

bool conv2d_inputs_make(walk *w, const conv2d_case *c, conv2d_inputs *inputs) {
  *inputs = (conv2d_inputs){0};
  const evr_status status = evr_conv2d_get_sizes(&c->desc, &inputs->sizes);
  if (status != EVR_OK) {
    char text[512];
    conv2d_describe(c, text, sizeof text);
    walk_fail(w, "%s: no sizes: %s", text, evr_last_error());
    return false;
  }
  const evr_conv2d_sizes *s = &inputs->sizes;
  const evr_conv2d_desc *d = &c->desc;
  /* Special values so rare that about one sum in two has one. */
  const int64_t rarity = 4 * d->kernel_height * d->kernel_width * (d->in_channels / d->groups);
  inputs->x = fill(w, c, rarity, s->x_count);
  inputs->weights = fill(w, c, rarity, s->weights_count);
  if (c->bias) inputs->bias = fill(w, c, 6, s->bias_count);
  if (c->residual) inputs->residual = fill(w, c, 6, s->residual_count);
  if (c->values == VALUES_TINY) { /* the sums are of the order of 2^-140 */
    for (int64_t i = 0; c->bias && i < s->bias_count; i++) inputs->bias[i] *= 0x1p-70f;
    for (int64_t i = 0; c->residual && i < s->residual_count; i++) inputs->residual[i] *= 0x1p-70f;
  }
  return true;
}

void conv2d_inputs_free(conv2d_inputs *inputs) {
  free(inputs->x);
  free(inputs->weights);
  free(inputs->bias);
  free(inputs->residual);
  *inputs = (conv2d_inputs){0};
}

void conv2d_buffers_free(conv2d_buffers *b) {
  guarded_free(&b->x);
  guarded_free(&b->weights);
  guarded_free(&b->bias);
  guarded_free(&b->residual);
  guarded_free(&b->y);
  guarded_free(&b->packed);
  guarded_free(&b->workspace);
}

static const float *place_input(guarded *b, const float *data, int64_t count, placement where) {
  if (data == NULL) return NULL;
  const size_t bytes = (size_t)count * sizeof(float);
  float *placed = guarded_place(b, bytes, where);
  memcpy(placed, data, bytes);
  guarded_freeze(b);
  return placed;
}

static void *place_scratch(guarded *b, size_t bytes, placement where) {
  void *placed = guarded_place(b, bytes, where);
  memset(placed, 0xa5, bytes);
  return placed;
}

static bool all_intact(const conv2d_buffers *b, const evr_conv2d_arguments *a) {
  return guarded_intact(&b->y) && (a->packed == NULL || guarded_intact(&b->packed)) &&
         (a->workspace == NULL || guarded_intact(&b->workspace));
}

bool conv2d_execute(walk *w, const evr_conv2d_plan *plan, const conv2d_inputs *in,
                    const conv2d_way *way, conv2d_buffers *b, const char *what) {
  const evr_conv2d_sizes *s = &in->sizes;
  evr_conv2d_arguments a = {0};
  a.x = place_input(&b->x, in->x, s->x_count, way->where);
  a.weights = place_input(&b->weights, in->weights, s->weights_count, way->where);
  a.bias = place_input(&b->bias, in->bias, s->bias_count, way->where);
  a.residual = place_input(&b->residual, in->residual, s->residual_count, way->where);
  a.y = guarded_place(&b->y, (size_t)s->y_count * sizeof(float), way->where);
  fill_untouched(a.y, s->y_count);
  const size_t packed_bytes = evr_conv2d_packed_size(plan);
  if (way->packed && packed_bytes > 0) {
    void *packed = place_scratch(&b->packed, packed_bytes, way->where);
    if (evr_conv2d_pack(plan, a.weights, packed) != EVR_OK) {
      walk_fail(w, "%s: packing: %s", what, evr_last_error());
      return false;
    }
    if (!guarded_intact(&b->packed)) {
      walk_fail(w, "%s: packing wrote outside of the packed weights", what);
      return false;
    }
    guarded_freeze(&b->packed);
    a.packed = packed;
    a.weights = NULL;
  }
  const size_t bytes = evr_conv2d_workspace_size(plan, a.packed != NULL);
  if (way->own_workspace && bytes > 0)
    a.workspace = place_scratch(&b->workspace, bytes, way->where);
  const evr_status status = evr_conv2d_execute(plan, &a);
  if (status != EVR_OK)
    walk_fail(w, "%s: %s: %s", what, evr_status_name(status), evr_last_error());
  else if (!all_intact(b, &a))
    walk_fail(w, "%s: wrote outside of its buffers", what);
  return !walk_failed(w);
}

#define MOST_VARIANTS 64

const float *conv2d_run(walk *w, const conv2d_case *c, const conv2d_inputs *inputs,
                        const conv2d_way *way, conv2d_buffers *buffers) {
  char what[1024];
  conv2d_describe(c, what, sizeof what);
  const size_t length = strlen(what);
  snprintf(what + length, sizeof what - length, "; %s, %s, %s, %d threads",
           placement_name(way->where), way->packed ? "packed" : "plain weights",
           way->own_workspace ? "own workspace" : "no workspace", way->threads);
  evr_plan_options options = walk_options(w, way->threads);
  options.thread_pool = way->pool;
  evr_conv2d_plan *plan;
  const evr_status status = evr_conv2d_plan_create(&c->desc, &options, &plan);
  char sentence[512];
  snprintf(sentence, sizeof sentence, "%s", evr_last_error());
  evr_variant_report list[MOST_VARIANTS];
  size_t count = 0;
  if (evr_conv2d_list_variants(&c->desc, &options, list, MOST_VARIANTS, &count) != EVR_OK) {
    walk_fail(w, "%s: no list: %s", what, evr_last_error());
    evr_conv2d_plan_destroy(plan);
    return NULL;
  }
  if (!walk_serves(w, status, list, count, what)) {
    evr_conv2d_plan_destroy(plan);
    return NULL;
  }
  if (strcmp(evr_conv2d_plan_variant(plan), w->variant->name) != 0)
    walk_fail(w, "%s: the plan took %s", what, evr_conv2d_plan_variant(plan));
  const bool done = !walk_failed(w) && conv2d_execute(w, plan, inputs, way, buffers, what);
  evr_conv2d_plan_destroy(plan);
  return done ? (const float *)(const void *)buffers->y.data : NULL;
}

/* ---- the oracle ---- */

/* Distances between neighbours in each direction. */
typedef struct strides {
  int64_t n, h, w, c;
} strides;

static strides strides_of(evr_layout layout, int64_t height, int64_t width, int64_t channels) {
  if (layout == EVR_NHWC)
    return (strides){height * width * channels, width * channels, channels, 1};
  return (strides){channels * height * width, width, 1, height * width};
}

/* The pixel that a padded coordinate stands for; -1: a zero. */
static int64_t pixel(int64_t at, int64_t size, evr_pad_mode mode) {
  if (mode == EVR_PAD_ZERO) return at < 0 || at >= size ? -1 : at;
  if (mode == EVR_PAD_REPLICATE) return at < 0 ? 0 : at >= size ? size - 1 : at;
  while (at < 0 || at >= size) at = at < 0 ? -at : 2 * size - 2 - at;
  return at;
}

void conv2d_oracle(const conv2d_case *c, const conv2d_inputs *in, double *y, double *magnitude) {
  const evr_conv2d_desc *d = &c->desc;
  const evr_conv2d_sizes *s = &in->sizes;
  const int64_t inputs = d->in_channels / d->groups, outputs = d->out_channels / d->groups;
  const strides xs = strides_of(d->layout, d->in_height, d->in_width, d->in_channels);
  const strides ys = strides_of(d->layout, s->conv_height, s->conv_width, d->out_channels);
  const int64_t taps = d->kernel_height * d->kernel_width;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t o = 0; o < d->out_channels; o++)
      for (int64_t oh = 0; oh < s->conv_height; oh++)
        for (int64_t ow = 0; ow < s->conv_width; ow++) {
          const int64_t at = n * ys.n + oh * ys.h + ow * ys.w + o * ys.c;
          double sum = 0.0, size = 0.0;
          for (int64_t i = 0; i < inputs; i++)
            for (int64_t tap = 0; tap < taps; tap++) {
              const int64_t kh = tap / d->kernel_width, kw = tap % d->kernel_width;
              const int64_t ih = pixel(oh * d->stride_height + kh * d->dilation_height - d->pad_top,
                                       d->in_height, d->pad_mode);
              const int64_t iw = pixel(ow * d->stride_width + kw * d->dilation_width - d->pad_left,
                                       d->in_width, d->pad_mode);
              if (ih < 0 || iw < 0) continue;
              const int64_t channel = o / outputs * inputs + i;
              const double value = (double)in->x[n * xs.n + ih * xs.h + iw * xs.w + channel * xs.c];
              const double weight =
                  (double)in->weights[d->filter_layout == EVR_HWIO
                                          ? (tap * inputs + i) * d->out_channels + o
                                          : (o * inputs + i) * taps + tap];
              sum += value * weight;
              size += fabs(value * weight);
            }
          if (in->bias != NULL) {
            sum += (double)in->bias[o];
            size += fabs((double)in->bias[o]);
          }
          if (in->residual != NULL) {
            sum += (double)in->residual[at];
            size += fabs((double)in->residual[at]);
          }
          y[at] = sum;
          magnitude[at] = size;
        }
}
