/* The backward pass of pooling against the reference, by indices and by x; against an oracle that
 * shares no code with the library; and, on integers, the adjoint identity of the average. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "walk/gradient.h"
#include "walk/pool2d.h"

enum { DY, INDICES, X };

static evr_status create(const void *desc, const evr_plan_options *options, void **plan) {
  return evr_pool2d_backward_plan_create(desc, options, (evr_pool2d_backward_plan **)plan);
}
static void destroy(void *plan) { evr_pool2d_backward_plan_destroy(plan); }
static const char *variant(const void *plan) { return evr_pool2d_backward_plan_variant(plan); }
static evr_status execute(const void *plan, const void *const *inputs, float *const *outputs,
                          void *workspace) {
  return evr_pool2d_backward_execute(plan, inputs[DY], inputs[INDICES], inputs[X], outputs[0],
                                     workspace);
}
static size_t workspace(const void *plan) { return evr_pool2d_backward_workspace_size(plan); }
static evr_status list(const void *desc, const evr_plan_options *options, evr_variant_report *out,
                       size_t capacity, size_t *count) {
  return evr_pool2d_backward_list_variants(desc, options, out, capacity, count);
}
static const gradient_operation operation = {create, destroy, variant, execute, workspace, list};

typedef struct pooled {
  gradient_case c;
  evr_pool2d_sizes sizes;
  float *x, *y, *dy;
  int32_t *indices; /* NULL: of an average */
} pooled;

/* Random tensors, and what forward makes of them. false: failed. */
static bool begin(walk *w, pooled *p, const evr_pool2d_desc *d, bool by_indices,
                  test_values values) {
  *p = (pooled){.c = {.operation = &operation, .desc = d}};
  pool2d_describe(d, by_indices, values, p->c.text, sizeof p->c.text);
  if (evr_pool2d_get_sizes(d, &p->sizes) != EVR_OK) {
    walk_fail(w, "%s: no sizes: %s", p->c.text, evr_last_error());
    return false;
  }
  const evr_pool2d_sizes *s = &p->sizes;
  p->x = gradient_floats(w, values, 4, s->x_count);
  p->dy = gradient_floats(w, values, 4, s->y_count);
  p->y = gradient_floats(w, values, 4, s->y_count);
  if (d->window.kind != EVR_POOL_AVERAGE) {
    p->indices = malloc((size_t)s->y_count * sizeof *p->indices);
    if (p->indices == NULL) abort();
  }
  const evr_plan_options options = walk_reference_options();
  if (evr_pool2d(d, &options, p->x, p->y, p->indices) != EVR_OK)
    walk_fail(w, "%s: %s", p->c.text, evr_last_error());
  p->c.inputs[DY] = (gradient_input){p->dy, s->y_count};
  p->c.inputs[INDICES] = (gradient_input){by_indices ? p->indices : NULL, s->y_count};
  if (p->indices != NULL && !by_indices) p->c.inputs[X] = (gradient_input){p->x, s->x_count};
  p->c.outputs[0] = s->x_count;
  return true;
}

static void end(pooled *p) {
  free(p->x);
  free(p->y);
  free(p->dy);
  free(p->indices);
}

static void against_reference(walk *w, const evr_pool2d_desc *d, bool indices, test_values values) {
  pooled p;
  if (begin(w, &p, d, indices, values)) gradient_against_reference(w, &p.c);
  end(&p);
}

static void check_grid(walk *w) { pool2d_grid(w, against_reference); }

static void check_random(walk *w) {
  const int64_t rounds = test_rounds(1000);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    const evr_pool2d_desc d = pool2d_random(&w->random);
    against_reference(w, &d, i % 2 == 0, (test_values)(i % (VALUES_SPECIAL + 1)));
  }
}

/* ---- the oracle ---- */

/* What window (oh, ow) gives to pixel (ih, iw), by a look at the window as the forward pass has it:
 * no more than whether the pixel is its winner, or one of the pixels that it counts. */
static double given(const pooled *p, const evr_pool2d_desc *d, int64_t oh, int64_t ow, int64_t at,
                    int64_t ih, int64_t iw) {
  const evr_pool2d_window *v = &d->window;
  if (v->kind != EVR_POOL_AVERAGE)
    return p->indices[at] == ih * d->in_width + iw ? (double)p->dy[at] : 0.0;
  bool holds = v->global;
  int64_t count = v->global ? d->in_height * d->in_width : 0;
  for (int64_t kh = 0; !v->global && kh < v->kernel_height; kh++)
    for (int64_t kw = 0; kw < v->kernel_width; kw++) {
      const int64_t h = oh * v->stride_height + kh * v->dilation_height - v->pad_top;
      const int64_t c = ow * v->stride_width + kw * v->dilation_width - v->pad_left;
      const bool inside = h >= 0 && h < d->in_height && c >= 0 && c < d->in_width;
      const bool padded = h < d->in_height + v->pad_bottom && c < d->in_width + v->pad_right;
      count += v->count_include_pad ? padded : inside;
      holds = holds || (h == ih && c == iw);
    }
  return holds ? (double)p->dy[at] / (double)count : 0.0;
}

static int64_t place(const evr_pool2d_desc *d, int64_t height, int64_t width, int64_t n, int64_t h,
                     int64_t w, int64_t c) {
  return d->layout == EVR_NHWC ? ((n * height + h) * width + w) * d->channels + c
                               : ((n * d->channels + c) * height + h) * width + w;
}

