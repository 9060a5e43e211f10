#include "conv/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conv/problem.h"

static void describe(const void *problem, char *text, size_t size) {
  const evr_conv2d_desc *d = &((const evr_conv2d_problem *)problem)->desc;
  snprintf(text, size,
           "batch %" PRId64 " groups %" PRId64 " in %" PRId64 "x%" PRId64 "x%" PRId64
           " out %" PRId64 " kernel %" PRId64 "x%" PRId64 " stride %" PRId64 "x%" PRId64
           " dilation %" PRId64 "x%" PRId64 " pads %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
           " mode %d %s %s activation %d",
           d->batch, d->groups, d->in_channels, d->in_height, d->in_width, d->out_channels,
           d->kernel_height, d->kernel_width, d->stride_height, d->stride_width, d->dilation_height,
           d->dilation_width, d->pad_top, d->pad_bottom, d->pad_left, d->pad_right,
           (int)d->pad_mode, d->layout == EVR_NHWC ? "NHWC" : "NCHW",
           d->filter_layout == EVR_HWIO ? "HWIO" : "OIHW", (int)d->activation.kind);
}

static void describe_trio(const void *problem, char *text, size_t size) {
  describe(problem, text, size);
  const size_t used = strlen(text);
  snprintf(text + used, size - used, " pooled");
}

static void count(const void *problem, int64_t *x, int64_t *weights, int64_t *y) {
  const evr_conv2d_problem *p = problem;
  *x = p->sizes.x_count;
  *weights = p->sizes.weights_count;
  *y = p->sizes.y_count;
}

/* As much as a plan gives: with more, a trial would time what no plan does. */
static size_t room_of(const evr_kernel *kernel) {
  return kernel->takes_room ? EVR_PREPARED_ROOM : 0;
}

static size_t kept_size(const evr_kernel *kernel, const void *problem) {
  (void)problem;
  return kernel->prepare != NULL ? room_of(kernel) + sizeof(evr_conv2d_problem) : 0;
}

static const void *keep(const evr_kernel *kernel, const void *problem, void *memory) {
  const size_t room = room_of(kernel);
  evr_conv2d_problem *kept = (evr_conv2d_problem *)(void *)((char *)memory + room);
  memcpy(kept, problem, sizeof *kept);
  kept->prepared.room = room > 0 ? memory : NULL;
  kernel->prepare(kept);
  return kept;
}

static void execute(const evr_kernel *kernel, const void *problem, const evr_trial_buffers *b) {
  const evr_conv2d_call call = {
      .x = b->x, .weights = b->weights, .packed = b->packed, .y = b->y, .workspace = b->workspace};
  kernel->forward(problem, &call);
}

const evr_trial evr_conv2d_trial = {describe, count, kept_size, keep, execute};
const evr_trial evr_conv2d_trio_trial = {describe_trio, count, NULL, NULL, execute};
