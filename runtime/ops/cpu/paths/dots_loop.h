// The loop that the paths' dots share. Machine gives:
//   Weights   64 bytes as int8: 16 outputs of 4 columns, in whatever form it multiplies
//   Sums      16 outputs' int32
//   load(from), load_halves(from, lower, upper): of int8; of int4, whose values become 16 times as large
//   zero(), add(sums, weights, x): x are 4 bytes, one of each column; store(sums, to)
#pragma once

#include "runtime/ops/cpu/dots.h"

namespace tranche::ops::TRANCHE_PATH {

template <class Machine, std::size_t rows> void int8_rows(const Dots& d) {
  typename Machine::Sums sums[rows];
  for (std::size_t r = 0; r < rows; ++r) sums[r] = Machine::zero();
  for (std::size_t quad = 0; quad < d.quads; ++quad) {
    const typename Machine::Weights weights = Machine::load(d.weights + 64 * quad);
    for (std::size_t r = 0; r < rows; ++r) Machine::add(sums[r], weights, d.x + r * d.stride + 4 * quad);
  }
  for (std::size_t r = 0; r < rows; ++r) Machine::store(sums[r], d.sums + 16 * r);
}

template <class Machine, std::size_t rows> void int4_rows(const Dots& d) {
  typename Machine::Sums sums[rows];
  for (std::size_t r = 0; r < rows; ++r) sums[r] = Machine::zero();
  for (std::size_t quad = 0; quad < d.quads; quad += 2) {
    typename Machine::Weights lower, upper;
    Machine::load_halves(d.weights + 32 * quad, lower, upper);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::uint8_t* x = d.x + r * d.stride + 4 * quad;
      Machine::add(sums[r], lower, x);
      Machine::add(sums[r], upper, x + 4);
    }
  }
  for (std::size_t r = 0; r < rows; ++r) Machine::store(sums[r], d.sums + 16 * r);
}

template <class Machine> TRANCHE_INLINE void int8_dots(const Dots& d) {
  switch (d.rows) {
    case 1: return int8_rows<Machine, 1>(d);
    case 2: return int8_rows<Machine, 2>(d);
    case 3: return int8_rows<Machine, 3>(d);
    default: return int8_rows<Machine, 4>(d);
  }
}
template <class Machine> TRANCHE_INLINE void int4_dots(const Dots& d) {
  switch (d.rows) {
    case 1: return int4_rows<Machine, 1>(d);
    case 2: return int4_rows<Machine, 2>(d);
    case 3: return int4_rows<Machine, 3>(d);
    default: return int4_rows<Machine, 4>(d);
  }
}

}  // namespace tranche::ops::TRANCHE_PATH
