/* Gradients of convolution against numerical ones, in double, with everything that is fused; sums
 * of a million terms against the bound of blocked summation; and the same bits wherever buffers
 * lie. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conv/turned_phases.h"
#include "core/registry.h"
#include "evrisim/evrisim.h"
#include "support/functions.h"
#include "support/random.h"
#include "support/suite.h"
#include "walk/conv2d.h"

/* ---- numerical gradients ---- */

/* A power of two, so that values on a grid of 2^-6 can be moved by it without rounding. */
#define STEP 0x1p-10

typedef struct layer {
  conv2d_case c;
  conv2d_inputs in;
  float *dy;
  double *z, *other, *magnitude;
} layer;

/* The derivative of sum dy y by one input; NAN where there is none. */
static double slope(layer *l, float *value) {
  const int64_t count = l->in.sizes.y_count;
  const float before = *value;
  *value = before + (float)STEP;
  conv2d_oracle(&l->c, &l->in, l->z, l->magnitude);
  *value = before - (float)STEP;
  conv2d_oracle(&l->c, &l->in, l->other, l->magnitude);
  *value = before;
  const evr_activation *a = &l->c.desc.activation;
  double difference = 0.0;
  for (int64_t i = 0; i < count; i++) {
    if (function_has_kink(a, fmin(l->z[i], l->other[i]), fmax(l->z[i], l->other[i]))) return NAN;
    difference += (double)l->dy[i] * (function_value(a, l->z[i]) - function_value(a, l->other[i]));
  }
  return difference / (2.0 * STEP);
}

static int64_t compare_slopes(layer *l, float *inputs, const float *gradient, int64_t count,
                              const char *what) {
  int64_t compared = 0;
  for (int64_t i = 0; i < count; i++) {
    const double expected = slope(l, &inputs[i]);
    if (isnan(expected)) continue;
    compared++;
    char text[1024];
    conv2d_describe(&l->c, text, sizeof text);
    ck_assert_msg(fabs((double)gradient[i] - expected) <= 2e-4 * (1.0 + fabs(expected)),
                  "%s: %s[%lld] is %.9g, the difference says %.9g", text, what, (long long)i,
                  (double)gradient[i], expected);
  }
  return compared;
}

static float *grid_values(test_random *random, int64_t count) {
  float *made = malloc((size_t)count * sizeof *made);
  ck_assert(made != NULL);
  for (int64_t i = 0; i < count; i++) made[i] = (float)random_between(random, -64, 64) * 0x1p-6f;
  return made;
}

