/* Renders the picture that the examples and tests use: toy balls and blocks on a wooden table
 * before a brick wall, by ray tracing. It holds what a filter demonstration wants to see: smooth
 * gradients, sharp edges in all directions, fine texture, soft shadows and a little noise.
 *
 * Only + - * / and square roots are used, which IEEE 754 rounds correctly, and no fused
 * multiply-add (the build says -ffp-contract=off): so every machine renders the same bytes, and a
 * test can hold the picture in the tree to this program.
 *
 * Usage: render_still_life OUT.png
 */
#include "image.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 384, HEIGHT = 256, SAMPLES_PER_SIDE = 6 };

typedef struct vec {
  double x, y, z;
} vec;

static vec make(double x, double y, double z) { return (vec){x, y, z}; }
static vec add(vec a, vec b) { return make(a.x + b.x, a.y + b.y, a.z + b.z); }
static vec subtract(vec a, vec b) { return make(a.x - b.x, a.y - b.y, a.z - b.z); }
static vec scale(vec a, double s) { return make(a.x * s, a.y * s, a.z * s); }
static vec product(vec a, vec b) { return make(a.x * b.x, a.y * b.y, a.z * b.z); }
static vec mix(vec a, vec b, double t) { return add(scale(a, 1.0 - t), scale(b, t)); }
static double dot(vec a, vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static vec normalize(vec a) { return scale(a, 1.0 / sqrt(dot(a, a))); }

static double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}
static double smooth_step(double low, double high, double x) {
  double t = clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3.0 - 2.0 * t);
}

/* ---- noise ------------------------------------------------------------------------------- */

/* A well-mixed hash of three integers, as a number in [0, 1). */
static double hash(int64_t x, int64_t y, int64_t z) {
  uint64_t h = (uint64_t)x * 0x9E3779B97F4A7C15u ^ (uint64_t)y * 0xC2B2AE3D27D4EB4Fu ^
               (uint64_t)z * 0x165667B19E3779F9u;
  h ^= h >> 31;
  h *= 0xBF58476D1CE4E5B9u;
  h ^= h >> 27;
  h *= 0x94D049BB133111EBu;
  h ^= h >> 31;
  return (double)(h >> 11) * 0x1p-53;
}

/* Value noise: hashes at the corners of a grid, blended smoothly between them. */
static double value_noise(double x, double y, int64_t seed) {
  double cell_x = floor(x), cell_y = floor(y);
  double u = smooth_step(0.0, 1.0, x - cell_x), v = smooth_step(0.0, 1.0, y - cell_y);
  int64_t i = (int64_t)cell_x, j = (int64_t)cell_y;
  double top = hash(i, j, seed) * (1.0 - u) + hash(i + 1, j, seed) * u;
  double bottom = hash(i, j + 1, seed) * (1.0 - u) + hash(i + 1, j + 1, seed) * u;
  return top * (1.0 - v) + bottom * v;
}

static double octaves(double x, double y, int64_t seed) {
  return 0.5 * value_noise(x, y, seed) + 0.3 * value_noise(2.1 * x, 2.1 * y, seed + 1) +
         0.2 * value_noise(4.3 * x, 4.3 * y, seed + 2);
}

/* ---- materials --------------------------------------------------------------------------- */

static vec brick_wall(double x, double y) {
  const double brick_width = 1.0, brick_height = 0.42, mortar = 0.045;
  double row = floor(y / brick_height);
  double along = x / brick_width + 0.5 * (row - 2.0 * floor(row / 2.0));
  double column = floor(along);
  double from_side = (along - column) * brick_width, from_below = y - row * brick_height;
  double inside = smooth_step(mortar, mortar + 0.03, from_side) *
                  smooth_step(mortar, mortar + 0.03, brick_width - from_side + mortar) *
                  smooth_step(mortar, mortar + 0.03, from_below) *
                  smooth_step(mortar, mortar + 0.03, brick_height - from_below + mortar);
  double shade = 0.75 + 0.45 * hash((int64_t)column, (int64_t)row, 11);
  double rough = 0.9 + 0.2 * octaves(5.0 * x, 5.0 * y, 21);
  vec brick = scale(make(0.36, 0.15, 0.10), shade * rough);
  vec joint = scale(make(0.47, 0.44, 0.40), rough);
  return mix(joint, brick, inside);
}

