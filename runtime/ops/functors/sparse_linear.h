// Of weights without their zeros (runtime/ops/sparse_linear.h): what every backend says alike.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/ops/functors/functor.h"
#include "runtime/ops/sparse_linear.h"

namespace tranche::ops::functors {

// Rows that a block has.
TRANCHE_FUNCTOR std::size_t rows_of_block(const SparseShape& shape, std::size_t block) {
  const std::size_t left = shape.out - block * SparseShape::block;
  return left < SparseShape::block ? left : SparseShape::block;
}

// Which of a block's rows have a value in a column.  dense: (out, in)
TRANCHE_FUNCTOR std::uint16_t places_of(const SparseShape& shape, const float* dense, std::size_t block,
                                        std::size_t col) {
  const float* first = dense + block * SparseShape::block * shape.in + col;
  unsigned places = 0;
  for (std::size_t row = 0; row < rows_of_block(shape, block); ++row)
    places |= (std::bit_cast<std::uint32_t>(first[row * shape.in]) != 0 ? 1u : 0u) << row;
  return static_cast<std::uint16_t>(places);
}

TRANCHE_FUNCTOR unsigned count_of(unsigned places) { return static_cast<unsigned>(__builtin_popcount(places)); }
TRANCHE_FUNCTOR bool has(unsigned places, std::size_t row) { return (places >> row & 1u) != 0; }
// How many values of the column lie before that of a row.
TRANCHE_FUNCTOR unsigned count_before(unsigned places, std::size_t row) { return count_of(places & ((1u << row) - 1)); }

}  // namespace tranche::ops::functors
