#include "conv/turned.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "activation/reference.h"
#include "conv/turned_parts.h"
#include "core/memory.h"

/* Rows are handed out in tasks of about this many floats. */
#define TASK_FLOATS 32768
/* Of a window in one direction: more are not searched for each pixel or row. */
#define MANY_TAPS 64

/* ---- may it, and what does it take ---- */

static bool accepts_part(const evr_part *t, void *argument) {
  return t->kernel->accepts == NULL || t->kernel->accepts(&t->inner, argument);
}

bool evr_turned_accepts(const void *problem, const evr_kernel *inner, char *reason) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_desc *d = &p->conv.desc;
  size_t used =
      (size_t)snprintf(reason, EVR_REASON_SIZE, "pads %s for ", p->conv.exchanged ? "x" : "dy");
  used = evr_name_reach(d, "height", reason, EVR_REASON_SIZE - sizeof " and ", used);
  used += (size_t)snprintf(reason + used, EVR_REASON_SIZE - used, " and ");
  used = evr_name_reach(d, "width", reason, EVR_REASON_SIZE, used);
  snprintf(reason + used, EVR_REASON_SIZE - used, ", which does not fit");
  return evr_for_each_kind(problem, inner, accepts_part, reason);
}

/* What does not pack reads its weights one after the other: these are copied, so that an execution
 * with packed weights needs no others. */
static bool packs(const evr_part *t) {
  return t->kernel->packed_size != NULL && t->kernel->packed_size(&t->inner) > 0;
}

static size_t packed_bytes(const evr_part *t) {
  return packs(t) ? evr_size_lines(t->kernel->packed_size(&t->inner))
                  : evr_size_floats(t->inner.sizes.weights_count);
}

static bool add_packed(const evr_part *t, void *argument) {
  size_t *bytes = argument;
  *bytes = evr_size_sum(*bytes, evr_size_product(packed_bytes(t), (size_t)t->times));
  return true;
}

size_t evr_turned_packed_size(const void *problem, const evr_kernel *inner) {
  size_t bytes = 0;
  evr_for_each_kind(problem, inner, add_packed, &bytes);
  return bytes;
}

/* Scratch of the largest part, in this order; or for each slot, where bands are run. */
typedef struct scratch {
  size_t gradient, inner_bytes, output;
} scratch;

/* A part, where its packed weights begin, and what is prepared for its shorter bands. */
typedef struct member {
  evr_part t;
  size_t packed;
  evr_prepared shorter;
} member;

/* All parts of a problem.
 *
 * Where none of them waits for copies, and the kernel is ready for bands, a task is a band of dx:
 * it runs the part of each phase that lies in there, one after the other. So threads are started
 * once for all phases, and what these share stays in the caches of one core: lines of the gradient,
 * and neighbours in dx, which prefetching would take from another core. */
typedef struct ensemble {
  const void *problem; /* of which this is */
  scratch s;
  int64_t count; /* of parts; there are members up to MOST_MEMBERS */
  int64_t bands; /* of each image; 0: parts go one by one, or together */
  bool united;   /* together: the kernel's unite made them whole */
  evr_conv2d_problem whole;
  member *members;
} ensemble;

/* More parts than this go one by one, and are worked out anew with each call. */
#define MOST_MEMBERS EVR_MOST_UNITED
/* A band of about this size is read and written once, whatever the number of its phases. */
#if !defined(TURNED_BAND_BYTES)
#define TURNED_BAND_BYTES 2097152
#endif

typedef struct gathering {
  ensemble all;
  bool in_place; /* no part waits for copies */
  bool ready;    /* likewise, and the kernel prepares bands */
  int64_t most_rows;
  size_t packed;
  int gathered;
} gathering;

static int64_t count_parts(const evr_conv2d_backward_problem *p) {
  const evr_part_phases found = evr_find_parts(p);
  return found.rows.count * found.columns.count;
}

static void enlarge(size_t *bytes, size_t wanted) {
  if (*bytes < wanted) *bytes = wanted;
}

