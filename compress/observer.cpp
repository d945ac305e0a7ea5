#include "compress/observer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/base/error.h"

namespace tranche::compress {

std::vector<Range> min_max(std::span<const float> values, const ops::QuantizationGrid& grid, std::string_view what) {
  check(values.size() == grid.rows * grid.cols, "min_max: ", what, " has ", values.size(), " values for a grid of ",
        grid.rows, " x ", grid.cols);
  std::vector<Range> ranges;
  ranges.reserve(grid.parameters());
  for (std::size_t row = 0; row < grid.rows; ++row) {
    for (std::size_t first = 0; first < grid.cols; first += grid.group) {
      const std::span<const float> group =
          values.subspan(row * grid.cols + first, std::min(grid.group, grid.cols - first));
      Range range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
      for (std::size_t i = 0; i < group.size(); ++i) {
        ensure(Exit::numerics, std::isfinite(group[i]), what, "[", row, ", ", first + i, "] is ", group[i],
               ": a range needs finite values");
        range = {std::min(range.low, group[i]), std::max(range.high, group[i])};
      }
      ranges.push_back(range);
    }
  }
  return ranges;
}

void MinMax::fold(std::span<const Range> seen) {
  if (ranges_.empty()) ranges_.assign(seen.begin(), seen.end());
  check(ranges_.size() == seen.size(), "MinMax: ", seen.size(), " ranges, then ", ranges_.size());
  for (std::size_t i = 0; i < seen.size(); ++i)
    ranges_[i] = {std::min(ranges_[i].low, seen[i].low), std::max(ranges_[i].high, seen[i].high)};
}

void MovingAverage::fold(std::span<const Range> seen) {
  if (ranges_.empty()) ranges_.assign(seen.begin(), seen.end());
  check(ranges_.size() == seen.size(), "MovingAverage: ", seen.size(), " ranges, then ", ranges_.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    ranges_[i].low += constant_ * (seen[i].low - ranges_[i].low);
    ranges_[i].high += constant_ * (seen[i].high - ranges_[i].high);
  }
}

}  // namespace tranche::compress
