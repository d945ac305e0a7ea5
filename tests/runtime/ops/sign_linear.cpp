#include "runtime/ops/sign_linear.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

SignRows rows_on(Device& device, std::size_t rows, std::size_t cols) {
  return {rows, cols, blank(device, {sign_bytes(rows, cols)}, DType::uint8), blank(device, {rows}, DType::float32)};
}
int sign(double x) { return x < 0 ? -1 : 1; }

struct Sizes {
  std::size_t rows, in, out;
};
class SignLinear : public testing::TestWithParam<Sizes> {};
INSTANTIATE_TEST_SUITE_P(Shapes, SignLinear,
                         testing::Values(Sizes{1, 1, 1}, Sizes{3, 63, 17}, Sizes{4, 64, 16}, Sizes{9, 65, 33},
                                         Sizes{5, 1027, 50}, Sizes{2, 4096, 7}));

TEST_P(SignLinear, SameBitsAsSumsOfIntegersOnEveryPath) {
  const auto [rows, in, out] = GetParam();
  on_every_test_device([&](Device& device, const std::string& name) {
    const Tensor x = random_tensor(device, {rows, in}, DType::float32, 1),
                 w = random_tensor(device, {out, in}, DType::float32, 2),
                 bias = random_tensor(device, {out}, DType::float32, 3);
    write(x, x.size() / 2, 0), write(x, 0, -0.0);
    const SignRows weight = rows_on(device, out, in);
    take_signs(w, SignScale::row_mean, weight);
    for (const SignScale scale : {SignScale::one, SignScale::row_mean}) {
      const SignRows signs = rows_on(device, rows, in);
      take_signs(x, scale, signs);
      const Tensor y = blank(device, {rows, out}, DType::float32), without = blank(device, {rows, out}, DType::float32);
      sign_linear(x, scale, weight, bias, y);
      sign_linear(x, scale, weight, {}, without);
      for (std::size_t row = 0; row < rows; ++row) {
        double mean = 0;
        for (std::size_t col = 0; col < in; ++col) mean += std::fabs(read(x, row * in + col)) / static_cast<double>(in);
        const double expected = scale == SignScale::one || mean == 0 ? 1 : mean;
        ASSERT_NEAR(read(signs.scales, row), expected, 1e-6 * expected) << name;
        for (std::size_t o = 0; o < out; ++o) {
          std::int64_t sum = 0;
          for (std::size_t col = 0; col < in; ++col) sum += sign(read(x, row * in + col)) * sign(read(w, o * in + col));
          const float product = static_cast<float>(sum) * static_cast<float>(read(weight.scales, o)) *
                                static_cast<float>(read(signs.scales, row));
          ASSERT_EQ(read(without, row * out + o), product) << name << " " << row << ", " << o;
          ASSERT_EQ(read(y, row * out + o), product + static_cast<float>(read(bias, o))) << name;
        }
      }
    }
  });
}

TEST(Signs, OfWhatIsNotFiniteOrZeroSayIt) {
  TestDevice device;
  const Tensor x = tensor_of(device, {3, 2}, DType::float32, {1, 2, 0, 0, -1, infinity});
  for (const SignScale scale : {SignScale::one, SignScale::row_mean}) {
    const SignRows signs = rows_on(device, 3, 2);
    take_signs(x, scale, signs);
    EXPECT_EQ(read(signs.scales, 0), scale == SignScale::one ? 1 : 1.5);
    EXPECT_EQ(read(signs.scales, 1), 1);
    EXPECT_TRUE(std::isnan(read(signs.scales, 2)));
  }
  const Tensor narrow = blank(device, {3, 3}, DType::float32);
  EXPECT_THROW(sign_linear(narrow, SignScale::one, rows_on(device, 4, 2), {}, blank(device, {3, 4}, DType::float32)),
               Error);
  EXPECT_THROW(sign_linear(x, SignScale::one, rows_on(device, 4, 2), {}, blank(device, {3, 5}, DType::float32)), Error);
}

}  // namespace
}  // namespace tranche::ops
