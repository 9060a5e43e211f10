/* What is demanded of variants of convolution that serve EVR_MATH_FAST alone: closeness to the
 * oracle instead of the reference's bits, and beyond that the same bits in every way of
 * executing. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "walk/conv2d.h"

/* The promise of EVR_MATH_FAST. */
#define FAST_ERROR 2e-5
/* What is expected of random terms need not hold of single values: of fewer than these three times
 * as much is allowed. */
#define FEW 16

static double length(const double *values, int64_t count) {
  double squares = 0.0;
  for (int64_t i = 0; i < count; i++) squares += values[i] * values[i];
  return sqrt(squares);
}

/* Taps of a window, along one direction, that are no zeros of the padding. */
static int64_t taps_inside(int64_t first, int64_t kernel, int64_t dilation, int64_t size,
                           evr_pad_mode mode) {
  int64_t inside = 0;
  for (int64_t k = 0; k < kernel; k++)
    inside += mode != EVR_PAD_ZERO || (first + k * dilation >= 0 && first + k * dilation < size);
  return inside;
}

/* Terms of output i that need not be zero. */
static double terms_of(const conv2d_case *c, const evr_conv2d_sizes *s, int64_t i) {
  const evr_conv2d_desc *d = &c->desc;
  const int64_t pixel = d->layout == EVR_NHWC ? i / d->out_channels : i;
  const int64_t oh = pixel / s->conv_width % s->conv_height, ow = pixel % s->conv_width;
  const int64_t rows = taps_inside(oh * d->stride_height - d->pad_top, d->kernel_height,
                                   d->dilation_height, d->in_height, d->pad_mode);
  const int64_t columns = taps_inside(ow * d->stride_width - d->pad_left, d->kernel_width,
                                      d->dilation_width, d->in_width, d->pad_mode);
  return (double)(rows * columns * (d->in_channels / d->groups)) + c->bias + c->residual;
}

/* The size that an output has: its own; or, where a few terms happen to cancel, what is expected of
 * terms of these magnitudes and of random signs. */
static double output_size(const conv2d_case *c, const evr_conv2d_sizes *s, const double *exact,
                          const double *magnitude, int64_t count) {
  double expected = 0.0;
  for (int64_t i = 0; i < count; i++)
    if (magnitude[i] > 0.0) expected += magnitude[i] * magnitude[i] / terms_of(c, s, i);
  return fmax(length(exact, count), sqrt(expected));
}

/* What is allowed of an output of so many values, as a part of its size. */
static double fast_error(int64_t count) { return count < FEW ? 3.0 * FAST_ERROR : FAST_ERROR; }

/* At what size of the terms rounding to subnormals shows: the sums of one point may each be off by
 * half of 2^-149 a step, and an output adds up at most 74 times as much (the squared sum of a row
 * of the last transform). */
static double underflow(const conv2d_case *c, int64_t count) {
  return sqrt((double)count) * 74.0 * (double)c->desc.in_channels * 0x1p-149;
}

static void fail(walk *w, const conv2d_case *c, const char *what, double error, double allowed) {
  char text[1024];
  conv2d_describe(c, text, sizeof text);
  walk_fail(w, "%s: %s: the L2 error is %g, at most %g is allowed", text, what, error, allowed);
}

bool conv2d_fast_is_right(walk *w, const conv2d_case *c, const conv2d_inputs *in,
                          const double *exact, const double *magnitude, const float *y) {
  const int64_t count = in->sizes.y_count;
  double squares = 0.0;
  for (int64_t i = 0; i < count; i++)
    squares += ((double)y[i] - exact[i]) * ((double)y[i] - exact[i]);
  const double allowed =
      fast_error(count) * output_size(c, &in->sizes, exact, magnitude, count) + underflow(c, count);
  if (!(sqrt(squares) <= allowed)) fail(w, c, "against the oracle", sqrt(squares), allowed);
  return !walk_failed(w);
}

/* Where a window, or the weights, hold a NaN or an infinity, the output is no number either (its
 * neighbours may be none as well, and overflow comes earlier). */
static void judge_special(walk *w, const conv2d_case *c, const double *exact, const float *y,
                          int64_t count) {
  if (c->desc.activation.kind != EVR_IDENTITY) return; /* which may make numbers of infinities */
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(exact[i]) && isfinite(y[i])) {
      char text[1024];
      conv2d_describe(c, text, sizeof text);
      walk_fail(w, "%s: y[%" PRId64 "] is %a, but a NaN or an infinity is in its sum", text, i,
                (double)y[i]);
      return;
    }
}

void conv2d_fast_judge(walk *w, const conv2d_case *c, const conv2d_inputs *in, const double *exact,
                       const double *magnitude, const float *reference, const float *y) {
  const int64_t count = in->sizes.y_count;
  if (c->values == VALUES_SPECIAL) {
    judge_special(w, c, exact, y, count);
    return;
  }
  double squares = 0.0;
  for (int64_t i = 0; i < count; i++) {
    const double difference = (double)y[i] - (double)reference[i];
    squares += difference * difference;
  }
  const double allowed = conv2d_steepness(&c->desc.activation) *
                         (fast_error(count) * output_size(c, &in->sizes, exact, magnitude, count) +
                          underflow(c, count));
  if (!(sqrt(squares) <= allowed))
    fail(w, c, "against what is expected of the reference", sqrt(squares), allowed);
}
