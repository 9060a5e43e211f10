/* The classic first look into a convolutional network, as a program: filter a photograph with a
 * convolution, detect with an activation, condense with pooling, and show every stage. The same
 * three stages are then run as one call of the library, which must give the same bits.
 *
 * filter_detect_condense --help tells the options. Only the public API of evrisim is used.
 */
#include "image.h"
#include "settings.h"
#include "sheet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a stage made, and how. */
typedef struct stage {
  int64_t height, width, channels;
  float *values;
  double seconds;
  const char *variant;
} stage;

typedef struct work {
  image picture;
  float *weights; /* as the convolution wants them: one copy of the filter a channel */
  float bias[3];
  stage filtered, detected, condensed, fused;
} work;

static bool complain(const char *what) {
  fprintf(stderr, "filter_detect_condense: %s\n", what);
  return false;
}

/* For calls of the library: prints its sentence where one fails. */
static bool check(evr_status status, const char *what) {
  if (status == EVR_OK) return true;
  fprintf(stderr, "filter_detect_condense: %s failed: %s\n", what, evr_last_error());
  return false;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool allocate_stage(stage *s, int64_t height, int64_t width, int64_t channels,
                           int64_t count) {
  s->height = height;
  s->width = width;
  s->channels = channels;
  s->seconds = INFINITY;
  s->values = malloc((size_t)count * sizeof(float));
  return s->values || complain("the picture is too large for this machine's memory");
}

static int64_t count_of(const stage *s) { return s->height * s->width * s->channels; }

/* ---- the three stages -------------------------------------------------------------------- */

/* Grey pictures have one channel. In colour every channel is a group of its own (a depthwise
 * convolution): the filter looks at red, green and blue, each for itself. */
static bool describe_convolution(const settings *s, const image *picture, evr_conv2d_desc *desc) {
  static const evr_conv2d_desc defaults = EVR_CONV2D_DESC_INIT;
  *desc = defaults;
  desc->in_height = picture->height;
  desc->in_width = picture->width;
  desc->in_channels = desc->out_channels = desc->groups = picture->channels;
  desc->kernel_height = s->filter.height;
  desc->kernel_width = s->filter.width;
  desc->pad_mode = s->pad_mode;
  return check(evr_conv2d_set_padding(desc, s->padding), "padding for the filter");
}

/* Runs a convolution, which may have activation and pooling in it, and keeps the best time. */
static bool run_convolution(const settings *s, const evr_conv2d_desc *desc, work *w, stage *out,
                            const char *what) {
  evr_conv2d_plan *plan = NULL;
  evr_conv2d_sizes sizes;
  bool done =
      check(evr_conv2d_get_sizes(desc, &sizes), what) &&
      allocate_stage(out, sizes.out_height, sizes.out_width, desc->out_channels, sizes.y_count) &&
      check(evr_conv2d_plan_create(desc, &s->options, &plan), what);
  if (done) out->variant = evr_conv2d_plan_variant(plan);
  for (int i = 0; done && i < s->repeat; ++i) {
    double start = now();
    done = check(evr_conv2d_forward(plan, w->picture.values, w->weights,
                                    s->bias != 0.0f ? w->bias : NULL, out->values, NULL),
                 what);
    out->seconds = fmin(out->seconds, now() - start);
  }
  evr_conv2d_plan_destroy(plan);
  return done;
}

/* A forced variant is one of the convolution; the other operations choose for themselves. */
static evr_plan_options options_of_others(const settings *s) {
  evr_plan_options options = s->options;
  options.variant = NULL;
  return options;
}

static bool run_activation(const settings *s, const stage *in, stage *out) {
  evr_plan_options options = options_of_others(s);
  evr_activation_desc desc = {s->activation, count_of(in)};
  evr_activation_plan *plan = NULL;
  bool done = allocate_stage(out, in->height, in->width, in->channels, count_of(in)) &&
              check(evr_activation_plan_create(&desc, &options, &plan), "detecting");
  if (done) out->variant = evr_activation_plan_variant(plan);
  for (int i = 0; done && i < s->repeat; ++i) {
    double start = now();
    done = check(evr_activation_forward(plan, in->values, out->values), "detecting");
    out->seconds = fmin(out->seconds, now() - start);
  }
  evr_activation_plan_destroy(plan);
  return done;
}

static bool describe_pooling(const settings *s, const stage *in, evr_pool2d_desc *desc) {
  static const evr_pool2d_desc defaults = EVR_POOL2D_DESC_INIT;
  *desc = defaults;
  desc->channels = in->channels;
  desc->in_height = in->height;
  desc->in_width = in->width;
  desc->window.kind = s->pool;
  desc->window.kernel_height = s->window_height;
  desc->window.kernel_width = s->window_width;
  desc->window.stride_height = s->stride_height;
  desc->window.stride_width = s->stride_width;
  return check(evr_pool2d_set_padding(desc, s->padding), "padding for the pool");
}

static bool run_pooling(const settings *s, const evr_pool2d_desc *desc, const stage *in,
                        stage *out) {
  evr_plan_options options = options_of_others(s);
  evr_pool2d_plan *plan = NULL;
  evr_pool2d_sizes sizes;
  bool done =
      check(evr_pool2d_get_sizes(desc, &sizes), "condensing") &&
      allocate_stage(out, sizes.out_height, sizes.out_width, desc->channels, sizes.y_count) &&
      check(evr_pool2d_plan_create(desc, &options, &plan), "condensing");
  if (done) out->variant = evr_pool2d_plan_variant(plan);
  for (int i = 0; done && i < s->repeat; ++i) {
    double start = now();
    done = check(evr_pool2d_forward(plan, in->values, out->values, NULL), "condensing");
    out->seconds = fmin(out->seconds, now() - start);
  }
  evr_pool2d_plan_destroy(plan);
  return done;
}

static bool run_stages(const settings *s, work *w) {
  evr_conv2d_desc convolution;
  evr_pool2d_desc pooling;
  if (!describe_convolution(s, &w->picture, &convolution) ||
      !run_convolution(s, &convolution, w, &w->filtered, "filtering") ||
      !run_activation(s, &w->filtered, &w->detected) ||
      !describe_pooling(s, &w->detected, &pooling) ||
      !run_pooling(s, &pooling, &w->detected, &w->condensed))
    return false;
  /* The trio in one call: the same convolution with the two others in its descriptor. */
  convolution.activation = s->activation;
  convolution.pool = pooling.window;
  return run_convolution(s, &convolution, w, &w->fused, "filtering, detecting and condensing");
}

static bool prepare(const settings *s, work *w) {
  char error[IMAGE_ERROR_SIZE];
  if (!image_read(s->picture_path, &w->picture, error)) return complain(error);
  if (s->window_height > w->picture.height || s->window_width > w->picture.width) {
    char sentence[200];
    snprintf(sentence, sizeof sentence,
             "--window is %lld rows by %lld columns; the picture has only %lld by %lld",
             (long long)s->window_height, (long long)s->window_width, (long long)w->picture.height,
             (long long)w->picture.width);
    return complain(sentence);
  }
  if (!s->color) image_make_grey(&w->picture);
  /* HWIO, and one input channel in each group: taps outermost, channels innermost. */
  int64_t taps = s->filter.height * s->filter.width, channels = w->picture.channels;
  w->weights = malloc((size_t)(taps * channels) * sizeof(float));
  if (!w->weights) return complain("out of memory");
  for (int64_t i = 0; i < taps * channels; ++i) w->weights[i] = s->filter.weights[i / channels];
  for (int64_t i = 0; i < channels; ++i) w->bias[i] = s->bias;
  return true;
}

/* ---- showing them ------------------------------------------------------------------------ */

/* A filter whose weights add up to something keeps the picture recognizable: it is shown from black
 * to white. Where weights cancel, values are positive and negative, and zero is shown as middle
 * grey; where nothing is negative, zero is black. */
static tone choose_tone(const settings *s, const stage *st, bool activated) {
  float least, greatest, sum = filter_sum(&s->filter);
  bool linear = !activated || s->activation.kind == EVR_RELU || s->activation.kind == EVR_IDENTITY;
  if (linear && sum > 0.1f) return (tone){0.0f, sum};
  value_range(st->values, count_of(st), &least, &greatest);
  float magnitude = usual_magnitude(st->values, count_of(st));
  return (tone){least < 0.0f ? -magnitude : 0.0f, magnitude};
}

typedef struct showing {
  char title[96], note[96];
  unsigned char *pixels;
} showing;

static bool write_stage(const settings *s, const stage *st, tone t, const char *file_name,
                        showing *shown, panel *p) {
  char path[4096], error[IMAGE_ERROR_SIZE];
  shown->pixels = malloc((size_t)count_of(st));
  if (!shown->pixels) return complain("out of memory");
  show_values(st->values, count_of(st), t, shown->pixels);
  float least, greatest;
  value_range(st->values, count_of(st), &least, &greatest);
  snprintf(shown->note, sizeof shown->note,
           "%lld x %lld pixels, values %.3g to %.3g (black %.3g, white %.3g)", (long long)st->width,
           (long long)st->height, (double)least, (double)greatest, (double)t.black,
           (double)t.white);
  *p = (panel){shown->title, shown->note, shown->pixels, st->height, st->width, (int)st->channels};
  if (snprintf(path, sizeof path, "%s/%s", s->output_directory, file_name) >= (int)sizeof path)
    return complain("the name of the output directory is too long");
  return image_write_png(path, shown->pixels, st->width, st->height, (int)st->channels, error) ||
         complain(error);
}

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool write_images(const settings *s, const work *w) {
  showing shown[4] = {{"", "", NULL}};
  panel panels[4];
  stage input = {
      w->picture.height, w->picture.width, w->picture.channels, w->picture.values, 0, ""};
  tone filter_tone = choose_tone(s, &w->filtered, false);
  /* One tone for the last two, so that they can be compared. */
  tone detect_tone = choose_tone(s, &w->detected, true);
  snprintf(shown[0].title, sizeof shown[0].title, "Input, %s", s->color ? "colour" : "grey");
  snprintf(shown[1].title, sizeof shown[1].title, "1 Filter: %s, %lld x %lld", s->filter_name,
           (long long)s->filter.height, (long long)s->filter.width);
  snprintf(shown[2].title, sizeof shown[2].title, "2 Detect: %s",
           activation_name(s->activation.kind));
  snprintf(shown[3].title, sizeof shown[3].title, "3 Condense: %s of %lld x %lld",
           pool_name(s->pool), (long long)s->window_height, (long long)s->window_width);
  bool done = write_stage(s, &input, (tone){0.0f, 1.0f}, "0-input.png", &shown[0], &panels[0]) &&
              write_stage(s, &w->filtered, filter_tone, "1-filter.png", &shown[1], &panels[1]) &&
              write_stage(s, &w->detected, detect_tone, "2-detect.png", &shown[2], &panels[2]) &&
              write_stage(s, &w->condensed, detect_tone, "3-condense.png", &shown[3], &panels[3]);
  if (done && !s->without_sheet) {
    char path[4096], headline[128], error[IMAGE_ERROR_SIZE];
    snprintf(path, sizeof path, "%s/contact-sheet.png", s->output_directory);
    snprintf(headline, sizeof headline, "%.60s by evrisim %s, %s", last_part(s->picture_path),
             evr_version(), w->filtered.variant);
    done = sheet_write(path, headline, &s->filter, panels, 4, error) || complain(error);
  }
  for (int i = 0; i < 4; ++i) free(shown[i].pixels);
  return done;
}

/* ---- reports ----------------------------------------------------------------------------- */

static bool print_variants(const settings *s, const image *picture) {
  enum { MOST = 64 };
  evr_variant_report list[MOST];
  size_t count = 0;
  evr_conv2d_desc desc;
  if (!describe_convolution(s, picture, &desc) ||
      !check(evr_conv2d_list_variants(&desc, &s->options, list, MOST, &count), "listing variants"))
    return false;
  for (size_t i = 0; i < count && i < MOST; ++i)
    printf("%s %-20s %s\n", list[i].chosen ? "*" : " ", list[i].name,
           list[i].accepted ? "can serve" : list[i].reason);
  return true;
}

static void print_stage(const char *name, const stage *s) {
  float least, greatest;
  value_range(s->values, count_of(s), &least, &greatest);
  char size[64];
  snprintf(size, sizeof size, "%lld x %lld x %lld", (long long)s->width, (long long)s->height,
           (long long)s->channels);
  printf("%-10s%-20s%-18s%9.3f ms   %.4g to %.4g\n", name, s->variant, size, 1e3 * s->seconds,
         (double)least, (double)greatest);
}

static bool report(const settings *s, const work *w) {
  evr_cpu_info cpu;
  if (!check(evr_cpu_query(&cpu), "looking at the CPU")) return false;
  printf("evrisim %s on %s (%s)\n", evr_version(), cpu.model[0] ? cpu.model : "an unnamed CPU",
         evr_isa_name(isa_in_force(&s->options)));
  printf("%s: %lld x %lld pixels, %d bit%s, taken in %s\n\n", s->picture_path,
         (long long)w->picture.width, (long long)w->picture.height, w->picture.bits,
         w->picture.bits == 1 ? "" : "s", w->picture.channels == 3 ? "colour" : "grey");
  printf("%-10s%-20s%-18s%12s   %s\n", "stage", "variant", "width x height", "time", "values");
  print_stage("filter", &w->filtered);
  print_stage("detect", &w->detected);
  print_stage("condense", &w->condensed);
  print_stage("one call", &w->fused);
  bool same = count_of(&w->condensed) == count_of(&w->fused) &&
              memcmp(w->condensed.values, w->fused.values,
                     (size_t)count_of(&w->fused) * sizeof(float)) == 0;
  if (!same) return complain("the trio in one call does not give the bits of the three stages");
  printf("\nThe trio in one call gives the same bits as the three stages.\n");
  return true;
}

int main(int argc, char **argv) {
  settings s;
  work w;
  memset(&w, 0, sizeof w);
  switch (settings_parse(argc, argv, &s)) {
    case PARSED_DONE: return 0;
    case PARSED_WRONG: return 2;
    case PARSED_RUN: break;
  }
  bool done = prepare(&s, &w);
  if (done && s.list_variants) {
    done = print_variants(&s, &w.picture);
  } else if (done) {
    done = make_directory(s.output_directory) && run_stages(&s, &w) && report(&s, &w) &&
           write_images(&s, &w);
    if (done)
      printf("Images: %s/0-input.png, 1-filter.png, 2-detect.png, 3-condense.png\n",
             s.output_directory);
    if (done && !s.without_sheet)
      printf("Contact sheet: %s/contact-sheet.png\n", s.output_directory);
  }
  image_free(&w.picture);
  free(w.weights);
  free(w.filtered.values);
  free(w.detected.values);
  free(w.condensed.values);
  free(w.fused.values);
  if (done && fflush(stdout) != 0) {
    fprintf(stderr, "filter_detect_condense: standard output cannot be written\n");
    done = false;
  }
  return done ? 0 : 1;
}
