#include "conv/turned_parts.h"

#include "core/checked.h"

static evr_direction rows_of(const evr_conv2d_backward_problem *p) {
  const evr_conv2d_desc *d = &p->conv.desc;
  return (evr_direction){d->in_height,     p->conv.sizes.conv_height, d->kernel_height,
                         d->stride_height, d->dilation_height,        d->pad_top};
}

static evr_direction columns_of(const evr_conv2d_backward_problem *p) {
  const evr_conv2d_desc *d = &p->conv.desc;
  return (evr_direction){d->in_width,     p->conv.sizes.conv_width, d->kernel_width,
                         d->stride_width, d->dilation_width,        d->pad_left};
}

/* The turned filter's weights, where they lie: the part's taps in descending order, inputs and
 * outputs exchanged. */
static void find_weights(evr_part *t) {
  const evr_weight_steps *s = &t->p->conv.weights;
  /* A single tap may be any number of taps from the next, of which there is none. */
  const int64_t row = t->rows.taps > 1 ? t->rows.tap_step * s->row : 0;
  const int64_t column = t->columns.taps > 1 ? t->columns.tap_step * s->column : 0;
  t->first_weight = t->rows.tap * s->row + (t->rows.taps - 1) * row + t->columns.tap * s->column +
                    (t->columns.taps - 1) * column;
  t->inner.weights = (evr_weight_steps){
      .row = -row, .column = -column, .in = s->out, .out = s->in, .group = s->group};
}

/* Whether the convolution writes to dx, and where. */
static void find_pixels(evr_part *t) {
  const evr_conv2d_desc *d = &t->p->conv.desc;
  const evr_phase *rows = &t->rows, *columns = &t->columns;
  t->direct = rows->count == d->in_height && columns->count == d->in_width;
  if (t->direct || !t->kernel->spreads || d->layout == EVR_NCHW) return;
  /* A step that is never taken may be any number. */
  const int64_t channels = d->in_channels, line = d->in_width * channels;
  t->direct = true;
  t->first_pixel = rows->first * line + columns->first * channels;
  t->inner.spread = (evr_spread){.pixel = (columns->count > 1 ? d->stride_width : 1) * channels,
                                 .row = (rows->count > 1 ? d->stride_height : 1) * line,
                                 .image = d->in_height * line};
}

/* False where the padded gradient would be too large. */
static bool make_part(evr_part *t) {
  const evr_conv2d_backward_problem *p = t->p;
  const evr_conv2d_desc *d = &p->conv.desc;
  const evr_phase *rows = &t->rows, *columns = &t->columns;
  t->first_pixel = 0;
  t->copied = rows->pad_before < 0 || rows->pad_after < 0 || columns->pad_before < 0 ||
              columns->pad_after < 0;
  evr_conv2d_desc inner = {.batch = d->batch,
                           .groups = d->groups,
                           .in_channels = d->out_channels,
                           .in_height = p->conv.sizes.conv_height,
                           .in_width = p->conv.sizes.conv_width,
                           .out_channels = d->in_channels,
                           .kernel_height = rows->taps,
                           .kernel_width = columns->taps,
                           .stride_height = 1,
                           .stride_width = 1,
                           .dilation_height = rows->dilation,
                           .dilation_width = columns->dilation,
                           .pad_top = rows->pad_before,
                           .pad_bottom = rows->pad_after,
                           .pad_left = columns->pad_before,
                           .pad_right = columns->pad_after,
                           .pad_mode = EVR_PAD_ZERO,
                           .layout = d->layout,
                           .filter_layout = d->filter_layout,
                           .activation = p->activation};
  if (t->copied) {
    inner.in_height = rows->count + (rows->taps - 1) * rows->dilation;
    inner.in_width = columns->count + (columns->taps - 1) * columns->dilation;
    inner.pad_top = inner.pad_bottom = inner.pad_left = inner.pad_right = 0;
  }
  /* Here, for the sentence of the inner convolution's check would be about its own fields. Every
   * other check passes where the caller's convolution has passed it. */
  int64_t padded;
  if (!evr_count_floats(d->batch, rows->count + (rows->taps - 1) * rows->dilation,
                        columns->count + (columns->taps - 1) * columns->dilation, d->out_channels,
                        &padded) ||
      evr_conv2d_problem_init(&t->inner, &inner) != EVR_OK)
    return false;
  t->inner.common = p->common;
  t->inner.exchanged = !p->conv.exchanged;
  t->inner.part_of = d;
  evr_conv2d_share_scratch(&t->inner, &t->inner.sizes, 0, p->common.parallel.threads);
  find_weights(t);
  find_pixels(t);
  return true;
}

evr_part_phases evr_find_parts(const evr_conv2d_backward_problem *p) {
  const evr_direction rows = rows_of(p), columns = columns_of(p);
  evr_part_phases found;
  evr_phases_init(&found.rows, &rows);
  evr_phases_init(&found.columns, &columns);
  return found;
}

bool evr_for_each_part(const evr_conv2d_backward_problem *p, const evr_kernel *kernel,
                       evr_part_visit *visit, void *argument) {
  const evr_part_phases found = evr_find_parts(p);
  evr_part t = {.p = p, .kernel = kernel, .times = 1};
  for (int64_t i = 0; i < found.rows.steps; i++) {
    if (!evr_take_phase(&found.rows, i, &t.rows)) continue;
    for (int64_t j = 0; j < found.columns.steps; j++)
      if (evr_take_phase(&found.columns, j, &t.columns) && (!make_part(&t) || !visit(&t, argument)))
        return false;
  }
  return true;
}

bool evr_for_each_kind(const evr_conv2d_backward_problem *p, const evr_kernel *kernel,
                       evr_part_visit *visit, void *argument) {
  const evr_part_phases found = evr_find_parts(p);
  evr_phase_kinds rows, columns;
  if (!evr_find_phase_kinds(&found.rows, &rows) || !evr_find_phase_kinds(&found.columns, &columns))
    return evr_for_each_part(p, kernel, visit, argument);
  evr_part t = {.p = p, .kernel = kernel};
  for (int i = 0; i < rows.count; i++)
    for (int j = 0; j < columns.count; j++) {
      t.rows = rows.phases[i];
      t.columns = columns.phases[j];
      t.times = rows.times[i] * columns.times[j];
      if (!make_part(&t) || !visit(&t, argument)) return false;
    }
  return true;
}
