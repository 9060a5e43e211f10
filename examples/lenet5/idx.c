/* The IDX format: a magic number, whose last byte counts dimensions; the dimensions; then bytes.
 * All numbers have 32 bits, the highest first. */
#include "../options.h"
#include "digits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { IMAGES_MAGIC = 0x803, LABELS_MAGIC = 0x801, MOST_DIMENSIONS = 3, PATH_SIZE = 4096 };

static bool make_path(const char *directory, const char *part, const char *what, char *path) {
  const int length = snprintf(path, PATH_SIZE, "%s/%s-%s-ubyte", directory, part, what);
  return length < PATH_SIZE || wrong("the name of directory %s is too long", directory);
}

static const char *const dimension_names[2][MOST_DIMENSIONS] = {{"images", "rows", "columns"},
                                                                {"labels", NULL, NULL}};

/* Opens a file and reads what is before the bytes, whose number is held to the size of the file: so
 * what is allocated later is never more than a file has to show for it. */
static FILE *open_to_read(const char *path, uint32_t magic, int64_t *sizes) {
  const char *const *names = dimension_names[magic == LABELS_MAGIC];
  struct stat status;
  unsigned char bytes[4 + 4 * MOST_DIMENSIONS];
  const size_t dimensions = magic & 255, header = 4 + 4 * dimensions;
  FILE *file = fopen(path, "rb");
  if (!file) {
    wrong("%s cannot be opened: %s", path, strerror(errno));
    return NULL;
  }
  if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
    wrong("%s is not a file", path);
    goto fail;
  }
  const size_t got = fread(bytes, 1, header, file);
  if (got >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
    wrong("%s is compressed; gunzip unpacks it", path);
    goto fail;
  }
  uint32_t numbers[1 + MOST_DIMENSIONS] = {0};
  for (size_t i = 0; i < got; ++i) numbers[i / 4] = numbers[i / 4] << 8 | bytes[i];
  if (got < 4) {
    wrong("%s ends in its magic number", path);
    goto fail;
  }
  if (numbers[0] != magic) {
    wrong("%s begins with the magic number 0x%08x; a file of %s has 0x%08x", path,
          (unsigned)numbers[0], names[0], (unsigned)magic);
    goto fail;
  }
  int64_t total = 1;
  for (size_t d = 0; d < dimensions; ++d) {
    if (got < 8 + 4 * d) {
      wrong("%s ends in its number of %s", path, names[d]);
      goto fail;
    }
    sizes[d] = numbers[1 + d];
    if (d == 0 ? sizes[d] < 1 : sizes[d] != DIGIT_SIDE && sizes[d] != FIELD_SIDE) {
      wrong("the number of %s of %s is %lld; it must be %s", names[d], path, (long long)sizes[d],
            d == 0 ? "at least 1" : "28 or 32");
      goto fail;
    }
    total *= sizes[d]; /* at most 2^32 * 32 * 32 */
  }
  if ((int64_t)status.st_size != (int64_t)header + total) {
    wrong("%s has %lld bytes; with the number of %s that it names, %lld, it would have %lld", path,
          (long long)status.st_size, names[0], (long long)sizes[0],
          (long long)((int64_t)header + total));
    goto fail;
  }
  return file;
fail:
  fclose(file);
  return NULL;
}

static bool read_images(FILE *file, const int64_t *sizes, digit_set *set) {
  const int64_t top = (FIELD_SIDE - sizes[1]) / 2, left = (FIELD_SIDE - sizes[2]) / 2;
  for (int64_t n = 0; n < sizes[0]; ++n)
    for (int64_t row = 0; row < sizes[1]; ++row) {
      unsigned char *to = set->pixels + n * FIELD_PIXELS + (top + row) * FIELD_SIDE + left;
      if (fread(to, 1, (size_t)sizes[2], file) != (size_t)sizes[2]) return false;
    }
  return true;
}

bool digits_read(const char *directory, const char *part, digit_set *set) {
  char images_path[PATH_SIZE], labels_path[PATH_SIZE];
  int64_t sizes[MOST_DIMENSIONS], labels_count = 0;
  FILE *images = NULL, *labels = NULL;
  bool done = false;
  memset(set, 0, sizeof *set);
  if (!make_path(directory, part, "images-idx3", images_path) ||
      !make_path(directory, part, "labels-idx1", labels_path) ||
      !(images = open_to_read(images_path, IMAGES_MAGIC, sizes)) ||
      !(labels = open_to_read(labels_path, LABELS_MAGIC, &labels_count)))
    goto end;
  if (labels_count != sizes[0]) {
    wrong("%s has %lld labels, but %s has %lld images", labels_path, (long long)labels_count,
          images_path, (long long)sizes[0]);
    goto end;
  }
  set->count = sizes[0];
  set->pixels = calloc((size_t)set->count, FIELD_PIXELS);
  set->labels = malloc((size_t)set->count);
  if (!set->pixels || !set->labels) {
    wrong("there is no memory for the %lld images of %s", (long long)set->count, images_path);
    goto end;
  }
  if (!read_images(images, sizes, set) ||
      fread(set->labels, 1, (size_t)set->count, labels) != (size_t)set->count) {
    wrong("%s and %s cannot be read to their ends", images_path, labels_path);
    goto end;
  }
  for (int64_t n = 0; n < set->count; ++n)
    if (set->labels[n] > 9) {
      wrong("label %lld of %s is %d; labels are 0 to 9", (long long)n, labels_path, set->labels[n]);
      goto end;
    }
  done = true;
end:
  if (images) fclose(images);
  if (labels) fclose(labels);
  if (!done) digits_free(set);
  return done;
}

static void write_number(FILE *file, uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) putc((int)(number >> shift & 255), file);
}

/* Images where there are any, else labels. */
static bool write_file(const char *path, const digit_set *set, bool images) {
  FILE *file = fopen(path, "wb");
  if (!file) return wrong("%s cannot be written: %s", path, strerror(errno));
  write_number(file, images ? IMAGES_MAGIC : LABELS_MAGIC);
  write_number(file, (uint32_t)set->count);
  if (images) {
    const int margin = (FIELD_SIDE - DIGIT_SIDE) / 2;
    write_number(file, DIGIT_SIDE);
    write_number(file, DIGIT_SIDE);
    for (int64_t n = 0; n < set->count; ++n)
      for (int row = margin; row < margin + DIGIT_SIDE; ++row)
        fwrite(set->pixels + n * FIELD_PIXELS + row * FIELD_SIDE + margin, 1, DIGIT_SIDE, file);
  } else {
    fwrite(set->labels, 1, (size_t)set->count, file);
  }
  const bool whole = !ferror(file);
  const int error = errno;
  if (fclose(file) != 0 || !whole)
    return wrong("%s cannot be written: %s", path, strerror(whole ? errno : error));
  return true;
}

bool digits_write(const char *directory, const char *part, const digit_set *set) {
  char path[PATH_SIZE];
  return make_path(directory, part, "images-idx3", path) && write_file(path, set, true) &&
         make_path(directory, part, "labels-idx1", path) && write_file(path, set, false);
}