static bool gather_part(const evr_part *t, void *argument) {
  gathering *g = argument;
  ensemble *all = &g->all;
  const evr_conv2d_sizes *sizes = &t->inner.sizes;
  if (t->copied) enlarge(&all->s.gradient, evr_size_floats(sizes->x_count));
  if (!t->direct) enlarge(&all->s.output, evr_size_floats(sizes->y_count));
  if (t->kernel->workspace_size != NULL)
    enlarge(&all->s.inner_bytes, evr_size_lines(t->kernel->workspace_size(&t->inner)));
  if (t->copied || !t->direct) g->in_place = false;
  if (!g->in_place || !t->kernel->prepares_bands) g->ready = false;
  g->most_rows = evr_max(g->most_rows, t->rows.count);
  if (all->count > MOST_MEMBERS) return true;
  all->members[g->gathered++] = (member){.t = *t, .packed = g->packed};
  g->packed = evr_size_sum(g->packed, packed_bytes(t));
  return true;
}

/* Into how many bands to cut an image; 0: into none. */
static int64_t count_bands(const evr_conv2d_backward_problem *p, const gathering *g) {
  const evr_conv2d_desc *d = &p->conv.desc;
  const evr_conv2d_sizes *s = &p->conv.sizes;
  if (!g->ready || g->all.count < 2 || g->all.count > MOST_MEMBERS) return 0;
  const int64_t rows = g->most_rows, threads = p->common.parallel.threads;
  const int64_t bytes = (s->x_count + s->y_count) / (d->batch * rows) * (int64_t)sizeof(float);
  int64_t bands =
      evr_min(evr_ceil_div(rows, evr_max(TURNED_BAND_BYTES / evr_max(bytes, 1), 1)), rows);
  if (threads > 1) {
    if (threads > d->batch * rows) return 0;
    /* As many for each thread. */
    bands = d->batch == 1 ? evr_round_up(bands, threads)
                          : evr_max(bands, evr_ceil_div(threads, d->batch));
  }
  return evr_min(bands, rows);
}

/* Rows [first, first + rows) of one image. */
static void take_band(evr_conv2d_problem *inner, int64_t first, int64_t rows) {
  inner->common.parallel.threads = 1;
  inner->desc.batch = 1;
  inner->first_row = first;
  inner->sizes.conv_height = rows;
}

/* Scratch and what is prepared for bands of so many rows. */
static void try_band(const member *m, int64_t rows, scratch *s, evr_prepared *prepared) {
  const evr_kernel *kernel = m->t.kernel;
  evr_conv2d_problem inner = m->t.inner;
  take_band(&inner, 0, rows);
  if (kernel->workspace_size != NULL)
    enlarge(&s->inner_bytes, evr_size_lines(kernel->workspace_size(&inner)));
  if (kernel->prepare != NULL) kernel->prepare(&inner);
  *prepared = inner.prepared;
}

/* The parts' convolutions, of which there are members. */
static void list_parts(const ensemble *all, const void *parts[MOST_MEMBERS]) {
  for (int64_t i = 0; i < all->count; i++) parts[i] = &all->members[i].t.inner;
}

/* Leaves the parts as they are where they cannot be one. */
static void unite(ensemble *all, const evr_kernel *kernel) {
  const void *parts[MOST_MEMBERS];
  list_parts(all, parts);
  all->united = kernel->unite(&all->whole, parts, (int)all->count);
  if (!all->united) return;
  all->s.inner_bytes = evr_size_lines(kernel->workspace_size(&all->whole));
  kernel->prepare(&all->whole);
}

