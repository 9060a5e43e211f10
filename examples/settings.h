/* What the command line of filter_detect_condense asks for. */
#ifndef EVRISIM_EXAMPLES_SETTINGS_H
#define EVRISIM_EXAMPLES_SETTINGS_H

#include "filters.h"
#include "options.h"

#include <evrisim/evrisim.h>

typedef struct settings {
  const char *picture_path, *output_directory;
  char filter_name[64]; /* for captions */
  filter filter;
  bool color, without_sheet;
  float bias;
  evr_activation activation;
  evr_pool_kind pool;
  int64_t window_height, window_width, stride_height, stride_width;
  evr_padding_scheme padding;
  evr_pad_mode pad_mode;
  evr_plan_options options;
  bool list_variants;
  int repeat;
} settings;

parsed settings_parse(int argc, char **argv, settings *s);

/* Names as the command line takes them. */
const char *activation_name(evr_activation_kind kind);
const char *pool_name(evr_pool_kind kind);

#endif
