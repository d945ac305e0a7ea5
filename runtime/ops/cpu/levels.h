// Rounding to integer levels, in float32.
#pragma once

#include "runtime/ops/cpu/vector.h"

namespace tranche::ops::TRANCHE_PATH {

// To the nearest integer, ties to even: above 2^23 a float has no fraction. |x| <= 2^22.
TRANCHE_INLINE float to_nearest(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

TRANCHE_INLINE float clamped(float x, float low, float high) {
  const float raised = x > low ? x : low;  // low where x is NaN
  return raised < high ? raised : high;
}

}  // namespace tranche::ops::TRANCHE_PATH
