// Kernels of runtime/ops/sign_linear.h.
#pragma once

#include "runtime/ops/kernels/elements.h"
#include "runtime/ops/sign_linear.h"

namespace tranche::ops {

// Where rows of signs lie.
struct SignElements {
  std::uint64_t* bits;  // (rows, sign_words(cols))
  float* scales;        // (rows)
  std::size_t rows, cols;
};

struct TakeSigns {
  const float* x;
  SignElements signs;
  SignScale scale;
};
struct SignProduct {
  SignElements x, weight;
  const float* bias;
  float* y;
};

struct SignKernels {
  void (*take)(Device&, const TakeSigns&);
  void (*product)(Device&, const SignProduct&);
};

}  // namespace tranche::ops
