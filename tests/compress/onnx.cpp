// The cases of ONNX's QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear, read where Debian's libonnx-testdata
// puts them; skipped where that package is absent.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/quantize.h"

namespace tranche::ops {
namespace {

// What a TensorProto says, of the fields that these cases have.
struct OnnxTensor {
  std::vector<std::size_t> shape;
  int type = 0;  // 1: float, 2: uint8, 3: int8, 6: int32
  std::string raw;

  std::size_t size() const {
    std::size_t all = 1;
    for (const std::size_t each : shape) all *= each;
    return all;
  }
};

// Protocol buffers: a field is its number and wire type, then a varint (0), eight bytes (1), a length and bytes (2) or
// four bytes (5).
OnnxTensor parse(const std::string& bytes) {
  OnnxTensor tensor;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(at++));
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.size()) {
    const std::uint64_t key = varint(), field = key >> 3, wire = key & 7;
    if (wire == 0) {
      const std::uint64_t value = varint();
      if (field == 1) tensor.shape.push_back(value);
      if (field == 2) tensor.type = static_cast<int>(value);
      continue;
    }
    const std::uint64_t length = wire == 2 ? varint() : wire == 1 ? 8 : 4;
    if (field == 9) tensor.raw = bytes.substr(at, length);
    at += length;
  }
  return tensor;
}

class Onnx : public testing::TestWithParam<const char*> {
 protected:
  const std::filesystem::path folder = std::filesystem::path{"/usr/share/libonnx-testdata/data/node"} / GetParam();
  CpuDevice device{2};

  void SetUp() override {
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent: install Debian's libonnx-testdata";
  }
  OnnxTensor load(const std::string& name) const {
    return parse(read_small_file(folder / "test_data_set_0" / (name + ".pb")));
  }
  Tensor tensor(const OnnxTensor& from, DType dtype) {
    const Tensor t = Tensor::empty(device, "t", Category::activations, {from.size()}, dtype);
    EXPECT_EQ(t.bytes(), from.raw.size());
    std::memcpy(t.data(), from.raw.data(), t.bytes());
    return t;
  }
  Tensor zeros_of(const OnnxTensor& from) {
    const Tensor t = Tensor::empty(device, "zeros", Category::activations, {from.size()}, DType::int32);
    for (std::size_t i = 0; i < from.size(); ++i)
      t.span<std::int32_t>()[i] =
          from.type == 3 ? static_cast<signed char>(from.raw[i]) : static_cast<unsigned char>(from.raw[i]);
    return t;
  }
  // Channels are dimension 1 behind a batch of one: rows of the matrix.
  static QuantizationGrid grid_of(const OnnxTensor& x, const OnnxTensor& scales) {
    EXPECT_TRUE(scales.size() == 1 || x.shape.front() == 1);
    return QuantizationGrid::per_row(scales.size(), x.size() / scales.size());
  }
  static DType dtype_of_type(int type) { return type == 3 ? DType::int8 : DType::uint8; }
  static std::string raw(const Tensor& t) { return {reinterpret_cast<const char*>(t.data()), t.bytes()}; }
};

class Quantizing : public Onnx {};
INSTANTIATE_TEST_SUITE_P(Cases, Quantizing, testing::Values("test_quantizelinear", "test_quantizelinear_axis"));
TEST_P(Quantizing, GivesItsValues) {
  const OnnxTensor x = load("input_0"), scales = load("input_1"), zeros = load("input_2"), y = load("output_0");
  const Tensor q = Tensor::empty(device, "q", Category::activations, {x.size()}, dtype_of_type(y.type));
  const Levels levels = y.type == 3 ? Levels{-128, 127} : Levels{0, 255};
  quantize(tensor(x, DType::float32), tensor(scales, DType::float32), zeros_of(zeros), grid_of(x, scales), levels, q);
  EXPECT_EQ(raw(q), y.raw);
}

class Dequantizing : public Onnx {};
INSTANTIATE_TEST_SUITE_P(Cases, Dequantizing, testing::Values("test_dequantizelinear", "test_dequantizelinear_axis"));
TEST_P(Dequantizing, GivesItsValues) {
  const OnnxTensor q = load("input_0"), scales = load("input_1"), zeros = load("input_2"), x = load("output_0");
  const Tensor y = Tensor::empty(device, "y", Category::activations, {q.size()}, DType::float32);
  dequantize(tensor(q, dtype_of_type(q.type)), tensor(scales, DType::float32), zeros_of(zeros), grid_of(q, scales), y);
  EXPECT_EQ(raw(y), x.raw);
}

class DynamicQuantizing : public Onnx {};
INSTANTIATE_TEST_SUITE_P(Cases, DynamicQuantizing,
                         testing::Values("test_dynamicquantizelinear", "test_dynamicquantizelinear_max_adjusted",
                                         "test_dynamicquantizelinear_min_adjusted"));
TEST_P(DynamicQuantizing, GivesItsValues) {
  const OnnxTensor x = load("input_0"), y = load("output_0"), scale = load("output_1"), zero = load("output_2");
  const Tensor q = Tensor::empty(device, "q", Category::activations, {1, x.size()}, DType::uint8);
  const Tensor scales = Tensor::empty(device, "scales", Category::activations, {1}, DType::float32);
  const Tensor zeros = Tensor::empty(device, "zeros", Category::activations, {1}, DType::int32);
  quantize_rows(tensor(x, DType::float32).reshaped({1, x.size()}), q, scales, zeros);
  EXPECT_EQ(raw(q), y.raw);
  EXPECT_EQ(raw(scales), scale.raw);
  EXPECT_EQ(zeros.scalar<std::int32_t>(), static_cast<unsigned char>(zero.raw.front()));
}

}  // namespace
}  // namespace tranche::ops
