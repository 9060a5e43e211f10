/* Buffers that end at unreadable pages. */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include <stdbool.h>
#include <stddef.h>

typedef enum placement {
  PLACE_END,       /* the last byte lies before an unreadable page */
  PLACE_START,     /* the first byte lies behind one */
  PLACE_MISALIGNED /* in between, aligned for float and for nothing more */
} placement;
#define PLACEMENTS 3

const char *placement_name(placement where);

/* Zero initialisation is an empty buffer. Reused from case to case. */
typedef struct guarded {
  unsigned char *map; /* unreadable page, capacity bytes, unreadable page */
  size_t capacity;
  unsigned char *data; /* where the bytes lie now */
  size_t bytes;
} guarded;

/* Room for bytes at the place asked for; what else can be written near it holds a pattern. */
void *guarded_place(guarded *buffer, size_t bytes, placement where);
/* From here on a write to the buffer is a fault. Undone by the next guarded_place. */
void guarded_freeze(guarded *buffer);
/* Whether the pattern around the bytes is untouched. */
bool guarded_intact(const guarded *buffer);
void guarded_free(guarded *buffer);

#endif
