#include "compress/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/base/error.h"

namespace tranche::compress {

Histogram::Histogram(const Range& range, std::size_t bins) : range_(range), counts_(bins) {
  check(bins > 0, "a histogram needs bins");
  ensure(Exit::numerics, std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high,
         "a histogram over ", range.low, " to ", range.high, ": its range must be finite");
}

double Histogram::width() const {
  return (double{range_.high} - double{range_.low}) / static_cast<double>(counts_.size());
}

void Histogram::count(std::span<const float> values, std::string_view what) {
  const double step = width(), last = static_cast<double>(counts_.size() - 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double offset = double{values[i]} - double{range_.low};
    ensure(Exit::numerics, !std::isnan(offset), what, " has a NaN at element ", i, ": a histogram needs numbers");
    const double bin = step > 0 ? std::floor(offset / step) : 0;
    ++counts_[static_cast<std::size_t>(std::clamp(bin, 0.0, last))];
  }
}

void Histogram::add(std::span<const std::uint64_t> counts) {
  check(counts.size() == counts_.size(), "histograms of ", counts_.size(), " and ", counts.size(), " bins");
  for (std::size_t i = 0; i < counts.size(); ++i) counts_[i] += counts[i];
}

std::uint64_t Histogram::total() const { return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0}); }

}  // namespace tranche::compress
