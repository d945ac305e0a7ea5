// Which part of a histogram's range to keep.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/histogram.h"
#include "runtime/base/error.h"

namespace tranche::compress {
namespace {

// Bins first .. last, both included, of a histogram.
Range bins_of(const Histogram& histogram, std::size_t first, std::size_t last) {
  const double low = histogram.range().low, width = histogram.width();
  const std::size_t end = last + 1;
  return {first == 0 ? histogram.range().low : static_cast<float>(low + width * static_cast<double>(first)),
          end == histogram.counts().size() ? histogram.range().high
                                           : static_cast<float>(low + width * static_cast<double>(end))};
}

void check_filled(const Histogram& histogram, const char* what) {
  ensure(Exit::data, histogram.total() > 0, what, ": nothing was counted: calibrate with at least one token");
}

// The integral of density * x^2 from begin to end.
double squares(double begin, double end, double density) {
  return density * (end * end * end - begin * begin * begin) / 3;
}

// The squared error of `levels` levels over bins first .. last. A source bin may begin in one level and end in another;
// whole levels between them cost the same each.
double squared_error(const Histogram& histogram, std::size_t first, std::size_t last, std::size_t levels) {
  const double width = histogram.width();
  const double level_width = width * static_cast<double>(last - first + 1) / static_cast<double>(levels);
  if (level_width == 0) return 0;
  const double half = level_width / 2, highest = static_cast<double>(levels - 1);
  const auto level_at = [&](double x) { return std::clamp(std::floor(x / level_width), 0.0, highest); };
  double sum = 0;
  for (std::size_t bin = 0; bin < histogram.counts().size(); ++bin) {
    if (histogram.counts()[bin] == 0) continue;
    const double density = static_cast<double>(histogram.counts()[bin]) / width;
    const double begin = (static_cast<double>(bin) - static_cast<double>(first)) * width, end = begin + width;
    const double level_of_begin = level_at(begin), level_of_end = level_at(end);
    sum += squares(begin - (level_of_begin + 0.5) * level_width, half, density);
    sum += (level_of_end - level_of_begin - 1) * squares(-half, half, density);
    sum += squares(-half, end - (level_of_end + 0.5) * level_width, density);
  }
  return sum;
}

// sums[i]: counts of bins 0 .. i.
std::vector<double> running_sums(const std::vector<std::uint64_t>& counts) {
  std::vector<double> sums(counts.size());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) sums[i] = static_cast<double>(sum += counts[i]);
  return sums;
}

// Counts of |x| in as many bins from 0 to the farther end; a bin counts where its centre lies.
std::vector<double> magnitudes_of(const Histogram& histogram, double farthest) {
  const std::size_t bins = histogram.counts().size();
  std::vector<double> magnitudes(bins);
  for (std::size_t i = 0; i < bins; ++i) {
    const double centre = histogram.range().low + (static_cast<double>(i) + 0.5) * histogram.width();
    const double bin = std::floor(std::fabs(centre) / farthest * static_cast<double>(bins));
    magnitudes[std::min(static_cast<std::size_t>(bin), bins - 1)] += static_cast<double>(histogram.counts()[i]);
  }
  return magnitudes;
}

// KL(P || Q): P is the first `kept` magnitudes with all beyond them added to the last, Q the same bins given `levels`
// levels, each spread over those of its bins that hold something. Infinite where Q misses what P has.
double divergence(const std::vector<double>& magnitudes, std::size_t kept, std::size_t levels, double beyond) {
  double total = beyond, inside = 0;
  for (std::size_t i = 0; i < kept; ++i) inside += magnitudes[i];
  total += inside;
  if (inside == 0) return std::numeric_limits<double>::infinity();
  double sum = 0;
  for (std::size_t level = 0; level < levels; ++level) {
    const std::size_t begin = level * kept / levels, end = (level + 1) * kept / levels;
    double in_level = 0, filled = 0;
    for (std::size_t i = begin; i < end; ++i) {
      in_level += magnitudes[i];
      filled += magnitudes[i] > 0 ? 1 : 0;
    }
    for (std::size_t i = begin; i < end; ++i) {
      const double p = magnitudes[i] + (i + 1 == kept ? beyond : 0.0);
      if (p == 0) continue;
      if (magnitudes[i] == 0) return std::numeric_limits<double>::infinity();
      sum += p / total * std::log(p / total / (in_level / filled / inside));
    }
  }
  return sum;
}

}  // namespace

Range percentile_range(const Histogram& histogram, double percent) {
  ensure(Exit::usage, percent > 0 && percent <= 100, "a percentile of ", percent, ": expected above 0, at most 100");
  check_filled(histogram, "percentile");
  const std::vector<double> sums = running_sums(histogram.counts());
  const double tail = sums.back() * (100 - percent) / 200;
  std::size_t first = 0, last = sums.size() - 1;
  while (first < last && sums[first] <= tail) ++first;
  while (last > first && sums.back() - sums[last - 1] <= tail) --last;
  return bins_of(histogram, first, last);
}

Range least_squares_range(const Histogram& histogram, std::size_t levels) {
  check(levels >= 2, "least squares over ", levels, " levels");
  check_filled(histogram, "least squares");
  constexpr double step = 1e-5;  // of the values that the next cut may leave out
  const std::vector<double> sums = running_sums(histogram.counts());
  const double total = sums.back();
  std::size_t first = 0, last = sums.size() - 1;
  double below = 0, above = 1, least = std::numeric_limits<double>::infinity();
  while (below < above) {
    const double next_below = below + step, next_above = above - step;
    std::size_t left = first, right = last;
    while (left < last && sums[left] < next_below * total) ++left;
    while (right > first && sums[right] > next_above * total) --right;
    std::size_t next_first = first, next_last = last;
    if (left - first > last - right) {
      next_first = left;
      below = next_below;
    } else {
      next_last = right;
      above = next_above;
    }
    if (next_first == first && next_last == last) continue;
    const double error = squared_error(histogram, next_first, next_last, levels);
    if (error > least) break;
    least = error;
    first = next_first;
    last = next_last;
  }
  return bins_of(histogram, first, last);
}

Range kl_range(const Histogram& histogram, std::size_t levels) {
  const std::size_t bins = histogram.counts().size();
  check(levels >= 2 && levels <= bins / 2, "KL: ", levels, " levels of ", bins, " bins");
  check_filled(histogram, "KL");
  const double farthest = std::max(std::fabs(double{histogram.range().low}), std::fabs(double{histogram.range().high}));
  if (farthest == 0) return {};
  const std::vector<double> magnitudes = magnitudes_of(histogram, farthest);
  double beyond = static_cast<double>(histogram.total()), least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < levels; ++i) beyond -= magnitudes[i];
  std::size_t best = bins;
  for (std::size_t kept = levels; kept <= bins; ++kept) {
    if (kept > levels) beyond -= magnitudes[kept - 1];
    const double d = divergence(magnitudes, kept, levels, beyond);
    if (d < least) {
      least = d;
      best = kept;
    }
  }
  const auto threshold = static_cast<float>(farthest * static_cast<double>(best) / static_cast<double>(bins));
  return {-threshold, threshold};
}

}  // namespace tranche::compress
