// Kernels of runtime/ops/linear.h. All matrices of a call have one dtype.
#pragma once

#include "runtime/ops/activation.h"
#include "runtime/ops/kernels/elements.h"

namespace tranche {
class Device;
}

namespace tranche::ops {

// y = x weight^T + bias.  x: (rows, in), weight: (out, in), bias: (out) or none, y: (rows, out)
struct LinearForward {
  Elements x, weight, bias, y;
  std::size_t rows, in, out;
};
// The product's y, and its activation, which a backend may compute from what it rounded to y or from y.
struct LinearActivated {
  LinearForward product;
  Activation kind;
  Elements activated;  // (rows, out)
};
// dx = dy weight
struct LinearInputGradient {
  Elements dy, weight;
  Target dx;
  std::size_t rows, in, out;
};
// dweight = dy^T x
struct LinearWeightGradient {
  Elements dy, x;
  Target dweight;
  std::size_t rows, in, out;
};
// dbias = the sum of dy's rows, in row order
struct LinearBiasGradient {
  Elements dy;
  Target dbias;
  std::size_t rows, out;
};

struct LinearKernels {
  void (*forward)(Device&, const LinearForward&);
  void (*input_gradient)(Device&, const LinearInputGradient&);
  void (*weight_gradient)(Device&, const LinearWeightGradient&);
  void (*bias_gradient)(Device&, const LinearBiasGradient&);
  // Where a backend has both in one pass; none: it has not. False: nor has it for these, and nothing was done.
  bool (*activated)(Device&, const LinearActivated&) = nullptr;
};

}  // namespace tranche::ops
