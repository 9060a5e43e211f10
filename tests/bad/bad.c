#include "bad/bad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BETWEEN_BUFFERS ((size_t)256)

void *bad_room(bad_common *common, size_t bytes) {
  void *room = common->arena + common->arena_used;
  common->arena_used += ((bytes + 63) & ~(size_t)63) + BETWEEN_BUFFERS;
  if (common->arena_used > ARENA_BYTES) abort();
  return room;
}

evr_status bad_plan_status(evr_status status, const void *plan) {
  if (status == EVR_OK) return plan != NULL ? EVR_OK : (evr_status)-1;
  return plan == NULL ? status : (evr_status)-1;
}

static tally nothing;

static void *make_fixture(const bad_subject *subject) {
  bad_common *common = calloc(1, subject->fixture_bytes);
  if (common == NULL) abort();
  common->arena = malloc(ARENA_BYTES);
  if (common->arena == NULL) abort();
  /* Neither zeros nor NaN: plausible inputs, and any byte written shows. */
  for (size_t i = 0; i < ARENA_BYTES; i++) common->arena[i] = (unsigned char)(0x30 + i % 7);
  common->options = (evr_plan_options)EVR_PLAN_OPTIONS_INIT;
  common->options_pointer = &common->options;
  common->capacity = 2;
  common->list = bad_room(common, common->capacity * sizeof *common->list);
  common->count = bad_room(common, sizeof *common->count);
  common->an_allocator = tallying_allocator(&nothing);
  subject->setup(common);
  return common;
}

static void free_fixture(const bad_subject *subject, void *fixture) {
  bad_common *common = fixture;
  if (subject->teardown != NULL) subject->teardown(fixture);
  free(common->arena);
  free(common);
}

static void apply(void *fixture, const bad_change *change) {
  char *member = (char *)fixture + change->offset;
  switch (change->kind) {
    case CHANGE_NONE: break;
    case CHANGE_VALUE:
      if (change->size == sizeof(int64_t)) {
        memcpy(member, &change->value, sizeof(int64_t));
      } else if (change->size == sizeof(int32_t)) {
        const int32_t value = (int32_t)change->value;
        memcpy(member, &value, sizeof value);
      } else if (change->size == sizeof(bool)) {
        const bool value = change->value != 0;
        memcpy(member, &value, sizeof value);
      } else {
        abort();
      }
      break;
    case CHANGE_REAL: {
      const float value = (float)change->real;
      if (change->size != sizeof value) abort();
      memcpy(member, &value, sizeof value);
      break;
    }
    case CHANGE_TEXT: memcpy(member, &change->text, sizeof change->text); break;
    case CHANGE_ALIAS: {
      char *pointer;
      memcpy(&pointer, (char *)fixture + change->other, sizeof pointer);
      pointer += change->value;
      memcpy(member, &pointer, sizeof pointer);
      break;
    }
  }
}

static char complaint[2048];

static const char *check_call(const bad_subject *subject, const bad_call *call,
                              const bad_row *row) {
  bad_common *common = make_fixture(subject);
  for (size_t i = 0; i < sizeof row->changes / sizeof row->changes[0]; i++)
    apply(common, &row->changes[i]);
  common->plan_out = common; /* something that is not NULL */
  unsigned char *before = malloc(subject->fixture_bytes + ARENA_BYTES);
  if (before == NULL) abort();
  memcpy(before, common, subject->fixture_bytes);
  memcpy(before + subject->fixture_bytes, common->arena, ARENA_BYTES);

  const evr_status status = call->call(common);
  const char *sentence = evr_last_error();
  common->plan_out = common;
  complaint[0] = '\0';
  if (status != row->status) {
    snprintf(complaint, sizeof complaint, "%s answers %s (%d) \"%s\"; expected %s, \"%s\"",
             call->name, evr_status_name(status), (int)status, sentence,
             evr_status_name(row->status), row->words[0]);
  } else if (row->status != EVR_OK) {
    for (size_t i = 0; i < sizeof row->words / sizeof row->words[0]; i++)
      if (row->words[i] != NULL && strstr(sentence, row->words[i]) == NULL)
        snprintf(complaint, sizeof complaint, "%s says \"%s\", without \"%s\"", call->name,
                 sentence, row->words[i]);
    if (memcmp(before, common, subject->fixture_bytes) != 0 ||
        memcmp(before + subject->fixture_bytes, common->arena, ARENA_BYTES) != 0)
      snprintf(complaint, sizeof complaint, "%s wrote to memory, though it answered %s \"%s\"",
               call->name, evr_status_name(status), sentence);
  }
  free(before);
  free_fixture(subject, common);
  return complaint;
}

int bad_subject_checks(const bad_subject *subject) { return subject->row_count + 1; }

const char *bad_subject_check(const bad_subject *subject, int index) {
  static const bad_row good = {.status = EVR_OK};
  const bool control = index == subject->row_count;
  const bad_row *row = control ? &good : &subject->rows[index];
  if (!control && row->calls == 0) return "a row without calls";
  for (int i = 0; i < subject->call_count; i++) {
    if (!control && !(row->calls & 1u << i)) continue;
    const char *wrong = check_call(subject, &subject->calls[i], row);
    if (wrong[0] != '\0') return wrong;
  }
  return "";
}
