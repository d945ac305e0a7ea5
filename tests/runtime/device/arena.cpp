// An arena gives every byte to one at a time, and what came back is one gap again.
#include "runtime/device/cpu/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche::testing {
namespace {

constexpr std::size_t kib = 1024, mib = kib * kib;

TEST(AnArena, GivesTheSmallestGapThatIsEnough) {
  Arena arena{100};
  for (const std::size_t bytes : {20, 1, 10, 1, 30, 1}) ASSERT_TRUE(arena.take(bytes));
  arena.give_back(0, 20);
  arena.give_back(21, 10);
  arena.give_back(32, 30);
  EXPECT_EQ(arena.take(9), 21u);
  EXPECT_EQ(arena.take(11), 0u);
  EXPECT_EQ(arena.take(21), 32u);
  EXPECT_EQ(arena.take(10), 63u) << "behind everything, as no gap holds it";
}

TEST(AnArena, MakesGapsThatTouchOne) {
  Arena arena{60};
  for (int i = 0; i < 6; ++i) ASSERT_EQ(arena.take(10), 10u * static_cast<unsigned>(i));
  EXPECT_EQ(arena.take(1), std::nullopt);
  for (const std::size_t begin : {10, 30, 20}) arena.give_back(begin, 10);
  EXPECT_EQ(arena.take(30), 10u);
}

TEST(AnArena, GrowsByWhatItsLastGapLacks) {
  Arena arena{100};
  ASSERT_EQ(arena.take(50), 0u);
  ASSERT_EQ(arena.take(20), 50u);
  arena.give_back(50, 20);
  EXPECT_EQ(arena.take(51), std::nullopt);
  EXPECT_EQ(arena.take(25), 50u);
  EXPECT_EQ(arena.end(), 75u);
}

TEST(AnArena, TakesNothingBackThatItHas) {
  Arena arena{100};
  ASSERT_EQ(arena.take(30), 0u);
  arena.give_back(10, 10);
  for (const auto& [begin, bytes] : {std::pair<std::size_t, std::size_t>{10, 10}, {5, 10}, {15, 10}, {5, 25}, {30, 1}})
    EXPECT_THROW(arena.give_back(begin, bytes), Error) << begin << ", " << bytes;
}

TEST(AnArena, GivesNoByteTwice) {
  std::mt19937 random{7};
  Arena arena{1000};
  std::map<std::size_t, std::size_t> given;
  std::vector<bool> taken(1000);
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0) {
      const std::size_t bytes = 1 + random() % 60;
      const auto begin = arena.take(bytes);
      if (!begin) continue;
      ASSERT_LE(*begin + bytes, 1000u);
      for (std::size_t b = *begin; b < *begin + bytes; ++b) {
        ASSERT_FALSE(taken[b]) << b;
        taken[b] = true;
      }
      given[*begin] = bytes;
    } else if (!given.empty()) {
      const auto which = std::next(given.begin(), static_cast<std::ptrdiff_t>(random() % given.size()));
      arena.give_back(which->first, which->second);
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(which->first), which->second, false);
      given.erase(which);
    }
  }
  for (const auto& [begin, bytes] : given) arena.give_back(begin, bytes);
  EXPECT_EQ(arena.take(1000), 0u) << "all that came back is one gap";
}

// Activations end as gradients begin: one is the other's memory, whatever their sizes.
TEST(ACpuDevice, ServesOneLargeBlockFromManySmallOnes) {
  CpuDevice device;
  const std::byte* first = nullptr;
  {
    std::vector<Buffer> small;
    for (int i = 0; i < 24; ++i) {
      small.push_back(device.allocate(mib + 100, Category::activations, "one of many"));
      std::memset(small.back().data(), i, small.back().bytes());
    }
    first = small.front().data();
  }
  EXPECT_EQ(device.allocate(24 * mib, Category::gradients, "one").data(), first);
}

TEST(ACpuDevice, HasNoMoreThanTheMachine) {
  CpuDevice device;
  const Buffer held = device.allocate(mib, Category::activations, "held");
  EXPECT_THROW(device.allocate(std::size_t{1} << 50, Category::activations, "too much"), Error);
  const Buffer after = device.allocate(mib, Category::activations, "after");
  std::memset(after.data(), 1, after.bytes());
}

}  // namespace
}  // namespace tranche::testing
