#include "runtime/ops/cpu/rotary_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/ops/functors/rotary.h"

namespace tranche::ops {
namespace {

std::vector<float> make_table(float theta, std::size_t head_width, std::size_t positions) {
  const std::size_t half = head_width / 2;
  const double ratio = functors::rotary_ratio(theta, head_width);
  std::vector<float> table(positions * head_width);
  for (std::size_t position = 0; position < positions; ++position) {
    for (std::size_t c = 0; c < half; ++c) {
      const functors::Angle angle = functors::rotary_angle(ratio, c, position);
      table[position * head_width + c] = angle.cosine;
      table[position * head_width + half + c] = angle.sine;
    }
  }
  return table;
}

}  // namespace

double functors::rotary_ratio(float theta, std::size_t head_width) {
  return std::pow(static_cast<double>(theta), -2 / static_cast<double>(head_width));
}

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
