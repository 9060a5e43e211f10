/* The packed matrix product of every instruction set against the three loops, bit for bit: sizes
 * about the tile, odd ones, every mix of packed and plain matrices, buffers that end at unreadable
 * pages and output that must not be touched between its rows. */
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/cpu.h"
#include "core/environment.h"
#include "gemm/gemm.h"
#include "support/compare.h"
#include "support/guard.h"
#include "support/random.h"
#include "support/suite.h"

typedef struct instance {
  const char *name;
  evr_isa isa;
  const int64_t *tile_rows, *tile_columns;
  int64_t (*packed_a_count)(int64_t m, int64_t k);
  int64_t (*packed_b_count)(int64_t n, int64_t k);
  void (*pack_a)(const evr_gemm_source *source, int64_t k_begin, int64_t k, float *packed);
  void (*pack_b)(const evr_gemm_source *source, int64_t k_begin, int64_t k, float *packed);
  int64_t (*scratch_count)(const evr_gemm *gemm);
  void (*run)(const evr_gemm *gemm, float *scratch);
} instance;

/* clang-format off */
#define INSTANCE(suffix, level)                                                     \
  {#suffix, level, &evr_gemm_tile_rows_##suffix, &evr_gemm_tile_columns_##suffix,   \
   evr_gemm_packed_a_count_##suffix, evr_gemm_packed_b_count_##suffix,              \
   evr_gemm_pack_a_##suffix, evr_gemm_pack_b_##suffix,                              \
   evr_gemm_scratch_count_##suffix, evr_gemm_##suffix}
/* clang-format on */

static const instance instances[] = {
    INSTANCE(scalar, EVR_ISA_SCALAR),
#if defined(EVR_BUILD_NEON)
    INSTANCE(neon, EVR_ISA_NEON),
#endif
#if defined(EVR_BUILD_AVX2)
    INSTANCE(avx2, EVR_ISA_AVX2),
#endif
#if defined(EVR_BUILD_AVX512)
    INSTANCE(avx512, EVR_ISA_AVX512),
#endif
};
#define INSTANCES ((int)(sizeof instances / sizeof instances[0]))

static bool can_run(const instance *i) {
  evr_environment environment;
  ck_assert_int_eq(evr_environment_get(&environment), EVR_OK);
  return i->isa <= evr_cpu()->isa &&
         (environment.max_isa == EVR_ISA_ANY || i->isa <= environment.max_isa);
}

static guarded a_memory, b_memory, bias_memory, residual_memory, c_memory, packed_a_memory,
    packed_b_memory, scratch_memory, expected_memory;

static float *place(guarded *memory, int64_t count, placement where) {
  return guarded_place(memory, (size_t)count * sizeof(float), where);
}

/* Packs in two sources, as a convolution does for each tap of its window. */
static void pack(void (*function)(const evr_gemm_source *, int64_t, int64_t, float *),
                 const float *matrix, int64_t k_step, int64_t lane_step, int64_t k, int64_t lanes,
                 float *packed) {
  const int64_t half = k / 2;
  const evr_gemm_source first = {matrix, k_step, lane_step, half, lanes};
  const evr_gemm_source second = {matrix + half * k_step, k_step, lane_step, k - half, lanes};
  if (half > 0) function(&first, 0, k, packed);
  function(&second, half, k, packed);
}

/* The columns of b as rows, so that its packing has steps side by side. */
static float *transposed(const float *b, int64_t b_row, int64_t k, int64_t n) {
  static float columns[1024 * 160];
  ck_assert_int_le(k * n, (int64_t)(sizeof columns / sizeof columns[0]));
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < n; j++) columns[j * k + i] = b[i * b_row + j];
  return columns;
}

