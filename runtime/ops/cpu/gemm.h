// One matrix product on one thread, by oneDNN. Compiled once, whatever the instruction path: oneDNN has its own
// kernels, and gemm.cpp limits it to those of the path in use.
#pragma once

#include <cstddef>

#include "runtime/base/dtype.h"

namespace tranche::ops {

// Row-major, `stride` elements from one stored row to the next. A transposed operand is stored the other way round.
template <class T> struct Operand {
  const T* data;
  std::size_t stride;
  bool transposed;
};

// c = a b, or c += a b.  a: (m, k), b: (k, n), c: (m, n) with `stride` elements from row to row.
// The sum over k goes in an order that depends on the arguments' sizes alone. k may be 0; m and n are at least 1.
struct Product {
  std::size_t m, n, k;
  float* c;
  std::size_t stride;
  bool add;
};
void multiply(const Operand<float>& a, const Operand<float>& b, const Product& product);
// Pairs of bfloat16 products are summed by the processor's own instructions, which take denormals for zero.
// Only where has_bfloat16_products().
void multiply(const Operand<bfloat16>& a, const Operand<bfloat16>& b, const Product& product);

// Of the instruction path in use:
bool has_bfloat16_products();
std::size_t most_rows();  // that a tile of a larger product should have
// Whether a float32 product of this size reads its operands where they lie, over and over. Rows that are a multiple of
// a page apart then push one another out of the cache: copy them to where they are not.
bool reads_in_place(std::size_t m, std::size_t n);

}  // namespace tranche::ops
