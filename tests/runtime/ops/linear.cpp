#include "runtime/ops/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "runtime/ops/instruction_path.h"
#include "tests/runtime/ops/operands.h"

namespace tranche::ops {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Size {
  std::size_t rows, in, out;
};

// Odd sizes, single rows and columns, sizes around a tile and around a block of the inner dimension.
constexpr Size sizes[] = {{1, 1, 1},     {1, 7, 3},      {5, 1, 17},   {3, 16, 16},    {17, 33, 65},
                          {64, 96, 48},  {1, 300, 70},   {70, 300, 1}, {300, 40, 20},  {257, 129, 31},
                          {9, 1030, 20}, {33, 10, 1030}, {600, 5, 9},  {2, 130, 1100}, {256, 30, 66}};

// The sum over the inner dimension in double precision, and the sum of magnitudes, of which float32 loses a part.
struct Sum {
  double value = 0, magnitude = 0;
};

void expect_near(const Tensor& y, const std::function<Sum(std::size_t row, std::size_t col)>& expected,
                 std::size_t terms) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Sum sum = expected(i / y.cols(), i % y.cols());
    const double bound =
        0x1p-24 * static_cast<double>(terms + 3) * sum.magnitude + rounding(y.dtype(), sum.value) * 1.01;
    ASSERT_NEAR(value(y, i), sum.value, bound) << "at " << i << " of " << y.shape();
  }
}

class Linear : public testing::TestWithParam<DType> {
 protected:
  TestDevice device{2};
  DType dtype = GetParam();

  Tensor any(Shape shape, std::uint64_t part, std::size_t offset = 0) {
    return random(device, shape, dtype, part, offset);
  }
};

TEST_P(Linear, ForwardIsTheSumOfProductsPlusBias) {
  for (const auto& [rows, in, out] : sizes) {
    for (const bool with_bias : {false, true}) {
      const Tensor x = any({rows, in}, 1), weight = any({out, in}, 2), y = make(device, {rows, out}, dtype);
      const Tensor bias = with_bias ? any({out}, 3) : Tensor{};
      linear(x, weight, bias, y);
      const std::vector<double> a = values(x), b = values(weight);
      expect_near(
          y,
          [&, width = in](std::size_t row, std::size_t col) {
            Sum sum;
            if (bias) sum = {value(bias, col), std::abs(value(bias, col))};
            for (std::size_t i = 0; i < width; ++i) {
              const double product = a[row * width + i] * b[col * width + i];
              sum.value += product, sum.magnitude += std::abs(product);
            }
            return sum;
          },
          in);
    }
  }
}

// The activation may be of the product as it was rounded, or of what was rounded to it; no slope is above 1.2.
TEST_P(Linear, ActivatedIsTheProductAndItsActivation) {
  for (const auto& [rows, in, out] : {Size{5, 1, 17}, {17, 33, 64}, {64, 96, 48}, {1, 7, 8}}) {
    for (const Activation kind : {Activation::gelu_tanh, Activation::gelu_erf}) {
      const Tensor x = any({rows, in}, 1), weight = any({out, in}, 2), bias = any({out}, 3);
      const Tensor product = make(device, {rows, out}, dtype), apart = make(device, {rows, out}, dtype);
      const Tensor before = make(device, {rows, out}, dtype), y = make(device, {rows, out}, dtype);
      linear(x, weight, bias, product);
      activate(kind, product, apart);
      linear_activated(kind, x, weight, bias, before, y);
      const bool may_differ = dtype != DType::float32 && kind == Activation::gelu_tanh;
      EXPECT_TRUE(may_differ || (bits(before) == bits(product) && bits(y) == bits(apart))) << rows << " x " << out;
      for (std::size_t i = 0; i < y.size(); ++i) {  // a GPU's library may sum in another order for each
        const double once = 2.1 * rounding(dtype, value(product, i)) + 1e-5;
        ASSERT_NEAR(value(before, i), value(product, i), once) << "at " << i << " of " << y.shape();
        ASSERT_NEAR(value(y, i), value(apart, i), 1.2 * once + 2.1 * rounding(dtype, value(apart, i)))
            << "at " << i << " of " << y.shape();
      }
    }
  }
}

TEST_P(Linear, InputGradientIsWrittenOrAddedAndRoundedOnce) {
  for (const auto& [rows, in, out] : sizes) {
    for (const bool holds_values : {false, true}) {
      const Tensor dy = any({rows, out}, 1), weight = any({out, in}, 2), dx = any({rows, in}, 3);
      const std::vector<double> a = values(dy), b = values(weight), before = values(dx);
      linear_input_gradient(dy, weight, {dx, holds_values});
      expect_near(
          dx,
          [&, width = in, inner = out](std::size_t row, std::size_t col) {
            const double held = holds_values ? before[row * width + col] : 0;
            Sum sum{held, std::abs(held)};
            for (std::size_t i = 0; i < inner; ++i) {
              const double product = a[row * inner + i] * b[i * width + col];
              sum.value += product, sum.magnitude += std::abs(product);
            }
            return sum;
          },
          out);
    }
  }
}