/* There is room for MOST_MEMBERS. */
static ensemble gather(const evr_conv2d_backward_problem *p, const evr_kernel *kernel,
                       member *members) {
  gathering g = {.all = {.problem = p, .members = members, .count = count_parts(p)},
                 .ready = true,
                 .in_place = true};
  ensemble *all = &g.all;
  if (all->count > MOST_MEMBERS)
    evr_for_each_kind(p, kernel, gather_part, &g);
  else
    evr_for_each_part(p, kernel, gather_part, &g);
  all->bands = count_bands(p, &g);
  if (all->bands > 0) all->s.inner_bytes = 0;
  if (all->bands == 0 && kernel->unite != NULL && g.in_place && all->count > 1 &&
      all->count <= MOST_MEMBERS)
    unite(all, kernel);
  for (int i = 0; i < g.gathered && !all->united; i++) {
    member *m = &members[i];
    if (all->bands == 0) {
      if (kernel->prepare != NULL) kernel->prepare(&m->t.inner);
      continue;
    }
    const int64_t rows = m->t.rows.count, shorter = rows / all->bands;
    m->t.inner.sizes.x_count /= p->conv.desc.batch;
    m->t.inner.sizes.y_count /= p->conv.desc.batch;
    if (shorter > 0) try_band(m, shorter, &all->s, &m->shorter);
    try_band(m, evr_ceil_div(rows, all->bands), &all->s, &m->t.inner.prepared);
  }
  return *all;
}

size_t evr_turned_workspace_size(const void *problem, const evr_kernel *inner) {
  const evr_conv2d_backward_problem *p = problem;
  member members[MOST_MEMBERS];
  const ensemble all = gather(p, inner, members);
  const size_t slots = all.bands > 0 ? (size_t)p->common.parallel.threads : 1;
  return evr_size_sum(evr_size_sum(all.s.gradient, evr_size_product(all.s.inner_bytes, slots)),
                      all.s.output);
}

_Static_assert(sizeof(ensemble) % _Alignof(member) == 0, "members follow");

size_t evr_turned_state_size(const void *problem, const evr_kernel *inner) {
  (void)inner;
  const int64_t count = count_parts(problem);
  return count <= MOST_MEMBERS ? sizeof(ensemble) + (size_t)count * sizeof(member) : 0;
}

void evr_turned_make_state(const void *problem, const evr_kernel *inner, void *state) {
  ensemble *all = state;
  *all = gather(problem, inner, (member *)(void *)(all + 1));
}

/* A float is moved in half a nanosecond. Packing is left out, as it is in the forward pass: all
 * that could be chosen pack alike. */
static bool price_part(const evr_part *t, void *argument) {
  double *nanoseconds = argument;
  const evr_conv2d_sizes *s = &t->inner.sizes;
  const double one = t->kernel->cost(&t->inner) + 60.0 +
                     (t->copied ? 0.3 * (double)s->x_count : 0.0) +
                     (t->direct ? 0.0 : 0.5 * (double)s->y_count);
  *nanoseconds += (double)t->times * one;
  return true;
}

double evr_turned_cost(const void *problem, const evr_kernel *inner) {
  const evr_conv2d_backward_problem *p = problem;
  const int64_t count = count_parts(p);
  if (inner->unite != NULL && p->conv.desc.layout == EVR_NHWC && count > 1 &&
      count <= MOST_MEMBERS) {
    member members[MOST_MEMBERS];
    const void *parts[MOST_MEMBERS];
    const ensemble all = gather(p, inner, members);
    list_parts(&all, parts);
    if (all.united) return 160.0 + inner->cost_united(&all.whole, parts, (int)count);
  }
  double nanoseconds = 100.0;
  evr_for_each_kind(problem, inner, price_part, &nanoseconds);
  return nanoseconds;
}

/* ---- packing ---- */

typedef struct packing {
  const float *weights;
  char *to;
} packing;

static bool pack_part(const evr_part *t, void *argument) {
  packing *k = argument;
  const float *weights = k->weights + t->first_weight;
  if (packs(t))
    t->kernel->pack(&t->inner, weights, k->to);
  else
    memcpy(k->to, weights, (size_t)t->inner.sizes.weights_count * sizeof *weights);
  k->to += packed_bytes(t);
  return true;
}

