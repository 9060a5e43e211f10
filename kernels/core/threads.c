#include "core/threads.h"

#include <stdatomic.h>

#include "core/checked.h"
#ifdef _OPENMP
#include <omp.h>
#endif

/* More shares than this begin in the same ranges. */
#define MOST_RANGES 64

/* Tasks that one share begins with, on a cache line of their own. */
typedef struct range {
  _Alignas(64) _Atomic int64_t next;
  int64_t end;
} range;

typedef struct team {
  evr_task *body;
  void *argument;
  int ranges;
  range range[MOST_RANGES];
} team;

/* A share takes the tasks of its own range first, so that with each call a thread meets the data
 * that its caches hold, and then what others have left. */
static void take_tasks(void *argument, int share) {
  team *t = argument;
  for (int i = 0; i < t->ranges; i++) {
    range *r = &t->range[(share + i) % t->ranges];
    for (;;) {
      const int64_t task = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
      if (task >= r->end) break;
      t->body(t->argument, task, share);
    }
  }
}

void evr_parallel_for(const evr_parallel *parallel, int64_t tasks, evr_task *body, void *argument) {
  const int shares = (int)evr_min(parallel->threads, tasks);
  if (shares <= 1) {
    for (int64_t task = 0; task < tasks; task++) body(argument, task, 0);
    return;
  }
  team t;
  t.body = body;
  t.argument = argument;
  t.ranges = (int)evr_min(shares, MOST_RANGES);
  const int64_t each = tasks / t.ranges, longer = tasks % t.ranges;
  int64_t first = 0;
  for (int i = 0; i < t.ranges; i++) {
    atomic_init(&t.range[i].next, first);
    first += each + (i < longer);
    t.range[i].end = first;
  }
  if (parallel->pool.run != NULL) {
    parallel->pool.run(parallel->pool.user, take_tasks, &t, shares);
    return;
  }
  /* OpenMP may give fewer threads than asked for; the loop still runs every share. Where the system
   * refuses a thread, though, GNU's run time ends the process, and nothing here can prevent it. */
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(shares)
#endif
  for (int share = 0; share < shares; share++) take_tasks(&t, share);
}

int evr_default_threads(const evr_thread_pool *pool) {
#ifdef _OPENMP
  (void)pool;
  return omp_get_max_threads();
#else
  evr_cpu_info cpu;
  return pool->run != NULL && evr_cpu_query(&cpu) == EVR_OK ? cpu.logical_cpus : 1;
#endif
}
