// The promise for jobs that compress while they train: every arrangement, the same bits.
#include <gtest/gtest.h>

#include "tests/support/small_job.h"

namespace tranche {
namespace {

using namespace testing;

const std::string weights = "compression_training.weight_quantization.",
                  inputs = "compression_training.activation_quantization.";

// Int8 weights from the third update on, int4 from the seventh, ternary in the feed-forward layers; inputs over ranges
// that follow the micro-batches.
SmallJob quantized(Numbers numbers, const char* calibration = "static") {
  return {.numbers = numbers,
          .changes = {weights + "shared_parameters.enabled=true", weights + "shared_parameters.schedule_offset=2",
                      weights + "shared_parameters.group_columns=16",
                      weights + R"(different_groups={"mlp": {"params": {"start_bits": 2, "target_bits": 2},
                                   "modules": ["mlp"]}, "rest": {"params": {"start_bits": 8, "target_bits": 4,
                                   "quantization_period": 1}}})",
                      inputs + "shared_parameters.enabled=true", inputs + "shared_parameters.schedule_offset=3",
                      inputs + "shared_parameters.quantization_type=asymmetric",
                      inputs + "shared_parameters.range_calibration=" + calibration,
                      inputs + R"(different_groups={"all": {"params": {"bits": 8}}})"}};
}

const std::vector<Arrangement> arrangements{
    {.ranks = 2, .stage = 0},
    {.ranks = 1, .stage = 0, .recompute = true},
    {.ranks = 2, .stage = 3, .recompute = true, .threads = 2},
    {.ranks = 3, .stage = 2, .bucket = 1000},
    {.ranks = 4, .stage = 3, .bucket = 1000, .offload = Offload::slices_to_host},
    {.ranks = 4, .stage = 1, .offload = Offload::to_disk}};

void expect_equal_everywhere(const SmallJob& job, std::size_t steps) {
  SmallRun run;
  const std::string expected = run.digest_after(steps, job, {});
  EXPECT_LT(run.last().loss, run.last().first_loss);
  for (const Arrangement& each : arrangements) EXPECT_EQ(run.digest_after(steps, job, each), expected) << name_of(each);
}

TEST(QuantizationAware, DigestsAreEqualOverArrangements) { expect_equal_everywhere(quantized(Numbers::float32), 12); }
TEST(QuantizationAware, DigestsAreEqualInBfloat16) { expect_equal_everywhere(quantized(Numbers::bfloat16), 8); }
TEST(QuantizationAware, DigestsAreEqualWithRangesOfEachToken) {
  expect_equal_everywhere(quantized(Numbers::float32, "dynamic"), 6);
}

// Ranges and the bit-width schedule are in the checkpoint; half way, other ranks go on.
TEST(QuantizationAware, DigestsAreEqualAfterAResumeOnAnotherNumberOfRanks) {
  SmallRun run;
  const SmallJob job = quantized(Numbers::float32);
  const std::string whole = run.digest_after(12, job, {});
  for (const std::size_t first : {1u, 5u, 8u}) {
    const std::string directory = str("resumed-", first);
    run.digest_after(first, job, {.ranks = 4, .stage = 3}, directory);
    EXPECT_EQ(run.digest_after(12, job, {.ranks = 2, .stage = 2}, directory), whole) << "after " << first;
  }
}

TEST(QuantizationAware, SkippedStepsFoldNothing) {
  SmallRun run;
  const SmallJob job = quantized(Numbers::float16);
  const auto ranges = [&](std::size_t steps) {
    const std::string directory = str("steps-", steps);
    run.digest_after(steps, job, {.ranks = 2}, directory);
    std::map<std::string, checkpoint::Value> state =
        checkpoint::read_manifest(checkpoint::resolve(run.folder() / directory)).state.logical;
    std::erase_if(state, [](const auto& each) { return !each.first.starts_with("compression."); });
    return state;
  };
  EXPECT_TRUE(ranges(2).empty());  // the first steps overflow
  EXPECT_EQ(run.last().skipped, 2u);
  const auto later = ranges(12);
  EXPECT_EQ(later.size(), 2 * (2 * 4 + 1u));  // two ends for each linear and the head
  EXPECT_GT(run.last().skipped, 2u);
  EXPECT_LT(run.last().skipped, 12u);
}

TEST(QuantizationAware, IsSeenByTheDigestOnceItBegins) {
  SmallRun run;
  const std::string plain = run.digest_after(2, {}, {});
  SmallJob job = quantized(Numbers::float32, "dynamic");
  EXPECT_EQ(run.digest_after(2, job, {}), plain);
  EXPECT_NE(run.digest_after(4, job, {}), run.digest_after(4, {}, {}));
  job.changes.push_back(weights + "shared_parameters.group_columns=32");
  EXPECT_NE(run.digest_after(4, job, {}), run.digest_after(4, quantized(Numbers::float32, "dynamic"), {}));
}

}  // namespace
}  // namespace tranche
