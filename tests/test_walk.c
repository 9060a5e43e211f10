/* Walks the registry: each variant of the operation named as an argument against the reference, or
 * only those whose names begin with a second argument. What this machine cannot run is skipped by
 * name; where that is all of them, so is the test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "support/suite.h"
#include "walk/walk.h"

typedef struct job {
  const evr_variant *variant;
  const walk_check *check;
} job;

static job *jobs;
static int job_count;
static int beside_reference; /* variants that run here */
static const char *only = "";

#define SKIPPED_STATUS 77 /* to meson: nothing was tested */

START_TEST(walk_one_variant) {
  const job *j = &jobs[_i];
  walk w;
  walk_begin(&w, j->variant);
  j->check->run(&w);
  if (walk_failed(&w)) ck_abort_msg("%s: %s", j->check->name, w.failure);
  ck_assert_msg(!j->check->must_serve || w.served > 0, "%s %s: %s: accepted none of %lld cases",
                evr_operation_name(j->variant->operation), j->variant->name, j->check->name,
                (long long)w.cases);
  if (w.cases > 0)
    printf("  %s %s: %s: %lld of %lld cases served\n", evr_operation_name(j->variant->operation),
           j->variant->name, j->check->name, (long long)w.served, (long long)w.cases);
}
END_TEST

START_TEST(walk_has_variants) {
  ck_assert_msg(beside_reference > 0, "no variant beside the reference was walked");
}
END_TEST

static evr_operation operation_of(const char *name) {
  int operation = 0;
  while (operation < EVR_OPERATIONS &&
         strcmp(evr_operation_name((evr_operation)operation), name) != 0)
    operation++;
  if (operation == EVR_OPERATIONS) {
    fprintf(stderr, "there is no operation \"%s\"\n", name);
    exit(2);
  }
  return (evr_operation)operation;
}

static void list_jobs(evr_operation operation) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int checks;
  const walk_check *check = walk_checks(&checks);
  int skipped = 0;
  for (size_t i = 0; i < rows; i++) {
    if (registry[i].operation != operation || strncmp(registry[i].name, "fault-", 6) == 0 ||
        strncmp(registry[i].name, only, strlen(only)) != 0)
      continue;
    if (!variant_runs_here(&registry[i])) {
      printf("SKIPPED: %s %s: needs %s, which this machine or EVR_MAX_ISA does not allow\n",
             evr_operation_name(operation), registry[i].name, evr_isa_name(registry[i].isa));
      skipped++;
      continue;
    }
    if (strcmp(registry[i].name, "reference") != 0) beside_reference++;
    for (int c = 0; c < checks; c++) {
      if (check[c].operation != operation) continue;
      jobs = realloc(jobs, (size_t)(job_count + 1) * sizeof *jobs);
      if (jobs == NULL) abort();
      jobs[job_count++] = (job){&registry[i], &check[c]};
    }
  }
  if (only[0] != '\0' && beside_reference == 0 && skipped == 0)
    printf("SKIPPED: %s %s...: this build has no such variant\n", evr_operation_name(operation),
           only);
  printf("%s: %d variants beside the reference are walked, %d are skipped\n",
         evr_operation_name(operation), beside_reference, skipped);
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: %s operation [beginning of the variants' names]\n", argv[0]);
    return 2;
  }
  if (argc == 3) only = argv[2];
  suite_begin("walk");
  list_jobs(operation_of(argv[1]));
  if (only[0] != '\0' && job_count == 0) return SKIPPED_STATUS;
  Suite *suite = suite_create(argv[1]);
  tcase_add_test(suite_case(suite, "registry"), walk_has_variants);
  tcase_add_loop_test(suite_case(suite, "variants"), walk_one_variant, 0, job_count);
  return suite_end(suite);
}
