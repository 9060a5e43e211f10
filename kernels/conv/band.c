#include "conv/band.h"

#include <string.h>

#include "conv/band_rows.h"
#include "core/checked.h"

/* Without padding a window row is one run of the image. With padding and below this many channels
 * it is one of a padded copy: a run per tap would be too short to pay for its addresses. */
#define FOLD_BELOW 16

static bool is_padded(const evr_conv2d_desc *d) {
  return (d->pad_top | d->pad_bottom | d->pad_left | d->pad_right) != 0;
}

/* Bytes of scratch of one row, about: of the copy, and of addresses and places. */
static size_t row_bytes(const evr_band_shape *shape, const evr_conv2d_problem *p) {
  const size_t pixel = sizeof(uintptr_t) + sizeof(int64_t);
  const size_t tables = evr_size_product((size_t)p->sizes.conv_width, pixel) +
                        (size_t)p->desc.kernel_height * sizeof(evr_run) + 3 * 64;
  return evr_size_sum(evr_band_copy_bytes(shape, p, 1), tables);
}

/* The taps [first, end) of a window in one direction that are inside the image. */
typedef struct tap_range {
  int64_t first, end;
} tap_range;

static tap_range taps_inside(int64_t at, int64_t kernel, int64_t dilation, int64_t size) {
  tap_range range;
  range.first = evr_min(at >= 0 ? 0 : evr_ceil_div(-at, dilation), kernel);
  range.end = at >= size ? 0 : evr_min((size - 1 - at) / dilation + 1, kernel);
  range.end = evr_max(range.end, range.first);
  return range;
}

static bool may_skip(const evr_band_shape *shape, const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  if (d->pad_mode != EVR_PAD_ZERO || !is_padded(d)) return false;
  return shape->runs <= EVR_MOST_SKIPPED_RUNS;
}

static bool same_taps(tap_range a, tap_range b) { return a.first == b.first && a.end == b.end; }

/* Outputs of one direction with the same taps inside the image. */
typedef struct tap_group {
  int64_t outputs, taps;
} tap_group;

/* One direction of a convolution: where the window of its first output begins, and its sizes. */
typedef struct window_line {
  int64_t at, stride, kernel, dilation, size;
} window_line;

static window_line line_of_rows(const evr_conv2d_problem *p) {
  const evr_conv2d_desc *d = &p->desc;
  return (window_line){evr_window_top(p, 0), d->stride_height, d->kernel_height, d->dilation_height,
                       d->in_height};
}

static window_line line_of_columns(const evr_conv2d_desc *d) {
  return (window_line){-d->pad_left, d->stride_width, d->kernel_width, d->dilation_width,
                       d->in_width};
}

static tap_range taps_of(const window_line *l, int64_t o) {
  return taps_inside(l->at + o * l->stride, l->kernel, l->dilation, l->size);
}

/* The next output whose window may have other taps inside than that of o: from where a tap before
 * these is inside, or the last of them is not. */
static int64_t next_change(const window_line *l, int64_t o) {
  const int64_t place = l->at + o * l->stride, dilation = l->dilation;
  int64_t from = INT64_MAX;
  if (place < 0) from = -(evr_min(evr_ceil_div(-place, dilation), l->kernel) - 1) * dilation;
  if (place < l->size) {
    const int64_t taps = evr_min((l->size - 1 - place) / dilation, l->kernel - 1);
    from = evr_min(from, l->size - taps * dilation);
  }
  return from == INT64_MAX ? INT64_MAX : o + evr_ceil_div(from - place, l->stride);
}

/* The first output from o on with other taps inside than o has, or `outputs`. */
static int64_t next_group(const window_line *l, int64_t o, int64_t outputs) {
  const tap_range taps = taps_of(l, o);
  do o = evr_min(outputs, next_change(l, o));
  while (o < outputs && same_taps(taps, taps_of(l, o)));
  return o;
}

