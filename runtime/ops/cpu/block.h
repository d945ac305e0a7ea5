// A row's Block on the CPU (runtime/ops/functors/norm.h and loss.h): one thread, loops that the compiler turns into
// vectors. Sums and maxima go over sixteen lanes, element i in lane i % 16, whatever the width of the registers: the
// same bits on every instruction path.
#pragma once

#include "runtime/ops/cpu/vector.h"
#include "runtime/ops/functors/levels.h"

namespace tranche::ops::TRANCHE_PATH {

using functors::larger;

struct Block {
  // The sum of f(i) for i < n, in the type of f.
  template <class F> [[gnu::always_inline]] auto sum(std::size_t n, const F& f) const {
    using Number = decltype(f(std::size_t{0}));
    alignas(64) Number part[lanes] = {};
    const std::size_t whole = n / lanes * lanes;
    for (std::size_t i = 0; i < whole; i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) part[lane] += f(i + lane);
    for (std::size_t i = whole; i < n; ++i) part[i - whole] += f(i);
    for (std::size_t half = lanes / 2; half != 0; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane) part[lane] += part[lane + half];
    return part[0];
  }

  // The largest f(i) that is a number; -infinity if there is none. Its order is free, so it goes over more lanes at
  // once.
  template <class F> [[gnu::always_inline]] float max(std::size_t n, const F& f) const {
    constexpr std::size_t wide = 4 * lanes;
    alignas(64) float part[wide];
    for (std::size_t lane = 0; lane < wide; ++lane) part[lane] = -std::numeric_limits<float>::infinity();
    const std::size_t whole = n / wide * wide;
    for (std::size_t i = 0; i < whole; i += wide)
      for (std::size_t lane = 0; lane < wide; ++lane) part[lane] = larger(f(i + lane), part[lane]);
    for (std::size_t i = whole; i < n; ++i) part[i - whole] = larger(f(i), part[i - whole]);
    for (std::size_t half = wide / 2; half != 0; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane) part[lane] = larger(part[lane + half], part[lane]);
    return part[0];
  }

  // f(i) for i < n. f(i) touches element i alone, so what it writes may lie exactly where it reads.
  template <class F> [[gnu::always_inline]] void each(std::size_t n, const F& f) const {
#pragma GCC ivdep
    for (std::size_t i = 0; i < n; ++i) f(i);
  }

  // f() once, after what came before.
  template <class F> [[gnu::always_inline]] void single(const F& f) const { f(); }
};

}  // namespace tranche::ops::TRANCHE_PATH
