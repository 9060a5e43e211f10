/* Backward data of depthwise convolution with windows of 3x3 pixels that move by two, NHWC, and
 * the transposed convolution of that kind: lanes run over channels.
 *
 * Counted from the padding's corner, pixels are quads of two by two. Windows begin at the first
 * pixel of a quad, so all four take part in the window that begins there, with gradient g[r][c],
 * and some in the three before. With the weights w[kh][kw]:
 *
 *     dx[2 r][2 c]         = g[r-1][c-1] w[2][2] + g[r-1][c] w[2][0] + g[r][c-1] w[0][2] +
 *                            g[r][c] w[0][0]
 *     dx[2 r][2 c + 1]     = g[r-1][c] w[2][1] + g[r][c] w[0][1]
 *     dx[2 r + 1][2 c]     = g[r][c-1] w[1][2] + g[r][c] w[1][0]
 *     dx[2 r + 1][2 c + 1] = g[r][c] w[1][1]
 *
 * The phases of the stride, which turned.c takes one after the other, write every second pixel and
 * read the gradient four times; here both go by once. */
#include <inttypes.h>
#include <stdio.h>

#include "activation/apply.h"
#include "conv/backward_data.h"
#include "conv/pace.h"
#include "core/checked.h"
#include "simd/simd.h"

#define KERNEL 3
#define TAPS (KERNEL * KERNEL)
#define STRIDE 2
/* Quads of a row that a vector of channels meets at once: the fewer, the nearer to the order of
 * memory; where weights are loaded again for each quad anyway, the gradients are not. */
#define COLUMNS (EVR_REGISTERS >= 32 ? 2 : 4)
/* Tasks for each thread. */
#define TASKS 4

/* ---- the tile ---- */

/* Some quads of a row. */
typedef struct quads {
  const float *weights; /* [vector][kh][kw][EVR_LANES] */
  const float *bias;    /* of the first channel, or NULL */
  int64_t vectors, last_channel;
  /* Rows r and r - 1 of the gradient: column c of the first quad, floats to the next one, and
   * column c - 1. */
  const float *g[2];
  int64_t g_pixel[2];
  const float *before[2];
  /* Rows 2 r and 2 r + 1, NULL: not there; of a quad without its left column, the right one. */
  float *dx[2];
  int64_t pixel;  /* floats from the left column to the right one */
  int64_t count;  /* of quads */
  bool column[2]; /* whether columns 2 c and 2 c + 1 are there: of a single quad */
} quads;

/* Weights beside the gradients and sums, if there are registers. */
#define HELD (EVR_REGISTERS >= 32)

EVR_INLINE vf add_tap(vf g, const vf *held, const float *weights, const int kh, const int kw,
                      vf sum) {
  const int tap = kh * KERNEL + kw;
  return HELD ? vf_fma(g, held[tap], sum) : vf_fma_from(g, weights + tap * EVR_LANES, sum);
}

/* whole, a constant: both columns of all quads are there. */
EVR_INLINE void run_quads(const quads *q, const bool whole) {
  const float *w = q->weights;
  for (int64_t v = 0; v < q->vectors; v++, w += TAPS * EVR_LANES) {
    const int64_t channel = evr_min(v * EVR_LANES, q->last_channel);
    vf held[TAPS];
    if (HELD) {
      EVR_UNROLL
      for (int i = 0; i < TAPS; i++) held[i] = vf_once(vf_load(w + i * EVR_LANES));
    }
    const vf bias = q->bias != NULL ? vf_load(q->bias + channel) : vf_zero();
    const float *g = q->g[0] + channel, *above = q->g[1] + channel;
    float *even = q->dx[0] != NULL ? q->dx[0] + channel : NULL;
    float *odd = q->dx[1] != NULL ? q->dx[1] + channel : NULL;
    vf g_before = vf_load(q->before[0] + channel), above_before = vf_load(q->before[1] + channel);
    for (int64_t i = 0; i < q->count; i++) {
      const vf g_here = vf_once(vf_load(g)), above_here = vf_once(vf_load(above));
      if (even != NULL) {
        vf left = add_tap(above_before, held, w, 2, 2, vf_zero());
        left = add_tap(above_here, held, w, 2, 0, left);
        left = add_tap(g_before, held, w, 0, 2, left);
        left = add_tap(g_here, held, w, 0, 0, left);
        vf right = add_tap(above_here, held, w, 2, 1, vf_zero());
        right = add_tap(g_here, held, w, 0, 1, right);
        if (q->bias != NULL) {
          left = vf_add(left, bias);
          right = vf_add(right, bias);
        }
        if (whole || q->column[0]) vf_store(even, left);
        if (whole || q->column[1]) vf_store(even + q->pixel, right);
      }
      if (odd != NULL) {
        vf left = add_tap(g_before, held, w, 1, 2, vf_zero());
        left = add_tap(g_here, held, w, 1, 0, left);
        vf right = add_tap(g_here, held, w, 1, 1, vf_zero());
        if (q->bias != NULL) {
          left = vf_add(left, bias);
          right = vf_add(right, bias);
        }
        if (whole || q->column[0]) vf_store(odd, left);
        if (whole || q->column[1]) vf_store(odd + q->pixel, right);
      }
      g_before = g_here;
      above_before = above_here;
      if (i + 1 == q->count) break;
      if (even != NULL) even += STRIDE * q->pixel;
      if (odd != NULL) odd += STRIDE * q->pixel;
      g += q->g_pixel[0];
      above += q->g_pixel[1];
    }
  }
}

