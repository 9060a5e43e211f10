/* PGM and PPM, after the netpbm manual pages pgm(5) and ppm(5). */
#include "image_formats.h"

typedef struct reader {
  const file_bytes *file;
  size_t position;
} reader;

bool pnm_is(const file_bytes *file) {
  return file->size >= 2 && file->bytes[0] == 'P' &&
         (file->bytes[1] == '2' || file->bytes[1] == '3' || file->bytes[1] == '5' ||
          file->bytes[1] == '6');
}

static int next_byte(reader *r) {
  return r->position < r->file->size ? r->file->bytes[r->position++] : -1;
}

static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Skips white space and comments, then reads digits and the one byte that ends them. Returns -1
 * where there is no number, or one above 10^9. */
static int64_t read_number(reader *r) {
  int c = next_byte(r);
  while (is_space(c) || c == '#') {
    if (c == '#')
      while (c != '\n' && c != '\r' && c != -1) c = next_byte(r);
    c = next_byte(r);
  }
  if (c < '0' || c > '9') return -1;
  int64_t number = 0;
  while (c >= '0' && c <= '9') {
    number = 10 * number + (c - '0');
    if (number > 1000000000) return -1;
    c = next_byte(r);
  }
  return c == -1 || is_space(c) ? number : -1;
}

static int64_t read_sample(reader *r, bool plain, bool wide) {
  if (plain) return read_number(r);
  int high = wide ? next_byte(r) : 0, low = next_byte(r);
  return high < 0 || low < 0 ? -1 : high * 256 + low;
}

bool pnm_read(const file_bytes *file, image *picture, const char **reason) {
  reader r = {file, 2};
  bool plain = file->bytes[1] <= '3';
  int64_t channels = file->bytes[1] == '3' || file->bytes[1] == '6' ? 3 : 1;
  int64_t width = read_number(&r), height = read_number(&r), maximum = read_number(&r);
  if (width < 1 || height < 1 || maximum < 1 || maximum > 65535) {
    *reason = "has a header that is not one of a PGM or PPM file";
    return false;
  }
  bool wide = maximum > 255;
  /* Every sample takes at least one byte: so a small file cannot ask for a huge picture. */
  int64_t left = (int64_t)(file->size - r.position);
  if (height > left / width || height * width > left / channels / (wide && !plain ? 2 : 1)) {
    *reason = "ends before its last pixel";
    return false;
  }
  if (!image_allocate(picture, height, width, channels)) {
    *reason = "is too large for this machine's memory";
    return false;
  }
  picture->bits = wide ? 16 : 8;
  int64_t count = height * width * channels;
  for (int64_t i = 0; i < count; ++i) {
    int64_t sample = read_sample(&r, plain, wide);
    if (sample < 0 || sample > maximum) {
      *reason = sample < 0 ? "ends, or has something that is not a number, before its last pixel"
                           : "has a sample above the maximum that its header states";
      image_free(picture);
      return false;
    }
    picture->values[i] = (float)sample / (float)maximum;
  }
  return true;
}
