// The loop that the paths' dots share. Machine gives:
//   Weights   64 bytes as int8: 16 outputs of 4 columns, in whatever form it multiplies
//   Sums      16 outputs' int32
//   load(from, weights): one of int8; two of int4, whose values become 16 times as large; four of int2, 64 times
//   zero(), add(sums, weights, x): x are 4 bytes, one of each column; store(sums, to)
#pragma once

#include "runtime/ops/cpu/dots.h"

namespace tranche::ops::TRANCHE_PATH {

// Weights of 8 / parts bits.
template <class Machine, std::size_t parts, std::size_t rows> void dots_of_rows(const Dots& d) {
  typename Machine::Sums sums[rows];
  for (std::size_t r = 0; r < rows; ++r) sums[r] = Machine::zero();
  for (std::size_t quad = 0; quad < d.quads; quad += parts) {
    typename Machine::Weights weights[parts];
    Machine::load(d.weights + 64 / parts * quad, weights);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t part = 0; part < parts; ++part)
        Machine::add(sums[r], weights[part], d.x + r * d.stride + 4 * (quad + part));
  }
  for (std::size_t r = 0; r < rows; ++r) Machine::store(sums[r], d.sums + 16 * r);
}

// work.template operator()<rows>(), the number of rows known when it is compiled.
template <class Work> TRANCHE_INLINE void for_rows(std::size_t rows, const Work& work) {
  switch (rows) {
    case 1: return work.template operator()<1>();
    case 2: return work.template operator()<2>();
    case 3: return work.template operator()<3>();
    default: return work.template operator()<most_dot_rows>();
  }
}

template <class Machine, std::size_t parts> TRANCHE_INLINE void dots_of(const Dots& d) {
  for_rows(d.rows, [&]<std::size_t rows>() { dots_of_rows<Machine, parts, rows>(d); });
}

}  // namespace tranche::ops::TRANCHE_PATH
