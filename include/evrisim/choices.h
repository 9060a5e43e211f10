/** @file choices.h  Choices of variants that were found by timing, to keep from run to run.
 *
 *  A plan made with EVR_MEASURE times the variants that may serve it; given a set of choices, it
 *  looks there first and adds what it finds. Any plan that is given the set uses what is in it. A
 *  choice holds for one library version, CPU model, instruction-set limit, math mode, thread count
 *  and descriptor (of pooling in the same pass only whether there is some); a set may hold choices
 *  of many machines.
 *
 *  A file of choices is text: a line that names the format, then for each choice a line with its
 *  key, a tab and the name of the variant.
 */
#ifndef EVRISIM_CHOICES_H
#define EVRISIM_CHOICES_H

#include "plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Makes an empty set. allocator NULL: the C library; it must outlive the set. All functions may be
 *  called from several threads at once on one set, but for evr_choices_destroy. On failure *choices
 *  is set to NULL (where choices is given). */
EVR_API evr_status evr_choices_create(const evr_allocator *allocator, evr_choices **choices);

/** NULL is allowed. Plans do not need the set that they were made with. */
EVR_API void evr_choices_destroy(evr_choices *choices);

/** How many choices the set holds; 0 for NULL. */
EVR_API size_t evr_choices_count(const evr_choices *choices);

/** Adds the choices of a file; those that the set has already are replaced. EVR_FILE_ERROR where
 * the file cannot be read, or is no file of choices: the sentence names the line; the set is then
 *  unchanged. A name that this build does not know is kept, and never used. */
EVR_API evr_status evr_choices_load(evr_choices *choices, const char *path);

/** Writes the set, sorted, to a new file beside path that then takes its place and mode, so that
 *  path is never half-written; of a link, beside the file that it leads to. EVR_FILE_ERROR where
 *  that fails, or path is something else than a file, or a link that leads nowhere. */
EVR_API evr_status evr_choices_save(const evr_choices *choices, const char *path);

#ifdef __cplusplus
}
#endif

#endif
