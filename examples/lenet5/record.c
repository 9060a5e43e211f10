#include "training.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

double mean_loss(const lenet_score *score) { return score->loss / (double)score->examples; }

double percent_right(const lenet_score *score) {
  return 100.0 * (double)score->correct / (double)score->examples;
}

static FILE *open_in(const char *directory, const char *name, const char *mode) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) {
    wrong("the name of directory %s is too long", directory);
    return NULL;
  }
  FILE *file = fopen(path, mode);
  if (!file) wrong("%s cannot be opened: %s", path, strerror(errno));
  return file;
}

static bool close_written(FILE *file, const char *directory, const char *name) {
  const bool whole = !ferror(file);
  return (fclose(file) == 0 && whole) || wrong("%s/%s cannot be written", directory, name);
}

bool record_open(record *r, const char *directory) {
  r->directory = directory;
  r->file = open_in(directory, "training.csv", "w");
  if (r->file)
    fputs("epochs,rate,training_loss,training_accuracy,held_out_loss,held_out_accuracy\n", r->file);
  return r->file != NULL;
}

bool record_add(record *r, double epochs, double rate, const lenet_score *training,
                const lenet_score *held_out) {
  fprintf(r->file, "%.4f,%.6g,%.6f,%.3f,", epochs, rate, mean_loss(training),
          percent_right(training));
  if (held_out)
    fprintf(r->file, "%.6f,%.3f\n", mean_loss(held_out), percent_right(held_out));
  else
    fputs(",\n", r->file);
  return fflush(r->file) == 0 || wrong("%s/training.csv cannot be written", r->directory);
}

bool record_close(record *r) {
  FILE *file = r->file;
  r->file = NULL;
  return !file || close_written(file, r->directory, "training.csv");
}

static const char script[] =
    "# Draws training.svg from training.csv: gnuplot training.gp\n"
    "set datafile separator comma\n"
    "set terminal svg size 900,400 dynamic font 'sans-serif,13' background rgb 'white'\n"
    "set output 'training.svg'\n"
    "set multiplot layout 1,2\n"
    "set grid ytics lc rgb '#dddddd' lw 1 lt 1\n"
    "set border 3 lc rgb '#555555'\n"
    "set tics nomirror\n"
    "set xlabel 'epochs'\n"
    "set xrange [0:*]\n"
    "training = \"lc rgb '#1f77b4' lw 1.5\"\n"
    "held_out = \"lc rgb '#d62728' lw 2 pt 7 ps 0.6\"\n"
    "set title 'Loss (cross-entropy)'\n"
    "set logscale y\n"
    "plot 'training.csv' using 1:3 skip 1 with lines @training title 'training', \\\n"
    "     '' using 1:5 skip 1 with linespoints @held_out title 'held out'\n"
    "unset logscale y\n"
    "set title 'Digits read right, %'\n"
    "set key bottom right\n"
    "set yrange [*:100]\n"
    "plot 'training.csv' using 1:4 skip 1 with lines @training title 'training', \\\n"
    "     '' using 1:6 skip 1 with linespoints @held_out title 'held out'\n"
    "unset multiplot\n"
    "set terminal dumb 79 18 noenhanced\n"
    "set output 'training.txt'\n"
    "unset grid\n"
    "plot 'training.csv' using 1:4 skip 1 with lines title 'training', \\\n"
    "     '' using 1:6 skip 1 with points pt 'o' title 'held out'\n";

/* What gnuplot drew for a terminal, but for its page feed, empty lines and spaces at the ends. */
static bool show_text(const char *directory) {
  char line[256];
  FILE *file = open_in(directory, "training.txt", "r");
  if (!file) return false;
  while (fgets(line, sizeof line, file)) {
    const char *begin = line + (line[0] == '\f');
    size_t length = strlen(begin);
    while (length > 0 && strchr(" \n", begin[length - 1])) --length;
    if (length > 0) printf("%.*s\n", (int)length, begin);
  }
  fclose(file);
  return true;
}

bool record_plot(const record *r) {
  FILE *file = open_in(r->directory, "training.gp", "w");
  if (!file) return false;
  fputs(script, file);
  if (!close_written(file, r->directory, "training.gp")) return false;
  const pid_t child = fork();
  if (child == 0) {
    if (chdir(r->directory) == 0) execlp("gnuplot", "gnuplot", "training.gp", (char *)NULL);
    _exit(errno == ENOENT ? 127 : 126);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child)
    return wrong("gnuplot cannot be started: %s", strerror(errno));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    printf("No plot: gnuplot is not installed. When it is: cd %s && gnuplot training.gp\n",
           r->directory);
    return true;
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return wrong("gnuplot could not draw %s/training.svg", r->directory);
  putchar('\n');
  if (!show_text(r->directory)) return false;
  printf("\nPlot: %s/training.svg, of %s/training.csv\n", r->directory, r->directory);
  return true;
}
