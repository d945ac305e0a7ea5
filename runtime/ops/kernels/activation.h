// Kernels of runtime/ops/activation.h. All arrays of a call have one size and one dtype.
#pragma once

#include "runtime/ops/activation.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche::ops {

struct ActivationForward {
  Activation kind;
  Elements x, y;
  std::size_t size;
};
struct ActivationGradient {
  Activation kind;
  Elements dy, x;
  Target dx;
  std::size_t size;
};
struct GatedForward {
  Activation kind;
  Elements gate, up, y;
  std::size_t size;
};
// dgate or dup may be none.
struct GatedGradient {
  Activation kind;
  Elements dy, gate, up;
  Target dgate, dup;
  std::size_t size;
};

struct ActivationKernels {
  void (*forward)(Device&, const ActivationForward&);
  void (*gradient)(Device&, const ActivationGradient&);
  void (*gated)(Device&, const GatedForward&);
  void (*gated_gradient)(Device&, const GatedGradient&);
};

}  // namespace tranche::ops
