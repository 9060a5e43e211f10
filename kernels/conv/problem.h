/* A checked convolution, as its kernels see it. */
#ifndef EVR_CONV_PROBLEM_H
#define EVR_CONV_PROBLEM_H

#include <string.h>

#include "core/pixels.h"
#include "core/registry.h"
#include "evrisim/conv2d.h"

/* What a kernel has prepared for its own calls, so that small layers need not wait for it. */
typedef struct evr_prepared {
  void (*by)(void *problem); /* only the same may read it; NULL: nobody has */
  int64_t state[40];
  /* EVR_PREPARED_ROOM bytes, aligned, for as long as the plan lives; or NULL. Only of a problem
   * that is executed as it is prepared: neither of a band nor of a copy that is prepared again. */
  void *room;
} evr_prepared;
#define EVR_PREPARED_ROOM 4096

/* Floats from one kernel row, kernel column, input channel of a group, output channel of a group,
 * or group to the next. */
typedef struct evr_weight_steps {
  int64_t row, column, in, out, group;
} evr_weight_steps;

/* Floats from one output pixel, row or image of NHWC to the next. */
typedef struct evr_spread {
  int64_t pixel, row, image;
} evr_spread;

/* A problem may be a band of a larger one: sizes.conv_height rows of its output from first_row on.
 * desc and x are those of the whole, y and residual begin with the band. What is packed for the
 * whole serves the band, so it must depend on neither; nor must the size of the workspace depend on
 * first_row. */
typedef struct evr_conv2d_problem {
  evr_problem common;
  evr_conv2d_desc desc; /* pool.kind is EVR_POOL_NONE: the plan runs the pooling;
                            layout may be the other one where both are the same, and
                            a stride or dilation that has no effect is 1 */
  evr_conv2d_sizes sizes;
  int64_t group_in;  /* input channels of a group */
  int64_t group_out; /* output channels of a group */
  int64_t depth;     /* terms of one sum: kernel_height * kernel_width * group_in */
  double multiplies; /* multiply-adds of the whole operation */
  /* Bytes of scratch that there may be, and that each of so many threads should do with; the same
   * for all bands. */
  int64_t scratch, scratch_share, scratch_threads;
  int64_t tensors; /* bytes of the call's, at least what is on the stack: whatever the threads */
  int64_t first_row;
  int64_t y_plane, residual_plane; /* NCHW: floats from one plane to the next */
  /* Of the weights that are packed: as desc.filter_layout has them, unless they are a part of other
   * weights. Whoever reads plain ones goes by the layout. */
  evr_weight_steps weights;
  evr_spread spread; /* of y, for kernels that spread; pixel is 0 where outputs are neighbours */
  evr_prepared prepared;
  /* For refusals, which are to name the caller's fields: whether what are inputs here are outputs
   * there; and the caller's convolution where this is a part of its backward data, else NULL. It
   * lives as long as whatever keeps this problem: plans keep both. */
  bool exchanged;
  const evr_conv2d_desc *part_of;
} evr_conv2d_problem;

/* What the caller calls inputs, and outputs. */
static inline const char *evr_in_name(const evr_conv2d_problem *p) {
  return p->exchanged ? "out" : "in";
}
static inline const char *evr_out_name(const evr_conv2d_problem *p) {
  return p->exchanged ? "in" : "out";
}

/* Appends, in the caller's words, what of one direction ("height" or "width") makes windows reach
 * as far as they do; used is the length of the text, and the result that of the new one. */
size_t evr_name_reach(const evr_conv2d_desc *desc, const char *direction, char *text, size_t size,
                      size_t used);

/* The reason of a variant that needs more scratch than there may be. */
void evr_refuse_scratch(const evr_conv2d_problem *problem, size_t bytes, char *reason);

/* Convolutions that evr_kernel.unite takes, at most. */
#define EVR_MOST_UNITED 16

typedef struct evr_conv2d_call {
  const float *x;
  const float *weights;  /* plain; NULL where the variant packs */
  const void *packed;    /* aligned; NULL where the variant does not pack */
  const float *bias;     /* or NULL */
  const float *residual; /* or NULL */
  float *y;
  void *workspace; /* aligned; workspace_size bytes */
} evr_conv2d_call;

/* Keep what `by` prepared, and read it where the same did. */
static inline void evr_keep_prepared(evr_conv2d_problem *p, void (*by)(void *), const void *state,
                                     size_t size) {
  memcpy(p->prepared.state, state, size);
  p->prepared.by = by;
}
static inline bool evr_read_prepared(const evr_conv2d_problem *p, void (*by)(void *), void *state,
                                     size_t size) {
  if (p->prepared.by != by) return false;
  memcpy(state, p->prepared.state, size);
  return true;
}

/* Checks a descriptor (but for its pool) and derives everything except common. */
evr_status evr_conv2d_problem_init(evr_conv2d_problem *problem, const evr_conv2d_desc *desc);

/* So many bytes of scratch are on the stack of whoever executes a plan, and no workspace. */
#define EVR_CONV2D_STACK_BYTES 32768

/* Sets scratch to what x, y and the weights of `sizes` take, or to what is on the stack, but for
 * `taken` bytes that are not to be had; and scratch_share to that of one of so many threads. */
void evr_conv2d_share_scratch(evr_conv2d_problem *problem, const evr_conv2d_sizes *sizes,
                              int64_t taken, int64_t threads);

/* The row of the image at which the windows of output row oh begin: may lie in the padding. */
static inline int64_t evr_window_top(const evr_conv2d_problem *p, int64_t oh) {
  return (p->first_row + oh) * p->desc.stride_height - p->desc.pad_top;
}

/* Offset of one output, planes of NCHW being plane floats apart. */
static inline int64_t evr_output_offset(const evr_conv2d_problem *p, int64_t plane, int64_t n,
                                        int64_t oh, int64_t ow, int64_t oc) {
  const int64_t pixel = oh * p->sizes.conv_width + ow, channels = p->desc.out_channels;
  return p->desc.layout == EVR_NHWC
             ? (n * p->sizes.conv_height * p->sizes.conv_width + pixel) * channels + oc
             : (n * channels + oc) * plane + pixel;
}

/* Where the outputs of NHWC lie. */
static inline evr_spread evr_output_spread(const evr_conv2d_problem *p) {
  if (p->spread.pixel != 0) return p->spread;
  const int64_t row = p->sizes.conv_width * p->desc.out_channels;
  return (evr_spread){p->desc.out_channels, row, row * p->sizes.conv_height};
}

/* A weight to be packed: ic and oc count within the group. */
static inline const float *evr_weight_at(const evr_conv2d_problem *p, const float *weights,
                                         int64_t kh, int64_t kw, int64_t ic, int64_t group,
                                         int64_t oc) {
  const evr_weight_steps *s = &p->weights;
  return weights + kh * s->row + kw * s->column + ic * s->in + group * s->group + oc * s->out;
}

/* Offset of one plain weight: ic counts within the group, oc over all groups. */
static inline int64_t evr_weight_offset(const evr_conv2d_problem *p, int64_t kh, int64_t kw,
                                        int64_t ic, int64_t oc) {
  const evr_conv2d_desc *d = &p->desc;
  return d->filter_layout == EVR_HWIO
             ? ((kh * d->kernel_width + kw) * p->group_in + ic) * d->out_channels + oc
             : ((oc * p->group_in + ic) * d->kernel_height + kh) * d->kernel_width + kw;
}

#endif
