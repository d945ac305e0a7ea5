// Kernels of runtime/ops/reduce.h.
#pragma once

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/reduce.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

struct ScaleAndSumSquares {
  float* gradient;
  float factor;
  double* partials;
  std::size_t blocks;
};
struct AddInOrder {
  double sum;
  Rows rows;
};
struct FirstNonFinite {
  Elements x;
  std::size_t size;
};

struct ReduceKernels {
  void (*scale_and_sum_squares)(Device&, const ScaleAndSumSquares&);
  double (*add_in_order)(Device&, const AddInOrder&);
  std::size_t (*first_non_finite)(Device&, const FirstNonFinite&);  // size if there is none
};

}  // namespace tranche::ops
