// A model whose training state is four times what the device holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "tests/support/small_job.h"

namespace tranche {
namespace {

using namespace testing;
using ::testing::HasSubstr;

// bfloat16: 18 bytes of state for each of 1,647,360 parameters, 29.7 MB.
SmallJob large_job(const std::string& memory) {
  return {.numbers = Numbers::bfloat16,
          .micro_batches = 4,
          .changes = {"model.n_layer=8", "model.n_embd=128", "device.memory=" + memory,
                      "activation_checkpointing.enabled=true"}};
}
constexpr std::size_t few_steps = 3;
const std::string a_quarter = "7.4MB";

TEST(FourTimesTheDevice, DoesNotFitWithoutOffload) {
  SmallRun run;
  try {
    run.digest_after(few_steps, large_job(a_quarter), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::out_of_memory);
    EXPECT_THAT(error.what(), HasSubstr("of the device's 7.06 MiB are in use"));
    EXPECT_THAT(error.what(), HasSubstr("zero_optimization.offload_optimizer"));
  }
}

TEST(FourTimesTheDevice, TrainsWithItsStateElsewhereToTheSameBits) {
  SmallRun run;
  const std::string expected = run.digest_after(few_steps, large_job("0"), {});
  for (const Offload offload : {Offload::to_host, Offload::to_disk})
    EXPECT_EQ(run.digest_after(few_steps, large_job(a_quarter), {.offload = offload}), expected);
}

// The working parameters alone are 3.3 MB.
TEST(ParametersThatTheDeviceDoesNotHold, TrainFromTheHostAndFromDiskToTheSameBits) {
  SmallRun run;
  const std::string expected = run.digest_after(few_steps, large_job("0"), {});
  for (const Offload offload : {Offload::slices_to_host, Offload::slices_to_disk})
    for (const std::size_t ranks : {1, 2})
      EXPECT_EQ(run.digest_after(few_steps, large_job("3MB"), {.ranks = ranks, .stage = 3, .offload = offload}),
                expected);
  EXPECT_THROW(run.digest_after(few_steps, large_job("3MB"), {.stage = 3, .offload = Offload::to_disk}), Error);
}

TEST(HostMemory, HasALimitOfItsOwn) {
  SmallRun run;
  SmallJob job = large_job("0");
  job.changes.push_back("device.host_memory=20MB");
  try {
    run.digest_after(few_steps, job, {.offload = Offload::to_host});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::out_of_memory);
    EXPECT_THAT(error.what(), HasSubstr("of the host's 19.07 MiB are in use"));
    EXPECT_THAT(error.what(), HasSubstr("device.host_memory"));
  }
}

}  // namespace
}  // namespace tranche
