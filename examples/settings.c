#include "settings.h"

#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

const char program_name[] = "filter_detect_condense";

static const choice activations[] = {{"relu", EVR_RELU},
                                     {"identity", EVR_IDENTITY},
                                     {"leaky-relu", EVR_LEAKY_RELU},
                                     {"elu", EVR_ELU},
                                     {"sigmoid", EVR_SIGMOID},
                                     {"tanh", EVR_TANH},
                                     {"scaled-tanh", EVR_SCALED_TANH},
                                     {"relu6", EVR_RELU6},
                                     {"hard-swish", EVR_HARD_SWISH},
                                     {"silu", EVR_SILU},
                                     {"gelu", EVR_GELU},
                                     {"gelu-tanh", EVR_GELU_TANH},
                                     {NULL, 0}};

static const choice pools[] = {
    {"max", EVR_POOL_MAX}, {"average", EVR_POOL_AVERAGE}, {"min", EVR_POOL_MIN}, {NULL, 0}};

static const choice paddings[] = {{"same", EVR_SAME_UPPER}, {"valid", EVR_VALID}, {NULL, 0}};

static const choice pad_modes[] = {{"replicate", EVR_PAD_REPLICATE},
                                   {"zero", EVR_PAD_ZERO},
                                   {"reflect", EVR_PAD_REFLECT},
                                   {NULL, 0}};

const char *activation_name(evr_activation_kind kind) {
  return choice_name(activations, (int)kind);
}
const char *pool_name(evr_pool_kind kind) { return choice_name(pools, (int)kind); }

/* "3" or "3x2": height, then width. */
static bool read_sides(const char *option, const char *text, int64_t *height, int64_t *width) {
  const char *cross = strchr(text, 'x');
  char first[24];
  if (!cross) return read_count(option, text, 1000000, height) && (*width = *height, true);
  if ((size_t)(cross - text) >= sizeof first)
    return wrong("--%s is \"%s\", which is neither N nor HEIGHTxWIDTH", option, text);
  memcpy(first, text, (size_t)(cross - text));
  first[cross - text] = '\0';
  return read_count(option, first, 1000000, height) &&
         read_count(option, cross + 1, 1000000, width);
}

/* "relu" or "leaky-relu:0.2". */
static bool read_activation(const char *text, evr_activation *activation) {
  const char *colon = strchr(text, ':');
  size_t length = colon ? (size_t)(colon - text) : strlen(text);
  int kind = EVR_IDENTITY;
  if (!choose("activation", text, length, activations, &kind)) return false;
  activation->kind = (evr_activation_kind)kind;
  activation->alpha = kind == EVR_LEAKY_RELU ? 0.1f : kind == EVR_ELU ? 1.0f : 0.0f;
  if (!colon) return true;
  if (kind != EVR_LEAKY_RELU && kind != EVR_ELU)
    return wrong("--activation is \"%s\", but only leaky-relu and elu take a number", text);
  return read_float("activation", colon + 1, &activation->alpha);
}

static bool use_named_filter(const char *name, settings *s) {
  if (!filter_find(name, &s->filter))
    return wrong("--kernel is \"%s\"; --list-kernels shows the names that there are", name);
  snprintf(s->filter_name, sizeof s->filter_name, "%s", name);
  return true;
}

static void list_filters(void) {
  for (const named_filter *f = filter_names; f->name; ++f) {
    filter parsed_filter;
    filter_find(f->name, &parsed_filter);
    printf("%-12s%lld x %lld  %s\n", f->name, (long long)parsed_filter.height,
           (long long)parsed_filter.width, f->description);
  }
}

