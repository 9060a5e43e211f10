#include "core/choose.h"

#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "core/checked.h"
#include "core/choices.h"
#include "core/cpu.h"
#include "core/environment.h"
#include "core/memory.h"
#include "core/status.h"
#include "evrisim/version.h"

/* Starting threads costs about as much as this much arithmetic on one: less is done serially. */
#if !defined(WORK_WORTH_A_THREAD) /* less in a build for the tests, so that small cases are cut */
#define WORK_WORTH_A_THREAD 1.0e6
#define TIME_WORTH_A_THREAD 2200.0
#endif

static const evr_plan_options default_options = EVR_PLAN_OPTIONS_INIT;

evr_status evr_settings_get(const evr_plan_options *options, evr_settings *settings) {
  const evr_plan_options *o = options != NULL ? options : &default_options;
  evr_environment environment;
  evr_status result = evr_environment_get(&environment);
  if (result != EVR_OK) return result;
  if (o->math != EVR_MATH_STANDARD && o->math != EVR_MATH_EXACT && o->math != EVR_MATH_FAST)
    return evr_fail(EVR_INVALID_ARGUMENT, "options.math is %d, which is no evr_math", (int)o->math);
  if (strcmp(evr_isa_name(o->max_isa), "unknown") == 0)
    return evr_fail(EVR_INVALID_ARGUMENT, "options.max_isa is %d, which is no evr_isa",
                    (int)o->max_isa);
  if (o->num_threads < 0 || o->num_threads > EVR_MOST_THREADS)
    return evr_fail(EVR_INVALID_ARGUMENT,
                    "options.num_threads is %d; it must be from 0 (default) to %d", o->num_threads,
                    EVR_MOST_THREADS);
  result = evr_check_allocator("options.allocator", &o->allocator);
  if (result != EVR_OK) return result;

  if (o->effort != EVR_ESTIMATE && o->effort != EVR_MEASURE)
    return evr_fail(EVR_INVALID_ARGUMENT, "options.effort is %d, which is no evr_effort",
                    (int)o->effort);

  *settings = (evr_settings){.math = o->math,
                             .max_isa = evr_cpu()->isa,
                             .isa_limit = "this CPU",
                             .allocator = o->allocator,
                             .pool = o->thread_pool,
                             .effort = o->effort,
                             .choices = o->choices};
  if (o->max_isa != EVR_ISA_ANY && o->max_isa < settings->max_isa) {
    settings->max_isa = o->max_isa;
    settings->isa_limit = "options.max_isa";
  }
  if (environment.max_isa != EVR_ISA_ANY && environment.max_isa < settings->max_isa) {
    settings->max_isa = environment.max_isa;
    settings->isa_limit = "EVR_MAX_ISA";
  }
  settings->variant = o->variant;
  settings->variant_is_option = o->variant != NULL;
  settings->variant_may_be_missing = o->variant == NULL;
  if (o->variant == NULL && environment.variant[0] != '\0') {
    memcpy(settings->environment_variant, environment.variant, sizeof environment.variant);
    settings->variant = settings->environment_variant;
  }
  settings->threads = o->num_threads > 0            ? o->num_threads
                      : environment.num_threads > 0 ? environment.num_threads
                                                    : evr_default_threads(&o->thread_pool);
  return EVR_OK;
}

static int worth_threads(double worth, const evr_settings *settings) {
  return worth < 2.0 ? 1 : worth < settings->threads ? (int)worth : settings->threads;
}

void evr_problem_init(evr_problem *problem, const evr_settings *settings, double work) {
  const int threads = worth_threads(work / WORK_WORTH_A_THREAD, settings);
  *problem = (evr_problem){settings->math, {settings->pool, threads}, NULL};
}

bool evr_variant_is_called(const evr_variant *variant, const char *name) {
  const size_t length = strlen(name);
  if (strncmp(variant->name, name, length) != 0) return false;
  return variant->name[length] == '\0' ||
         (variant->name[length] == '-' &&
          strcmp(variant->name + length + 1, evr_isa_name(variant->isa)) == 0);
}

/* Bytes that a variant needs beside the buffers of a call. */
static size_t memory_of(const evr_kernel *kernel, const void *problem) {
  return evr_size_sum(kernel->packed_size != NULL ? kernel->packed_size(problem) : 0,
                      kernel->workspace_size != NULL ? kernel->workspace_size(problem) : 0);
}

