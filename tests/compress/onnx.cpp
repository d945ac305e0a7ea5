// The cases of ONNX's QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, MatMulInteger and QLinearMatMul, read
// where Debian's libonnx-testdata puts them; skipped where that package is absent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/packed_linear.h"

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

// Products with packed weights. Theirs are unsigned: 128 less is an int8, and one more output, of ones, gives what the
// inputs less their zero sum to, of which 128 - zero of the weights is missing.
class IntegerProducts : public Onnx {
 protected:
  // The sums of (a - its zero) (b - its zero).  a: (rows, inner), b: (inner, cols); one zero each
  std::vector<std::int64_t> sums(const OnnxTensor& a, std::size_t batch, const OnnxTensor& b, std::int32_t a_zero,
                                 std::int32_t b_zero) {
    const std::size_t rows = a.shape.end()[-2], inner = a.shape.back(), cols = b.shape.back();
    const auto at = [&](const OnnxTensor& from, std::size_t i) {
      return std::int32_t{
          static_cast<unsigned char>(from.raw.at(batch * from.shape.end()[-2] * from.shape.back() + i))};
    };
    const auto make = [&](Shape shape, DType dtype) {
      return Tensor::empty(device, "t", Category::activations, shape, dtype);
    };
    const Tensor q = make({cols + 1, inner}, DType::int8), ones = make({cols + 1}, DType::float32);
    for (std::size_t col = 0; col <= cols; ++col)
      for (std::size_t k = 0; k < inner; ++k)
        q.span<std::int8_t>()[col * inner + k] =
            col == cols ? std::int8_t{1} : static_cast<std::int8_t>(at(b, k * cols + col) - 128);
    for (float& each : ones.span<float>()) each = 1;
    const PackedShape shape{cols + 1, inner, inner, 8};
    const PackedWeight weight{shape, make({shape.bytes()}, DType::uint8), make({shape.scales()}, DType::float32),
                              make({shape.scales()}, DType::int32)};
    pack_weight(q, ones, weight);
    const Tensor x = make({rows, inner}, DType::float32), y = make({rows, cols + 1}, DType::float32);
    for (std::size_t i = 0; i < x.size(); ++i) x.span<float>()[i] = static_cast<float>(at(a, i) - a_zero);
    packed_linear(x, 1, a_zero, weight, {}, y);
    std::vector<std::int64_t> result;
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t col = 0; col < cols; ++col) {
        const float* of_row = y.span<const float>().data() + row * (cols + 1);
        result.push_back(std::llrint(of_row[col]) + (128 - b_zero) * std::llrint(of_row[cols]));
      }
    return result;
  }
  std::int32_t zero_named(const std::string& name) { return zeros_of(load(name)).scalar<std::int32_t>(); }
  static std::size_t batches_of(const OnnxTensor& x) { return x.shape.size() == 3 ? x.shape.front() : 1; }
};

class MatMulInteger : public IntegerProducts {};
INSTANTIATE_TEST_SUITE_P(Cases, MatMulInteger, testing::Values("test_matmulinteger"));
TEST_P(MatMulInteger, GivesItsSums) {
  const OnnxTensor y = load("output_0");
  std::vector<std::int32_t> expected(y.size());
  ASSERT_EQ(y.raw.size(), y.size() * sizeof(std::int32_t));
  std::memcpy(expected.data(), y.raw.data(), y.raw.size());
  const std::vector<std::int64_t> ours =
      sums(load("input_0"), 0, load("input_1"), zero_named("input_2"), zero_named("input_3"));
  EXPECT_EQ(std::vector<std::int32_t>(ours.begin(), ours.end()), expected);
}

class QLinearMatMul : public IntegerProducts {};
INSTANTIATE_TEST_SUITE_P(Cases, QLinearMatMul, testing::Values("test_qlinearmatmul_2D", "test_qlinearmatmul_3D"));
TEST_P(QLinearMatMul, GivesItsValues) {
  const OnnxTensor a = load("input_0"), b = load("input_3"), scale = load("input_6"), zero = load("input_7");
  const auto scale_named = [&](const std::string& name) { return tensor(load(name), DType::float32).scalar<float>(); };
  const float product_scale = scale_named("input_1") * scale_named("input_4");
  std::string values;
  for (std::size_t batch = 0; batch < batches_of(a); ++batch) {
    const std::vector<std::int64_t> integers = sums(a, batch, b, zero_named("input_2"), zero_named("input_5"));
    const Tensor real = Tensor::empty(device, "real", Category::activations, {integers.size()}, DType::float32);
    for (std::size_t i = 0; i < integers.size(); ++i)
      real.span<float>()[i] = static_cast<float>(integers[i]) * product_scale;
    const Tensor q = Tensor::empty(device, "q", Category::activations, {integers.size()}, DType::uint8);
    quantize(real, tensor(scale, DType::float32), zeros_of(zero), QuantizationGrid::per_tensor(integers.size()),
             {0, 255}, q);
    values += raw(q);
  }
  EXPECT_EQ(values, load("output_0").raw);
}

}  // namespace
}  // namespace tranche::ops
