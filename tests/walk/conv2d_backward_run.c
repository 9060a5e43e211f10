/* One case of a backward pass: inputs, execution in guarded buffers, oracle. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evrisim/activation.h"
#include "support/compare.h"
#include "walk/conv2d_backward.h"

#define MOST_VARIANTS 64

static float *fill(walk *w, test_values values, int64_t rarity, int64_t count) {
  float *data = malloc((size_t)count * sizeof *data);
  if (data == NULL) abort();
  random_fill(&w->random, values, rarity, data, count);
  return data;
}

bool conv2d_gradient_inputs_make(walk *w, const conv2d_case *c, conv2d_gradient_inputs *in) {
  *in = (conv2d_gradient_inputs){0};
  if (evr_conv2d_get_sizes(&c->desc, &in->sizes) != EVR_OK) {
    walk_fail(w, "no sizes: %s", evr_last_error());
    return false;
  }
  const evr_conv2d_sizes *s = &in->sizes;
  const evr_conv2d_desc *d = &c->desc;
  const bool weights_asked = w->variant->operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS;
  /* Special values so rare that about one sum in two has one. */
  const int64_t taps = d->kernel_height * d->kernel_width;
  const int64_t rarity =
      4 * (weights_asked ? s->y_count / d->out_channels : taps * (d->out_channels / d->groups));
  in->dy = fill(w, c->values, rarity, s->y_count);
  if (weights_asked)
    in->x = fill(w, c->values, rarity, s->x_count);
  else
    in->weights = fill(w, c->values, rarity, s->weights_count);
  if (w->variant->operation == EVR_OP_CONV2D_TRANSPOSED) {
    if (c->bias) in->bias = fill(w, c->values, 6, d->in_channels);
    return true;
  }
  if (d->activation.kind == EVR_IDENTITY) return true;
  const evr_activation_desc activation = {d->activation, s->y_count};
  in->z = fill(w, c->values, rarity, s->y_count);
  if (evr_activation_needs_z(&d->activation)) return true;
  in->y = in->z; /* applied in place; some cases give both */
  if (random_chance(&w->random, 50)) {
    in->y = malloc((size_t)s->y_count * sizeof *in->y);
    if (in->y == NULL) abort();
    memcpy(in->y, in->z, (size_t)s->y_count * sizeof *in->y);
  } else {
    in->z = NULL;
  }
  if (evr_activate(&activation, NULL, in->y, in->y) != EVR_OK)
    walk_fail(w, "no y: %s", evr_last_error());
  return !walk_failed(w);
}

void conv2d_gradient_inputs_free(conv2d_gradient_inputs *in) {
  free(in->x);
  free(in->weights);
  free(in->dy);
  free(in->bias);
  free(in->y);
  free(in->z);
  *in = (conv2d_gradient_inputs){0};
}

evr_conv2d_transposed_desc transposed_of(const evr_conv2d_desc *c, const evr_conv2d_sizes *s) {
  const int64_t extent_h = c->dilation_height * (c->kernel_height - 1) + 1;
  const int64_t extent_w = c->dilation_width * (c->kernel_width - 1) + 1;
  return (evr_conv2d_transposed_desc){
      .batch = c->batch,
      .groups = c->groups,
      .in_channels = c->out_channels,
      .in_height = s->conv_height,
      .in_width = s->conv_width,
      .out_channels = c->in_channels,
      .kernel_height = c->kernel_height,
      .kernel_width = c->kernel_width,
      .stride_height = c->stride_height,
      .stride_width = c->stride_width,
      .dilation_height = c->dilation_height,
      .dilation_width = c->dilation_width,
      .pad_top = c->pad_top,
      .pad_bottom = c->pad_bottom,
      .pad_left = c->pad_left,
      .pad_right = c->pad_right,
      .output_padding_height =
          (c->in_height + c->pad_top + c->pad_bottom - extent_h) % c->stride_height,
      .output_padding_width =
          (c->in_width + c->pad_left + c->pad_right - extent_w) % c->stride_width,
      .layout = c->layout,
      .filter_layout = c->filter_layout,
      .activation = c->activation};
}

