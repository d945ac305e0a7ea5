#include "runtime/ops/packed_linear.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

// A weight of random integers with random scales, packed, and what it was made of.
struct Sample {
  PackedShape shape;
  Tensor q, scales;
  PackedWeight packed;

  Sample(Device& device, const PackedShape& of, std::uint64_t stream = 3) : shape(of) {
    q = blank(device, {shape.out, shape.in}, DType::int8);
    scales = blank(device, {shape.out, shape.groups()}, DType::float32);
    const RandomKey key = RandomKey{1, Purpose::sampling}(stream);
    const float half = static_cast<float>(1u << (shape.bits - 1));
    const float least = shape.bits == 8 ? -127 : -half, levels = half - least;
    for (std::size_t i = 0; i < q.size(); ++i) write(q, i, least + std::floor(uniform(key.number(i)) * levels));
    for (std::size_t i = 0; i < scales.size(); ++i) write(scales, i, 0.001f + 0.02f * uniform(key.number(i + 7777)));
    packed = {shape, blank(device, {shape.bytes()}, DType::uint8), blank(device, {shape.scales()}, DType::float32),
              blank(device, {shape.scales()}, DType::int32)};
    pack_weight(q, scales, packed);
  }
  std::int32_t value(std::size_t row, std::size_t col) const { return q.span<std::int8_t>()[row * shape.in + col]; }
  float scale(std::size_t row, std::size_t group) const { return scales.span<float>()[row * shape.groups() + group]; }
};

std::vector<float> floats(const Tensor& x) { return {x.span<float>().begin(), x.span<float>().end()}; }

// The specification: integers summed in int64, then each element's own arithmetic in float32.
std::vector<float> bytes_reference(const Tensor& x, const Sample& w, const Tensor& bias) {
  const std::size_t rows = x.rows(), in = w.shape.in;
  Device& device = x.device();
  const Tensor q = blank(device, {rows, in}, DType::uint8), scales = blank(device, {rows}, DType::float32);
  const Tensor zeros = blank(device, {rows}, DType::int32);
  quantize_rows(x, q, scales, zeros);
  std::vector<float> y;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < w.shape.out; ++o) {
      std::int64_t sum = 0;
      for (std::size_t k = 0; k < in; ++k)
        sum += (std::int64_t{q.span<std::uint8_t>()[r * in + k]} - zeros.span<std::int32_t>()[r]) * w.value(o, k);
      const float scaled = static_cast<float>(sum) * w.scale(o, 0);
      y.push_back(scaled * scales.span<float>()[r] + (bias ? bias.span<float>()[o] : 0.0f));
    }
  return y;
}

std::vector<float> words_reference(const Tensor& x, const Sample& w, const Tensor& bias) {
  const std::size_t rows = x.rows(), in = w.shape.in;
  std::vector<float> y;
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = x.span<float>().data() + r * in;
    float most = 0;
    for (std::size_t k = 0; k < in; ++k) most = std::max(most, std::fabs(row[k]));
    const float step = most / 32767;
    for (std::size_t o = 0; o < w.shape.out; ++o) {
      float sums = 0;
      for (std::size_t g = 0; g < w.shape.groups(); ++g) {
        std::int64_t sum = 0;
        for (std::size_t k = g * w.shape.group; k < std::min(in, (g + 1) * w.shape.group); ++k)
          sum += static_cast<std::int64_t>(step > 0 ? std::nearbyint(row[k] / step) : 0) * w.value(o, k);
        sums += static_cast<float>(sum) * w.scale(o, g);
      }
      y.push_back(sums * step + (bias ? bias.span<float>()[o] : 0.0f));
    }
  }
  return y;
}

