// The product's device on the emulated runtime: memory that changes hands in the order of streams, copies and side
// streams that wait for what was computed. What is left behind ends the test with an exit code (library/runtime.cpp).
#include "runtime/device/cuda/cuda_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/device/copy_stream.h"
#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/planted.h"
#include "tests/cuda_emulation/streams.h"

namespace tranche::cuda {
namespace {

using cuda_emulation::copy;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t count = 300, bytes = count * sizeof(float);

float* floats(const Buffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }
std::span<std::byte> all_of(const Buffer& buffer) { return {buffer.data(), buffer.bytes()}; }

// The GPU's memory: 2 MiB.
const int limited = ::setenv("TRANCHE_EMULATED_MEMORY", "2097152", 1);

class CudaDeviceTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  Buffer take(std::size_t size = bytes) { return device.allocate(size, Category::activations, "numbers"); }
  // Numbers first, first + 1...
  Buffer holding(float first) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), first);
    Buffer buffer = take();
    device.write(buffer.data(), std::as_bytes(std::span{values}));
    values.assign(count, -1);  // may change at once
    return buffer;
  }
  void expect_holds(const Buffer& buffer, float first) {
    std::vector<float> values(count);
    device.read(buffer.data(), std::as_writable_bytes(std::span{values}));
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(values[i], first + static_cast<float>(i));
  }

  CudaDevice device{0, "emulated", Device::unlimited};
};

TEST_F(CudaDeviceTest, WritesComputesAndReadsInOrder) {
  EXPECT_EQ(device.type(), DeviceType::cuda);
  EXPECT_EQ(device.description(), "GPU 0 (emulated)");
  const Buffer a = holding(5), b = take();
  copy(floats(a), floats(b), count, device.stream());
  expect_holds(b, 5);
  device.fill_zero(b.data(), bytes);
  std::vector<float> values(count, 1);
  device.read(b.data(), std::as_writable_bytes(std::span{values}));
  EXPECT_EQ(values, std::vector<float>(count));
}

TEST_F(CudaDeviceTest, KeepsFreedMemoryForTheNextOfItsSize) {
  std::byte* const first = take().data();
  EXPECT_EQ(take().data(), first);
  const Buffer one = take(), other = take();
  EXPECT_NE(one.data(), other.data());
  EXPECT_EQ(device.ledger().live(Category::activations), 2 * bytes);  // what was asked for, not what is kept
}

// In the order of the computing stream: the kernel that reads the old buffer runs before the one that writes the new.
TEST_F(CudaDeviceTest, FreedMemoryMayBeGivenOutWhileItIsStillRead) {
  const Buffer result = take();
  Buffer old = holding(1);
  const std::byte* const place = old.data();
  copy(floats(old), floats(result), count, device.stream());
  old.reset();
  const Buffer next = holding(70);
  EXPECT_EQ(next.data(), place);
  expect_holds(result, 1);
  expect_holds(next, 70);
}

