#include "launcher/top/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tranche {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr const char* eighths_up[]{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr const char* eighths_across[]{" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

// Of the finite ones; NaN if there is none.
double mean(std::span<const double> values) {
  double sum = 0, count = 0;
  for (const double value : values)
    if (std::isfinite(value)) {
      sum += value;
      ++count;
    }
  return count == 0 ? none : sum / count;
}

}  // namespace

Chart chart_of(std::span<const double> values, std::size_t width, std::size_t height) {
  const std::size_t columns = std::min(width, values.size());
  std::vector<double> means;
  Chart chart{.rows = std::vector<std::string>(height), .low = none, .high = none};
  for (std::size_t c = 0; c < columns; ++c) {
    const std::size_t begin = c * values.size() / columns, end = (c + 1) * values.size() / columns;
    means.push_back(mean(values.subspan(begin, end - begin)));
    chart.low = std::fmin(chart.low, means.back());  // of a number and NaN: the number
    chart.high = std::fmax(chart.high, means.back());
  }
  const std::size_t levels = 8 * height;
  for (const double value : means) {
    const double share = chart.high > chart.low ? (value - chart.low) / (chart.high - chart.low) : 0.5;
    const std::size_t level =
        std::isnan(value) ? 0 : 1 + static_cast<std::size_t>(std::lround(share * static_cast<double>(levels - 1)));
    for (std::size_t row = 0; row < height; ++row) {
      const std::size_t below = 8 * (height - 1 - row);  // levels under this row
      const bool missing = std::isnan(value) && below == 0;
      chart.rows[row] += missing ? "!" : eighths_up[std::min<std::size_t>(8, level > below ? level - below : 0)];
    }
  }
  return chart;
}

std::string bar_of(double share, std::size_t width) {
  const double kept = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0.0;
  const auto eighths = static_cast<std::size_t>(std::lround(kept * 8 * static_cast<double>(width)));
  std::string bar;
  for (std::size_t c = 0; c < width; ++c)
    bar += eighths_across[eighths > 8 * c ? std::min<std::size_t>(8, eighths - 8 * c) : 0];
  return bar;
}

}  // namespace tranche