/* The groups of outputs in a direction; returns how many, or 0 for too many. */
static int find_groups(const window_line *l, int64_t outputs, tap_group groups[EVR_MOST_REGIONS]) {
  int count = 0;
  for (int64_t o = 0, next; o < outputs; o = next) {
    if (count == EVR_MOST_REGIONS) return 0;
    const tap_range taps = taps_of(l, o);
    next = next_group(l, o, outputs);
    groups[count++] = (tap_group){next - o, taps.end - taps.first};
  }
  return count;
}

/* An address of one run of one pixel, in nanoseconds. */
#define ADDRESS_TIME 0.5

/* What a way must gain: the estimate is no closer. */
#define GAIN 0.98

/* Takes the way if it is the quickest so far. */
static void offer_way(evr_band_shape *shape, evr_band_way way, double steps, double addresses) {
  const double least = shape->steps_time + ADDRESS_TIME * shape->address_count;
  if (way != EVR_LEAVE_NONE && steps + ADDRESS_TIME * addresses > GAIN * least) return;
  shape->way = way;
  shape->steps_time = steps;
  shape->address_count = addresses;
}

/* The time of sums in so many output rows of so many columns, in bands. */
typedef struct band_timer {
  evr_band_time *time;
  const void *context;
  int64_t most_rows;
} band_timer;

static double time_rows(const band_timer *t, int64_t rows, int64_t columns, int64_t depth) {
  if (rows <= t->most_rows) return t->time(t->context, rows * columns, depth);
  const int64_t rest = rows % t->most_rows;
  return (double)(rows / t->most_rows) * t->time(t->context, t->most_rows * columns, depth) +
         (rest > 0 ? t->time(t->context, rest * columns, depth) : 0.0);
}

static void choose_way(evr_band_shape *shape, const evr_conv2d_problem *p, const band_timer *t) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t height = p->sizes.conv_height, width = p->sizes.conv_width;
  const double pixels = (double)(height * width);
  const bool per_run = is_padded(d) && !shape->folded;
  offer_way(shape, EVR_LEAVE_NONE, time_rows(t, height, width, p->depth),
            per_run ? pixels * (double)shape->runs : pixels);
  if (!may_skip(shape, p)) return;
  tap_group rows[EVR_MOST_REGIONS], columns[EVR_MOST_REGIONS];
  const window_line down = line_of_rows(p), across = line_of_columns(d);
  const int row_groups = find_groups(&down, height, rows);
  const int column_groups = find_groups(&across, width, columns);
  if (row_groups == 0 || column_groups == 0) return;
  const int64_t tap = shape->folded ? shape->run_length / d->kernel_width : p->group_in;
  double by_rows = 0.0, sides = 0.0, all = 0.0, row_addresses = 0.0, side_addresses = 0.0;
  for (int r = 0; r < row_groups; r++) {
    by_rows += time_rows(t, rows[r].outputs, width, rows[r].taps * d->kernel_width * tap);
    row_addresses += (double)(rows[r].outputs * width * rows[r].taps * d->kernel_width);
  }
  if (shape->folded) {
    offer_way(shape, EVR_LEAVE_ROWS, by_rows, pixels);
    return;
  }
  for (int c = 0; c < column_groups; c++) {
    double cut = 0.0;
    for (int r = 0; r < row_groups; r++)
      cut +=
          time_rows(t, rows[r].outputs, columns[c].outputs, rows[r].taps * columns[c].taps * tap);
    all += cut;
    if (columns[c].taps == d->kernel_width) {
      sides += cut;
      side_addresses += (double)(columns[c].outputs * height);
    } else {
      const int64_t runs = d->kernel_height * columns[c].taps;
      sides += time_rows(t, height, columns[c].outputs, runs * tap);
      side_addresses += (double)(columns[c].outputs * height * runs);
    }
  }
  offer_way(shape, EVR_LEAVE_ROWS, by_rows, row_addresses);
  offer_way(shape, EVR_LEAVE_SIDES, sides, side_addresses);
  if (row_groups * column_groups <= EVR_MOST_REGIONS) offer_way(shape, EVR_LEAVE_ALL, all, pixels);
}

