#include "runtime/ops/elementwise.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

class Elementwise : public EveryDType {};
INSTANTIATE_TEST_SUITE_P(DTypes, Elementwise, testing::ValuesIn(floating_dtypes), dtype_name);

// What an exact sum or product in float32 becomes.
void expect_exactly(const Tensor& tensor, const Values& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(read(tensor, i), double{rounded(expected[i], tensor.dtype())}) << "element " << i;
}

TEST_P(Elementwise, AddIsRoundedOnceAndMayBeInPlace) {
  for (const std::size_t size : odd_sizes) {
    const Tensor a = random_tensor(device, {size}, dtype, 1), b = random_tensor(device, {size}, dtype, 2);
    const Tensor y = blank(device, {size}, dtype);
    Values expected(size);
    for (std::size_t i = 0; i < size; ++i)
      expected[i] = double{static_cast<float>(read(a, i)) + static_cast<float>(read(b, i))};
    add(a, b, y);
    expect_exactly(y, expected);
    const Tensor c = tensor_of(device, {size}, dtype, read(b));
    add(a, b, b);
    expect_exactly(b, expected);
    add(a, c, a);
    expect_exactly(a, expected);
    add(c, c, c);
    Values twice = read(y);
    for (std::size_t i = 0; i < size; ++i) twice[i] = read(c, i);
    expect_exactly(c, twice);
  }
}

TEST_P(Elementwise, StoreWritesOrAdds) {
  for (const std::size_t size : odd_sizes) {
    const Tensor from = random_tensor(device, {size}, dtype, 1), written = blank(device, {size}, dtype);
    const Tensor added = random_tensor(device, {size}, dtype, 2);
    Values sum(size);
    for (std::size_t i = 0; i < size; ++i)
      sum[i] = double{static_cast<float>(read(from, i)) + static_cast<float>(read(added, i))};
    store(from, {written, false});
    store(from, {added, true});
    EXPECT_EQ(bytes_of_tensors({written}), bytes_of_tensors({from}));
    expect_exactly(added, sum);
  }
}

TEST_P(Elementwise, StoreTakesOtherDtypes) {
  for (const DType other : floating_dtypes) {
    const Tensor from = random_tensor(device, {1023}, other, 1), written = blank(device, {1023}, dtype);
    const Tensor added = random_tensor(device, {1023}, dtype, 2);
    Values sum(from.size());
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] = double{static_cast<float>(read(from, i)) + static_cast<float>(read(added, i))};
    store(from, {written, false});
    store(from, {added, true});
    expect_exactly(written, read(from));
    expect_exactly(added, sum);
  }
}

TEST_P(Elementwise, ConvertRoundsToNearestEven) {
  for (const DType other : floating_dtypes) {
    const Tensor x = random_tensor(device, {1023}, other, 1), y = blank(device, {1023}, dtype);
    convert(x, y);
    expect_exactly(y, read(x));
    const Tensor special = tensor_of(device, {3}, other, {nan, infinity, -infinity}), z = blank(device, {3}, dtype);
    convert(special, z);
    EXPECT_TRUE(std::isnan(read(z, 0)));
    EXPECT_EQ(read(z, 1), infinity);
    EXPECT_EQ(read(z, 2), -infinity);
  }
}

TEST_P(Elementwise, ScaleMultipliesInFloat32) {
  const Tensor x = random_tensor(device, {1025}, dtype, 1);
  Values expected = read(x);
  for (double& v : expected) v = double{static_cast<float>(v) * 0.3f};
  scale(x, 0.3f);
  expect_exactly(x, expected);
}

TEST_P(Elementwise, AccumulateAddsExactly) {
  for (const std::size_t size : odd_sizes) {
    const Tensor from = random_tensor(device, {size}, dtype, 1);
    const Tensor sum = random_tensor(device, {size}, DType::float32, 2);
    Values expected(size);
    for (std::size_t i = 0; i < size; ++i)
      expected[i] = double{static_cast<float>(read(sum, i)) + static_cast<float>(read(from, i))};
    accumulate(from.byte_span(), dtype, sum);
    expect_exactly(sum, expected);
  }
}

TEST(Accumulate, RefusesSizesThatDoNotMatch) {
  TestDevice device;
  const std::vector<std::byte> from(10);
  const Tensor sum = blank(device, {4}, DType::float32);
  EXPECT_THROW(accumulate(from, DType::bfloat16, sum), Error);
  EXPECT_THROW(accumulate(from, DType::int32, sum.view(0, {2})), Error);
}

TEST_P(Elementwise, DropoutIsAFunctionOfTheElementsNumber) {
  const RandomKey key = RandomKey{5, Purpose::dropout}(2)(7);
  for (const std::size_t size : odd_sizes) {
    const Tensor x = random_tensor(device, {size}, dtype, 1), y = blank(device, {size}, dtype);
    const Tensor dx = random_tensor(device, {size}, dtype, 2);
    Values expected(size), sum(size);
    for (std::size_t i = 0; i < size; ++i) {
      const bool is_kept = uniform(key.number(i)) >= 0.3f;
      const float scaled = is_kept ? static_cast<float>(read(x, i)) / (1.0f - 0.3f) : 0.0f;
      expected[i] = double{scaled};
      sum[i] = double{static_cast<float>(read(dx, i)) + scaled};
    }
    dropout(x, 0.3f, key, y);
    dropout_gradient(x, 0.3f, key, {dx, true});
    expect_exactly(y, expected);
    expect_exactly(dx, sum);
  }
}

