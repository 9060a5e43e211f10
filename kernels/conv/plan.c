/* The public calls of convolution: check, choose, then hand over to the variant. */
#include "core/check.h"
#include "core/checked.h"
#include "core/choose.h"
#include "core/memory.h"
#include "core/status.h"
#include "conv/problem.h"

struct evr_conv2d_plan {
  evr_conv2d_problem problem;
  const evr_variant *variant;
  evr_allocator allocator;
  size_t packed_bytes;  /* of packed weights, without slack for alignment */
  size_t scratch_bytes; /* of the variant's own workspace, likewise */
};

evr_status evr_conv2d_get_sizes(const evr_conv2d_desc *desc, evr_conv2d_sizes *sizes) {
  EVR_TRY(evr_check_pointer("sizes", sizes));
  evr_conv2d_problem problem;
  EVR_TRY(evr_conv2d_problem_init(&problem, desc));
  *sizes = problem.sizes;
  return EVR_OK;
}

static evr_status prepare(const evr_conv2d_desc *desc, const evr_plan_options *options,
                          evr_conv2d_problem *problem, evr_settings *settings) {
  EVR_TRY(evr_conv2d_problem_init(problem, desc));
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&problem->common, settings, 2.0 * problem->multiplies);
  return EVR_OK;
}

evr_status evr_conv2d_plan_create(const evr_conv2d_desc *desc, const evr_plan_options *options,
                                  evr_conv2d_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  evr_conv2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  const evr_variant *variant;
  EVR_TRY(evr_choose(EVR_OP_CONV2D, &settings, &problem, &variant));
  const evr_kernel *kernel = variant->kernel;
  const size_t packed = kernel->packed_size != NULL ? kernel->packed_size(&problem) : 0;
  const size_t scratch = kernel->workspace_size != NULL ? kernel->workspace_size(&problem) : 0;
  if (evr_size_sum(evr_size_sum(packed, scratch), 3 * EVR_ALIGNMENT) > (size_t)PTRDIFF_MAX)
    return evr_fail(EVR_OVERFLOW, "the workspace of %s does not fit in memory", variant->name);

  evr_conv2d_plan *made = evr_allocate(&settings.allocator, sizeof *made);
  if (made == NULL)
    return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes for a plan", sizeof *made);
  *made = (evr_conv2d_plan){problem, variant, settings.allocator, packed, scratch};
  *plan = made;
  return EVR_OK;
}

void evr_conv2d_plan_destroy(evr_conv2d_plan *plan) {
  if (plan == NULL) return;
  const evr_allocator allocator = plan->allocator;
  evr_release(&allocator, plan);
}

const char *evr_conv2d_plan_variant(const evr_conv2d_plan *plan) {
  return plan != NULL ? plan->variant->name : "";
}

int evr_conv2d_plan_threads(const evr_conv2d_plan *plan) {
  return plan != NULL ? plan->problem.common.parallel.threads : 0;
}

/* Bytes with slack to align within them; nothing needs no slack. */
static size_t with_slack(size_t bytes) { return bytes > 0 ? bytes + EVR_ALIGNMENT - 1 : 0; }

size_t evr_conv2d_workspace_size(const evr_conv2d_plan *plan, bool packed) {
  if (plan == NULL) return 0;
  return with_slack(plan->scratch_bytes + (packed ? 0 : plan->packed_bytes));
}

size_t evr_conv2d_packed_size(const evr_conv2d_plan *plan) {
  return plan != NULL ? with_slack(plan->packed_bytes) : 0;
}

evr_status evr_conv2d_pack(const evr_conv2d_plan *plan, const float *weights, void *packed) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("weights", weights));
  if (plan->packed_bytes == 0) return EVR_OK;
  EVR_TRY(evr_check_pointer("packed", packed));
  const evr_buffer buffers[] = {
      {"weights", weights, (size_t)plan->problem.sizes.weights_count * sizeof(float), false},
      {"packed", packed, evr_conv2d_packed_size(plan), true},
  };
  EVR_TRY(evr_check_buffers(buffers, 2));
  plan->variant->kernel->pack(&plan->problem, weights, evr_align(packed));
  return EVR_OK;
}

