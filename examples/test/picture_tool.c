/* For the tests of the examples.
 *
 *   picture_tool text FILE        prints a picture as plain PGM or PPM, with the file's own depth
 *   picture_tool make DIRECTORY   writes pictures that are read in the tests and that no shell can
 *                                 write:
 *     upright.jpg, sideways.jpg   which a reader must show alike
 *     inks.jpg                    CMYK
 *     cut.jpg, half.jpg           which end early, just before the end and in the middle
 *     header.jpg                  which ends before its pixels begin
 *     table.jpg                   with too many codes in a Huffman table
 *     codes.jpg                   with codes among its pixels that no table has
 *     faded.png, faded-grey.png, faded-palette.png, faded-wide.png   with alpha
 *     linear.png                  whose gamma must be left alone, 16 bits
 */
#include "image.h"

#include <stdio.h> /* jpeglib.h takes FILE for granted */

#include <jpeglib.h>
#include <png.h>

#include <stdlib.h>
#include <string.h>

static int print_text(const char *path) {
  image picture;
  char error[IMAGE_ERROR_SIZE];
  if (!image_read(path, &picture, error)) {
    fprintf(stderr, "picture_tool: %s\n", error);
    return 1;
  }
  float maximum = picture.bits == 16 ? 65535.0f : 255.0f;
  printf("P%c\n%lld %lld\n%d\n", picture.channels == 3 ? '3' : '2', (long long)picture.width,
         (long long)picture.height, (int)maximum);
  int64_t row = picture.width * picture.channels;
  for (int64_t i = 0; i < picture.height * row; ++i)
    printf("%d%c", (int)(picture.values[i] * maximum + 0.5f), (i + 1) % row == 0 ? '\n' : ' ');
  image_free(&picture);
  return 0;
}

typedef struct buffer {
  unsigned char bytes[1 << 16]; /* the test's own pictures are far smaller */
  size_t size;
} buffer;

/* Errors of libjpeg end the program, as the handler that it comes with does. */
static void make_jpeg(buffer *b, const unsigned char *pixels, int height, int width,
                      J_COLOR_SPACE space, int components) {
  struct jpeg_error_mgr errors;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&errors)};
  unsigned char *bytes = NULL;
  unsigned long size = 0;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_height = (JDIMENSION)height;
  jpeg.image_width = (JDIMENSION)width;
  jpeg.in_color_space = space;
  jpeg.input_components = components;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_set_colorspace(&jpeg, space);
  jpeg_start_compress(&jpeg, TRUE);
  for (int row = 0; row < height; ++row) {
    JSAMPROW from = (JSAMPROW)(uintptr_t)(pixels + row * width * components);
    jpeg_write_scanlines(&jpeg, &from, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  if (size > sizeof b->bytes) abort();
  memcpy(b->bytes, bytes, size);
  b->size = size;
  free(bytes);
}

/* Two pixels side by side. */
static void make_png(buffer *b, png_uint_32 format, const void *pixels, const void *palette,
                     int colors) {
  png_image picture = {.version = PNG_IMAGE_VERSION,
                       .width = 2,
                       .height = 1,
                       .format = format,
                       .colormap_entries = (png_uint_32)colors};
  png_alloc_size_t size = sizeof b->bytes;
  if (!png_image_write_to_memory(&picture, b->bytes, &size, 0, pixels, 0, palette)) abort();
  b->size = size;
}

static bool write_file(const char *directory, const char *name, const unsigned char *first,
                       size_t first_size, const unsigned char *second, size_t second_size) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return false;
  FILE *stream = fopen(path, "wb");
  if (!stream) return false;
  bool written = fwrite(first, 1, first_size, stream) == first_size &&
                 fwrite(second, 1, second_size, stream) == second_size;
  return fclose(stream) == 0 && written;
}

/* Bright at the top left, dark elsewhere: every turn and mirror image of it is another picture. */
static void corner_picture(unsigned char *pixels, int height, int width, bool quarter_turn_back) {
  for (int row = 0; row < height; ++row)
    for (int column = 0; column < width; ++column) {
      int upright_row = quarter_turn_back ? column : row;
      int upright_column = quarter_turn_back ? height - 1 - row : column;
      pixels[row * width + column] = upright_row < 8 && upright_column < 16 ? 240 : 16;
    }
}