void evr_turned_pack(const void *problem, const evr_kernel *inner, const float *weights,
                     void *packed) {
  packing k = {weights, packed};
  evr_for_each_part(problem, inner, pack_part, &k);
}

/* ---- the parts of an execution ---- */

/* Rows of images (NHWC) or planes (NCHW), to be copied in parallel. */
typedef struct copy_job {
  const evr_part *t;
  const float *from;
  float *to;
  int64_t planes; /* images, or images times channels */
  int64_t pixel;  /* floats of one pixel */
  int64_t height; /* rows of one plane, and how many are one task */
  int64_t a_task;
} copy_job;

static void run_copy(copy_job *j, int64_t channels, int64_t width, evr_task *body) {
  /* That of the whole: a single pixel may be seen in the other one (problem.c). */
  const evr_conv2d_desc *d = &j->t->p->conv.desc;
  const bool nhwc = d->layout == EVR_NHWC;
  j->planes = nhwc ? d->batch : d->batch * channels;
  j->pixel = nhwc ? channels : 1;
  j->a_task = evr_max(1, TASK_FLOATS / (width * j->pixel));
  evr_parallel_for(&j->t->inner.common.parallel, evr_ceil_div(j->planes * j->height, j->a_task),
                   body, j);
}

/* The gradient with its pads, or without what they take away. */
static void copy_gradient_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const copy_job *j = argument;
  const evr_part *t = j->t;
  const evr_conv2d_sizes *s = &t->p->conv.sizes;
  const int64_t width = t->inner.desc.in_width, before = t->columns.pad_before;
  const int64_t begin = evr_min(evr_max(before, 0), width);
  const int64_t end = evr_max(evr_min(before + s->conv_width, width), begin);
  const int64_t last = evr_min((task + 1) * j->a_task, j->planes * j->height);
  for (int64_t i = task * j->a_task; i < last; i++) {
    float *to = j->to + i * width * j->pixel;
    const int64_t row = i % j->height - t->rows.pad_before;
    if (row < 0 || row >= s->conv_height || begin == end) {
      memset(to, 0, (size_t)(width * j->pixel) * sizeof *to);
      continue;
    }
    const float *from =
        j->from +
        ((i / j->height * s->conv_height + row) * s->conv_width + begin - before) * j->pixel;
    memset(to, 0, (size_t)(begin * j->pixel) * sizeof *to);
    memcpy(to + begin * j->pixel, from, (size_t)((end - begin) * j->pixel) * sizeof *to);
    memset(to + end * j->pixel, 0, (size_t)((width - end) * j->pixel) * sizeof *to);
  }
}

/* The part's pixels to where they belong. */
static void spread_rows(void *argument, int64_t task, int slot) {
  (void)slot;
  const copy_job *j = argument;
  const evr_part *t = j->t;
  const evr_conv2d_desc *d = &t->p->conv.desc;
  const int64_t count = t->columns.count, pixel = j->pixel;
  const int64_t step = d->stride_width;
  const int64_t last = evr_min((task + 1) * j->a_task, j->planes * j->height);
  for (int64_t i = task * j->a_task; i < last; i++) {
    const float *from = j->from + i * count * pixel;
    const int64_t row = t->rows.first + i % j->height * (t->rows.count > 1 ? d->stride_height : 0);
    float *to =
        j->to + ((i / j->height * d->in_height + row) * d->in_width + t->columns.first) * pixel;
    if (pixel == 1)
      for (int64_t m = 0; m < count; m++) to[count > 1 ? m * step : 0] = from[m];
    else
      for (int64_t m = 0; m < count; m++)
        memcpy(to + (m > 0 ? m * step : 0) * pixel, from + m * pixel, (size_t)pixel * sizeof *to);
  }
}

/* Rows of dx, of which some pixels are reached by no window. */
typedef struct fill_job {
  const evr_conv2d_backward_problem *p;
  const evr_conv2d_backward_data_call *call;
  evr_direction rows, columns;
  bool rows_have_gaps; /* some columns are reached by no window */
  bool whole_rows;     /* all of such rows is filled: the parts come after */
  bool all;            /* all rows are filled */
} fill_job;

