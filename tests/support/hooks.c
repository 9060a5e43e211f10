#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#include "support/hooks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct job {
  evr_share *body;
  void *argument;
  int share;
} job;

static void *run_job(void *argument) {
  const job *j = argument;
  j->body(j->argument, j->share);
  return NULL;
}

static void run_threads(void *user, evr_share *body, void *argument, int shares) {
  (void)user;
  pthread_t *threads = malloc((size_t)shares * sizeof *threads);
  job *jobs = malloc((size_t)shares * sizeof *jobs);
  if (threads == NULL || jobs == NULL) abort();
  for (int i = 0; i < shares; i++) {
    jobs[i] = (job){body, argument, i};
    if (pthread_create(&threads[i], NULL, run_job, &jobs[i]) != 0) abort();
  }
  for (int i = 0; i < shares; i++) pthread_join(threads[i], NULL);
  free(jobs);
  free(threads);
}

static void run_reverse(void *user, evr_share *body, void *argument, int shares) {
  (void)user;
  for (int i = shares - 1; i >= 0; i--) body(argument, i);
}

evr_thread_pool pool_of_threads(void) { return (evr_thread_pool){run_threads, NULL}; }
evr_thread_pool pool_in_reverse(void) { return (evr_thread_pool){run_reverse, NULL}; }

/* Stands in front of each block, a whole alignment long. */
#define BLOCK_MARK UINT64_C(0x6576726973696d21)

static void *tally_allocate(void *user, size_t size, size_t alignment) {
  tally *count = user;
  count->calls++;
  if (alignment < sizeof(uint64_t) || (alignment & (alignment - 1)) != 0) count->foreign = true;
  if (count->calls == count->fail_at) return NULL;
  void *block;
  if (posix_memalign(&block, alignment, size + alignment) != 0) return NULL;
  *(uint64_t *)block = BLOCK_MARK;
  count->alive++;
  char *memory = (char *)block + alignment;
  ((uint64_t *)(void *)memory)[-1] = alignment;
  return memory;
}

static void tally_release(void *user, void *memory) {
  tally *count = user;
  if (memory == NULL) {
    count->foreign = true;
    return;
  }
  const uint64_t alignment = ((const uint64_t *)memory)[-1];
  char *block = (char *)memory - alignment;
  if (*(uint64_t *)(void *)block != BLOCK_MARK) {
    count->foreign = true;
    return;
  }
  *(uint64_t *)(void *)block = 0;
  count->alive--;
  free(block);
}

evr_allocator tallying_allocator(tally *count) {
  return (evr_allocator){tally_allocate, tally_release, count};
}