static void print_help(void) {
  puts(
      "Usage: filter_detect_condense [OPTION]... PICTURE\n"
      "\n"
      "Filters a photograph (convolution), detects what the filter looks for\n"
      "(activation) and condenses it (pooling), as a layer of a convolutional network\n"
      "does. Writes every stage as an image, and a contact sheet of all of them.\n"
      "PICTURE is a PNG, JPEG, PGM or PPM file.\n"
      "\n"
      "Filter\n"
      "  -k, --kernel NAME        a filter by its name (edge)\n"
      "  -l, --list-kernels       show the names and leave\n"
      "  -w, --weights ROWS       your own filter, for example\n"
      "                           \"-1 -1 -1; -1 8 -1; -1 -1 -1\"\n"
      "  -f, --weights-file FILE  the same from a text file, one row a line\n"
      "  -b, --bias NUMBER        added after filtering (0)\n"
      "  -g, --grey               filter the brightness (this is the default)\n"
      "  -c, --colour, --color    filter red, green and blue, each for itself");
  fputs("      --padding SCHEME     what happens at the rim: ", stdout);
  print_names(stdout, paddings);
  fputs(
      " (same)\n      --pad-mode MODE      what lies beyond the rim:\n                           ",
      stdout);
  print_names(stdout, pad_modes);
  puts(
      " (replicate)\n"
      "\n"
      "Detect\n"
      "  -a, --activation NAME    or NAME:NUMBER for leaky-relu (slope, 0.1) and\n"
      "                           elu (scale, 1); one of these, the default is relu:");
  fputs("                           ", stdout);
  for (const choice *c = activations; c->name; ++c)
    printf("%s%s",
           c == activations       ? ""
           : c - activations == 6 ? ",\n                           "
                                  : ", ",
           c->name);
  fputs("\n\nCondense\n  -p, --pool KIND          ", stdout);
  print_names(stdout, pools);
  puts(
      " (max)\n"
      "      --window SIZE        N or HEIGHTxWIDTH (2)\n"
      "      --stride SIZE        the same (as the window)\n"
      "\n"
      "Output\n"
      "  -o, --output DIRECTORY   where the images go, made where it is missing (out)\n"
      "      --no-sheet           write the stages only, without the contact sheet\n"
      "\n"
      "Library\n"
      "      --math MODE          exact or standard (exact)\n"
      "      --variant NAME       force a variant of the convolution\n"
      "      --list-variants      show which there are for this picture, and why not,\n"
      "                           and leave\n"
      "      --max-isa LEVEL      use nothing above scalar, neon, avx2, avx512 or amx\n"
      "      --threads N          at most so many threads (all)\n"
      "      --repeat N           take the best time of N runs (5)\n"
      "  -h, --help               this text\n"
      "      --version            version of the library");
}

enum {
  PADDING = 256,
  PAD_MODE,
  WINDOW,
  STRIDE,
  NO_SHEET,
  MATH,
  VARIANT,
  LIST_VARIANTS,
  MAX_ISA,
  THREADS,
  REPEAT,
  VERSION
};

