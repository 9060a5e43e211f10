#include "conv/band_kept.h"

#include <string.h>

#include "conv/band_rows.h"
#include "core/checked.h"

/* Tables that a band is laid out in, to be kept where most of it turns out to be unused. */
#define MOST_ADDRESSES 2048
#define MOST_PLACES (EVR_PREPARED_ROOM / sizeof(int64_t))
#define MOST_RUNS 512

static bool fit(const evr_band_shape *shape) {
  return shape->address_bytes <= MOST_ADDRESSES * sizeof(uintptr_t) &&
         shape->place_bytes <= MOST_PLACES * sizeof(int64_t) &&
         shape->run_bytes <= MOST_RUNS * sizeof(evr_run);
}

/* Copies a table of so many entries to *next, and moves that on by whole lines. */
static const void *put(char **next, const void *table, int64_t count, size_t size) {
  char *const at = *next;
  memcpy(at, table, (size_t)count * size);
  *next = at + evr_size_lines((size_t)count * size);
  return at;
}

const evr_kept_band *evr_band_keep(const evr_band_shape *shape, const evr_conv2d_problem *p) {
  if (p->prepared.room == NULL || p->first_row != 0 || shape->edges || !fit(shape)) return NULL;
  evr_region regions[EVR_MOST_REGIONS];
  uintptr_t addresses[MOST_ADDRESSES];
  int64_t places[MOST_PLACES];
  evr_run runs[MOST_RUNS];
  const evr_band_tables tables = {regions, addresses, places, runs, 0};
  const bool skips = shape->way != EVR_LEAVE_NONE;
  evr_band band;
  evr_band_lay_out(&band, &tables, shape, p, 0, 0, p->sizes.conv_height * p->sizes.conv_width,
                   skips);
  for (int64_t r = 0; r < band.count; r++)
    if (shape->zero_bytes > 0 && regions[r].address_step != 0) return NULL;
  const size_t bytes = evr_size_lines(sizeof(evr_kept_band)) +
                       evr_size_lines((size_t)band.count * sizeof *regions) +
                       evr_size_lines((size_t)band.run_count * sizeof *runs) +
                       evr_size_lines((size_t)band.address_count * sizeof *addresses) +
                       evr_size_lines((size_t)band.place_count * sizeof *places);
  if (bytes > EVR_PREPARED_ROOM) return NULL;
  evr_kept_band *const kept = p->prepared.room;
  char *next = (char *)p->prepared.room + evr_size_lines(sizeof *kept);
  kept->skips = skips;
  kept->band = band;
  kept->band.regions = put(&next, regions, band.count, sizeof *regions);
  kept->band.runs = put(&next, runs, band.run_count, sizeof *runs);
  kept->band.addresses = put(&next, addresses, band.address_count, sizeof *addresses);
  kept->band.places = put(&next, places, band.place_count, sizeof *places);
  return kept;
}

void evr_band_recall(evr_band *band, const evr_kept_band *kept, const evr_band_shape *shape,
                     const evr_conv2d_problem *p, const float *x, void *scratch) {
  *band = kept->band;
  const float *from = x;
  if (shape->copied) {
    float *const copy = evr_band_rest(shape, scratch);
    evr_band_copy_rows(shape, p, x, 0, p->sizes.conv_height * p->sizes.conv_width, copy);
    from = copy;
  }
  uintptr_t *const addresses = scratch;
  for (int64_t i = 0; i < band->address_count; i++)
    addresses[i] = (uintptr_t)from + kept->band.addresses[i];
  band->addresses = addresses;
}
