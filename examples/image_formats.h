/* Parts of image.c that know one file format each. */
#ifndef EVRISIM_EXAMPLES_IMAGE_FORMATS_H
#define EVRISIM_EXAMPLES_IMAGE_FORMATS_H

#include "image.h"

#include <stddef.h>

enum { IMAGE_REASON_SIZE = 300 };

/* A whole file in memory. */
typedef struct file_bytes {
  unsigned char *bytes;
  size_t size;
} file_bytes;

/* Whether this is one of the formats that pnm_read knows: P2, P3, P5, P6. */
bool pnm_is(const file_bytes *file);

/* Decodes PGM and PPM, plain and raw, with any maximum value (so 8 and 16 bits). On failure
 * returns false and points *reason at the end of a sentence that begins with the file's name. */
bool pnm_read(const file_bytes *file, image *picture, const char **reason);

bool png_is(const file_bytes *file);
bool jpeg_is(const file_bytes *file);

/* Decode a file. On failure return false, *picture is empty, and reason (IMAGE_REASON_SIZE bytes)
 * is the end of a sentence that begins with the file's name. *orientation is what a camera noted,
 * as EXIF numbers it: 1 (upright) to 8; 1 where there is none, or none that can be understood. */
bool png_read(const file_bytes *file, image *picture, char *reason);
bool jpeg_read(const file_bytes *file, image *picture, int *orientation, char *reason);

/* Allocates height * width * channels floats. Returns false where they do not fit. */
bool image_allocate(image *picture, int64_t height, int64_t width, int64_t channels);

#endif
