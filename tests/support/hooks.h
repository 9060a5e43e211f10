/* Thread pools and an allocator of the tests' own. */
#ifndef TEST_HOOKS_H
#define TEST_HOOKS_H

#include "evrisim/plan.h"

/* A thread for each share, started by every call and joined. user is not read. */
evr_thread_pool pool_of_threads(void);
/* The shares one after another on the calling thread, the last first. */
evr_thread_pool pool_in_reverse(void);

/* An allocator that counts, and can fail. */
typedef struct tally {
  int64_t calls;   /* of allocate */
  int64_t fail_at; /* the call, from 1, that returns NULL; 0: none */
  int64_t alive;   /* blocks that are not released yet */
  bool foreign;    /* release was given what allocate never gave, or a bad alignment was asked */
} tally;
evr_allocator tallying_allocator(tally *count);

#endif
