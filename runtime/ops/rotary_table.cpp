#include "runtime/ops/cpu/rotary_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace tranche::ops {
namespace {

std::vector<float> make_table(float theta, std::size_t head_width, std::size_t positions) {
  const std::size_t half = head_width / 2;
  std::vector<double> frequencies(half);
  for (std::size_t c = 0; c < half; ++c)
    frequencies[c] =
        std::pow(static_cast<double>(theta), -2 * static_cast<double>(c) / static_cast<double>(head_width));
  std::vector<float> table(positions * head_width);
  for (std::size_t position = 0; position < positions; ++position) {
    for (std::size_t c = 0; c < half; ++c) {
      const double angle = static_cast<double>(position) * frequencies[c];
      table[position * head_width + c] = static_cast<float>(std::cos(angle));
      table[position * head_width + half + c] = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

}  // namespace

const float* rotary_table(float theta, std::size_t head_width, std::size_t positions) {
  static std::mutex mutex;
  // Every length that was ever asked for stays, because someone may be reading it; they at least double, so all of them
  // are at most twice the longest.
  static std::map<std::pair<float, std::size_t>, std::vector<std::vector<float>>> tables;
  const std::lock_guard lock{mutex};
  std::vector<std::vector<float>>& lengths = tables[{theta, head_width}];
  const std::size_t longest = lengths.empty() ? 0 : lengths.back().size() / head_width;
  if (lengths.empty() || longest < positions)
    lengths.push_back(make_table(theta, head_width, std::max(positions, 2 * longest)));
  return lengths.back().data();
}

}  // namespace tranche::ops
