/* What the command line of lenet5 asks for, and the record of a training. */
#ifndef EVRISIM_EXAMPLES_LENET5_TRAINING_H
#define EVRISIM_EXAMPLES_LENET5_TRAINING_H

#include "../options.h"
#include "network.h"

typedef struct training_settings {
  const char *data_directory;  /* of IDX files, or NULL: digits are drawn */
  const char *write_directory; /* where drawn digits go, instead of training, or NULL */
  const char *output_directory;
  int64_t train_count, test_count, epochs, batch, seed;
  float rate, momentum;
  evr_plan_options options;
} training_settings;

parsed training_settings_parse(int argc, char **argv, training_settings *s);

/* training.csv in the output directory: loss and accuracy as training goes on. */
typedef struct record {
  FILE *file;
  const char *directory;
} record;

/* Each returns false after saying on stderr what went wrong. held_out is NULL between epochs. */
bool record_open(record *r, const char *directory);
bool record_add(record *r, double epochs, double rate, const lenet_score *training,
                const lenet_score *held_out);
/* Closes the file. */
bool record_close(record *r);

/* Draws training.svg from training.csv by gnuplot, whose script stays there as training.gp, and
 * shows the accuracy on the terminal. Where gnuplot is not installed, it says so and returns
 * true. */
bool record_plot(const record *r);

double mean_loss(const lenet_score *score);
double percent_right(const lenet_score *score);

#endif
