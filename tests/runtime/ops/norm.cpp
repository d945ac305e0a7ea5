#include "runtime/ops/norm.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

class Norms : public EveryDType {};
INSTANTIATE_TEST_SUITE_P(DTypes, Norms, testing::ValuesIn(floating_dtypes), dtype_name);

constexpr float epsilon = 1e-5f;
constexpr std::size_t widths[] = {2, 7, 15, 16, 17, 1000, 1023, 1025};
// float32's error in a normalised value of size about 4, and in sums of such
constexpr double error = 4e-6, sum_error = 1e-4;

struct Row {
  double mean = 0, rstd = 0;
};
// The statistics of a row; rms norm's mean is 0.
Row statistics_of(const Tensor& x, std::size_t row, bool centred) {
  const std::size_t width = x.cols();
  double mean = 0, variance = 0;
  if (centred)
    for (std::size_t c = 0; c < width; ++c) mean += read(x, row * width + c) / static_cast<double>(width);
  for (std::size_t c = 0; c < width; ++c) {
    const double d = read(x, row * width + c) - mean;
    variance += d * d / static_cast<double>(width);
  }
  return {mean, 1 / std::sqrt(variance + double{epsilon})};
}

// dx by the chain rule, without simplification: each output's derivative by each input.
Values input_gradient(const Tensor& dy, const Tensor& x, const Tensor& gain, bool centred) {
  const std::size_t rows = x.rows(), width = x.cols();
  const double n = static_cast<double>(width);
  Values dx(rows * width);
  for (std::size_t row = 0; row < rows; ++row) {
    const Row s = statistics_of(x, row, centred);
    for (std::size_t j = 0; j < width; ++j) {
      const double xj = read(x, row * width + j) - s.mean;
      for (std::size_t i = 0; i < width; ++i) {
        const double xi = read(x, row * width + i) - s.mean;
        const double centre = (i == j ? 1.0 : 0.0) - (centred ? 1 / n : 0.0);
        const double derivative = centre * s.rstd - xi * xj / n * s.rstd * s.rstd * s.rstd;
        dx[row * width + j] += read(dy, row * width + i) * read(gain, i) * derivative;
      }
    }
  }
  return dx;
}

TEST_P(Norms, LayerNormAgreesWithItsFormula) {
  for (const std::size_t width : widths) {
    const Tensor x = random_tensor(device, {5, width}, dtype, 1), y = blank(device, {5, width}, dtype);
    const Tensor gain = random_tensor(device, {width}, dtype, 2), bias = random_tensor(device, {width}, dtype, 3);
    const Tensor statistics = blank(device, {5, 2}, DType::float32);
    for (const bool with_bias : {true, false}) {
      layer_norm(x, gain, with_bias ? bias : Tensor{}, epsilon, y, statistics);
      Values expected(5 * width), expected_statistics;
      for (std::size_t row = 0; row < 5; ++row) {
        const Row s = statistics_of(x, row, true);
        expected_statistics.insert(expected_statistics.end(), {s.mean, s.rstd});
        for (std::size_t c = 0; c < width; ++c)
          expected[row * width + c] =
              read(gain, c) * (read(x, row * width + c) - s.mean) * s.rstd + (with_bias ? read(bias, c) : 0.0);
      }
      expect_near(y, expected, 20 * error);
      for (std::size_t i = 0; i < 10; ++i)
        EXPECT_NEAR(read(statistics, i), expected_statistics[i], 1e-5 * (1 + std::fabs(expected_statistics[i])));
    }
  }
}

TEST_P(Norms, LayerNormOfALargeMeanKeepsItsVariance) {
  const std::size_t width = 1024;
  Values values = numbers(width, 1);
  for (double& v : values) v += 1000;
  const Tensor x = tensor_of(device, {1, width}, DType::float32, values), y = blank(device, {1, width}, DType::float32);
  const Tensor gain = tensor_of(device, {width}, DType::float32, Values(width, 1.0));
  const Tensor statistics = blank(device, {1, 2}, DType::float32);
  layer_norm(x, gain, {}, epsilon, y, statistics);
  EXPECT_NEAR(read(statistics, 1), statistics_of(x, 0, true).rstd, 1e-4);  // two passes: no cancellation
}

TEST_P(Norms, LayerNormInputGradientsAgreeWithTheChainRule) {
  for (const std::size_t width : {2u, 7u, 16u, 17u, 301u}) {
    const Tensor x = random_tensor(device, {3, width}, dtype, 1), dy = random_tensor(device, {3, width}, dtype, 2);
    const Tensor gain = random_tensor(device, {width}, dtype, 3), y = blank(device, {3, width}, dtype);
    const Tensor statistics = blank(device, {3, 2}, DType::float32);
    layer_norm(x, gain, {}, epsilon, y, statistics);
    const Values expected = input_gradient(dy, x, gain, true);
    const Tensor written = blank(device, {3, width}, dtype), added = random_tensor(device, {3, width}, dtype, 4);
    Values sum = read(added);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += expected[i];
    layer_norm_input_gradient(dy, x, gain, statistics, {written, false});
    layer_norm_input_gradient(dy, x, gain, statistics, {added, true});
    double largest_rstd = 1;
    for (std::size_t row = 0; row < 3; ++row) largest_rstd = std::max(largest_rstd, read(statistics, 2 * row + 1));
    expect_near(written, expected, 10 * error * largest_rstd);
    expect_near(added, sum, 10 * error * largest_rstd);
  }
}

