#include "filters.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const named_filter filter_names[] = {
    {"edge", "-1 -1 -1; -1 8 -1; -1 -1 -1", "edges in every direction"},
    {"outline", "0 0 -1 0 0; 0 -1 -2 -1 0; -1 -2 16 -2 -1; 0 -1 -2 -1 0; 0 0 -1 0 0",
     "broad edges, calmer on fine texture (Laplacian of Gaussian)"},
    {"laplacian", "0 1 0; 1 -4 1; 0 1 0", "second derivative: both sides of an edge"},
    {"sobel-x", "-1 0 1; -2 0 2; -1 0 1", "vertical edges, dark to bright from the left"},
    {"sobel-y", "-1 -2 -1; 0 0 0; 1 2 1", "horizontal edges, dark to bright from the top"},
    {"sobel-left", "1 0 -1; 2 0 -2; 1 0 -1", "vertical edges, bright to dark from the left"},
    {"sobel-top", "1 2 1; 0 0 0; -1 -2 -1", "horizontal edges, bright to dark from the top"},
    {"prewitt-x", "-1 0 1; -1 0 1; -1 0 1", "vertical edges, all rows alike"},
    {"prewitt-y", "-1 -1 -1; 0 0 0; 1 1 1", "horizontal edges, all columns alike"},
    {"diagonal", "-2 -1 0; -1 0 1; 0 1 2", "edges that fall from right to left"},
    {"emboss", "-2 -1 0; -1 1 1; 0 1 2", "a relief, lit from one corner"},
    {"sharpen", "0 -1 0; -1 5 -1; 0 -1 0", "more contrast at edges"},
    {"blur", "1/16 2/16 1/16; 2/16 4/16 2/16; 1/16 2/16 1/16", "a soft blur (3 x 3 binomial)"},
    {"blur-more",
     "1/256 4/256 6/256 4/256 1/256; 4/256 16/256 24/256 16/256 4/256;"
     "6/256 24/256 36/256 24/256 6/256; 4/256 16/256 24/256 16/256 4/256;"
     "1/256 4/256 6/256 4/256 1/256",
     "a stronger blur (5 x 5 binomial)"},
    {"box", "1/9 1/9 1/9; 1/9 1/9 1/9; 1/9 1/9 1/9", "the mean of 3 x 3 pixels"},
    {"identity", "0 0 0; 0 1 0; 0 0 0", "the picture as it is"},
    {NULL, NULL, NULL}};

bool filter_find(const char *name, filter *f) {
  char error[FILTER_ERROR_SIZE];
  for (const named_filter *known = filter_names; known->name; ++known)
    if (strcmp(known->name, name) == 0) return filter_parse(known->weights, f, error);
  return false;
}

/* Reads a number or a fraction and moves *text behind it. */
static bool read_weight(const char **text, float *weight) {
  char *end;
  double number = strtod(*text, &end);
  if (end == *text) return false;
  if (*end == '/') {
    const char *below = end + 1;
    number /= strtod(below, &end);
    if (end == below) return false;
  }
  *text = end;
  *weight = (float)number;
  return isfinite(*weight);
}

bool filter_parse(const char *text, filter *f, char *error) {
  int64_t column = 0;
  f->height = f->width = 0;
  for (;;) {
    text += strspn(text, " \t\r,");
    if (*text == '#') text += strcspn(text, "\n");
    if (*text == ';' || *text == '\n' || *text == '\0') {
      if (column > 0 && f->height > 0 && column != f->width) {
        snprintf(error, FILTER_ERROR_SIZE,
                 "row %lld of the weights has %lld numbers where the first has %lld",
                 (long long)f->height + 1, (long long)column, (long long)f->width);
        return false;
      }
      if (column > 0) { /* empty lines are nothing */
        f->width = column;
        ++f->height;
      }
      column = 0;
      if (*text == '\0') break;
      ++text;
      continue;
    }
    if (f->height >= FILTER_MOST || column >= FILTER_MOST) {
      snprintf(error, FILTER_ERROR_SIZE, "the weights are more than %d x %d", FILTER_MOST,
               FILTER_MOST);
      return false;
    }
    const char *before = text;
    float weight;
    if (!read_weight(&text, &weight)) {
      snprintf(error, FILTER_ERROR_SIZE, "the weights have \"%.*s\" where a number is expected",
               (int)strcspn(before, " \t\r\n,;"), before);
      return false;
    }
    f->weights[f->height * f->width + column] = weight; /* width is 0 in the first row */
    ++column;
    if (f->height > 0 && column > f->width) {
      snprintf(error, FILTER_ERROR_SIZE, "row %lld of the weights is longer than the first, %lld",
               (long long)f->height + 1, (long long)f->width);
      return false;
    }
  }
  if (f->height == 0) {
    snprintf(error, FILTER_ERROR_SIZE, "the weights are empty");
    return false;
  }
  return true;
}

bool filter_read(const char *path, filter *f, char *error) {
  /* Room for every weight of the largest filter, written at length. */
  static const size_t most = (size_t)FILTER_MOST * FILTER_MOST * 32;
  bool read = false;
  FILE *stream = fopen(path, "r");
  char *text = malloc(most + 1);
  if (!stream || !text) {
    snprintf(error, FILTER_ERROR_SIZE, "%s cannot be opened: %s", path, strerror(errno));
    goto done;
  }
  size_t size = fread(text, 1, most + 1, stream);
  if (ferror(stream)) {
    snprintf(error, FILTER_ERROR_SIZE, "%s cannot be read: %s", path, strerror(errno));
    goto done;
  }
  if (size > most) {
    snprintf(error, FILTER_ERROR_SIZE, "%s is too long for a file of weights", path);
    goto done;
  }
  text[size] = '\0';
  if (strlen(text) != size) {
    snprintf(error, FILTER_ERROR_SIZE, "%s is not a text file", path);
    goto done;
  }
  read = filter_parse(text, f, error);
done:
  free(text);
  if (stream) fclose(stream);
  return read;
}

float filter_sum(const filter *f) {
  float sum = 0.0f;
  for (int64_t i = 0; i < f->height * f->width; ++i) sum += f->weights[i];
  return sum;
}