TEST_P(Linear, WeightGradientIsWrittenOrAddedAndRoundedOnce) {
  for (const auto& [rows, in, out] : sizes) {
    for (const bool holds_values : {false, true}) {
      const Tensor dy = any({rows, out}, 1), x = any({rows, in}, 2), dweight = any({out, in}, 3);
      const std::vector<double> a = values(dy), b = values(x), before = values(dweight);
      linear_weight_gradient(dy, x, {dweight, holds_values});
      expect_near(
          dweight,
          [&, width = in, height = out, inner = rows](std::size_t row, std::size_t col) {
            const double held = holds_values ? before[row * width + col] : 0;
            Sum sum{held, std::abs(held)};
            for (std::size_t i = 0; i < inner; ++i) {
              const double product = a[i * height + row] * b[i * width + col];
              sum.value += product, sum.magnitude += std::abs(product);
            }
            return sum;
          },
          rows);
    }
  }
}

TEST_P(Linear, BiasGradientIsTheSumOfRowsInOrder) {
  for (const auto& [rows, in, out] : sizes) {
    for (const bool holds_values : {false, true}) {
      const Tensor dy = any({rows, out}, 1), dbias = any({out}, 2), expected = make(device, {out}, dtype);
      for (std::size_t col = 0; col < out; ++col) {
        float sum = 0;
        for (std::size_t row = 0; row < rows; ++row) sum += static_cast<float>(value(dy, row * out + col));
        set(expected, col, holds_values ? sum + static_cast<float>(value(dbias, col)) : sum);
      }
      linear_bias_gradient(dy, {dbias, holds_values});
      EXPECT_EQ(bits(dbias), bits(expected)) << rows << " x " << out;
    }
  }
}

TEST_P(Linear, NoRowsGiveNoOutputAndNoGradient) {
  const Tensor x = make(device, {0, 8}, dtype), dy = make(device, {0, 5}, dtype), weight = any({5, 8}, 1);
  linear(x, weight, any({5}, 2), dy);
  linear_input_gradient(dy, weight, {x, false});
  const Tensor dweight = any({5, 8}, 3), dbias = any({5}, 4);
  const std::string held = bits(dweight), held_bias = bits(dbias);
  linear_weight_gradient(dy, x, {dweight, true});
  linear_bias_gradient(dy, {dbias, true});
  EXPECT_EQ(bits(dweight), held);
  EXPECT_EQ(bits(dbias), held_bias);
  linear_weight_gradient(dy, x, {dweight, false});
  linear_bias_gradient(dy, {dbias, false});
  EXPECT_EQ(bits(dweight), std::string(dweight.bytes(), '\0'));
  EXPECT_EQ(bits(dbias), std::string(dbias.bytes(), '\0'));
}

// All three products, and the bias gradient, on `threads` threads with operands that begin `offset` elements in.
std::string all_bits(DType dtype, const Size& size, std::size_t threads, std::size_t offset) {
  TestDevice device{threads};
  const Tensor x = random(device, {size.rows, size.in}, dtype, 1, offset);
  const Tensor weight = random(device, {size.out, size.in}, dtype, 2, offset * 3);
  const Tensor bias = random(device, {size.out}, dtype, 3, offset);
  const Tensor dy = random(device, {size.rows, size.out}, dtype, 4, offset * 5);
  const Tensor y = make(device, {size.rows, size.out}, dtype, offset * 7);
  const Tensor dx = random(device, {size.rows, size.in}, dtype, 5, offset),
               dbias = make(device, {size.out}, dtype, offset);
  const Tensor dweight = random(device, {size.out, size.in}, dtype, 6, offset);
  linear(x, weight, bias, y);
  linear_input_gradient(dy, weight, {dx, true});
  linear_weight_gradient(dy, x, {dweight, true});
  linear_bias_gradient(dy, {dbias, false});
  return bits(y) + bits(dx) + bits(dweight) + bits(dbias);
}

void expect_same_bits(DType dtype, const Size& size) {
  const std::string one = all_bits(dtype, size, 1, 0);
  for (const std::size_t threads : {2, 3})
    EXPECT_TRUE(all_bits(dtype, size, threads, 0) == one) << threads << " threads";
}
TEST_P(Linear, SameBitsOnAnyNumberOfThreads) {
  for (const Size size : {Size{70, 130, 150}, Size{1, 256, 2050}}) expect_same_bits(dtype, size);
}
// 128 x 64 from many rows is where a library splits the reduction.
TEST_P(Linear, SameBitsOnAnyNumberOfThreadsFromManyRows) {
  for (const Size size : {Size{300, 200, 520}, Size{4096, 64, 128}}) expect_same_bits(dtype, size);
}

