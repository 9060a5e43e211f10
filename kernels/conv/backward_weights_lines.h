/* The register tile of depthwise backward weights for windows of 3x3 pixels that are two apart:
 * T output columns by V vectors of channels, for one row of the image.
 *
 *     for each row g of outputs whose windows have it, as their row kh:
 *       for each column t: sums[kh][kw] = fma(x[2 t + kw], g[t], sums[kh][kw])
 *
 * So the image is read once. Tiles of output rows (backward_weights_taps.h) come back to one of
 * two image rows when it has left the first level cache, and reading is what bounds them: this one
 * takes 0.7 of their time on 256 channels of 28x28. It needs 32 registers. Where windows are one
 * apart nothing would be gained: three rows of g would be read for each of the image, in place of
 * three of the image for each of g. */
#ifndef EVR_CONV_BACKWARD_WEIGHTS_LINES_H
#define EVR_CONV_BACKWARD_WEIGHTS_LINES_H

#include "conv/backward_weights_taps.h"

#define EVR_LINES_STRIDE 2
/* The tile, T x V; and a task with so few vectors takes all of them at once. With one more of each
 * gcc runs out of NEON's registers. */
#define EVR_LINES_COLUMNS 7
#if EVR_LANES == 16
#define EVR_LINES_VECTORS 3
#define EVR_LINES_FEW 4
#else
#define EVR_LINES_VECTORS 2
#define EVR_LINES_FEW 3
#endif
/* Rows of windows that have a row of the image, at most. */
#define EVR_LINES_USES 2

/* One row of the padded image. */
typedef struct evr_taps_line {
  const float *const *pixels; /* of each column, where its first channel is */
  int64_t width, vectors;     /* of the output */
  int64_t g_pixel;            /* floats from one column to the next */
  float *sums;                /* [vector][EVR_TAPS_SUMS][EVR_LANES] */
  int uses;
  struct {
    int64_t kh; /* the row of the window that it is */
    const float *g;
  } use[EVR_LINES_USES];
} evr_taps_line;

/* The sums of the window rows that are in use, of V vectors, whose sums are at `all`; U and V are
 * constants where this is inlined. */
EVR_INLINE void evr_lines_load(const evr_taps_line *line, const int U, const int V,
                               const float *all,
                               vf acc[EVR_LINES_USES][EVR_TAPS_WIDTH][EVR_LINES_FEW]) {
  const int K = EVR_TAPS_WIDTH, pitch = EVR_TAPS_SUMS * EVR_LANES;
  EVR_UNROLL
  for (int u = 0; u < U; u++) {
    const float *const sums = all + line->use[u].kh * K * EVR_LANES;
    EVR_UNROLL
    for (int i = 0; i < K * V; i++)
      acc[u][i % K][i / K] = vf_load(sums + i / K * pitch + i % K * EVR_LANES);
  }
}

EVR_INLINE void evr_lines_store(const evr_taps_line *line, const int U, const int V, float *all,
                                vf acc[EVR_LINES_USES][EVR_TAPS_WIDTH][EVR_LINES_FEW]) {
  const int K = EVR_TAPS_WIDTH, pitch = EVR_TAPS_SUMS * EVR_LANES;
  EVR_UNROLL
  for (int u = 0; u < U; u++) {
    float *const sums = all + line->use[u].kh * K * EVR_LANES;
    EVR_UNROLL
    for (int i = 0; i < K * V; i++)
      vf_store(sums + i / K * pitch + i % K * EVR_LANES, acc[u][i % K][i / K]);
  }
}

/* Columns from first on, vectors from vector on; U uses, T and V are constants where this is
 * inlined. */
EVR_INLINE void evr_lines_tile(const evr_taps_line *line, const int U, const int T, const int V,
                               int64_t first, int64_t vector) {
  const int K = EVR_TAPS_WIDTH, S = EVR_LINES_STRIDE, pitch = EVR_TAPS_SUMS * EVR_LANES;
  const int64_t channel = vector * EVR_LANES, step = evr_anew(line->g_pixel);
  const float *const *const pixels = line->pixels + evr_anew(first * S);
  float *const all = line->sums + vector * pitch;
  const float *g[EVR_LINES_USES];
  vf value[EVR_LINES_USES][EVR_LINES_COLUMNS][EVR_LINES_VECTORS];
  vf acc[EVR_LINES_USES][EVR_TAPS_WIDTH][EVR_LINES_FEW];
  EVR_UNROLL
  for (int u = 0; u < U; u++) g[u] = line->use[u].g + first * step + channel;
  evr_lines_load(line, U, V, all, acc);
  EVR_UNROLL
  for (int column = 0; column < (T - 1) * S + K; column++) {
    if (column % S == 0 && column / S < T) {
      EVR_UNROLL
      for (int u = 0; u < U; u++) {
        EVR_UNROLL
        for (int v = 0; v < V; v++)
          value[u][column / S][v] = vf_once(vf_load(g[u] + v * EVR_LANES));
        if (column / S + 1 < T) g[u] += step;
      }
    }
    const float *const from = pixels[column] + channel;
    EVR_UNROLL
    for (int v = 0; v < V; v++) {
      const vf x = vf_once(vf_load(from + v * EVR_LANES));
      EVR_UNROLL
      for (int k = 0; k < K; k++) {
        const int t = (column - k) / S;
        if (column < k || (column - k) % S != 0 || t >= T) continue;
        EVR_UNROLL
        for (int u = 0; u < U; u++) acc[u][k][v] = vf_fma(x, value[u][t][v], acc[u][k][v]);
      }
    }
  }
  evr_lines_store(line, U, V, all, acc);
  /* The middle row of a window is never that of another. */
  if (U != 1 || line->use[0].kh != 1) return;
  EVR_UNROLL
  for (int v = 0; v < V; v++) {
    float *const to = all + v * pitch + K * K * EVR_LANES;
    vf bias = vf_load(to);
    EVR_UNROLL
    for (int t = 0; t < T; t++) bias = vf_add(bias, value[0][t][v]);
    vf_store(to, bias);
  }
}

