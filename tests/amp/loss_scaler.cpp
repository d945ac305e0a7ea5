#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "amp/loss_scaler.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;

const GradientNorm clean{1.0}, overflow{std::numeric_limits<double>::infinity()};

class LossScalers : public ::testing::Test {
 protected:
  // '.' is a clean step, 'x' an overflow. Returns the scale after each.
  static std::vector<float> scales(LossScaler& scaler, const std::string& steps) {
    std::vector<float> scales;
    for (const char step : steps) {
      scaler.adapt(step == 'x' ? overflow : clean);
      scales.push_back(scaler.scale());
    }
    return scales;
  }

  CpuDevice device_;
  std::vector<Owned> owned_;
  std::unique_ptr<Communicator> world_ = alone();
};

using Scales = std::vector<float>;

// Each table follows DeepSpeed's DynamicLossScaler.update_scale line by line.
TEST_F(LossScalers, GrowOnTheCleanStepAfterTheWindow) {
  DynamicScaler scaler{owned_, *world_, {.initial = 16, .window = 3}};
  EXPECT_EQ(scales(scaler, "......."), (Scales{16, 16, 32, 32, 32, 64, 64}));
}

TEST_F(LossScalers, SpendHysteresisBeforeTheFirstHalving) {
  DynamicScaler scaler{owned_, *world_, {.initial = 1024, .window = 100, .hysteresis = 3}};
  EXPECT_EQ(scales(scaler, "xxxx"), (Scales{1024, 1024, 512, 256}));
}

TEST_F(LossScalers, RefillHysteresisOnlyAtGrowth) {
  DynamicScaler scaler{owned_, *world_, {.initial = 1024, .window = 4, .hysteresis = 2}};
  //                                       spent  not refilled   grows and refills   spent again
  EXPECT_EQ(scales(scaler, "x..x....xx"), (Scales{1024, 1024, 1024, 512, 512, 512, 512, 1024, 1024, 512}));
}

TEST_F(LossScalers, ConsecutiveHysteresisIsRefilledByEveryCleanStep) {
  DynamicScaler scaler{
      owned_, *world_, {.initial = 1024, .window = 100, .hysteresis = 2, .consecutive_hysteresis = true}};
  EXPECT_EQ(scales(scaler, "x.x.xx"), (Scales{1024, 1024, 1024, 1024, 1024, 512}));
}

TEST_F(LossScalers, CountTheWindowFromTheLastOverflow) {
  DynamicScaler scaler{owned_, *world_, {.initial = 8, .window = 3, .hysteresis = 1}};
  EXPECT_EQ(scales(scaler, "..x..."), (Scales{8, 8, 4, 4, 4, 8}));
}

TEST_F(LossScalers, StopAtTheFloor) {
  DynamicScaler scaler{owned_, *world_, {.initial = 4, .floor = 2, .window = 100, .hysteresis = 1}};
  EXPECT_EQ(scales(scaler, "xx"), (Scales{2, 2}));
}

// torch.cuda.amp.GradScaler.update(): growth after `interval` clean steps in a row.
TEST_F(LossScalers, TorchSemanticsBackOffAtOnceAndHaveNoFloor) {
  TorchScaler scaler{owned_, *world_, {.initial = 4, .interval = 2}};
  EXPECT_EQ(scales(scaler, "..x.xx..."), (Scales{4, 8, 4, 4, 2, 1, 1, 2, 2}));
  EXPECT_EQ(scales(scaler, "xxx"), (Scales{1, 0.5f, 0.25f}));
}

TEST_F(LossScalers, StaticScaleStays) {
  StaticScaler scaler{owned_, *world_, 128};
  EXPECT_EQ(scales(scaler, ".x."), (Scales{128, 128, 128}));
}

TEST_F(LossScalers, ContinueFromTheirState) {
  const DynamicScaler::Options options{.initial = 1024, .window = 4, .hysteresis = 2};
  DynamicScaler whole{owned_, *world_, options}, before{owned_, *world_, options}, after{owned_, *world_, options};
  const std::string first = "x..", second = "x....xx.....";
  scales(whole, first);
  scales(before, first);
  after.restore(before.state());
  EXPECT_EQ(scales(after, second), scales(whole, second));
  EXPECT_EQ(after.state(), whole.state());

  TorchScaler torch{owned_, *world_, {.interval = 3}}, torch_after{owned_, *world_, {.interval = 3}};
  scales(torch, "..");
  torch_after.restore(torch.state());
  EXPECT_EQ(scales(torch_after, "."), scales(torch, "."));
}

TEST_F(LossScalers, RefuseTheStateOfAnotherKind) {
  TorchScaler torch{owned_, *world_, {}};
  DynamicScaler dynamic{owned_, *world_, {}};
  EXPECT_THROW(dynamic.restore(torch.state()), Error);
}

// One unit of two parameters, 1,500 elements, on a layout of two blocks.
class Unscaling : public LossScalers {
 protected:
  Unscaling() {
    owned_ = {{&unit_, 0, 2048, Tensor::zeros(device_, "master", Category::optimizer, {1, 2048}, DType::float32)}};
    gradient_ = Tensor::zeros(device_, "gradient", Category::gradients, {1, 2048}, DType::float32);
  }

  Parameter first_{.name = "up.weight", .shape = {10, 100}}, second_{.name = "down.weight", .shape = {100, 5}};
  Unit unit_{"unit", {&first_, &second_}, [](const Tensor& x) { return x; }};
  Tensor gradient_;
};

TEST_F(Unscaling, DividesByTheScaleAndTakesTheNorm) {
  StaticScaler scaler{owned_, *world_, 8};
  gradient_.span<float>()[3] = 24;
  gradient_.span<float>()[1200] = -32;
  EXPECT_EQ(scaler.unscale({gradient_}).value, 5);
  EXPECT_EQ(gradient_.span<float>()[3], 3);
  EXPECT_EQ(gradient_.span<float>()[1200], -4);
}

TEST_F(Unscaling, AnOverflowAboveTheFloorIsNotAnError) {
  DynamicScaler scaler{owned_, *world_, {.initial = 4, .hysteresis = 1}};
  gradient_.span<float>()[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(scaler.unscale({gradient_}).finite());
}

TEST_F(Unscaling, AnOverflowAtTheFloorNamesTensorRankAndStep) {
  DynamicScaler scaler{owned_, *world_, {.initial = 1, .hysteresis = 1}};
  gradient_.span<float>()[1012] = std::numeric_limits<float>::quiet_NaN();
  gradient_.span<float>()[1400] = std::numeric_limits<float>::infinity();
  try {
    const Doing frame{[] { return std::string{"training step 17"}; }};
    scaler.unscale({gradient_});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::numerics);
    EXPECT_THAT(error.what(), HasSubstr("down.weight[2, 2] = nan on rank 0"));
    EXPECT_THAT(error.what(), HasSubstr("training step 17"));
  }
}

TEST_F(Unscaling, WithoutScalingANonFiniteNormStopsTheRun) {
  NoScaling scaler{owned_, *world_};
  gradient_.span<float>()[0] = std::numeric_limits<float>::infinity();
  try {
    scaler.unscale({gradient_});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("up.weight[0, 0] = inf"));
  }
}

}  // namespace
}  // namespace tranche