static void check_product(const instance *isa, test_random *random, int64_t m, int64_t n,
                          int64_t k) {
  const placement where = (placement)random_between(random, 0, PLACEMENTS - 1);
  const int64_t gap = random_between(random, 0, 3);
  const test_values values = random_chance(random, 20) ? VALUES_SPECIAL : VALUES_REALS;
  evr_gemm g = {.m = m,
                .n = n,
                .k = k,
                .a_row = k + gap,
                .b_row = n + gap,
                .c_row = n + gap,
                .residual_row = n + 2 * gap};
  const int64_t a_count = (m - 1) * g.a_row + k, b_count = (k - 1) * g.b_row + n;
  const int64_t c_count = (m - 1) * g.c_row + n;
  const int64_t residual_count = (m - 1) * g.residual_row + n;
  float *a = place(&a_memory, a_count, where), *b = place(&b_memory, b_count, where);
  float *bias = place(&bias_memory, evr_max(m, n), where);
  float *residual = place(&residual_memory, residual_count, where);
  float *c = place(&c_memory, c_count, where);
  float *expected = place(&expected_memory, c_count, PLACE_START);
  random_fill(random, values, 50, a, a_count);
  random_fill(random, values, 50, b, b_count);
  random_fill(random, VALUES_REALS, 1, bias, evr_max(m, n));
  random_fill(random, VALUES_REALS, 1, residual, residual_count);
  fill_untouched(c, c_count);
  fill_untouched(expected, c_count);
  g.a = a;
  g.b = b;
  g.c = expected;
  if (random_chance(random, 50)) g.row_bias = bias;
  if (random_chance(random, 50)) g.column_bias = bias;
  if (random_chance(random, 50)) g.residual = residual;
  const evr_activation_kind kinds[] = {EVR_IDENTITY, EVR_RELU, EVR_TANH};
  g.activation.kind = kinds[random_between(random, 0, 2)];
  evr_gemm_reference(&g);

  if (random_chance(random, 50)) {
    const int64_t count = isa->packed_a_count(m, k);
    float *packed = place(&packed_a_memory, count, where);
    fill_untouched(packed, count);
    pack(isa->pack_a, a, 1, g.a_row, k, m, packed);
    g.packed_a = packed;
    g.a = NULL;
  }
  if (random_chance(random, 50)) {
    const int64_t count = isa->packed_b_count(n, k);
    float *packed = place(&packed_b_memory, count, where);
    fill_untouched(packed, count);
    if (random_chance(random, 50))
      pack(isa->pack_b, b, g.b_row, 1, k, n, packed);
    else
      pack(isa->pack_b, transposed(b, g.b_row, k, n), 1, k, k, n, packed);
    g.packed_b = packed;
    g.b = NULL;
  }
  g.c = c;
  const int64_t scratch_count = isa->scratch_count(&g);
  float *scratch = scratch_count > 0 ? place(&scratch_memory, scratch_count, where) : NULL;
  if (scratch_count > 0) fill_untouched(scratch, scratch_count);
  guarded_freeze(&a_memory);
  guarded_freeze(&b_memory);
  isa->run(&g, scratch);

  const int64_t at = first_difference(c, expected, c_count);
  ck_assert_msg(at < 0,
                "%s: m %lld n %lld k %lld row pitch %lld, packed a %d b %d, activation %d, %s: "
                "element %lld is %a, not %a",
                isa->name, (long long)m, (long long)n, (long long)k, (long long)g.c_row,
                g.packed_a != NULL, g.packed_b != NULL, (int)g.activation.kind,
                placement_name(where), (long long)at, (double)c[at], (double)expected[at]);
  ck_assert(guarded_intact(&c_memory));
  if (scratch_count > 0) ck_assert(guarded_intact(&scratch_memory));
}

START_TEST(products) {
  const instance *isa = &instances[_i];
  if (!can_run(isa)) {
    printf("skipped: gemm %s (this machine or EVR_MAX_ISA does not allow it)\n", isa->name);
    return;
  }
  test_random random = {test_seed()};
  const int64_t r = *isa->tile_rows, c = *isa->tile_columns;
  const int64_t ms[] = {1, r - 1, r, r + 1, 2 * r + 1, 31, 16 * r + 1};
  const int64_t ns[] = {1, 2, 7, c / 2 + 1, c - 1, c, c + 1, 2 * c + 3};
  const int64_t ks[] = {1, 2, 3, 17, 64, 255, 257, 521};
  const int count_m = sizeof ms / sizeof ms[0], count_n = sizeof ns / sizeof ns[0],
            count_k = sizeof ks / sizeof ks[0];
  const int64_t stride = test_scale();
  int64_t number = 0;
  for (int i = 0; i < count_m; i++)
    for (int j = 0; j < count_n; j++)
      for (int l = 0; l < count_k; l++)
        if (number++ % stride == 0) check_product(isa, &random, ms[i], ns[j], ks[l]);
}
END_TEST

int main(void) {
  suite_begin("gemm");
  Suite *suite = suite_create("gemm");
  TCase *tests = suite_case(suite, "gemm");
  tcase_add_loop_test(tests, products, 0, INSTANCES);
  return suite_end(suite);
}
