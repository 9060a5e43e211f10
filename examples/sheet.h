/* How feature maps are shown: as pixels, and side by side on a contact sheet. */
#ifndef EVRISIM_EXAMPLES_SHEET_H
#define EVRISIM_EXAMPLES_SHEET_H

#include "filters.h"
#include "image.h"

/* How values become brightness. */
typedef struct tone {
  float black, white; /* values shown as black and as white; those beyond are cut off */
} tone;

/* One picture of a contact sheet. */
typedef struct panel {
  const char *title, *note; /* two lines below the picture */
  const unsigned char *pixels;
  int64_t height, width;
  int channels; /* 1 or 3 */
} panel;

/* Least and greatest value; NaN is passed over. */
void value_range(const float *values, int64_t count, float *least, float *greatest);

/* The size that all but a few of the values (one in two hundred) stay below: what to show as white,
 * so that one glaring pixel does not darken the rest. Zero where all values are zero. */
float usual_magnitude(const float *values, int64_t count);

/* Brightness 0 to 255 for each value. */
void show_values(const float *values, int64_t count, tone t, unsigned char *pixels);

/* Draws panels two by two, with a headline and the weights of the filter, and writes a PNG. Large
 * pictures are shrunk and small ones enlarged to one size. On failure returns false with a sentence
 * in error (IMAGE_ERROR_SIZE bytes). */
bool sheet_write(const char *path, const char *headline, const filter *f, const panel *panels,
                 int count, char *error);

#endif