static vec wooden_table(double x, double z) {
  const double plank = 0.9;
  double which = floor(z / plank);
  double grain = octaves(1.1 * x + 37.0 * which, 9.0 * z, 31);
  double rings = 14.0 * grain;
  double ring = rings - floor(rings);
  double line = smooth_step(0.0, 0.5, ring) * (1.0 - smooth_step(0.8, 1.0, ring));
  vec wood = mix(make(0.30, 0.17, 0.08), make(0.58, 0.37, 0.19), 0.25 + 0.6 * line);
  double gap = z - which * plank;
  double seam = smooth_step(0.0, 0.03, gap) * smooth_step(0.0, 0.03, plank - gap);
  return scale(wood, (0.8 + 0.3 * hash((int64_t)which, 5, 41)) * (0.25 + 0.75 * seam));
}

/* ---- the scene --------------------------------------------------------------------------- */

typedef enum surface { PLAIN, STRIPES, CHECKS, DOTS } surface;

typedef struct ball {
  vec center;
  double radius;
  vec color, second_color;
  surface surface;
  double mirror; /* share of light that is reflected as in a mirror */
} ball;

typedef struct block {
  vec low, high;       /* opposite corners, before turning */
  double cosine, sine; /* turn about the vertical through the block's middle */
  vec color, second_color;
  surface surface;
} block;

static const ball balls[] = {
    {{-0.35, 0.95, 0.10}, 0.95, {0.72, 0.08, 0.06}, {0.95, 0.90, 0.80}, STRIPES, 0.08},
    {{1.55, 0.55, -1.00}, 0.55, {0.80, 0.82, 0.85}, {0.0, 0.0, 0.0}, PLAIN, 0.75},
    {{-2.20, 0.45, -1.15}, 0.45, {0.10, 0.32, 0.70}, {0.95, 0.85, 0.20}, DOTS, 0.06},
    {{0.55, 0.28, -1.75}, 0.28, {0.10, 0.50, 0.18}, {0.0, 0.0, 0.0}, PLAIN, 0.10},
    {{2.70, 2.06, 0.85}, 0.40, {0.90, 0.55, 0.08}, {0.0, 0.0, 0.0}, PLAIN, 0.05},
};
enum { BALL_COUNT = sizeof balls / sizeof balls[0] };

/* Cosine and sine come from Pythagorean triples: (4/5, 3/5) and (12/13, -5/13). */
static const block blocks[] = {
    {{1.75, 0.0, 0.05},
     {3.35, 1.66, 1.65},
     0.8,
     0.6,
     {0.85, 0.83, 0.74},
     {0.08, 0.09, 0.14},
     CHECKS},
    {{-3.75, 0.0, 0.10},
     {-2.55, 1.10, 1.30},
     12.0 / 13.0,
     -5.0 / 13.0,
     {0.15, 0.42, 0.36},
     {0.0, 0.0, 0.0},
     PLAIN},
    {{-3.55, 1.10, 0.30},
     {-2.75, 1.90, 1.10},
     0.8,
     0.6,
     {0.86, 0.66, 0.14},
     {0.0, 0.0, 0.0},
     PLAIN},
};
enum { BLOCK_COUNT = sizeof blocks / sizeof blocks[0] };

static const double wall_z = 3.0;

typedef struct hit {
  double distance;
  vec point, normal, color;
  double mirror;
} hit;

static vec ball_color(const ball *b, vec normal) {
  double t;
  switch (b->surface) {
    case STRIPES:
      t = normal.y * 3.5 + normal.x * 1.2 + 10.25;
      t = t - floor(t);
      return mix(b->color, b->second_color, smooth_step(0.46, 0.5, t) - smooth_step(0.96, 1.0, t));
    case DOTS: {
      double u = 4.0 * (normal.x + 0.3 * normal.z), v = 4.0 * normal.y;
      double from_u = u - floor(u) - 0.5, from_v = v - floor(v) - 0.5;
      double radius = sqrt(from_u * from_u + from_v * from_v);
      return mix(b->second_color, b->color, smooth_step(0.24, 0.30, radius));
    }
    default: return b->color;
  }
}

static bool meet_ball(const ball *b, vec origin, vec direction, double *distance) {
  vec to_origin = subtract(origin, b->center);
  double half_b = dot(to_origin, direction);
  double root = half_b * half_b - dot(to_origin, to_origin) + b->radius * b->radius;
  if (root <= 0.0) return false;
  double near = -half_b - sqrt(root);
  if (near < 1e-4 || near >= *distance) return false;
  *distance = near;
  return true;
}

static vec turn(const block *b, vec v, double sine) {
  return make(b->cosine * v.x - sine * v.z, v.y, sine * v.x + b->cosine * v.z);
}

