// What the emulated runtime runs correctly in every order of streams, and each planted mistake that it reports.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <numeric>
#include <vector>

#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/planted.h"
#include "tests/cuda_emulation/streams.h"

namespace tranche::cuda_emulation {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t count = 512, bytes = count * sizeof(float);

// Two streams, an event, device memory of two arrays, and pinned memory. A fault stops the emulator for good, so each
// mistake is made in a process of its own.
class Streams : public testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    cudaSetDevice(0);
    for (cudaStream_t* each : {&first, &second}) cudaStreamCreateWithFlags(each, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    for (float** each : {&a, &b}) cudaMalloc(reinterpret_cast<void**>(each), bytes);
    cudaHostAlloc(reinterpret_cast<void**>(&host), bytes, cudaHostAllocPortable);
    std::iota(host, host + count, 0.0f);
  }
  void TearDown() override {
    for (float* each : {a, b}) cudaFree(each);
    cudaFreeHost(host);
    cudaEventDestroy(event);
    for (cudaStream_t each : {first, second}) cudaStreamDestroy(each);
  }

  void upload(float* to) { cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, first); }
  // The fault that `work` and then waiting for both streams ends with.
  void expect_fault(const std::function<void()>& work, const std::string& what) {
    EXPECT_EXIT(
        {
          try {
            work();
            cudaStreamSynchronize(second);
            cudaStreamSynchronize(first);
          } catch (const Fault& fault) {
            std::fprintf(stderr, "%s\n", fault.what());
            std::_Exit(1);
          }
          std::_Exit(0);
        },
        testing::ExitedWithCode(1), testing::HasSubstr(what));
  }

  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  float *a = nullptr, *b = nullptr, *host = nullptr;
};

TEST_F(Streams, WhatWaitsSeesWhatWasWritten) {
  std::vector<float> back(count);
  for (int round = 0; round < 20; ++round) {
    upload(a);
    copy(a, b, count, first);
    cudaEventRecord(event, first);
    cudaStreamWaitEvent(second, event, 0);
    copy(b, a, count, second);
    cudaMemcpyAsync(back.data(), a, bytes, cudaMemcpyDeviceToHost, second);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(back[i], host[i]) << round;
    for (std::size_t i = 0; i < count; ++i) host[i] += 1;
  }
}

TEST_F(Streams, AMissingWaitBetweenStreamsIsReported) {
  upload(a);
  upload(b);
  cudaStreamSynchronize(first);
  expect_fault(
      [&] {
        copy(a, b, count, first);
        copy(b, a, count, second);
      },
      "no order between two streams");
  expect_fault(
      [&] {
        copy(a, b, count, first);
        cudaMemcpyAsync(host, b, bytes, cudaMemcpyDeviceToHost, second);
      },
      "no order between two streams");
}

TEST_F(Streams, AnEventThatIsRecordedTooEarlyIsReported) {
  upload(a);
  upload(b);
  cudaStreamSynchronize(first);
  expect_fault(
      [&] {
        cudaEventRecord(event, first);
        copy(a, b, count, first);
        cudaStreamWaitEvent(second, event, 0);
        copy(b, a, count, second);
      },
      "no order between two streams");
}

TEST_F(Streams, MemoryThatIsOverwrittenWhileAnotherStreamReadsItIsReported) {
  upload(a);
  upload(b);
  cudaStreamSynchronize(first);
  expect_fault(
      [&] {
        cudaMemsetAsync(a, 0, bytes, second);
        copy(a, b, count, first);
      },
      "no order between two streams");
}

TEST_F(Streams, CopiesOutOfBoundsAndOfNothingAreReported) {
  expect_fault([&] { cudaMemcpyAsync(host, a, bytes, cudaMemcpyDeviceToHost, first); }, "uninitialised read");
  std::vector<float> more(2 * count);
  expect_fault([&] { cudaMemcpyAsync(a, more.data(), 2 * bytes, cudaMemcpyHostToDevice, first); },
               "out-of-bounds write");
  EXPECT_EQ(cudaMemcpyAsync(a, b, bytes, cudaMemcpyHostToDevice, first), cudaErrorInvalidValue);
}

TEST_F(Streams, FreedMemoryIsReported) {
  expect_fault(
      [&] {
        cudaFree(a);
        upload(a);
      },
      "write after it was freed");
}

