#include "walk/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "support/compare.h"

static const walk_check *const operations[] = {
    conv2d_checks,
    pool2d_checks,
    pad2d_checks,
    softmax_checks,
    dense_checks,
    activation_checks,
    activation_backward_checks,
    pad2d_backward_checks,
    pool2d_backward_checks,
    loss_checks,
    dense_backward_checks,
    conv2d_backward_checks,
};

#define MOST_CHECKS 128

const walk_check *walk_checks(int *count) {
  static walk_check all[MOST_CHECKS];
  int used = 0;
  for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
    for (const walk_check *check = operations[i]; check->name != NULL; check++) {
      if (used == MOST_CHECKS) abort();
      all[used++] = *check;
    }
  *count = used;
  return all;
}

void walk_begin(walk *w, const evr_variant *variant) {
  *w = (walk){.variant = variant, .random = {test_seed()}};
}

bool walk_failed(const walk *w) { return w->failure[0] != '\0'; }

void walk_fail(walk *w, const char *format, ...) {
  if (walk_failed(w)) return;
  const int used =
      snprintf(w->failure, sizeof w->failure,
               "%s %s (EVR_TEST_SEED=%" PRIu64 "): ", evr_operation_name(w->variant->operation),
               w->variant->name, test_seed());
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(w->failure + used, sizeof w->failure - (size_t)used, format, arguments);
  va_end(arguments);
}

bool walk_take(walk *w, int64_t index) {
  /* Drawn, and not at equal steps: a grid's indexes repeat, and a kind of case that never falls on
   * a step would not be run. */
  test_random random = {(uint64_t)index + test_seed()};
  return !walk_failed(w) && random_between(&random, 1, test_scale()) == 1;
}

void walk_list(walk *w, int64_t count, void (*visit)(walk *w, int64_t index)) {
  test_random random = {test_seed()};
  for (const char *at = w->variant->name; *at != '\0'; at++)
    random.state = random.state * 31 + (uint64_t)*at;
  const int64_t first = random_between(&random, 0, count - 1);
  for (int64_t i = 0; i < count && !walk_failed(w); i++) {
    visit(w, (first + i) % count);
    if (test_scale() > 1 && w->served > 0) break;
  }
}

evr_math walk_mode(const walk *w) {
  const unsigned served = w->variant->math;
  if ((served & EVR_SERVES(EVR_MATH_EXACT)) != 0) return EVR_MATH_EXACT;
  return (served & EVR_SERVES(EVR_MATH_STANDARD)) != 0 ? EVR_MATH_STANDARD : EVR_MATH_FAST;
}

evr_plan_options walk_options(const walk *w, int threads) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = walk_mode(w);
  options.variant = w->variant->name;
  options.num_threads = threads;
  return options;
}

evr_plan_options walk_reference_options(void) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = EVR_MATH_EXACT;
  options.variant = "reference";
  options.num_threads = 1;
  return options;
}

bool walk_serves(walk *w, evr_status status, const evr_variant_report *list, size_t count,
                 const char *what) {
  const evr_variant_report *report = NULL;
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i].name, w->variant->name) == 0) report = &list[i];
  if (report == NULL) {
    walk_fail(w, "%s: the list of variants lacks it", what);
    return false;
  }
  if (status == EVR_OK) {
    if (!report->accepted || !report->chosen || report->reason[0] != '\0' || !(report->cost > 0.0))
      walk_fail(w, "%s: a plan is made, but the list says accepted %d, chosen %d, \"%s\", cost %g",
                what, report->accepted, report->chosen, report->reason, report->cost);
    return !walk_failed(w);
  }
  if (status != EVR_UNSUPPORTED || strstr(evr_last_error(), w->variant->name) == NULL ||
      strstr(evr_last_error(), report->reason) == NULL || report->accepted ||
      report->reason[0] == '\0')
    walk_fail(w, "%s: %s \"%s\", but the list says accepted %d, \"%s\"", what,
              evr_status_name(status), evr_last_error(), report->accepted, report->reason);
  return false;
}

bool walk_same(walk *w, const float *expected, const float *got, int64_t count, const char *what) {
  const int64_t at = first_difference(expected, got, count);
  if (at < 0) return true;
  int64_t differing = 0;
  for (int64_t i = at; i < count; i++) differing += !same_float(expected[i], got[i]);
  walk_fail(
      w, "%s: y[%" PRId64 "] of %" PRId64 " is %a (%08x), expected %a (%08x); %" PRId64 " differ",
      what, at, count, (double)got[at], float_bits(got[at]), (double)expected[at],
      float_bits(expected[at]), differing);
  return false;
}

/* The lower of the CPU and EVR_MAX_ISA, asked of the library as a user would: a level that the
 * environment forbids is refused. */
bool variant_runs_here(const evr_variant *variant) {
  const char *limit = getenv("EVR_MAX_ISA");
  const evr_isa allowed = limit != NULL ? evr_isa_from_name(limit) : EVR_ISA_ANY;
  return variant->isa <= evr_cpu()->isa && (allowed == EVR_ISA_ANY || variant->isa <= allowed);
}
