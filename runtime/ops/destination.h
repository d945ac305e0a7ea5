// Where a gradient goes.
#pragma once

#include "runtime/tensor/tensor.h"

namespace tranche::ops {

// With holds_values the result is added to what is there, in float32, and rounded once to the tensor's dtype; without,
// it overwrites whatever is there. An empty tensor: this gradient is not wanted, and nothing is computed.
struct Destination {
  Tensor tensor;
  bool holds_values = false;
  explicit operator bool() const { return static_cast<bool>(tensor); }
};

}  // namespace tranche::ops
