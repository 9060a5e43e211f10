/* Trains LeNet-5 on digits: the program around network.c. */
#include "digits.h"
#include "random.h"
#include "training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert((int)FIELD_SIDE == (int)LENET_SIDE, "digits are drawn for the network");

enum { RECORDS_IN_AN_EPOCH = 10, LINE = 79 };

typedef struct training {
  const training_settings *settings;
  digit_set learned, held_out;
  lenet *net;
  record record;
  int64_t *order;                 /* of the digits in an epoch */
  unsigned char *pixels, *labels; /* a minibatch */
  uint64_t random;
  double begin, shown; /* times, in seconds */
  bool terminal;
} training;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool check(evr_status status, const char *what) {
  return status == EVR_OK || wrong("%s failed: %s", what, evr_last_error());
}

/* ---- digits ------------------------------------------------------------------------------ */

/* The held-out digits have a seed of their own. */
static bool get_digits(const training_settings *s, digit_set *learned, digit_set *held_out) {
  if (s->data_directory)
    return digits_read(s->data_directory, "train", learned) &&
           digits_read(s->data_directory, "t10k", held_out);
  uint64_t seeds = (uint64_t)s->seed;
  const uint64_t learned_seed = random_bits(&seeds), held_out_seed = random_bits(&seeds);
  return (digits_draw(s->train_count, learned_seed, learned) &&
          digits_draw(s->test_count, held_out_seed, held_out)) ||
         wrong("there is no memory for %lld digits", (long long)(s->train_count + s->test_count));
}

static bool write_digits(const training_settings *s, const digit_set *learned,
                         const digit_set *held_out) {
  if (!make_directory(s->write_directory) || !digits_write(s->write_directory, "train", learned) ||
      !digits_write(s->write_directory, "t10k", held_out))
    return false;
  printf("Digits: %s/train-images-idx3-ubyte (%lld), t10k-images-idx3-ubyte (%lld), and labels\n",
         s->write_directory, (long long)learned->count, (long long)held_out->count);
  return true;
}

/* ---- what is seen on the terminal -------------------------------------------------------- */

static void describe(const training *t) {
  const training_settings *s = t->settings;
  printf("LeNet-5, %lld weights, by evrisim %s on %s, %s arithmetic\n",
         (long long)lenet_weights(t->net), evr_version(), evr_isa_name(isa_in_force(&s->options)),
         choice_name(math_names, (int)s->options.math));
  printf("%lld digits to learn from and %lld held out, ", (long long)t->learned.count,
         (long long)t->held_out.count);
  if (s->data_directory)
    printf("of %s", s->data_directory);
  else
    printf("drawn from seed %lld", (long long)s->seed);
  printf("; %lld in a step\n\n", (long long)s->batch);
  printf("               training            held out\n");
  printf(" epoch      loss     right      loss     right      time\n");
}

/* One line that is written over and over; a pipe or a file does not get it. */
static void show_progress(training *t, int64_t epoch, int64_t done, int64_t steps,
                          const lenet_score *score) {
  static const char bar[] = "########################################";
  const int width = (int)sizeof bar - 1;
  const double time = now();
  if (!t->terminal || (time < t->shown + 0.1 && done < steps)) return;
  t->shown = time;
  printf("\r%6lld %9.4f %8.2f %%  [%-*.*s]", (long long)epoch, mean_loss(score),
         percent_right(score), width, (int)(width * done / steps), bar);
  fflush(stdout);
}

static void show_epoch(const training *t, int64_t epoch, const lenet_score *score,
                       const lenet_score *held_out) {
  if (t->terminal) printf("\r%*s\r", LINE, "");
  printf("%6lld %9.4f %8.2f %% %9.4f %8.2f %% %7.1f s\n", (long long)epoch, mean_loss(score),
         percent_right(score), mean_loss(held_out), percent_right(held_out), now() - t->begin);
  fflush(stdout);
}

/* ---- training ---------------------------------------------------------------------------- */

static bool prepare(training *t) {
  const training_settings *s = t->settings;
  if (!get_digits(s, &t->learned, &t->held_out)) return false;
  if (s->write_directory) return true;
  if (t->learned.count < s->batch)
    return wrong("--batch is %lld, but there are only %lld digits to learn from",
                 (long long)s->batch, (long long)t->learned.count);
  t->net = lenet_create(s->batch, &s->options, (uint64_t)s->seed);
  if (!t->net) return wrong("the network cannot be made: %s", evr_last_error());
  t->order = malloc((size_t)t->learned.count * sizeof *t->order);
  t->pixels = malloc((size_t)s->batch * FIELD_PIXELS);
  t->labels = malloc((size_t)s->batch);
  if (!t->order || !t->pixels || !t->labels) return wrong("there is no memory for a minibatch");
  for (int64_t n = 0; n < t->learned.count; ++n) t->order[n] = n;
  t->random = (uint64_t)s->seed;
  t->terminal = isatty(STDOUT_FILENO) != 0;
  return make_directory(s->output_directory) && record_open(&t->record, s->output_directory);
}