struct Case {
  std::size_t rows, in, out, group;
  unsigned bits;
  ActivationForm form;
};
class PackedLinear : public testing::TestWithParam<Case> {};
constexpr auto bytes = ActivationForm::bytes, words = ActivationForm::words;
INSTANTIATE_TEST_SUITE_P(
    Shapes, PackedLinear,
    testing::Values(Case{1, 1, 1, 1, 8, bytes}, Case{1, 64, 16, 64, 8, bytes}, Case{7, 75, 33, 75, 8, bytes},
                    Case{1, 4096, 130, 4096, 8, bytes}, Case{5, 513, 257, 513, 4, bytes}, Case{1, 8, 1, 8, 8, words},
                    Case{3, 100, 47, 32, 8, words}, Case{1, 1000, 100, 128, 8, words}, Case{2, 3, 5, 32, 4, words},
                    Case{1, 1024, 96, 32, 4, words}, Case{4, 201, 31, 64, 4, words}, Case{9, 640, 80, 128, 4, words},
                    Case{5, 513, 257, 513, 2, bytes}, Case{1, 3, 5, 16, 2, words}, Case{1, 1024, 96, 32, 2, words},
                    Case{4, 201, 31, 48, 2, words}, Case{9, 640, 80, 128, 2, words}));

TEST_P(PackedLinear, EqualsIntegerSumsBitForBit) {
  const auto [rows, in, out, group, bits, form] = GetParam();
  TestDevice device{2};
  const Sample w{device, {out, in, group, bits}};
  for (const bool with_bias : {false, true}) {
    const Tensor bias = with_bias ? random_tensor(device, {out}, DType::float32, 9) : Tensor{};
    const Tensor x = random_tensor(device, {rows, in}, DType::float32, 5),
                 y = blank(device, {rows, out}, DType::float32);
    packed_linear(x, form, w.packed, bias, y);
    EXPECT_EQ(floats(y), form == bytes ? bytes_reference(x, w, bias) : words_reference(x, w, bias));
  }
}

TEST(PackedLinear, WithAKnownScaleClampsToItsLevels) {
  TestDevice device;
  const Sample w{device, {20, 75, 75, 8}};
  const Tensor x = random_tensor(device, {5, 75}, DType::float32, 5, 3), y = blank(device, {5, 20}, DType::float32);
  write(x, 80, nan);
  const float scale = 0.015f;  // reaches -1.5 .. 2.3 of values of about 3
  packed_linear(x, scale, 100, w.packed, {}, y);
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t o = 0; o < 20; ++o) {
      if (r == 1) {
        EXPECT_TRUE(std::isnan(read(y, r * 20 + o)));
        continue;
      }
      std::int64_t sum = 0;
      for (std::size_t k = 0; k < 75; ++k)
        sum += static_cast<std::int64_t>(
                   std::clamp(std::nearbyint(x.span<float>()[r * 75 + k] / scale), -100.0f, 155.0f)) *
               w.value(o, k);
      EXPECT_EQ(y.span<float>()[r * 20 + o], static_cast<float>(sum) * w.scale(o, 0) * scale);
    }
  EXPECT_THROW(packed_linear(x, 0, 100, w.packed, {}, y), Error);
  EXPECT_THROW(packed_linear(x, 1, 256, w.packed, {}, y), Error);
}

TEST(PackedLinear, OfTheLargestIntegersDoesNotOverflow) {
  TestDevice device;
  for (const Case& each :
       {Case{1, 65536, 16, 65536, 8, bytes}, Case{1, 65536, 16, 65536, 2, bytes}, Case{1, 256, 16, 128, 8, words},
        Case{1, 256, 16, 128, 4, words}, Case{1, 256, 16, 128, 2, words}}) {
    Sample w{device, {each.out, each.in, each.group, each.bits}};
    for (std::size_t i = 0; i < w.q.size(); ++i)
      write(w.q, i, each.bits == 8 ? -127.0f : each.bits == 4 ? -8.0f : -2.0f);
    pack_weight(w.q, w.scales, w.packed);
    for (const double sign : {1.0, -1.0}) {
      const Tensor x = tensor_of(device, {1, each.in}, DType::float32, Values(each.in, sign * 3));
      const Tensor y = blank(device, {1, each.out}, DType::float32);
      packed_linear(x, each.form, w.packed, {}, y);
      EXPECT_EQ(floats(y), each.form == bytes ? bytes_reference(x, w, {}) : words_reference(x, w, {}));
    }
  }
}

