/* Values of options on the command lines of the examples. What is wrong is said on stderr. */
#ifndef EVRISIM_EXAMPLES_OPTIONS_H
#define EVRISIM_EXAMPLES_OPTIONS_H

#include <evrisim/evrisim.h>
#include <stdio.h>

extern const char program_name[]; /* each program's own; complaints begin with it */

/* A value that is given by name; a list of them ends with a name that is NULL. */
typedef struct choice {
  const char *name;
  int value;
} choice;

extern const choice math_names[], isa_names[];

/* What to do after the command line was read. */
typedef enum parsed {
  PARSED_RUN,  /* go on */
  PARSED_DONE, /* help or a list was asked for and printed: exit with success */
  PARSED_WRONG /* a sentence was printed to stderr: exit with 2 */
} parsed;

const char *choice_name(const choice *choices, int value);
void print_names(FILE *stream, const choice *choices);

/* Prints a sentence to stderr. Returns false. */
bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each returns false after saying what is wrong. The name to choose has the given length. */
bool choose(const char *option, const char *name, size_t length, const choice *choices, int *value);
bool read_float(const char *option, const char *text, float *value);
bool read_count(const char *option, const char *text, int64_t most, int64_t *value);

/* The highest instruction set that plans with these options use: the CPU's, or what the options or
 * EVR_MAX_ISA limit it to. */
evr_isa isa_in_force(const evr_plan_options *options);

/* Makes the directory for output unless it is there. Returns false after saying why it cannot. */
bool make_directory(const char *path);

#endif
