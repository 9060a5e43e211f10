#include "digits.h"

#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Only + - * / and square roots are used, which IEEE 754 rounds correctly, and no fused
 * multiply-add (the build says -ffp-contract=off). */

enum {
  FACES = 4,
  MOST_POINTS = 24, /* of a stroke */
  STEPS = 8,        /* straight pieces for one bend */
  GRID = 7,         /* nodes of the elastic sheet in each direction */
  MARGIN = (FIELD_SIDE - DIGIT_SIDE) / 2
};

typedef struct point {
  double x, y;
} point;

/* Strokes are divided by bars. A stroke is the quadratic B-spline of its points "x,y", x from 0 to
 * 12, y down from 0 to 18: it begins and ends in the outer points, and a point said twice is a
 * corner. */
static const char *const faces[10][FACES] = {
    {"6,0 0,0 0,9 0,18 6,18 12,18 12,9 12,0 6,0",
     "9,1 5,-1 1,4 1,10 1,18 7,18 12,17 12,8 11,0 6,0 5,2",
     "6,0 2,0 2,9 2,18 6,18 10,18 10,9 10,0 6,0", "3,2 0,5 0,13 2,18 7,18 12,15 12,5 9,0 5,0 2,3"},
    {"6,0 6,18", "2,5 7,0 7,0 7,18", "3,4 7,0 7,0 7,18 | 2,18 12,18", "7,0 5,18"},
    {"1,4 2,0 6,0 12,0 12,5 11,9 0,18 0,18 12,18",
     "1,4 3,0 7,0 12,1 11,7 8,14 3,18 0,18 1,14 5,15 9,18 12,16",
     "1,2 5,-1 11,0 12,5 9,10 1,18 1,18 11,18", "0,3 3,0 8,0 12,2 10,8 5,13 0,18 0,18 6,16 12,18"},
    {"1,3 3,0 6,0 11,0 11,4 11,8 5,8 | 5,8 12,8 12,13 12,18 6,18 2,18 0,15",
     "1,0 11,0 11,0 5,7 5,7 12,8 12,13 12,18 6,18 2,18 0,15",
     "1,2 6,-2 11,2 11,8 4,9 4,9 12,9 12,15 8,19 3,18 0,15",
     "0,1 8,-2 12,3 9,8 5,8 5,8 11,9 13,15 6,20 0,16"},
    {"9,18 9,0 9,0 0,12 0,12 12,12", "1,0 0,10 0,10 12,10 | 10,0 8,18",
     "3,0 0,7 1,10 6,11 10,8 | 11,0 10,9 9,18", "8,0 0,12 0,12 12,12 | 9,7 8,18"},
    {"11,0 2,0 2,0 1,8 1,8 6,5 12,8 12,13 12,18 5,18 2,18 0,15",
     "2,0 1,8 1,8 5,6 11,7 12,12 11,18 5,18 1,17 0,15 | 2,0 11,0",
     "11,1 6,-1 1,1 1,6 6,8 12,10 12,17 6,19 0,16",
     "2,1 2,8 2,8 9,6 12,12 8,19 0,17 | 2,1 7,2 12,0"},
    {"10,0 4,3 0,9 0,14 0,18 6,18 12,18 12,13 12,9 6,8 1,9 1,14",
     "8,0 2,4 0,12 1,19 7,18 12,16 10,10 5,9 1,13",
     "11,2 7,-1 0,2 0,11 0,18 6,18 12,18 12,13 12,8 6,8 2,9 0,12",
     "6,0 1,8 0,16 5,19 11,18 11,13 6,11 1,15"},
    {"0,0 12,0 12,0 4,18", "0,0 12,0 12,0 5,18 | 3,9 11,9", "0,3 0,0 0,0 12,0 12,0 6,8 5,18",
     "0,2 6,2 12,0 12,0 7,8 4,18"},
    {"10,3 9,0 6,0 1,0 1,4 1,8 6,9 12,10 12,14 12,18 6,18 0,18 0,14 0,10 6,9 11,8 11,4 10,2",
     "6,0 1,0 1,4 1,8 6,8 11,8 11,4 11,0 6,0 | 6,8 0,8 0,13 0,18 6,18 12,18 12,13 12,8 6,8",
     "11,1 6,-2 1,2 3,8 9,10 12,15 6,20 0,15 4,10 9,7 12,1",
     "4,8 0,3 6,-2 12,3 8,8 1,12 1,19 7,19 12,17 11,11 4,8"},
    {"12,5 12,0 6,0 0,0 0,5 0,10 6,10 12,10 12,5 12,5 11,18",
     "11,6 9,10 5,10 0,9 0,4 1,0 6,0 12,0 12,6 12,14 8,18 2,17",
     "11,2 6,-2 0,2 0,8 5,10 10,8 11,2 11,2 10,10 8,18",
     "11,2 5,-1 0,4 2,9 8,9 11,2 11,2 12,12 9,19 3,17"}};