TEST_F(CudaDeviceTest, EndsWithTheLedgerWhereMemoryEnds) {
  ASSERT_EQ(limited, 0);
  CudaDevice small{0, "emulated", 10'000};
  const Buffer some = small.allocate(8000, Category::parameters, "weights");
  EXPECT_THAT([&] { small.allocate(3000, Category::gradients, "their gradient"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("out of memory: their gradient needs 2.93 KiB for gradients"),
                                         HasSubstr("weights"))));
  // What is kept is given back before an allocation fails.
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  EXPECT_THAT([&] { take(3 * mebibyte); }, ThrowsMessage<Error>(HasSubstr("no 3.00 MiB more for numbers")));
  take(mebibyte).reset();
  EXPECT_EQ(take(mebibyte * 3 / 2).bytes(), mebibyte * 3 / 2);
}

TEST_F(CudaDeviceTest, CopiesComeAfterWhatWasComputedAndAreDoneAtTheirEvent) {
  const std::unique_ptr<CopyStream> copies = device.copy_stream();
  const Buffer a = holding(3), b = take(), back = take();
  const Buffer host = device.staging().allocate(bytes, Category::communication, "on the host");
  copy(floats(a), floats(b), count, device.stream());
  copies->copy(all_of(b), all_of(host)).wait();
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(floats(host)[i], 3 + static_cast<float>(i));
  for (std::size_t i = 0; i < count; ++i) floats(host)[i] += 6;
  const Event arrived = copies->copy(all_of(host), all_of(back));
  arrived.wait();
  arrived.wait();
  copy(floats(back), floats(b), count, device.stream());
  expect_holds(b, 9);
  EXPECT_THROW(copies->copy(all_of(b).first(4), all_of(host)), Error);
}

// As a collective does: another thread adds to what was computed before, and the computing stream goes on with it.
TEST_F(CudaDeviceTest, ASideStreamComesAfterItsPlaceAndIsDoneOnReturn) {
  const std::unique_ptr<SideStream> beside = device.side_stream();
  const Buffer a = holding(8), b = take(), c = take();
  copy(floats(a), floats(b), count, device.stream());
  const SideStream::Place place = beside->here();
  std::thread other{[&] {
    beside->run(place, [&] {
      EXPECT_NE(device.stream(), nullptr);
      const Buffer scratch = take();  // of what the computing stream may still use
      copy(floats(b), floats(scratch), count, device.stream());
      copy(floats(scratch), floats(c), count, device.stream());
    });
  }};
  other.join();
  expect_holds(c, 8);
  const Buffer next = holding(2);  // and back
  expect_holds(next, 2);
}

// A collective that nobody on the host waits for: the computing stream goes on behind it.
TEST_F(CudaDeviceTest, WhatComesAfterASideStreamNeedsNoWaitOfTheHost) {
  const std::unique_ptr<SideStream> beside = device.side_stream();
  const Buffer a = holding(8), b = take(), c = take();
  SideStream::Place behind;
  std::thread other{[&, place = beside->here()] {
    behind = beside->give(place, [&] { copy(floats(a), floats(b), count, device.stream()); });
  }};
  other.join();
  beside->come_after(behind);
  copy(floats(b), floats(c), count, device.stream());
  expect_holds(c, 8);
}

TEST_F(CudaDeviceTest, StagingIsMemoryOfTheHostThatTheCpuComputesOn) {
  Device& staging = device.staging();
  EXPECT_EQ(staging.type(), DeviceType::cpu);
  EXPECT_EQ(staging.tier(), Tier::host);
  std::byte* const first = staging.allocate(bytes, Category::communication, "x").data();
  const Buffer again = staging.allocate(bytes, Category::communication, "x");
  EXPECT_EQ(again.data(), first);
  floats(again)[count - 1] = 1;
  EXPECT_EQ(staging.ledger().live(Category::communication), bytes);
}

TEST_F(CudaDeviceTest, StagesWhereItIsToldAndCountsThere) {
  PinnedHost host;
  device.stage_in(host);
  const Buffer staged = device.staging().allocate(bytes, Category::communication, "x");
  EXPECT_EQ(host.ledger().live(), bytes);
}

// Until something is asked for; what a side stream frees meanwhile is used again behind that stream.
TEST_F(CudaDeviceTest, LaunchesAPartAtItsEndOrWhereTheHostAsks) {
  device.use_graphs();
  const std::unique_ptr<SideStream> beside = device.side_stream();
  const Buffer a = holding(4), b = take(), c = take();
  for (int round = 0; round < 3; ++round) {
    device.begin_together();
    copy(floats(a), floats(b), count, device.stream());
    EXPECT_TRUE(cuda_emulation::captures());
    expect_holds(b, 4);
    EXPECT_FALSE(cuda_emulation::captures());
    copy(floats(b), floats(c), count, device.stream());
    device.end_together();

    device.begin_together();
    {
      const Buffer inside = take(), huge = take(400000);  // CUDA gives the second, so the first part is launched
      EXPECT_FALSE(round == 0 && cuda_emulation::captures());
      copy(floats(c), floats(inside), count, device.stream());
      copy(floats(inside), floats(b), count, device.stream());
    }
    device.end_together();
    EXPECT_FALSE(cuda_emulation::captures());

    auto freed_beside = std::make_unique<Buffer>(take());
    copy(floats(b), floats(*freed_beside), count, device.stream());
    const SideStream::Place place = beside->here();
    device.begin_together();
    std::thread other{[&] {
      beside->run(place, [&] {
        copy(floats(*freed_beside), floats(c), count, device.stream());
        freed_beside.reset();
      });
    }};
    other.join();
    device.end_together();
    device.begin_together();
    const Buffer next = take();
    device.fill_zero(next.data(), bytes);
    device.end_together();
    expect_holds(c, 4);
  }
}

// The contract of CopyStream, broken: the emulator says so, whatever the order.
TEST_F(CudaDeviceTest, ABufferThatIsFreedBeforeItsCopyIsDoneIsReported) {
  const std::unique_ptr<CopyStream> copies = device.copy_stream();
  const Buffer host = device.staging().allocate(bytes, Category::communication, "on the host");
  Buffer a = holding(1);
  EXPECT_EXIT(
      {
        try {
          const Event event = copies->copy(all_of(a), all_of(host));
          a.reset();
          const Buffer next = take();
          device.fill_zero(next.data(), bytes);
          event.wait();
          cudaStreamSynchronize(device.stream());
        } catch (const cuda_emulation::Fault& fault) {
          std::_Exit(1);
        }
        std::_Exit(0);
      },
      testing::ExitedWithCode(1), "no order between two streams|after it was freed|uninitialised read");
}

}  // namespace
}  // namespace tranche::cuda
