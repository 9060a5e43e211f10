/* The backward pass of padding against the reference; and, on small integers, where sums are exact
 * in any order, the adjoint identity <pad(x), dy> = <x, backward(dy)>. */
#include <stdio.h>
#include <stdlib.h>

#include "evrisim/pad2d.h"
#include "walk/gradient.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_pad2d_backward_plan_create(desc, options, (evr_pad2d_backward_plan **)plan);
}
static void destroy(void *plan) { evr_pad2d_backward_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_pad2d_backward_plan_variant(plan); }
static evr_status execute(const void *plan, const void *const *inputs, float *const *outputs,
                          void *workspace) {
  (void)workspace;
  return evr_pad2d_backward_execute(plan, inputs[0], outputs[0]);
}
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_pad2d_backward_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation operation = {create, destroy, variant, execute, NULL, list};

static gradient_case make_case(walk *w, const evr_pad2d_desc *d, evr_pad2d_sizes *sizes) {
  static const char *const modes[] = {"zero", "replicate", "reflect"};
  gradient_case c = {.operation = &operation, .desc = d};
  snprintf(c.text, sizeof c.text,
           "%s %s batch %" PRId64 " x %" PRId64 "x%" PRId64 "x%" PRId64 " (h,w,c) pads t%" PRId64
           " b%" PRId64 " l%" PRId64 " r%" PRId64,
           modes[d->mode], d->layout == EVR_NHWC ? "NHWC" : "NCHW", d->batch, d->in_height,
           d->in_width, d->channels, d->pad_top, d->pad_bottom, d->pad_left, d->pad_right);
  *sizes = (evr_pad2d_sizes){0};
  if (evr_pad2d_get_sizes(d, sizes) != EVR_OK)
    walk_fail(w, "%s: no sizes: %s", c.text, evr_last_error());
  c.outputs[0] = sizes->x_count;
  return c;
}

static void against_reference(walk *w, const evr_pad2d_desc *d, test_values values) {
  evr_pad2d_sizes sizes;
  gradient_case c = make_case(w, d, &sizes);
  if (walk_failed(w)) return;
  float *dy = gradient_floats(w, values, 3, sizes.y_count);
  c.inputs[0] = (gradient_input){dy, sizes.y_count};
  gradient_against_reference(w, &c);
  free(dy);
}

static void adjoint(walk *w, const evr_pad2d_desc *d) {
  evr_pad2d_sizes s;
  gradient_case c = make_case(w, d, &s);
  if (walk_failed(w)) return;
  w->cases++;
  float *x = gradient_floats(w, VALUES_INTEGERS, 1, s.x_count);
  float *dy = gradient_floats(w, VALUES_INTEGERS, 1, s.y_count);
  float *y = gradient_floats(w, VALUES_INTEGERS, 1, s.y_count);
  const evr_plan_options options = walk_reference_options();
  if (evr_pad2d(d, &options, x, y) != EVR_OK) walk_fail(w, "%s: %s", c.text, evr_last_error());
  c.inputs[0] = (gradient_input){dy, s.y_count};
  const float *dx[GRADIENT_OUTPUTS];
  if (gradient_run(w, &c, dx)) {
    w->served++;
    int64_t forward = 0, backward = 0;
    for (int64_t i = 0; i < s.y_count; i++) forward += (int64_t)(y[i] * dy[i]);
    for (int64_t i = 0; i < s.x_count; i++) backward += (int64_t)x[i] * (int64_t)dx[0][i];
    if (forward != backward)
      walk_fail(w, "%s: <pad(x), dy> is %" PRId64 ", <x, dx> %" PRId64 ", not the adjoint", c.text,
                forward, backward);
  }
  free(x);
  free(y);
  free(dy);
}

static void check_grid(walk *w) {
  static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 1},  {5, 4, 3},   {2, 7, 4},
                                     {4, 3, 8}, {7, 9, 17}, {3, 31, 16}, {6, 5, 65}};
  static const int64_t pads[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 0, 1}, {0, 1, 2, 2},
                                    {0, 0, 2, 0}, {1, 0, 0, 0}, {5, 4, 7, 3}};
  static const test_values values[] = {VALUES_REALS, VALUES_SPECIAL, VALUES_WIDE};
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
          if (walk_take(w, index)) against_reference(w, &d, values[index % COUNT(values)]);
          index++;
        }
}

static evr_pad2d_desc random_desc(test_random *r) {
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
  return d;
}

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(300);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    const evr_pad2d_desc d = random_desc(&w->random);
    against_reference(w, &d, VALUES_SPECIAL);
  }
}

static void check_adjoint(walk *w) {
  const int64_t rounds = test_rounds(300);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    const evr_pad2d_desc d = random_desc(&w->random);
    adjoint(w, &d);
  }
}

static void visit_threaded(walk *w, int64_t index) {
  const evr_pad2d_desc d = {
      2, 37, 131, 127, 3, 1, 2, 5, (evr_pad_mode)(index / 2), index % 2 ? EVR_NCHW : EVR_NHWC};
  against_reference(w, &d, VALUES_REALS);
}
static void check_threads(walk *w) { walk_list(w, 6, visit_threaded); }

const walk_check pad2d_backward_checks[] = {
    {"grid", EVR_OP_PAD2D_BACKWARD, check_grid, true},
    {"random", EVR_OP_PAD2D_BACKWARD, check_random, false},
    {"adjoint", EVR_OP_PAD2D_BACKWARD, check_adjoint, true},
    {"threads", EVR_OP_PAD2D_BACKWARD, check_threads, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