/* Whether the variant can run; a refusal writes its reason. */
static bool usable(const evr_variant *variant, const evr_settings *settings, const void *problem,
                   char *reason) {
  if (variant->isa > settings->max_isa) {
    snprintf(reason, EVR_REASON_SIZE, "needs %s, and %s allows %s at most",
             evr_isa_name(variant->isa), settings->isa_limit, evr_isa_name(settings->max_isa));
    return false;
  }
  if ((variant->math & EVR_SERVES(settings->math)) == 0) {
    static const char *const modes[] = {"STANDARD", "EXACT", "FAST"};
    snprintf(reason, EVR_REASON_SIZE, "does not keep the promise of options.math EVR_MATH_%s",
             modes[settings->math]);
    return false;
  }
  if (variant->kernel->accepts != NULL && !variant->kernel->accepts(problem, reason)) return false;
  if (memory_of(variant->kernel, problem) > EVR_MOST_MEMORY) {
    snprintf(reason, EVR_REASON_SIZE, "its packed weights and workspace do not fit in memory");
    return false;
  }
  return true;
}

/* The forced name only binds an operation that has it when it comes from the environment, where one
 * name stands for all operations. */
static evr_status check_forced(evr_operation operation, const evr_settings *settings,
                               const char **forced) {
  *forced = NULL;
  if (settings->variant == NULL) return EVR_OK;
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++)
    if (registry[i].operation == operation &&
        evr_variant_is_called(&registry[i], settings->variant)) {
      *forced = settings->variant;
      return EVR_OK;
    }
  if (settings->variant_may_be_missing) return EVR_OK;
  return evr_fail(EVR_UNKNOWN_NAME, "options.variant is \"%.60s\"; %s has no variant of that name",
                  settings->variant, evr_operation_name(operation));
}

/* What serves EVR_MATH_EXACT has the reference's bits. Others have their own. */
static bool have_same_bits(const evr_variant *a, const evr_variant *b) {
  return a == b || (a->math & b->math & EVR_SERVES(EVR_MATH_EXACT)) != 0;
}

/* Where forced, a refusal's reason is left in reason. */
static const evr_variant *cheapest(evr_operation operation, const evr_settings *settings,
                                   const void *problem, const char *forced, char *reason) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  const evr_variant *best = NULL;
  const evr_variant *same_bits = forced == NULL ? ((const evr_problem *)problem)->same_bits : NULL;
  double least = 0.0;
  for (size_t i = 0; i < rows; i++) {
    const evr_variant *variant = &registry[i];
    if (variant->operation != operation) continue;
    if (forced != NULL && !evr_variant_is_called(variant, forced)) continue;
    if (same_bits != NULL && !have_same_bits(variant, same_bits)) continue;
    if (!usable(variant, settings, problem, reason)) continue;
    const double cost = variant->kernel->cost(problem);
    if (best == NULL || cost < least) {
      best = variant;
      least = cost;
    }
  }
  return best;
}

void evr_problem_take_threads(evr_operation operation, const evr_settings *settings,
                              evr_problem *problem) {
  problem->parallel.threads = 1;
  const char *forced;
  char reason[EVR_REASON_SIZE];
  if (settings->threads == 1 || check_forced(operation, settings, &forced) != EVR_OK) return;
  const evr_variant *variant = cheapest(operation, settings, problem, forced, reason);
  if (variant == NULL) return; /* which the choice then refuses */
  problem->same_bits = variant;
  problem->parallel.threads =
      worth_threads(variant->kernel->cost(problem) / TIME_WORTH_A_THREAD, settings);
}

/* Variants whose estimate is worse than the best by this factor are not worth timing. */
#define PROMISING 4.0
/* Every promising variant is timed so often, in turn, and its least time counts. */
#define ROUNDS 3

static bool promising(const evr_variant *variant, evr_operation operation,
                      const evr_settings *settings, const void *problem, double least) {
  char reason[EVR_REASON_SIZE];
  return variant->operation == operation && usable(variant, settings, problem, reason) &&
         variant->kernel->cost(problem) <= PROMISING * least;
}

static evr_status fastest(evr_operation operation, const evr_settings *settings,
                          const void *problem, const evr_trial *trial, const evr_variant **chosen) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  char reason[EVR_REASON_SIZE];
  *chosen = cheapest(operation, settings, problem, NULL, reason);
  const double least = (*chosen)->kernel->cost(problem);
  double best = 0.0;
  for (int round = 0; round < ROUNDS; round++)
    for (size_t i = 0; i < rows; i++) {
      if (!promising(&registry[i], operation, settings, problem, least)) continue;
      double nanoseconds;
      EVR_TRY(evr_trial_time(trial, &registry[i], problem, &settings->allocator, &nanoseconds));
      if (best == 0.0 || nanoseconds < best) {
        best = nanoseconds;
        *chosen = &registry[i];
      }
    }
  return EVR_OK;
}

