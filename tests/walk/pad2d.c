/* Padding against the reference and an oracle: both are copies, so bits count. */
#include <stdio.h>
#include <stdlib.h>

#include "evrisim/pad2d.h"
#include "support/compare.h"
#include "walk/unary.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_pad2d_plan_create(desc, options, (evr_pad2d_plan **)plan);
}
static void destroy(void *plan) { evr_pad2d_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_pad2d_plan_variant(plan); }
static evr_status forward(const void *plan, const float *x, float *y, int32_t *indices) {
  (void)indices;
  return evr_pad2d_forward(plan, x, y);
}
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_pad2d_list_variants(desc, options, out, capacity, count);
}
static const unary_operation operation = {create, destroy, variant, forward, list};

typedef void pad_visit(walk *w, const evr_pad2d_desc *d);

static unary_case make_case(walk *w, const evr_pad2d_desc *d) {
  static const char *const modes[] = {"zero", "replicate", "reflect"};
  unary_case c = {.operation = &operation, .desc = d, .values = VALUES_SPECIAL, .rarity = 3};
  snprintf(c.text, sizeof c.text,
           "%s %s batch %" PRId64 " x %" PRId64 "x%" PRId64 "x%" PRId64 " (h,w,c) pads t%" PRId64
           " b%" PRId64 " l%" PRId64 " r%" PRId64,
           modes[d->mode], d->layout == EVR_NHWC ? "NHWC" : "NCHW", d->batch, d->in_height,
           d->in_width, d->channels, d->pad_top, d->pad_bottom, d->pad_left, d->pad_right);
  evr_pad2d_sizes sizes = {0};
  if (evr_pad2d_get_sizes(d, &sizes) != EVR_OK)
    walk_fail(w, "%s: no sizes: %s", c.text, evr_last_error());
  c.x_count = sizes.x_count;
  c.y_count = sizes.y_count;
  return c;
}

static void against_reference(walk *w, const evr_pad2d_desc *d) {
  const unary_case c = make_case(w, d);
  if (!walk_failed(w)) unary_against_reference(w, &c);
}

static int64_t source(int64_t at, int64_t size, evr_pad_mode mode) {
  if (mode == EVR_PAD_ZERO) return at < 0 || at >= size ? -1 : at;
  if (mode == EVR_PAD_REPLICATE) return at < 0 ? 0 : at >= size ? size - 1 : at;
  return at < 0 ? -at : at >= size ? size - 1 - (at - (size - 1)) : at;
}

static void against_oracle(walk *w, const evr_pad2d_desc *d) {
  const unary_case c = make_case(w, d);
  if (walk_failed(w)) return;
  w->cases++;
  float *x = unary_input(w, &c);
  const float *y = unary_run(w, &c, x, NULL);
  const bool nhwc = d->layout == EVR_NHWC;
  const int64_t height = d->in_height + d->pad_top + d->pad_bottom;
  const int64_t width = d->in_width + d->pad_left + d->pad_right;
  for (int64_t i = 0; y != NULL && i < c.y_count && !walk_failed(w); i++) {
    const int64_t pixel = nhwc ? i / d->channels % (height * width) : i % (height * width);
    const int64_t channel = nhwc ? i % d->channels : i / (height * width) % d->channels;
    const int64_t n = i / (height * width * d->channels);
    const int64_t ih = source(pixel / width - d->pad_top, d->in_height, d->mode);
    const int64_t iw = source(pixel % width - d->pad_left, d->in_width, d->mode);
    const float expected =
        ih < 0 || iw < 0
            ? 0.0f
            : x[nhwc ? ((n * d->in_height + ih) * d->in_width + iw) * d->channels + channel
                     : ((n * d->channels + channel) * d->in_height + ih) * d->in_width + iw];
    if (!same_float(expected, y[i]))
      walk_fail(w, "%s: y[%" PRId64 "] is %a, the oracle %a", c.text, i, (double)y[i],
                (double)expected);
  }
  w->served += y != NULL;
  free(x);
}

static void pad_grid(walk *w, pad_visit *visit) {
  static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 1},  {5, 4, 3},   {2, 7, 4},
                                     {4, 3, 8}, {7, 9, 17}, {3, 31, 16}, {6, 5, 65}};
  static const int64_t pads[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 0, 1}, {0, 1, 2, 2},
                                    {0, 0, 2, 0}, {1, 0, 0, 0}, {5, 4, 7, 3}};
  int64_t index = 0;
  for (int s = 0; s < COUNT(sizes); s++)
    for (int p = 0; p < COUNT(pads); p++)
      for (int mode = 0; mode < 3; mode++)
        for (int l = 0; l < 2; l++) {
          const evr_pad2d_desc d = {
              1 + p % 3,  sizes[s][2], sizes[s][0], sizes[s][1],        pads[p][0],
              pads[p][1], pads[p][2],  pads[p][3],  (evr_pad_mode)mode, l ? EVR_NCHW : EVR_NHWC};
          const bool reflects = d.mode == EVR_PAD_REFLECT;
          if (reflects && (d.pad_top >= d.in_height || d.pad_bottom >= d.in_height ||
                           d.pad_left >= d.in_width || d.pad_right >= d.in_width))
            continue;
          if (walk_take(w, index++)) visit(w, &d);
        }
}

static void check_grid(walk *w) { pad_grid(w, against_reference); }
static void check_oracle(walk *w) { pad_grid(w, against_oracle); }

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(500);
  test_random *r = &w->random;
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    evr_pad2d_desc d = EVR_PAD2D_DESC_INIT;
    d.batch = random_between(r, 1, 3);
    d.channels = random_between(r, 1, 40);
    d.in_height = random_between(r, 1, 12);
    d.in_width = random_between(r, 1, 30);
    d.mode = (evr_pad_mode)random_between(r, EVR_PAD_ZERO, EVR_PAD_REFLECT);
    d.layout = random_chance(r, 50) ? EVR_NHWC : EVR_NCHW;
    const bool reflects = d.mode == EVR_PAD_REFLECT;
    const int64_t high = reflects ? d.in_height - 1 : 9, wide = reflects ? d.in_width - 1 : 9;
    d.pad_top = random_between(r, 0, high);
    d.pad_bottom = random_between(r, 0, high);
    d.pad_left = random_between(r, 0, wide);
    d.pad_right = random_between(r, 0, wide);
    against_reference(w, &d);
  }
}

static void visit_threaded(walk *w, int64_t index) {
  const evr_pad2d_desc d = {
      2, 37, 131, 127, 3, 1, 2, 5, (evr_pad_mode)(index / 2), index % 2 ? EVR_NCHW : EVR_NHWC};
  against_reference(w, &d);
}
static void check_threads(walk *w) { walk_list(w, 6, visit_threaded); }

const walk_check pad2d_checks[] = {
    {"grid", EVR_OP_PAD2D, check_grid, true},      {"oracle", EVR_OP_PAD2D, check_oracle, true},
    {"random", EVR_OP_PAD2D, check_random, false}, {"threads", EVR_OP_PAD2D, check_threads, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