static void run_whole_quads(const quads *q) { run_quads(q, true); }
static void run_cut_quad(const quads *q) { run_quads(q, false); }

/* ---- the problem ---- */

static bool accepts(const void *problem, char *reason) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  const evr_conv2d_desc *d = &p->desc;
  /* Of a single channel the layouts are the same, and this one may not be the caller's. */
  if (d->layout != EVR_NHWC && d->in_channels > 1) {
    snprintf(reason, EVR_REASON_SIZE, "needs desc.layout NHWC; it is NCHW");
    return false;
  }
  if (p->group_in != 1 || p->group_out != 1) {
    snprintf(reason, EVR_REASON_SIZE,
             "needs one channel in and out of each group; desc.in_channels is %" PRId64
             ", desc.out_channels %" PRId64 " and desc.groups %" PRId64,
             p->exchanged ? d->out_channels : d->in_channels,
             p->exchanged ? d->in_channels : d->out_channels, d->groups);
    return false;
  }
  const struct {
    const char *field;
    int64_t needed, value;
  } demands[] = {
      {"kernel_height", KERNEL, d->kernel_height}, {"kernel_width", KERNEL, d->kernel_width},
      {"stride_height", STRIDE, d->stride_height}, {"stride_width", STRIDE, d->stride_width},
      {"dilation_height", 1, d->dilation_height},  {"dilation_width", 1, d->dilation_width}};
  for (size_t i = 0; i < sizeof demands / sizeof demands[0]; i++) {
    if (demands[i].value == demands[i].needed) continue;
    snprintf(reason, EVR_REASON_SIZE, "needs desc.%s %" PRId64 "; it is %" PRId64, demands[i].field,
             demands[i].needed, demands[i].value);
    return false;
  }
  if (d->in_channels >= EVR_LANES) return true;
  snprintf(reason, EVR_REASON_SIZE, "needs desc.in_channels %d or more; it is %" PRId64, EVR_LANES,
           d->in_channels);
  return false;
}

static int64_t count_vectors(const evr_conv2d_problem *p) {
  return evr_ceil_div(p->desc.in_channels, EVR_LANES);
}

/* The last vector ends with the last channel, and may overlap the one before. */
static int64_t vector_start(const evr_conv2d_problem *p, int64_t vector) {
  return evr_min(vector * EVR_LANES, p->desc.in_channels - EVR_LANES);
}

static size_t packed_size(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  return evr_size_floats_of(count_vectors(&p->conv), TAPS, EVR_LANES, 1);
}

static void pack(const void *problem, const float *weights, void *packed) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  float *to = packed;
  for (int64_t v = 0; v < count_vectors(p); v++)
    for (int tap = 0; tap < TAPS; tap++)
      for (int64_t i = 0; i < EVR_LANES; i++)
        *to++ =
            weights[evr_weight_offset(p, tap / KERNEL, tap % KERNEL, 0, vector_start(p, v) + i)];
}

/* A pixel of zeros, for gradients that are not there. */
static size_t workspace_size(const void *problem) {
  const evr_conv2d_backward_problem *p = problem;
  return evr_size_floats(p->conv.desc.in_channels);
}

/* ---- an execution ---- */

/* Quads of one direction: those from first on, before end, have a pixel in the image. */
typedef struct span {
  int64_t first, end;
} span;

static span find_span(int64_t pixels, int64_t pad) {
  return (span){pad / STRIDE, (pad + pixels - 1) / STRIDE + 1};
}

typedef struct job {
  const evr_conv2d_backward_problem *p;
  const evr_conv2d_backward_data_call *call;
  span rows, columns;
  int64_t a_task, tasks; /* rows of quads of a task, tasks of an image */
} job;

