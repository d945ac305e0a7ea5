// How functions look that every backend shares: one element or one row at a time, float32 arithmetic, no branch that
// depends on a value, no call that is not inlined. g++ turns loops over them into vectors on every instruction path, a
// GPU runs them in its threads, and both compute the same operations in the same order.
#pragma once

#include <cstddef>

#include "runtime/base/dtype.h"

// On functions and call operators. Always inlined: the linker keeps one copy of any other inline function, which could
// then hold instructions that the machine lacks (runtime/ops/cpu/vector.h).
#define TRANCHE_FUNCTOR [[gnu::always_inline]] TRANCHE_HOST_DEVICE inline
// Behind the parameters of a lambda.
#define TRANCHE_ALWAYS_INLINE __attribute__((always_inline))

namespace tranche::ops::functors {

// Writes a result, or adds it to what is there, rounding once (runtime/ops/destination.h).
template <bool adds, class T> TRANCHE_FUNCTOR void put(T& place, float value) {
  if constexpr (adds)
    place = from_float<T>(to_float(place) + value);
  else
    place = from_float<T>(value);
}

}  // namespace tranche::ops::functors
