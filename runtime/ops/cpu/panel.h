// Small products of matrices that lie in a core's own cache: the inside of attention.
#pragma once

#include "runtime/ops/cpu/vector.h"

namespace tranche::ops::TRANCHE_PATH {

// a: (rows, inner), element (r, k) at data[r * row + k * inner]: read one by one, so any order will do
struct Scalars {
  const float* data;
  std::size_t row, inner;
};
// (rows, cols), `stride` from row to row; cols is a multiple of `lanes`.
struct Rows {
  float* data;
  std::size_t stride;
};

// c += a b.  a: (rows, inner), b: (inner, cols), c: (rows, cols). Each element is one chain of fused multiply-adds in
// the order of `inner` (plain: a product and a sum, rounded each), whatever the sizes around it.
void add_product(std::size_t rows, std::size_t cols, std::size_t inner, Scalars a, Rows b, Rows c);

}  // namespace tranche::ops::TRANCHE_PATH