TEST(Dropout, KeepsTheExpectedShareAndRefusesOne) {
  TestDevice device;
  const Tensor x = Tensor::empty(device, "x", Category::activations, {100000}, DType::float32);
  fill_constant(x, 1);
  dropout(x, 0.25f, RandomKey{1, Purpose::dropout}, x);
  double kept = 0;
  for (const float v : x.span<float>()) kept += v != 0 ? 1 : 0;
  EXPECT_NEAR(kept / 100000, 0.75, 0.006);  // four standard deviations
  EXPECT_THROW(dropout(x, 1.0f, {}, x), Error);
  EXPECT_THROW(dropout(x, -0.1f, {}, x), Error);
  EXPECT_THROW(dropout(x, nan, {}, x), Error);
}

TEST(FillNormal, IsAFunctionOfTheElementsNumber) {
  TestDevice device{2};
  const RandomKey key = RandomKey{1, Purpose::initialise}(9);
  const Tensor whole = blank(device, {40000}, DType::float32);
  fill_normal(whole, key, 0, 0.5f, 2);
  for (const std::size_t first : {1u, 2u, 3u, 4u, 63u, 64u, 65u, 16383u, 16385u, 20001u}) {
    for (const std::size_t size : {1u, 5u, 64u, 1000u, 16384u}) {
      const Tensor part = blank(device, {size}, DType::float32);
      fill_normal(part, key, first, 0.5f, 2);
      ASSERT_EQ(bytes_of_tensors({part}), bytes_of_tensors({whole.view(first, {size})})) << first << " " << size;
    }
  }
}

TEST(FillNormal, AgreesWithBoxAndMullerInDouble) {
  TestDevice device;
  const RandomKey key{3, Purpose::initialise};
  const std::uint64_t first = (std::uint64_t{1} << 33) + 4;
  const Tensor x = blank(device, {4096}, DType::float32);
  fill_normal(x, key, first, 0, 1);
  for (std::size_t i = 0; i < x.size(); i += 2) {
    const double u = ((key.number(first + i) >> 8) + 1.0) / 16777216, v = (key.number(first + i + 1) >> 8) / 16777216.0;
    const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::acos(-1.0) * v;
    EXPECT_NEAR(read(x, i), radius * std::cos(angle), 2e-6);
    EXPECT_NEAR(read(x, i + 1), radius * std::sin(angle), 2e-6);
  }
}

TEST(FillNormal, HasTheMomentsAndTailsOfTheNormalDistribution) {
  TestDevice device;
  const Tensor x = blank(device, {1000000}, DType::float32);
  fill_normal(x, RandomKey{1, Purpose::initialise}, 0, 0, 1);
  double mean = 0, square = 0, fourth = 0, neighbours = 0, beyond_three = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double z = read(x, i);
    ASSERT_TRUE(std::isfinite(z));
    mean += z;
    square += z * z;
    fourth += z * z * z * z;
    neighbours += i == 0 ? 0 : z * read(x, i - 1);
    beyond_three += std::fabs(z) > 3 ? 1 : 0;
  }
  EXPECT_NEAR(mean / 1e6, 0, 4e-3);
  EXPECT_NEAR(square / 1e6, 1, 6e-3);
  EXPECT_NEAR(fourth / 1e6, 3, 4e-2);
  EXPECT_NEAR(neighbours / 1e6, 0, 4e-3);
  EXPECT_NEAR(beyond_three / 1e6, 0.0026998, 2.1e-4);
}

TEST_P(Elementwise, FillConstantFills) {
  const Tensor x = blank(device, {1025}, dtype);
  fill_constant(x, 0.3f);
  expect_exactly(x, Values(1025, double{0.3f}));
}

TEST_P(Elementwise, GivesTheSameBitsEverywhere) {
  expect_same_bits_everywhere([&](Device& on) {
    const Shape shape{3, 11003};
    const Tensor x = random_tensor(on, shape, dtype, 1), y = random_tensor(on, shape, dtype, 2);
    const Tensor dropped = blank(on, shape, dtype), normal = blank(on, shape, DType::float32);
    const Tensor narrow = blank(on, shape, dtype);
    add(x, y, y);
    store(x, {y, true});
    scale(y, 1.1f);
    dropout(y, 0.1f, RandomKey{1, Purpose::dropout}, dropped);
    fill_normal(normal, RandomKey{1, Purpose::initialise}, 3, 0, 1);
    convert(normal, narrow);
    accumulate(x.byte_span(), dtype, normal);
    return bytes_of_tensors({y, dropped, normal, narrow});
  });
}

}  // namespace
}  // namespace tranche::ops
