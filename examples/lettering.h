/* Letters for the contact sheet: a font of 5 x 7 dots, ASCII only. */
#ifndef EVRISIM_EXAMPLES_LETTERING_H
#define EVRISIM_EXAMPLES_LETTERING_H

#include <stdbool.h>

enum { LETTER_ROWS = 7 };

/* Columns of a letter that have dots; what is not in the font is shown as a question mark. The next
 * letter follows after one empty column more. A space has columns without dots. */
int letter_width(char letter);

/* Whether there is a dot in a column (from the letter's left) and a row (from its top). */
bool letter_dot(char letter, int column, int row);

#endif
