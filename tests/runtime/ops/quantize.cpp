#include "runtime/ops/quantize.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

using testing::Test;

double clamped(double x, double low, double high) { return std::min(std::max(x, low), high); }
// To nearest, ties to even, in double: the quotient is rounded to float first, as the op's is.
double level(float x, float scale, double zero, Levels levels) {
  return clamped(std::nearbyint(double{x / scale}) + zero, levels.low, levels.high);
}

Tensor integers(Device& device, Shape shape, const Values& values) {
  return tensor_of(device, shape, DType::int32, values);
}

TEST(Quantize, RoundsToNearestTiesToEvenAndClamps) {
  TestDevice device;
  const Tensor x = tensor_of(device, {9}, DType::float32, {0.25, 0.75, 1.25, -0.25, -0.75, 63.5, 64, -1e30, 1e30});
  const Tensor q = blank(device, {9}, DType::int8);
  quantize(x, tensor_of(device, {1}, DType::float32, {0.5}), {}, QuantizationGrid::per_tensor(9), {}, q);
  EXPECT_EQ(read(q), (Values{0, 2, 2, 0, -2, 127, 127, -127, 127}));
}

TEST(Quantize, NonFiniteValuesHaveLevelsToo) {
  TestDevice device;
  const Tensor x = tensor_of(device, {3}, DType::float32, {0, 0, 0}), q = blank(device, {3}, DType::uint8);
  write(x, 0, nan), write(x, 1, infinity), write(x, 2, -infinity);
  quantize(x, tensor_of(device, {1}, DType::float32, {0.5}), integers(device, {1}, {100}),
           QuantizationGrid::per_tensor(3), {0, 255}, q);
  EXPECT_EQ(read(q), (Values{0, 255, 0}));
}

struct Case {
  std::size_t rows, cols, group;
  DType dtype;
  Levels levels;
};
class QuantizeGrid : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Shapes, QuantizeGrid,
    testing::Values(Case{1, 1, 1, DType::int8, {}}, Case{1, 300001, 300001, DType::uint8, {0, 255}},
                    Case{37, 129, 129, DType::int8, {-128, 127}}, Case{37, 129, 32, DType::int8, {-8, 7}},
                    Case{5, 1023, 64, DType::uint8, {0, 15}}, Case{3, 31, 128, DType::uint8, {0, 255}}));

TEST_P(QuantizeGrid, GivesEachElementItsOwnScaleThereAndBack) {
  const auto [rows, cols, group, dtype, levels] = GetParam();
  TestDevice device{2};
  const QuantizationGrid grid{rows, cols, group};
  const Tensor x = random_tensor(device, {rows, cols}, DType::float32, 1);
  const Tensor scales = blank(device, {grid.parameters()}, DType::float32);
  const Tensor zeros = integers(device, {grid.parameters()}, Values(grid.parameters()));
  for (std::size_t i = 0; i < grid.parameters(); ++i) {
    write(scales, i, 0.01f + 0.003f * static_cast<float>(i % 11));
    write(zeros, i, static_cast<float>(static_cast<int>(i % 5) + levels.low / 2));
  }
  const Tensor q = blank(device, {rows, cols}, dtype), back = blank(device, {rows, cols}, DType::float32);
  quantize(x, scales, zeros, grid, levels, q);
  dequantize(q, scales, zeros, grid, back);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t parameter = i / cols * grid.groups() + i % cols / group;
    const float scale = scales.span<float>()[parameter];
    const double zero = read(zeros, parameter), expected = level(x.span<float>()[i], scale, zero, levels);
    ASSERT_EQ(read(q, i), expected) << i;
    ASSERT_EQ(read(back, i), double{static_cast<float>(expected - zero) * scale}) << i;
  }
}

