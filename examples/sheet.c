#include "sheet.h"

#include "lettering.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- values to brightness ---------------------------------------------------------------- */

void value_range(const float *values, int64_t count, float *least, float *greatest) {
  *least = INFINITY;
  *greatest = -INFINITY;
  for (int64_t i = 0; i < count; ++i) {
    *least = values[i] < *least ? values[i] : *least;
    *greatest = values[i] > *greatest ? values[i] : *greatest;
  }
}

float usual_magnitude(const float *values, int64_t count) {
  enum { BINS = 1024 };
  int64_t histogram[BINS] = {0};
  float least, greatest;
  value_range(values, count, &least, &greatest);
  float most = fmaxf(-least, greatest);
  if (!(most > 0.0f) || isinf(most)) return 0.0f;
  for (int64_t i = 0; i < count; ++i)
    if (!isnan(values[i])) ++histogram[(int)(fabsf(values[i]) / most * (BINS - 1))];
  int64_t above = 0;
  int bin = BINS - 1;
  while (bin > 0 && above + histogram[bin] <= count / 200) above += histogram[bin--];
  return most * (float)(bin + 1) / BINS;
}

void show_values(const float *values, int64_t count, tone t, unsigned char *pixels) {
  float span = t.white - t.black;
  for (int64_t i = 0; i < count; ++i) {
    float share = span > 0.0f ? (values[i] - t.black) / span : 0.0f;
    pixels[i] = !(share > 0.0f) ? 0 : share >= 1.0f ? 255 : (unsigned char)(255.0f * share + 0.5f);
  }
}

/* ---- drawing ----------------------------------------------------------------------------- */

typedef struct canvas {
  int64_t height, width;
  unsigned char *pixels; /* red, green, blue */
} canvas;

typedef struct color {
  unsigned char red, green, blue;
} color;

static const color paper = {250, 249, 246}, ink = {32, 33, 36}, pale_ink = {96, 99, 104},
                   frame = {206, 204, 198};

static void fill(canvas *c, int64_t top, int64_t left, int64_t height, int64_t width, color with) {
  for (int64_t row = top < 0 ? 0 : top; row < top + height && row < c->height; ++row)
    for (int64_t column = left < 0 ? 0 : left; column < left + width && column < c->width;
         ++column) {
      unsigned char *pixel = c->pixels + (row * c->width + column) * 3;
      pixel[0] = with.red;
      pixel[1] = with.green;
      pixel[2] = with.blue;
    }
}

/* size: how many pixels a dot of the font is wide and high. */
static int64_t text_width(const char *text, int size) {
  int64_t dots = 0;
  for (; *text; ++text) dots += letter_width(*text) + 1;
  return dots > 0 ? (dots - 1) * size : 0;
}

static void draw_text(canvas *c, int64_t top, int64_t left, const char *text, int size,
                      color with) {
  for (; *text; ++text) {
    const int width = letter_width(*text);
    for (int row = 0; row < LETTER_ROWS; ++row)
      for (int column = 0; column < width; ++column)
        if (letter_dot(*text, column, row))
          fill(c, top + row * size, left + column * size, size, size, with);
    left += (width + 1) * size;
  }
}

/* Draws a panel's picture into a box: each pixel of the box is the mean of the pixels below it, or
 * where the picture is smaller the one pixel below it. */
static void draw_picture(canvas *c, int64_t top, int64_t left, int64_t height, int64_t width,
                         const panel *p) {
  for (int64_t row = 0; row < height; ++row) {
    int64_t first_row = row * p->height / height, last_row = (row + 1) * p->height / height;
    last_row = last_row > first_row ? last_row : first_row + 1;
    for (int64_t column = 0; column < width; ++column) {
      int64_t first = column * p->width / width, last = (column + 1) * p->width / width;
      last = last > first ? last : first + 1;
      int64_t sums[3] = {0, 0, 0};
      for (int64_t i = first_row; i < last_row; ++i)
        for (int64_t j = first; j < last; ++j)
          for (int channel = 0; channel < 3; ++channel)
            sums[channel] +=
                p->pixels[(i * p->width + j) * p->channels + (p->channels == 3 ? channel : 0)];
      int64_t count = (last_row - first_row) * (last - first);
      color mean = {(unsigned char)(sums[0] / count), (unsigned char)(sums[1] / count),
                    (unsigned char)(sums[2] / count)};
      fill(c, top + row, left + column, 1, 1, mean);
    }
  }
}