void conv2d_gradient_counts(evr_operation operation, const evr_conv2d_sizes *s, int64_t *first,
                            int64_t *second) {
  const bool weights = operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS;
  *first = weights ? s->weights_count : s->x_count;
  *second = weights ? s->bias_count : operation == EVR_OP_CONV2D_TRANSPOSED ? 0 : s->y_count;
}

/* ---- the operations' calls, behind one face ---- */

evr_status conv2d_gradient_plan_create(evr_operation operation, const conv2d_case *c,
                                       const evr_conv2d_sizes *s, const evr_plan_options *options,
                                       void **plan) {
  const evr_conv2d_transposed_desc transposed = transposed_of(&c->desc, s);
  if (operation == EVR_OP_CONV2D_BACKWARD_DATA)
    return evr_conv2d_backward_data_plan_create(&c->desc, options,
                                                (evr_conv2d_backward_data_plan **)plan);
  if (operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS)
    return evr_conv2d_backward_weights_plan_create(&c->desc, options,
                                                   (evr_conv2d_backward_weights_plan **)plan);
  return evr_conv2d_transposed_plan_create(&transposed, options,
                                           (evr_conv2d_transposed_plan **)plan);
}

static evr_status list_variants(evr_operation operation, const conv2d_case *c,
                                const evr_conv2d_sizes *s, const evr_plan_options *options,
                                evr_variant_report *list, size_t *count) {
  const evr_conv2d_transposed_desc transposed = transposed_of(&c->desc, s);
  if (operation == EVR_OP_CONV2D_BACKWARD_DATA)
    return evr_conv2d_backward_data_list_variants(&c->desc, options, list, MOST_VARIANTS, count);
  if (operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS)
    return evr_conv2d_backward_weights_list_variants(&c->desc, options, list, MOST_VARIANTS, count);
  return evr_conv2d_transposed_list_variants(&transposed, options, list, MOST_VARIANTS, count);
}

static const char *variant_of(evr_operation operation, const void *plan) {
  return operation == EVR_OP_CONV2D_BACKWARD_DATA ? evr_conv2d_backward_data_plan_variant(plan)
         : operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS
             ? evr_conv2d_backward_weights_plan_variant(plan)
             : evr_conv2d_transposed_plan_variant(plan);
}

size_t conv2d_gradient_workspace_size(evr_operation operation, const void *plan) {
  return operation == EVR_OP_CONV2D_BACKWARD_DATA ? evr_conv2d_backward_data_workspace_size(plan)
         : operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS
             ? evr_conv2d_backward_weights_workspace_size(plan)
             : evr_conv2d_transposed_workspace_size(plan);
}

void conv2d_gradient_plan_destroy(evr_operation operation, void *plan) {
  if (operation == EVR_OP_CONV2D_BACKWARD_DATA)
    evr_conv2d_backward_data_plan_destroy(plan);
  else if (operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS)
    evr_conv2d_backward_weights_plan_destroy(plan);
  else
    evr_conv2d_transposed_plan_destroy(plan);
}

evr_status conv2d_gradient_execute(evr_operation operation, const void *plan,
                                   const conv2d_gradient_inputs *in, const gradients *out,
                                   void *workspace) {
  if (operation == EVR_OP_CONV2D_BACKWARD_DATA) {
    const evr_conv2d_backward_data_arguments a = {.dy = in->dy,
                                                  .weights = in->weights,
                                                  .packed = in->packed,
                                                  .y = in->y,
                                                  .z = in->z,
                                                  .dx = out->first,
                                                  .dresidual = out->second,
                                                  .workspace = workspace};
    return evr_conv2d_backward_data_execute(plan, &a);
  }
  if (operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS) {
    const evr_conv2d_backward_weights_arguments a = {.x = out->first != NULL ? in->x : NULL,
                                                     .dy = in->dy,
                                                     .y = in->y,
                                                     .z = in->z,
                                                     .dweights = out->first,
                                                     .dbias = out->second,
                                                     .workspace = workspace};
    return evr_conv2d_backward_weights_execute(plan, &a);
  }
  return evr_conv2d_transposed_forward(plan, in->dy, in->weights, in->bias, out->first, workspace);
}

