/* Backward operations: several inputs, one to three outputs. Each gives its calls, its data and its
 * cases; the walk is the same. */
#ifndef TEST_WALK_GRADIENT_H
#define TEST_WALK_GRADIENT_H

#include "support/guard.h"
#include "walk/walk.h"

#define GRADIENT_INPUTS 4
#define GRADIENT_OUTPUTS 3

typedef struct gradient_operation {
  evr_status (*create)(const void *desc, const evr_plan_options *options, void **plan);
  void (*destroy)(void *plan);
  const char *(*variant)(const void *plan);
  /* inputs and outputs are those of the case, NULL where it has none. */
  evr_status (*execute)(const void *plan, const void *const *inputs, float *const *outputs,
                        void *workspace);
  size_t (*workspace)(const void *plan); /* NULL: none is needed */
  evr_status (*list)(const void *desc, const evr_plan_options *options, evr_variant_report *list,
                     size_t capacity, size_t *count);
} gradient_operation;

typedef struct gradient_input {
  const void *data; /* count floats or 32-bit integers; NULL: not given */
  int64_t count;
} gradient_input;

typedef struct gradient_case {
  const gradient_operation *operation;
  const void *desc;
  gradient_input inputs[GRADIENT_INPUTS];
  int64_t outputs[GRADIENT_OUTPUTS]; /* floats; 0: none */
  unsigned in_place;                 /* inputs that the first output may be: a sum of 1 << index */
  char text[512];                    /* the case in words */
} gradient_case;

/* Random floats, which the caller frees. */
float *gradient_floats(walk *walk, test_values values, int64_t rarity, int64_t count);

/* Bits of the reference: flush with either unreadable page, misaligned, in place; one thread and
 * several, by several pools; with a workspace of the caller's and without. */
void gradient_against_reference(walk *walk, const gradient_case *c);

/* Executes the walk's variant in guarded buffers. The outputs live until the next call; false where
 * it refuses. */
bool gradient_run(walk *walk, const gradient_case *c, const float **outputs);

#endif