/* ---- the sheet --------------------------------------------------------------------------- */

enum {
  MARGIN = 36,
  CAPTION = 84,      /* height of the two lines below a picture */
  LARGEST = 800,     /* greatest side of a picture on the sheet */
  LEAST_WIDTH = 700, /* of a panel, so that its captions fit */
  GRID_MOST = 7,     /* larger filters are not written out */
  CELL_HEIGHT = 36
};

static bool has_grid(const filter *f) { return f->height <= GRID_MOST && f->width <= GRID_MOST; }

static void weight_text(float weight, char text[16]) { snprintf(text, 16, "%.3g", (double)weight); }

/* Width of one cell of the table of weights: that of the longest weight. */
static int64_t cell_width(const filter *f) {
  int64_t widest = CELL_HEIGHT;
  for (int64_t i = 0; i < f->height * f->width; ++i) {
    char text[16];
    weight_text(f->weights[i], text);
    int64_t width = text_width(text, 2) + 16;
    widest = width > widest ? width : widest;
  }
  return widest;
}

/* The weights in a grid, positive ones on a warm ground and negative ones on a cold one. */
static void draw_grid(canvas *c, int64_t top, int64_t right, const filter *f) {
  static const color warm = {253, 226, 193}, cold = {206, 222, 244}, white = {255, 255, 255};
  int64_t cell = cell_width(f), left = right - cell * f->width;
  fill(c, top - 1, left - 1, CELL_HEIGHT * f->height + 1, cell * f->width + 1, frame);
  for (int64_t row = 0; row < f->height; ++row)
    for (int64_t column = 0; column < f->width; ++column) {
      float weight = f->weights[row * f->width + column];
      char text[16];
      weight_text(weight, text);
      int64_t x = left + column * cell, y = top + row * CELL_HEIGHT;
      fill(c, y, x, CELL_HEIGHT - 1, cell - 1, weight > 0 ? warm : weight < 0 ? cold : white);
      draw_text(c, y + 10, x + (cell - text_width(text, 2)) / 2, text, 2, ink);
    }
}

bool sheet_write(const char *path, const char *headline, const filter *f, const panel *panels,
                 int count, char *error) {
  /* Every panel shows its picture at the size of the first, enlarged or shrunk. */
  int64_t height = panels[0].height, width = panels[0].width;
  int64_t longest = height > width ? height : width;
  int64_t times = LARGEST / longest;
  if (times >= 1) {
    height *= times;
    width *= times;
  } else {
    height = height * LARGEST / longest > 0 ? height * LARGEST / longest : 1;
    width = width * LARGEST / longest > 0 ? width * LARGEST / longest : 1;
  }
  int64_t box = width > LEAST_WIDTH ? width : LEAST_WIDTH;
  int64_t header = has_grid(f) ? CELL_HEIGHT * f->height + MARGIN : 0;
  header = header > 112 ? header : 112;
  int64_t rows = (count + 1) / 2;
  canvas sheet = {MARGIN + header + rows * (height + CAPTION + MARGIN), 3 * MARGIN + 2 * box, NULL};
  sheet.pixels = malloc((size_t)(sheet.height * sheet.width * 3));
  if (!sheet.pixels) {
    snprintf(error, IMAGE_ERROR_SIZE, "%s cannot be written: out of memory", path);
    return false;
  }
  fill(&sheet, 0, 0, sheet.height, sheet.width, paper);
  draw_text(&sheet, MARGIN, MARGIN, "Filter - detect - condense", 4, ink);
  draw_text(&sheet, MARGIN + 56, MARGIN, headline, 3, pale_ink);
  if (has_grid(f)) draw_grid(&sheet, MARGIN, sheet.width - MARGIN, f);
  for (int i = 0; i < count; ++i) {
    int64_t top = MARGIN + header + (i / 2) * (height + CAPTION + MARGIN);
    int64_t left = MARGIN + (i % 2) * (box + MARGIN), indent = (box - width) / 2;
    fill(&sheet, top - 1, left + indent - 1, height + 2, width + 2, frame);
    draw_picture(&sheet, top, left + indent, height, width, &panels[i]);
    draw_text(&sheet, top + height + 16, left + indent, panels[i].title, 3, ink);
    draw_text(&sheet, top + height + 54, left + indent, panels[i].note, 2, pale_ink);
  }
  bool written = image_write_png(path, sheet.pixels, sheet.width, sheet.height, 3, error);
  free(sheet.pixels);
  return written;
}
