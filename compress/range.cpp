#include "compress/range.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/error.h"

namespace tranche::compress {

ScaleAndZero scale_of(const Range& range, Symmetry symmetry, ops::Levels levels, std::string_view what) {
  ensure(Exit::numerics, std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high,
         "the range of ", what, " is ", range.low, " to ", range.high,
         ": its values are not finite; look for what made them so before quantizing");
  constexpr float smallest = 0x1p-23f;
  const auto steps = static_cast<float>(levels.high - levels.low);
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  if (symmetry == Symmetry::symmetric) {
    const float scale = std::max(std::max(-low, high) / (steps / 2), smallest);
    return {scale, (levels.low + levels.high + 1) / 2};
  }
  // Halves first, so that the span of two finite ends is finite.
  const float scale = std::max((high / 2 - low / 2) / steps * 2, smallest);
  const float zero = static_cast<float>(levels.low) - std::nearbyint(low / scale);
  return {scale,
          static_cast<std::int32_t>(std::clamp(zero, static_cast<float>(levels.low), static_cast<float>(levels.high)))};
}

}  // namespace tranche::compress
