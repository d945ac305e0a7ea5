// What the tests of ops share: tensors from numbers and back, references in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/tensor/tensor.h"
#include "tests/runtime/ops/test_device.h"

namespace tranche::ops {

using Values = std::vector<double>;

inline constexpr DType floating_dtypes[] = {DType::float32, DType::bfloat16, DType::float16};
inline constexpr std::size_t odd_sizes[] = {1, 7, 15, 16, 17, 1000, 1023, 1025, 16385};
inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float nan = std::numeric_limits<float>::quiet_NaN();

inline float rounded(double x, DType dtype) {
  const float value = static_cast<float>(x);
  if (dtype == DType::bfloat16) return rounded_to<bfloat16>(value);
  if (dtype == DType::float16) return rounded_to<float16>(value);
  return value;
}

// Half the distance of neighbours, relative to the value.
inline double rounding_of(DType dtype) {
  return dtype == DType::bfloat16 ? 0x1p-8 : dtype == DType::float16 ? 0x1p-11 : 0x1p-24;
}

// `count` numbers of about `deviation`, that a float holds; each stream differs.
inline Values numbers(std::size_t count, std::uint64_t stream, double deviation = 1) {
  const RandomKey key = RandomKey{1, Purpose::sampling}(stream);
  Values result(count);
  for (std::size_t i = 0; i < count; ++i) {
    double sum = -2;
    for (std::size_t part = 0; part < 4; ++part) sum += static_cast<double>(uniform(key.number(4 * i + part)));
    result[i] = static_cast<double>(static_cast<float>(sum * 1.7 * deviation));
  }
  return result;
}

inline void write(const Tensor& tensor, std::size_t i, float value) {
  switch (tensor.dtype()) {
    case DType::float32: tensor.span<float>()[i] = value; break;
    case DType::bfloat16: tensor.span<bfloat16>()[i] = from_float<bfloat16>(value); break;
    case DType::float16: tensor.span<float16>()[i] = from_float<float16>(value); break;
    case DType::int32: tensor.span<std::int32_t>()[i] = static_cast<std::int32_t>(value); break;
    case DType::int8: tensor.span<std::int8_t>()[i] = static_cast<std::int8_t>(value); break;
    case DType::uint8: tensor.span<std::uint8_t>()[i] = static_cast<std::uint8_t>(value); break;
  }
}
inline double read(const Tensor& tensor, std::size_t i) {
  switch (tensor.dtype()) {
    case DType::float32: break;
    case DType::bfloat16: return to_float(tensor.span<const bfloat16>()[i]);
    case DType::float16: return to_float(tensor.span<const float16>()[i]);
    case DType::int32: return tensor.span<const std::int32_t>()[i];
    case DType::int8: return tensor.span<const std::int8_t>()[i];
    case DType::uint8: return tensor.span<const std::uint8_t>()[i];
  }
  return tensor.span<const float>()[i];
}
inline Values read(const Tensor& tensor) {
  Values result(tensor.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = read(tensor, i);
  return result;
}

// Filled with NaN (integers: all bits set), so that what an op fails to write shows.
inline Tensor blank(Device& device, Shape shape, DType dtype) {
  const Tensor tensor = Tensor::empty(device, "tensor", Category::activations, shape, dtype);
  for (std::size_t i = 0; i < tensor.size(); ++i)
    write(tensor, i, is_floating(dtype) ? nan : dtype == DType::uint8 ? 255.0f : -1.0f);
  return tensor;
}
inline Tensor tensor_of(Device& device, Shape shape, DType dtype, const Values& values) {
  const Tensor tensor = blank(device, shape, dtype);
  for (std::size_t i = 0; i < tensor.size(); ++i) write(tensor, i, static_cast<float>(values[i]));
  return tensor;
}
inline Tensor random_tensor(Device& device, Shape shape, DType dtype, std::uint64_t stream, double deviation = 1) {
  return tensor_of(device, shape, dtype, numbers(shape.size(), stream, deviation));
}

// Every element within the dtype's rounding of `expected` plus `error` (of float32's arithmetic before the rounding).
inline void expect_near(const Tensor& tensor, const Values& expected, double error) {
  ASSERT_EQ(tensor.size(), expected.size());
  const double smallest = tensor.dtype() == DType::float16 ? 0x1p-25 : 0;  // half the distance of denormals
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double bound = rounding_of(tensor.dtype()) * std::fabs(expected[i]) + smallest + error;
    ASSERT_NEAR(read(tensor, i), expected[i], bound)
        << "element " << i << " of " << tensor.shape() << " " << name_of(tensor.dtype());
  }
}

inline std::string bytes_of_tensors(std::initializer_list<Tensor> tensors) {
  std::string bytes;
  for (const Tensor& tensor : tensors) bytes.append(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
  return bytes;
}

// result(device) must be the same bytes on every way to run.
inline void expect_same_bits_everywhere(const std::function<std::string(Device&)>& result) {
  std::string first;
  on_every_test_device([&](Device& device, const std::string& name) {
    const std::string bytes = result(device);
    if (first.empty()) first = bytes;
    EXPECT_FALSE(bytes.empty());
    EXPECT_TRUE(bytes == first) << name;
  });
}

// For tests that are repeated for each floating dtype.
class EveryDType : public testing::TestWithParam<DType> {
 protected:
  TestDevice device{2};
  const DType dtype = GetParam();
};
inline std::string dtype_name(const testing::TestParamInfo<DType>& info) { return std::string{name_of(info.param)}; }

}  // namespace tranche::ops