/* ---- execution ---- */

static float *place_input(guarded *b, const float *data, int64_t count, placement where) {
  if (data == NULL) return NULL;
  float *placed = guarded_place(b, (size_t)count * sizeof(float), where);
  memcpy(placed, data, (size_t)count * sizeof(float));
  guarded_freeze(b);
  return placed;
}

static float *place_output(guarded *b, bool asked, int64_t count, placement where) {
  if (!asked || count == 0) return NULL;
  float *placed = guarded_place(b, (size_t)count * sizeof(float), where);
  fill_untouched(placed, count);
  return placed;
}

/* Packs the placed weights, which are not given to the execution then. */
static bool pack(walk *w, const evr_conv2d_backward_data_plan *plan, placement where,
                 conv2d_gradient_inputs *placed, guarded *b, const char *what) {
  const size_t bytes = evr_conv2d_backward_data_packed_size(plan);
  if (bytes == 0) return true;
  placed->packed = guarded_place(b, bytes, where);
  memset(placed->packed, 0xa5, bytes);
  if (evr_conv2d_backward_data_pack(plan, placed->weights, placed->packed) != EVR_OK)
    walk_fail(w, "%s: packing: %s", what, evr_last_error());
  else if (!guarded_intact(b))
    walk_fail(w, "%s: packing wrote outside of the packed weights", what);
  guarded_freeze(b);
  placed->weights = NULL;
  return !walk_failed(w);
}

static bool execute(walk *w, void *plan, const conv2d_gradient_inputs *in,
                    const conv2d_gradient_way *way, const conv2d_case *c,
                    conv2d_gradient_buffers *b, gradients *got, const char *what) {
  const evr_operation operation = w->variant->operation;
  const evr_conv2d_sizes *s = &in->sizes;
  int64_t first, second;
  conv2d_gradient_counts(operation, s, &first, &second);
  conv2d_gradient_inputs placed = {
      .sizes = *s,
      .x = place_input(&b->x, in->x, s->x_count, way->where),
      .weights = place_input(&b->weights, in->weights, s->weights_count, way->where),
      .dy = place_input(&b->dy, in->dy, s->y_count, way->where),
      .bias = place_input(&b->bias, in->bias, c->desc.in_channels, way->where),
      .y = place_input(&b->y, in->y, s->y_count, way->where),
      .z = place_input(&b->z, in->z, s->y_count, way->where)};
  if (way->packed && operation == EVR_OP_CONV2D_BACKWARD_DATA &&
      !pack(w, plan, way->where, &placed, &b->packed, what))
    return false;
  got->first = place_output(&b->first, way->first, first, way->where);
  got->second = place_output(&b->second, way->second, second, way->where);
  const size_t bytes = conv2d_gradient_workspace_size(operation, plan);
  void *workspace = NULL;
  if (way->own_workspace && bytes > 0) {
    workspace = guarded_place(&b->workspace, bytes, way->where);
    memset(workspace, 0xa5, bytes);
  }
  const evr_status status = conv2d_gradient_execute(operation, plan, &placed, got, workspace);
  if (status != EVR_OK)
    walk_fail(w, "%s: %s: %s", what, evr_status_name(status), evr_last_error());
  else if ((got->first != NULL && !guarded_intact(&b->first)) ||
           (got->second != NULL && !guarded_intact(&b->second)) ||
           (workspace != NULL && !guarded_intact(&b->workspace)))
    walk_fail(w, "%s: wrote outside of its buffers", what);
  return !walk_failed(w);
}

