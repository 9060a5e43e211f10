/** @file version.h  Version of the headers, and of the library that is linked. */
#ifndef EVRISIM_VERSION_H
#define EVRISIM_VERSION_H

#include "types.h"

#define EVR_VERSION_MAJOR 0
#define EVR_VERSION_MINOR 1
#define EVR_VERSION_PATCH 0
#define EVR_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the linked library, as "major.minor.patch"; static storage. */
EVR_API const char *evr_version(void);

#ifdef __cplusplus
}
#endif

#endif
