#include "runtime/ops/reduce.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

TEST(ScaleAndSumSquares, ScalesAndSumsEachBlock) {
  TestDevice device{2};
  const std::size_t blocks = 37;
  const Tensor gradient = random_tensor(device, {blocks * block}, DType::float32, 1);
  Values expected(blocks), scaled = read(gradient), partials(blocks);
  for (std::size_t i = 0; i < scaled.size(); ++i) {
    scaled[i] = double{static_cast<float>(scaled[i]) * 0.3f};
    expected[i / block] += scaled[i] * scaled[i];
  }
  scale_and_sum_squares(gradient, 0.3f, partials);
  EXPECT_EQ(read(gradient), scaled);
  for (std::size_t b = 0; b < blocks; ++b) EXPECT_NEAR(partials[b], expected[b], 1e-13 * expected[b]);
}

TEST(ScaleAndSumSquares, OfASliceIsTheSliceOfTheSums) {
  TestDevice device;
  const Tensor whole = random_tensor(device, {40 * block}, DType::float32, 1);
  const Tensor again = random_tensor(device, {40 * block}, DType::float32, 1);
  Values all(40), part(7);
  scale_and_sum_squares(whole, 1.5f, all);
  scale_and_sum_squares(again.view(17 * block, {7 * block}), 1.5f, part);
  EXPECT_EQ(part, Values(all.begin() + 17, all.begin() + 24));
}

// A norm has the same bits on every device that holds a part of its gradients.
TEST(ScaleAndSumSquares, AddsOverSixteenLanesThatMeetInHalves) {
  TestDevice device;
  const Tensor gradient = random_tensor(device, {5 * block}, DType::float32, 1);
  const Values x = read(gradient);
  Values expected, partials(5);
  for (std::size_t b = 0; b < 5; ++b) {
    Values lanes(16);
    for (std::size_t i = b * block; i < (b + 1) * block; ++i) lanes[i % 16] += x[i] * x[i];
    for (std::size_t half = 8; half != 0; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    expected.push_back(lanes[0]);
  }
  scale_and_sum_squares(gradient, 1, partials);
  EXPECT_EQ(partials, expected);
}

TEST(ScaleAndSumSquares, NonFiniteValuesShowInTheirBlockAlone) {
  TestDevice device;
  for (const float bad : {nan, infinity, -infinity}) {
    const Tensor gradient = random_tensor(device, {3 * block}, DType::float32, 1);
    gradient.span<float>()[block + 5] = bad;
    Values partials(3);
    scale_and_sum_squares(gradient, 0.5f, partials);
    EXPECT_TRUE(std::isfinite(partials[0]) && std::isfinite(partials[2]));
    EXPECT_FALSE(std::isfinite(partials[1]));
  }
}

TEST(ScaleAndSumSquares, LargeFloatsDoNotOverflowTheSum) {
  TestDevice device;
  const Tensor gradient = tensor_of(device, {block}, DType::float32, Values(block, 3e38));
  Values partials(1);
  scale_and_sum_squares(gradient, 1, partials);
  EXPECT_TRUE(std::isfinite(partials[0]));
}

TEST(ScaleAndSumSquares, RefusesPartsOfBlocks) {
  TestDevice device;
  Values partials(1);
  EXPECT_THROW(scale_and_sum_squares(blank(device, {1000}, DType::float32), 1, partials), Error);
  EXPECT_THROW(scale_and_sum_squares(blank(device, {2 * block}, DType::float32), 1, partials), Error);
}

TEST(AddInOrder, AddsOneAfterAnother) {
  TestDevice device;
  const Values values{0x1p53, 1, -0x1p53};
  EXPECT_EQ(add_in_order(device, 0, values), 0);  // 1 from the other end
  EXPECT_EQ(add_in_order(device, 7, Rows{}), 7);
}

TEST(AddInOrder, GoesRowByRowAndNoFurtherThanItIsTold) {
  TestDevice device;
  const Values values{0x1p53, 1, 100, -0x1p53, 1, 100, 2, 50, 100};  // three rows, of which two are seen
  const auto sum = [&](std::size_t total) {
    return add_in_order(device, 0, {.values = values.data(), .count = 2, .stride = 3, .total = total});
  };
  EXPECT_EQ(sum(3), 0);
  EXPECT_EQ(sum(4), 1);
  EXPECT_EQ(sum(5), 3);
  EXPECT_THROW(add_in_order(device, 0, {.values = values.data(), .count = 0, .stride = 3, .total = 1}), Error);
}

TEST(ScaleAndSumSquares, GivesTheSameBitsEverywhere) {
  expect_same_bits_everywhere([](Device& on) {
    const Tensor gradient = random_tensor(on, {50 * block}, DType::float32, 1);
    Values partials(50);
    scale_and_sum_squares(gradient, 0.7f, partials);
    return bytes_of_tensors({gradient}) +
           std::string(reinterpret_cast<const char*>(partials.data()), partials.size() * sizeof(double));
  });
}

class FirstNonFinite : public EveryDType {};
INSTANTIATE_TEST_SUITE_P(DTypes, FirstNonFinite, testing::ValuesIn(floating_dtypes), dtype_name);

TEST_P(FirstNonFinite, IsFoundWhereverItIs) {
  for (const std::size_t size : odd_sizes) {
    const Tensor x = random_tensor(device, {size}, dtype, 1);
    EXPECT_EQ(first_non_finite(x), std::nullopt);
    for (const std::size_t place : {size - 1, size / 2, std::size_t{0}}) {
      for (const float bad : {nan, -nan, infinity, -infinity}) {
        write(x, place, bad);
        EXPECT_EQ(first_non_finite(x), place) << bad << " of " << size;
      }
    }
  }
  const Tensor largest = blank(device, {3}, dtype);
  for (std::size_t i = 0; i < 3; ++i) write(largest, i, dtype == DType::float16 ? 65504.0f : 3.38e38f);
  EXPECT_EQ(first_non_finite(largest), std::nullopt);
}

}  // namespace
}  // namespace tranche::ops
