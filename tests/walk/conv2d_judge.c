/* What is demanded of variants of convolution that do not serve EVR_MATH_EXACT: closeness to the
 * oracle instead of the reference's bits, and beyond that the same bits in every way of executing.
 * Here for EVR_MATH_STANDARD; conv2d_fast.c has EVR_MATH_FAST. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/compare.h"
#include "walk/conv2d.h"

/* |y - exact| <= gamma_n (sum |x||w| + |b|), n = K + 1, u = 2^-24; a residual is one more term.
 * (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.) */
double conv2d_bound(const conv2d_case *c, double magnitude) {
  const evr_conv2d_desc *d = &c->desc;
  const double terms = (double)(d->kernel_height * d->kernel_width * (d->in_channels / d->groups)) +
                       1.0 + (c->residual ? 1.0 : 0.0);
  const double u = 0x1p-24;
  const double gamma = terms * u / (1.0 - terms * u);
  /* The oracle's own sum is off by at most as much again in units of double. */
  const double of_oracle = terms * 0x1p-53 * magnitude;
  return gamma * magnitude + of_oracle;
}

double conv2d_steepness(const evr_activation *activation) {
  if (activation->kind == EVR_IDENTITY) return 1.0;
  return fmax(1.5, fabs((double)activation->alpha));
}

/* An infinity, a NaN, a number that is subnormal once cut into pieces, or one that overflows when
 * it is rounded to fewer bits. */
static bool is_extreme(float value) {
  const float size = fabsf(value);
  return !(size < 0x1p127f) || (size != 0.0f && size < 0x1p-103f);
}

/* Ones where the values are extreme, or everywhere. */
static float *marks(const float *values, int64_t count, bool everywhere) {
  float *made = malloc((size_t)count * sizeof *made);
  if (made == NULL) abort();
  for (int64_t i = 0; i < count; i++) made[i] = everywhere || is_extreme(values[i]) ? 1.0f : 0.0f;
  return made;
}

/* How many terms of each output have an extreme value; count is that of the outputs. */
static double *count_extremes(const conv2d_case *c, const conv2d_inputs *in, int64_t count) {
  const evr_conv2d_sizes *s = &in->sizes;
  double *found = calloc((size_t)count * 3, sizeof *found);
  if (found == NULL) abort();
  for (int i = 0; i < 2; i++) {
    conv2d_inputs marked = {.sizes = in->sizes,
                            .x = marks(in->x, s->x_count, i == 0),
                            .weights = marks(in->weights, s->weights_count, i == 1)};
    conv2d_oracle(c, &marked, found + count, found + 2 * count);
    for (int64_t o = 0; o < count; o++) found[o] += found[count + o];
    conv2d_inputs_free(&marked);
  }
  return found;
}

/* How far apart the output and the reference may be behind an activation: what this makes of two
 * sums that are within the bound, and its own error in both, less than 8 units in the last place
 * each. */
static double allowed_behind(const conv2d_case *c, double magnitude, double reference) {
  const double own = c->desc.activation.kind == EVR_IDENTITY ? 0.0 : 0x1p-19 * fabs(reference);
  return conv2d_steepness(&c->desc.activation) * 2.0 * conv2d_bound(c, magnitude) + own;
}

/* One output. extreme: its terms have such values, so that the reference's bits are asked for. */
static bool output_is_right(const conv2d_case *c, bool extreme, double exact, double magnitude,
                            float reference, float y) {
  if (extreme || !isfinite(reference)) return same_float(reference, y);
  if (c->desc.activation.kind == EVR_IDENTITY)
    return fabs((double)y - exact) <= conv2d_bound(c, magnitude);
  return fabs((double)y - (double)reference) <= allowed_behind(c, magnitude, (double)reference);
}

bool conv2d_standard_is_right(walk *w, const conv2d_case *c, const conv2d_inputs *in,
                              const double *exact, const double *magnitude, const float *reference,
                              const float *y) {
  const int64_t count = in->sizes.y_count;
  double *extremes = c->values == VALUES_SPECIAL ? count_extremes(c, in, count) : NULL;
  for (int64_t i = 0; i < count && !walk_failed(w); i++) {
    /* Sums of products of tiny values are subnormal. */
    const bool extreme = c->values == VALUES_TINY || (extremes != NULL && extremes[i] > 0.0);
    if (output_is_right(c, extreme, exact[i], magnitude[i], reference[i], y[i])) continue;
    char text[1024];
    conv2d_describe(c, text, sizeof text);
    walk_fail(
        w, "%s: y[%" PRId64 "] is %a, the reference %a, the oracle %a, %sallowed to be off by %g",
        text, i, (double)y[i], (double)reference[i], exact[i], extreme ? "not " : "",
        conv2d_bound(c, magnitude[i]));
  }
  free(extremes);
  return !walk_failed(w);
}

float *conv2d_settled(walk *w, const conv2d_case *c, const conv2d_inputs *in) {
  const evr_math mode = walk_mode(w);
  if (mode == EVR_MATH_EXACT) return conv2d_expected(w, c, in);
  const conv2d_way way = {PLACE_END, true, true, 1, {NULL, NULL}};
  const float *y = conv2d_run(w, c, in, &way, &conv2d_shared_buffers);
  if (y == NULL) return NULL;
  const int64_t count = in->sizes.y_count;
  float *settled = malloc((size_t)count * sizeof *settled);
  double *exact = malloc((size_t)count * 2 * sizeof *exact);
  if (settled == NULL || exact == NULL) abort();
  memcpy(settled, y, (size_t)count * sizeof *settled);
  conv2d_oracle(c, in, exact, exact + count);
  float *reference = conv2d_expected(w, c, in);
  if (mode == EVR_MATH_STANDARD)
    conv2d_standard_is_right(w, c, in, exact, exact + count, reference, settled);
  else
    conv2d_fast_judge(w, c, in, exact, exact + count, reference, settled);
  free(reference);
  free(exact);
  if (!walk_failed(w)) return settled;
  free(settled);
  return NULL;
}