/* So many pixels side by side, the channels of plane i, or of NHWC all of them. */
static void fill_pixels(const fill_job *j, float *to, int64_t pixels, int64_t plane) {
  const evr_conv2d_desc *d = &j->p->conv.desc;
  const bool nhwc = d->layout == EVR_NHWC;
  const float *bias = j->call->bias;
  if (bias == NULL && j->p->activation.kind == EVR_IDENTITY) {
    memset(to, 0, (size_t)(pixels * (nhwc ? d->in_channels : 1)) * sizeof *to);
    return;
  }
  for (int64_t c = 0; c < (nhwc ? d->in_channels : 1); c++) {
    const int64_t channel = nhwc ? c : plane % d->in_channels;
    const float sum = bias != NULL ? 0.0f + bias[channel] : 0.0f;
    const float value = evr_activation_reference(&j->p->activation, sum);
    for (int64_t i = 0; i < pixels; i++) to[nhwc ? i * d->in_channels + c : i] = value;
  }
}

static void fill_row(void *argument, int64_t task, int slot) {
  (void)slot;
  const fill_job *j = argument;
  const evr_conv2d_desc *d = &j->p->conv.desc;
  const int64_t pixel = d->layout == EVR_NHWC ? d->in_channels : 1;
  const int64_t plane = task / d->in_height;
  float *to = j->call->dx + task * d->in_width * pixel;
  if (j->all || j->whole_rows || !evr_is_reached(&j->rows, task % d->in_height)) {
    fill_pixels(j, to, d->in_width, plane);
    return;
  }
  for (int64_t first = 0; j->rows_have_gaps && first < evr_min(d->stride_width, d->in_width);
       first++) {
    if (evr_is_reached(&j->columns, first)) continue;
    for (int64_t i = first; i < d->in_width; i += evr_min(d->stride_width, d->in_width))
      fill_pixels(j, to + i * pixel, 1, plane);
  }
}

/* What a pixel is that no window reaches: the activation of the bias alone. */
static void fill(const evr_conv2d_backward_problem *p, const evr_conv2d_backward_data_call *call) {
  const evr_part_phases found = evr_find_parts(p);
  const bool gaps = evr_phases_leave_pixels(&found.columns);
  const bool row_gaps = evr_phases_leave_pixels(&found.rows);
  if (!gaps && !row_gaps) return;
  const evr_conv2d_desc *d = &p->conv.desc;
  /* A row of one plane is filled sooner than every other float of it, and more than need be where
   * it takes many taps to know of a pixel or row. */
  fill_job j = {.p = p,
                .call = call,
                .rows = found.rows.direction,
                .columns = found.columns.direction,
                .rows_have_gaps = gaps,
                .whole_rows = gaps && (d->layout == EVR_NCHW || d->kernel_width > MANY_TAPS),
                .all = row_gaps && d->kernel_height > MANY_TAPS};
  const int64_t planes = d->batch * (d->layout == EVR_NHWC ? 1 : d->in_channels);
  evr_parallel_for(&p->common.parallel, planes * d->in_height, fill_row, &j);
}

typedef struct execution {
  const evr_conv2d_backward_data_call *call;
  scratch s;
  size_t packed; /* where the next part's begin, where they are not known */
} execution;

static void run_part(const evr_part *t, const execution *e, size_t packed) {
  const evr_conv2d_problem *p = &t->inner;
  char *gradient = e->call->workspace, *workspace = gradient + e->s.gradient;
  char *output = workspace + e->s.inner_bytes;
  const char *weights = (const char *)e->call->packed + packed;
  evr_conv2d_call call = {
      .x = e->call->g,
      .weights = (const float *)(const void *)weights, /* of what does not pack */
      .packed = weights,
      .bias = e->call->bias,
      .y = t->direct ? e->call->dx + t->first_pixel : (float *)(void *)output,
      .workspace = workspace};
  if (t->copied) {
    copy_job j = {.t = t, .from = e->call->g, .to = (float *)(void *)gradient};
    j.height = p->desc.in_height;
    run_copy(&j, p->desc.in_channels, p->desc.in_width, copy_gradient_rows);
    call.x = j.to;
  }
  t->kernel->forward(p, &call);
  if (!t->direct) {
    copy_job j = {.t = t, .from = call.y, .to = e->call->dx, .height = t->rows.count};
    run_copy(&j, p->desc.out_channels, t->columns.count, spread_rows);
  }
}

