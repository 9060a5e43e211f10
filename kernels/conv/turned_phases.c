#include "conv/turned_phases.h"

#include "core/checked.h"

static int64_t tap_step_of(const evr_direction *d) {
  return d->stride / evr_greatest_common_divisor(d->stride, d->dilation);
}

/* The phase on which this tap lies, the first one that does; of no pixels where they would lie
 * beyond the image. */
static evr_phase phase_of_tap(const evr_direction *d, int64_t tap) {
  const int64_t place = (tap * d->dilation - d->pad) % d->stride;
  evr_phase p = {.first = place < 0 ? place + d->stride : place, .tap = tap};
  if (p.first >= d->in) return p;
  p.count = (d->in - 1 - p.first) / d->stride + 1;
  p.tap_step = tap_step_of(d);
  p.dilation = d->dilation / (d->stride / p.tap_step);
  p.taps = (d->kernel - 1 - tap) / p.tap_step + 1;
  /* Output m of the phase is under tap 0 of its own in row m + shift of the gradient, and under its
   * last tap, the first of the turned filter, so many dilations before that. */
  const int64_t shift = (p.first + d->pad - tap * d->dilation) / d->stride;
  p.pad_before = (p.taps - 1) * p.dilation - shift;
  p.pad_after = p.count - d->out + shift;
  return p;
}

static void sort_in(evr_phase *phases, int64_t count, const evr_phase *phase) {
  for (; count > 0 && phases[count - 1].first > phase->first; count--)
    phases[count] = phases[count - 1];
  phases[count] = *phase;
}

void evr_phases_init(evr_phases *phases, const evr_direction *d) {
  phases->direction = *d;
  phases->count = 0;
  /* Taps further on lie on the phases of these. */
  phases->steps = evr_min(d->kernel, tap_step_of(d));
  for (int64_t tap = 0; tap < phases->steps; tap++) {
    const evr_phase phase = phase_of_tap(d, tap);
    if (phase.count == 0) continue;
    if (phases->count < EVR_FEW_PHASES) sort_in(phases->few, phases->count, &phase);
    phases->count++;
  }
  if (phases->count <= EVR_FEW_PHASES) phases->steps = phases->count;
}

bool evr_take_phase(const evr_phases *phases, int64_t step, evr_phase *phase) {
  *phase =
      phases->count <= EVR_FEW_PHASES ? phases->few[step] : phase_of_tap(&phases->direction, step);
  return phase->count > 0;
}

bool evr_phases_leave_pixels(const evr_phases *phases) {
  return phases->count < evr_min(phases->direction.stride, phases->direction.in);
}

bool evr_is_reached(const evr_direction *d, int64_t pixel) {
  const int64_t taps = evr_min(d->kernel, tap_step_of(d));
  for (int64_t tap = 0; tap < taps; tap++)
    if ((pixel + d->pad - tap * d->dilation) % d->stride == 0) return true;
  return false;
}

static bool are_alike(const evr_phase *a, const evr_phase *b) {
  return a->count == b->count && a->taps == b->taps && a->pad_before == b->pad_before &&
         a->pad_after == b->pad_after;
}

bool evr_find_phase_kinds(const evr_phases *phases, evr_phase_kinds *kinds) {
  kinds->count = 0;
  for (int64_t step = 0; step < phases->steps; step++) {
    evr_phase phase;
    if (!evr_take_phase(phases, step, &phase)) continue;
    int k = 0;
    while (k < kinds->count && !are_alike(&kinds->phases[k], &phase)) k++;
    if (k == EVR_MOST_KINDS) return false;
    if (k == kinds->count) {
      kinds->phases[k] = phase;
      kinds->times[k] = 0;
      kinds->count++;
    }
    kinds->times[k]++;
  }
  return true;
}
