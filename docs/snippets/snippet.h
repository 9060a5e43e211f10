/* What the programs behind docs/api.md share. Each runs its pieces and holds them to their
 * results. */
#ifndef SNIPPET_H
#define SNIPPET_H

#include <evrisim/evrisim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program unless the condition holds. */
#define EXPECT(condition)                                                                     \
  do {                                                                                        \
    if (condition) break;                                                                     \
    fprintf(stderr, "%s:%d: not true: %s (last error: %s)\n", __FILE__, __LINE__, #condition, \
            evr_last_error());                                                                \
    exit(1);                                                                                  \
  } while (0)

#endif
