/* Operations with one input and one output: pooling (with indices), padding, elementwise functions
 * and softmax. Each gives its calls and its cases; the walk is the same. */
#ifndef TEST_WALK_UNARY_H
#define TEST_WALK_UNARY_H

#include "support/guard.h"
#include "walk/walk.h"

typedef struct unary_operation {
  evr_status (*create)(const void *desc, const evr_plan_options *options, void **plan);
  void (*destroy)(void *plan);
  const char *(*variant)(const void *plan);
  evr_status (*forward)(const void *plan, const float *x, float *y, int32_t *indices);
  evr_status (*list)(const void *desc, const evr_plan_options *options, evr_variant_report *list,
                     size_t capacity, size_t *count);
} unary_operation;

typedef struct unary_case {
  const unary_operation *operation;
  const void *desc;
  int64_t x_count, y_count;
  bool indices;  /* asked for */
  bool in_place; /* x may be y */
  test_values values;
  int64_t rarity; /* of special values: one in so many */
  char text[512]; /* the case in words */
} unary_case;

/* Bits of the reference: flush with either unreadable page, misaligned, in place; one thread and
 * several, by several pools. */
void unary_against_reference(walk *walk, const unary_case *c);

/* Executes the walk's variant on x in guarded buffers. y (and indices, where asked for) live until
 * the next call; NULL where refused. */
const float *unary_run(walk *walk, const unary_case *c, const float *x, const int32_t **indices);

/* Input of a case, which the caller frees. */
float *unary_input(walk *walk, const unary_case *c);

#endif
