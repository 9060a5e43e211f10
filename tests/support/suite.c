#define _POSIX_C_SOURCE 200112L /* unsetenv */
#include "support/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/random.h"

#define TIMEOUT_SECONDS 3000 /* for one test; the runner limits the whole program */

void suite_begin(const char *program) {
  setvbuf(stdout, NULL, _IOLBF, 0); /* a forked test must not print what its parent buffered */
  unsetenv("EVR_VARIANT");
  unsetenv("EVR_NUM_THREADS");
  printf("%s: EVR_TEST_SEED=%" PRIu64 " EVR_TEST_SCALE=%" PRId64 "\n", program, test_seed(),
         test_scale());
}

TCase *suite_case(Suite *suite, const char *name) {
  TCase *made = tcase_create(name);
  tcase_set_timeout(made, TIMEOUT_SECONDS);
  suite_add_tcase(suite, made);
  return made;
}

int suite_end(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_set_fork_status(runner, CK_FORK);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  const int ran = srunner_ntests_run(runner);
  srunner_free(runner);
  if (ran == 0) printf("no test was run, which is a failure\n");
  return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
