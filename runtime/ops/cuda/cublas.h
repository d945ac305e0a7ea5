// Products by cuBLASLt: float32 accumulators, an algorithm chosen once for each shape, no atomics.
#pragma once

#include <cublasLt.h>

#include <cstddef>

#include "runtime/base/dtype.h"

namespace tranche::ops::cuda {

// d = op(a) op(b) + bias, or d += op(a) op(b), each element rounded once. In cuBLAS's order, columns one after another:
// op(a): (m, k), op(b): (k, n), d: (m, n), bias: (m) or null. What is not transposed has as many rows as op() says.
// With `before`, (m, n), the sum is rounded to that, and d is its GELU, in the tanh form, of the sum before it was
// rounded; not with `adds`. All of one dtype.
struct BlasProduct {
  DType dtype;
  bool transposes_a, transposes_b, adds;
  std::size_t m, n, k;
  const void *a, *b, *bias;
  void* d;
  void* before = nullptr;
};

// On the stream, in its order. False: cuBLASLt has no algorithm for it (it asks for no workspace), and nothing was
// done. The choice depends on shapes, on the alignment of the operands and on the GPU alone.
bool multiply(const BlasProduct& product, cudaStream_t stream);

}  // namespace tranche::ops::cuda
