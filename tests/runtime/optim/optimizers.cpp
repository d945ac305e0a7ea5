#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/optim/clip.h"
#include "runtime/optim/optimizer.h"

namespace tranche {
namespace {

// One unit of four weights, owned whole; its gradients are those of fixtures/optimizers.py.
class Optimizers : public ::testing::Test {
 protected:
  static constexpr std::size_t count = 4;

  Optimizers() { reset(); }

  void reset() {
    const float start[count] = {0.5f, -1.25f, 2.0f, 0.03125f};
    owned_ = {{&unit_, 0, count, Tensor::zeros(device_, "weights", Category::parameters, {1, count}, DType::bfloat16)}};
    placement_ = std::make_unique<ResidentPlacement>(Precision{DType::bfloat16});
    placement_->adopt(owned_, 1);
    std::copy(start, start + count, masters().begin());
    placement_->round();
  }
  std::span<float> masters() { return placement_->borrow(0, 0).span<float>(); }

  Shards gradients(int step) {
    const Tensor shard = Tensor::zeros(device_, "gradient", Category::gradients, {1, count}, DType::float32);
    for (int i = 0; i < 4; ++i)
      shard.span<float>()[static_cast<std::size_t>(i)] = static_cast<float>((step * 7 + i * 13) % 31 - 15) / 16;
    return {shard};
  }

  void expect_after_25_steps(Optimizer& optimizer, double rate, const double (&expected)[count]) {
    for (int step = 0; step < 25; ++step) optimizer.update(gradients(step), {rate}, static_cast<std::uint64_t>(step));
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_NEAR(static_cast<double>(masters()[i]), expected[i], 2e-6) << i;
      EXPECT_EQ(owned_[0].working.span<bfloat16>()[i].bits, from_float<bfloat16>(masters()[i]).bits);
    }
  }

  CpuDevice device_;
  Parameter weights_{.name = "weights", .shape = {count}};
  Unit unit_{"unit", {&weights_}, [](const Tensor& x) { return x; }};
  std::vector<Owned> owned_;
  std::unique_ptr<ResidentPlacement> placement_;
};

TEST_F(Optimizers, AdamWIsPyTorchs) {
  const auto optimizer = make_adam({.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.1}, *placement_);
  expect_after_25_steps(*optimizer, 0.02, {0.558676265, -1.168384727, 1.885422786, 0.027016302});
}

TEST_F(Optimizers, AdamWithL2IsPyTorchs) {
  const auto optimizer = make_adam({.epsilon = 1e-6, .weight_decay = 0.05, .decoupled = false}, *placement_);
  expect_after_25_steps(*optimizer, 0.02, {0.564324616, -1.173669079, 1.904466893, 0.026354672});
}

TEST_F(Optimizers, SgdIsPyTorchs) {
  const auto optimizer = make_sgd({}, *placement_);
  expect_after_25_steps(*optimizer, 0.05, {0.534375000, -1.262500000, 2.037500000, 0.021875000});
  EXPECT_EQ(placement_->kinds(), std::vector<std::string>{"parameters"});  // no momentum, no state
}

TEST_F(Optimizers, SgdWithMomentumIsPyTorchs) {
  const auto optimizer = make_sgd({.momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01}, *placement_);
  expect_after_25_steps(*optimizer, 0.05, {0.865037589, -0.988232185, 1.808045429, -0.149237747});
}

TEST_F(Optimizers, NesterovIsPyTorchs) {
  const auto optimizer = make_sgd({.momentum = 0.9, .nesterov = true}, *placement_);
  expect_after_25_steps(*optimizer, 0.05, {0.914803238, -1.095674479, 2.018453886, -0.181815876});
}

// A checkpoint holds masters, states and the number of updates: nothing else may be needed to go on.
TEST_F(Optimizers, ContinueFromTheirStates) {
  const auto whole = make_adam({.weight_decay = 0.1}, *placement_);
  for (int step = 0; step < 10; ++step) whole->update(gradients(step), {0.01}, static_cast<std::uint64_t>(step));
  std::vector<float> expected{masters().begin(), masters().end()};

  reset();
  const auto before = make_adam({.weight_decay = 0.1}, *placement_);
  for (int step = 0; step < 6; ++step) before->update(gradients(step), {0.01}, static_cast<std::uint64_t>(step));
  const std::unique_ptr<ResidentPlacement> written = std::move(placement_);
  reset();
  const auto after = make_adam({.weight_decay = 0.1}, *placement_);
  ASSERT_EQ(placement_->kinds(), (std::vector<std::string>{"parameters", "exp_avg", "exp_avg_sq"}));
  for (std::size_t kind = 0; kind < 3; ++kind) {
    const Tensor from = written->borrow(kind, 0), to = placement_->borrow(kind, 0);
    std::copy(from.span<float>().begin(), from.span<float>().end(), to.span<float>().begin());
  }
  for (int step = 6; step < 10; ++step) after->update(gradients(step), {0.01}, static_cast<std::uint64_t>(step));
  EXPECT_EQ(std::vector<float>(masters().begin(), masters().end()), expected);
}

TEST_F(Optimizers, ClippingScalesToTheLimitAndZeroMeansOff) {
  Shards shards = gradients(3);
  const float first = shards[0].span<float>()[0];
  clip(shards, 2.0, 0);
  EXPECT_EQ(shards[0].span<float>()[0], first);
  clip(shards, 2.0, 4.0);
  EXPECT_EQ(shards[0].span<float>()[0], first);
  clip(shards, 2.0, 1.0);
  EXPECT_EQ(shards[0].span<float>()[0], first * static_cast<float>(1.0 / (2.0 + 1e-6)));
}

}  // namespace
}  // namespace tranche