static const struct option options[] = {
    {"kernel", required_argument, NULL, 'k'},
    {"list-kernels", no_argument, NULL, 'l'},
    {"weights", required_argument, NULL, 'w'},
    {"weights-file", required_argument, NULL, 'f'},
    {"bias", required_argument, NULL, 'b'},
    {"grey", no_argument, NULL, 'g'},
    {"gray", no_argument, NULL, 'g'},
    {"colour", no_argument, NULL, 'c'},
    {"color", no_argument, NULL, 'c'},
    {"padding", required_argument, NULL, PADDING},
    {"pad-mode", required_argument, NULL, PAD_MODE},
    {"activation", required_argument, NULL, 'a'},
    {"pool", required_argument, NULL, 'p'},
    {"window", required_argument, NULL, WINDOW},
    {"stride", required_argument, NULL, STRIDE},
    {"output", required_argument, NULL, 'o'},
    {"no-sheet", no_argument, NULL, NO_SHEET},
    {"math", required_argument, NULL, MATH},
    {"variant", required_argument, NULL, VARIANT},
    {"list-variants", no_argument, NULL, LIST_VARIANTS},
    {"max-isa", required_argument, NULL, MAX_ISA},
    {"threads", required_argument, NULL, THREADS},
    {"repeat", required_argument, NULL, REPEAT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

/* One option. Returns false where its value is wrong, after saying so. */
static bool take_option(int option, settings *s) {
  char error[FILTER_ERROR_SIZE];
  size_t length = optarg ? strlen(optarg) : 0;
  int64_t count = 0;
  int value = 0;
  switch (option) {
    case 'k': return use_named_filter(optarg, s);
    case 'w':
    case 'f':
      snprintf(s->filter_name, sizeof s->filter_name, "own filter");
      return (option == 'w' ? filter_parse(optarg, &s->filter, error)
                            : filter_read(optarg, &s->filter, error)) ||
             wrong("%s", error);
    case 'b': return read_float("bias", optarg, &s->bias);
    case 'g':
    case 'c': s->color = option == 'c'; return true;
    case PADDING:
      if (!choose("padding", optarg, length, paddings, &value)) return false;
      s->padding = (evr_padding_scheme)value;
      return true;
    case PAD_MODE:
      if (!choose("pad-mode", optarg, length, pad_modes, &value)) return false;
      s->pad_mode = (evr_pad_mode)value;
      return true;
    case 'a': return read_activation(optarg, &s->activation);
    case 'p':
      if (!choose("pool", optarg, length, pools, &value)) return false;
      s->pool = (evr_pool_kind)value;
      return true;
    case WINDOW: return read_sides("window", optarg, &s->window_height, &s->window_width);
    case STRIDE: return read_sides("stride", optarg, &s->stride_height, &s->stride_width);
    case 'o': s->output_directory = optarg; return length > 0 || wrong("--output is empty");
    case NO_SHEET: s->without_sheet = true; return true;
    case MATH:
      if (!choose("math", optarg, length, math_names, &value)) return false;
      s->options.math = (evr_math)value;
      return true;
    case VARIANT: s->options.variant = optarg; return true;
    case LIST_VARIANTS: s->list_variants = true; return true;
    case MAX_ISA:
      if (!choose("max-isa", optarg, length, isa_names, &value)) return false;
      s->options.max_isa = (evr_isa)value;
      return true;
    case THREADS:
      if (!read_count("threads", optarg, 1024, &count)) return false;
      s->options.num_threads = (int)count;
      return true;
    case REPEAT:
      if (!read_count("repeat", optarg, 1000000, &count)) return false;
      s->repeat = (int)count;
      return true;
    default:
      return wrong("--help shows the options that there are"); /* getopt has named the culprit */
  }
}

parsed settings_parse(int argc, char **argv, settings *s) {
  static const evr_plan_options defaults = EVR_PLAN_OPTIONS_INIT;
  memset(s, 0, sizeof *s);
  s->output_directory = "out";
  s->activation.kind = EVR_RELU;
  s->pool = EVR_POOL_MAX;
  s->window_height = s->window_width = 2;
  s->padding = EVR_SAME_UPPER;
  s->pad_mode = EVR_PAD_REPLICATE;
  s->options = defaults;
  s->options.math = EVR_MATH_EXACT; /* it promises that one call gives the bits of three */
  s->repeat = 5;
  use_named_filter("edge", s);
  int option;
  while ((option = getopt_long(argc, argv, "k:lw:f:b:gca:p:o:h", options, NULL)) != -1) {
    if (option == 'l') {
      list_filters();
      return PARSED_DONE;
    }
    if (option == 'h') {
      print_help();
      return PARSED_DONE;
    }
    if (option == VERSION) {
      printf("filter_detect_condense, evrisim %s\n", evr_version());
      return PARSED_DONE;
    }
    if (!take_option(option, s)) return PARSED_WRONG;
  }
  if (optind != argc - 1) {
    wrong(optind == argc ? "no picture is given; --help shows how"
                         : "more than one picture is given; --help shows how");
    return PARSED_WRONG;
  }
  if (s->stride_height == 0) {
    s->stride_height = s->window_height;
    s->stride_width = s->window_width;
  }
  s->picture_path = argv[optind];
  return PARSED_RUN;
}
