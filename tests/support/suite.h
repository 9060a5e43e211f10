/* What every test program's main does. */
#ifndef TEST_SUITE_H
#define TEST_SUITE_H

#include <check.h>

/* Call first. Takes EVR_VARIANT and EVR_NUM_THREADS out of the environment, for the tests say what
 * they want; EVR_MAX_ISA stays, so that the suite can be run at a lower level. Prints the seed. */
void suite_begin(const char *program);

/* A test case with a timeout that suits an emulator. */
TCase *suite_case(Suite *suite, const char *name);

/* Runs in fork mode and returns main's result. */
int suite_end(Suite *suite);

#endif
