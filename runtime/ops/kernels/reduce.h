// Kernels of runtime/ops/reduce.h.
#pragma once

#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

struct ScaleAndSumSquares {
  float* gradient;
  float factor;
  double* partials;  // in the host's memory
  std::size_t blocks;
};
struct FirstNonFinite {
  Elements x;
  std::size_t size;
};

struct ReduceKernels {
  void (*scale_and_sum_squares)(Device&, const ScaleAndSumSquares&);
  std::size_t (*first_non_finite)(Device&, const FirstNonFinite&);  // size if there is none
};

}  // namespace tranche::ops
