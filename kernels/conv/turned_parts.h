/* Backward data with a stride in parts: of each phase of the rows and each of the columns
 * (turned_phases.h), a convolution of the gradient. */
#ifndef EVR_CONV_TURNED_PARTS_H
#define EVR_CONV_TURNED_PARTS_H

#include "conv/backward_data.h"
#include "conv/turned_phases.h"

/* The pixels of one phase in each direction. */
typedef struct evr_part {
  const evr_conv2d_backward_problem *p;
  evr_phase rows, columns;
  const evr_kernel *kernel;
  evr_conv2d_problem inner; /* the convolution that gives them */
  int64_t first_weight;     /* where its weights begin in those of all parts */
  int64_t first_pixel;      /* likewise its pixels in dx */
  bool copied;              /* of a copy of the gradient, cut or padded already */
  bool direct;              /* dx is written to, else a buffer */
  int64_t times;            /* it stands for so many parts that are like it */
} evr_part;

/* The phases of both directions. */
typedef struct evr_part_phases {
  evr_phases rows, columns;
} evr_part_phases;
evr_part_phases evr_find_parts(const evr_conv2d_backward_problem *p);

/* Of each part, or each kind of part, as kernel makes it. */
typedef bool evr_part_visit(const evr_part *t, void *argument);

/* Visits every part; stops, and returns false, where one cannot be made or visit says so. */
bool evr_for_each_part(const evr_conv2d_backward_problem *p, const evr_kernel *kernel,
                       evr_part_visit *visit, void *argument);

/* The same, for questions that parts of a kind answer alike: a stride of 100 has 10000 parts, of
 * at most 16 kinds where windows are not dilated. */
bool evr_for_each_kind(const evr_conv2d_backward_problem *p, const evr_kernel *kernel,
                       evr_part_visit *visit, void *argument);

#endif
