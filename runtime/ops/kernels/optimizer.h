// Kernels of runtime/ops/optimizer.h. `working` is none, bfloat16 or float16; all else float32. Sums are the CPU's.
#pragma once

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/optimizer.h"

namespace tranche::ops {

struct AdamUpdate {
  AdamStep step;
  float *weights, *mean, *square;
  const float* gradient;
  Elements working;
  std::size_t size;
  PassedSums sums{};
};
// No buffer: no momentum.
struct SgdUpdate {
  SgdStep step;
  float *weights, *buffer;
  const float* gradient;
  Elements working;
  std::size_t size;
  PassedSums sums{};
};

struct OptimizerKernels {
  void (*adam)(Device&, const AdamUpdate&);
  void (*sgd)(Device&, const SgdUpdate&);
};

}  // namespace tranche::ops