TEST(Quantize, RefusesLevelsThatTheTypeLacksAndScalesOfAnotherGrid) {
  TestDevice device;
  const Tensor x = blank(device, {2, 6}, DType::float32), q = blank(device, {2, 6}, DType::int8);
  const Tensor scales = blank(device, {4}, DType::float32);
  EXPECT_THROW(quantize(x, scales, {}, {2, 6, 4}, {0, 255}, q), Error);
  EXPECT_THROW(quantize(x, scales, {}, {2, 6, 6}, {}, q), Error);
  EXPECT_THROW(quantize(x, scales, {}, {2, 6, 0}, {}, q), Error);
  EXPECT_THROW(dequantize(x, scales, {}, {2, 6, 4}, x), Error);
  quantize(x, scales, {}, {2, 6, 4}, {}, q);
}

class QuantizeRows : public Test {
 protected:
  TestDevice device{2};
  Tensor q, scales, zeros;
  void quantize(const Tensor& x, std::size_t stride) {
    q = blank(device, {x.rows(), stride}, DType::uint8);
    scales = blank(device, {x.rows()}, DType::float32);
    zeros = blank(device, {x.rows()}, DType::int32);
    quantize_rows(x, q, scales, zeros);
  }
};

TEST_F(QuantizeRows, UsesEachRowsOwnRange) {
  for (const std::size_t cols : {1u, 15u, 64u, 1000u}) {
    const std::size_t rows = 33, stride = padded(cols, 64);
    const Tensor x = random_tensor(device, {rows, cols}, DType::float32, cols);
    for (std::size_t i = 0; i < cols; ++i) {
      write(x, i, std::fabs(x.span<float>()[i]));          // one row without negative numbers
      write(x, cols + i, -std::fabs(x.span<float>()[i]));  // one without positive ones
    }
    quantize(x, stride);
    for (std::size_t row = 0; row < rows; ++row) {
      const float* values = x.span<float>().data() + row * cols;
      const float low = std::min(0.0f, *std::min_element(values, values + cols));
      const float high = std::max(0.0f, *std::max_element(values, values + cols));
      const float scale = (high - low) / 255;
      ASSERT_EQ(scales.span<float>()[row], scale);
      ASSERT_EQ(read(zeros, row), std::nearbyint(double{-low / scale}));
      for (std::size_t i = 0; i < stride; ++i)
        ASSERT_EQ(read(q, row * stride + i), i < cols ? level(values[i], scale, read(zeros, row), {0, 255}) : 0);
    }
  }
}

TEST_F(QuantizeRows, ARowOfZerosHasNoScaleAndABadOneIsNotHidden) {
  const Tensor x = tensor_of(device, {4, 40}, DType::float32, Values(160, 0));
  for (std::size_t i = 40; i < 160; ++i) write(x, i, 1);
  write(x, 45, nan), write(x, 85, infinity), write(x, 125, -infinity);
  quantize(x, 64);
  EXPECT_EQ(read(scales, 0), 0);
  for (std::size_t row = 1; row < 4; ++row) EXPECT_TRUE(std::isnan(read(scales, row)));
  EXPECT_EQ(read(q), Values(256, 0));
}

TEST(Quantize, GivesTheSameBitsEverywhere) {
  expect_same_bits_everywhere([](Device& on) {
    const Tensor x = random_tensor(on, {301, 1000}, DType::float32, 1);
    const QuantizationGrid grid{301, 1000, 96};
    const Tensor scales = tensor_of(on, {grid.parameters()}, DType::float32, Values(grid.parameters(), 0.0123));
    const Tensor q = blank(on, {301, 1000}, DType::int8), back = blank(on, {301, 1000}, DType::float32);
    quantize(x, scales, {}, grid, {}, q);
    dequantize(q, scales, {}, grid, back);
    const Tensor rows = blank(on, {301, 1024}, DType::uint8), row_scales = blank(on, {301}, DType::float32);
    const Tensor row_zeros = blank(on, {301}, DType::int32);
    quantize_rows(x, rows, row_scales, row_zeros);
    return bytes_of_tensors({q, back, rows, row_scales, row_zeros});
  });
}

}  // namespace
}  // namespace tranche::ops
