/* Holds pointwise.tmpl.c, the example of docs/adding-a-kernel.md, to the reference's bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conv/problem.h"
#include "core/cpu.h"

extern const evr_kernel evr_conv2d_reference, evr_conv2d_pointwise_scalar,
    evr_conv2d_pointwise_avx2, evr_conv2d_pointwise_avx512, evr_conv2d_pointwise_neon;

static const struct {
  evr_isa isa;
  const evr_kernel *kernel;
} kernels[] = {
    {EVR_ISA_SCALAR, &evr_conv2d_pointwise_scalar},
#if defined(SNIPPET_AVX2)
    {EVR_ISA_AVX2, &evr_conv2d_pointwise_avx2},
#endif
#if defined(SNIPPET_AVX512)
    {EVR_ISA_AVX512, &evr_conv2d_pointwise_avx512},
#endif
#if defined(SNIPPET_NEON)
    {EVR_ISA_NEON, &evr_conv2d_pointwise_neon},
#endif
};

enum { MOST = 2 * 5 * 7 * 40 };

int main(void) {
  static float x[MOST], weights[40 * 40], bias[40], residual[MOST], expected[MOST], y[MOST];
  for (int i = 0; i < MOST; i++) x[i] = sinf((float)i), residual[i] = cosf((float)i);
  for (int i = 0; i < 40 * 40; i++) weights[i] = sinf(3.0f * (float)i);
  for (int i = 0; i < 40; i++) bias[i] = 0.1f * (float)i;
  char reason[EVR_REASON_SIZE];
  int served = 0;
  for (int64_t channels = 1; channels <= 40; channels += 3) {
    evr_conv2d_problem p;
    evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
    desc.batch = 2;
    desc.in_channels = 41 - channels;
    desc.out_channels = channels;
    desc.in_height = 5;
    desc.in_width = 7;
    desc.kernel_height = desc.kernel_width = 1;
    desc.activation.kind = channels % 2 ? EVR_TANH : EVR_IDENTITY;
    if (evr_conv2d_problem_init(&p, &desc) != EVR_OK) return 1;
    p.common.parallel.threads = 1;
    const evr_conv2d_call call = {.x = x,
                                  .weights = weights,
                                  .bias = channels % 3 ? bias : NULL,
                                  .residual = channels % 4 ? residual : NULL,
                                  .y = y};
    evr_conv2d_call reference = call;
    reference.y = expected;
    evr_conv2d_reference.forward(&p, &reference);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
      if (kernels[i].isa > evr_cpu()->isa) continue;
      if (!kernels[i].kernel->accepts(&p, reason)) return puts(reason), 1;
      memset(y, 0xa5, sizeof y);
      kernels[i].kernel->forward(&p, &call);
      if (memcmp(y, expected, (size_t)p.sizes.y_count * sizeof *y) != 0) {
        fprintf(stderr, "%s differs at %lld channels\n", evr_isa_name(kernels[i].isa),
                (long long)channels);
        return 1;
      }
      served++;
    }
    p.desc.pad_left = 1;
    if (kernels[0].kernel->accepts(&p, reason)) return 1;
  }
  printf("%d cases\n", served);
  return served > 0 ? 0 : 1;
}
