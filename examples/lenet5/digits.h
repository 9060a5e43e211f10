/* Digits to learn from: drawn by this program, or read from files. */
#ifndef EVRISIM_EXAMPLES_LENET5_DIGITS_H
#define EVRISIM_EXAMPLES_LENET5_DIGITS_H

#include <stdbool.h>
#include <stdint.h>

/* MNIST's images are 28 x 28; LeNet-5 sees them in the middle of 32 x 32. */
enum { DIGIT_SIDE = 28, FIELD_SIDE = 32, FIELD_PIXELS = FIELD_SIDE * FIELD_SIDE };

typedef struct digit_set {
  int64_t count;
  unsigned char *pixels; /* count fields, row by row; 0 is paper, 255 is ink */
  unsigned char *labels; /* 0 to 9 */
} digit_set;

void digits_free(digit_set *set);

/* Draws count digits, as many of each kind. A digit is strokes of a pen: one of several faces,
 * bent, turned, slanted, stretched and shifted at random. The same seed gives the same bytes on
 * every machine. Returns false where memory runs out. */
bool digits_draw(int64_t count, uint64_t seed, digit_set *set);

/* Files in MNIST's format (IDX): images in one, labels in another, in a directory, where PART is
 * train or t10k: PART-images-idx3-ubyte, PART-labels-idx1-ubyte. Images that are read may be 28 x
 * 28 or 32 x 32; written are the inner 28 x 28. On failure they return false after saying why on
 * stderr. The caller frees what was read. */
bool digits_read(const char *directory, const char *part, digit_set *set);
bool digits_write(const char *directory, const char *part, const digit_set *set);

#endif
