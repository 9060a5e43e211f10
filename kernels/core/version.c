#include "evrisim/version.h"

const char *evr_version(void) { return EVR_VERSION_STRING; }
