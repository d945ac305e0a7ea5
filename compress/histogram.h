// How often values occur, in integer counts over a known range: counts of parts, added in any order, are the counts of
// the whole. Calibration goes over its data twice, for the range and then for the counts, and so gives the same result
// on any number of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "compress/range.h"

namespace tranche::compress {

class Histogram {
 public:
  // Equal bins between the ends of the range, the upper end in the last. Throws Exit::numerics where the range is not
  // finite.
  explicit Histogram(const Range& range, std::size_t bins = 2048);

  // Values beyond the range count in the outer bins. Throws Exit::numerics at a NaN.
  void count(std::span<const float> values, std::string_view what);
  void add(std::span<const std::uint64_t> counts);  // another part's

  const Range& range() const { return range_; }
  const std::vector<std::uint64_t>& counts() const { return counts_; }
  std::uint64_t total() const;
  double width() const;  // of a bin

 private:
  Range range_;
  std::vector<std::uint64_t> counts_;
};

// Which part of a histogram's range the integer levels should span. What lies outside is clamped to the ends.

// Of which (100 - percent) / 2 percent of the values lie on either side, to the next bin outwards. 0 < percent <= 100.
Range percentile_range(const Histogram& histogram, double percent);

// Narrowed from the outside, quantile by quantile, as long as that lowers the squared error of `levels` equal levels,
// each bin's values being spread evenly over it: PyTorch's HistogramObserver, after Caffe2's norm minimisation.
Range least_squares_range(const Histogram& histogram, std::size_t levels = 256);

// -t .. t with the threshold t for which the magnitudes, clamped at t and given `levels` levels, are closest to the
// clamped magnitudes in Kullback and Leibler's divergence (Migacz, "8-bit inference with TensorRT", GTC 2017).
// levels: of magnitudes; at most half of the bins, at least 2.
Range kl_range(const Histogram& histogram, std::size_t levels = 128);

}  // namespace tranche::compress