bool conv2d_gradient_run(walk *w, const conv2d_case *c, const conv2d_gradient_inputs *in,
                         const conv2d_gradient_way *way, conv2d_gradient_buffers *buffers,
                         gradients *got) {
  char what[1024];
  conv2d_describe(c, what, sizeof what);
  const size_t length = strlen(what);
  snprintf(what + length, sizeof what - length, "; %s, %s, %d threads", placement_name(way->where),
           way->own_workspace ? "own workspace" : "no workspace", way->threads);
  evr_plan_options options = walk_options(w, way->threads);
  options.thread_pool = way->pool;
  const evr_operation operation = w->variant->operation;
  void *plan = NULL;
  const evr_status status = conv2d_gradient_plan_create(operation, c, &in->sizes, &options, &plan);
  evr_variant_report list[MOST_VARIANTS];
  size_t count = 0;
  char sentence[512];
  snprintf(sentence, sizeof sentence, "%s", evr_last_error());
  bool done = false;
  if (list_variants(operation, c, &in->sizes, &options, list, &count) != EVR_OK) {
    walk_fail(w, "%s: no list: %s; the plan says %s", what, evr_last_error(), sentence);
  } else if (walk_serves(w, status, list, count, what)) {
    if (strcmp(variant_of(operation, plan), w->variant->name) != 0)
      walk_fail(w, "%s: the plan took %s", what, variant_of(operation, plan));
    done = !walk_failed(w) && execute(w, plan, in, way, c, buffers, got, what);
  }
  conv2d_gradient_plan_destroy(operation, plan);
  return done;
}

static float *room(int64_t count) {
  float *made = count > 0 ? malloc((size_t)count * sizeof *made) : NULL;
  if (count > 0 && made == NULL) abort();
  return made;
}

gradients conv2d_gradient_expected(walk *w, const conv2d_case *c,
                                   const conv2d_gradient_inputs *in) {
  int64_t first, second;
  conv2d_gradient_counts(w->variant->operation, &in->sizes, &first, &second);
  const gradients made = {room(first), room(second)};
  const evr_plan_options options = walk_reference_options();
  conv2d_case plain = *c;
  conv2d_gradient_inputs of = *in;
  float *g = NULL;
  evr_status status = EVR_OK;
  if (in->y != NULL || in->z != NULL) {
    const evr_activation_desc activation = {c->desc.activation, in->sizes.y_count};
    of.dy = g = room(in->sizes.y_count);
    of.y = of.z = NULL;
    plain.desc.activation = (evr_activation){EVR_IDENTITY, 0.0f};
    status = evr_activation_backward(&activation, &options, in->dy, in->y, in->z, g);
  }
  void *plan = NULL;
  if (status == EVR_OK)
    status =
        conv2d_gradient_plan_create(w->variant->operation, &plain, &in->sizes, &options, &plan);
  if (status == EVR_OK)
    status = conv2d_gradient_execute(w->variant->operation, plan, &of, &made, NULL);
  free(g);
  if (status != EVR_OK) walk_fail(w, "the reference: %s", evr_last_error());
  conv2d_gradient_plan_destroy(w->variant->operation, plan);
  return made;
}

/* ---- the oracle ---- */

static int64_t at(evr_layout layout, int64_t channels, int64_t height, int64_t width, int64_t n,
                  int64_t h, int64_t w, int64_t c) {
  if (layout == EVR_NHWC) return ((n * height + h) * width + w) * channels + c;
  return ((n * channels + c) * height + h) * width + w;
}

/* The pixel that a padded coordinate stands for; -1: a zero. */
static int64_t pixel(int64_t place, int64_t size, evr_pad_mode mode) {
  if (place >= 0 && place < size) return place;
  if (mode == EVR_PAD_ZERO) return -1;
  if (mode == EVR_PAD_REPLICATE) return place < 0 ? 0 : size - 1;
  return place < 0 ? -place : 2 * size - 2 - place;
}

static double *zeros(int64_t count) {
  double *made = calloc((size_t)count + 1, sizeof *made);
  if (made == NULL) abort();
  return made;
}

static void add(double *sum, double *magnitude, double term) {
  *sum += term;
  *magnitude += fabs(term);
}

