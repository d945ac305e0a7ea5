// What values a tensor takes, as ranges: for each scale of a grid, over one tensor or over many.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compress/range.h"

namespace tranche::compress {

// The least and the greatest value for each scale of the grid. Throws Exit::numerics at the first value that is not
// finite, naming `what` and the element.
std::vector<Range> min_max(std::span<const float> values, const ops::QuantizationGrid& grid, std::string_view what);

// Over many tensors: the widest of their ranges.
class MinMax {
 public:
  // In any order: the result is the same. As many ranges each time.
  void fold(std::span<const Range> seen);
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

// Over many tensors in their order: range += constant * (seen - range), as float32; the first is taken as it is.
class MovingAverage {
 public:
  explicit MovingAverage(float constant = 0.01f) : constant_(constant) {}
  void fold(std::span<const Range> seen);
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  float constant_;
  std::vector<Range> ranges_;
};

}  // namespace tranche::compress
