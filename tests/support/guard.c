#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "support/guard.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATTERN 0xc5
#define PATTERN_BYTES ((size_t)512) /* how far around the bytes the pattern is laid and checked */

const char *placement_name(placement where) {
  return where == PLACE_END     ? "flush with the end"
         : where == PLACE_START ? "flush with the start"
                                : "misaligned";
}

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void must(bool done, const char *what) {
  if (done) return;
  perror(what);
  exit(2);
}

static unsigned char *first_byte(const guarded *b) { return b->map + page_bytes(); }

static void grow(guarded *b, size_t bytes) {
  guarded_free(b);
  const size_t page = page_bytes();
  b->capacity = (2 * bytes + 16 * page) / page * page;
  b->map = mmap(NULL, b->capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(b->map != MAP_FAILED, "mmap");
}

/* The ranges before and after the bytes that hold the pattern. */
static void borders(const guarded *b, size_t *before, size_t *after) {
  *before = (size_t)(b->data - first_byte(b));
  *after = b->capacity - *before - b->bytes;
  if (*before > PATTERN_BYTES) *before = PATTERN_BYTES;
  if (*after > PATTERN_BYTES) *after = PATTERN_BYTES;
}

void *guarded_place(guarded *b, size_t bytes, placement where) {
  if (b->map == NULL || bytes + 2 * PATTERN_BYTES > b->capacity) grow(b, bytes + 2 * PATTERN_BYTES);
  must(mprotect(first_byte(b), b->capacity, PROT_READ | PROT_WRITE) == 0, "mprotect");
  b->bytes = bytes;
  b->data = first_byte(b);
  if (where == PLACE_END) b->data += b->capacity - bytes;
  if (where == PLACE_MISALIGNED) b->data += 68;
  size_t before, after;
  borders(b, &before, &after);
  memset(b->data - before, PATTERN, before);
  memset(b->data + bytes, PATTERN, after);
  return b->data;
}

void guarded_freeze(guarded *b) {
  must(mprotect(first_byte(b), b->capacity, PROT_READ) == 0, "mprotect");
}

bool guarded_intact(const guarded *b) {
  size_t before, after;
  borders(b, &before, &after);
  for (size_t i = 0; i < before; i++)
    if (b->data[-1 - (ptrdiff_t)i] != PATTERN) return false;
  for (size_t i = 0; i < after; i++)
    if (b->data[b->bytes + i] != PATTERN) return false;
  return true;
}

void guarded_free(guarded *b) {
  if (b->map != NULL) munmap(b->map, b->capacity + 2 * page_bytes());
  *b = (guarded){0};
}
