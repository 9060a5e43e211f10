/* The packed matrix product: tiles of C in registers, blocks of A and B that fit the caches.
 *
 * A is read as it is, row by row, or packed in panels of EVR_GEMM_ROWS rows, [panel][k][row]. B is
 * packed in panels of EVR_GEMM_COLUMNS columns, [panel][k][column], the last one only as many
 * vectors wide as it needs; b that comes unpacked is packed a block at a time on the way. */
#include "gemm/gemm.h"

#include "activation/apply.h"
#include "core/checked.h"
#include "gemm/tile.h"

/* Steps that a block of B is deep: it stays in the second level cache, and mostly in the first,
 * while all rows of A pass; deeper blocks store and load C less often. */
#define DEPTH 256

/* Rows of A that pass over all of B before the next rows do, so that a block of them stays in the
 * second level cache. */
#define PASS (16 * EVR_GEMM_ROWS)

const int64_t EVR_NAME(evr_gemm_tile_rows) = EVR_GEMM_ROWS;
const int64_t EVR_NAME(evr_gemm_tile_columns) = EVR_GEMM_COLUMNS;

#define TILE(rows, vectors)                                           \
  static void panel_tile_##rows##_##vectors(const evr_gemm_tile *t) { \
    evr_gemm_multiply(rows, vectors, true, t);                        \
  }                                                                   \
  static void rows_tile_##rows##_##vectors(const evr_gemm_tile *t) {  \
    evr_gemm_multiply(rows, vectors, false, t);                       \
  }
#define PANEL_TILE(rows, vectors) panel_tile_##rows##_##vectors
#define ROWS_TILE(rows, vectors) rows_tile_##rows##_##vectors

#if EVR_GEMM_VECTORS == 4
#define EACH_WIDTH(tile, rows) \
  { tile(rows, 1), tile(rows, 2), tile(rows, 3), tile(rows, 4) }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4)
#else
#define EACH_WIDTH(tile, rows) \
  { tile(rows, 1), tile(rows, 2) }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#endif

TILES(1)
TILES(2)
TILES(3)
TILES(4)
#if EVR_GEMM_ROWS == 6
TILES(5)
TILES(6)
#define EACH_TILE(tile)                                                                 \
  {                                                                                     \
    EACH_WIDTH(tile, 1), EACH_WIDTH(tile, 2), EACH_WIDTH(tile, 3), EACH_WIDTH(tile, 4), \
        EACH_WIDTH(tile, 5), EACH_WIDTH(tile, 6)                                        \
  }
#else
#define EACH_TILE(tile) \
  { EACH_WIDTH(tile, 1), EACH_WIDTH(tile, 2), EACH_WIDTH(tile, 3), EACH_WIDTH(tile, 4) }
#endif

static evr_gemm_tile_function *const panel_tiles[EVR_GEMM_ROWS][EVR_GEMM_VECTORS] =
    EACH_TILE(PANEL_TILE);
static evr_gemm_tile_function *const rows_tiles[EVR_GEMM_ROWS][EVR_GEMM_VECTORS] =
    EACH_TILE(ROWS_TILE);

void EVR_NAME(evr_gemm_run_tile)(const evr_gemm_tile *tile, int64_t rows, bool panel) {
  const int64_t vectors = evr_ceil_div(tile->columns, EVR_LANES);
  (panel ? panel_tiles : rows_tiles)[rows - 1][vectors - 1](tile);
  const evr_activation_kind kind = tile->activation->kind;
  if (tile->last && kind != EVR_IDENTITY && kind != EVR_RELU)
    for (int64_t r = 0; r < rows; r++) {
      float *c = tile->c + r * tile->c_row;
      EVR_NAME(evr_activation_apply)(tile->activation, c, c, tile->columns);
    }
}

int64_t EVR_NAME(evr_gemm_packed_a_count)(int64_t m, int64_t k) {
  return evr_round_up(m, EVR_GEMM_ROWS) * k;
}

int64_t EVR_NAME(evr_gemm_packed_b_count)(int64_t n, int64_t k) {
  return evr_round_up(n, EVR_LANES) * k;
}