static void make_key(evr_operation operation, const evr_settings *settings,
                     const evr_problem *problem, const evr_trial *trial,
                     char key[EVR_CHOICE_KEY_SIZE]) {
  char description[EVR_CHOICE_KEY_SIZE / 2];
  trial->describe(problem, description, sizeof description);
  snprintf(key, EVR_CHOICE_KEY_SIZE, "%s|%s|%s|%s|math %d|threads %d|%s", EVR_VERSION_STRING,
           evr_cpu()->model, evr_isa_name(settings->max_isa), evr_operation_name(operation),
           (int)settings->math, problem->parallel.threads, description);
}

/* A kept choice is worth nothing when it names a variant that this build lacks or that no longer
 * accepts the problem. */
static const evr_variant *kept_choice(evr_operation operation, const evr_settings *settings,
                                      const void *problem, const char *key) {
  char name[EVR_CHOICE_NAME_SIZE], reason[EVR_REASON_SIZE];
  if (!evr_choices_find(settings->choices, key, name)) return NULL;
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++)
    if (registry[i].operation == operation && strcmp(registry[i].name, name) == 0 &&
        usable(&registry[i], settings, problem, reason))
      return &registry[i];
  return NULL;
}

/* The choice that is kept, or that is found by timing. *chosen stays NULL where there is
 * neither. */
static evr_status choose_by_trial(evr_operation operation, const evr_settings *settings,
                                  const void *problem, const evr_trial *trial,
                                  const evr_variant **chosen) {
  char key[EVR_CHOICE_KEY_SIZE];
  if (settings->choices != NULL) {
    make_key(operation, settings, problem, trial, key);
    *chosen = kept_choice(operation, settings, problem, key);
    if (*chosen != NULL) return EVR_OK;
  }
  if (settings->effort != EVR_MEASURE) return EVR_OK;
  EVR_TRY(fastest(operation, settings, problem, trial, chosen));
  if (settings->choices == NULL) return EVR_OK;
  return evr_choices_add(settings->choices, key, (*chosen)->name);
}

evr_status evr_choose(evr_operation operation, const evr_settings *settings, const void *problem,
                      const evr_trial *trial, const evr_variant **chosen) {
  const char *forced;
  EVR_TRY(check_forced(operation, settings, &forced));
  *chosen = NULL;
  if (forced == NULL && trial != NULL) {
    EVR_TRY(choose_by_trial(operation, settings, problem, trial, chosen));
    if (*chosen != NULL) return EVR_OK;
  }
  char reason[EVR_REASON_SIZE] = "";
  *chosen = cheapest(operation, settings, problem, forced, reason);
  if (*chosen == NULL)
    return evr_fail(EVR_UNSUPPORTED, "%s is \"%.60s\", which cannot serve here: %s",
                    settings->variant_is_option ? "options.variant" : "EVR_VARIANT", forced,
                    reason);
  return EVR_OK;
}

evr_status evr_list_variants(evr_operation operation, const evr_settings *settings,
                             const void *problem, const evr_trial *trial, evr_variant_report *list,
                             size_t capacity, size_t *count) {
  if (count == NULL) return evr_fail(EVR_INVALID_ARGUMENT, "count is NULL");
  if (list == NULL && capacity > 0)
    return evr_fail(EVR_INVALID_ARGUMENT, "list is NULL while capacity is %zu", capacity);
  const char *forced;
  const evr_status result = check_forced(operation, settings, &forced);
  if (result != EVR_OK) return result;
  char reason[EVR_REASON_SIZE];
  const evr_variant *chosen = NULL;
  if (forced == NULL && trial != NULL && settings->choices != NULL) {
    char key[EVR_CHOICE_KEY_SIZE];
    make_key(operation, settings, problem, trial, key);
    chosen = kept_choice(operation, settings, problem, key);
  }
  if (chosen == NULL) chosen = cheapest(operation, settings, problem, forced, reason);
  size_t rows, written = 0, found = 0;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    const evr_variant *variant = &registry[i];
    if (variant->operation != operation) continue;
    found++;
    if (written == capacity) continue;
    evr_variant_report *report = &list[written++];
    *report = (evr_variant_report){.name = variant->name, .isa = variant->isa};
    report->accepted = usable(variant, settings, problem, report->reason);
    if (report->accepted) {
      report->cost = variant->kernel->cost(problem);
      report->chosen = variant == chosen;
      report->reason[0] = '\0';
    }
  }
  *count = found;
  return EVR_OK;
}
