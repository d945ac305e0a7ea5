#include "runtime/ops/activation.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

class Activations : public EveryDType {};
INSTANTIATE_TEST_SUITE_P(DTypes, Activations, testing::ValuesIn(floating_dtypes), dtype_name);

constexpr Activation kinds[] = {Activation::gelu_tanh, Activation::gelu_erf, Activation::silu, Activation::relu};
const double pi = std::acos(-1.0);

double value(Activation kind, double x) {
  switch (kind) {
    case Activation::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_erf: return 0.5 * x * std::erfc(-x * std::sqrt(0.5));
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::relu: break;
  }
  return std::max(x, 0.0);
}

double slope(Activation kind, double x) {
  switch (kind) {
    case Activation::gelu_tanh: {
      const double t = std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x);
    }
    case Activation::gelu_erf:
      return 0.5 * std::erfc(-x * std::sqrt(0.5)) + x * std::exp(-x * x / 2) / std::sqrt(2 * pi);
    case Activation::silu: {
      const double s = 1 / (1 + std::exp(-x));
      return s + x * s * (1 - s);
    }
    case Activation::relu: break;
  }
  return x > 0 ? 1 : 0;
}

TEST(ActivationReferences, SlopesAreTheDerivativesOfValues) {
  for (const Activation kind : kinds)
    for (double x = -6; x < 6; x += 0.123)
      EXPECT_NEAR(slope(kind, x), (value(kind, x + 1e-5) - value(kind, x - 1e-5)) / 2e-5, 1e-8);
}

TEST_P(Activations, AgreeWithTheirFormulas) {
  for (const Activation kind : kinds) {
    for (const std::size_t size : odd_sizes) {
      const Tensor x = random_tensor(device, {size}, dtype, 1, 3), y = blank(device, {size}, dtype);
      activate(kind, x, y);
      Values expected = read(x);
      for (double& v : expected) v = value(kind, v);
      expect_near(y, expected, 1e-6);
    }
  }
}

TEST_P(Activations, GradientsAreWrittenOrAdded) {
  for (const Activation kind : kinds) {
    for (const std::size_t size : odd_sizes) {
      const Tensor x = random_tensor(device, {size}, dtype, 1, 3), dy = random_tensor(device, {size}, dtype, 2);
      const Tensor written = blank(device, {size}, dtype), added = random_tensor(device, {size}, dtype, 3);
      Values expected(size), sum = read(added);
      for (std::size_t i = 0; i < size; ++i) {
        expected[i] = read(dy, i) * slope(kind, read(x, i));
        sum[i] += expected[i];
      }
      activate_gradient(kind, dy, x, {written, false});
      activate_gradient(kind, dy, x, {added, true});
      expect_near(written, expected, 3e-6);
      expect_near(added, sum, 3e-6);
    }
  }
}

TEST_P(Activations, GatedAgreesWithItsFormulas) {
  for (const Activation kind : kinds) {
    const std::size_t size = 1025;
    const Tensor gate = random_tensor(device, {size}, dtype, 1, 3), up = random_tensor(device, {size}, dtype, 2);
    const Tensor dy = random_tensor(device, {size}, dtype, 3), y = blank(device, {size}, dtype);
    const Tensor dgate = blank(device, {size}, dtype), dup = random_tensor(device, {size}, dtype, 4);
    Values expected(size), expected_dgate(size), expected_dup = read(dup);
    for (std::size_t i = 0; i < size; ++i) {
      const double g = read(gate, i), u = read(up, i), d = read(dy, i);
      expected[i] = value(kind, g) * u;
      expected_dgate[i] = d * u * slope(kind, g);
      expected_dup[i] += d * value(kind, g);
    }
    gated(kind, gate, up, y);
    gated_gradient(kind, dy, gate, up, {dgate, false}, {dup, true});
    expect_near(y, expected, 1e-5);
    expect_near(dgate, expected_dgate, 1e-5);
    expect_near(dup, expected_dup, 1e-5);
    // One of the two gradients alone.
    const Tensor alone = blank(device, {size}, dtype);
    gated_gradient(kind, dy, gate, up, {alone, false}, {});
    EXPECT_EQ(bytes_of_tensors({alone}), bytes_of_tensors({dgate}));
  }
}

TEST_P(Activations, LargeAndNonFiniteInputsGiveTheLimits) {
  const double large = dtype == DType::float16 ? 65504 : 1e30;
  for (const Activation kind : kinds) {
    const Tensor x = tensor_of(device, {5}, dtype, {large, -large, nan, infinity, 0}), y = blank(device, {5}, dtype);
    const Tensor ones = tensor_of(device, {5}, dtype, {1, 1, 1, 1, 1}), dx = blank(device, {5}, dtype);
    activate(kind, x, y);
    activate_gradient(kind, ones, x, {dx, false});
    EXPECT_EQ(read(y, 0), read(x, 0));
    EXPECT_EQ(read(y, 1), 0.0);
    EXPECT_TRUE(std::isnan(read(y, 2)));
    EXPECT_EQ(read(y, 3), infinity);
    EXPECT_EQ(read(y, 4), 0.0);
    EXPECT_EQ(read(dx, 0), 1.0);
    EXPECT_EQ(read(dx, 1), 0.0);
    EXPECT_TRUE(std::isnan(read(dx, 2)));
    EXPECT_EQ(read(dx, 3), 1.0);
  }
}

TEST_P(Activations, GiveTheSameBitsEverywhere) {
  for (const Activation kind : kinds) {
    expect_same_bits_everywhere([&](Device& on) {
      const Shape shape{3, 11003};
      const Tensor x = random_tensor(on, shape, dtype, 1, 4), dy = random_tensor(on, shape, dtype, 2);
      const Tensor y = blank(on, shape, dtype), dx = random_tensor(on, shape, dtype, 3),
                   gated_y = blank(on, shape, dtype);
      const Tensor dgate = blank(on, shape, dtype), dup = blank(on, shape, dtype);
      activate(kind, x, y);
      activate_gradient(kind, dy, x, {dx, true});
      gated(kind, x, dy, gated_y);
      gated_gradient(kind, dy, x, y, {dgate, false}, {dup, false});
      return bytes_of_tensors({y, dx, gated_y, dgate, dup});
    });
  }
}

TEST(ActivationArguments, ThatDoNotMatchAreNamed) {
  TestDevice device;
  const Tensor x = random_tensor(device, {4, 4}, DType::float32, 1), half = blank(device, {4, 4}, DType::float16);
  const Tensor small = blank(device, {3}, DType::float32);
  EXPECT_THROW(activate(Activation::relu, x, half), Error);
  try {
    activate(Activation::relu, x, small);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "activate: y has shape [3], expected 16 elements");
  }
}

}  // namespace
}  // namespace tranche::ops
