#include "runtime/ops/sparse_linear.h"

#include <bit>

#include "runtime/ops/linear.h"
#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

enum class Left { nothing, tenth, half, two_of_four, all };

// A weight of which so much is left; every fifth row has nothing, where there is anything to choose.
Tensor pruned(Device& device, std::size_t out, std::size_t in, Left left) {
  const Tensor weight = random_tensor(device, {out, in}, DType::float32, 2);
  const RandomKey key = RandomKey{1, Purpose::sampling}(3);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const float number = uniform(key.number(i));
    const bool stays = left == Left::all           ? true
                       : left == Left::two_of_four ? i % 4 == i / 4 % 3 || i % 4 == i / 4 % 3 + 1
                       : left == Left::nothing     ? false
                                                   : number < (left == Left::half ? 0.5f : 0.1f) && i / in % 5 != 3;
    if (!stays) write(weight, i, 0);
  }
  return weight;
}

float at(const Tensor& tensor, std::size_t i) { return static_cast<float>(read(tensor, i)); }
// The specification: a loop over the whole weight.
float output(const Tensor& x, const Tensor& weight, const Tensor& bias, std::size_t row, std::size_t out) {
  float sum = 0;
  for (std::size_t k = 0; k < x.cols(); ++k) sum += at(x, row * x.cols() + k) * at(weight, out * x.cols() + k);
  return bias ? sum + at(bias, out) : sum;
}

struct Case {
  std::size_t rows, in, out;
  Left left;
};
class SparseLinear : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Shapes, SparseLinear,
                         testing::Values(Case{1, 1, 1, Left::all}, Case{1, 1, 1, Left::nothing},
                                         Case{3, 63, 17, Left::half}, Case{1, 300, 70, Left::half},
                                         Case{few_rows, 40, 33, Left::tenth}, Case{5, 128, 16, Left::two_of_four},
                                         Case{9, 129, 50, Left::all}, Case{2, 257, 31, Left::nothing},
                                         Case{4, 1027, 100, Left::tenth}));

TEST_P(SparseLinear, SameBitsAsALoopOverTheWholeWeightOnEveryPath) {
  const auto [rows, in, out, left] = GetParam();
  on_every_test_device([&](Device& device, const std::string& name) {
    const Tensor x = random_tensor(device, {rows, in}, DType::float32, 1), w = pruned(device, out, in, left),
                 bias = random_tensor(device, {out}, DType::float32, 4);
    const SparseWeight weight = without_zeros(w, "w");
    const Tensor y = blank(device, {rows, out}, DType::float32), without = blank(device, {rows, out}, DType::float32);
    sparse_linear(x, weight, bias, y);
    sparse_linear(x, weight, {}, without);
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(at(y, i), output(x, w, bias, i / out, i % out)) << name << " " << i / out << ", " << i % out;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(at(without, i)),
                std::bit_cast<std::uint32_t>(output(x, w, {}, i / out, i % out)))
          << name << " " << i / out << ", " << i % out;
    }
  });
}

TEST_P(SparseLinear, TakesABitAnElementAndWhatIsLeft) {
  const auto [rows, in, out, left] = GetParam();
  TestDevice device;
  const Tensor w = pruned(device, out, in, left);
  std::size_t there = 0;
  for (std::size_t i = 0; i < w.size(); ++i) there += read(w, i) != 0 ? 1 : 0;
  const SparseWeight weight = without_zeros(w, "w");
  EXPECT_EQ(weight.values.size(), there + 16);
  EXPECT_EQ(weight.places.bytes() * 8, (out + 15) / 16 * 16 * in);
}

TEST_P(SparseLinear, OfMoreRowsIsTheProductWithTheWholeWeight) {
  const auto [rows, in, out, left] = GetParam();
  TestDevice device;
  const std::size_t many = few_rows + rows;
  const Tensor x = random_tensor(device, {many, in}, DType::float32, 1), w = pruned(device, out, in, left),
               bias = random_tensor(device, {out}, DType::float32, 4);
  const Tensor y = blank(device, {many, out}, DType::float32), dense = blank(device, {many, out}, DType::float32);
  sparse_linear(x, without_zeros(w, "w"), bias, y);
  linear(x, w, bias, dense);
  EXPECT_TRUE(bytes_of_tensors({y}) == bytes_of_tensors({dense}));
}

TEST_P(SparseLinear, RowsOfATableHaveTheirZeros) {
  const auto [rows, in, out, left] = GetParam();
  TestDevice device;
  const Tensor table = pruned(device, out, in, left), numbers = blank(device, {3}, DType::int32),
               y = blank(device, {3, in}, DType::float32);
  const SparseWeight weight = without_zeros(table, "table");
  const std::size_t chosen[] = {out - 1, 0, out / 2};
  for (std::size_t i = 0; i < 3; ++i) write(numbers, i, static_cast<float>(chosen[i]));
  sparse_rows(numbers, weight, y);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(read(y, i), read(table, chosen[i / in] * in + i % in)) << i;
  write(numbers, 1, static_cast<float>(out));
  EXPECT_THROW(sparse_rows(numbers, weight, y), Error);
}

// What only looks like nothing: -0 and what is smaller than any normal number stay; a zero times infinity is no number.
TEST(SparseLinears, ZerosAreNumbers) {
  TestDevice device;
  const Tensor w = tensor_of(device, {2, 3}, DType::float32, {-0.0, 1e-42, 0, 1, 0, 0}),
               x = tensor_of(device, {2, 3}, DType::float32, {2, 3, 4, 1, infinity, 1}),
               y = blank(device, {2, 2}, DType::float32);
  const SparseWeight weight = without_zeros(w, "w");
  EXPECT_EQ(weight.values.size(), 3u + 16);
  EXPECT_TRUE(std::signbit(read(weight.values, 0)));
  sparse_linear(x, weight, {}, y);
  EXPECT_EQ(at(y, 0), 3 * 1e-42f);
  EXPECT_EQ(read(y, 1), 2);
  EXPECT_EQ(read(y, 2), static_cast<double>(infinity));
  EXPECT_TRUE(std::isnan(read(y, 3)));
}

TEST(SparseLinears, OfOtherSizesAreRefused) {
  TestDevice device;
  const SparseWeight weight = without_zeros(pruned(device, 4, 6, Left::half), "w");
  const auto multiplied = [&](Shape x, Shape y) {
    sparse_linear(blank(device, x, DType::float32), weight, {}, blank(device, y, DType::float32));
  };
  EXPECT_THROW(multiplied({3, 5}, {3, 4}), Error);
  EXPECT_THROW(multiplied({3, 6}, {3, 5}), Error);
  EXPECT_THROW(multiplied({3, 6}, {2, 4}), Error);
  EXPECT_THROW(without_zeros(blank(device, {4}, DType::float32), "w"), Error);
}

}  // namespace
}  // namespace tranche::ops
