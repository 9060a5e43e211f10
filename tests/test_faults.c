#define _POSIX_C_SOURCE 200112L /* unsetenv, dup2 */
/* Planted faults: each broken variant must be caught by the check that is there for its kind. The
 * check runs in a process of its own, for some faults end in one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/suite.h"
#include "walk/walk.h"

typedef struct planted {
  evr_operation operation;
  const char *variant, *check;
  const char *words; /* of the failure; NULL: the process ends, for a page is not accessible */
} planted;

static const planted faults[] = {
    {EVR_OP_CONV2D, "fault-last-bit-of-a-tail", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-last-bit-of-a-tail", "integers", "oracle"},
    {EVR_OP_CONV2D, "fault-rounds-twice", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-rounds-twice", "random", "expected"},
    {EVR_OP_CONV2D, "fault-other-order", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-reads-past-x", "grid", NULL},
    {EVR_OP_CONV2D, "fault-reads-before-x", "grid", NULL},
    {EVR_OP_CONV2D, "fault-reads-past-weights", "grid", NULL},
    {EVR_OP_CONV2D, "fault-reads-past-bias", "grid", NULL},
    {EVR_OP_CONV2D, "fault-writes-past-y", "grid", NULL},
    {EVR_OP_CONV2D, "fault-writes-before-y", "grid", "wrote outside"},
    {EVR_OP_CONV2D, "fault-writes-x", "grid", NULL},
    {EVR_OP_CONV2D, "fault-leaves-an-output", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-leaves-an-output", "bound", "oracle"},
    {EVR_OP_CONV2D, "fault-right-edge-is-zero", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-right-edge-is-zero", "integers", "oracle"},
    {EVR_OP_CONV2D, "fault-skips-padding", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-flushes-subnormals", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-drops-nan", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-wrong-group", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-drops-residual", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-drops-residual", "trio", "expected"},
    {EVR_OP_CONV2D, "fault-three-threads", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-three-threads", "threads", "expected"},
    {EVR_OP_CONV2D, "fault-seven-threads", "threads", "expected"},
    {EVR_OP_CONV2D, "fault-trusts-workspace", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-outgrows-workspace", "grid", NULL},
    {EVR_OP_CONV2D, "fault-outgrows-packed", "grid", NULL},
    {EVR_OP_CONV2D, "fault-shared-state", "shared plan", "two threads"},
    {EVR_OP_CONV2D, "fault-keeps-first-x", "kept plan", "of one plan"},
    {EVR_OP_CONV2D, "fault-writes-into-plan", "kept plan", "of one plan"},
    {EVR_OP_CONV2D, "fault-writes-into-plan", "shared plan", "two threads"},
    {EVR_OP_CONV2D, "fault-keeps-for-all-weights", "kept plan", "NaN and infinite weights"},
    {EVR_OP_CONV2D, "fault-keeps-for-all-weights", "shared plan", "NaN and infinite weights"},
    {EVR_OP_CONV2D, "fault-long-sums-beyond-the-bound", "bound", "oracle"},
    {EVR_OP_CONV2D, "fault-refuses-all", "grid", "accepted none"},
    {EVR_OP_CONV2D, "fault-refuses-without-a-reason", "grid", "the list says"},
    {EVR_OP_CONV2D, "fault-standard-no-guard", "grid", "not allowed"},
    {EVR_OP_CONV2D, "fault-standard-no-guard", "random", "not allowed"},
    {EVR_OP_CONV2D, "fault-standard-no-guard", "trio", "not allowed"},
    {EVR_OP_CONV2D, "fault-standard-product-missing", "grid", "the reference"},
    {EVR_OP_CONV2D, "fault-standard-product-missing", "bound", "oracle"},
    {EVR_OP_CONV2D, "fault-standard-drops-nan", "grid", "allowed"},
    {EVR_OP_CONV2D, "fault-standard-drops-residual", "grid", "allowed"},
    {EVR_OP_CONV2D, "fault-standard-three-threads", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-standard-three-threads", "threads", "expected"},
    {EVR_OP_CONV2D, "fault-fast-coefficient", "grid", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-coefficient", "random", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-coefficient", "integers", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-coefficient", "bound", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-coefficient", "threads", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-coefficient", "trio", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-three-threads", "grid", "expected"},
    {EVR_OP_CONV2D, "fault-fast-three-threads", "threads", "expected"},
    {EVR_OP_CONV2D, "fault-fast-drops-nan", "grid", "infinity is in its sum"},
    {EVR_OP_CONV2D, "fault-fast-drops-residual", "grid", "L2 error"},
    {EVR_OP_CONV2D, "fault-fast-reads-past-x", "grid", NULL},
    {EVR_OP_POOL2D, "fault-last-of-equals", "grid", "indices"},
    {EVR_OP_POOL2D, "fault-last-of-equals", "oracle", "oracle"},
    {EVR_OP_POOL2D, "fault-nan-loses", "grid", "expected"},
    {EVR_OP_POOL2D, "fault-nan-loses", "random", "expected"},
    {EVR_OP_POOL2D, "fault-counts-padding", "oracle", "oracle"},
    {EVR_OP_POOL2D, "fault-writes-past-indices", "grid", NULL},
    {EVR_OP_PAD2D, "fault-mirrors-the-edge", "grid", "expected"},
    {EVR_OP_PAD2D, "fault-mirrors-the-edge", "oracle", "oracle"},
    {EVR_OP_PAD2D, "fault-mirrors-the-edge", "threads", "expected"},
    {EVR_OP_PAD2D, "fault-pads-with-minus-zero", "random", "expected"},
    {EVR_OP_ACTIVATION, "fault-tail-is-not-done", "grid", "expected"},
    {EVR_OP_ACTIVATION, "fault-relu-of-nan", "grid", "expected"},
    {EVR_OP_SOFTMAX, "fault-overflows", "grid", "expected"},
    {EVR_OP_SOFTMAX, "fault-overflows", "oracle", "oracle"},
    {EVR_OP_SOFTMAX, "fault-not-in-place", "grid", "in place"},
    {EVR_OP_DENSE, "fault-adds-bias-first", "grid", "expected"},
    {EVR_OP_DENSE, "fault-adds-bias-first", "random", "expected"},
    {EVR_OP_DENSE, "fault-reads-past-x", "grid", NULL},
    {EVR_OP_DENSE, "fault-transposes", "oracle", "oracle"},
    {EVR_OP_DENSE, "fault-transposes", "threads", "expected"},
    {EVR_OP_ACTIVATION_BACKWARD, "fault-slope-of-nan", "grid", "expected"},
    {EVR_OP_ACTIVATION_BACKWARD, "fault-takes-z-for-y", "grid", "expected"},
    {EVR_OP_ACTIVATION_BACKWARD, "fault-takes-z-for-y", "either", "expected"},
    {EVR_OP_ACTIVATION_BACKWARD, "fault-slope-after-writing", "grid", "in place"},
    {EVR_OP_PAD2D_BACKWARD, "fault-leaves-last-row", "grid", "expected"},
    {EVR_OP_PAD2D_BACKWARD, "fault-leaves-last-row", "adjoint", "not the adjoint"},
    {EVR_OP_PAD2D_BACKWARD, "fault-folds-backwards", "grid", "expected"},
    {EVR_OP_POOL2D_BACKWARD, "fault-unpools-by-last-of-equals", "oracle", "oracle"},
    {EVR_OP_POOL2D_BACKWARD, "fault-unpools-without-padding", "grid", "expected"},
    {EVR_OP_POOL2D_BACKWARD, "fault-unpools-without-padding", "oracle", "oracle"},
    {EVR_OP_POOL2D_BACKWARD, "fault-unpools-onto", "grid", "expected"},
    {EVR_OP_POOL2D_BACKWARD, "fault-unpools-onto", "adjoint", "not the adjoint"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-last-bit", "grid", "expected"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-last-bit", "integers", "oracle"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-forgets-stride", "grid", "expected"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-forgets-stride", "bound", "oracle"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-forgets-stride", "adjoint", "of the gradient"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-writes-past-dx", "grid", NULL},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-three-threads", "threads", "expected"},
    {EVR_OP_CONV2D_BACKWARD_DATA, "fault-counts-calls", "shared plan", "call after call"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-adds", "grid", "expected"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-leaves-bias", "grid", "second gradient"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-leaves-bias", "integers", "oracle"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-other-blocks", "grid", "second gradient"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-skips-padding", "grid", "expected"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-skips-padding", "adjoint", "of the gradient"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-standard-no-guard", "grid", "not allowed"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-standard-no-guard", "random", "not allowed"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-standard-product-missing", "grid", "the reference"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-standard-product-missing", "bound", "oracle"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-standard-three-threads", "grid", "expected"},
    {EVR_OP_CONV2D_BACKWARD_WEIGHTS, "fault-standard-three-threads", "threads", "expected"},
    {EVR_OP_CONV2D_TRANSPOSED, "fault-drops-bias", "grid", "expected"},
    {EVR_OP_CONV2D_TRANSPOSED, "fault-drops-bias", "integers", "oracle"},
    {EVR_OP_CONV2D_TRANSPOSED, "fault-forgets-stride", "grid", "expected"},
    {EVR_OP_CONV2D_TRANSPOSED, "fault-forgets-stride", "adjoint", "of the gradient"},
    {EVR_OP_SOFTMAX_BACKWARD, "fault-softmax-slope-in-order", "grid", "expected"},
    {EVR_OP_SOFTMAX_CROSS_ENTROPY, "fault-entropy-forgets-scale", "grid", "expected"},
    {EVR_OP_SIGMOID_CROSS_ENTROPY, "fault-binary-loss-tail", "grid", "expected"},
    {EVR_OP_DENSE_BACKWARD_DATA, "fault-dense-forgets-an-output", "random", "expected"},
    {EVR_OP_DENSE_BACKWARD_DATA, "fault-dense-forgets-an-output", "adjoint", "not the adjoint"},
    {EVR_OP_DENSE_BACKWARD_WEIGHTS, "fault-dense-one-block", "random", "expected"},
    {EVR_OP_DENSE_BACKWARD_WEIGHTS, "fault-dense-one-block", "large", "expected"},
    {EVR_OP_DENSE_BACKWARD_WEIGHTS, "fault-dense-bias-of-half", "random", "expected"},
    {EVR_OP_DENSE_BACKWARD_WEIGHTS, "fault-dense-bias-of-half", "adjoint", "dbias"},
};
#define FAULTS (int)(sizeof faults / sizeof faults[0])

static const evr_variant *find_variant(const planted *fault) {
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++)
    if (registry[i].operation == fault->operation && strcmp(registry[i].name, fault->variant) == 0)
      return &registry[i];
  return NULL;
}

static const walk_check *find_check(const planted *fault) {
  int count;
  const walk_check *checks = walk_checks(&count);
  for (int i = 0; i < count; i++)
    if (checks[i].operation == fault->operation && strcmp(checks[i].name, fault->check) == 0)
      return &checks[i];
  return NULL;
}

static void run_check(const walk_check *check, const evr_variant *variant, int report) {
  const int quiet = open("/dev/null", O_WRONLY); /* a sanitizer tells the world where it ended */
  dup2(quiet, STDERR_FILENO);
  walk w;
  walk_begin(&w, variant);
  check->run(&w);
  if (check->must_serve && w.served == 0) walk_fail(&w, "accepted none");
  if (walk_failed(&w) && write(report, w.failure, strlen(w.failure)) < 0) _exit(3);
  _exit(0);
}

START_TEST(fault_is_caught) {
  const planted *fault = &faults[_i];
  const evr_variant *variant = find_variant(fault);
  const walk_check *check = find_check(fault);
  ck_assert_msg(variant != NULL && check != NULL, "%s, %s: no such variant or check",
                fault->variant, fault->check);
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) run_check(check, variant, ends[1]);
  close(ends[1]);
  char failure[2048];
  size_t length = 0;
  for (ssize_t got = 1; got > 0 && length < sizeof failure - 1; length += (size_t)got) {
    got = read(ends[0], failure + length, sizeof failure - 1 - length);
    if (got < 0) got = 0;
  }
  failure[length] = '\0';
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  const bool ended_itself = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (fault->words == NULL)
    ck_assert_msg(!ended_itself, "%s: %s did not run into a page; it says \"%s\"", fault->variant,
                  fault->check, failure);
  else
    ck_assert_msg(ended_itself && strstr(failure, fault->words) != NULL,
                  "%s: %s should say \"%s\"; it ended with %x and says \"%s\"", fault->variant,
                  fault->check, fault->words, (unsigned)status, failure);
}
END_TEST

/* Every fault in the registry is in the table. */
START_TEST(faults_are_all_listed) {
  size_t rows, planted_rows = 0;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t i = 0; i < rows; i++) {
    if (strncmp(registry[i].name, "fault-", 6) != 0) continue;
    planted_rows++;
    bool listed = false;
    for (int f = 0; f < FAULTS; f++) listed = listed || find_variant(&faults[f]) == &registry[i];
    ck_assert_msg(listed, "%s is in no row", registry[i].name);
  }
  ck_assert_uint_gt(planted_rows, 0);
}
END_TEST

int main(void) {
  suite_begin("planted faults");
  unsetenv("EVR_TEST_SCALE"); /* a check stops at the fault, so the whole grid costs little */
  Suite *suite = suite_create("planted faults");
  TCase *all = suite_case(suite, "faults");
  tcase_add_loop_test(all, fault_is_caught, 0, FAULTS);
  tcase_add_test(all, faults_are_all_listed);
  return suite_end(suite);
}
