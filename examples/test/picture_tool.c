/* For the tests of the examples.
 *
 *   picture_tool text FILE        prints a picture as plain PGM or PPM, with the file's own depth
 *   picture_tool make DIRECTORY   writes pictures that are read in the tests and that no shell can
 *                                 write: upright.jpg and sideways.jpg, which a reader must show
 *                                 alike; cut.jpg, which ends early; table.jpg, with too many codes
 *                                 in a Huffman table; faded.png, with alpha
 */
#include "image.h"

#include <stb/stb_image_write.h>

#include <stdio.h>
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
  unsigned char bytes[1 << 16];
  size_t size;
} buffer;

static void append(void *context, void *bytes, int size) {
  buffer *b = context;
  if ((size_t)size > sizeof b->bytes - b->size)
    abort(); /* the test's own pictures are far smaller */
  memcpy(b->bytes + b->size, bytes, (size_t)size);
  b->size += (size_t)size;
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
  static buffer upright, stored, alpha;
  unsigned char pixels[32 * 24];
  corner_picture(pixels, 32, 24, false);
  stbi_write_jpg_to_func(append, &upright, 24, 32, 1, pixels, 100);
  corner_picture(pixels, 24, 32, true);
  stbi_write_jpg_to_func(append, &stored, 32, 24, 1, pixels, 100);
  stbi_write_png_to_func(append, &alpha, 2, 1, 4, faded, 8);
  unsigned char sideways[2 + sizeof exif];
  memcpy(sideways, stored.bytes, 2); /* the start marker, then the camera's note */
  memcpy(sideways + 2, exif, sizeof exif);
  static buffer table;
  table = upright;
  for (size_t i = 0; i + 5 < table.size; ++i)
    if (table.bytes[i] == 0xFF && table.bytes[i + 1] == 0xC4)
      table.bytes[i + 5] = table.bytes[i + 6] = 255; /* codes of one bit and of two */
  return write_file(directory, "table.jpg", table.bytes, table.size, NULL, 0) &&
         write_file(directory, "upright.jpg", upright.bytes, upright.size, NULL, 0) &&
         write_file(directory, "cut.jpg", upright.bytes, upright.size - 4, NULL, 0) &&
         write_file(directory, "sideways.jpg", sideways, sizeof sideways, stored.bytes + 2,
                    stored.size - 2) &&
         write_file(directory, "faded.png", alpha.bytes, alpha.size, NULL, 0);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "text") == 0) return print_text(argv[2]);
  if (argc == 3 && strcmp(argv[1], "make") == 0) return make_pictures(argv[2]) ? 0 : 1;
  fprintf(stderr, "usage: picture_tool text FILE | make DIRECTORY\n");
  return 2;
}
