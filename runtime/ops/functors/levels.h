// Rounding to integer levels, in float32.
#pragma once

#include "runtime/ops/functors/functor.h"

namespace tranche::ops::functors {

TRANCHE_FUNCTOR float larger(float a, float b) { return a > b ? a : b; }  // b where a is NaN

// To the nearest integer, ties to even: above 2^23 a float has no fraction. |x| <= 2^22.
TRANCHE_FUNCTOR float to_nearest(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

TRANCHE_FUNCTOR float clamped(float x, float low, float high) {
  const float raised = x > low ? x : low;  // low where x is NaN
  return raised < high ? raised : high;
}

// Of a row's or a group's values. Block is what computes them together: sum(n, f), max(n, f).
template <class Block, class T> TRANCHE_FUNCTOR float greatest(const Block& block, const T* x, std::size_t count) {
  return block.max(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(x[i]); });
}
template <class Block, class T> TRANCHE_FUNCTOR float least(const Block& block, const T* x, std::size_t count) {
  return -block.max(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return -to_float(x[i]); });
}
// 0, or NaN if a value is not finite: a maximum passes over NaN, a sum of products with 0 does not.
template <class Block, class T> TRANCHE_FUNCTOR float poison_of(const Block& block, const T* x, std::size_t count) {
  return block.sum(count, [&](std::size_t i) TRANCHE_ALWAYS_INLINE { return to_float(x[i]) * 0.0f; });
}

}  // namespace tranche::ops::functors
