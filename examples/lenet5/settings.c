#include "training.h"

#include <getopt.h>
#include <string.h>

const char program_name[] = "lenet5";

static void print_help(void) {
  puts(
      "Usage: lenet5 [OPTION]...\n"
      "\n"
      "Trains LeNet-5 (1998) to read digits: such as this program draws, or MNIST's.\n"
      "\n"
      "Digits\n"
      "      --train N          draw so many to learn from (20000)\n"
      "      --test N           draw so many to be tested on (5000)\n"
      "      --data DIRECTORY   read MNIST's files instead: train-images-idx3-ubyte,\n"
      "                         train-labels-idx1-ubyte, and those of t10k for the test\n"
      "      --write DIRECTORY  write the drawn digits as such files, and leave\n"
      "\n"
      "Training\n"
      "  -e, --epochs N         see all digits so many times (8)\n"
      "  -b, --batch N          digits in a step (16)\n"
      "      --rate NUMBER      first learning rate; it falls to zero evenly (0.02)\n"
      "      --momentum NUMBER  what a step keeps of the one before (0.9)\n"
      "      --seed N           where all random numbers begin (1)\n"
      "  -o, --output DIRECTORY where training.csv and its plot, training.svg, go (out)\n"
      "\n"
      "Library");
  fputs("      --math MODE        ", stdout);
  print_names(stdout, math_names);
  fputs(
      " (exact)\n      --max-isa LEVEL    the highest instruction set, one of\n                    "
      "     ",
      stdout);
  print_names(stdout, isa_names);
  puts(
      " (any)\n"
      "      --threads N        at most so many threads (1: the layers are small)\n"
      "  -h, --help             this text\n"
      "      --version          version of the library");
}

enum { TRAIN = 256, TEST, DATA, WRITE, RATE, MOMENTUM, SEED, MATH, MAX_ISA, THREADS, VERSION };

static const struct option options[] = {
    {"train", required_argument, NULL, TRAIN},     {"test", required_argument, NULL, TEST},
    {"data", required_argument, NULL, DATA},       {"write", required_argument, NULL, WRITE},
    {"epochs", required_argument, NULL, 'e'},      {"batch", required_argument, NULL, 'b'},
    {"rate", required_argument, NULL, RATE},       {"momentum", required_argument, NULL, MOMENTUM},
    {"seed", required_argument, NULL, SEED},       {"output", required_argument, NULL, 'o'},
    {"math", required_argument, NULL, MATH},       {"max-isa", required_argument, NULL, MAX_ISA},
    {"threads", required_argument, NULL, THREADS}, {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, VERSION},       {NULL, 0, NULL, 0},
};

/* Files count in 32 bits, and a million fields take a gigabyte. */
enum { MOST_DIGITS = 1000000, MOST_BATCH = 4096 };

static bool take_directory(const char *option, const char **directory) {
  *directory = optarg;
  return *optarg != '\0' || wrong("--%s is empty", option);
}

/* One option. Returns false where its value is wrong, after saying so. */
static bool take_option(int option, training_settings *s) {
  int64_t count = 0;
  int value = 0;
  switch (option) {
    case TRAIN: return read_count("train", optarg, MOST_DIGITS, &s->train_count);
    case TEST: return read_count("test", optarg, MOST_DIGITS, &s->test_count);
    case DATA: return take_directory("data", &s->data_directory);
    case WRITE: return take_directory("write", &s->write_directory);
    case 'e': return read_count("epochs", optarg, 100000, &s->epochs);
    case 'b': return read_count("batch", optarg, MOST_BATCH, &s->batch);
    case RATE:
      return read_float("rate", optarg, &s->rate) &&
             (s->rate > 0.0f || wrong("--rate is %s; it must be above 0", optarg));
    case MOMENTUM:
      return read_float("momentum", optarg, &s->momentum) &&
             ((s->momentum >= 0.0f && s->momentum < 1.0f) ||
              wrong("--momentum is %s; it must be at least 0 and below 1", optarg));
    case SEED: return read_count("seed", optarg, INT64_MAX, &s->seed);
    case 'o': return take_directory("output", &s->output_directory);
    case MATH:
      if (!choose("math", optarg, strlen(optarg), math_names, &value)) return false;
      s->options.math = (evr_math)value;
      return true;
    case MAX_ISA:
      if (!choose("max-isa", optarg, strlen(optarg), isa_names, &value)) return false;
      s->options.max_isa = (evr_isa)value;
      return true;
    case THREADS:
      if (!read_count("threads", optarg, 1024, &count)) return false;
      s->options.num_threads = (int)count;
      return true;
    default:
      return wrong("--help shows the options that there are"); /* getopt has named the culprit */
  }
}

parsed training_settings_parse(int argc, char **argv, training_settings *s) {
  static const evr_plan_options defaults = EVR_PLAN_OPTIONS_INIT;
  *s = (training_settings){.output_directory = "out",
                           .train_count = 20000,
                           .test_count = 5000,
                           .epochs = 8,
                           .batch = 16,
                           .seed = 1,
                           .rate = 0.02f,
                           .momentum = 0.9f,
                           .options = defaults};
  s->options.math = EVR_MATH_EXACT; /* so that a training can be repeated to the bit anywhere */
  s->options.num_threads = 1; /* a second one gains nothing, and waits long on a busy machine */
  int option;
  while ((option = getopt_long(argc, argv, "e:b:o:h", options, NULL)) != -1) {
    if (option == 'h') {
      print_help();
      return PARSED_DONE;
    }
    if (option == VERSION) {
      printf("lenet5, evrisim %s\n", evr_version());
      return PARSED_DONE;
    }
    if (!take_option(option, s)) return PARSED_WRONG;
  }
  if (optind != argc) {
    wrong("\"%s\" is no option; --help shows those that there are", argv[optind]);
    return PARSED_WRONG;
  }
  if (s->data_directory && s->write_directory) {
    wrong("--data reads digits and --write draws them; only one can be done");
    return PARSED_WRONG;
  }
  return PARSED_RUN;
}
