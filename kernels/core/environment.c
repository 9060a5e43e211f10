#include "core/environment.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/registry.h"
#include "core/status.h"

static evr_environment environment;
static evr_status status;
static char sentence[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *value_of(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

static void refuse(const char *name, const char *value, const char *wanted) {
  status = EVR_UNKNOWN_NAME;
  snprintf(sentence, sizeof sentence, "the environment variable %s is \"%.60s\"; it must be %s",
           name, value, wanted);
}

static void read_environment(void) {
  const char *value = value_of("EVR_MAX_ISA");
  if (value != NULL) {
    environment.max_isa = evr_isa_from_name(value);
    if (environment.max_isa == EVR_ISA_ANY && strcmp(value, "any") != 0)
      refuse("EVR_MAX_ISA", value, "scalar, neon, avx2, avx512, amx or any");
  }
  value = value_of("EVR_VARIANT");
  if (value != NULL) {
    if (strlen(value) >= sizeof environment.variant || !evr_variant_name_known(value))
      refuse("EVR_VARIANT", value, "the name or family of a variant in this build");
    else
      memcpy(environment.variant, value, strlen(value) + 1);
  }
  value = value_of("EVR_NUM_THREADS");
  if (value != NULL) {
    char *end;
    errno = 0;
    const long threads = strtol(value, &end, 10);
    char wanted[48];
    snprintf(wanted, sizeof wanted, "a number from 1 to %d", EVR_MOST_THREADS);
    if (value[0] < '0' || value[0] > '9' || errno != 0 || *end != '\0' || threads < 1 ||
        threads > EVR_MOST_THREADS)
      refuse("EVR_NUM_THREADS", value, wanted);
    else
      environment.num_threads = (int)threads;
  }
}

evr_status evr_environment_get(evr_environment *copy) {
  pthread_once(&once, read_environment);
  *copy = environment;
  return status == EVR_OK ? EVR_OK : evr_fail(status, "%s", sentence);
}