/* Every activation, in turn with pad modes, layouts, strides, dilations and groups. */
START_TEST(gradients_are_slopes) {
  const int kind = _i % 12;
  test_random random = {test_seed() + (uint64_t)_i};
  layer l = {.c = {.desc = EVR_CONV2D_DESC_INIT, .bias = true, .residual = true}};
  evr_conv2d_desc *d = &l.c.desc;
  d->batch = 1 + _i % 2;
  d->groups = _i % 3 == 1 ? 2 : 1;
  d->in_channels = _i % 5 == 1 ? 4 : 2;
  d->out_channels = 4;
  d->in_height = 5;
  d->in_width = 6;
  d->kernel_height = 3;
  d->kernel_width = 2 + _i % 2;
  d->stride_height = 1 + _i % 2;
  d->stride_width = 1 + _i / 2 % 3;
  d->dilation_width = 1 + _i / 3 % 2;
  d->pad_top = _i % 3;
  d->pad_bottom = 1;
  d->pad_left = 2;
  d->pad_right = _i / 4 % 4;
  d->pad_mode = (evr_pad_mode)(_i / 12 % 3);
  d->layout = _i / 5 % 2 ? EVR_NCHW : EVR_NHWC;
  d->filter_layout = _i / 7 % 2 ? EVR_OIHW : EVR_HWIO;
  d->activation = (evr_activation){(evr_activation_kind)kind, _i % 2 ? 0.75f : -0.5f};
  conv2d_inputs *in = &l.in;
  ck_assert_msg(evr_conv2d_get_sizes(d, &in->sizes) == EVR_OK, "%s", evr_last_error());
  const evr_conv2d_sizes *s = &in->sizes;
  in->x = grid_values(&random, s->x_count);
  in->weights = grid_values(&random, s->weights_count);
  in->bias = grid_values(&random, s->bias_count);
  in->residual = grid_values(&random, s->residual_count);
  l.dy = grid_values(&random, s->y_count);
  l.z = malloc(3 * (size_t)s->y_count * sizeof *l.z);
  l.other = l.z + s->y_count;
  l.magnitude = l.other + s->y_count;

  float *z = malloc((size_t)s->y_count * sizeof *z), *y = malloc((size_t)s->y_count * sizeof *y);
  conv2d_oracle(&l.c, in, l.z, l.magnitude);
  for (int64_t i = 0; i < s->y_count; i++) {
    z[i] = (float)l.z[i];
    y[i] = (float)function_value(&d->activation, l.z[i]);
  }
  const bool by_z = evr_activation_needs_z(&d->activation) || _i % 4 == 0;
  float *dx = malloc((size_t)s->x_count * sizeof *dx);
  float *dw = malloc((size_t)s->weights_count * sizeof *dw);
  float *db = malloc((size_t)s->bias_count * sizeof *db);
  float *dr = malloc((size_t)s->y_count * sizeof *dr);
  const evr_conv2d_backward_data_arguments data = {.dy = l.dy,
                                                   .weights = in->weights,
                                                   .y = by_z ? NULL : y,
                                                   .z = by_z ? z : NULL,
                                                   .dx = dx,
                                                   .dresidual = dr};
  const evr_conv2d_backward_weights_arguments weights = {.x = in->x,
                                                         .dy = l.dy,
                                                         .y = by_z ? NULL : y,
                                                         .z = by_z ? z : NULL,
                                                         .dweights = dw,
                                                         .dbias = db};
  ck_assert_msg(evr_conv2d_backward_data(d, NULL, &data) == EVR_OK, "%s", evr_last_error());
  ck_assert_msg(evr_conv2d_backward_weights(d, NULL, &weights) == EVR_OK, "%s", evr_last_error());
  ck_assert_int_gt(compare_slopes(&l, in->x, dx, s->x_count, "dx"), 0);
  ck_assert_int_gt(compare_slopes(&l, in->residual, dr, s->residual_count, "dresidual"), 0);
  ck_assert_int_gt(compare_slopes(&l, in->weights, dw, s->weights_count, "dweights"), 0);
  /* A bias moves so many outputs that one may always be at a kink. */
  compare_slopes(&l, in->bias, db, s->bias_count, "dbias");
  free(dr);
  free(db);
  free(dw);
  free(dx);
  free(y);
  free(z);
  free(l.z);
  free(l.dy);
  conv2d_inputs_free(in);
}
END_TEST

/* ---- sums of a million terms ---- */

#define SIDE 512
#define IMAGES 4
#define INPUTS 3
#define OUTPUTS 5
#define PIXELS ((int64_t)SIDE * SIDE * IMAGES)

/* _i: 0 random values; 1 all the same, of a sum that loses with every term where it is large. */
START_TEST(million_terms_keep_the_bound) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.batch = IMAGES;
  d.in_height = d.in_width = SIDE;
  d.in_channels = INPUTS;
  d.out_channels = OUTPUTS;
  d.kernel_height = d.kernel_width = 1;
  float *x = malloc((size_t)PIXELS * INPUTS * sizeof *x);
  float *dy = malloc((size_t)PIXELS * OUTPUTS * sizeof *dy);
  ck_assert(x != NULL && dy != NULL);
  test_random random = {test_seed()};
  random_fill(&random, VALUES_REALS, 1, x, PIXELS * INPUTS);
  random_fill(&random, VALUES_REALS, 1, dy, PIXELS * OUTPUTS);
  for (int64_t i = 0; _i == 1 && i < PIXELS * INPUTS; i++) x[i] = 1.0f;
  for (int64_t i = 0; _i == 1 && i < PIXELS * OUTPUTS; i++) dy[i] = 1.03f;
  double exact[INPUTS + 1][OUTPUTS] = {{0}}, size[INPUTS + 1][OUTPUTS] = {{0}};
  float plain = 0.0f; /* without blocks */
  for (int64_t p = 0; p < PIXELS; p++) {
    plain += dy[p * OUTPUTS];
    for (int o = 0; o < OUTPUTS; o++)
      for (int i = 0; i <= INPUTS; i++) {
        const double term =
            (i < INPUTS ? (double)x[p * INPUTS + i] : 1.0) * (double)dy[p * OUTPUTS + o];
        exact[i][o] += term;
        size[i][o] += fabs(term);
      }
  }
  /* A row is a block of 512 pixels; there are 512 in an image. */
  const double n = SIDE + SIDE * IMAGES, gamma = n * 0x1p-24 / (1.0 - n * 0x1p-24);
  if (_i == 1) /* or the test could not fail */
    ck_assert(fabs((double)plain - exact[INPUTS][0]) > gamma * size[INPUTS][0]);
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  for (size_t v = 0; v < rows; v++) {
    if (registry[v].operation != EVR_OP_CONV2D_BACKWARD_WEIGHTS || !variant_runs_here(&registry[v]))
      continue;
    float gradient[INPUTS + 1][OUTPUTS]; /* of weights, HWIO, and of the bias */
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.variant = registry[v].name;
    const evr_conv2d_backward_weights_arguments a = {
        .x = x, .dy = dy, .dweights = gradient[0], .dbias = gradient[INPUTS]};
    const evr_status status = evr_conv2d_backward_weights(&d, &options, &a);
    if (status == EVR_UNSUPPORTED) continue;
    ck_assert_msg(status == EVR_OK, "%s: %s", registry[v].name, evr_last_error());
    for (int i = 0; i <= INPUTS; i++)
      for (int o = 0; o < OUTPUTS; o++)
        ck_assert_msg(fabs((double)gradient[i][o] - exact[i][o]) <= gamma * size[i][o],
                      "%s: gradient %d, %d is %.9g, exactly %.9g; it may be off by %g",
                      registry[v].name, i, o, (double)gradient[i][o], exact[i][o],
                      gamma * size[i][o]);
  }
  free(x);
  free(dy);
}
END_TEST