TEST_P(Norms, LayerNormParameterGradientsAreSumsOverRows) {
  for (const std::size_t rows : {1u, 63u, 64u, 65u, 200u}) {
    const std::size_t width = 259;
    const Tensor x = random_tensor(device, {rows, width}, dtype, 1),
                 dy = random_tensor(device, {rows, width}, dtype, 2);
    const Tensor gain = random_tensor(device, {width}, dtype, 3), y = blank(device, {rows, width}, dtype);
    const Tensor statistics = blank(device, {rows, 2}, DType::float32);
    layer_norm(x, gain, {}, epsilon, y, statistics);
    const Tensor dgain = blank(device, {width}, dtype), dbias = random_tensor(device, {width}, dtype, 4);
    Values expected_dgain(width), expected_dbias = read(dbias);
    for (std::size_t row = 0; row < rows; ++row) {
      const Row s = statistics_of(x, row, true);
      for (std::size_t c = 0; c < width; ++c) {
        const double d = read(dy, row * width + c);
        expected_dgain[c] += d * (read(x, row * width + c) - s.mean) * s.rstd;
        expected_dbias[c] += d;
      }
    }
    layer_norm_parameter_gradients(dy, x, statistics, {dgain, false}, {dbias, true});
    expect_near(dgain, expected_dgain, sum_error);
    expect_near(dbias, expected_dbias, sum_error);
    const Tensor alone = blank(device, {width}, dtype);
    layer_norm_parameter_gradients(dy, x, statistics, {alone, false}, {});
    EXPECT_EQ(bytes_of_tensors({alone}), bytes_of_tensors({dgain}));
  }
}

TEST_P(Norms, RmsNormAgreesWithItsFormulas) {
  for (const std::size_t width : {2u, 7u, 16u, 17u, 301u}) {
    const std::size_t rows = 70;
    const Tensor x = random_tensor(device, {rows, width}, dtype, 1),
                 dy = random_tensor(device, {rows, width}, dtype, 2);
    const Tensor gain = random_tensor(device, {width}, dtype, 3), y = blank(device, {rows, width}, dtype);
    const Tensor statistics = blank(device, {rows}, DType::float32);
    const Tensor dx = blank(device, {rows, width}, dtype), dgain = random_tensor(device, {width}, dtype, 4);
    Values expected(rows * width), expected_dgain = read(dgain);
    double largest_rstd = 1;
    for (std::size_t row = 0; row < rows; ++row) {
      const Row s = statistics_of(x, row, false);
      largest_rstd = std::max(largest_rstd, s.rstd);
      for (std::size_t c = 0; c < width; ++c) {
        const double normal = read(x, row * width + c) * s.rstd;
        expected[row * width + c] = read(gain, c) * normal;
        expected_dgain[c] += read(dy, row * width + c) * normal;
      }
    }
    rms_norm(x, gain, epsilon, y, statistics);
    rms_norm_input_gradient(dy, x, gain, statistics, {dx, false});
    rms_norm_parameter_gradient(dy, x, statistics, {dgain, true});
    expect_near(y, expected, 10 * error);
    expect_near(dx, input_gradient(dy, x, gain, false), 10 * error * largest_rstd);
    expect_near(dgain, expected_dgain, sum_error);
  }
}

TEST_P(Norms, GiveTheSameBitsEverywhere) {
  expect_same_bits_everywhere([&](Device& on) {
    const std::size_t rows = 150, width = 1003;
    const Tensor x = random_tensor(on, {rows, width}, dtype, 1), dy = random_tensor(on, {rows, width}, dtype, 2);
    const Tensor gain = random_tensor(on, {width}, dtype, 3), bias = random_tensor(on, {width}, dtype, 4);
    const Tensor y = blank(on, {rows, width}, dtype), dx = blank(on, {rows, width}, dtype);
    const Tensor statistics = blank(on, {rows, 2}, DType::float32), rms = blank(on, {rows}, DType::float32);
    const Tensor dgain = blank(on, {width}, dtype), dbias = blank(on, {width}, dtype);
    layer_norm(x, gain, bias, epsilon, y, statistics);
    layer_norm_input_gradient(dy, x, gain, statistics, {dx, false});
    layer_norm_parameter_gradients(dy, x, statistics, {dgain, false}, {dbias, false});
    std::string bytes = bytes_of_tensors({y, statistics, dx, dgain, dbias});
    rms_norm(x, gain, epsilon, y, rms);
    rms_norm_input_gradient(dy, x, gain, rms, {dx, true});
    rms_norm_parameter_gradient(dy, x, rms, {dgain, true});
    return bytes + bytes_of_tensors({y, rms, dx, dgain});
  });
}

TEST(NormArguments, ThatDoNotMatchAreRefused) {
  TestDevice device;
  const Tensor x = random_tensor(device, {4, 8}, DType::float32, 1),
               gain = random_tensor(device, {8}, DType::float32, 2);
  const Tensor statistics = blank(device, {4, 2}, DType::float32), small = blank(device, {4}, DType::float32);
  EXPECT_THROW(layer_norm(x, gain, {}, epsilon, x, small), Error);
  EXPECT_THROW(layer_norm(x, small, {}, epsilon, x, statistics), Error);
  EXPECT_THROW(rms_norm(x, gain, epsilon, x, statistics), Error);
}

}  // namespace
}  // namespace tranche::ops
