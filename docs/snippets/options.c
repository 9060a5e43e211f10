/* Pieces of docs/api.md about options, errors and reports. */
#include "snippet.h"

static evr_conv2d_desc layer(void) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.in_channels = desc.out_channels = 64;
  desc.in_height = desc.in_width = 14;
  desc.kernel_height = desc.kernel_width = 3;
  return desc;
}

static void choose(const evr_conv2d_desc *desc) {
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.math = EVR_MATH_EXACT;    /* the reference's bits on every machine */
  options.max_isa = EVR_ISA_SCALAR; /* nothing above plain code */
  options.variant = "im2col-gemm";  /* the best of this family */
  options.num_threads = 2;          /* at most */
  evr_conv2d_plan *plan;
  if (evr_conv2d_plan_create(desc, &options, &plan) != EVR_OK) {
    fprintf(stderr, "%s\n", evr_last_error());
    return;
  }
  printf("%s on %d threads\n", evr_conv2d_plan_variant(plan), evr_conv2d_plan_threads(plan));
  EXPECT(strcmp(evr_conv2d_plan_variant(plan), "im2col-gemm-scalar") == 0);
  evr_conv2d_plan_destroy(plan);
}

/* What there is for this descriptor, and why not. */
static void list(const evr_conv2d_desc *desc, const evr_plan_options *options) {
  evr_variant_report reports[32];
  size_t count;
  if (evr_conv2d_list_variants(desc, options, reports, 32, &count) != EVR_OK) {
    fprintf(stderr, "%s\n", evr_last_error());
    return;
  }
  for (size_t i = 0; i < count && i < 32; i++)
    printf("%c %-20s %s\n", reports[i].chosen ? '*' : ' ', reports[i].name,
           reports[i].accepted ? "" : reports[i].reason);
  EXPECT(count > 0 && count <= 32);
}

/* Choices that were measured in an earlier run are used again; new ones are added to the file. */
static void measure(const evr_conv2d_desc *desc, const char *path) {
  evr_choices *choices;
  if (evr_choices_create(NULL, &choices) != EVR_OK) return;
  if (evr_choices_load(choices, path) != EVR_OK)
    fprintf(stderr, "starting anew: %s\n", evr_last_error());
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.effort = EVR_MEASURE;
  options.choices = choices;
  evr_conv2d_plan *plan;
  if (evr_conv2d_plan_create(desc, &options, &plan) == EVR_OK) {
    printf("fastest here: %s\n", evr_conv2d_plan_variant(plan));
    evr_conv2d_plan_destroy(plan);
  }
  if (evr_choices_save(choices, path) != EVR_OK) fprintf(stderr, "%s\n", evr_last_error());
  EXPECT(evr_choices_count(choices) == 1);
  evr_choices_destroy(choices);
}

static void report_cpu(void) {
  char text[2048];
  if (evr_cpu_report(text, sizeof text) == EVR_OK) fputs(text, stdout);
  evr_cpu_info cpu;
  if (evr_cpu_query(&cpu) == EVR_OK) printf("%s runs %s\n", cpu.model, evr_isa_name(cpu.isa));
}

static void fail(evr_conv2d_desc desc) {
  desc.stride_width = 0;
  evr_conv2d_plan *plan;
  evr_status status = evr_conv2d_plan_create(&desc, NULL, &plan);
  printf("%s: %s\n", evr_status_name(status), evr_last_error());
  EXPECT(status == EVR_INVALID_ARGUMENT && plan == NULL);
  EXPECT(strstr(evr_last_error(), "stride_width") != NULL);
}

/* An allocator that counts what is in use. */
static void *count_and_allocate(void *user, size_t size, size_t alignment) {
  int *blocks = user;
  ++*blocks;
  return aligned_alloc(alignment, size);
}
static void count_and_release(void *user, void *memory) {
  int *blocks = user;
  --*blocks;
  free(memory);
}

/* A thread pool of one thread: the caller's. */
static void run_here(void *user, evr_share *body, void *argument, int shares) {
  (void)user;
  for (int i = 0; i < shares; i++) body(argument, i);
}

static void bring_your_own(const evr_conv2d_desc *desc, const float *x, const float *weights,
                           float *y) {
  int blocks = 0;
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.allocator = (evr_allocator){count_and_allocate, count_and_release, &blocks};
  options.thread_pool = (evr_thread_pool){run_here, NULL};
  EXPECT(evr_conv2d(desc, &options, x, weights, NULL, y) == EVR_OK);
  EXPECT(blocks == 0);
}

int main(void) {
  const evr_conv2d_desc desc = layer();
  choose(&desc);
  list(&desc, NULL);
  measure(&desc, "snippet-choices.txt");
  measure(&desc, "snippet-choices.txt"); /* from the file */
  EXPECT(remove("snippet-choices.txt") == 0);
  report_cpu();
  fail(desc);
  static float x[56 * 56 * 64], weights[9 * 64 * 64], y[54 * 54 * 64];
  bring_your_own(&desc, x, weights, y);
  return 0;
}