static bool make_pictures(const char *directory) {
  /* Orientation 6: the camera stood on its side, turn the picture clockwise to see it upright. */
  static const unsigned char exif[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0,    0,    'M', 'M',
                                       0,    42,   0, 0,  0,   8,   0,   1,   0x01, 0x12, 0,   3,
                                       0,    0,    0, 1,  0,   6,   0,   0,   0,    0,    0,   0};
  static const unsigned char faded[2 * 4] = {200, 100, 0, 255, 200, 100, 0, 0};
  static const unsigned char faded_grey[2 * 2] = {100, 255, 100, 51};
  static const unsigned char numbers[2] = {0, 1};
  /* libpng takes 16 bits as multiplied with alpha, and divides. */
  static const unsigned short faded_wide[2 * 2] = {1000, 65535, 200, 13107};
  static const unsigned short linear[2] = {258, 65534};
  static buffer upright, stored, inks, table, codes, alpha, grey, palette, wide, gamma;
  unsigned char pixels[32 * 24];
  static unsigned char speckled[128 * 128]; /* large enough for libjpeg-turbo's quick way */
  corner_picture(pixels, 32, 24, false);
  make_jpeg(&upright, pixels, 32, 24, JCS_GRAYSCALE, 1);
  corner_picture(pixels, 24, 32, true);
  make_jpeg(&stored, pixels, 24, 32, JCS_GRAYSCALE, 1);
  for (int i = 0; i < 8; ++i) memcpy(pixels + 4 * i, (unsigned char[]){200, 100, 0, 255}, 4);
  make_jpeg(&inks, pixels, 1, 8, JCS_CMYK, 4);
  make_png(&alpha, PNG_FORMAT_RGBA, faded, NULL, 0);
  make_png(&grey, PNG_FORMAT_GA, faded_grey, NULL, 0);
  make_png(&palette, PNG_FORMAT_RGBA_COLORMAP, numbers, faded, 2);
  make_png(&wide, PNG_FORMAT_LINEAR_Y_ALPHA, faded_wide, NULL, 0);
  make_png(&gamma, PNG_FORMAT_LINEAR_Y, linear, NULL, 0);
  unsigned char sideways[2 + sizeof exif];
  memcpy(sideways, stored.bytes, 2); /* the start marker, then the camera's note */
  memcpy(sideways + 2, exif, sizeof exif);
  table = upright;
  for (size_t i = 0; i + 5 < table.size; ++i)
    if (table.bytes[i] == 0xFF && table.bytes[i + 1] == 0xC4)
      table.bytes[i + 5] = table.bytes[i + 6] = 255; /* codes of one bit and of two */
  for (size_t i = 0; i < sizeof speckled; ++i) speckled[i] = (unsigned char)(i * i * 7 % 251);
  make_jpeg(&codes, speckled, 128, 128, JCS_GRAYSCALE, 1);
  for (size_t i = 0; i < 40; ++i) codes.bytes[codes.size / 2 + i] = i % 2 == 0 ? 0xFF : 0;
  return write_file(directory, "codes.jpg", codes.bytes, codes.size, NULL, 0) &&
         write_file(directory, "table.jpg", table.bytes, table.size, NULL, 0) &&
         write_file(directory, "upright.jpg", upright.bytes, upright.size, NULL, 0) &&
         write_file(directory, "inks.jpg", inks.bytes, inks.size, NULL, 0) &&
         write_file(directory, "cut.jpg", upright.bytes, upright.size - 4, NULL, 0) &&
         write_file(directory, "half.jpg", stored.bytes, stored.size - 20, NULL, 0) &&
         write_file(directory, "header.jpg", upright.bytes, 100, NULL, 0) &&
         write_file(directory, "sideways.jpg", sideways, sizeof sideways, stored.bytes + 2,
                    stored.size - 2) &&
         write_file(directory, "faded.png", alpha.bytes, alpha.size, NULL, 0) &&
         write_file(directory, "faded-grey.png", grey.bytes, grey.size, NULL, 0) &&
         write_file(directory, "faded-palette.png", palette.bytes, palette.size, NULL, 0) &&
         write_file(directory, "faded-wide.png", wide.bytes, wide.size, NULL, 0) &&
         write_file(directory, "linear.png", gamma.bytes, gamma.size, NULL, 0);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "text") == 0) return print_text(argv[2]);
  if (argc == 3 && strcmp(argv[1], "make") == 0) return make_pictures(argv[2]) ? 0 : 1;
  fprintf(stderr, "usage: picture_tool text FILE | make DIRECTORY\n");
  return 2;
}
