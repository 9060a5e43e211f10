/* Work cut into tasks, run by OpenMP or the caller's thread pool. */
#ifndef EVR_CORE_THREADS_H
#define EVR_CORE_THREADS_H

#include "evrisim/plan.h"

/* More than any machine of today; what is asked for beyond it is a mistake. */
#define EVR_MOST_THREADS 4096

typedef struct evr_parallel {
  evr_thread_pool pool; /* run NULL: OpenMP */
  int threads;          /* at least 1 */
} evr_parallel;

/* task counts from 0; slot is below parallel->threads and no two tasks with one slot run at the
 * same time, so a slot may own scratch memory. */
typedef void evr_task(void *argument, int64_t task, int slot);

/* Runs tasks 0 .. tasks - 1, and waits for all. Each slot has a range of them, in order; one that
 * is done with its own helps others.
 * Tasks must write disjoint outputs, so that the result does not depend on who runs what. */
void evr_parallel_for(const evr_parallel *parallel, int64_t tasks, evr_task *body, void *argument);

/* Takes the innermost of a task's numbers, 0 .. count - 1, out of it. Small work is one task, and
 * would else spend more time on divisions than on a tile. */
static inline int64_t evr_take_number(int64_t *task, int64_t count) {
  int64_t number = *task;
  if (number < count) {
    *task = 0;
  } else {
    *task = number / count;
    number -= *task * count;
  }
  return number;
}

/* What the machine or OpenMP offers by default; at least 1. */
int evr_default_threads(const evr_thread_pool *pool);

#endif
