// The emulator runs correct kernels in any order of their threads, and reports each planted mistake, with the line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <vector>

#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/planted.h"

namespace tranche::cuda_emulation {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

// Floats of the emulated device.
class Floats {
 public:
  explicit Floats(std::size_t count, Memory::Content content = Memory::Content::given)
      : data_(memory().allocate(count * sizeof(float), "numbers", content)), count_(count) {
    if (content == Memory::Content::given) std::iota(get(), get() + count, 0.0f);
  }
  ~Floats() { memory().free(data_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* get() const { return reinterpret_cast<float*>(data_); }
  std::vector<float> values() const { return {get(), get() + count_}; }

 private:
  std::byte* data_;
  std::size_t count_;
};

std::string fault_of(const std::function<void()>& kernel) {
  try {
    kernel();
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "no fault";
}

class EveryOrder : public testing::TestWithParam<Order> {
 protected:
  void SetUp() override { use_order(GetParam(), 5); }
  void TearDown() override { use_order(Order::forward); }
};
INSTANTIATE_TEST_SUITE_P(Orders, EveryOrder, testing::ValuesIn(all_orders),
                         [](const auto& test) { return std::string{name_of(test.param)}; });

TEST_P(EveryOrder, RunsWhatHasNoMistake) {
  const Floats from(1000), to(1000, Memory::Content::unknown);
  copy(from.get(), to.get(), 1000);
  EXPECT_EQ(to.values(), from.values());

  const Floats reversed(256), swapped(256);
  reverse_in_shared_memory(reversed.get(), 256);
  swap_in_warp(swapped.get(), 256);
  for (std::size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(reversed.values()[i], static_cast<float>(255 - i));
    EXPECT_EQ(swapped.values()[i], static_cast<float>(i ^ 1u));
  }
  take_much_shared_memory(reversed.get());
  run_many_threads(from.get(), 1000);
  EXPECT_EQ(from.values(), std::vector<float>(1000, 1.0f));
}

TEST_P(EveryOrder, StepsOutOfBoundsAreReportedAndDoNoHarm) {
  const Floats from(1001), to(1000), after(64);
  EXPECT_THAT(fault_of([&] { copy_one_too_many(from.get(), to.get(), 1000); }),
              AllOf(HasSubstr("out-of-bounds write of 4 bytes at byte 4000 of the 4000 of numbers"),
                    ContainsRegex("planted.cu:[0-9]+"), HasSubstr("kernel copy_kernel<false>"),
                    HasSubstr("block (15, 0, 0), thread (40, 0, 0)")));
  EXPECT_EQ(after.values()[0], 0);
  EXPECT_THAT(fault_of([&] { write_past_shared_memory(from.get()); }),
              HasSubstr("out-of-bounds write of 4 bytes at byte"));
}

TEST_P(EveryOrder, AMissingBarrierIsARace) {
  const Floats data(256);
  EXPECT_THAT(fault_of([&] { reverse_without_barrier(data.get(), 256); }),
              testing::AnyOf(HasSubstr("race with thread"), HasSubstr("uninitialised read")));
}

TEST_P(EveryOrder, AMissingWarpBarrierIsARace) {
  const Floats data(64);
  EXPECT_THAT(fault_of([&] { swap_without_warp_barrier(data.get(), 64); }),
              testing::AnyOf(HasSubstr("race with thread"), HasSubstr("uninitialised read")));
}

TEST_P(EveryOrder, BlocksOfOneLaunchAreNotOrdered) {
  const Floats sum(1);
  EXPECT_THAT(fault_of([&] { sum_into_one(sum.get(), 8); }),
              ContainsRegex("race with thread 0 of block [0-9]+, which wrote it with no barrier between: read"));
  sum_into_one(sum.get(), 1);  // and launches are
  sum_into_one(sum.get(), 1);
}

TEST_P(EveryOrder, UninitialisedReadsAreReported) {
  const Floats from(64, Memory::Content::unknown), to(64);
  EXPECT_THAT(fault_of([&] { copy(from.get(), to.get(), 64); }), HasSubstr("uninitialised read of 4 bytes at byte"));
  EXPECT_THAT(fault_of([&] { read_unwritten_shared_memory(to.get()); }),
              AllOf(HasSubstr("uninitialised read of 4 bytes at byte 28 of the 256 of shared memory"),
                    HasSubstr("thread (7, 0, 0)")));
}

TEST_P(EveryOrder, HostPointersAreReported) {
  const Floats data(64);
  std::vector<float> host(64);
  EXPECT_THAT(fault_of([&] { copy(host.data(), data.get(), 64); }), HasSubstr("read of 4 bytes at host memory 0x"));
  EXPECT_THAT(fault_of([&] { copy(data.get(), host.data(), 64); }), HasSubstr("write of 4 bytes at host memory 0x"));
}

TEST_P(EveryOrder, FreedAndMisalignedMemoryIsReported) {
  const Floats data(65);
  float* freed = nullptr;
  {
    const Floats gone(64);
    freed = gone.get();
  }
  EXPECT_THAT(fault_of([&] { copy(freed, data.get(), 64); }), HasSubstr("read after it was freed, of 4 bytes at"));
  float* odd = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(data.get()) + 2);
  EXPECT_THAT(fault_of([&] { run_many_threads(odd, 1); }), HasSubstr("misaligned write of 4 bytes"));
}

TEST_P(EveryOrder, DivergentBarriersAreReported) {
  const Floats data(64);
  EXPECT_THAT(fault_of([&] { leave_before_barrier(data.get(), 64); }),
              AllOf(HasSubstr("divergent barrier: thread (5, 0, 0) of the block has left the kernel"),
                    ContainsRegex("at __syncthreads, .*planted.cu:[0-9]+")));
  EXPECT_THAT(fault_of([&] { wait_at_two_barriers(data.get(), 64); }),
              ContainsRegex("divergent barrier: other threads of the block wait at .*planted.cu:[0-9]+"));
}

TEST_P(EveryOrder, IncompleteWarpsAreReported) {
  const Floats data(64);
  EXPECT_THAT(fault_of([&] { shuffle_without_half(data.get(), 32); }),
              AllOf(ContainsRegex("lane [0-9]+ of the mask has left the kernel"), HasSubstr("at __shfl_xor_sync")));
  EXPECT_THAT(fault_of([&] { shuffle_without_half(data.get(), 16); }), HasSubstr("lane 16 of the mask does not exist"));
  EXPECT_THAT(fault_of([&] { shuffle_outside_mask(data.get()); }),
              HasSubstr("the calling lane is not in its own mask"));
  EXPECT_THAT(fault_of([&] { shuffle_with_two_masks(data.get()); }), HasSubstr("names another mask"));
}

TEST(Launches, ThatNoGpuRunsAreReported) {
  const Floats data(64);
  EXPECT_THAT(fault_of([&] { run_many_threads(data.get(), 1025); }), HasSubstr("no GPU runs 1 blocks of 1025 threads"));
  EXPECT_THAT(fault_of([&] { sum_into_one(data.get(), 0); }), HasSubstr("no GPU runs 0 blocks"));
  EXPECT_THAT(fault_of([&] { take_too_much_shared_memory(data.get()); }),
              HasSubstr("more than 49152 bytes of shared memory"));
}

}  // namespace
}  // namespace tranche::cuda_emulation
