// Values as columns of block characters.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tranche {

struct Chart {
  std::vector<std::string> rows;  // the uppermost first, all of as many columns
  double low = 0, high = 0;       // of what the columns show; NaN where nothing is finite
};

// At most `width` columns, each for a stretch of values of equal length: the mean of what is finite in it. The lowest
// column has one eighth of a row, the highest fills all `height` rows. '!' at the bottom: nothing is finite there.
Chart chart_of(std::span<const double> values, std::size_t width, std::size_t height);

// `share` (0 to 1) of `width` columns, to an eighth of one; the rest is spaces.
std::string bar_of(double share, std::size_t width);

}  // namespace tranche
