/* Filter, detect, condense in one pass: a convolution's output that does not fit the second level
 * cache is never there as a whole, only in bands of rows that fit and are pooled as soon as they
 * are done.
 *
 * An image's pooled rows are cut into chunks, and those into bands. From band to band a chunk keeps
 * the rows of the convolution that the windows of both lie over; only where chunks meet are such
 * rows computed twice, with the same bits. Either every task has a chunk, and no more than one
 * thread, or, where that would keep some threads waiting, an image is one chunk and its bands are
 * shared out among all threads, one after the other. */
#ifndef EVR_CONV_FUSED_H
#define EVR_CONV_FUSED_H

#include "conv/problem.h"
#include "pool/problem.h"

typedef struct evr_fused {
  const evr_conv2d_problem *conv;
  const evr_pool2d_problem *pool; /* of the output of conv */
  const evr_kernel *filter, *condense;
  evr_parallel outside, inside;          /* over chunks; within a band */
  int64_t extent;                        /* rows of the convolution under a window */
  int64_t chunks, chunk_rows, band_rows; /* of an image; pooled rows */
  int64_t map_rows, map_plane;           /* rows of the convolution held at once; their pixels */
  size_t map_bytes, scratch_bytes;       /* of a task */
} evr_fused;

/* Sets conv, whose share of the scratch becomes that of its bands, and all that follows from it and
 * from pool, filter and condense. */
void evr_fused_init(evr_fused *fused, evr_conv2d_problem *conv);

/* Bytes of workspace beside packed weights, saturating. */
size_t evr_fused_workspace_size(const evr_fused *fused);

/* call is that of the convolution, except that its y is the pooled output. */
void evr_fused_run(const evr_fused *fused, const evr_conv2d_call *call);

#endif