static void against_oracle(walk *w, const evr_pool2d_desc *d, bool indices, test_values values) {
  (void)values;
  pooled p;
  if (d->window.stride_height > 100 || !begin(w, &p, d, indices, VALUES_INTEGERS)) return;
  w->cases++;
  const float *dx[GRADIENT_OUTPUTS];
  const bool run = gradient_run(w, &p.c, dx);
  const int64_t out_height = p.sizes.out_height, out_width = p.sizes.out_width;
  for (int64_t n = 0; run && n < d->batch; n++)
    for (int64_t c = 0; c < d->channels && !walk_failed(w); c += 1 + d->channels / 4)
      for (int64_t ih = 0; ih < d->in_height; ih++)
        for (int64_t iw = 0; iw < d->in_width; iw++) {
          double sum = 0.0, size = 0.0;
          for (int64_t oh = 0; oh < out_height; oh++)
            for (int64_t ow = 0; ow < out_width; ow++) {
              const double share =
                  given(&p, d, oh, ow, place(d, out_height, out_width, n, oh, ow, c), ih, iw);
              sum += share;
              size += fabs(share);
            }
          const float got = dx[0][place(d, d->in_height, d->in_width, n, ih, iw, c)];
          /* sums of integers are exact; those of quotients are rounded at each step */
          const double terms = (double)(out_height * out_width) + 1.0;
          const double bound = d->window.kind == EVR_POOL_AVERAGE ? terms * 0x1p-24 * size : 0.0;
          if (!(fabs((double)got - sum) <= bound))
            walk_fail(w,
                      "%s: dx[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                      "] (n,h,w,c) is %g, the oracle %.9g",
                      p.c.text, n, ih, iw, c, (double)got, sum);
        }
  w->served += run;
  end(&p);
}

static void check_oracle(walk *w) { pool2d_grid(w, against_oracle); }

/* Windows of 2^n pixels without padding, so that an average of integers is exact. */
static void check_adjoint(walk *w) {
  const int64_t rounds = test_rounds(200);
  for (int64_t i = 0; i < rounds && !walk_failed(w); i++) {
    evr_pool2d_desc d = pool2d_random(&w->random);
    evr_pool2d_window *v = &d.window;
    *v = (evr_pool2d_window)EVR_POOL2D_WINDOW_INIT;
    v->kind = EVR_POOL_AVERAGE;
    v->kernel_height = d.in_height > 3 ? 4 : d.in_height > 1 ? 2 : 1;
    v->kernel_width = d.in_width > 1 ? 2 : 1;
    v->stride_height = random_between(&w->random, 1, 5);
    v->stride_width = random_between(&w->random, 1, 3);
    pooled p;
    if (!begin(w, &p, &d, false, VALUES_INTEGERS)) return;
    w->cases++;
    const float *dx[GRADIENT_OUTPUTS];
    if (gradient_run(w, &p.c, dx)) {
      w->served++;
      double forward = 0.0, backward = 0.0;
      for (int64_t k = 0; k < p.sizes.y_count; k++) forward += (double)p.y[k] * (double)p.dy[k];
      for (int64_t k = 0; k < p.sizes.x_count; k++) backward += (double)p.x[k] * (double)dx[0][k];
      if (forward != backward)
        walk_fail(w, "%s: <pool(x), dy> is %.17g, <x, dx> %.17g, not the adjoint", p.c.text,
                  forward, backward);
    }
    end(&p);
  }
}

/* Winners from nowhere get nothing, and nothing is written outside of dx. */
static void check_foreign_indices(walk *w) {
  for (int l = 0; l < 2; l++) {
    evr_pool2d_desc d = pool2d_random(&w->random);
    d.layout = l ? EVR_NCHW : EVR_NHWC;
    d.window.kind = EVR_POOL_MAX;
    pooled p;
    if (!begin(w, &p, &d, true, VALUES_REALS)) return;
    for (int64_t i = 0; i < p.sizes.y_count; i++)
      if (random_chance(&w->random, 50)) p.indices[i] = (int32_t)random_bits(&w->random);
    gradient_against_reference(w, &p.c);
    end(&p);
  }
}

static void visit_threaded(walk *w, int64_t index) {
  const int64_t kind = EVR_POOL_MAX + index / 2;
  const evr_pool2d_desc d = pool2d_large((evr_pool_kind)kind, index % 2 ? EVR_NCHW : EVR_NHWC);
  against_reference(w, &d, kind == EVR_POOL_MIN, VALUES_REALS);
}
static void check_threads(walk *w) {
  walk_list(w, 2 * (EVR_POOL_MIN - EVR_POOL_MAX + 1), visit_threaded);
}

/* Results so large that they go past the caches. */
static void visit_large(walk *w, int64_t index) {
  evr_pool2d_desc d = pool2d_large((evr_pool_kind)(EVR_POOL_MAX + index), EVR_NHWC);
  d.channels = 128;
  against_reference(w, &d, true, VALUES_REALS);
}
static void check_large(walk *w) { walk_list(w, EVR_POOL_AVERAGE - EVR_POOL_MAX + 1, visit_large); }

const walk_check pool2d_backward_checks[] = {
    {"grid", EVR_OP_POOL2D_BACKWARD, check_grid, true},
    {"random", EVR_OP_POOL2D_BACKWARD, check_random, false},
    {"oracle", EVR_OP_POOL2D_BACKWARD, check_oracle, true},
    {"adjoint", EVR_OP_POOL2D_BACKWARD, check_adjoint, true},
    {"foreign indices", EVR_OP_POOL2D_BACKWARD, check_foreign_indices, false},
    {"threads", EVR_OP_POOL2D_BACKWARD, check_threads, false},
    {"large", EVR_OP_POOL2D_BACKWARD, check_large, false},
    {NULL, EVR_OPERATIONS, NULL, false},
};
