// Slices of parameters in host memory and on disk: what is written is what is fetched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "offload/disk_slices.h"
#include "offload/host_slices.h"
#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/ops/elementwise.h"
#include "tests/offload/swap_faults.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

constexpr std::size_t piece = 2048, elements = 2 * piece + 1024;  // of half precision: ends within a page

class Slices : public ::testing::Test {
 protected:
  Slices() {
    unit_.place(0, Tensor::empty(device_, "values", Category::workspace, {1, elements}, DType::bfloat16), seams_);
    other_.place(1, Tensor::empty(device_, "values", Category::workspace, {1, 1024}, DType::bfloat16), seams_);
  }

  Tensor numbered(std::size_t count, float first) {
    const Tensor numbers = Tensor::empty(host_, "numbers", Category::workspace, {1, count}, DType::float32);
    float next = first;
    for (float& each : numbers.span<float>()) each = next++;
    const Tensor rounded = Tensor::empty(host_, "rounded", Category::workspace, {1, count}, DType::bfloat16);
    ops::convert(numbers, rounded);
    return rounded;
  }

  void expect_kept(SlicePlacement& slices) {
    slices.adopt(unit_, elements, DType::bfloat16);
    slices.adopt(other_, 1024, DType::bfloat16);
    for (const float round : {1.0f, 7.0f}) {
      const Tensor whole = numbered(elements, round), small = numbered(1024, round + 3);
      std::vector<Event> written{slices.write(other_, 0, small)};
      for (std::size_t first = 0; first < elements; first += piece)
        written.push_back(slices.write(unit_, first, whole.view(first, {1, std::min(piece, elements - first)})));
      for (const Event& each : written) each.wait();
      slices.fetch(unit_);
      slices.fetch(other_);
      EXPECT_TRUE(std::ranges::equal(slices.fetched(unit_), whole.byte_span()));
      EXPECT_TRUE(std::ranges::equal(slices.fetched(other_), small.byte_span()));
      slices.evict(unit_);
      slices.evict(other_);
      slices.fetch(unit_);
      slices.evict(unit_);  // nobody wanted it
      EXPECT_EQ(device_.ledger().live(Category::communication), 0u);
    }
  }

  testing::TemporaryFolder folder_;
  CpuDevice device_, host_{1, Device::unlimited, Sharing::nothing, Tier::host};
  Parameter a_{"a", {elements}, Initial::zeros()}, b_{"b", {1024}, Initial::zeros()};
  Unit unit_{"unit", {&a_}, Forward{}}, other_{"other", {&b_}, Forward{}};
  ResidentStore store_{device_, {DType::bfloat16}, 1024};
  SumPlacement sums_;
  LocalSync sync_{sums_};
  WeightTransform weights_;
  ActivationPolicy activations_;
  Seams seams_{store_, sync_, weights_, activations_};
};

TEST_F(Slices, InHostMemoryAreWhatWasWritten) {
  HostSlices slices{device_, host_};
  expect_kept(slices);
  EXPECT_EQ(host_.ledger().live(Category::parameters), 2 * (elements + 1024));
}

TEST_F(Slices, OnDiskAreWhatWasWrittenAndLeaveTheHost) {
  OffloadConfig config;
  config.nvme_path = folder_.path().string();
  SwapDisk disk{config};
  DiskSlices slices{device_, host_, disk};
  expect_kept(slices);
  EXPECT_EQ(disk.ledger().live(Category::parameters), 12288u + 4096u);  // whole pages
  EXPECT_EQ(host_.ledger().live(Category::parameters), 0u);
  EXPECT_EQ(host_.ledger().live(Category::communication), 2 * 4096u);  // the page in which each slice ends
}

TEST_F(Slices, ThatTheDiskCannotReadAreToldByPlaceAndReason) {
  OffloadConfig config;
  config.parameter_nvme_path = folder_.path().string();
  SwapDisk disk{config};
  DiskSlices slices{device_, host_, disk};
  slices.adopt(unit_, elements, DType::bfloat16);
  const testing::SwapFaults faults{IoCall::read, 0, {.error = EIO}};
  slices.fetch(unit_);
  try {
    slices.fetched(unit_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::storage);
    EXPECT_THAT(error.what(), ::testing::AllOf(::testing::HasSubstr("Input/output error"),
                                               ::testing::HasSubstr("of the swap file in")));
  }
}

}  // namespace
}  // namespace tranche