/* How one digit differs from its face. */
typedef struct hand {
  double across_x, across_y, down_x, down_y, left, top; /* from a face's units to pixels */
  point sheet[GRID][GRID];                              /* displacements, in pixels */
  double radius, ink, grain, dust;
} hand;

static hand draw_hand(uint64_t *random) {
  hand h;
  const double height = random_between(random, 0.85, 1.15) * 20.0 / 18.0;
  const double width = height * random_between(random, 0.65, 1.1);
  const double slant = random_between(random, -0.2, 0.4);
  /* Up to 13 degrees; t is the tangent of half the angle. */
  const double t = random_between(random, -0.115, 0.115);
  const double cosine = (1.0 - t * t) / (1.0 + t * t), sine = 2.0 * t / (1.0 + t * t);
  h.across_x = width * cosine;
  h.across_y = width * sine;
  h.down_x = -height * (slant * cosine + sine);
  h.down_y = height * (cosine - slant * sine);
  const double middle = DIGIT_SIDE / 2.0;
  h.left = middle + random_between(random, -2.0, 2.0) - 6.0 * h.across_x - 9.0 * h.down_x;
  h.top = middle + random_between(random, -2.0, 2.0) - 6.0 * h.across_y - 9.0 * h.down_y;
  const double bend = random_between(random, 1.0, 4.5);
  for (int i = 0; i < GRID; ++i)
    for (int j = 0; j < GRID; ++j) {
      h.sheet[i][j].x = random_between(random, -bend, bend);
      h.sheet[i][j].y = random_between(random, -bend, bend);
    }
  h.radius = random_between(random, 0.6, 1.7);
  h.ink = random_between(random, 170.0, 255.0);
  h.grain = random_between(random, 0.0, 0.35);
  h.dust = random_between(random, 0.0, 40.0);
  return h;
}

/* Weights of four nodes at a place between the second and the third. */
static void cubic_spline(double u, double weights[4]) {
  const double v = 1.0 - u;
  weights[0] = v * v * v / 6.0;
  weights[1] = (4.0 - 6.0 * u * u + 3.0 * u * u * u) / 6.0;
  weights[2] = (4.0 - 6.0 * v * v + 3.0 * v * v * v) / 6.0;
  weights[3] = u * u * u / 6.0;
}

/* The first node and the place behind the second, for a coordinate in pixels. */
static int sheet_cell(double coordinate, double *behind) {
  const double spacing = (double)DIGIT_SIDE / (GRID - 3);
  double at = coordinate / spacing;
  at = at < 0.0 ? 0.0 : at > GRID - 3 ? GRID - 3 : at;
  int cell = (int)at;
  if (cell > GRID - 4) cell = GRID - 4;
  *behind = at - cell;
  return cell;
}

/* Elastic distortion (Simard, Steinkraus, Platt, Best practices for convolutional neural networks
 * applied to visual document analysis, 2003): a random displacement for each pixel, smoothed. They
 * smooth by a Gaussian of 4 pixels; a cubic B-spline with nodes 7 pixels apart is all but that. */
static point place(const hand *h, point p) {
  const double x = h->left + p.x * h->across_x + p.y * h->down_x;
  const double y = h->top + p.x * h->across_y + p.y * h->down_y;
  double u, v, along[4], down[4];
  const int column = sheet_cell(x, &u), row = sheet_cell(y, &v);
  cubic_spline(u, along);
  cubic_spline(v, down);
  point moved = {x, y};
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      moved.x += down[i] * along[j] * h->sheet[row + i][column + j].x;
      moved.y += down[i] * along[j] * h->sheet[row + i][column + j].y;
    }
  return moved;
}

/* Squared distances of pixels' centres from the nearest stroke, where it is near. */
typedef struct canvas {
  double nearest[DIGIT_SIDE][DIGIT_SIDE];
} canvas;

static int clamp_pixel(double x) { return x < 0.0 ? 0 : x > DIGIT_SIDE ? DIGIT_SIDE : (int)x; }

