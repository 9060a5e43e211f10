/* Bad input by table. Each operation has a fixture, a struct with its descriptor, its options and
 * every pointer of its calls; a row changes some members of a good fixture, says which calls it
 * spoils, and what they must answer. The driver makes each call on a fresh fixture, and demands the
 * status, the words in evr_last_error(), and every byte of memory as it was. */
#ifndef TEST_BAD_H
#define TEST_BAD_H

#include <stddef.h>
#include <stdint.h>

#include "evrisim/evrisim.h"
#include "support/hooks.h"

typedef enum change_kind {
  CHANGE_NONE,
  CHANGE_VALUE,
  CHANGE_REAL,
  CHANGE_TEXT,
  CHANGE_ALIAS
} change_kind;

typedef struct bad_change {
  change_kind kind;
  size_t offset, size; /* of the member */
  int64_t value;
  double real;
  const char *text;
  size_t other; /* offset of the pointer that an alias copies; value is added to it, in bytes */
} bad_change;

/* For use where "fixture" is the operation's own type. A pointer is made NULL by SET(member, 0). */
#define MEMBER(member) offsetof(fixture, member), sizeof(((fixture *)0)->member)
#define SET(member, number) \
  { CHANGE_VALUE, MEMBER(member), number, 0.0, NULL, 0 }
#define SET_REAL(member, number) \
  { CHANGE_REAL, MEMBER(member), 0, number, NULL, 0 }
#define SET_TEXT(member, text) \
  { CHANGE_TEXT, MEMBER(member), 0, 0.0, text, 0 }
#define ALIAS(member, other, bytes) \
  { CHANGE_ALIAS, MEMBER(member), bytes, 0.0, NULL, offsetof(fixture, other) }

typedef struct bad_row {
  unsigned calls; /* a sum of 1 << (index of the call) */
  bad_change changes[6];
  evr_status status;
  const char *words[2];
} bad_row;

typedef struct bad_call {
  const char *name;
  evr_status (*call)(void *fixture);
} bad_call;

/* What every fixture begins with. */
#define ARENA_BYTES 65536
typedef struct bad_common {
  evr_plan_options options;
  const evr_plan_options *options_pointer;
  evr_variant_report *list;
  size_t capacity;
  size_t *count;
  evr_allocator an_allocator; /* for rows that want half of one */
  unsigned char *arena;       /* ARENA_BYTES: all buffers lie in here */
  size_t arena_used;
  void *plan_out; /* what plan_create writes; not part of the comparison */
} bad_common;

/* Room for bytes in the arena, well apart from what was taken before. */
void *bad_room(bad_common *common, size_t bytes);

typedef struct bad_subject {
  const char *name;
  size_t fixture_bytes;
  void (*setup)(void *fixture); /* common is ready */
  void (*teardown)(void *fixture);
  const bad_call *calls;
  int call_count;
  const bad_row *rows;
  int row_count;
} bad_subject;

extern const bad_subject conv2d_bad, pool2d_bad, pad2d_bad, activation_bad, softmax_bad, dense_bad,
    activation_backward_bad, pad2d_backward_bad, pool2d_backward_bad, loss_bad, dense_backward_bad,
    backward_data_bad, backward_weights_bad, transposed_bad;

/* All rows of a subject, and the good fixture on every call. */
int bad_subject_checks(const bad_subject *subject);
/* Check number index of these; "" or what is wrong. */
const char *bad_subject_check(const bad_subject *subject, int index);

/* For plan_create: makes the call's last word on *plan part of the status: a failing call must have
 * set it to NULL. Gives back the status, or -1. */
evr_status bad_plan_status(evr_status status, const void *plan);

/* Shapes of rows that recur. */
#define AT_LEAST(calls, field, number, least)                       \
  {                                                                 \
    calls, {SET(desc.field, number)}, EVR_INVALID_ARGUMENT, {       \
      "desc." #field " is " #number "; it must be at least " #least \
    }                                                               \
  }
#define INVALID(calls, change, words)                \
  {                                                  \
    calls, {change}, EVR_INVALID_ARGUMENT, { words } \
  }
#define NULL_POINTER(calls, member, name)                              \
  {                                                                    \
    calls, {SET(member, 0)}, EVR_INVALID_ARGUMENT, { name " is NULL" } \
  }