/* Lanes i to i + EVR_LANES of a panel whose steps lie side by side. */
static void transpose(const evr_gemm_source *s, int64_t i, int64_t width, float *packed) {
  const float *from = s->source + i * s->lane_step;
  for (int64_t k = 0; k < s->k; k += EVR_LANES) {
    const int64_t count = evr_min(EVR_LANES, s->k - k);
    vf block[EVR_LANES];
    EVR_UNROLL
    for (int64_t l = 0; l < EVR_LANES; l++)
      block[l] = count == EVR_LANES ? vf_load(from + l * s->lane_step + k)
                                    : vf_load_n(from + l * s->lane_step + k, count);
    vf_transpose(block);
    EVR_UNROLL
    for (int64_t l = 0; l < EVR_LANES; l++)
      if (l < count) vf_store(packed + (k + l) * width + i, block[l]);
  }
}

/* One panel, width lanes wide, of which source has the first ones; the rest are zeros. */
static void pack_panel(const evr_gemm_source *s, int64_t width, float *packed) {
  const int64_t lanes = evr_min(s->lanes, width);
  int64_t begin = 0;
  if (s->k_step == 1)
    for (; begin + EVR_LANES <= lanes; begin += EVR_LANES) transpose(s, begin, width, packed);
  for (int64_t k = 0; k < s->k; k++) {
    const float *from = s->source + k * s->k_step;
    float *to = packed + k * width;
    int64_t i = begin;
    if (s->lane_step == 1) {
      for (; i + EVR_LANES <= lanes; i += EVR_LANES) vf_store(to + i, vf_load(from + i));
      if (i < lanes && i + EVR_LANES <= width) { /* what is not loaded is 0 */
        vf_store(to + i, vf_load_n(from + i, lanes - i));
        continue;
      }
    }
    for (; i < lanes; i++) to[i] = from[i * s->lane_step];
    for (; i < width; i++) to[i] = 0.0f;
  }
}

static void pack(const evr_gemm_source *source, int64_t k_begin, int64_t k, int64_t panel,
                 int64_t unit, float *packed) {
  for (int64_t i = 0; i < source->lanes; i += panel) {
    evr_gemm_source part = *source;
    part.source += i * source->lane_step;
    part.lanes -= i;
    const int64_t width = evr_min(evr_round_up(part.lanes, unit), panel);
    pack_panel(&part, width, packed + i * k + k_begin * width);
  }
}

void EVR_NAME(evr_gemm_pack_a)(const evr_gemm_source *source, int64_t k_begin, int64_t k,
                               float *packed) {
  pack(source, k_begin, k, EVR_GEMM_ROWS, EVR_GEMM_ROWS, packed);
}

void EVR_NAME(evr_gemm_pack_b)(const evr_gemm_source *source, int64_t k_begin, int64_t k,
                               float *packed) {
  pack(source, k_begin, k, EVR_GEMM_COLUMNS, EVR_LANES, packed);
}

int64_t EVR_NAME(evr_gemm_scratch_count)(const evr_gemm *g) {
  return g->packed_b != NULL ? 0 : evr_min(g->k, DEPTH) * EVR_GEMM_COLUMNS;
}

/* Rows i_begin to i_end of one panel of columns, from j on, and steps k to k + depth. b is the
 * panel's block. */
static void multiply_block(const evr_gemm *g, int64_t i_begin, int64_t i_end, int64_t j, int64_t k,
                           int64_t depth, const float *b) {
  const int64_t columns = evr_min(g->n - j, EVR_GEMM_COLUMNS);
  const bool panel = g->packed_a != NULL;
  evr_gemm_tile tile = {.depth = depth,
                        .a_row = g->a_row,
                        .b = b,
                        .b_row = evr_round_up(columns, EVR_LANES),
                        .c_row = g->c_row,
                        .residual_row = g->residual_row,
                        .columns = columns,
                        .first = k == 0,
                        .last = k + depth == g->k,
                        .column_bias = g->column_bias != NULL ? g->column_bias + j : NULL,
                        .activation = &g->activation};
  for (int64_t i = i_begin; i < i_end; i += EVR_GEMM_ROWS) {
    tile.a = panel ? g->packed_a + i * g->k + k * EVR_GEMM_ROWS : g->a + i * g->a_row + k;
    tile.c = g->c + i * g->c_row + j;
    tile.row_bias = g->row_bias != NULL ? g->row_bias + i : NULL;
    tile.residual = g->residual != NULL ? g->residual + i * g->residual_row + j : NULL;
    EVR_NAME(evr_gemm_run_tile)(&tile, evr_min(i_end - i, EVR_GEMM_ROWS), panel);
  }
}