conv2d_gradient_sums conv2d_gradient_oracle(evr_operation operation, const conv2d_case *c,
                                            const conv2d_gradient_inputs *in) {
  const evr_conv2d_desc *d = &c->desc;
  const evr_conv2d_sizes *s = &in->sizes;
  const bool of_weights = operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS;
  int64_t first, second;
  conv2d_gradient_counts(operation, s, &first, &second);
  conv2d_gradient_sums g = {zeros(first), zeros(first), zeros(second), zeros(second)};
  const int64_t inputs = d->in_channels / d->groups, outputs = d->out_channels / d->groups;
  const int64_t taps = d->kernel_height * d->kernel_width;
  for (int64_t n = 0; n < d->batch; n++)
    for (int64_t o = 0; o < d->out_channels; o++)
      for (int64_t oh = 0; oh < s->conv_height; oh++)
        for (int64_t ow = 0; ow < s->conv_width; ow++) {
          const int64_t y =
              at(d->layout, d->out_channels, s->conv_height, s->conv_width, n, oh, ow, o);
          const double dy = (double)in->dy[y];
          if (operation != EVR_OP_CONV2D_TRANSPOSED)
            add(&g.second[of_weights ? o : y], &g.second_magnitude[of_weights ? o : y], dy);
          for (int64_t i = 0; i < inputs; i++)
            for (int64_t tap = 0; tap < taps; tap++) {
              const int64_t kh = tap / d->kernel_width, kw = tap % d->kernel_width;
              const int64_t ih = pixel(oh * d->stride_height + kh * d->dilation_height - d->pad_top,
                                       d->in_height, d->pad_mode);
              const int64_t iw = pixel(ow * d->stride_width + kw * d->dilation_width - d->pad_left,
                                       d->in_width, d->pad_mode);
              if (ih < 0 || iw < 0) continue;
              const int64_t x = at(d->layout, d->in_channels, d->in_height, d->in_width, n, ih, iw,
                                   o / outputs * inputs + i);
              const int64_t weight = d->filter_layout == EVR_HWIO
                                         ? (tap * inputs + i) * d->out_channels + o
                                         : (o * inputs + i) * taps + tap;
              if (of_weights)
                add(&g.first[weight], &g.first_magnitude[weight], (double)in->x[x] * dy);
              else
                add(&g.first[x], &g.first_magnitude[x], (double)in->weights[weight] * dy);
            }
        }
  for (int64_t i = 0; in->bias != NULL && i < s->x_count; i++) {
    const int64_t plane = d->in_height * d->in_width;
    const int64_t channel = d->layout == EVR_NHWC ? i % d->in_channels : i / plane % d->in_channels;
    add(&g.first[i], &g.first_magnitude[i], (double)in->bias[channel]);
  }
  return g;
}

void conv2d_gradient_sums_free(conv2d_gradient_sums *g) {
  free(g->first);
  free(g->first_magnitude);
  free(g->second);
  free(g->second_magnitude);
}

static int64_t block_rows(const evr_conv2d_sizes *s) {
  return s->conv_width >= 512 ? 1 : 512 / s->conv_width;
}

int64_t conv2d_gradient_blocks(const conv2d_case *c, const conv2d_gradient_inputs *in) {
  const int64_t rows = block_rows(&in->sizes);
  return c->desc.batch * ((in->sizes.conv_height + rows - 1) / rows);
}

/* gamma_n with n = terms + 1 of one sum, or of blocks: terms of one, and how many there are. */
double conv2d_gradient_bound(evr_operation operation, const conv2d_case *c,
                             const conv2d_gradient_inputs *in) {
  const evr_conv2d_desc *d = &c->desc;
  const evr_conv2d_sizes *s = &in->sizes;
  double terms = (double)(d->kernel_height * d->kernel_width * (d->out_channels / d->groups)) + 1.0;
  /* The places of a padded image that show one pixel, at most. */
  if (d->pad_mode != EVR_PAD_ZERO)
    terms += (double)((d->pad_top + d->pad_bottom + 1) * (d->pad_left + d->pad_right + 1));
  if (operation == EVR_OP_CONV2D_BACKWARD_WEIGHTS) {
    const int64_t rows = block_rows(s), used = rows < s->conv_height ? rows : s->conv_height;
    terms = (double)(used * s->conv_width) + (double)conv2d_gradient_blocks(c, in);
  }
  const double of_oracle = (double)s->y_count * 0x1p-53;
  return terms * 0x1p-24 / (1.0 - terms * 0x1p-24) + of_oracle;
}