static bool is_there(int64_t padded, int64_t pad, int64_t pixels) {
  return evr_source_pixel(padded - pad, pixels, EVR_PAD_ZERO) >= 0;
}

/* The gradient's rows r and r - 1; NULL: zeros. */
static void run_row(const job *j, const float *const *rows, float *const *dx) {
  const evr_conv2d_problem *p = &j->p->conv;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t channels = d->in_channels, width = p->sizes.conv_width;
  const float *const zeros = j->call->workspace;
  quads q = {.weights = j->call->packed,
             .bias = j->call->bias,
             .vectors = count_vectors(p),
             .last_channel = channels - EVR_LANES};
  for (int64_t c = j->columns.first; c < j->columns.end; c += q.count) {
    const int64_t first = STRIDE * c, end = d->pad_left + d->in_width;
    q.column[0] = is_there(first, d->pad_left, d->in_width);
    q.column[1] = is_there(first + 1, d->pad_left, d->in_width);
    q.pixel = q.column[0] ? channels : 0;
    const bool whole = q.column[0] && q.column[1] && c < width;
    q.count = whole ? evr_min(evr_min(COLUMNS, width - c), (end - first) / STRIDE) : 1;
    for (int i = 0; i < 2; i++) {
      q.g[i] = rows[i] != NULL && c < width ? rows[i] + c * channels : zeros;
      q.g_pixel[i] = rows[i] != NULL && c < width ? channels : 0;
      q.before[i] =
          rows[i] != NULL && c > 0 && c - 1 < width ? rows[i] + (c - 1) * channels : zeros;
      q.dx[i] = dx[i];
      if (dx[i] != NULL) q.dx[i] += evr_max(first - d->pad_left, 0) * channels;
    }
    if (whole)
      run_whole_quads(&q);
    else
      run_cut_quad(&q);
  }
}

static void run_task(void *argument, int64_t task, int slot) {
  (void)slot;
  const job *j = argument;
  const evr_conv2d_problem *p = &j->p->conv;
  const evr_conv2d_desc *d = &p->desc;
  const int64_t n = task / j->tasks, height = p->sizes.conv_height;
  const int64_t begin = j->rows.first + task % j->tasks * j->a_task;
  const int64_t end = evr_min(begin + j->a_task, j->rows.end);
  const int64_t g_row = p->sizes.conv_width * d->in_channels, row = d->in_width * d->in_channels;
  const float *const g = j->call->g + n * height * g_row;
  float *const image = j->call->dx + n * d->in_height * row;
  for (int64_t r = begin; r < end; r++) {
    const float *const rows[2] = {r < height ? g + r * g_row : NULL,
                                  r > 0 && r - 1 < height ? g + (r - 1) * g_row : NULL};
    float *dx[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
      if (is_there(STRIDE * r + i, d->pad_top, d->in_height))
        dx[i] = image + (STRIDE * r + i - d->pad_top) * row;
    run_row(j, rows, dx);
    if (j->p->activation.kind == EVR_IDENTITY) continue;
    for (int i = 0; i < 2; i++)
      if (dx[i] != NULL) EVR_NAME(evr_activation_apply)(&j->p->activation, dx[i], dx[i], row);
  }
}

static void forward(const void *problem, const void *call) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_desc *d = &p->conv.desc;
  job j = {.p = p,
           .call = call,
           .rows = find_span(d->in_height, d->pad_top),
           .columns = find_span(d->in_width, d->pad_left)};
  memset(j.call->workspace, 0, (size_t)d->in_channels * sizeof(float));
  const int64_t rows = j.rows.end - j.rows.first, threads = p->common.parallel.threads;
  const int64_t wanted = threads > 1 ? evr_ceil_div(TASKS * threads, d->batch) : 1;
  j.a_task = evr_ceil_div(rows, evr_min(wanted, rows));
  j.tasks = evr_ceil_div(rows, j.a_task);
  evr_parallel_for(&p->common.parallel, d->batch * j.tasks, run_task, &j);
}

/* Nanoseconds on a Zen 5, as measured with images that fit in L2 or L3. */
static double cost(const void *problem) {
  const evr_conv2d_problem *p = &((const evr_conv2d_backward_problem *)problem)->conv;
  const double vectors = (double)p->sizes.x_count / EVR_LANES;
  return 45.0 + (EVR_LANES == 1 ? 3.2 : EVR_BY_WIDTH(0.62, 0.95)) * vectors;
}

const evr_kernel EVR_NAME(evr_conv2d_turned_depthwise_stride2) = {.accepts = accepts,
                                                                  .cost = cost,
                                                                  .packed_size = packed_size,
                                                                  .workspace_size = workspace_size,
                                                                  .pack = pack,
                                                                  .forward = forward};
