/* PNG by libpng. Reading takes its plain interface: the simplified one converts what a gAMA chunk
 * describes, and the values here are to be the file's own. */
#include "image_formats.h"

#include <png.h>

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool png_is(const file_bytes *file) {
  return file->size >= 4 && memcmp(file->bytes, "\x89PNG", 4) == 0;
}

/* All that must be known when libpng jumps out of an error. */
typedef struct decoder {
  jmp_buf failed;
  const file_bytes *file;
  size_t position; /* in the file */
  char *reason;
  png_structp png;
  png_infop info;
  png_bytep samples; /* of the whole picture, as an interlaced one needs it */
  png_bytepp rows;
  image *picture;
} decoder;

static _Noreturn void fail(png_structp png, png_const_charp message) {
  decoder *d = png_get_error_ptr(png);
  snprintf(d->reason, IMAGE_REASON_SIZE, "is a damaged or unusual PNG file: %s", message);
  longjmp(d->failed, 1);
}

/* Of chunks that a picture can do without. */
static void ignore_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void give_bytes(png_structp png, png_bytep bytes, size_t count) {
  decoder *d = png_get_io_ptr(png);
  if (count > d->file->size - d->position) png_error(png, "it ends before its picture does");
  memcpy(bytes, d->file->bytes + d->position, count);
  d->position += count;
}

/* Interleaved samples, with alpha as the last of 2 or 4, to floats on white. */
static void lay_on_white(const decoder *d, int components, bool wide) {
  image *picture = d->picture;
  const float maximum = wide ? 65535.0f : 255.0f;
  const bool has_alpha = components % 2 == 0;
  float *to = picture->values;
  for (int64_t row = 0; row < picture->height; ++row) {
    const png_byte *from = d->rows[row];
    for (int64_t column = 0; column < picture->width; ++column) {
      float sample[4];
      for (int c = 0; c < components; ++c, from += wide ? 2 : 1)
        sample[c] = (float)(wide ? 256 * from[0] + from[1] : from[0]) / maximum;
      const float alpha = has_alpha ? sample[components - 1] : 1.0f;
      for (int64_t c = 0; c < picture->channels; ++c)
        *to++ = has_alpha ? sample[c] * alpha + (1.0f - alpha) : sample[c];
    }
  }
}

static bool too_large(decoder *d) {
  snprintf(d->reason, IMAGE_REASON_SIZE, "is too large for this machine's memory");
  return false;
}

/* Holds no variable that a jump could leave undefined: those that outlive a call of libpng are in
 * *d. */
static bool decode(decoder *d) {
  if (setjmp(d->failed)) return false;
  png_set_read_fn(d->png, d, give_bytes);
  png_read_info(d->png, d->info);
  const bool wide = png_get_bit_depth(d->png, d->info) == 16;
  /* A palette's colours have 8, however many its numbers have. */
  d->picture->bits = png_get_color_type(d->png, d->info) == PNG_COLOR_TYPE_PALETTE
                         ? 8
                         : png_get_bit_depth(d->png, d->info);
  png_set_expand(d->png); /* palettes, fewer than 8 bits, and a transparent colour */
  png_set_interlace_handling(d->png);
  png_read_update_info(d->png, d->info);
  const size_t height = png_get_image_height(d->png, d->info);
  const size_t row_bytes = png_get_rowbytes(d->png, d->info);
  const int components = png_get_channels(d->png, d->info);
  if (row_bytes == 0 || height > PTRDIFF_MAX / row_bytes) return too_large(d);
  d->samples = malloc(height * row_bytes);
  d->rows = malloc(height * sizeof *d->rows);
  if (!d->samples || !d->rows ||
      !image_allocate(d->picture, (int64_t)height, png_get_image_width(d->png, d->info),
                      components >= 3 ? 3 : 1))
    return too_large(d);
  for (size_t row = 0; row < height; ++row) d->rows[row] = d->samples + row * row_bytes;
  png_read_image(d->png, d->rows);
  png_read_end(d->png, NULL);
  lay_on_white(d, components, wide);
  return true;
}

bool png_read(const file_bytes *file, image *picture, char *reason) {
  decoder d = {.file = file, .reason = reason, .picture = picture};
  d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, fail, ignore_warning);
  d.info = d.png ? png_create_info_struct(d.png) : NULL;
  const bool read = d.info ? decode(&d) : too_large(&d);
  free(d.rows);
  free(d.samples);
  png_destroy_read_struct(&d.png, &d.info, NULL);
  if (!read) image_free(picture);
  return read;
}

static bool cannot_be_written(const char *path, const char *why, char *error) {
  snprintf(error, IMAGE_ERROR_SIZE, "%s cannot be written: %s", path, why);
  return false;
}

bool image_write_png(const char *path, const unsigned char *pixels, int64_t width, int64_t height,
                     int channels, char *error) {
  /* libpng counts the bytes of such a picture in 32 bits. */
  if (width < 1 || height < 1 || height > INT_MAX / width / channels) {
    char why[100];
    snprintf(why, sizeof why, "%lld x %lld pixels are too many for the PNG encoder",
             (long long)width, (long long)height);
    return cannot_be_written(path, why, error);
  }
  FILE *stream = fopen(path, "wb");
  if (!stream) return cannot_be_written(path, strerror(errno), error);
  png_image picture = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
  errno = 0;
  const bool encoded = png_image_write_to_stdio(&picture, stream, 0, pixels, 0, NULL) != 0;
  struct stat status;
  const bool is_file = fstat(fileno(stream), &status) == 0 && S_ISREG(status.st_mode);
  bool written = fflush(stream) == 0 && !ferror(stream);
  const int cause = errno;
  written = fclose(stream) == 0 && written;
  if (encoded && written) return true;
  if (is_file) remove(path);
  return cannot_be_written(path, cause != 0 ? strerror(cause) : picture.message, error);
}
