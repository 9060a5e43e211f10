#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const choice math_names[] = {{"exact", EVR_MATH_EXACT}, {"standard", EVR_MATH_STANDARD}, {NULL, 0}};

const choice isa_names[] = {{"any", EVR_ISA_ANY},
                            {"scalar", EVR_ISA_SCALAR},
                            {"neon", EVR_ISA_NEON},
                            {"avx2", EVR_ISA_AVX2},
                            {"avx512", EVR_ISA_AVX512},
                            {"amx", EVR_ISA_AMX},
                            {NULL, 0}};

const char *choice_name(const choice *choices, int value) {
  for (; choices->name; ++choices)
    if (choices->value == value) return choices->name;
  return "unknown";
}

bool wrong(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program_name);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  va_end(arguments);
  return false;
}

void print_names(FILE *stream, const choice *choices) {
  for (const choice *c = choices; c->name; ++c)
    fprintf(stream, "%s%s", c == choices ? "" : ", ", c->name);
}

bool choose(const char *option, const char *name, size_t length, const choice *choices,
            int *value) {
  for (const choice *c = choices; c->name; ++c)
    if (strlen(c->name) == length && strncmp(c->name, name, length) == 0) {
      *value = c->value;
      return true;
    }
  fprintf(stderr, "%s: --%s is \"%s\", which is none of ", program_name, option, name);
  print_names(stderr, choices);
  fputs("\n", stderr);
  return false;
}

bool read_float(const char *option, const char *text, float *value) {
  char *end;
  float number = strtof(text, &end);
  if (end == text || *end != '\0' || !isfinite(number))
    return wrong("--%s is \"%s\", which is not a finite number", option, text);
  *value = number;
  return true;
}

bool read_count(const char *option, const char *text, int64_t most, int64_t *value) {
  char *end;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || number < 1 || number > most)
    return wrong("--%s is \"%s\", which is not a whole number from 1 to %lld", option, text,
                 (long long)most);
  *value = number;
  return true;
}

evr_isa isa_in_force(const evr_plan_options *options) {
  evr_cpu_info cpu;
  const char *limit = getenv("EVR_MAX_ISA");
  if (evr_cpu_query(&cpu) != EVR_OK) return EVR_ISA_SCALAR;
  evr_isa isa = cpu.isa;
  if (options->max_isa != EVR_ISA_ANY && options->max_isa < isa) isa = options->max_isa;
  for (const choice *c = isa_names; limit && c->name; ++c)
    if (strcmp(c->name, limit) == 0 && c->value != EVR_ISA_ANY && c->value < (int)isa)
      isa = (evr_isa)c->value;
  /* Levels count on from scalar to NEON to AVX2, but an x86 CPU has no NEON. */
  return isa == EVR_ISA_NEON && cpu.isa != EVR_ISA_NEON ? EVR_ISA_SCALAR : isa;
}

bool make_directory(const char *path) {
  struct stat status;
  if (mkdir(path, 0777) == 0) return true;
  if (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) return true;
  return wrong("the output directory %s cannot be made: %s", path, strerror(errno));
}
