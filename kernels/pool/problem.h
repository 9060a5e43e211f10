/* A checked pooling, as its kernels see it. */
#ifndef EVR_POOL_PROBLEM_H
#define EVR_POOL_PROBLEM_H

#include "core/check.h"
#include "core/registry.h"
#include "evrisim/pool2d.h"

typedef struct evr_pool2d_problem {
  evr_problem common;
  evr_pool2d_desc desc; /* a global window has become a plain one: the plane is its kernel; a
                           stride or dilation that has no effect is 1 */
  evr_pool2d_sizes sizes;
  /* Pixels from one image of x or y to the next (NHWC), or from one plane (NCHW): more than it has
   * where it is a band of rows of a larger one. */
  int64_t x_plane, y_plane;
  double taps; /* pixels looked at by the whole operation, padding included */
  double work; /* for evr_problem_init */
} evr_pool2d_problem;

typedef struct evr_pool2d_call {
  const float *x;
  float *y;
  int32_t *indices; /* or NULL; never with an average */
} evr_pool2d_call;

/* What the fields of a descriptor are called in sentences. */
typedef struct evr_pool2d_names {
  const char *kind;
  evr_window_names vertical, horizontal;
} evr_pool2d_names;

extern const evr_pool2d_names evr_pool2d_desc_names; /* of an evr_pool2d_desc */
extern const evr_pool2d_names evr_pool2d_trio_names; /* of the pool of an evr_conv2d_desc */

/* Offset of one value of a tensor whose images (or planes) are plane pixels apart. */
static inline int64_t evr_pool_offset(const evr_pool2d_desc *d, int64_t plane, int64_t width,
                                      int64_t n, int64_t h, int64_t w, int64_t c) {
  return d->layout == EVR_NHWC ? (n * plane + h * width + w) * d->channels + c
                               : (n * d->channels + c) * plane + h * width + w;
}

/* For indices that are not NULL: whether winners can be told apart in 32 bits, and whether there
 * are any. */
evr_status evr_pool2d_check_indices(const evr_pool2d_desc *desc);

/* Checks a descriptor and derives everything except common. */
evr_status evr_pool2d_problem_init(evr_pool2d_problem *problem, const evr_pool2d_desc *desc,
                                   const evr_pool2d_names *names);

#endif
