// The loop that the paths' sums share. Machine gives:
//   Floats    sixteen float32
//   zero(), spread(places, values): each value in its place, 0 elsewhere
//   add(sums, weights, x): sums + weights * x, rounded twice; store(sums, to)
#pragma once

#include "runtime/ops/cpu/sparse_sums.h"

namespace tranche::ops::TRANCHE_PATH {

// Two blocks are two chains of sums: one waits for its last sum while the other adds.
template <class Machine, std::size_t blocks, std::size_t rows> void sums_of(const SparseSums& s) {
  typename Machine::Floats sums[blocks][rows];
  const float* values[blocks];
  for (std::size_t b = 0; b < blocks; ++b) {
    values[b] = s.values[b];
    for (std::size_t r = 0; r < rows; ++r) sums[b][r] = Machine::zero();
  }
  for (std::size_t k = 0; k < s.cols; ++k) {
    typename Machine::Floats weights[blocks];
    for (std::size_t b = 0; b < blocks; ++b) {
      const unsigned places = s.places[b][k];
      weights[b] = Machine::spread(places, values[b]);
      values[b] += __builtin_popcount(places);
    }
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t b = 0; b < blocks; ++b) Machine::add(sums[b][r], weights[b], s.x[r * s.stride + k]);
  }
  for (std::size_t b = 0; b < blocks; ++b)
    for (std::size_t r = 0; r < rows; ++r) Machine::store(sums[b][r], s.sums + 16 * (b * rows + r));
}

template <class Machine, std::size_t blocks> TRANCHE_INLINE void sums_of_blocks(const SparseSums& s) {
  switch (s.rows) {
    case 1: return sums_of<Machine, blocks, 1>(s);
    case 2: return sums_of<Machine, blocks, 2>(s);
    case 3: return sums_of<Machine, blocks, 3>(s);
    default: return sums_of<Machine, blocks, 4>(s);
  }
}

template <class Machine> TRANCHE_INLINE void sparse_sums_of(const SparseSums& s) {
  return s.blocks == 1 ? sums_of_blocks<Machine, 1>(s) : sums_of_blocks<Machine, 2>(s);
}

}  // namespace tranche::ops::TRANCHE_PATH