static bool run_next(const evr_part *t, void *argument) {
  execution *e = argument;
  run_part(t, e, e->packed);
  e->packed += packed_bytes(t);
  return true;
}

typedef struct band_job {
  const ensemble *all;
  const evr_conv2d_backward_data_call *call;
} band_job;

static void run_band(void *argument, int64_t task, int slot) {
  const band_job *j = argument;
  const ensemble *all = j->all;
  const int64_t image = task / all->bands, band = task % all->bands;
  for (int64_t i = 0; i < all->count; i++) {
    const member *m = &all->members[i];
    const evr_part *t = &m->t;
    const int64_t height = t->rows.count, first = band * height / all->bands;
    const int64_t rows = (band + 1) * height / all->bands - first;
    if (rows == 0) continue;
    evr_conv2d_problem inner = t->inner;
    take_band(&inner, first, rows);
    if (rows < evr_ceil_div(height, all->bands)) inner.prepared = m->shorter;
    const char *weights = (const char *)j->call->packed + m->packed;
    const evr_conv2d_call call = {
        .x = j->call->g + image * inner.sizes.x_count,
        .weights = (const float *)(const void *)weights,
        .packed = weights,
        .bias = j->call->bias,
        .y = j->call->dx + t->first_pixel + image * inner.spread.image + first * inner.spread.row,
        .workspace = (char *)j->call->workspace + (size_t)slot * all->s.inner_bytes};
    t->kernel->forward(&inner, &call);
  }
}

static void run_united(const ensemble *all, const evr_conv2d_backward_data_call *call) {
  const void *parts[MOST_MEMBERS], *calls[MOST_MEMBERS];
  evr_conv2d_call made[MOST_MEMBERS];
  list_parts(all, parts);
  for (int64_t i = 0; i < all->count; i++) {
    const member *m = &all->members[i];
    made[i] = (evr_conv2d_call){.x = call->g,
                                .packed = (const char *)call->packed + m->packed,
                                .bias = call->bias,
                                .y = call->dx + m->t.first_pixel,
                                .workspace = call->workspace};
    calls[i] = &made[i];
  }
  all->members[0].t.kernel->forward_united(&all->whole, parts, calls, (int)all->count);
}

static void run_all(const ensemble *all, const evr_conv2d_backward_problem *p,
                    const evr_conv2d_backward_data_call *call) {
  if (all->united) {
    run_united(all, call);
    return;
  }
  if (all->bands > 0) {
    band_job j = {all, call};
    evr_parallel_for(&p->common.parallel, p->conv.desc.batch * all->bands, run_band, &j);
    return;
  }
  const execution e = {.call = call, .s = all->s};
  for (int64_t i = 0; i < all->count; i++) run_part(&all->members[i].t, &e, all->members[i].packed);
}

void evr_turned_forward(const void *problem, const evr_kernel *inner, const void *arguments) {
  const evr_conv2d_backward_problem *p = problem;
  const evr_conv2d_backward_data_call *call = arguments;
  fill(p, call);
  const ensemble *kept = p->state;
  if (kept != NULL && kept->problem == problem) {
    run_all(kept, p, call);
    return;
  }
  member members[MOST_MEMBERS];
  const ensemble all = gather(p, inner, members);
  if (all.count <= MOST_MEMBERS) {
    run_all(&all, p, call);
    return;
  }
  execution e = {.call = call, .s = all.s};
  evr_for_each_part(p, inner, run_next, &e);
}
