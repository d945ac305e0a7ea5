// What a profiler sees of spans, and that the tool which stands for one reports ranges that are wrong.
#include <gmock/gmock.h>
#include <nvtx3/nvToolsExt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/trace.h"
#include "runtime/device/cuda/nvtx_ranges.h"

namespace tranche::cuda {
namespace {

using testing::ExitedWithCode;

// A process of its own has a tool of its own: what it wrote, once `work` is done.
class Ranges : public testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "fast");
    ::setenv("TRANCHE_EMULATED_TOOL", path_.c_str(), 1);
  }
  void TearDown() override { ::unsetenv("TRANCHE_EMULATED_TOOL"); }

  template <class Work> static void shown(const Work& work) {
    show_spans_to_tools();
    work();
    const std::string file = str(std::getenv("TRANCHE_EMULATED_TOOL"), ".", ::getpid());
    std::fputs(read_small_file(file).c_str(), stderr);
    std::filesystem::remove(file);
    std::exit(0);
  }

  std::string path_ = testing::TempDir() + "ranges";
};

TEST_F(Ranges, AreTheSpansWithTheirKindAndBytes) {
  EXPECT_EXIT(shown([] {
                const trace::Span step{trace::Kind::step, "step", 7};
                { const trace::Span forward{trace::Kind::compute, "forward", "blocks.3"}; }
                const trace::Span copy{trace::Kind::copy, "copy rows", {}, 64};
              }),
              ExitedWithCode(0), "0 0 step 0 step 7\n0 1 compute 0 forward blocks.3\n0 1 copy 64 copy rows\n");
}

TEST_F(Ranges, EndOnceAndOnTheThreadOfTheirBeginning) {
  EXPECT_EXIT(shown([] {
                alignas(trace::Span) static std::byte place[sizeof(trace::Span)];
                new (place) trace::Span{trace::Kind::step, "step", 7};
              }),
              ExitedWithCode(70), "1 ranges are open as the program ends");
  EXPECT_EXIT(nvtxDomainRangePop(nvtxDomainCreateA("other")), ExitedWithCode(70), "did not begin on this thread");
  EXPECT_EXIT(nvtxDomainRangePop(nullptr), ExitedWithCode(70), "another domain");
}

TEST_F(Ranges, HaveANameAndACategoryThatHasOne) {
  EXPECT_EXIT(shown([] { const trace::Span span{trace::Kind::step, ""}; }), ExitedWithCode(70), "without a name");
  EXPECT_EXIT(shown([] {
                const trace::Span span{static_cast<trace::Kind>(99), "step"};
              }),
              ExitedWithCode(70), "a category without a name");
}

TEST_F(Ranges, AreNoneWhereNoToolListens) {
  ::unsetenv("TRANCHE_EMULATED_TOOL");
  show_spans_to_tools();
  EXPECT_EQ(trace::detail::watched, 0u);
}

}  // namespace
}  // namespace tranche::cuda