static evr_status check_call(const evr_conv2d_plan *plan, const evr_conv2d_arguments *a) {
  EVR_TRY(evr_check_pointer("x", a->x));
  EVR_TRY(evr_check_pointer("y", a->y));
  const bool packed = a->packed != NULL && plan->packed_bytes > 0;
  if (!packed) EVR_TRY(evr_check_pointer("weights", a->weights));
  const evr_conv2d_sizes *s = &plan->problem.sizes;
  const evr_buffer buffers[] = {
      {"x", a->x, (size_t)s->x_count * sizeof(float), false},
      {"weights", packed ? NULL : a->weights, (size_t)s->weights_count * sizeof(float), false},
      {"packed", packed ? a->packed : NULL, evr_conv2d_packed_size(plan), false},
      {"bias", a->bias, (size_t)s->bias_count * sizeof(float), false},
      {"residual", a->residual, (size_t)s->residual_count * sizeof(float), false},
      {"y", a->y, (size_t)s->y_count * sizeof(float), true},
      {"workspace", a->workspace, evr_conv2d_workspace_size(plan, packed), true},
  };
  return evr_check_buffers(buffers, sizeof buffers / sizeof buffers[0]);
}

evr_status evr_conv2d_execute(const evr_conv2d_plan *plan, const evr_conv2d_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  EVR_TRY(check_call(plan, arguments));
  const evr_conv2d_arguments *a = arguments;
  const bool packed = a->packed != NULL && plan->packed_bytes > 0;
  const size_t bytes = evr_conv2d_workspace_size(plan, packed);
  void *own = NULL;
  if (a->workspace == NULL && bytes > 0) {
    own = evr_allocate(&plan->allocator, bytes);
    if (own == NULL)
      return evr_fail(EVR_OUT_OF_MEMORY, "the allocator gave no %zu bytes of workspace", bytes);
  }
  char *workspace = bytes > 0 ? evr_align(own != NULL ? own : a->workspace) : NULL;
  evr_conv2d_call call = {.x = a->x,
                          .weights = a->weights,
                          .bias = a->bias,
                          .residual = a->residual,
                          .y = a->y,
                          .workspace = workspace};
  const evr_kernel *kernel = plan->variant->kernel;
  if (packed) {
    call.packed = evr_align((void *)(uintptr_t)a->packed);
  } else if (plan->packed_bytes > 0) {
    kernel->pack(&plan->problem, a->weights, workspace);
    call.packed = workspace;
    call.workspace = workspace + plan->packed_bytes;
  }
  kernel->forward(&plan->problem, &call);
  evr_release(&plan->allocator, own);
  return EVR_OK;
}

evr_status evr_conv2d_forward(const evr_conv2d_plan *plan, const float *x, const float *weights,
                              const float *bias, float *y, void *workspace) {
  const evr_conv2d_arguments arguments = {
      .x = x, .weights = weights, .bias = bias, .y = y, .workspace = workspace};
  return evr_conv2d_execute(plan, &arguments);
}

evr_status evr_conv2d(const evr_conv2d_desc *desc, const evr_plan_options *options, const float *x,
                      const float *weights, const float *bias, float *y) {
  evr_conv2d_plan *plan;
  EVR_TRY(evr_conv2d_plan_create(desc, options, &plan));
  const evr_status status = evr_conv2d_forward(plan, x, weights, bias, y, NULL);
  evr_conv2d_plan_destroy(plan);
  return status;
}

evr_status evr_conv2d_list_variants(const evr_conv2d_desc *desc, const evr_plan_options *options,
                                    evr_variant_report *list, size_t capacity, size_t *count) {
  evr_conv2d_problem problem;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &problem, &settings));
  return evr_list_variants(EVR_OP_CONV2D, &settings, &problem, list, capacity, count);
}
