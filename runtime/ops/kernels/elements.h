// A tensor as kernels see it: where its bytes are, and their type. Shapes stand beside it in a kernel's arguments.
#pragma once

#include <cstddef>

#include "runtime/base/dtype.h"

namespace tranche::ops {

// No data: none.
struct Elements {
  std::byte* data = nullptr;
  DType dtype = DType::float32;

  [[gnu::always_inline]] TRANCHE_HOST_DEVICE explicit operator bool() const { return data != nullptr; }
  template <class T> [[gnu::always_inline]] TRANCHE_HOST_DEVICE T* as() const { return reinterpret_cast<T*>(data); }
};

// Where a gradient goes (runtime/ops/destination.h).
struct Target : Elements {
  bool holds_values = false;
};

}  // namespace tranche::ops
