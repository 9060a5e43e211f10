/* The public calls of convolution: check, choose, then hand over to the variant. */
#include "conv/fused.h"
#include "conv/problem.h"
#include "conv/trial.h"
#include "core/check.h"
#include "core/checked.h"
#include "core/choose.h"
#include "core/memory.h"
#include "core/plan_head.h"
#include "core/status.h"
#include "pool/problem.h"

/* A checked descriptor: the convolution, and what condenses its output. */
typedef struct trio {
  evr_conv2d_problem conv;
  evr_pool2d_problem pool; /* unused where pooled is false */
  bool pooled;
  evr_conv2d_sizes sizes; /* of the whole: y is the pooled output */
} trio;

/* No more scratch than this is on the stack of evr_conv2d_execute. */
#if !defined(MOST_ON_STACK) /* none in a build for the tests, which watch the edges of workspaces */
#define MOST_ON_STACK EVR_CONV2D_STACK_BYTES
#endif

struct evr_conv2d_plan {
  evr_plan_head head;
  trio trio;
  evr_fused fused;      /* where pooled */
  size_t packed_bytes;  /* of packed weights, without slack for alignment */
  size_t scratch_bytes; /* of all other workspace, likewise */
  bool on_stack;        /* there is scratch, and none of it is workspace */
};

/* The pooling of a convolution is a pooling of its output. */
static evr_status init_pool(trio *t, const evr_conv2d_desc *desc) {
  const evr_conv2d_sizes *s = &t->conv.sizes;
  const evr_pool2d_desc pool = {.batch = desc->batch,
                                .channels = desc->out_channels,
                                .in_height = s->conv_height,
                                .in_width = s->conv_width,
                                .layout = desc->layout,
                                .window = desc->pool};
  EVR_TRY(evr_pool2d_problem_init(&t->pool, &pool, &evr_pool2d_trio_names));
  t->sizes.out_height = t->pool.sizes.out_height;
  t->sizes.out_width = t->pool.sizes.out_width;
  t->sizes.y_count = t->pool.sizes.y_count;
  return EVR_OK;
}

static evr_status init_trio(trio *t, const evr_conv2d_desc *desc) {
  EVR_TRY(evr_conv2d_problem_init(&t->conv, desc));
  t->sizes = t->conv.sizes;
  t->pooled = desc->pool.kind != EVR_POOL_NONE;
  return t->pooled ? init_pool(t, desc) : EVR_OK;
}

evr_status evr_conv2d_get_sizes(const evr_conv2d_desc *desc, evr_conv2d_sizes *sizes) {
  EVR_TRY(evr_check_pointer("sizes", sizes));
  trio t;
  EVR_TRY(init_trio(&t, desc));
  *sizes = t.sizes;
  return EVR_OK;
}

static evr_status prepare(const evr_conv2d_desc *desc, const evr_plan_options *options, trio *t,
                          evr_settings *settings) {
  EVR_TRY(init_trio(t, desc));
  EVR_TRY(evr_settings_get(options, settings));
  evr_problem_init(&t->conv.common, settings, 0.0);
  evr_conv2d_share_scratch(&t->conv, &t->sizes, 0, 1);
  evr_problem_take_threads(EVR_OP_CONV2D, settings, &t->conv.common);
  if (t->pooled) evr_problem_init(&t->pool.common, settings, t->pool.work);
  /* Again, now that the threads are known. */
  evr_conv2d_share_scratch(&t->conv, &t->sizes, 0, t->conv.common.parallel.threads);
  return EVR_OK;
}

static const evr_trial *trial_of(const trio *t) {
  return t->pooled ? &evr_conv2d_trio_trial : &evr_conv2d_trial;
}

/* A name forced on the convolution binds its pooling too where pooling has a variant so called;
 * where not it is ignored, as a name from the environment is. */
static evr_status choose_pool(const trio *t, const evr_settings *settings,
                              const evr_variant **chosen) {
  *chosen = NULL;
  if (!t->pooled) return EVR_OK;
  evr_settings lenient = *settings;
  lenient.variant_may_be_missing = true;
  return evr_choose(EVR_OP_POOL2D, &lenient, &t->pool, NULL, chosen);
}

/* Sets fused, and returns the bytes of scratch. */
static size_t share_out(trio *t, const evr_kernel *kernel, const evr_variant *pool,
                        evr_fused *fused) {
  *fused = (evr_fused){.filter = kernel};
  if (!t->pooled)
    return kernel->workspace_size != NULL ? evr_size_lines(kernel->workspace_size(&t->conv)) : 0;
  fused->pool = &t->pool;
  fused->condense = pool->kernel;
  evr_fused_init(fused, &t->conv);
  return evr_fused_workspace_size(fused);
}