TEST_P(Linear, SameBitsAtAnyAlignment) {
  for (const Size size :
       {Size{100, 300, 130}, Size{33, 48, 64}, Size{1, 64, 130}, Size{64, 128, 256}, Size{7, 33, 1}}) {
    const std::string aligned = all_bits(dtype, size, 1, 0);
    for (const std::size_t offset : {1, 3, 8}) EXPECT_TRUE(all_bits(dtype, size, 1, offset) == aligned) << offset;
  }
}

TEST_P(Linear, InfinitiesAndNaNsComeThrough) {
  const Tensor x = any({3, 20}, 1), weight = any({4, 20}, 2), y = make(device, {3, 4}, dtype);
  set(x, 5, std::numeric_limits<float>::infinity());
  set(x, 25, std::numeric_limits<float>::quiet_NaN());
  linear(x, weight, {}, y);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(std::isinf(value(y, i)));
    EXPECT_TRUE(std::isnan(value(y, 4 + i)));
    EXPECT_TRUE(std::isfinite(value(y, 8 + i)));
  }
}

// What a path without products of half precision does is what float32 does, to the bit, and rounded once; a long sum
// is cut into pieces of 512.
TEST(LinearOnThisPath, WidensHalfPrecisionWhereThereIsNoProductOfIt) {
  TestDevice device{2};
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    if (dtype == DType::bfloat16 && instruction_path() == InstructionPath::avx512_bf16) continue;
    for (const auto& [rows, in, out] : sizes) {
      if (in > 512) continue;
      const Tensor x = random(device, {rows, in}, dtype, 1), weight = random(device, {out, in}, dtype, 2);
      const Tensor y = make(device, {rows, out}, dtype), wide = make(device, {rows, out}, DType::float32);
      const auto widened = [&](const Tensor& narrow) {
        const Tensor copy = make(device, narrow.shape(), DType::float32);
        for (std::size_t i = 0; i < copy.size(); ++i) set(copy, i, static_cast<float>(value(narrow, i)));
        return copy;
      };
      linear(x, weight, {}, y);
      linear(widened(x), widened(weight), {}, wide);
      const Tensor rounded = make(device, {rows, out}, dtype);
      for (std::size_t i = 0; i < wide.size(); ++i) set(rounded, i, wide.span<float>()[i]);
      EXPECT_EQ(bits(y), bits(rounded)) << name_of(dtype) << " " << y.shape() << " from " << in;
    }
  }
}

// Tiles that some path lays out, from more columns than it lays out at once.
TEST(LinearOnThisPath, LongSumsAreThoseOfDouble) {
  TestDevice device{2};
  constexpr std::size_t rows = 256, in = 520, out = 66;
  const Tensor x = random(device, {rows, in}, DType::float32, 1), weight = random(device, {out, in}, DType::float32, 2);
  const Tensor bias = random(device, {out}, DType::float32, 3), y = make(device, {rows, out}, DType::float32);
  linear(x, weight, bias, y);
  const std::vector<double> a = values(x), b = values(weight), c = values(bias);
  expect_near(
      y,
      [&](std::size_t row, std::size_t col) {
        Sum sum{c[col], std::abs(c[col])};
        for (std::size_t i = 0; i < in; ++i) {
          const double product = a[row * in + i] * b[col * in + i];
          sum.value += product, sum.magnitude += std::abs(product);
        }
        return sum;
      },
      in);
}

TEST_P(Linear, ErrorsNameTheOpAndBothSizes) {
  const Tensor x = any({2, 64}, 1), weight = any({5, 48}, 2), y = any({2, 5}, 3);
  EXPECT_THAT([&] { linear(x, weight, {}, y); },
              ThrowsMessage<Error>(HasSubstr("linear: input has 64 features, weight expects 48")));
  EXPECT_THAT(
      [&] {
        linear(x, any({5, 64}, 1), any({4}, 1), y);
      },
      ThrowsMessage<Error>(HasSubstr("linear: bias has shape [4], expected [5]")));
  EXPECT_THAT(
      [&] {
        linear(x, any({5, 64}, 1), {}, any({2, 6}, 1));
      },
      ThrowsMessage<Error>(HasSubstr("linear: output has shape [2, 6], expected [2, 5]")));
  EXPECT_THAT(
      [&] {
        linear_weight_gradient(y, any({3, 64}, 1), {weight, false});
      },
      ThrowsMessage<Error>(HasSubstr("linear_weight_gradient: dy has 2 rows, x has 3")));
  const Tensor other = random(device, {5, 64}, dtype == DType::float32 ? DType::float16 : DType::float32, 1);
  EXPECT_THAT([&] { linear(x, other, {}, y); }, ThrowsMessage<Error>(HasSubstr("linear: weight is float")));
}

INSTANTIATE_TEST_SUITE_P(DTypes, Linear, testing::Values(DType::float32, DType::bfloat16, DType::float16),
                         [](const auto& test) { return std::string{name_of(test.param)}; });

}  // namespace
}  // namespace tranche::ops