TEST(PackedLinear, WordsAreNearlyTheFloatProduct) {
  TestDevice device;
  const Sample w{device, {64, 512, 64, 4}};
  const Tensor x = random_tensor(device, {3, 512}, DType::float32, 5), y = blank(device, {3, 64}, DType::float32);
  packed_linear(x, words, w.packed, {}, y);
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t o = 0; o < 64; ++o) {
      double sum = 0, size = 0, most = 0;
      for (std::size_t k = 0; k < 512; ++k) {
        const double weight = double{w.scale(o, k / 64)} * w.value(o, k);
        sum += read(x, r * 512 + k) * weight;
        size += std::fabs(weight);
        most = std::max(most, std::fabs(read(x, r * 512 + k)));
      }
      EXPECT_NEAR(read(y, r * 64 + o), sum, size * most / 32767 / 2 + 1e-5 * std::fabs(sum));
    }
}

TEST(PackedLinear, WhatIsNotFiniteShows) {
  TestDevice device;
  for (const auto& [form, shape] :
       {std::pair{bytes, PackedShape{20, 64, 64, 8}}, {words, PackedShape{20, 64, 32, 4}}}) {
    const Sample w{device, shape};
    const Tensor x = random_tensor(device, {3, 64}, DType::float32, 5), y = blank(device, {3, 20}, DType::float32);
    write(x, 3, nan), write(x, 70, infinity);
    packed_linear(x, form, w.packed, {}, y);
    for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(read(y, i)), i < 40) << i;
  }
}

TEST(PackedLinear, RefusesShapesWhoseSumsMayNotFit) {
  EXPECT_THROW(check_packed_shape("w", {16, 65537, 65537, 8}, bytes), Error);
  EXPECT_THROW(check_packed_shape("w", {16, 64, 32, 8}, bytes), Error);
  EXPECT_THROW(check_packed_shape("w", {16, 64, 136, 8}, words), Error);
  EXPECT_THROW(check_packed_shape("w", {16, 64, 30, 4}, words), Error);
  EXPECT_THROW(check_packed_shape("w", {16, 64, 24, 2}, words), Error);
}

TEST(PackedRows, AreTheTablesRows) {
  TestDevice device;
  for (const PackedShape& shape :
       {PackedShape{37, 75, 75, 8}, PackedShape{37, 75, 32, 4}, PackedShape{37, 75, 16, 2}}) {
    const Sample w{device, shape};
    const Tensor numbers = tensor_of(device, {4}, DType::int32, {36, 0, 17, 36});
    const Tensor y = blank(device, {4, shape.in}, DType::float32);
    packed_rows(numbers, w.packed, y);
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t c = 0; c < shape.in; ++c) {
        const std::size_t row = static_cast<std::size_t>(read(numbers, i));
        ASSERT_EQ(y.span<float>()[i * shape.in + c],
                  static_cast<float>(w.value(row, c)) * w.scale(row, c / shape.group));
      }
    write(numbers, 2, 37);
    EXPECT_THROW(packed_rows(numbers, w.packed, y), Error);
    write(numbers, 2, -1);
    EXPECT_THROW(packed_rows(numbers, w.packed, y), Error);
  }
}

TEST(PackedLinear, GivesTheSameBitsEverywhere) {
  expect_same_bits_everywhere([](Device& on) {
    std::string all;
    for (const Case& each : {Case{6, 300, 200, 300, 8, bytes}, Case{1, 300, 200, 64, 8, words},
                             Case{3, 300, 200, 32, 4, words}, Case{3, 300, 200, 32, 2, words}}) {
      const Sample w{on, {each.out, each.in, each.group, each.bits}};
      const Tensor x = random_tensor(on, {each.rows, each.in}, DType::float32, 5);
      const Tensor y = blank(on, {each.rows, each.out}, DType::float32);
      packed_linear(x, each.form, w.packed, {}, y);
      all += bytes_of_tensors({w.packed.values, y});
    }
    return all;
  });
}

}  // namespace
}  // namespace tranche::ops