void evr_band_shape_init(evr_band_shape *shape, const evr_conv2d_problem *p, evr_band_time *time,
                         const void *context) {
  const evr_conv2d_desc *d = &p->desc;
  *shape = (evr_band_shape){0};
  const bool whole = d->groups == 1 && d->dilation_width == 1 && d->kernel_width > 1;
  shape->folded = whole && (!is_padded(d) || d->in_channels < FOLD_BELOW);
  shape->copied = shape->folded && is_padded(d);
  if (shape->copied) evr_band_copy_shape_init(shape, p);
  /* Where one row would want more than is to be had, taps are runs. */
  if (shape->copied && row_bytes(shape, p) > (size_t)p->scratch_share) evr_band_copy_all(shape, p);
  if (shape->copied && row_bytes(shape, p) > (size_t)p->scratch_share) *shape = (evr_band_shape){0};
  shape->runs = shape->folded ? d->kernel_height : d->kernel_height * d->kernel_width;
  shape->run_length = shape->folded ? d->kernel_width * d->in_channels : p->group_in;
  choose_way(shape, p, &(band_timer){time, context, p->sizes.conv_height});
}

void evr_band_shape_cut(evr_band_shape *shape, const evr_conv2d_problem *p, int64_t rows,
                        evr_band_time *time, const void *context) {
  choose_way(shape, p, &(band_timer){time, context, rows});
}

int64_t evr_band_addresses(const evr_band_shape *shape) { return shape->folded ? 1 : shape->runs; }

/* Output rows of so many pixels, at most. */
static int64_t rows_of(const evr_conv2d_problem *p, int64_t pixels) {
  const int64_t width = p->sizes.conv_width;
  if (pixels % width == 0) return pixels / width;
  return evr_min((pixels + width - 2) / width + 1, p->sizes.conv_height);
}

/* Regions of so many rows, at most: pixels with as many taps lie between those at one edge and
 * those at the other (add_regions). */
static int64_t most_regions(const evr_conv2d_problem *p, int64_t rows) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t across = evr_min(
      evr_ceil_div(d->pad_left, d->stride_width) + evr_ceil_div(d->pad_right, d->stride_width) + 1,
      p->sizes.conv_width);
  const int64_t down = evr_min(evr_ceil_div(d->pad_top, d->stride_height) +
                                   evr_ceil_div(d->pad_bottom, d->stride_height) + 1,
                               rows);
  return evr_min(across, EVR_MOST_REGIONS) * evr_min(down, EVR_MOST_REGIONS) < EVR_MOST_REGIONS
             ? across * down
             : EVR_MOST_REGIONS;
}

void evr_band_shape_size(evr_band_shape *shape, const evr_conv2d_problem *p, int64_t pixels) {
  const evr_conv2d_desc *d = &p->desc;
  const int64_t rows = rows_of(p, pixels);
  shape->pixels = pixels;
  const size_t addresses = evr_size_product((size_t)evr_band_addresses(shape), (size_t)pixels);
  shape->address_bytes = evr_size_lines(evr_size_product(addresses, sizeof(uintptr_t)));
  shape->place_bytes = evr_size_lines(evr_size_product((size_t)pixels, sizeof(int64_t)));
  shape->run_bytes = evr_size_lines(
      evr_size_product(evr_size_product((size_t)shape->runs, sizeof(evr_run)),
                       !shape->folded && may_skip(shape, p) ? (size_t)most_regions(p, rows) : 1));
  shape->zero_bytes = shape->folded || d->pad_mode != EVR_PAD_ZERO || !is_padded(d)
                          ? 0
                          : evr_size_floats(shape->run_length);
  if (shape->copied) shape->copy_bytes = evr_band_copy_bytes(shape, p, rows);
}

size_t evr_band_bytes(const evr_band_shape *shape) {
  const size_t tables =
      evr_size_sum(shape->address_bytes, evr_size_sum(shape->place_bytes, shape->run_bytes));
  return evr_size_sum(tables, evr_size_sum(shape->zero_bytes, shape->copy_bytes));
}