/* ---- where buffers lie ---- */

/* Floats between dx and the begin of a page that dy begins at: depthwise kernels take channels in
 * either order, by this. */
static const int64_t beyond[] = {0, 16, 48, 64, 80, 128, 1024 - 16};
#define PAGE 1024 /* floats */

/* _i: channels; 33 and 80 end in a vector that overlaps the one before. */
START_TEST(channels_in_either_order) {
  static const int64_t channels[] = {33, 64, 80, 512};
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = d.groups = channels[_i];
  d.in_height = d.in_width = 14;
  d.kernel_height = d.kernel_width = 3;
  d.stride_height = d.stride_width = 2;
  d.pad_top = d.pad_left = 0;
  d.pad_bottom = d.pad_right = 1;
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  const size_t bytes = (size_t)s.x_count * sizeof(float);
  const size_t pages = (size_t)(s.x_count + s.y_count + 4 * PAGE) / PAGE * PAGE * sizeof(float);
  float *weights = malloc((size_t)s.weights_count * sizeof *weights);
  float *expected = malloc(bytes), *room = aligned_alloc(PAGE * sizeof(float), pages);
  ck_assert(weights != NULL && expected != NULL && room != NULL);
  float *dy = room, *behind = room + (s.y_count / PAGE + 1) * PAGE;
  test_random random = {test_seed()};
  random_fill(&random, VALUES_REALS, 1, weights, s.weights_count);
  random_fill(&random, VALUES_REALS, 1, dy, s.y_count);
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = EVR_MATH_EXACT;
  options.variant = "reference";
  evr_conv2d_backward_data_arguments a = {.dy = dy, .weights = weights, .dx = expected};
  ck_assert_msg(evr_conv2d_backward_data(&d, &options, &a) == EVR_OK, "%s", evr_last_error());
  size_t rows;
  const evr_variant *registry = evr_registry(&rows);
  int compared = 0;
  for (size_t v = 0; v < rows; v++) {
    if (registry[v].operation != EVR_OP_CONV2D_BACKWARD_DATA || !variant_runs_here(&registry[v]))
      continue;
    options.variant = registry[v].name;
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
      a.dx = behind + beyond[i];
      for (int64_t n = 0; n < s.x_count; n++) a.dx[n] = 12345.0f;
      const evr_status status = evr_conv2d_backward_data(&d, &options, &a);
      if (status == EVR_UNSUPPORTED) break;
      ck_assert_msg(status == EVR_OK, "%s: %s", registry[v].name, evr_last_error());
      ck_assert_msg(memcmp(a.dx, expected, bytes) == 0,
                    "%s: other bits where dx begins %lld floats beyond dy, of a page",
                    registry[v].name, (long long)beyond[i]);
      compared++;
    }
  }
  ck_assert_int_gt(compared, 0);
  free(room);
  free(expected);
  free(weights);
}
END_TEST

/* ---- threads ---- */

static void run_and_count(void *user, evr_share *body, void *argument, int shares) {
  int *most = user;
  if (shares > *most) *most = shares;
  for (int i = 0; i < shares; i++) body(argument, i);
}

