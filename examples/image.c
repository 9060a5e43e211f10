#include "image_formats.h"

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
  /* A decoder of images has no use for more, and stb counts bytes in an int. */
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

/* Samples of stb (interleaved, with alpha as the last of 2 or 4) to floats on white. */
static void lay_on_white(const void *samples, bool wide, int components, image *picture) {
  const unsigned char *narrow_samples = samples;
  const unsigned short *wide_samples = samples;
  const float maximum = wide ? 65535.0f : 255.0f;
  bool has_alpha = components % 2 == 0;
  int64_t pixels = picture->height * picture->width;
  for (int64_t i = 0; i < pixels; ++i) {
    int64_t first = i * components, last = first + components - 1;
    float alpha = !has_alpha ? 1.0f : (wide ? wide_samples[last] : narrow_samples[last]) / maximum;
    for (int64_t c = 0; c < picture->channels; ++c) {
      float value = (wide ? wide_samples[first + c] : narrow_samples[first + c]) / maximum;
      picture->values[i * picture->channels + c] =
          has_alpha ? value * alpha + (1.0f - alpha) : value;
    }
  }
}

static bool decode_png_or_jpeg(const char *path, const file_bytes *file, image *picture,
                               char *error) {
  bool is_jpeg = file->size >= 2 && file->bytes[0] == 0xFF && file->bytes[1] == 0xD8;
  bool is_png = file->size >= 4 && memcmp(file->bytes, "\x89PNG", 4) == 0;
  if (!is_jpeg && !is_png) return fail(error, "%s is not a PNG, JPEG, PGM or PPM file", path);
  const char *complaint = is_jpeg ? jpeg_complaint(file) : NULL;
  if (complaint) return fail(error, "%s is a JPEG file that %s", path, complaint);
  int size = (int)file->size, width = 0, height = 0, components = 0;
  bool wide = stbi_is_16_bit_from_memory(file->bytes, size) != 0;
  void *samples =
      wide ? (void *)stbi_load_16_from_memory(file->bytes, size, &width, &height, &components, 0)
           : (void *)stbi_load_from_memory(file->bytes, size, &width, &height, &components, 0);
  if (!samples)
    return fail(error, "%s is a damaged or unusual %s file: %s", path, is_png ? "PNG" : "JPEG",
                stbi_failure_reason());
  bool allocated = image_allocate(picture, height, width, components >= 3 ? 3 : 1);
  if (allocated) {
    picture->bits = wide ? 16 : 8;
    lay_on_white(samples, wide, components, picture);
  }
  stbi_image_free(samples);
  return allocated || fail(error, "%s is too large for this machine's memory", path);
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

bool image_read(const char *path, image *picture, char *error) {
  file_bytes file = {NULL, 0};
  bool read = false;
  memset(picture, 0, sizeof *picture);
  if (!read_file(path, &file, error)) return false;
  if (file.size == 0) {
    fail(error, "%s is empty", path);
  } else if (pnm_is(&file)) {
    const char *reason = "";
    read = pnm_read(&file, picture, &reason) || fail(error, "%s %s", path, reason);
  } else if (decode_png_or_jpeg(path, &file, picture, error)) {
    read = make_upright(picture, jpeg_orientation(&file));
    if (!read) {
      image_free(picture);
      fail(error, "%s is too large for this machine's memory", path);
    }
  }
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

static void write_bytes(void *context, void *bytes, int size) {
  /* A failure shows in the stream's error flag, which the caller reads. */
  fwrite(bytes, 1, (size_t)size, context);
}

bool image_write_png(const char *path, const unsigned char *pixels, int64_t width, int64_t height,
                     int channels, char *error) {
  /* stb counts bytes of the picture in an int. */
  if (width < 1 || height < 1 || height > INT_MAX / 2 / (width * channels + 1))
    return fail(error, "%s cannot be written: %lld x %lld pixels are too many for the PNG encoder",
                path, (long long)width, (long long)height);
  FILE *stream = fopen(path, "wb");
  if (!stream) return fail(error, "%s cannot be written: %s", path, strerror(errno));
  stbi_write_png_compression_level = 9;
  errno = 0;
  bool encoded = stbi_write_png_to_func(write_bytes, stream, (int)width, (int)height, channels,
                                        pixels, (int)(width * channels)) != 0;
  struct stat status;
  bool is_file = fstat(fileno(stream), &status) == 0 && S_ISREG(status.st_mode);
  bool written = fflush(stream) == 0 && !ferror(stream);
  int cause = errno;
  written = fclose(stream) == 0 && written;
  if (encoded && written) return true;
  if (is_file) remove(path);
  return fail(error, "%s cannot be written: %s", path,
              !encoded || cause == 0 ? "out of memory" : strerror(cause));
}
