// What recomputation keeps may lie in host memory or on disk: the same bits, less on the device, and failures by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/plan.h"
#include "runtime/base/error.h"
#include "tests/offload/swap_faults.h"
#include "tests/support/small_job.h"

namespace tranche {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string section = "activation_checkpointing.";

// Six units, dropout, so that recomputation must draw the same numbers again.
SmallJob job_of(Numbers numbers, std::vector<std::string> changes) {
  changes.insert(changes.end(), {"model.n_layer=4", "model.resid_pdrop=0.1"});
  return {.numbers = numbers, .micro_batches = 4, .changes = std::move(changes)};
}
std::vector<std::string> to_host() { return {section + "enabled=true", section + "cpu_checkpointing=true"}; }
std::vector<std::string> to_disk(const SmallRun& run) {
  return {section + "enabled=true", section + "nvme_path=" + (run.folder() / "swap").string()};
}

TEST(ActivationsElsewhere, GiveTheBitsOfActivationsThatAreKept) {
  for (const Numbers numbers : {Numbers::float32, Numbers::bfloat16}) {
    SmallRun run;
    const std::string expected = run.digest_after(4, job_of(numbers, {}), {});
    for (const Arrangement& arrangement :
         {Arrangement{}, {.ranks = 2, .stage = 2, .threads = 2}, {.ranks = 4, .stage = 3}}) {
      EXPECT_EQ(run.digest_after(4, job_of(numbers, to_host()), arrangement), expected) << name_of(arrangement);
      EXPECT_EQ(run.digest_after(4, job_of(numbers, to_disk(run)), arrangement), expected) << name_of(arrangement);
    }
  }
}

// With everything on disk: state, slices and inputs are in one file.
TEST(ActivationsElsewhere, ShareTheDiskWithTheRest) {
  SmallRun run;
  const std::string expected = run.digest_after(4, job_of(Numbers::bfloat16, {}), {});
  const Arrangement all{.ranks = 2, .stage = 3, .offload = Offload::slices_to_disk};
  EXPECT_EQ(run.digest_after(4, job_of(Numbers::bfloat16, to_disk(run)), all), expected);
}

TEST(ActivationsElsewhere, LetTheDeviceBeSmaller) {
  SmallRun run;
  const auto job = [](std::vector<std::string> changes) {
    changes.insert(changes.end(), {"model.n_layer=12", "zero_optimization.offload_optimizer.device=cpu"});
    return SmallJob{.numbers = Numbers::bfloat16, .micro_batches = 4, .changes = std::move(changes)};
  };
  const auto peak = [&](const std::vector<std::string>& changes) {
    Job planned{read_job(run.write_job(job({}), "planned"), job(changes).changes)};
    planned.settle(1);
    return make_plan(planned, 1).device().peak;
  };
  const std::size_t recomputed = peak({section + "enabled=true"}), spilled = peak(to_host());
  EXPECT_EQ(peak(to_disk(run)), spilled);
  EXPECT_LT(spilled, recomputed);
  const std::string memory = str("device.memory=", (recomputed + spilled) / 2);
  const auto fits = [&](std::vector<std::string> changes) {
    changes.push_back(memory);
    try {
      run.digest_after(2, job(changes), {});
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::out_of_memory) << error.what();
      return false;
    }
  };
  EXPECT_FALSE(fits({section + "enabled=true"}));
  EXPECT_TRUE(fits(to_host()));
  EXPECT_TRUE(fits(to_disk(run)));
}

TEST(ActivationsOnADiskThatFails, EndTheRunAndLeaveTheLastCheckpoint) {
  struct Way {
    IoCall call;
    IoFaults::Verdict verdict;
    const char* says;
  };
  SmallRun run;
  const SmallJob job = job_of(Numbers::bfloat16, to_disk(run));
  const std::string whole = run.digest_after(4, job_of(Numbers::bfloat16, {}), {});
  std::size_t runs = 0;
  for (const Way& way : {Way{IoCall::read, {.error = EIO}, "Input/output error"},
                         Way{IoCall::write, {.error = EIO}, "Input/output error"},
                         Way{IoCall::write, {.error = ENOSPC}, "No space left on device"}}) {
    const std::string directory = str("broken-", ++runs);
    run.digest_after(2, job, {}, directory);
    try {
      const SwapFaults faults{way.call, 3, way.verdict};
      run.digest_after(4, job, {}, directory);
      ADD_FAILURE() << "nothing failed in " << faults.calls() << " calls";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::storage);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(way.says), HasSubstr("of the swap file in"),
                                      HasSubstr("while computing the "), HasSubstr("while training step 3")));
    }
    EXPECT_EQ(run.digest_after(4, job, {}, directory), whole);
  }
}

}  // namespace
}  // namespace tranche