/* All columns of the row by all V vectors of the task. Each load is as far from the one before as
 * the next will be, so that it is foreseen; whole pixels are read in the order of memory. */
EVR_INLINE void evr_lines_pixels(const evr_taps_line *line, const int U, const int V) {
  const int K = EVR_TAPS_WIDTH, S = EVR_LINES_STRIDE, pitch = EVR_TAPS_SUMS * EVR_LANES;
  const float *const *pixels = line->pixels;
  const float *g[EVR_LINES_USES];
  vf acc[EVR_LINES_USES][EVR_TAPS_WIDTH][EVR_LINES_FEW], x[EVR_LINES_FEW], bias[EVR_LINES_FEW];
  EVR_UNROLL
  for (int u = 0; u < U; u++) g[u] = line->use[u].g;
  evr_lines_load(line, U, V, line->sums, acc);
  EVR_UNROLL
  for (int v = 0; v < V; v++) {
    x[v] = vf_load(pixels[0] + v * EVR_LANES);
    bias[v] = vf_load(line->sums + v * pitch + K * K * EVR_LANES);
  }
  EVR_ROLL
  for (int64_t t = 0; t < line->width; t++, pixels += S) {
    EVR_UNROLL
    for (int v = 0; v < V; v++) {
      vf value[EVR_LINES_USES];
      EVR_UNROLL
      for (int u = 0; u < U; u++) {
        value[u] = vf_once(vf_load(g[u] + v * EVR_LANES));
        acc[u][0][v] = vf_fma(x[v], value[u], acc[u][0][v]);
      }
      const vf middle = vf_once(vf_load(pixels[1] + v * EVR_LANES));
      EVR_UNROLL
      for (int u = 0; u < U; u++) acc[u][1][v] = vf_fma(middle, value[u], acc[u][1][v]);
      x[v] = vf_once(vf_load(pixels[2] + v * EVR_LANES));
      EVR_UNROLL
      for (int u = 0; u < U; u++) acc[u][2][v] = vf_fma(x[v], value[u], acc[u][2][v]);
      if (U == 1) bias[v] = vf_add(bias[v], value[0]);
    }
    if (t + 1 == line->width) break;
    EVR_UNROLL
    for (int u = 0; u < U; u++) g[u] += line->g_pixel;
  }
  evr_lines_store(line, U, V, line->sums, acc);
  if (U != 1 || line->use[0].kh != 1) return;
  EVR_UNROLL
  for (int v = 0; v < V; v++) vf_store(line->sums + v * pitch + K * K * EVR_LANES, bias[v]);
}

EVR_INLINE void evr_lines_columns(const evr_taps_line *line, const int U, const int T,
                                  int64_t first) {
  for (int64_t v = 0, count; v < line->vectors; v += count) {
    count = evr_taps_share(line->vectors - v, EVR_LINES_VECTORS);
    if (count == EVR_LINES_VECTORS)
      evr_lines_tile(line, U, T, EVR_LINES_VECTORS, first, v);
    else if (count == EVR_LINES_VECTORS - 1)
      evr_lines_tile(line, U, T, EVR_LINES_VECTORS - 1, first, v);
    else
      evr_lines_tile(line, U, T, 1, first, v);
  }
}

EVR_INLINE void evr_lines_run(const evr_taps_line *line, const int U) {
  const int T = EVR_LINES_COLUMNS;
  _Static_assert(EVR_LINES_FEW == 3 || EVR_LINES_FEW == 4, "those below");
  switch (line->vectors) {
#if EVR_LINES_FEW == 4
    case 4: evr_lines_pixels(line, U, 4); return;
#endif
    case 3: evr_lines_pixels(line, U, 3); return;
    case 2: evr_lines_pixels(line, U, 2); return;
    case 1: evr_lines_pixels(line, U, 1); return;
    default: break;
  }
  int64_t i = 0;
  for (; i + T <= line->width; i += T) evr_lines_columns(line, U, T, i);
  if (line->width - i >= 4) {
    evr_lines_columns(line, U, 4, i);
    i += 4;
  }
  switch (line->width - i) {
    case 3: evr_lines_columns(line, U, 3, i); break;
    case 2: evr_lines_columns(line, U, 2, i); break;
    case 1: evr_lines_columns(line, U, 1, i); break;
    default: break;
  }
}

/* Adds one row of the image to the sums of its one or two uses. */
static void evr_lines_add(const evr_taps_line *line) {
  if (line->uses == 1)
    evr_lines_run(line, 1);
  else
    evr_lines_run(line, 2);
}

#endif
