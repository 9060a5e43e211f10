/* lstat, fchmod and realpath are POSIX. */
#define _XOPEN_SOURCE 700
#include "core/choices.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/memory.h"
#include "core/status.h"

static const char format_line[] = "evrisim choices 1";

typedef struct choice {
  char key[EVR_CHOICE_KEY_SIZE];
  char name[EVR_CHOICE_NAME_SIZE];
} choice;

/* A growing array, sorted by key. */
typedef struct table {
  choice *rows;
  size_t count, capacity;
} table;

struct evr_choices {
  evr_allocator allocator;
  pthread_mutex_t mutex; /* of table */
  table table;
};

evr_status evr_choices_create(const evr_allocator *allocator, evr_choices **choices) {
  EVR_TRY(evr_check_pointer("choices", choices));
  *choices = NULL;
  const evr_allocator used = allocator != NULL ? *allocator : (evr_allocator){NULL, NULL, NULL};
  EVR_TRY(evr_check_allocator("allocator", &used));
  evr_choices *made = evr_allocate(&used, sizeof *made);
  if (made == NULL)
    return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes for a set of choices",
                    sizeof *made);
  *made = (evr_choices){.allocator = used};
  pthread_mutex_init(&made->mutex, NULL); /* with default attributes it cannot fail */
  *choices = made;
  return EVR_OK;
}

void evr_choices_destroy(evr_choices *choices) {
  if (choices == NULL) return;
  const evr_allocator allocator = choices->allocator;
  evr_release(&allocator, choices->table.rows);
  pthread_mutex_destroy(&choices->mutex);
  evr_release(&allocator, choices);
}

/* The set is locked even to be read, which its const callers need not know. */
static void lock(const evr_choices *choices) {
  pthread_mutex_lock(&((evr_choices *)(uintptr_t)choices)->mutex);
}
static void unlock(const evr_choices *choices) {
  pthread_mutex_unlock(&((evr_choices *)(uintptr_t)choices)->mutex);
}

size_t evr_choices_count(const evr_choices *choices) {
  if (choices == NULL) return 0;
  lock(choices);
  const size_t count = choices->table.count;
  unlock(choices);
  return count;
}

/* Where the key is, or would be. */
static size_t place_of(const table *t, const char *key, bool *found) {
  size_t low = 0, high = t->count;
  *found = false;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = strcmp(t->rows[middle].key, key);
    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static evr_status grow(table *t, const evr_allocator *allocator) {
  if (t->count < t->capacity) return EVR_OK;
  const size_t capacity = t->capacity > 0 ? 2 * t->capacity : 16;
  const size_t bytes = evr_size_product(capacity, sizeof(choice));
  choice *rows = evr_allocate(allocator, bytes);
  if (rows == NULL)
    return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes for %zu choices", bytes,
                    capacity);
  if (t->count > 0) memcpy(rows, t->rows, t->count * sizeof(choice));
  evr_release(allocator, t->rows);
  t->rows = rows;
  t->capacity = capacity;
  return EVR_OK;
}

/* key and name fit; they are copied. */
static evr_status insert(table *t, const evr_allocator *allocator, const char *key,
                         const char *name) {
  bool found;
  const size_t place = place_of(t, key, &found);
  if (!found) {
    EVR_TRY(grow(t, allocator));
    memmove(t->rows + place + 1, t->rows + place, (t->count - place) * sizeof(choice));
    memcpy(t->rows[place].key, key, strlen(key) + 1);
    t->count++;
  }
  memcpy(t->rows[place].name, name, strlen(name) + 1);
  return EVR_OK;
}

bool evr_choices_find(evr_choices *choices, const char *key, char name[EVR_CHOICE_NAME_SIZE]) {
  bool found;
  lock(choices);
  const size_t place = place_of(&choices->table, key, &found);
  if (found) memcpy(name, choices->table.rows[place].name, EVR_CHOICE_NAME_SIZE);
  unlock(choices);
  return found;
}

evr_status evr_choices_add(evr_choices *choices, const char *key, const char *name) {
  lock(choices);
  const evr_status status = insert(&choices->table, &choices->allocator, key, name);
  unlock(choices);
  return status;
}

/* Reads one line without its end into line; false at the end of the file. An overlong line sets
 * *whole to false. */
static bool read_line(FILE *file, char *line, size_t size, bool *whole) {
  if (fgets(line, (int)size, file) == NULL) return false;
  const size_t length = strlen(line);
  *whole = length > 0 && line[length - 1] == '\n';
  if (*whole) line[length - 1] = '\0';
  return true;
}