#define OVERLAPS(calls, member, other, bytes, words)             \
  {                                                              \
    calls, {ALIAS(member, other, bytes)}, EVR_OVERLAP, { words } \
  }
#define REFUSED(calls, name, change, words)                                             \
  {                                                                                     \
    calls, {SET_TEXT(common.options.variant, name), change}, EVR_UNSUPPORTED, { words } \
  }
#define REFUSED_FAST(calls, name, change, words)                                                   \
  {                                                                                                \
    calls,                                                                                         \
        {SET_TEXT(common.options.variant, name), SET(common.options.math, EVR_MATH_FAST), change}, \
        EVR_UNSUPPORTED, {                                                                         \
      words                                                                                        \
    }                                                                                              \
  }
#define BYTES(count) ((count) * (int64_t)sizeof(float))

/* Rows that every operation's options share. calls: those that take options. */
#define OPTION_ROWS(calls)                                                                         \
  {calls, {SET(common.options.math, 3)}, EVR_INVALID_ARGUMENT, {"options.math is 3"}},             \
      {calls, {SET(common.options.math, -1)}, EVR_INVALID_ARGUMENT, {"options.math is -1"}},       \
      {calls, {SET(common.options.effort, 2)}, EVR_INVALID_ARGUMENT, {"options.effort is 2"}},     \
      {calls, {SET(common.options.effort, -1)}, EVR_INVALID_ARGUMENT, {"options.effort is -1"}},   \
      {calls, {SET(common.options.max_isa, 6)}, EVR_INVALID_ARGUMENT, {"options.max_isa is 6"}},   \
      {calls, {SET(common.options.max_isa, -1)}, EVR_INVALID_ARGUMENT, {"options.max_isa is -1"}}, \
      {calls,                                                                                      \
       {SET(common.options.num_threads, -1)},                                                      \
       EVR_INVALID_ARGUMENT,                                                                       \
       {"options.num_threads is -1"}},                                                             \
      {calls,                                                                                      \
       {SET(common.options.num_threads, 4097)},                                                    \
       EVR_INVALID_ARGUMENT,                                                                       \
       {"options.num_threads is 4097"}},                                                           \
      {calls,                                                                                      \
       {SET(common.options.num_threads, INT32_MIN)},                                               \
       EVR_INVALID_ARGUMENT,                                                                       \
       {"options.num_threads is -2147483648"}},                                                    \
      {calls,                                                                                      \
       {ALIAS(common.options.allocator.allocate, common.an_allocator.allocate, 0)},                \
       EVR_INVALID_ARGUMENT,                                                                       \
       {"options.allocator.release is NULL"}},                                                     \
      {calls,                                                                                      \
       {ALIAS(common.options.allocator.release, common.an_allocator.release, 0)},                  \
       EVR_INVALID_ARGUMENT,                                                                       \
       {"options.allocator.allocate is NULL"}},                                                    \
      {calls,                                                                                      \
       {SET_TEXT(common.options.variant, "no-such")},                                              \
       EVR_UNKNOWN_NAME,                                                                           \
       {"options.variant is \"no-such\""}},                                                        \
      {calls,                                                                                      \
       {SET_TEXT(common.options.variant, "")},                                                     \
       EVR_UNKNOWN_NAME,                                                                           \
       {"options.variant is \"\""}},                                                               \
      {calls,                                                                                      \
       {SET_TEXT(common.options.variant, "referenc")},                                             \
       EVR_UNKNOWN_NAME,                                                                           \
       {"options.variant is \"referenc\""}},                                                       \
  {                                                                                                \
    calls, {SET_TEXT(common.options.variant, "reference-")}, EVR_UNKNOWN_NAME, {                   \
      "options.variant is \"reference-\""                                                          \
    }                                                                                              \
  }

/* Rows of list_variants. */
#define LIST_ROWS(calls)                                                                    \
  {calls, {SET(common.count, 0)}, EVR_INVALID_ARGUMENT, {"count is NULL"}}, {               \
    calls, {SET(common.list, 0)}, EVR_INVALID_ARGUMENT, { "list is NULL", "capacity is 2" } \
  }

#endif