static void draw_piece(canvas *c, point from, point to, double reach) {
  const double dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
  const int left = clamp_pixel(fmin(from.x, to.x) - reach),
            right = clamp_pixel(fmax(from.x, to.x) + reach + 1.0),
            top = clamp_pixel(fmin(from.y, to.y) - reach),
            bottom = clamp_pixel(fmax(from.y, to.y) + reach + 1.0);
  for (int row = top; row < bottom; ++row)
    for (int column = left; column < right; ++column) {
      const double x = column + 0.5 - from.x, y = row + 0.5 - from.y;
      double along = length > 0.0 ? (x * dx + y * dy) / length : 0.0;
      along = along < 0.0 ? 0.0 : along > 1.0 ? 1.0 : along;
      const double away_x = x - along * dx, away_y = y - along * dy;
      const double distance = away_x * away_x + away_y * away_y;
      if (distance < c->nearest[row][column]) c->nearest[row][column] = distance;
    }
}

static point middle_of(point a, point b) { return (point){(a.x + b.x) / 2.0, (a.y + b.y) / 2.0}; }

static void draw_stroke(canvas *c, const hand *h, const point *points, int count) {
  point from = place(h, points[0]);
  for (int i = 1; i < count; ++i) {
    /* A bend from one middle to the next, around points[i]; the last point ends the stroke. */
    if (i == count - 1 && count > 2) break;
    const point begin = i == 1 ? points[0] : middle_of(points[i - 1], points[i]);
    const point end = i >= count - 2 ? points[count - 1] : middle_of(points[i], points[i + 1]);
    const point around = count > 2 ? points[i] : middle_of(begin, end);
    for (int step = 1; step <= STEPS; ++step) {
      const double u = (double)step / STEPS, v = 1.0 - u;
      const point to = place(h, (point){v * v * begin.x + 2.0 * u * v * around.x + u * u * end.x,
                                        v * v * begin.y + 2.0 * u * v * around.y + u * u * end.y});
      draw_piece(c, from, to, h->radius + 1.0);
      from = to;
    }
  }
}

static void draw_face(canvas *c, const hand *h, const char *face) {
  point points[MOST_POINTS];
  int count = 0;
  for (const char *at = face; *at;) {
    if (*at == '|') {
      draw_stroke(c, h, points, count);
      count = 0;
    }
    if (*at == '|' || *at == ' ') {
      ++at;
      continue;
    }
    char *end;
    points[count].x = (double)strtol(at, &end, 10);
    points[count].y = (double)strtol(end + 1, &end, 10);
    ++count;
    at = end;
  }
  draw_stroke(c, h, points, count);
}

static void draw_digit(int digit, uint64_t seed, unsigned char *field) {
  uint64_t random = seed;
  canvas c;
  const char *face = faces[digit][random_below(&random, FACES)];
  const hand h = draw_hand(&random);
  for (int row = 0; row < DIGIT_SIDE; ++row)
    for (int column = 0; column < DIGIT_SIDE; ++column) c.nearest[row][column] = 1e6;
  draw_face(&c, &h, face);
  for (int row = 0; row < DIGIT_SIDE; ++row)
    for (int column = 0; column < DIGIT_SIDE; ++column) {
      double cover = h.radius + 0.5 - sqrt(c.nearest[row][column]);
      cover = cover < 0.0 ? 0.0 : cover > 1.0 ? 1.0 : cover;
      double value = cover * h.ink * (1.0 - random_between(&random, 0.0, h.grain));
      value += (1.0 - cover) * random_between(&random, 0.0, h.dust);
      field[(row + MARGIN) * FIELD_SIDE + column + MARGIN] = (unsigned char)(value + 0.5);
    }
}

bool digits_draw(int64_t count, uint64_t seed, digit_set *set) {
  set->count = count;
  set->pixels = calloc((size_t)count, FIELD_PIXELS);
  set->labels = malloc((size_t)count);
  if (!set->pixels || !set->labels) {
    digits_free(set);
    return false;
  }
  for (int64_t n = 0; n < count; ++n) {
    set->labels[n] = (unsigned char)(n % 10);
    draw_digit(set->labels[n], random_bits(&seed), set->pixels + n * FIELD_PIXELS);
  }
  return true;
}

void digits_free(digit_set *set) {
  free(set->pixels);
  free(set->labels);
  memset(set, 0, sizeof *set);
}