/* A product of few rows and columns is still cut for every thread that the plan has. */
START_TEST(gradients_of_few_channels_are_shared) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = 64;
  d.out_channels = 256;
  d.in_height = d.in_width = 16;
  d.kernel_height = d.kernel_width = 1;
  d.layout = _i & 1 ? EVR_NCHW : EVR_NHWC;
  d.filter_layout = _i & 2 ? EVR_OIHW : EVR_HWIO;
  int most = 0;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.variant = "im2col-gemm";
  options.num_threads = 4;
  options.thread_pool = (evr_thread_pool){.run = run_and_count, .user = &most};
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  float *x = calloc((size_t)s.x_count, sizeof *x), *dy = calloc((size_t)s.y_count, sizeof *dy);
  float *dweights = malloc((size_t)s.weights_count * sizeof *dweights);
  ck_assert(x != NULL && dy != NULL && dweights != NULL);
  const evr_conv2d_backward_weights_arguments a = {.x = x, .dy = dy, .dweights = dweights};
  ck_assert_msg(evr_conv2d_backward_weights(&d, &options, &a) == EVR_OK, "%s", evr_last_error());
  ck_assert_int_eq(most, 4);
  free(dweights);
  free(dy);
  free(x);
}
END_TEST

/* ---- phases of a stride ---- */

static bool lies_on(const evr_direction *d, int64_t tap, int64_t pixel) {
  return (pixel + d->pad - tap * d->dilation) % d->stride == 0;
}

/* Each pixel under a tap is in one phase, which knows its taps. */
static void check_phases(const evr_direction *d, const evr_phases *phases) {
  int *found = calloc((size_t)d->in, sizeof *found);
  ck_assert_ptr_nonnull(found);
  evr_phase phase;
  int64_t count = 0, before = -1;
  for (int64_t step = 0; step < phases->steps; step++) {
    if (!evr_take_phase(phases, step, &phase)) continue;
    count++;
    if (phases->count <= EVR_FEW_PHASES) ck_assert_int_lt(before, phase.first);
    before = phase.first;
    for (int64_t i = 0; i < phase.count; i++) found[phase.first + i * d->stride]++;
    int64_t taps = 0;
    for (int64_t tap = 0; tap < d->kernel; tap++)
      if (lies_on(d, tap, phase.first)) ck_assert_int_eq(tap, phase.tap + taps++ * phase.tap_step);
    ck_assert_int_eq(taps, phase.taps);
  }
  ck_assert_int_eq(count, phases->count);
  bool leaves = false;
  for (int64_t pixel = 0; pixel < d->in; pixel++) {
    bool under = false;
    for (int64_t tap = 0; tap < d->kernel; tap++) under = under || lies_on(d, tap, pixel);
    ck_assert_int_eq(found[pixel], under);
    ck_assert_int_eq(evr_is_reached(d, pixel), under);
    leaves = leaves || !under;
  }
  ck_assert_int_eq(evr_phases_leave_pixels(phases), leaves);
  free(found);
}

/* As many phases are of each kind as differ from it in no more than their beginnings. */
static void check_kinds(const evr_phases *phases, const evr_phase_kinds *kinds) {
  for (int k = 0; k < kinds->count; k++) {
    const evr_phase *kind = &kinds->phases[k];
    int64_t times = 0;
    evr_phase phase;
    for (int64_t step = 0; step < phases->steps; step++) {
      if (!evr_take_phase(phases, step, &phase)) continue;
      phase.first = kind->first;
      phase.tap = kind->tap;
      times += memcmp(&phase, kind, sizeof phase) == 0;
    }
    ck_assert_int_eq(times, kinds->times[k]);
  }
}

START_TEST(phases_are_those_of_the_taps) {
  test_random random = {test_seed()};
  int many = 0;
  for (int64_t i = 0; i < test_rounds(3000); i++) {
    evr_direction d = {0};
    d.in = random_between(&random, 1, 80);
    d.kernel = random_between(&random, 1, 40);
    d.stride = random_between(&random, 1, 40);
    d.dilation = random_between(&random, 1, random_chance(&random, 50) ? 1 : 9);
    const int64_t reach = (d.kernel - 1) * d.dilation + 1;
    d.pad = random_between(&random, 0, reach);
    const int64_t room = d.in + d.pad + random_between(&random, 0, reach) - reach;
    if (room < 0) continue;
    d.out = room / d.stride + 1;
    evr_phases phases;
    evr_phases_init(&phases, &d);
    many += phases.count > EVR_FEW_PHASES;
    check_phases(&d, &phases);
    evr_phase_kinds kinds;
    if (evr_find_phase_kinds(&phases, &kinds))
      check_kinds(&phases, &kinds);
    else
      ck_assert_int_gt(d.dilation, 1);
  }
  ck_assert_int_gt(many, 0);
  /* As many kinds as phases. */
  const evr_direction dilated = {
      .in = 1600, .out = 2, .kernel = 40, .stride = 40, .dilation = 39, .pad = 0};
  evr_phases phases;
  evr_phases_init(&phases, &dilated);
  check_phases(&dilated, &phases);
  evr_phase_kinds kinds;
  ck_assert(!evr_find_phase_kinds(&phases, &kinds));
}
END_TEST

