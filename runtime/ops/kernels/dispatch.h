// From a dtype to a C++ type, for every backend. Always inlined, as all that instruction paths share
// (runtime/ops/cpu/vector.h).
#pragma once

#include <cstdint>

#include "runtime/ops/kernels/elements.h"

namespace tranche::ops {

// Calls work(T{}) with the C++ type of a floating dtype.
template <class Work> [[gnu::always_inline]] inline void with_type(DType dtype, const Work& work) {
  if (dtype == DType::bfloat16)
    work(bfloat16{});
  else if (dtype == DType::float16)
    work(float16{});
  else
    work(float{});
}

// The same of a quantized dtype.
template <class Work> [[gnu::always_inline]] inline void with_quantized_type(DType dtype, const Work& work) {
  if (dtype == DType::int8)
    work(std::int8_t{});
  else
    work(std::uint8_t{});
}

template <bool value> struct Constant { static constexpr bool adds = value; };

// Calls work(T{}, Constant<adds>{}) with the C++ type of the target and whether it holds values to add to.
template <class Work> [[gnu::always_inline]] inline void with_target(const Target& target, const Work& work) {
  with_type(target.dtype, [&](auto type) {
    if (target.holds_values)
      work(type, Constant<true>{});
    else
      work(type, Constant<false>{});
  });
}

}  // namespace tranche::ops
