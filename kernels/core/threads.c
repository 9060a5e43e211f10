#include "core/threads.h"

#include <stdatomic.h>

#include "core/checked.h"
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct team {
  evr_task *body;
  void *argument;
  int64_t tasks;
  _Atomic int64_t next;
} team;

static void take_tasks(void *argument, int share) {
  team *t = argument;
  for (;;) {
    const int64_t task = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
    if (task >= t->tasks) return;
    t->body(t->argument, task, share);
  }
}

void evr_parallel_for(const evr_parallel *parallel, int64_t tasks, evr_task *body, void *argument) {
  const int shares = (int)evr_min(parallel->threads, tasks);
  if (shares <= 1) {
    for (int64_t task = 0; task < tasks; task++) body(argument, task, 0);
    return;
  }
  team t = {.body = body, .argument = argument, .tasks = tasks};
  atomic_init(&t.next, 0);
  if (parallel->pool.run != NULL) {
    parallel->pool.run(parallel->pool.user, take_tasks, &t, shares);
    return;
  }
  /* OpenMP may give fewer threads than asked for; the loop still runs every share. */
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