/* Fills an empty table from an open file. */
static evr_status parse(table *t, const evr_allocator *allocator, FILE *file, const char *path) {
  char line[EVR_CHOICE_KEY_SIZE + EVR_CHOICE_NAME_SIZE + 2];
  bool whole = false;
  const bool any = read_line(file, line, sizeof line, &whole);
  if (!ferror(file) && (!any || !whole || strcmp(line, format_line) != 0))
    return evr_fail(EVR_FILE_ERROR, "%.200s, line 1: not \"%s\", so this is no file of choices",
                    path, format_line);
  for (unsigned long number = 2; read_line(file, line, sizeof line, &whole); number++) {
    char *tab = strchr(line, '\t');
    if (!whole || tab == NULL || tab == line || tab[1] == '\0' ||
        (size_t)(tab - line) >= EVR_CHOICE_KEY_SIZE || strlen(tab + 1) >= EVR_CHOICE_NAME_SIZE)
      return evr_fail(EVR_FILE_ERROR,
                      "%.200s, line %lu: not a key, a tab and the name of a variant", path, number);
    *tab = '\0';
    EVR_TRY(insert(t, allocator, line, tab + 1));
  }
  if (ferror(file))
    return evr_fail(EVR_FILE_ERROR, "%.200s could not be read: %s", path, strerror(errno));
  return EVR_OK;
}

evr_status evr_choices_load(evr_choices *choices, const char *path) {
  EVR_TRY(evr_check_pointer("choices", choices));
  EVR_TRY(evr_check_pointer("path", path));
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return evr_fail(EVR_FILE_ERROR, "%.200s could not be opened: %s", path, strerror(errno));
  table loaded = {NULL, 0, 0};
  evr_status status = parse(&loaded, &choices->allocator, file, path);
  fclose(file);
  /* Merged into a copy, so that the set changes all at once or not at all. */
  table merged = {NULL, 0, 0};
  lock(choices);
  const table *const parts[] = {&choices->table, &loaded};
  for (int part = 0; part < 2; part++)
    for (size_t i = 0; status == EVR_OK && i < parts[part]->count; i++)
      status =
          insert(&merged, &choices->allocator, parts[part]->rows[i].key, parts[part]->rows[i].name);
  if (status == EVR_OK) {
    const table old = choices->table;
    choices->table = merged;
    merged = old;
  }
  unlock(choices);
  evr_release(&choices->allocator, loaded.rows);
  evr_release(&choices->allocator, merged.rows);
  return status;
}

static bool write_table(const table *t, FILE *file) {
  bool good = fprintf(file, "%s\n", format_line) > 0;
  for (size_t i = 0; good && i < t->count; i++)
    good = fprintf(file, "%s\t%s\n", t->rows[i].key, t->rows[i].name) > 0;
  return good;
}

/* Writes the table to a file that must not exist yet and gives it its name, and the mode of the one
 * that had it, if any. */
static bool write_file(const table *t, const char *beside, const char *path,
                       const struct stat *replaced) {
  FILE *file = fopen(beside, "wx");
  if (file == NULL) return false;
  bool good = replaced == NULL || fchmod(fileno(file), replaced->st_mode & 07777) == 0;
  good = good && write_table(t, file);
  good = fclose(file) == 0 && good;
  good = good && rename(beside, path) == 0;
  if (!good) {
    const int error = errno;
    remove(beside);
    errno = error;
  }
  return good;
}

/* Writes to where path leads: path is the file itself, or one that is to be made. */
static evr_status save_to(const evr_choices *choices, const char *path, const char *given) {
  struct stat replaced;
  const bool exists = lstat(path, &replaced) == 0;
  if (exists && !S_ISREG(replaced.st_mode))
    return evr_fail(EVR_FILE_ERROR, "%.200s could not be written: it is not a regular file", given);
  /* Several sets, threads and processes may save to one path at a time. */
  static atomic_uint saves;
  const size_t size = strlen(path) + 48;
  char *beside = evr_allocate(&choices->allocator, size);
  if (beside == NULL)
    return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes for a file name", size);
  snprintf(beside, size, "%s.%ld-%u.new", path, (long)getpid(), atomic_fetch_add(&saves, 1));
  lock(choices);
  const bool good = write_file(&choices->table, beside, path, exists ? &replaced : NULL);
  unlock(choices);
  evr_release(&choices->allocator, beside);
  return good ? EVR_OK
              : evr_fail(EVR_FILE_ERROR, "%.200s could not be written: %s", given, strerror(errno));
}

evr_status evr_choices_save(const evr_choices *choices, const char *path) {
  EVR_TRY(evr_check_pointer("choices", choices));
  EVR_TRY(evr_check_pointer("path", path));
  /* A link stays one: what it leads to is replaced. */
  char *end = realpath(path, NULL);
  const evr_status status = save_to(choices, end != NULL ? end : path, path);
  free(end);
  return status;
}
