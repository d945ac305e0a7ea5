// Kernels of runtime/ops/loss.h. Targets are in [0, classes) or `ignored`.
#pragma once

#include <cstdint>

#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

struct CrossEntropyForward {
  Elements logits;
  const std::int32_t* targets;
  std::int32_t ignored;
  float *loss, *log_sums;
  std::size_t rows, classes;
};
struct CrossEntropyGradient {
  const float* dloss;
  Elements logits;
  const std::int32_t* targets;
  std::int32_t ignored;
  const float* log_sums;
  Target dlogits;
  std::size_t rows, classes;
};

struct LossKernels {
  void (*cross_entropy)(Device&, const CrossEntropyForward&);
  void (*cross_entropy_gradient)(Device&, const CrossEntropyGradient&);
};

}  // namespace tranche::ops