/* What the laying out of one band works with. */
typedef struct layer {
  const evr_conv2d_problem *p;
  const evr_band_shape *shape;
  uintptr_t x;    /* of the image and group */
  uintptr_t rest; /* of zeros or the copy */
  evr_region *regions;
  int64_t count;
  uintptr_t *addresses; /* tables, and how much of them is filled */
  int64_t *places;
  evr_run *runs;
  int64_t address_count, place_count, run_count;
} layer;

static uintptr_t edge_pixel(const layer *l, uintptr_t row, int64_t column) {
  const evr_conv2d_desc *d = &l->p->desc;
  const int64_t iw = evr_source_pixel(column, d->in_width, d->pad_mode);
  return iw < 0 ? l->rest : evr_address(row, iw * d->in_channels);
}

/* Where the taps of one window column read: output column ow reads column ow * stride + shift of
 * the image, which is inside it from column `inside` on and before column `beyond`. */
typedef struct tap_column {
  int64_t shift, inside, beyond;
} tap_column;

static tap_column find_tap_column(const evr_conv2d_desc *d, int64_t kw) {
  tap_column c = {.shift = kw * d->dilation_width - d->pad_left};
  c.inside = evr_ceil_div(evr_max(-c.shift, 0), d->stride_width);
  c.beyond = c.shift >= d->in_width ? 0 : (d->in_width - 1 - c.shift) / d->stride_width + 1;
  return c;
}

/* Points output columns [ow, end) of row oh at what their tap in window row kh reads. */
static void point_row(layer *l, int64_t oh, int64_t ow, int64_t end, int64_t kh,
                      const tap_column *c) {
  const evr_conv2d_desc *d = &l->p->desc;
  uintptr_t *out = l->addresses + l->address_count;
  l->address_count += end - ow;
  const int64_t ih = evr_source_pixel(evr_window_top(l->p, oh) + kh * d->dilation_height,
                                      d->in_height, d->pad_mode);
  if (ih < 0) {
    for (; ow < end; ow++) *out++ = l->rest;
    return;
  }
  const uintptr_t row = evr_address(l->x, ih * d->in_width * d->in_channels);
  const int64_t stride = d->stride_width, shift = c->shift;
  const int64_t inside = evr_min(c->inside, end), beyond = evr_min(c->beyond, end);
  for (; ow < inside; ow++) *out++ = edge_pixel(l, row, ow * stride + shift);
  if (ow < beyond) {
    const int64_t channels = d->in_channels;
    out = evr_address_on(out, beyond - ow, evr_address(row, (ow * stride + shift) * channels),
                         stride * channels);
    ow = beyond;
  }
  for (; ow < end; ow++) *out++ = edge_pixel(l, row, ow * stride + shift);
}

/* Pixels of columns [left, right) in rows [top, bottom), without the leading pixels before `first`
 * and those from `last` on, both counted over whole rows. */
typedef struct rectangle {
  int64_t top, bottom, left, right;
  int64_t first, last;
} rectangle;

static void row_span(const rectangle *r, int64_t width, int64_t oh, int64_t *start, int64_t *end) {
  *start = evr_max(r->left, r->first - oh * width);
  *end = evr_min(r->right, r->last - oh * width);
}

/* Points pixels at where their tap (kh, kw), which is inside the image, reads. */
static void point_windows(layer *l, const rectangle *r, int64_t kh, int64_t kw) {
  const evr_conv2d_desc *d = &l->p->desc;
  const int64_t shift = kw * d->dilation_width - d->pad_left;
  for (int64_t oh = r->top; oh < r->bottom; oh++) {
    int64_t start, end;
    row_span(r, l->p->sizes.conv_width, oh, &start, &end);
    if (start >= end) continue;
    const int64_t ih = evr_window_top(l->p, oh) + kh * d->dilation_height;
    const int64_t iw = start * d->stride_width + shift;
    evr_address_on(l->addresses + l->address_count, end - start,
                   evr_address(l->x, (ih * d->in_width + iw) * d->in_channels),
                   d->stride_width * d->in_channels);
    l->address_count += end - start;
  }
}

