// Kernels of runtime/ops/distillation.h. Targets are in [0, classes) or `ignored`.
#pragma once

#include "runtime/ops/distillation.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche::ops {

struct DistillationForward {
  Elements logits, teacher;
  const std::int32_t* targets;
  std::int32_t ignored;
  DistillationTerms terms;
  float *loss, *statistics;
  std::size_t rows, classes;
};
struct DistillationGradient {
  const float* dloss;
  Elements logits, teacher;
  const std::int32_t* targets;
  std::int32_t ignored;
  DistillationTerms terms;
  const float* statistics;
  Target dlogits;
  std::size_t rows, classes;
};

struct DistillationKernels {
  void (*forward)(Device&, const DistillationForward&);
  void (*gradient)(Device&, const DistillationGradient&);
};

}  // namespace tranche::ops
