// Sums of products with weights without their zeros: the inside of runtime/ops/sparse_linear.h, which says in which
// order. cpu/paths/sparse_sums_*.cpp, one for each path.
#pragma once

#include "runtime/ops/cpu/vector.h"

namespace tranche::ops::TRANCHE_PATH {

inline constexpr std::size_t most_sparse_rows = 4, most_sparse_blocks = 2;

// sums[b, r, o] = x[r, 0] w[b, 0, o] + x[r, 1] w[b, 1, o] + ..., for up to so many blocks of the weight and rows of x.
struct SparseSums {
  const float* x;
  std::size_t stride, rows, cols, blocks;
  const std::uint16_t* places[most_sparse_blocks];  // (cols) each
  const float* values[most_sparse_blocks];          // 16 more than there are can be read
  float* sums;                                      // (blocks, rows, 16)
};
void sparse_sums(const SparseSums& sums);

}  // namespace tranche::ops::TRANCHE_PATH
