#include <gtest/gtest.h>

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/nn/dropout.h"
#include "runtime/nn/embedding.h"
#include "runtime/nn/moment.h"

namespace tranche {
namespace {

std::vector<float> copy(const Tensor& x) { return {x.span<float>().begin(), x.span<float>().end()}; }

class Dropouts : public ::testing::Test {
 protected:
  Dropouts() {
    for (float& v : ones_.span<float>()) v = 1;
    Moment::now() = {};
  }
  ~Dropouts() override { Moment::now() = {}; }

  CpuDevice device_;
  DropoutMode mode_{.seed = 1, .training = true};
  Tensor ones_ = Tensor::empty(device_, "ones", Category::activations, {10, 100, 10}, DType::float32);
};

TEST_F(Dropouts, KeepTheExpectedShareAndTheMean) {
  const Dropout layer{"dropout", 0.2, mode_};
  std::size_t dropped = 0;
  for (const float y : copy(layer.forward(ones_))) {
    EXPECT_TRUE(y == 0 || y == 1.25f);
    dropped += y == 0;
  }
  EXPECT_NEAR(static_cast<double>(dropped), 2000, 5 * 40);  // five standard deviations
}

TEST_F(Dropouts, DependOnSeedNameStepAndMicroBatch) {
  const Dropout layer{"dropout", 0.5, mode_}, other{"other", 0.5, mode_};
  const std::vector<float> first = copy(layer.forward(ones_));
  EXPECT_EQ(copy(layer.forward(ones_)), first);
  EXPECT_NE(copy(other.forward(ones_)), first);
  Moment::now().step = 1;
  EXPECT_NE(copy(layer.forward(ones_)), first);
  Moment::now() = {.step = 0, .micro_batch = 1};
  EXPECT_NE(copy(layer.forward(ones_)), first);
  Moment::now() = {};
  mode_.seed = 2;
  EXPECT_NE(copy(layer.forward(ones_)), first);
  EXPECT_NE(layer.of_weights().key.bits(), other.of_weights().key.bits());
}

TEST_F(Dropouts, AreOffInEvaluation) {
  const Dropout layer{"dropout", 0.5, mode_};
  mode_.training = false;
  EXPECT_EQ(layer.forward(ones_).data(), ones_.data());
  EXPECT_EQ(layer.of_weights().probability, 0);
}

TEST_F(Dropouts, RefuseAProbabilityOfOne) {
  EXPECT_THROW((Dropout{"dropout", 1.0, mode_}), Error);
  EXPECT_THROW((Dropout{"dropout", -0.1, mode_}), Error);
}

TEST(Positions, StartAgainWithEveryRow) {
  CpuDevice device;
  const Tensor tokens = Tensor::zeros(device, "tokens", Category::activations, {2, 3}, DType::int32);
  const Tensor numbers = position_numbers(tokens);
  const std::span<const std::int32_t> found = numbers.span<std::int32_t>();
  EXPECT_EQ(std::vector(found.begin(), found.end()), (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}));
}

}  // namespace
}  // namespace tranche
