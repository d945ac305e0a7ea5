#include "runtime/ops/loss.h"

#include "tests/runtime/ops/support.h"

namespace tranche::ops {
namespace {

class CrossEntropy : public EveryDType {};
INSTANTIATE_TEST_SUITE_P(DTypes, CrossEntropy, testing::ValuesIn(floating_dtypes), dtype_name);

struct Reference {
  double loss = 0, counted = 0;
  Values log_sums, gradient;  // of a dloss of 1
};

Reference reference_of(const Tensor& logits, const Tensor& targets) {
  const std::size_t rows = logits.rows(), classes = logits.cols();
  Reference r{.log_sums = Values(rows), .gradient = Values(rows * classes)};
  for (std::size_t row = 0; row < rows; ++row) r.counted += read(targets, row) != -100 ? 1 : 0;
  for (std::size_t row = 0; row < rows; ++row) {
    double largest = -1e300, sum = 0;
    for (std::size_t c = 0; c < classes; ++c) largest = std::max(largest, read(logits, row * classes + c));
    for (std::size_t c = 0; c < classes; ++c) sum += std::exp(read(logits, row * classes + c) - largest);
    r.log_sums[row] = largest + std::log(sum);
    if (read(targets, row) == -100) continue;
    const std::size_t target = static_cast<std::size_t>(read(targets, row));
    r.loss += (r.log_sums[row] - read(logits, row * classes + target)) / r.counted;
    for (std::size_t c = 0; c < classes; ++c)
      r.gradient[row * classes + c] =
          (std::exp(read(logits, row * classes + c) - r.log_sums[row]) - (c == target ? 1 : 0)) / r.counted;
  }
  return r;
}

Tensor some_targets(Device& device, std::size_t rows, std::size_t classes) {
  Values targets(rows);
  for (std::size_t row = 0; row < rows; ++row)
    targets[row] = row % 5 == 3 ? -100.0 : static_cast<double>(row * 7919 % classes);
  return tensor_of(device, {rows}, DType::int32, targets);
}

TEST_P(CrossEntropy, AgreesWithItsFormulas) {
  for (const std::size_t classes : {1u, 2u, 7u, 15u, 16u, 17u, 1000u, 1025u}) {
    const std::size_t rows = 12;
    const Tensor logits = random_tensor(device, {rows, classes}, dtype, 1, 5);
    const Tensor targets = some_targets(device, rows, classes);
    const Tensor loss = blank(device, {1}, DType::float32), log_sums = blank(device, {rows}, DType::float32);
    const Tensor dloss = tensor_of(device, {1}, DType::float32, {1024});
    const Tensor written = blank(device, {rows, classes}, dtype),
                 added = random_tensor(device, {rows, classes}, dtype, 2);
    const Reference r = reference_of(logits, targets);
    Values gradient = r.gradient, sum = read(added);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += gradient[i] *= 1024;
    cross_entropy(logits, targets, loss, log_sums);
    cross_entropy_gradient(dloss, logits, targets, log_sums, {written, false});
    cross_entropy_gradient(dloss, logits, targets, log_sums, {added, true});
    expect_near(loss, {r.loss}, 2e-6);
    expect_near(log_sums, r.log_sums, 2e-6);
    expect_near(written, gradient, 3e-4);
    expect_near(added, sum, 3e-4);
    // In place.
    cross_entropy_gradient(dloss, logits, targets, log_sums, {logits, false});
    EXPECT_EQ(bytes_of_tensors({logits}), bytes_of_tensors({written}));
  }
}

TEST_P(CrossEntropy, OfIgnoredRowsAloneIsZero) {
  const Tensor logits = random_tensor(device, {2, 5}, dtype, 1), dlogits = blank(device, {2, 5}, dtype);
  const Tensor targets = tensor_of(device, {2}, DType::int32, {-100, -100});
  const Tensor loss = blank(device, {1}, DType::float32), log_sums = blank(device, {2}, DType::float32);
  cross_entropy(logits, targets, loss, log_sums);
  EXPECT_EQ(read(loss, 0), 0.0);
  cross_entropy_gradient(tensor_of(device, {1}, DType::float32, {1}), logits, targets, log_sums, {dlogits, false});
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(read(dlogits, i), 0.0);
  const Values before = read(logits);
  cross_entropy_gradient(tensor_of(device, {1}, DType::float32, {1}), logits, targets, log_sums, {logits, true});
  EXPECT_EQ(read(logits), before);
}

TEST(CrossEntropyValues, LargeLogitsDoNotOverflow) {
  TestDevice device;
  const Tensor logits = tensor_of(device, {2, 3}, DType::float32, {3e38, -3e38, 0, -infinity, 100, 100});
  const Tensor targets = tensor_of(device, {2}, DType::int32, {0, 1});
  const Tensor loss = blank(device, {1}, DType::float32), log_sums = blank(device, {2}, DType::float32);
  cross_entropy(logits, targets, loss, log_sums);
  EXPECT_NEAR(read(loss, 0), std::log(2.0) / 2, 1e-5);
}

TEST(CrossEntropyValues, NonFiniteLogitsShow) {
  TestDevice device;
  for (const float bad : {nan, infinity}) {
    const Tensor logits = random_tensor(device, {3, 40}, DType::float32, 1);
    logits.span<float>()[50] = bad;
    const Tensor targets = tensor_of(device, {3}, DType::int32, {1, 2, 3});
    const Tensor loss = blank(device, {1}, DType::float32), log_sums = blank(device, {3}, DType::float32);
    cross_entropy(logits, targets, loss, log_sums);
    EXPECT_TRUE(std::isnan(read(loss, 0)));
    EXPECT_TRUE(std::isfinite(read(log_sums, 0)));
  }
}

TEST(CrossEntropyTargets, OutsideTheClassesAreNamed) {
  TestDevice device;
  const Tensor logits = random_tensor(device, {3, 10}, DType::float32, 1);
  const Tensor loss = blank(device, {1}, DType::float32), log_sums = blank(device, {3}, DType::float32);
  const Tensor targets = tensor_of(device, {3}, DType::int32, {-100, 9, 10});
  try {
    cross_entropy(logits, targets, loss, log_sums);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cross_entropy: target 2 is 10, expected 0 to 9 or -100");
    EXPECT_EQ(error.exit(), Exit::data);
  }
  EXPECT_THROW(cross_entropy_gradient(loss, logits, targets, log_sums, {logits, false}), Error);
}

TEST_P(CrossEntropy, GivesTheSameBitsEverywhere) {
  expect_same_bits_everywhere([&](Device& on) {
    const std::size_t rows = 40, classes = 5003;
    const Tensor logits = random_tensor(on, {rows, classes}, dtype, 1, 3), targets = some_targets(on, rows, classes);
    const Tensor loss = blank(on, {1}, DType::float32), log_sums = blank(on, {rows}, DType::float32);
    cross_entropy(logits, targets, loss, log_sums);
    cross_entropy_gradient(loss, logits, targets, log_sums, {logits, false});
    return bytes_of_tensors({loss, log_sums, logits});
  });
}

}  // namespace
}  // namespace tranche::ops