static void add_places(layer *l, const rectangle *r) {
  const int64_t width = l->p->sizes.conv_width;
  const evr_spread to = evr_output_spread(l->p);
  if (r->left == 0 && r->right == width && to.row == width * to.pixel) {
    const int64_t start = evr_max(r->first, r->top * width);
    const int64_t count = evr_min(r->last, r->bottom * width) - start;
    evr_count_on(l->places + l->place_count, count, start * to.pixel, to.pixel);
    l->place_count += count;
    return;
  }
  for (int64_t oh = r->top; oh < r->bottom; oh++) {
    int64_t start, end;
    row_span(r, width, oh, &start, &end);
    if (start >= end) continue;
    evr_count_on(l->places + l->place_count, end - start, oh * to.row + start * to.pixel, to.pixel);
    l->place_count += end - start;
  }
}

/* inside: these taps are, for all pixels. */
static void add_region(layer *l, const rectangle *r, tap_range rows, tap_range columns,
                       bool inside) {
  const evr_conv2d_desc *d = &l->p->desc;
  const int64_t width = l->p->sizes.conv_width;
  evr_region region = {.run = l->run_count, .address = l->address_count, .place = l->place_count};
  add_places(l, r);
  region.pixels = l->place_count - region.place;
  region.address_step = inside ? 0 : region.pixels;
  if (region.pixels == 0) return;
  if (inside && rows.first < rows.end && columns.first < columns.end)
    point_windows(l, r, rows.first, columns.first);
  for (int64_t kh = rows.first; kh < rows.end; kh++)
    for (int64_t kw = columns.first; kw < columns.end; kw++) {
      const int64_t down = (kh - rows.first) * d->dilation_height * d->in_width;
      const int64_t right = (kw - columns.first) * d->dilation_width;
      l->runs[l->run_count++] = (evr_run){(kh * d->kernel_width + kw) * l->p->group_in,
                                          inside ? (down + right) * d->in_channels : 0};
      if (inside) continue;
      const tap_column c = find_tap_column(d, kw);
      for (int64_t oh = r->top; oh < r->bottom; oh++) {
        int64_t start, end;
        row_span(r, width, oh, &start, &end);
        if (start < end) point_row(l, oh, start, end, kh, &c);
      }
    }
  region.runs = l->run_count - region.run;
  l->regions[l->count++] = region;
}

/* Regions of a band's pixels, first to last - 1. Returns false where there are too many. */
static bool add_regions(layer *l, int64_t first, int64_t last) {
  const evr_conv2d_desc *d = &l->p->desc;
  const int64_t width = l->p->sizes.conv_width;
  const int64_t top = first / width, bottom = (last - 1) / width + 1;
  const evr_band_way way = l->shape->way;
  const tap_range all_rows = {0, d->kernel_height}, all_columns = {0, d->kernel_width};
  const window_line down = line_of_rows(l->p), across = line_of_columns(d);
  for (int64_t left = 0, right; left < width; left = right) {
    const tap_range columns = way == EVR_LEAVE_ROWS ? all_columns : taps_of(&across, left);
    right = way == EVR_LEAVE_ROWS ? width : next_group(&across, left, width);
    const bool edge = way == EVR_LEAVE_SIDES && columns.end - columns.first < d->kernel_width;
    const bool inside = way != EVR_LEAVE_ROWS && !edge;
    for (int64_t row = top, next; row < bottom; row = next) {
      const tap_range rows = edge ? all_rows : taps_of(&down, row);
      next = edge ? bottom : next_group(&down, row, bottom);
      if (l->count == EVR_MOST_REGIONS) return false;
      const rectangle r = {row, next, left, right, first, last};
      add_region(l, &r, rows, columns, inside);
    }
  }
  return true;
}

/* Window rows as runs: regions are rows of pixels that have the same ones inside the image. The
 * band is one region so far. Too many are none. */
