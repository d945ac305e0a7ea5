// From a range of real numbers to the scale and zero of integer levels.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/ops/quantize.h"

namespace tranche::compress {

// low <= high; both finite once something was seen.
struct Range {
  float low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

// symmetric: zero stands in the middle of the levels, and the scale covers the farther end. affine: the levels span the
// range, which is widened to contain 0, because 0 (padding, a rectified value) must be exact.
enum class Symmetry : std::uint8_t { symmetric, affine };

struct ScaleAndZero {
  float scale = 1;
  std::int32_t zero = 0;
  bool operator==(const ScaleAndZero&) const = default;
};

// real = scale * (q - zero). The smallest scale is 2^-23: a range of nothing but zeros needs some.
// Throws Exit::numerics if the range is not finite or its ends are exchanged; `what` names it.
ScaleAndZero scale_of(const Range& range, Symmetry symmetry, ops::Levels levels, std::string_view what);

}  // namespace tranche::compress
