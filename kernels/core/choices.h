/* Sets of measured choices: strings sorted by key. */
#ifndef EVR_CORE_CHOICES_H
#define EVR_CORE_CHOICES_H

#include "evrisim/choices.h"

#define EVR_CHOICE_KEY_SIZE 512
#define EVR_CHOICE_NAME_SIZE 64

/* Whether the set has the key; if so its variant's name is copied to name. */
bool evr_choices_find(evr_choices *choices, const char *key, char name[EVR_CHOICE_NAME_SIZE]);

/* Adds or replaces. */
evr_status evr_choices_add(evr_choices *choices, const char *key, const char *name);

#endif