static void cut_rows(layer *l, int64_t first, int64_t last) {
  const int64_t width = l->p->sizes.conv_width;
  const evr_region whole = l->regions[0];
  const int64_t top = first / width, bottom = (last - 1) / width + 1;
  const window_line down = line_of_rows(l->p);
  int count = 0;
  for (int64_t row = top, next; row < bottom; row = next, count++) {
    const tap_range rows = taps_of(&down, row);
    next = next_group(&down, row, bottom);
    if (count == EVR_MOST_REGIONS) {
      l->regions[0] = whole;
      return;
    }
    const int64_t skipped = evr_max(row * width, first) - first;
    evr_region *region = &l->regions[count];
    *region = whole;
    region->pixels = evr_min(next * width, last) - first - skipped;
    region->address += skipped;
    region->place += skipped;
    region->run += rows.first;
    region->runs = rows.end - rows.first;
  }
  l->count = count;
}

static void lay_out(layer *l, int64_t first_pixel, int64_t pixels, bool skip) {
  const evr_conv2d_problem *p = l->p;
  const evr_conv2d_desc *d = &p->desc;
  const evr_band_shape *shape = l->shape;
  const int64_t width = p->sizes.conv_width;
  const int64_t top = first_pixel == 0 ? 0 : first_pixel / width;
  const int64_t bottom = first_pixel + pixels <= width ? 1 : (first_pixel + pixels - 1) / width + 1;
  const rectangle all = {top, bottom, 0, width, first_pixel, first_pixel + pixels};
  if (shape->folded) {
    l->regions[l->count++] = (evr_region){.pixels = pixels, .runs = d->kernel_height};
    add_places(l, &all);
    evr_band_point_rows(shape, p, l->x, first_pixel, pixels, l->rest, l->addresses, l->runs);
    l->address_count = pixels;
    l->run_count = d->kernel_height;
    if (skip && shape->way != EVR_LEAVE_NONE) cut_rows(l, first_pixel, first_pixel + pixels);
    return;
  }
  if (skip && shape->way != EVR_LEAVE_NONE) {
    if (add_regions(l, first_pixel, first_pixel + pixels)) return;
    l->count = l->address_count = l->place_count = l->run_count = 0;
  }
  add_region(l, &all, (tap_range){0, d->kernel_height}, (tap_range){0, d->kernel_width},
             !is_padded(d));
}

void evr_band_lay_out(evr_band *band, const evr_band_tables *to, const evr_band_shape *shape,
                      const evr_conv2d_problem *p, uintptr_t x, int64_t first_pixel, int64_t pixels,
                      bool skip) {
  layer l = {.p = p,
             .shape = shape,
             .x = x,
             .rest = to->rest,
             .regions = to->regions,
             .addresses = to->addresses,
             .places = to->places,
             .runs = to->runs};
  lay_out(&l, first_pixel, pixels, skip);
  *band = (evr_band){.regions = l.regions,
                     .count = l.count,
                     .runs = l.runs,
                     .addresses = l.addresses,
                     .places = l.places,
                     .run_count = l.run_count,
                     .address_count = l.address_count,
                     .place_count = l.place_count};
}

void evr_band_init(evr_band *band, evr_region *regions, const evr_band_shape *shape,
                   const evr_conv2d_problem *p, const float *x, int64_t first_pixel, int64_t pixels,
                   bool skip, void *scratch) {
  char *const places = (char *)scratch + shape->address_bytes;
  char *const runs = places + shape->place_bytes;
  float *const rest = evr_band_rest(shape, scratch);
  if (shape->zero_bytes > 0) memset(rest, 0, shape->zero_bytes);
  if (shape->copied) evr_band_copy_rows(shape, p, x, first_pixel, pixels, rest);
  const evr_band_tables tables = {.regions = regions,
                                  .addresses = scratch,
                                  .places = (int64_t *)(void *)places,
                                  .runs = (evr_run *)(void *)runs,
                                  .rest = (uintptr_t)rest};
  evr_band_lay_out(band, &tables, shape, p, (uintptr_t)x, first_pixel, pixels, skip);
}
