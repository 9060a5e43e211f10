/* One direction of backward data with a stride.
 *
 * A pixel's place in the padded image, modulo the stride, says which taps of the filter ever lie on
 * it: those of one remainder, which are equally far apart. So the pixels of one remainder, a phase,
 * see a filter of their own, and their gradient is a convolution with stride 1. */
#ifndef EVR_CONV_TURNED_PHASES_H
#define EVR_CONV_TURNED_PHASES_H

#include <stdbool.h>
#include <stdint.h>

/* Of an image of so many pixels, and an output of so many. */
typedef struct evr_direction {
  int64_t in, out, kernel, stride, dilation, pad;
} evr_direction;

typedef struct evr_phase {
  int64_t first, count;        /* pixels first, first + stride, ... */
  int64_t tap, taps, tap_step; /* taps tap, tap + tap_step, ... */
  /* Of the convolution of the gradient. Pads are as wide as its output and its turned filter need;
   * negative ones leave out rows of the gradient. */
  int64_t dilation, pad_before, pad_after;
} evr_phase;

/* The phases that windows reach, in the order of their pixels where they are few, else of their
 * taps: there are no more than taps, however large the stride is. */
#define EVR_FEW_PHASES 16
typedef struct evr_phases {
  evr_direction direction;
  int64_t count;
  int64_t steps; /* of evr_take_phase */
  evr_phase few[EVR_FEW_PHASES];
} evr_phases;

void evr_phases_init(evr_phases *phases, const evr_direction *direction);

/* Sets phase to that of the step; false where no pixel is in it. */
bool evr_take_phase(const evr_phases *phases, int64_t step, evr_phase *phase);

/* Whether some pixels are in no phase, and so under no window. */
bool evr_phases_leave_pixels(const evr_phases *phases);
bool evr_is_reached(const evr_direction *direction, int64_t pixel);

/* Phases that differ only in where their pixels and taps begin; and how many of each kind there
 * are. */
#define EVR_MOST_KINDS 16
typedef struct evr_phase_kinds {
  int count;
  evr_phase phases[EVR_MOST_KINDS];
  int64_t times[EVR_MOST_KINDS];
} evr_phase_kinds;

/* False for too many kinds, which only dilated windows have. */
bool evr_find_phase_kinds(const evr_phases *phases, evr_phase_kinds *kinds);

#endif
