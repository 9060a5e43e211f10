/* The elementwise functions in double, for differences of them. */
#ifndef TEST_FUNCTIONS_H
#define TEST_FUNCTIONS_H

#include <stdbool.h>

#include "evrisim/types.h"

double function_value(const evr_activation *activation, double z);

/* Whether the function is not smooth between the two, so that a difference says nothing. */
bool function_has_kink(const evr_activation *activation, double low, double high);

#endif
