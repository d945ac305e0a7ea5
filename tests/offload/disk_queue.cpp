#include "offload/disk_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "runtime/base/error.h"
#include "runtime/base/random.h"
#include "runtime/device/cpu/cpu_device.h"
#include "tests/offload/swap_faults.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;
using testing::SwapFaults;

constexpr std::size_t unit = SwapFile::alignment;

// With io_uring where the system has it, and with threads.
class DiskQueues : public ::testing::TestWithParam<DiskQueue::MakeSystem*> {
 protected:
  Buffer buffer(std::size_t bytes) { return device_.allocate(bytes, Category::workspace, "test"); }
  static std::span<std::byte> span(const Buffer& buffer) { return {buffer.data(), buffer.bytes()}; }
  void fill(const Buffer& buffer, std::uint64_t seed) {
    const RandomKey key{seed, Purpose::order};
    for (std::size_t i = 0; i < buffer.bytes() / 8; ++i) {
      const std::uint64_t number = key.number(i);
      std::memcpy(buffer.data() + 8 * i, &number, 8);
    }
  }
  std::string failure(const Event& event) {
    try {
      event.wait();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::storage);
      return error.what();
    }
    return "nothing";
  }

  testing::TemporaryFolder folder_;
  CpuDevice device_;
  SwapFile file_{folder_.path()};
};

TEST_P(DiskQueues, BringBackWhatWasWrittenWhateverItsSizeAndOrder) {
  constexpr std::size_t transfers = 40;
  DiskQueue queue{file_, {.block_size = 4 * unit, .queue_depth = 3}, GetParam()};
  const RandomKey key{1, Purpose::order};
  std::vector<Buffer> written, read;
  std::vector<std::uint64_t> offsets;
  std::vector<Event> events;
  for (std::size_t i = 0; i < transfers; ++i) {
    const std::size_t bytes = (1 + key.number(i) % 13) * unit;
    written.push_back(buffer(bytes));
    read.push_back(buffer(bytes));
    fill(written.back(), i);
    offsets.push_back(file_.extend(bytes));
    events.push_back(queue.write(offsets.back(), span(written.back())));
  }
  for (const Event& event : events) event.wait();
  events.clear();
  for (std::size_t i = transfers; i-- > 0;) events.push_back(queue.read(offsets[i], span(read[i])));
  for (const Event& event : events) event.wait();
  for (std::size_t i = 0; i < transfers; ++i)
    EXPECT_EQ(std::memcmp(written[i].data(), read[i].data(), read[i].bytes()), 0) << i;
}

TEST_P(DiskQueues, FindZerosWhereNothingWasWritten) {
  const std::uint64_t begin = file_.extend(3 * unit);
  DiskQueue queue{file_, {}, GetParam()};
  const Buffer read = buffer(3 * unit);
  fill(read, 1);
  queue.read(begin, span(read)).wait();
  EXPECT_TRUE(std::ranges::all_of(span(read), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_P(DiskQueues, GoOnAfterShortReadsAndWrites) {
  const std::size_t bytes = 64 * unit;
  const std::uint64_t begin = file_.extend(bytes);
  const Buffer written = buffer(bytes), read = buffer(bytes);
  fill(written, 3);
  DiskQueue queue{file_, {.block_size = 16 * unit}, GetParam()};
  {
    const SwapFaults faults{IoCall::write, 0, {.bytes = 5 * unit}};
    queue.write(begin, span(written)).wait();
    EXPECT_GT(faults.calls(), 4u);
  }
  const SwapFaults faults{IoCall::read, 0, {.bytes = 3 * unit + 100}};
  queue.read(begin, span(read)).wait();
  EXPECT_EQ(std::memcmp(written.data(), read.data(), bytes), 0);
}

TEST_P(DiskQueues, SayWhatFailedAndWhere) {
  const std::uint64_t begin = file_.extend(8 * unit);
  const Buffer bytes = buffer(8 * unit);
  fill(bytes, 4);
  DiskQueue queue{file_, {}, GetParam()};
  {
    const SwapFaults faults{IoCall::write, 0, {.error = ENOSPC}};
    EXPECT_THAT(
        failure(queue.write(begin, span(bytes))),
        ::testing::AllOf(HasSubstr("cannot write 32768 bytes at 0 of the swap file in " + folder_.path().string()),
                         HasSubstr("No space left on device"), HasSubstr("--resume")));
  }
  {
    const SwapFaults faults{IoCall::read, 0, {.error = EIO}};
    EXPECT_THAT(failure(queue.read(begin, span(bytes))), HasSubstr("Input/output error"));
  }
  queue.write(begin, span(bytes)).wait();  // a failure is of one transfer
  ASSERT_EQ(::ftruncate(file_.descriptor(), 2 * unit), 0);
  EXPECT_THAT(failure(queue.read(begin + 4 * unit, span(bytes).first(unit))),
              HasSubstr("the file ends before them; something has truncated it"));
}

TEST_P(DiskQueues, RefuseWhatIsNotAligned) {
  const std::uint64_t begin = file_.extend(4 * unit);
  const Buffer bytes = buffer(2 * unit);
  DiskQueue queue{file_, {}, GetParam()};
  EXPECT_THROW(queue.read(begin + 512, span(bytes).first(unit)), Error);
  EXPECT_THROW(queue.read(begin, span(bytes).subspan(64, unit)), Error);
  EXPECT_THROW(queue.read(begin, span(bytes).first(100)), Error);
  EXPECT_THROW(queue.read(begin + 4 * unit, span(bytes).first(unit)), Error);
}

INSTANTIATE_TEST_SUITE_P(Systems, DiskQueues, ::testing::Values(make_io_uring, make_io_threads),
                         [](const auto& system) { return system.index == 0 ? "io_uring" : "threads"; });

TEST(SwapFiles, HaveNoName) {
  const testing::TemporaryFolder folder;
  const SwapFile file{folder.path() / "deep" / "swap"};
  EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "deep" / "swap"));
}

TEST(SwapFiles, RemoveNamesThatAKilledProcessLeft) {
  const testing::TemporaryFolder folder;
  folder.write("tranche-swap-aB3xYz", "");
  folder.write("tranche-swap-notes!", "a person's");
  folder.write("tranche-swap-plan.txt", "");
  const SwapFile file{folder.path()};
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator{folder.path()})
    left.push_back(entry.path().filename().string());
  EXPECT_THAT(left, ::testing::UnorderedElementsAre("tranche-swap-notes!", "tranche-swap-plan.txt"));
}

TEST(SwapFiles, NameAFolderThatCannotBeUsed) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path in_the_way = folder.write("file", "");
  EXPECT_THROW(SwapFile{in_the_way / "swap"}, Error);
}

}  // namespace
}  // namespace tranche
