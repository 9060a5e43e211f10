/* Prints the list of variants that docs/variants.md shows. */
#include "snippet.h"

int main(void) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.in_channels = desc.out_channels = 64;
  desc.in_height = desc.in_width = 56;
  desc.kernel_height = desc.kernel_width = 3;
  evr_variant_report reports[32];
  size_t count;
  EXPECT(evr_conv2d_list_variants(&desc, NULL, reports, 32, &count) == EVR_OK);
  EXPECT(count > 0 && count <= 32);
  for (size_t i = 0; i < count; i++)
    printf("%c %-20s %s\n", reports[i].chosen ? '*' : ' ', reports[i].name, reports[i].reason);
  return 0;
}
