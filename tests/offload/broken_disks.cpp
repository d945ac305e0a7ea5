// A disk that fails under offloaded state ends the run with a reason; its last checkpoint is whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "tests/offload/swap_faults.h"
#include "tests/support/small_job.h"

namespace tranche {
namespace {

using namespace testing;
using ::testing::HasSubstr;

struct Case {
  const char* name;
  IoCall call;
  IoFaults::Verdict verdict;
  const char* says;
};

class BrokenDisks : public ::testing::TestWithParam<std::tuple<Case, Offload>> {};

TEST_P(BrokenDisks, EndTheRunAndLeaveTheLastCheckpoint) {
  const auto& [broken, offload] = GetParam();
  SmallRun run;
  const SmallJob job{.numbers = Numbers::bfloat16, .micro_batches = 4};
  const Arrangement on_disk{.ranks = 2, .stage = 3, .offload = offload};
  const std::string whole = run.digest_after(8, job, {});
  run.digest_after(4, job, on_disk, "run");
  try {
    const SwapFaults faults{broken.call, 300, broken.verdict};
    run.digest_after(8, job, on_disk, "run");
    ADD_FAILURE() << "nothing failed in " << faults.calls() << " calls";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::storage);
    EXPECT_THAT(error.what(), HasSubstr(broken.says));
    EXPECT_THAT(error.what(), HasSubstr("of the swap file in"));
    EXPECT_THAT(error.what(), HasSubstr("while training step"));
  }
  EXPECT_EQ(run.digest_after(8, job, on_disk, "run"), whole);
}

// The checkpoint is not what is broken, so nothing older is taken in its place.
TEST(BrokenDisk, WhileLoadingIsNoDamageOfTheCheckpoint) {
  SmallRun run;
  const SmallJob job{.numbers = Numbers::bfloat16, .micro_batches = 4};
  const Arrangement on_disk{.offload = Offload::to_disk};
  run.digest_after(2, job, on_disk, "run");
  run.digest_after(4, job, on_disk, "run");
  try {
    const SwapFaults faults{IoCall::read, 0, {.error = EIO}};
    run.digest_after(6, job, on_disk, "run");
    ADD_FAILURE() << "nothing failed in " << faults.calls() << " calls";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::storage);
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("Input/output error"), HasSubstr("resuming from")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, BrokenDisks,
    ::testing::Combine(::testing::Values(Case{"unreadable", IoCall::read, {.error = EIO}, "Input/output error"},
                                         Case{"unwritable", IoCall::write, {.error = EIO}, "Input/output error"},
                                         Case{"full", IoCall::write, {.error = ENOSPC}, "No space left on device"}),
                       ::testing::Values(Offload::to_disk, Offload::slices_to_disk)),
    [](const auto& way) {
      const bool slices = std::get<1>(way.param) == Offload::slices_to_disk;
      return str(std::get<0>(way.param).name, slices ? "_with_slices" : "");
    });

}  // namespace
}  // namespace tranche
