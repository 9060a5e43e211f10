#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[512];

evr_status evr_fail(evr_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

const char *evr_last_error(void) { return last_error; }

const char *evr_status_name(evr_status status) {
  switch (status) {
    case EVR_OK: return "EVR_OK";
    case EVR_INVALID_ARGUMENT: return "EVR_INVALID_ARGUMENT";
    case EVR_OVERFLOW: return "EVR_OVERFLOW";
    case EVR_OVERLAP: return "EVR_OVERLAP";
    case EVR_UNSUPPORTED: return "EVR_UNSUPPORTED";
    case EVR_UNKNOWN_NAME: return "EVR_UNKNOWN_NAME";
    case EVR_OUT_OF_MEMORY: return "EVR_OUT_OF_MEMORY";
    case EVR_FILE_ERROR: return "EVR_FILE_ERROR";
  }
  return "unknown status";
}
