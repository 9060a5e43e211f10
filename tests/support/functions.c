#include "support/functions.h"

#include <math.h>

double function_value(const evr_activation *a, double z) {
  const double alpha = (double)a->alpha;
  switch (a->kind) {
    case EVR_IDENTITY: return z;
    case EVR_RELU: return z < 0.0 ? 0.0 : z;
    case EVR_LEAKY_RELU: return z < 0.0 ? alpha * z : z;
    case EVR_ELU: return z < 0.0 ? alpha * expm1(z) : z;
    case EVR_SIGMOID: return 1.0 / (1.0 + exp(-z));
    case EVR_TANH: return tanh(z);
    case EVR_SCALED_TANH: return 1.7159 * tanh(2.0 * z / 3.0);
    case EVR_RELU6: return fmin(fmax(z, 0.0), 6.0);
    case EVR_HARD_SWISH: return z * fmin(fmax(z + 3.0, 0.0), 6.0) / 6.0;
    case EVR_SILU: return z / (1.0 + exp(-z));
    case EVR_GELU: return 0.5 * z * (1.0 + erf(z * sqrt(0.5)));
    case EVR_GELU_TANH:
      return 0.5 * z *
             (1.0 + tanh(sqrt(2.0 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
  }
  return NAN;
}

bool function_has_kink(const evr_activation *a, double low, double high) {
  const bool smooth = a->kind == EVR_IDENTITY || a->kind == EVR_SIGMOID || a->kind == EVR_TANH ||
                      a->kind == EVR_SCALED_TANH || a->kind >= EVR_SILU;
  if (smooth || low == high) return false;
  static const double kinks[] = {-3.0, 0.0, 3.0, 6.0};
  for (int i = 0; i < 4; i++)
    if (low <= kinks[i] && kinks[i] <= high) return true;
  return false;
}
