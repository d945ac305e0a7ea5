#include "runtime/device/memory_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "runtime/base/error.h"
#include "runtime/device/cpu/cpu_device.h"

namespace tranche {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

TEST(MemoryFile, IsSeenByItsName) {
  const MemoryFile file{mib};
  const MemoryFile same{file.name()};
  std::memset(file.data(), 7, 100);
  EXPECT_EQ(same.data()[99], std::byte{7});
  same.data()[5] = std::byte{9};
  EXPECT_EQ(file.data()[5], std::byte{9});
}

TEST(MemoryFile, IsLongAndSmall) {
  const MemoryFile file{std::size_t{1} << 36};
  MemoryFileView view{file.name()};
  for (const std::size_t offset : {std::size_t{0}, 100 * mib, 3000 * mib, std::size_t{5}}) {
    file.data()[offset] = static_cast<std::byte>(offset % 251);
    EXPECT_EQ(view.at(offset, 1).front(), static_cast<std::byte>(offset % 251));
  }
  EXPECT_THROW(view.at(std::size_t{1} << 36, 1), Error);
}

TEST(MemoryFile, IsNotMistakenForAnother) {
  const MemoryFile file{mib}, other{mib};
  MemoryFileName wrong = file.name();
  wrong.descriptor = other.name().descriptor;
  EXPECT_THROW(MemoryFileView{wrong}, Error);
  wrong.descriptor = 1'000'000;
  EXPECT_THROW(MemoryFileView{wrong}, Error);
}

TEST(CpuDevice, SharesWhatPeersReadAndNothingElse) {
  CpuDevice device{1, Device::unlimited, Sharing::with_host};
  ASSERT_NE(device.memory_file(), nullptr);
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{5000}, 5 * mib / 2, 7 * mib})
    for (std::size_t c = 0; c < category_count; ++c) {
      const auto category = static_cast<Category>(c);
      const Buffer buffer = device.allocate(bytes, category, "buffer");
      std::memset(buffer.data(), 1, bytes);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
      EXPECT_EQ(device.memory_file()->holds({buffer.data(), bytes}), category == Category::parameters ||
                                                                         category == Category::gradients ||
                                                                         category == Category::communication)
          << name_of(category);
    }
  EXPECT_EQ(CpuDevice{}.memory_file(), nullptr);
}

TEST(CpuDevice, ReusesSharedMemory) {
  CpuDevice device{1, Device::unlimited, Sharing::with_host};
  const std::byte* first = device.allocate(3 * mib, Category::gradients, "first").data();
  EXPECT_EQ(device.allocate(3 * mib, Category::communication, "second").data(), first);
}

TEST(CpuDevice, GivesTwoBuffersNoByteInCommon) {
  CpuDevice device{1, Device::unlimited, Sharing::with_host};
  std::vector<Buffer> buffers;
  for (std::size_t i = 1; i < 40; ++i) {
    buffers.push_back(device.allocate(i * 70'000, Category::parameters, "one of many"));
    std::memset(buffers.back().data(), static_cast<int>(i), buffers.back().bytes());
  }
  for (std::size_t i = 1; i < 40; ++i)
    for (std::size_t b = 0; b < i * 70'000; ++b) ASSERT_EQ(buffers[i - 1].data()[b], static_cast<std::byte>(i));
}

}  // namespace
}  // namespace tranche