/* Columns j to j + panels * EVR_GEMM_COLUMNS of C's only row; panels is a constant. */
EVR_INLINE void multiply_row(const evr_gemm *g, int64_t j, const int panels) {
  enum { COLUMNS = EVR_GEMM_COLUMNS, VECTORS = EVR_GEMM_VECTORS };
  vf sum[EVR_GEMM_ROW_PANELS][VECTORS];
  EVR_UNROLL
  for (int i = 0; i < panels * VECTORS; i++) sum[i / VECTORS][i % VECTORS] = vf_zero();
  const float *b = g->packed_b + j * g->k;
  const int64_t next = COLUMNS * g->k, depth = g->k;
  for (int64_t k = 0; k < depth; k++, b += COLUMNS) {
    const vf a = vf_set1(g->a[k]);
    EVR_UNROLL
    for (int i = 0; i < panels * VECTORS; i++)
      sum[i / VECTORS][i % VECTORS] =
          vf_fma(a, vf_load(b + i / VECTORS * next + i % VECTORS * EVR_LANES),
                 sum[i / VECTORS][i % VECTORS]);
  }
  float *const c = g->c + j;
  EVR_UNROLL
  for (int i = 0; i < panels * VECTORS; i++) {
    vf value = sum[i / VECTORS][i % VECTORS];
    if (g->row_bias != NULL) value = vf_add(value, vf_set1(g->row_bias[0]));
    if (g->column_bias != NULL) value = vf_add(value, vf_load(g->column_bias + j + i * EVR_LANES));
    if (g->residual != NULL) value = vf_add(value, vf_load(g->residual + j + i * EVR_LANES));
    vf_store(c + i * EVR_LANES, value);
  }
  EVR_NAME(evr_activation_apply)(&g->activation, c, c, panels * COLUMNS);
}

/* Whole panels of C's only row. Returns the columns done. */
static int64_t multiply_only_row(const evr_gemm *g) {
  const int64_t panels = g->n / EVR_GEMM_COLUMNS;
  int64_t panel = 0;
  for (; panel + EVR_GEMM_ROW_PANELS <= panels; panel += EVR_GEMM_ROW_PANELS)
    multiply_row(g, panel * EVR_GEMM_COLUMNS, EVR_GEMM_ROW_PANELS);
#if EVR_GEMM_VECTORS == 2
  if (panels - panel == 3) multiply_row(g, panel * EVR_GEMM_COLUMNS, 3);
  if (panels - panel == 2) multiply_row(g, panel * EVR_GEMM_COLUMNS, 2);
  if (panels - panel == 1) multiply_row(g, panel * EVR_GEMM_COLUMNS, 1);
#endif
  return panels * EVR_GEMM_COLUMNS;
}

void EVR_NAME(evr_gemm)(const evr_gemm *g, float *scratch) {
  /* Blocks of equal depth, at most DEPTH. */
  const int64_t block = evr_ceil_div(g->k, evr_ceil_div(g->k, DEPTH));
  if (g->packed_b != NULL) {
    const bool single = EVR_GEMM_ROW_PANELS > 1 && g->m == 1 && g->packed_a == NULL;
    const int64_t done = single ? multiply_only_row(g) : 0;
    for (int64_t i = 0; i < g->m; i += PASS)
      for (int64_t k = 0; k < g->k; k += block)
        for (int64_t j = done; j < g->n; j += EVR_GEMM_COLUMNS) {
          const int64_t width = evr_min(evr_round_up(g->n - j, EVR_LANES), EVR_GEMM_COLUMNS);
          multiply_block(g, i, evr_min(i + PASS, g->m), j, k, evr_min(block, g->k - k),
                         g->packed_b + j * g->k + k * width);
        }
    return;
  }
  for (int64_t j = 0; j < g->n; j += EVR_GEMM_COLUMNS)
    for (int64_t k = 0; k < g->k; k += block) {
      const int64_t depth = evr_min(block, g->k - k);
      const evr_gemm_source source = {g->b + k * g->b_row + j, g->b_row, 1, depth,
                                      evr_min(g->n - j, EVR_GEMM_COLUMNS)};
      EVR_NAME(evr_gemm_pack_b)(&source, 0, depth, scratch);
      multiply_block(g, 0, g->m, j, k, depth, scratch);
    }
}
