/* The environment variables, read once: EVR_MAX_ISA, EVR_VARIANT, EVR_NUM_THREADS. */
#ifndef EVR_CORE_ENVIRONMENT_H
#define EVR_CORE_ENVIRONMENT_H

#include "evrisim/plan.h"

typedef struct evr_environment {
  evr_isa max_isa;  /* EVR_ISA_ANY: unset */
  char variant[64]; /* "": unset */
  int num_threads;  /* 0: unset */
} evr_environment;

/* EVR_UNKNOWN_NAME, with its sentence, where a variable has a value that means nothing: such a
 * value is an error of every plan, never ignored. */
evr_status evr_environment_get(evr_environment *environment);

#endif
