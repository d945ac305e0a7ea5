// For sources that are compiled once for each instruction path. The linker keeps one copy of every shared inline
// function or template, which could then hold instructions that the machine lacks. So everything in them and in their
// headers lives in namespace TRANCHE_PATH or is always inlined; no standard containers, algorithms or strings. A test
// looks at the objects (tests/architecture). a * b + c is fused in panel.cpp alone.
//
// Loops go over sixteen lanes, or over elements that do not depend on each other: the compiler fits them to the path's
// registers, and the values are the same on all of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/dtype.h"

#define TRANCHE_INLINE [[gnu::always_inline]] static inline

namespace tranche::ops::TRANCHE_PATH {

inline constexpr std::size_t lanes = 16;

// Calls work(T{}) with the C++ type of a floating dtype.
template <class Work> TRANCHE_INLINE void with_type(DType dtype, const Work& work) {
  if (dtype == DType::bfloat16)
    work(bfloat16{});
  else if (dtype == DType::float16)
    work(float16{});
  else
    work(float{});
}

}  // namespace tranche::ops::TRANCHE_PATH
