// Updates of state in every tier: units are told of in their order, one behind the update, with their new values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "offload/disk_placement.h"
#include "offload/host_placement.h"
#include "offload/pieces.h"
#include "runtime/base/corrupted.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"
#include "runtime/optim/state_sums.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

constexpr std::size_t units = 4;

class Placements : public ::testing::TestWithParam<const char*> {
 protected:
  Placements() {
    config_.sub_group = 2048;  // several pieces of some units
    config_.nvme_path = folder_.path().string();
    for (std::size_t u = 0; u < units; ++u) {
      parameters_.push_back(Parameter{"p" + std::to_string(u), {1000 + 3000 * (u % 3)}, Initial::normal(0.5f)});
      units_.emplace_back("unit" + std::to_string(u), std::vector{&parameters_.back()}, Forward{});
    }
    for (Unit& unit : units_) store_.adopt(unit, seams_);
    const std::string tier = GetParam();
    const Precision precision{DType::bfloat16};
    if (tier == "host_in_part") config_.ratio = 0.4;
    if (tier == "device") placement_ = std::make_unique<ResidentPlacement>(precision);
    if (tier.starts_with("host"))
      placement_ = std::make_unique<HostPlacement>(config_, precision, DType::bfloat16, device_, host_);
    if (tier == "disk")
      placement_ = std::make_unique<DiskPlacement>(config_, precision, DType::bfloat16, device_, host_, disk_);
  }

  static void begin_again(const StatePiece& at) {
    for (float& value : at.master.span<float>()) value = static_cast<float>(at.unit + 1);
    round(at);
  }

  testing::TemporaryFolder folder_;
  CpuDevice device_, host_{1, Device::unlimited, Sharing::nothing, Tier::host};
  OffloadConfig config_;
  std::deque<Parameter> parameters_;
  std::deque<Unit> units_;
  ResidentStore store_{device_, {DType::bfloat16}, 1024};
  SumPlacement sums_;
  LocalSync sync_{sums_};
  WeightTransform weights_;
  ActivationPolicy activations_;
  Seams seams_{store_, sync_, weights_, activations_};
  SwapDisk disk_{[this] {
    OffloadConfig config;
    config.nvme_path = folder_.path().string();
    return config;
  }()};
  std::unique_ptr<OptimizerPlacement> placement_;
};

TEST_P(Placements, TellOfEachUnitOnceWithItsNewValues) {
  std::vector<std::string> order;
  placement_->when_updated([&](Unit& unit) {
    order.push_back("told " + unit.name());
    const auto expected = static_cast<float>(unit.index() + 1);
    const Tensor values = Tensor::empty(device_, "values", Category::workspace, {1, unit.size()}, DType::float32);
    ops::convert(unit.values().view(0, {1, unit.size()}), values);
    EXPECT_THAT(values.span<float>(), ::testing::Each(expected)) << unit.name();
  });
  placement_->adopt(store_.owned(), 1);
  placement_->add_moment("moment");
  placement_->round();
  EXPECT_THAT(order, ::testing::IsEmpty());  // nothing but an update tells

  Shards gradients;
  for (const Owned& owned : store_.owned())
    gradients.push_back(Tensor::zeros(placement_->sums().home(*owned.unit, device_), "gradient", Category::gradients,
                                      {1, owned.size}, DType::float32));
  placement_->update(gradients, 0, [&](const StatePiece& at) {
    if (at.first == 0) order.push_back("update " + std::string{at.name});
    begin_again(at);
  });
  std::vector<std::string> told;
  for (const std::string& each : order)
    if (each.starts_with("told")) told.push_back(each);
  EXPECT_THAT(told, ::testing::ElementsAre("told unit0", "told unit1", "told unit2", "told unit3"));
  EXPECT_LT(std::ranges::find(order, "told unit0"), std::ranges::find(order, "update unit2"));
  EXPECT_LT(std::ranges::find(order, "told unit1"), std::ranges::find(order, "update unit3"));
}

// A bit of unit0's first moments changes between two updates, where they lie.
TEST_P(Placements, FindBitsThatFlip) {
  placement_->adopt(store_.owned(), 1);
  placement_->add_moment("moment");
  StateSums sums{store_.owned(), placement_->kinds()};
  placement_->compare_with(sums);
  Shards gradients;
  for (const Owned& owned : store_.owned())
    gradients.push_back(Tensor::zeros(placement_->sums().home(*owned.unit, device_), "gradient", Category::gradients,
                                      {1, owned.size}, DType::float32));
  const auto update = [&] {
    placement_->update(gradients, 2, [](const StatePiece& at) {
      ops::sgd({.rate = 1, .momentum = 0.5f}, at.master, at.moments[0], at.gradient, at.rounded, at.sums);
    });
  };
  update();
  update();
  for (std::size_t kind = 0; kind < 2; ++kind) EXPECT_EQ(placement_->borrow(kind, 0).span<float>().size(), 1024u);

  // What is given back was meant.
  const Tensor masters = placement_->borrow(0, 1);
  masters.span<float>()[5] = 3;
  placement_->give_back(0, 1, masters.span<const float>());
  update();

  if (placement_->in_memory()) {
    placement_->borrow(1, 0).byte_span()[40] ^= std::byte{1};
  } else {  // behind the masters
    std::size_t elements = 0;
    for (const Owned& owned : store_.owned()) elements += owned.size;
    alignas(4096) static std::byte page[4096];
    page[40] = std::byte{1};
    const std::size_t moments = (4 * elements + SwapFile::alignment - 1) / SwapFile::alignment * SwapFile::alignment;
    wait_for(disk_.write(moments, page));
  }
  const auto told = [](const auto& work) -> std::string {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), corrupted);
      return error.what();
    }
    return "nothing";
  };
  const auto expected = ::testing::HasSubstr("a bit has flipped: moment of p0 (elements 0 to 1024 of unit0)");
  EXPECT_THAT(told([&] { placement_->borrow(1, 0); }), expected);  // as a checkpoint would
  EXPECT_THAT(told(update), expected);
}

TEST(Pieces, AreWholePagesOfWhatWasAskedForAndNoMoreThanAFewHundredOfAUnit) {
  constexpr std::size_t most = std::size_t{1} << 22;
  EXPECT_EQ(piece_elements(1024, 100 * most), 2048u);
  EXPECT_EQ(piece_elements(5000, 100 * most), 4096u);
  EXPECT_EQ(piece_elements(1'000'000'000, 1024), most);
  EXPECT_EQ(piece_elements(1'000'000'000, 512 * most), most);
  EXPECT_EQ(piece_elements(1'000'000'000, 512 * most + 1), most + 2048);
  EXPECT_EQ(piece_elements(most, 1024 * most), most);
}

INSTANTIATE_TEST_SUITE_P(Tiers, Placements, ::testing::Values("device", "host", "host_in_part", "disk"),
                         [](const auto& param) { return std::string{param.param}; });

}  // namespace
}  // namespace tranche