/* Fisher and Yates's, by Durstenfeld (1964): every order is as likely as the others. */
static void shuffle(training *t) {
  for (int64_t n = t->learned.count - 1; n > 0; --n) {
    const int64_t other = random_below(&t->random, (uint32_t)(n + 1)), kept = t->order[n];
    t->order[n] = t->order[other];
    t->order[other] = kept;
  }
}

static bool take_step(training *t, int64_t step, float rate, lenet_score *score) {
  const int64_t batch = t->settings->batch;
  for (int64_t n = 0; n < batch; ++n) {
    const int64_t from = t->order[step * batch + n];
    memcpy(t->pixels + n * FIELD_PIXELS, t->learned.pixels + from * FIELD_PIXELS, FIELD_PIXELS);
    t->labels[n] = t->learned.labels[from];
  }
  return check(lenet_step(t->net, t->pixels, t->labels, rate, t->settings->momentum, score),
               "a step");
}

static void add_score(lenet_score *sum, const lenet_score *score) {
  sum->loss += score->loss;
  sum->correct += score->correct;
  sum->examples += score->examples;
}

/* A last minibatch that is not full is left out; who is in it differs from epoch to epoch. */
static bool run_epoch(training *t, int64_t epoch, lenet_score *held_out) {
  const training_settings *s = t->settings;
  const int64_t steps = t->learned.count / s->batch;
  lenet_score all = {0}, part = {0};
  shuffle(t);
  for (int64_t step = 0; step < steps; ++step) {
    const double gone = (double)(epoch * steps + step) / (double)(s->epochs * steps);
    const float rate = (float)((double)s->rate * (1.0 - gone));
    lenet_score score = {0};
    if (!take_step(t, step, rate, &score)) return false;
    add_score(&all, &score);
    add_score(&part, &score);
    if (!isfinite(all.loss))
      return wrong("the loss is no longer a number; --rate %g is too large", (double)s->rate);
    show_progress(t, epoch + 1, step + 1, steps, &all);
    const bool last = step + 1 == steps;
    if (last && !check(lenet_test(t->net, t->held_out.pixels, t->held_out.labels, t->held_out.count,
                                  held_out),
                       "a test"))
      return false;
    if ((step + 1) * RECORDS_IN_AN_EPOCH / steps > step * RECORDS_IN_AN_EPOCH / steps) {
      const double epochs = (double)epoch + (double)(step + 1) / (double)steps;
      if (!record_add(&t->record, epochs, (double)rate, &part, last ? held_out : NULL))
        return false;
      part = (lenet_score){0};
    }
  }
  show_epoch(t, epoch + 1, &all, held_out);
  return true;
}

static bool train(training *t) {
  lenet_score held_out = {0};
  describe(t);
  t->begin = now();
  for (int64_t epoch = 0; epoch < t->settings->epochs; ++epoch) {
    held_out = (lenet_score){0};
    if (!run_epoch(t, epoch, &held_out)) return false;
  }
  printf("\n%.2f %% of the held-out digits are read right: %lld of %lld.\n",
         percent_right(&held_out), (long long)held_out.correct, (long long)held_out.examples);
  printf("Hash of all weights: %016llx\n", (unsigned long long)lenet_hash(t->net));
  return record_close(&t->record) && record_plot(&t->record);
}

int main(int argc, char **argv) {
  training_settings s;
  switch (training_settings_parse(argc, argv, &s)) {
    case PARSED_DONE: return 0;
    case PARSED_WRONG: return 2;
    case PARSED_RUN: break;
  }
  training t = {.settings = &s};
  bool done = prepare(&t);
  if (done) done = s.write_directory ? write_digits(&s, &t.learned, &t.held_out) : train(&t);
  if (t.record.file) fclose(t.record.file);
  digits_free(&t.learned);
  digits_free(&t.held_out);
  lenet_destroy(t.net);
  free(t.order);
  free(t.pixels);
  free(t.labels);
  if (done && fflush(stdout) != 0) done = wrong("standard output cannot be written");
  return done ? 0 : 1;
}
