/* Errors are values: a status, and a sentence about it for evr_last_error(). */
#ifndef EVR_CORE_STATUS_H
#define EVR_CORE_STATUS_H

#include "evrisim/status.h"

/* Records the sentence for this thread and returns status, so that a check reads
 *   return evr_fail(EVR_INVALID_ARGUMENT, "desc.batch is %" PRId64 "; it must be ...", n); */
evr_status evr_fail(evr_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