/* Scratch is held to what the tensors and packed weights take, or to what is on the stack. */
static size_t most_scratch(const trio *t, const evr_kernel *kernel) {
  if (kernel->any_scratch) return SIZE_MAX;
  const size_t packed = kernel->packed_size != NULL ? kernel->packed_size(&t->conv) : 0;
  const size_t tensors = (size_t)(t->sizes.x_count + t->sizes.y_count) * sizeof(float);
  const size_t most = evr_size_sum(tensors, packed);
  return most > EVR_CONV2D_STACK_BYTES ? most : EVR_CONV2D_STACK_BYTES;
}

evr_status evr_conv2d_plan_create(const evr_conv2d_desc *desc, const evr_plan_options *options,
                                  evr_conv2d_plan **plan) {
  EVR_TRY(evr_check_pointer("plan", plan));
  *plan = NULL;
  trio t;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &t, &settings));
  const evr_variant *variant, *pool_variant;
  EVR_TRY(evr_choose(EVR_OP_CONV2D, &settings, &t.conv, trial_of(&t), &variant));
  EVR_TRY(choose_pool(&t, &settings, &pool_variant));
  const evr_kernel *kernel = variant->kernel;
  evr_fused fused;
  size_t scratch = share_out(&t, kernel, pool_variant, &fused);
  /* The variant is kept whatever the threads, of which there are as many then as have scratch: what
   * a thread takes is no less where there are fewer. */
  const size_t most = most_scratch(&t, kernel);
  int *threads = &t.conv.common.parallel.threads;
  while (*threads > 1 && scratch > most) {
    const size_t each = scratch / (size_t)*threads + (scratch % (size_t)*threads != 0);
    const size_t fitting = most / each;
    *threads = fitting < (size_t)*threads ? (int)evr_max((int64_t)fitting, 1) : *threads - 1;
    evr_conv2d_share_scratch(&t.conv, &t.sizes, 0, *threads);
    scratch = share_out(&t, kernel, pool_variant, &fused);
  }
  /* In whole lines, as one begins where the other ends. */
  const size_t packed =
      kernel->packed_size != NULL ? evr_size_lines(kernel->packed_size(&t.conv)) : 0;
  if (evr_size_sum(evr_size_sum(packed, scratch), 2 * EVR_ALIGNMENT) > (size_t)PTRDIFF_MAX)
    return evr_fail(EVR_OVERFLOW, "the workspace of %s does not fit in memory", variant->name);

  /* Bands of a trio are prepared by nobody. */
  const bool prepares = kernel->prepare != NULL && !t.pooled;
  const size_t begin = evr_size_lines(sizeof(evr_conv2d_plan));
  const size_t room = prepares && kernel->takes_room ? EVR_PREPARED_ROOM : 0;
  evr_conv2d_plan *made = evr_plan_new(&settings.allocator, variant, begin + room);
  if (made == NULL) return EVR_OUT_OF_MEMORY;
  made->trio = t;
  made->fused = fused;
  made->fused.conv = &made->trio.conv;
  made->fused.pool = &made->trio.pool;
  made->trio.conv.prepared.room = room > 0 ? (char *)made + begin : NULL;
  if (prepares) kernel->prepare(&made->trio.conv); /* its scratch is known now */
  made->packed_bytes = packed;
  made->on_stack = scratch > 0 && scratch <= MOST_ON_STACK;
  made->scratch_bytes = made->on_stack ? 0 : scratch;
  *plan = made;
  return EVR_OK;
}

void evr_conv2d_plan_destroy(evr_conv2d_plan *plan) { evr_plan_free(plan); }

const char *evr_conv2d_plan_variant(const evr_conv2d_plan *plan) { return evr_plan_variant(plan); }

int evr_conv2d_plan_threads(const evr_conv2d_plan *plan) {
  return plan != NULL ? plan->trio.conv.common.parallel.threads : 0;
}

static size_t workspace_size(const evr_conv2d_plan *plan, bool packed) {
  return evr_with_slack(plan->scratch_bytes + (packed ? 0 : plan->packed_bytes));
}

static size_t packed_size(const evr_conv2d_plan *plan) {
  return evr_with_slack(plan->packed_bytes);
}

size_t evr_conv2d_workspace_size(const evr_conv2d_plan *plan, bool packed) {
  return plan != NULL ? workspace_size(plan, packed) : 0;
}

size_t evr_conv2d_packed_size(const evr_conv2d_plan *plan) {
  return plan != NULL ? packed_size(plan) : 0;
}

evr_status evr_conv2d_pack(const evr_conv2d_plan *plan, const float *weights, void *packed) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("weights", weights));
  if (plan->packed_bytes == 0) return EVR_OK;
  EVR_TRY(evr_check_pointer("packed", packed));
  const evr_buffer buffers[] = {
      {"weights", weights, (size_t)plan->trio.sizes.weights_count * sizeof(float), false},
      {"packed", packed, packed_size(plan), true},
  };
  EVR_TRY(evr_check_buffers(buffers, 2));
  plan->head.variant->kernel->pack(&plan->trio.conv, weights, evr_align(packed));
  return EVR_OK;
}

