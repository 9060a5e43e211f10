/** @file status.h  How a call says what went wrong. */
#ifndef EVRISIM_STATUS_H
#define EVRISIM_STATUS_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Result of every call that can fail. After any status but EVR_OK, outputs are untouched and
 *  evr_last_error() holds a sentence that names the field and its value. */
typedef enum evr_status {
  EVR_OK = 0,
  EVR_INVALID_ARGUMENT = 1, /**< a null pointer, an unknown enum value, a size out of range, ... */
  EVR_OVERFLOW = 2,         /**< a product of sizes does not fit */
  EVR_OVERLAP = 3,          /**< an output buffer overlaps another buffer of the call */
  EVR_UNSUPPORTED = 4,      /**< the forced variant cannot serve this descriptor on this machine */
  EVR_UNKNOWN_NAME = 5,     /**< no variant, instruction set or environment value of that name */
  EVR_OUT_OF_MEMORY = 6,    /**< the allocator returned NULL */
  EVR_FILE_ERROR = 7 /**< a file cannot be read or written, or does not hold what it should */
} evr_status;

/** Name of a status, such as "EVR_OVERFLOW"; static storage; never NULL. */
EVR_API const char *evr_status_name(evr_status status);

/** Sentence about the last call on this thread that did not return EVR_OK; an empty string before
 *  any. Valid until the next failing call on this thread. */
EVR_API const char *evr_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