/* Pixels that no window reaches are written as well, also where it takes many taps to know them. */
START_TEST(gaps_between_windows_are_filled) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = 3;
  d.layout = _i & 1 ? EVR_NCHW : EVR_NHWC;
  const int64_t kernel = _i & 2 ? 70 : 5;
  d.kernel_height = _i & 4 ? kernel : 2;
  d.kernel_width = _i & 4 ? 2 : kernel;
  d.stride_height = d.kernel_height + 4;
  d.stride_width = d.kernel_width + 3;
  d.in_height = 2 * d.stride_height + 1;
  d.in_width = 2 * d.stride_width + 2;
  evr_conv2d_sizes s;
  ck_assert_int_eq(evr_conv2d_get_sizes(&d, &s), EVR_OK);
  float *weights = malloc((size_t)s.weights_count * sizeof *weights);
  float *dy = malloc((size_t)s.y_count * sizeof *dy);
  float *expected = malloc((size_t)s.x_count * sizeof *expected);
  float *dx = malloc((size_t)s.x_count * sizeof *dx);
  ck_assert(weights != NULL && dy != NULL && expected != NULL && dx != NULL);
  test_random random = {test_seed()};
  random_fill(&random, VALUES_REALS, 1, weights, s.weights_count);
  random_fill(&random, VALUES_REALS, 1, dy, s.y_count);
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = EVR_MATH_EXACT;
  evr_conv2d_backward_data_arguments a = {.dy = dy, .weights = weights};
  static const char *const variants[] = {"reference", "direct", "im2col-gemm", "few-outputs"};
  for (int v = 0; v < 4; v++) {
    options.variant = variants[v];
    a.dx = v == 0 ? expected : dx;
    for (int64_t i = 0; i < s.x_count; i++) a.dx[i] = 12345.0f;
    ck_assert_msg(evr_conv2d_backward_data(&d, &options, &a) == EVR_OK, "%s", evr_last_error());
    ck_assert_msg(memcmp(a.dx, expected, (size_t)s.x_count * sizeof *dx) == 0, "%s", variants[v]);
  }
  free(dx);
  free(expected);
  free(dy);
  free(weights);
}
END_TEST

/* A stride of 1000 has a million parts, which were made for each question about each variant: more
 * than two minutes. */
START_TEST(plan_of_a_large_stride_is_made_at_once) {
  evr_conv2d_desc d = EVR_CONV2D_DESC_INIT;
  d.in_channels = d.out_channels = 1;
  d.in_height = d.in_width = d.kernel_height = d.kernel_width = 1000;
  d.stride_height = d.stride_width = 1000;
  evr_conv2d_backward_data_plan *plan;
  const clock_t start = clock();
  ck_assert_int_eq(evr_conv2d_backward_data_plan_create(&d, NULL, &plan), EVR_OK);
  evr_conv2d_backward_data_plan_destroy(plan);
  d.in_height = d.stride_height = INT64_C(1) << 40;
  d.kernel_height = d.in_width = d.kernel_width = d.stride_width = 1;
  ck_assert_int_eq(evr_conv2d_backward_data_plan_create(&d, NULL, &plan), EVR_OK);
  evr_conv2d_backward_data_plan_destroy(plan);
  ck_assert_msg(clock() - start < CLOCKS_PER_SEC, "took a second or more");
}
END_TEST

int main(void) {
  suite_begin("conv2d backward");
  Suite *suite = suite_create("conv2d backward");
  tcase_add_loop_test(suite_case(suite, "slopes"), gradients_are_slopes, 0, 72);
  tcase_add_loop_test(suite_case(suite, "long sums"), million_terms_keep_the_bound, 0, 2);
  tcase_add_loop_test(suite_case(suite, "places"), channels_in_either_order, 0, 4);
  tcase_add_loop_test(suite_case(suite, "threads"), gradients_of_few_channels_are_shared, 0, 4);
  TCase *phases = suite_case(suite, "phases");
  tcase_add_test(phases, phases_are_those_of_the_taps);
  tcase_add_loop_test(phases, gaps_between_windows_are_filled, 0, 8);
  tcase_add_test(phases, plan_of_a_large_stride_is_made_at_once);
  return suite_end(suite);
}