static size_t bytes_of(int64_t floats) { return (size_t)floats * sizeof(float); }

/* What a call reads, and then what it writes. */
enum { READ = 4, BUFFERS = 6 };

static inline void list_buffers(const evr_conv2d_plan *plan, const evr_conv2d_arguments *a,
                                bool packed, evr_buffer buffers[BUFFERS]) {
  const evr_conv2d_sizes *s = &plan->trio.sizes;
  buffers[0] = (evr_buffer){"x", a->x, bytes_of(s->x_count), false};
  buffers[1] = packed ? (evr_buffer){"packed", a->packed, packed_size(plan), false}
                      : (evr_buffer){"weights", a->weights, bytes_of(s->weights_count), false};
  buffers[2] = (evr_buffer){"bias", a->bias, bytes_of(s->bias_count), false};
  buffers[3] = (evr_buffer){"residual", a->residual, bytes_of(s->residual_count), false};
  buffers[4] = (evr_buffer){"y", a->y, bytes_of(s->y_count), true};
  buffers[5] = (evr_buffer){"workspace", a->workspace, workspace_size(plan, packed), true};
}

/* By itself, so that names are put into a table only where there may be something to say. */
static __attribute__((noinline)) evr_status check_buffers(const evr_conv2d_plan *plan,
                                                          const evr_conv2d_arguments *a,
                                                          bool packed) {
  evr_buffer buffers[BUFFERS];
  list_buffers(plan, a, packed, buffers);
  return evr_check_buffers(buffers, BUFFERS);
}

/* Whether a buffer is at a distance from so many before it. */
static inline bool is_apart(const evr_buffer *buffer, const evr_buffer *others, int count) {
  int near = 0;
  for (int i = 0; i < count; i++)
    near |= evr_may_overlap(buffer->start, buffer->bytes, others[i].start, others[i].bytes);
  return near == 0;
}

static evr_status check_call(const evr_conv2d_plan *plan, const evr_conv2d_arguments *a,
                             bool packed) {
  EVR_TRY(evr_check_pointer("x", a->x));
  EVR_TRY(evr_check_pointer("y", a->y));
  if (!packed) EVR_TRY(evr_check_pointer("weights", a->weights));
  evr_buffer buffers[BUFFERS];
  list_buffers(plan, a, packed, buffers);
  const evr_buffer *const y = &buffers[READ], *const workspace = &buffers[READ + 1];
  if (is_apart(y, buffers, READ) &&
      (workspace->bytes == 0 || is_apart(workspace, buffers, READ + 1)))
    return EVR_OK;
  return check_buffers(plan, a, packed);
}

static void run(const evr_conv2d_plan *plan, const evr_conv2d_call *call) {
  if (plan->trio.pooled)
    evr_fused_run(&plan->fused, call);
  else
    plan->head.variant->kernel->forward(&plan->trio.conv, call);
}

/* By itself, so that only plans with a little scratch take so much stack. Kernels make arrays of
 * several types of it, so it is no array that has one. */
static __attribute__((noinline)) void run_on_stack(const evr_conv2d_plan *plan,
                                                   evr_conv2d_call *call) {
  call->workspace = evr_align(__builtin_alloca(EVR_CONV2D_STACK_BYTES + EVR_ALIGNMENT - 1));
  run(plan, call);
}

evr_status evr_conv2d_execute(const evr_conv2d_plan *plan, const evr_conv2d_arguments *arguments) {
  EVR_TRY(evr_check_pointer("plan", plan));
  EVR_TRY(evr_check_pointer("arguments", arguments));
  const evr_conv2d_arguments *a = arguments;
  const bool packed = a->packed != NULL && plan->packed_bytes > 0;
  EVR_TRY(check_call(plan, a, packed));
  const size_t bytes = workspace_size(plan, packed);
  /* Packed weights, scratch: those of the two that there are. */
  void *own, *workspace;
  EVR_TRY(evr_take_workspace(&plan->head.allocator, bytes, a->workspace, &own, &workspace));
  evr_conv2d_call call = {
      .x = a->x, .weights = a->weights, .bias = a->bias, .residual = a->residual, .y = a->y};
  const evr_kernel *kernel = plan->head.variant->kernel;
  if (packed) {
    call.packed = evr_align((void *)(uintptr_t)a->packed);
  } else if (plan->packed_bytes > 0) {
    kernel->pack(&plan->trio.conv, a->weights, workspace);
    call.packed = workspace;
    workspace = (char *)workspace + plan->packed_bytes;
  }
  call.workspace = workspace;
  if (plan->on_stack)
    run_on_stack(plan, &call);
  else
    run(plan, &call);
  evr_release(&plan->head.allocator, own);
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
  trio t;
  evr_settings settings;
  EVR_TRY(prepare(desc, options, &t, &settings));
  return evr_list_variants(EVR_OP_CONV2D, &settings, &t.conv, trial_of(&t), list, capacity, count);
}
