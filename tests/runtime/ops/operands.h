// Tensors for the ops' tests: random values that the dtype holds exactly, and their values in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/ops/attention.h"
#include "runtime/tensor/tensor.h"
#include "tests/runtime/ops/test_device.h"

namespace tranche::ops::test {

inline double value(const Tensor& x, std::size_t i) {
  switch (x.dtype()) {
    case DType::bfloat16: return static_cast<double>(to_float(x.span<bfloat16>()[i]));
    case DType::float16: return static_cast<double>(to_float(x.span<float16>()[i]));
    case DType::int32: return x.span<std::int32_t>()[i];
    case DType::int8: return x.span<std::int8_t>()[i];
    case DType::uint8: return x.span<std::uint8_t>()[i];
    case DType::float32: break;
  }
  return static_cast<double>(x.span<float>()[i]);
}

inline void set(const Tensor& x, std::size_t i, float to) {
  if (x.dtype() == DType::bfloat16)
    x.span<bfloat16>()[i] = from_float<bfloat16>(to);
  else if (x.dtype() == DType::float16)
    x.span<float16>()[i] = from_float<float16>(to);
  else
    x.span<float>()[i] = to;
}

inline std::vector<double> values(const Tensor& x) {
  std::vector<double> all(x.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = value(x, i);
  return all;
}

// Begins `offset` elements into its storage, to be misaligned.
inline Tensor make(Device& device, Shape shape, DType dtype, std::size_t offset = 0) {
  return Tensor::zeros(device, "operand", Category::activations, {shape.size() + offset}, dtype).view(offset, shape);
}

// Uniform in [-size, size), the same for the same `part`.
inline Tensor random(Device& device, Shape shape, DType dtype, std::uint64_t part, std::size_t offset = 0,
                     float size = 1) {
  const Tensor x = make(device, shape, dtype, offset);
  const RandomKey key = RandomKey{7, Purpose::initialise}(part);
  for (std::size_t i = 0; i < x.size(); ++i) set(x, i, (uniform(key.number(i)) * 2 - 1) * size);
  return x;
}

inline AttentionShape shape_of(std::size_t batch, std::size_t sequence, std::size_t heads, std::size_t groups,
                               std::size_t head_width) {
  return {batch, sequence, heads, groups, head_width, 1 / std::sqrt(static_cast<float>(head_width))};
}

inline std::string bits(const Tensor& x) { return {reinterpret_cast<const char*>(x.byte_span().data()), x.bytes()}; }

// What one rounding of a value to the dtype may change.
inline double rounding(DType dtype, double of) {
  if (dtype == DType::float16) return std::max(0x1p-11 * std::abs(of), 0x1p-25);  // of a denormal
  return (dtype == DType::bfloat16 ? 0x1p-8 : 0x1p-24) * std::abs(of);
}

}  // namespace tranche::ops::test