/* Slab method in the block's own axes; normal and place on the face are returned there too. */
static bool meet_block(const block *b, vec origin, vec direction, double *distance, vec *normal,
                       vec *place) {
  vec middle = make(0.5 * (b->low.x + b->high.x), 0.0, 0.5 * (b->low.z + b->high.z));
  vec from = turn(b, subtract(origin, middle), b->sine), along = turn(b, direction, b->sine);
  const double start[3] = {from.x, from.y, from.z}, step[3] = {along.x, along.y, along.z};
  const double low[3] = {b->low.x - middle.x, b->low.y, b->low.z - middle.z};
  const double high[3] = {b->high.x - middle.x, b->high.y, b->high.z - middle.z};
  double enter = -1e30, leave = 1e30;
  int axis = 0;
  for (int i = 0; i < 3; ++i) {
    double inverse = 1.0 / (fabs(step[i]) < 1e-12 ? 1e-12 : step[i]);
    double first = (low[i] - start[i]) * inverse, last = (high[i] - start[i]) * inverse;
    if (first > last) {
      double swap = first;
      first = last;
      last = swap;
    }
    if (first > enter) {
      enter = first;
      axis = i;
    }
    if (last < leave) leave = last;
  }
  if (enter > leave || enter < 1e-4 || enter >= *distance) return false;
  *distance = enter;
  double sign = step[axis] > 0.0 ? -1.0 : 1.0;
  *normal = make(axis == 0 ? sign : 0.0, axis == 1 ? sign : 0.0, axis == 2 ? sign : 0.0);
  *place = add(from, scale(along, enter));
  return true;
}

static vec block_color(const block *b, vec normal, vec place) {
  if (b->surface != CHECKS)
    return scale(b->color, 0.85 + 0.3 * octaves(3.0 * (place.x + place.z), 20.0 * place.y, 51));
  double u = normal.x != 0.0 ? place.z : place.x, v = normal.y != 0.0 ? place.z : place.y;
  int64_t square = (int64_t)floor(u / 0.27 + 100.0) + (int64_t)floor(v / 0.2767);
  return square % 2 == 0 ? b->color : b->second_color;
}

static hit meet(vec origin, vec direction) {
  hit found = {1e30, {0, 0, 0}, {0, 1, 0}, {0.6, 0.7, 0.8}, 0.0};
  if (direction.y < -1e-9 && -origin.y / direction.y > 1e-4) {
    found.distance = -origin.y / direction.y;
    found.point = add(origin, scale(direction, found.distance));
    found.color = wooden_table(found.point.x, found.point.z);
    found.mirror = 0.06;
  }
  if (direction.z > 1e-9 && (wall_z - origin.z) / direction.z < found.distance) {
    found.distance = (wall_z - origin.z) / direction.z;
    found.point = add(origin, scale(direction, found.distance));
    found.normal = make(0.0, 0.0, -1.0);
    found.color = brick_wall(found.point.x, found.point.y);
    found.mirror = 0.0;
  }
  for (int i = 0; i < BALL_COUNT; ++i)
    if (meet_ball(&balls[i], origin, direction, &found.distance)) {
      found.point = add(origin, scale(direction, found.distance));
      found.normal = scale(subtract(found.point, balls[i].center), 1.0 / balls[i].radius);
      found.color = ball_color(&balls[i], found.normal);
      found.mirror = balls[i].mirror;
    }
  for (int i = 0; i < BLOCK_COUNT; ++i) {
    vec normal, place;
    if (meet_block(&blocks[i], origin, direction, &found.distance, &normal, &place)) {
      found.point = add(origin, scale(direction, found.distance));
      found.normal = turn(&blocks[i], normal, -blocks[i].sine);
      found.color = block_color(&blocks[i], normal, place);
      found.mirror = 0.0;
    }
  }
  return found;
}

static bool in_shadow(vec point, vec direction, double distance) {
  for (int i = 0; i < BALL_COUNT; ++i)
    if (meet_ball(&balls[i], point, direction, &distance)) return true;
  vec normal, place;
  for (int i = 0; i < BLOCK_COUNT; ++i)
    if (meet_block(&blocks[i], point, direction, &distance, &normal, &place)) return true;
  return false;
}

/* Light that comes back along one ray. jitter_u and jitter_v choose a point on the lamp, which is
 * a square, so that many rays see soft shadows. */
