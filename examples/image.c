#include "image_formats.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(char *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error, IMAGE_ERROR_SIZE, format, arguments);
  va_end(arguments);
  return false;
}

bool image_allocate(image *picture, int64_t height, int64_t width, int64_t channels) {
  if (height < 1 || width < 1 || channels < 1) return false;
  if (height > PTRDIFF_MAX / (int64_t)sizeof(float) / width / channels) return false;
  picture->values = malloc((size_t)(height * width * channels) * sizeof(float));
  if (!picture->values) return false;
  picture->height = height;
  picture->width = width;
  picture->channels = channels;
  return true;
}

void image_free(image *picture) {
  free(picture->values);
  memset(picture, 0, sizeof *picture);
}

static bool read_file(const char *path, file_bytes *file, char *error) {
  /* A decoder of images has no use for more. */
  const size_t most = (size_t)1 << 30;
  size_t capacity = 0;
  FILE *stream = fopen(path, "rb");
  if (!stream) return fail(error, "%s cannot be opened: %s", path, strerror(errno));
  for (;;) {
    if (file->size == capacity) {
      capacity = capacity ? 2 * capacity : (size_t)1 << 16;
      unsigned char *larger = capacity <= most ? realloc(file->bytes, capacity) : NULL;
      if (!larger) {
        fail(error, "%s is too large to be read as a picture", path);
        break;
      }
      file->bytes = larger;
    }
    size_t got = fread(file->bytes + file->size, 1, capacity - file->size, stream);
    if (got == 0) {
      if (!ferror(stream)) {
        fclose(stream);
        return true;
      }
      fail(error, "%s cannot be read: %s", path, strerror(errno));
      break;
    }
    file->size += got;
  }
  fclose(stream);
  free(file->bytes);
  file->bytes = NULL;
  return false;
}

/* Turns a picture upright. EXIF numbers: 2 mirrored, 3 upside down, 4 both, 5 to 8 the same lying
 * on a side. */
static bool make_upright(image *picture, int orientation) {
  bool swap = orientation >= 5;
  bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  if (orientation == 1) return true;
  image upright = {0, 0, 0, NULL, 0};
  if (!image_allocate(&upright, swap ? picture->width : picture->height,
                      swap ? picture->height : picture->width, picture->channels))
    return false;
  upright.bits = picture->bits;
  for (int64_t row = 0; row < upright.height; ++row)
    for (int64_t column = 0; column < upright.width; ++column) {
      int64_t from_row = swap ? column : row, from_column = swap ? row : column;
      if (flip_rows) from_row = picture->height - 1 - from_row;
      if (flip_columns) from_column = picture->width - 1 - from_column;
      memcpy(upright.values + (row * upright.width + column) * upright.channels,
             picture->values + (from_row * picture->width + from_column) * picture->channels,
             (size_t)picture->channels * sizeof(float));
    }
  image_free(picture);
  *picture = upright;
  return true;
}

static bool decode(const char *path, const file_bytes *file, image *picture, char *error) {
  if (file->size == 0) return fail(error, "%s is empty", path);
  if (pnm_is(file)) {
    const char *reason = "";
    return pnm_read(file, picture, &reason) || fail(error, "%s %s", path, reason);
  }
  char reason[IMAGE_REASON_SIZE];
  int orientation = 1;
  if (!png_is(file) && !jpeg_is(file))
    return fail(error, "%s is not a PNG, JPEG, PGM or PPM file", path);
  const bool read = png_is(file) ? png_read(file, picture, reason)
                                 : jpeg_read(file, picture, &orientation, reason);
  if (!read) return fail(error, "%s %s", path, reason);
  if (make_upright(picture, orientation)) return true;
  image_free(picture);
  return fail(error, "%s is too large for this machine's memory", path);
}

bool image_read(const char *path, image *picture, char *error) {
  file_bytes file = {NULL, 0};
  memset(picture, 0, sizeof *picture);
  if (!read_file(path, &file, error)) return false;
  const bool read = decode(path, &file, picture, error);
  free(file.bytes);
  return read;
}

void image_make_grey(image *picture) {
  if (picture->channels != 3) return;
  int64_t pixels = picture->height * picture->width;
  for (int64_t i = 0; i < pixels; ++i) {
    const float *color = picture->values + 3 * i;
    picture->values[i] = 0.299f * color[0] + 0.587f * color[1] + 0.114f * color[2];
  }
  picture->channels = 1;
}
