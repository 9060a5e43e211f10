/* Pictures for the examples: read PNG, JPEG and PGM/PPM, write PNG. */
#ifndef EVRISIM_EXAMPLES_IMAGE_H
#define EVRISIM_EXAMPLES_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { IMAGE_ERROR_SIZE = 512 };

/* A picture as a network takes it: height x width x channels floats, NHWC with batch 1, values
 * from 0 (black) to 1 (white). The values are the file's own, without any change of gamma. */
typedef struct image {
  int64_t height, width, channels; /* channels: 1 (grey) or 3 (red, green, blue) */
  float *values;                   /* from malloc; the caller calls image_free */
  int bits;                        /* per sample, in the file */
} image;

/* Reads a picture. Transparent parts are laid on white. A photograph that a camera marked as taken
 * sideways (EXIF orientation) is turned upright. On failure returns false with a sentence in error
 * (IMAGE_ERROR_SIZE bytes), and *picture is empty. */
bool image_read(const char *path, image *picture, char *error);

/* Makes a grey picture of a coloured one, with the weights of ITU-R BT.601, in place. */
void image_make_grey(image *picture);

void image_free(image *picture);

/* Writes 8-bit pixels, rows from the top, as a PNG. On failure returns false with a sentence in
 * error, and no file is left behind. */
bool image_write_png(const char *path, const unsigned char *pixels, int64_t width, int64_t height,
                     int channels, char *error);

#endif
