/* Filters for pictures: named ones, and ones that a user writes. */
#ifndef EVRISIM_EXAMPLES_FILTERS_H
#define EVRISIM_EXAMPLES_FILTERS_H

#include <stdbool.h>
#include <stdint.h>

/* Greatest height and width of a filter that is read. */
enum { FILTER_MOST = 63, FILTER_ERROR_SIZE = 512 };

/* One filter of height x width weights, rows from the top. As in every network the filter is laid
 * on the picture as it stands, without the turn by 180 degrees of the mathematicians. */
typedef struct filter {
  int64_t height, width;
  float weights[FILTER_MOST * FILTER_MOST];
} filter;

/* A named filter as filter_parse reads it. */
typedef struct named_filter {
  const char *name, *weights, *description;
} named_filter;

/* All named filters, ended by one whose name is NULL. */
extern const named_filter filter_names[];

/* Finds a named filter; returns false where there is none. */
bool filter_find(const char *name, filter *f);

/* Reads rows of numbers. Rows end at ';' or at the end of a line; numbers stand apart by spaces or
 * commas and may be fractions ("1/9"); '#' begins a comment. On failure returns false with a
 * sentence in error (FILTER_ERROR_SIZE bytes). */
bool filter_parse(const char *text, filter *f, char *error);

/* The same from a text file. */
bool filter_read(const char *path, filter *f, char *error);

/* Sum of the weights: what the filter makes of an even white surface. */
float filter_sum(const filter *f);

#endif