static vec trace(vec origin, vec direction, double jitter_u, double jitter_v, int bounces) {
  hit found = meet(origin, direction);
  if (found.distance >= 1e29) return make(0.5, 0.6, 0.75);
  vec lamp = make(-4.2 + 1.6 * jitter_u, 6.0, -3.6 + 1.6 * jitter_v);
  vec to_lamp = subtract(lamp, found.point);
  double lamp_distance = sqrt(dot(to_lamp, to_lamp));
  to_lamp = scale(to_lamp, 1.0 / lamp_distance);
  double facing = dot(found.normal, to_lamp);
  vec light = scale(make(0.20, 0.23, 0.30), 0.7 + 0.3 * found.normal.y);
  double shine = 0.0;
  vec start = add(found.point, scale(found.normal, 1e-3));
  if (facing > 0.0 && !in_shadow(start, to_lamp, lamp_distance)) {
    double falloff = 70.0 / (lamp_distance * lamp_distance);
    light = add(light, scale(make(1.0, 0.93, 0.80), facing * falloff));
    vec half = normalize(subtract(to_lamp, direction));
    double gloss = clamp(dot(half, found.normal), 0.0, 1.0);
    for (int i = 0; i < 6; ++i) /* to the 64th power */
      gloss *= gloss;
    shine = found.mirror > 0.0 ? 0.5 * gloss : 0.0;
  }
  /* Where things stand on the table it is darker: a cheap stand-in for blocked sky light. */
  double near_table = smooth_step(-0.05, 0.35, found.point.y);
  if (found.normal.y < 0.9) light = scale(light, 0.55 + 0.45 * near_table);
  vec color = product(found.color, light);
  if (found.mirror > 0.0 && bounces > 0) {
    double cosine = -dot(direction, found.normal);
    vec bounced = add(direction, scale(found.normal, 2.0 * cosine));
    double grazing = 1.0 - clamp(cosine, 0.0, 1.0);
    double share =
        found.mirror + (1.0 - found.mirror) * 0.5 * grazing * grazing * grazing * grazing * grazing;
    color = mix(color, trace(start, bounced, jitter_u, jitter_v, bounces - 1), share);
  }
  return add(color, make(shine, shine, shine));
}

static vec pixel_color(int row, int column) {
  const vec eye = make(0.0, 2.3, -7.4);
  const vec forward = normalize(subtract(make(0.0, 1.22, 0.0), eye));
  const vec right = normalize(make(forward.z, 0.0, -forward.x));
  const vec up =
      make(forward.y * right.z - forward.z * right.y, forward.z * right.x - forward.x * right.z,
           forward.x * right.y - forward.y * right.x);
  vec sum = make(0.0, 0.0, 0.0);
  for (int i = 0; i < SAMPLES_PER_SIDE; ++i)
    for (int j = 0; j < SAMPLES_PER_SIDE; ++j) {
      int sample = i * SAMPLES_PER_SIDE + j;
      double x = column + (j + hash(column, row, 100 + sample)) / SAMPLES_PER_SIDE;
      double y = row + (i + hash(column, row, 200 + sample)) / SAMPLES_PER_SIDE;
      double u = (x - 0.5 * WIDTH) / HEIGHT, v = (0.5 * HEIGHT - y) / HEIGHT;
      vec direction = normalize(add(scale(forward, 1.45), add(scale(right, u), scale(up, v))));
      /* The lamp is sampled on the same grid in another order, so that the two do not march
       * together. */
      int lamp_sample = (sample * 7 + 3) % (SAMPLES_PER_SIDE * SAMPLES_PER_SIDE);
      double lamp_u =
          (lamp_sample % SAMPLES_PER_SIDE + hash(column, row, 300 + sample)) / SAMPLES_PER_SIDE;
      double lamp_v =
          (lamp_sample / SAMPLES_PER_SIDE + hash(column, row, 400 + sample)) / SAMPLES_PER_SIDE;
      sum = add(sum, trace(eye, direction, lamp_u, lamp_v, 2));
    }
  return scale(sum, 1.0 / (SAMPLES_PER_SIDE * SAMPLES_PER_SIDE));
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: render_still_life OUT.png\n");
    return 2;
  }
  unsigned char *pixels = malloc((size_t)WIDTH * HEIGHT * 3);
  if (!pixels) {
    fprintf(stderr, "render_still_life: out of memory\n");
    return 1;
  }
  for (int row = 0; row < HEIGHT; ++row)
    for (int column = 0; column < WIDTH; ++column) {
      vec color = pixel_color(row, column);
      const double channels[3] = {color.x, color.y, color.z};
      double grain = 2.0 * (hash(column, row, 61) - 0.5);
      for (int c = 0; c < 3; ++c) {
        /* A square root stands for the display's gamma: unlike pow it is correctly rounded. Steps
         * of 3, which the grain hides, make the file a quarter smaller. */
        double value = 255.0 * sqrt(clamp(channels[c], 0.0, 1.0)) + 1.5 * grain;
        pixels[(row * WIDTH + column) * 3 + c] =
            (unsigned char)(3 * (int)(clamp(value, 0.0, 255.0) / 3.0 + 0.5));
      }
    }
  char error[IMAGE_ERROR_SIZE];
  bool written = image_write_png(argv[1], pixels, WIDTH, HEIGHT, 3, error);
  if (!written) fprintf(stderr, "render_still_life: %s\n", error);
  free(pixels);
  return written ? 0 : 1;
}
