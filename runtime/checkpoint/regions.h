// Where ranges of flat layouts lie: in tensors, and in boxes of tensors.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/base/shape.h"
#include "runtime/checkpoint/state.h"
#include "runtime/hdf5/file.h"

namespace tranche::checkpoint {

// Elements first .. first + count of tensor `tensor`; `in_range` is where they begin in the range that was asked for.
struct TensorRange {
  const StateTensor* tensor = nullptr;
  std::size_t first = 0, count = 0, in_range = 0;
};

// The tensors' parts that elements first .. first + count of the unit's flat layout are; what lies beyond is left out.
std::vector<TensorRange> tensors_of_range(const UnitLayout& unit, std::size_t first, std::size_t count);

// Elements first .. first + count of a row-major array as boxes, in that order: a piece of a row, whole rows, a piece
// of a row, and so on outwards; at most 2 x dimensions - 1. A shape without dimensions counts as [1].
std::vector<hdf5::Box> boxes_of_range(const Shape& shape, std::size_t first, std::size_t count);

hdf5::Extent extent_of(const Shape& shape);  // [1] for a shape without dimensions

}  // namespace tranche::checkpoint