TEST_F(Streams, HandlesThatAreGoneAreReported) {
  expect_fault(
      [&] {
        cudaEventDestroy(event);
        cudaEventRecord(event, first);
      },
      "an event that was destroyed");
  expect_fault(
      [&] {
        cudaStreamDestroy(first);
        upload(a);
      },
      "a stream that was destroyed");
}

TEST_F(Streams, PinnedMemoryThatChangesTooEarlyIsReportedWhereTheCopyIsLate) {
  if (stream_order() == When::at_once) GTEST_SKIP() << "the copy has run";
  if (stream_order() == When::drawn) GTEST_SKIP() << "the copy may have run";
  expect_fault(
      [&] {
        upload(a);
        host[3] = 77;
      },
      "was changed before its copy ran");
}

// What `work` gives the first stream, as a graph that was instantiated.
cudaGraphExec_t captured(cudaStream_t stream, const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  work();
  cudaStreamEndCapture(stream, &graph);
  cudaGraphInstantiate(&made, graph, 0);
  cudaGraphDestroy(graph);
  return made;
}
// Whether it could be updated to the same.
bool updates(cudaGraphExec_t executable, cudaStream_t stream, const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  cudaGraphExecUpdateResultInfo info{};
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  work();
  cudaStreamEndCapture(stream, &graph);
  const bool updated = cudaGraphExecUpdate(executable, graph, &info) == cudaSuccess;
  cudaGraphDestroy(graph);
  return updated;
}

TEST_F(Streams, AGraphDoesWhenItIsLaunchedWhatWasCapturedOrItWasUpdatedTo) {
  std::vector<float> back(count);
  const auto read = [&] {
    cudaMemcpyAsync(back.data(), b, bytes, cudaMemcpyDeviceToHost, first);
    cudaStreamSynchronize(first);
    return back[5];
  };
  upload(a);
  cudaMemsetAsync(b, 0, bytes, first);
  const cudaGraphExec_t graph = captured(first, [&] { copy(a, b, count, first); });
  EXPECT_EQ(read(), 0);
  cudaGraphLaunch(graph, first);
  EXPECT_EQ(read(), 5);
  cudaMemsetAsync(b, 0, bytes, first);
  ASSERT_TRUE(updates(graph, first, [&] { copy(a, b, 5, first); }));
  cudaGraphLaunch(graph, first);
  EXPECT_EQ(read(), 0);
  EXPECT_FALSE(updates(graph, first, [&] { cudaMemsetAsync(a, 0, bytes, first); }));
  cudaGraphExecDestroy(graph);
}

TEST_F(Streams, WhatACaptureForbidsIsReported) {
  const auto meanwhile = [&](const std::function<void()>& work, const std::string& what) {
    expect_fault(
        [&] {
          cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed);
          work();
        },
        what + " of a stream that is being captured");
  };
  meanwhile([&] { cudaStreamSynchronize(first); }, "a wait of the host for work");
  meanwhile([&] { cudaEventRecord(event, first); }, "an event");
  meanwhile([&] { cudaStreamWaitEvent(first, event, 0); }, "a wait");
  meanwhile([&] { upload(a); }, "a copy to or from the host");
  meanwhile([&] { cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed); }, "a capture");
  expect_fault(
      [&] {
        cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed);
        float* more = nullptr;
        cudaMalloc(reinterpret_cast<void**>(&more), bytes);
      },
      "an allocation while a stream is being captured");
}

TEST_F(Streams, AGraphOfMemoryThatIsGoneIsReported) {
  upload(a);
  expect_fault(
      [&] {
        const cudaGraphExec_t graph = captured(first, [&] { copy(a, b, count, first); });
        cudaFree(b);
        cudaGraphLaunch(graph, first);
      },
      "after it was freed");
}

TEST_F(Streams, TheHostDoesNotTouchDeviceMemory) {
  upload(a);
  cudaStreamSynchronize(first);
  EXPECT_EXIT(a[0] = 1, testing::ExitedWithCode(70), "the host touches device memory");
  EXPECT_EXIT(std::_Exit(static_cast<int>(*static_cast<volatile float*>(a))), testing::ExitedWithCode(70),
              "the host touches device memory");
}

TEST_F(Streams, WhatIsNotGivenBackIsReported) {
  EXPECT_EXIT(std::exit(0), testing::ExitedWithCode(70),
              "leaked 2 allocations, 1 of the host, 2 streams, 1 events, 0 graphs");
}

}  // namespace
}  // namespace tranche::cuda_emulation
