/* Parts of image.c that know one file format each. */
#ifndef EVRISIM_EXAMPLES_IMAGE_FORMATS_H
#define EVRISIM_EXAMPLES_IMAGE_FORMATS_H

#include "image.h"

#include <stddef.h>

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

/* Orientation that a camera noted in a JPEG file, as EXIF numbers it: 1 (upright) to 8; 1 where
 * there is none, or none that can be understood. */
int jpeg_orientation(const file_bytes *file);

/* What is wrong with the segments of a JPEG file, as the end of a sentence; NULL where nothing is.
 * Asked before the file is decoded: stb fills up a picture that ends early without a word, and its
 * version 2.27 writes beyond a table for a DHT segment with more than 256 codes. */
const char *jpeg_complaint(const file_bytes *file);

/* Allocates height * width * channels floats. Returns false where they do not fit. */
bool image_allocate(image *picture, int64_t height, int64_t width, int64_t channels);

#endif
