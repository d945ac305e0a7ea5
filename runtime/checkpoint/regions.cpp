#include "runtime/checkpoint/regions.h"

#include <algorithm>

namespace tranche::checkpoint {
namespace {

// Appends the boxes of the range within the array that remains from dimension `d` on; outer coordinates are in `at`.
void add_boxes(const hdf5::Extent& extent, std::size_t d, hdf5::Extent& at, std::size_t first, std::size_t count,
               std::vector<hdf5::Box>& boxes) {
  if (count == 0) return;
  std::size_t row = 1;  // elements of one step in dimension d
  for (std::size_t inner = d + 1; inner < extent.size(); ++inner) row *= extent[inner];
  const auto descend = [&](std::size_t index, std::size_t begin, std::size_t elements) {
    at[d] = index;
    add_boxes(extent, d + 1, at, begin, elements, boxes);
    at[d] = 0;
  };
  if (const std::size_t begin = first % row; begin != 0) {  // a piece of the first row
    const std::size_t piece = std::min(count, row - begin);
    descend(first / row, begin, piece);
    first += piece;
    count -= piece;
  }
  if (const std::size_t whole = count / row; whole != 0) {
    hdf5::Box box{at, hdf5::Extent(extent.size(), 1)};
    box.first[d] = first / row;
    box.count[d] = whole;
    for (std::size_t inner = d + 1; inner < extent.size(); ++inner) box.count[inner] = extent[inner];
    boxes.push_back(std::move(box));
    first += whole * row;
    count -= whole * row;
  }
  if (count != 0) descend(first / row, 0, count);  // a piece of the last row
}

}  // namespace

std::vector<TensorRange> tensors_of_range(const UnitLayout& unit, std::size_t first, std::size_t count) {
  std::vector<TensorRange> ranges;
  std::size_t offset = 0;
  for (const StateTensor& tensor : unit.tensors) {
    const std::size_t end = offset + tensor.shape.size();
    const std::size_t begin = std::max(first, offset), stop = std::min(first + count, end);
    if (begin < stop) ranges.push_back({&tensor, begin - offset, stop - begin, begin - first});
    offset = end;
  }
  return ranges;
}

hdf5::Extent extent_of(const Shape& shape) {
  return shape.dimensions() == 0 ? hdf5::Extent{1} : hdf5::Extent{shape.sizes().begin(), shape.sizes().end()};
}

std::vector<hdf5::Box> boxes_of_range(const Shape& shape, std::size_t first, std::size_t count) {
  const hdf5::Extent extent = extent_of(shape);
  hdf5::Extent at(extent.size(), 0);
  std::vector<hdf5::Box> boxes;
  add_boxes(extent, 0, at, first, count, boxes);
  return boxes;
}

}  // namespace tranche::checkpoint
