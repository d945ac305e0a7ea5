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
#include "runtime/ops/kernels/dispatch.h"

#define TRANCHE_INLINE [[gnu::always_inline]] static inline

namespace tranche::ops::TRANCHE_PATH {

inline constexpr std::size_t lanes = 16;

}  // namespace tranche::ops::TRANCHE_PATH
