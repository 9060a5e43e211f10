/* From four loops to SIMD: runs every step of the tutorial (docs/tutorial.md) on one layer, checks
 * that all give the same result, times them side by side and prints the page's table.
 *
 *   four_loops_to_simd [--isa scalar|neon|avx2|avx512] [--threads N] [--check]
 *
 * --check only compares results, on small layers. */
#include <evrisim/evrisim.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "layer.h"

enum { ROUNDS = 7, SKIPPED = 77 };

typedef struct row {
  const char *name;
  step *run;       /* NULL: the library */
  bool in_vectors; /* a fraction of the vector peak means something */
  int threads;
  double seconds; /* least over all rounds */
} row;

typedef struct bench {
  layer layer;
  buffers buffers;
  float *expected; /* what step 1 gives */
  evr_conv2d_plan *plan[2];
  void *packed[2];
} bench;

static void die(const char *what) {
  fprintf(stderr, "four_loops_to_simd: %s\n", what);
  exit(1);
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What runs on one thread is timed by that thread's own clock, which stands still while something
 * else has the processor: a busy machine then gives much the same figures as an idle one. */
static clockid_t clock_for(int threads) {
  return threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
}

static void *take(int64_t bytes) {
  void *memory = aligned_alloc(64, ((size_t)bytes + 63) / 64 * 64);
  if (memory == NULL) die("out of memory");
  return memory;
}

static float *floats(int64_t count) { return take(count * (int64_t)sizeof(float)); }

/* Small whole numbers: every sum is exact in whatever order it is taken, so the steps can be
 * compared bit for bit although some round after each product and some do not. */
static float *random_floats(int64_t count, uint32_t *state) {
  float *values = floats(count);
  for (int64_t i = 0; i < count; i++) {
    *state = *state * 1664525u + 1013904223u;
    values[i] = (float)(*state >> 24) / 16.0f;
    values[i] = (float)((int)values[i] - 8);
  }
  return values;
}

static void make_plan(bench *w, int which, evr_isa isa, int threads) {
  const layer *l = &w->layer;
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.batch = l->batch;
  desc.in_channels = l->in_channels;
  desc.out_channels = l->out_channels;
  desc.in_height = l->height;
  desc.in_width = l->width;
  desc.kernel_height = desc.kernel_width = KERNEL;
  desc.pad_top = desc.pad_bottom = desc.pad_left = desc.pad_right = PAD;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.max_isa = isa;
  options.num_threads = threads;
  if (evr_conv2d_plan_create(&desc, &options, &w->plan[which]) != EVR_OK) die(evr_last_error());
  w->packed[which] = take((int64_t)evr_conv2d_packed_size(w->plan[which]));
  if (evr_conv2d_pack(w->plan[which], w->buffers.weights, w->packed[which]) != EVR_OK)
    die(evr_last_error());
}

static void make_bench(bench *w, const vector_steps *v, const layer *l, evr_isa isa, int threads) {
  uint32_t state = 1;
  const int64_t weights = sum_depth(l) * l->out_channels;
  float *packed = floats(weights);
  float *zeros = floats(l->in_channels);
  for (int64_t i = 0; i < l->in_channels; i++) zeros[i] = 0.0f;
  w->layer = *l;
  w->buffers = (buffers){.x = random_floats(pixel_count(l) * l->in_channels, &state),
                         .weights = random_floats(weights, &state),
                         .packed = packed,
                         .zeros = zeros,
                         .matrix = floats(pixel_count(l) * sum_depth(l)),
                         .y = floats(pixel_count(l) * l->out_channels),
                         .threads = threads};
  w->expected = floats(pixel_count(l) * l->out_channels);
  v->pack(l, w->buffers.weights, packed);
  make_plan(w, 0, isa, 1);
  make_plan(w, 1, isa, threads);
}

static void free_bench(bench *w) {
  free((void *)(uintptr_t)w->buffers.x);
  free((void *)(uintptr_t)w->buffers.weights);
  free((void *)(uintptr_t)w->buffers.packed);
  free((void *)(uintptr_t)w->buffers.zeros);
  free(w->buffers.matrix);
  free(w->buffers.y);
  free(w->expected);
  for (int i = 0; i < 2; i++) {
    evr_conv2d_plan_destroy(w->plan[i]);
    free(w->packed[i]);
  }
}

static void run(bench *w, const row *r) {
  if (r->run != NULL) {
    r->run(&w->layer, &w->buffers);
    return;
  }
  const int which = r->threads > 1;
  const evr_conv2d_arguments arguments = {.x = w->buffers.x,
                                          .weights = w->buffers.weights,
                                          .packed = w->packed[which],
                                          .y = w->buffers.y};
  if (evr_conv2d_execute(w->plan[which], &arguments) != EVR_OK) die(evr_last_error());
}

/* Every step once, into an output full of something else. */
static void check(bench *w, const row *rows, int count) {
  const size_t bytes = (size_t)(pixel_count(&w->layer) * w->layer.out_channels) * sizeof(float);
  for (int i = 0; i < count; i++) {
    memset(w->buffers.y, 0xa5, bytes);
    run(w, &rows[i]);
    if (i == 0) memcpy(w->expected, w->buffers.y, bytes);
    if (memcmp(w->expected, w->buffers.y, bytes) == 0) continue;
    fprintf(stderr, "four_loops_to_simd: \"%s\" differs from step 1\n", rows[i].name);
    exit(1);
  }
}

/* Least time of a run, among as many as fit in a few hundredths of a second: what the machine does
 * besides can only make a run longer. */
static double time_of(bench *w, const row *r) {
  const clockid_t clock = clock_for(r->threads);
  double least = 0.0;
  for (const double start = now(clock); least == 0.0 || now(clock) - start < 0.03;) {
    const double begin = now(clock);
    run(w, r);
    const double seconds = now(clock) - begin;
    if (least == 0.0 || seconds < least) least = seconds;
  }
  return least;
}

static double peak_of(const vector_steps *v) {
  const clockid_t clock = clock_for(1);
  const int64_t rounds = 10000; /* a millisecond or less */
  const double flop = 2.0 * CHAINS * LINKS * (double)v->lanes * (double)rounds;
  double peak = 0.0;
  for (const double start = now(clock); peak == 0.0 || now(clock) - start < 0.03;) {
    const double begin = now(clock);
    volatile float sink = v->multiply_add(rounds);
    (void)sink;
    const double rate = flop / (now(clock) - begin);
    if (rate > peak) peak = rate;
  }
  return peak;
}

/* Least of all rounds; a round takes each step in turn, so that all meet the same machine. */
static void time_rows(bench *w, row *rows, int count, const vector_steps *v, double *peak) {
  *peak = 0.0;
  for (int round = 0; round < ROUNDS; round++) {
    const double rate = peak_of(v);
    if (rate > *peak) *peak = rate;
    for (int i = 0; i < count; i++) {
      const double seconds = time_of(w, &rows[i]);
      if (round == 0 || seconds < rows[i].seconds) rows[i].seconds = seconds;
    }
  }
}

static void print_table(const bench *w, const row *rows, int count, const vector_steps *v,
                        evr_isa isa, double peak) {
  const layer *l = &w->layer;
  const double flop = 2.0 * (double)(pixel_count(l) * l->out_channels * sum_depth(l));
  evr_cpu_info cpu;
  if (evr_cpu_query(&cpu) != EVR_OK) die(evr_last_error());
  printf("CPU: %s, %s, %lld floats to a vector\n", cpu.model, evr_isa_name(isa),
         (long long)v->lanes);
  printf("Layer: %lld x %lld x %lld -> %lld channels, 3 x 3, pad 1: %.0f MFLOP\n",
         (long long)l->height, (long long)l->width, (long long)l->in_channels,
         (long long)l->out_channels, flop * 1e-6);
  printf("Peak of one core: %.1f GFLOP/s; register tile: %lld pixels x %lld channels\n",
         peak * 1e-9, (long long)v->tile_pixels, (long long)v->tile_channels);
  printf("All steps gave the same result, bit for bit.\n\n");
  printf("| step | time, ms | GFLOP/s | of peak | times step 1 |\n|---|--:|--:|--:|--:|\n");
  for (int i = 0; i < count; i++) {
    const row *r = &rows[i];
    printf("| %s | %.2f | %.1f | %.0f %% | %.1f |\n", r->name, r->seconds * 1e3,
           flop / r->seconds * 1e-9, 100.0 * flop / r->seconds / (peak * r->threads),
           rows[0].seconds / r->seconds);
  }
  printf(
      "\n\"evrisim\" is the library's own choice, %s, with packed weights; the peak of several\n"
      "threads is taken as so many times that of one core.\n",
      evr_conv2d_plan_variant(w->plan[0]));
}

static const vector_steps *steps_of(evr_isa isa) {
  switch (isa) {
#if defined(TUTORIAL_AVX512)
    case EVR_ISA_AVX512: return &vector_steps_avx512;
#endif
#if defined(TUTORIAL_AVX2)
    case EVR_ISA_AVX2: return &vector_steps_avx2;
#endif
#if defined(TUTORIAL_NEON)
    case EVR_ISA_NEON: return &vector_steps_neon;
#endif
    case EVR_ISA_SCALAR: return &vector_steps_scalar;
    default: return NULL;
  }
}

int main(int argc, char **argv) {
  evr_cpu_info cpu;
  if (evr_cpu_query(&cpu) != EVR_OK) die(evr_last_error());
  /* Tiles are beyond this tutorial. */
  evr_isa isa = cpu.isa == EVR_ISA_AMX ? EVR_ISA_AVX512 : cpu.isa;
  int threads = cpu.logical_cpus;
  bool only_check = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--check") == 0) {
      only_check = true;
    } else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
      i++;
      isa = EVR_ISA_ANY;
      for (int level = EVR_ISA_SCALAR; level <= EVR_ISA_AVX512; level++)
        if (strcmp(argv[i], evr_isa_name((evr_isa)level)) == 0) isa = (evr_isa)level;
      if (isa == EVR_ISA_ANY) die("--isa takes scalar, neon, avx2 or avx512");
    } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      threads = atoi(argv[++i]);
      if (threads < 1 || threads > 1024) die("--threads takes a number from 1 to 1024");
    } else {
      die("usage: four_loops_to_simd [--isa scalar|neon|avx2|avx512] [--threads N] [--check]");
    }
  }
  const vector_steps *v = isa <= cpu.isa ? steps_of(isa) : NULL;
  if (v == NULL) {
    fprintf(stderr, "four_loops_to_simd: this machine or build has no %s\n", evr_isa_name(isa));
    return SKIPPED;
  }
  if (!v->parallel) threads = 1;
  char last_step[64], last_library[64];
  snprintf(last_step, sizeof last_step, "9. %d threads", threads);
  snprintf(last_library, sizeof last_library, "evrisim, %d threads", threads);
  row rows[] = {
      {"1. four loops and a single step", four_loops, false, 1, 0.0},
      {"2. output channels innermost", channels_inside, false, 1, 0.0},
      {"3. im2col and a plain product", im2col_naive, false, 1, 0.0},
      {"4. the product in blocks", im2col_blocked, false, 1, 0.0},
      {"5. a vector of output channels", v->one_vector, true, 1, 0.0},
      {"6. a tile of sums in registers", v->register_tile, true, 1, 0.0},
      {"7. packed weights, matrix in bands", v->cache_blocks, true, 1, 0.0},
      {"8. pointers instead of a matrix", v->pixel_pointers, true, 1, 0.0},
      {last_step, v->threads, true, threads, 0.0},
      {"evrisim, 1 thread", NULL, true, 1, 0.0},
      {last_library, NULL, true, threads, 0.0},
  };
  const int count = (int)(sizeof rows / sizeof rows[0]);
  static const layer small[] = {{1, 1, 1, 1, 64}, {2, 7, 5, 3, 128}, {1, 13, 17, 20, 64}};
  static const layer lesson = {1, 56, 56, 64, 64};
  for (size_t i = 0; i < sizeof small / sizeof small[0] && only_check; i++) {
    bench w;
    make_bench(&w, v, &small[i], isa, threads);
    check(&w, rows, count);
    free_bench(&w);
  }
  if (only_check) return 0;
  bench w;
  double peak;
  make_bench(&w, v, &lesson, isa, threads);
  check(&w, rows, count);
  time_rows(&w, rows, count, v, &peak);
  print_table(&w, rows, count, v, isa, peak);
  free_bench(&w);
  return 0;
}
