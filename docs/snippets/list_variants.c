/* Prints the registry, for check_pages.py. */
#include <stdio.h>

#include "core/registry.h"

int main(void) {
  size_t count;
  const evr_variant *variants = evr_registry(&count);
  for (size_t i = 0; i < count; i++)
    printf("%s %s\n", evr_operation_name(variants[i].operation), variants[i].name);
  return 0;
}
