// The promise for jobs that compress while they train: every arrangement, the same bits.
#include <gtest/gtest.h>

#include "tests/parity/arrangements.h"

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

void expect_equal_everywhere(const SmallJob& job, std::size_t steps) { expect_equal_in(some_arrangements, job, steps); }

TEST(QuantizationAware, DigestsAreEqualOverArrangements) { expect_equal_everywhere(quantized(Numbers::float32), 12); }
TEST(QuantizationAware, DigestsAreEqualInBfloat16) { expect_equal_everywhere(quantized(Numbers::bfloat16), 8); }
TEST(QuantizationAware, DigestsAreEqualWithRangesOfEachToken) {
  expect_equal_everywhere(quantized(Numbers::float32, "dynamic"), 6);
}

// Ranges and the bit-width schedule are in the checkpoint; half way, other ranks go on.
TEST(QuantizationAware, DigestsAreEqualAfterAResumeOnAnotherNumberOfRanks) {
  expect_equal_after_resumes(quantized(Numbers::float32), {1, 5, 8});
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

// Step sizes are parameters like any other, and begin with the third update.
SmallJob with_learned_steps(Numbers numbers, const std::string& offset = "2") {
  return {
      .numbers = numbers,
      .changes = {weights + "shared_parameters.enabled=true", weights + "shared_parameters.schedule_offset=" + offset,
                  weights + "shared_parameters.group_columns=16", weights + "shared_parameters.learned_step_sizes=true",
                  weights + R"(different_groups={"mlp": {"params": {"start_bits": 2, "target_bits": 2},
                                   "modules": ["mlp"]}, "rest": {"params": {"start_bits": 4, "target_bits": 4}}})"}};
}

TEST(LearnedStepSizes, DigestsAreEqualOverArrangements) {
  expect_equal_everywhere(with_learned_steps(Numbers::float32), 8);
}
TEST(LearnedStepSizes, DigestsAreEqualInBfloat16FromTheFirstStepOn) {
  expect_equal_everywhere(with_learned_steps(Numbers::bfloat16, "0"), 8);
}
TEST(LearnedStepSizes, DigestsAreEqualAfterAResumeOnAnotherNumberOfRanks) {
  expect_equal_after_resumes(with_learned_steps(Numbers::float32), {1, 2, 5});
}

// Weights and inputs of linears are signs times scales, of the weights' mean magnitudes or learned.
SmallJob binary(Numbers numbers, bool learned) {
  return {
      .numbers = numbers,
      .changes = {weights + "shared_parameters.enabled=true", weights + "shared_parameters.schedule_offset=2",
                  weights + "shared_parameters.group_columns=1000",
                  weights + "shared_parameters.learned_step_sizes=" + (learned ? "true" : "false"),
                  weights + R"(different_groups={"all": {"params": {"start_bits": 1, "target_bits": 1},
                                   "modules": ["attention", "mlp"]}})",
                  inputs + "shared_parameters.enabled=true", inputs + "shared_parameters.schedule_offset=2",
                  inputs + "shared_parameters.signs=" + (learned ? "plain" : "scaled"),
                  inputs + R"(different_groups={"all": {"params": {"bits": 1}, "modules": ["attention", "mlp"]}})"}};
}
TEST(Binarized, DigestsAreEqualOverArrangements) {
  expect_equal_everywhere(binary(Numbers::float32, false), 10);
  expect_equal_everywhere(binary(Numbers::bfloat16, true), 10);
}
TEST(Binarized, DigestsAreEqualAfterAResumeOnAnotherNumberOfRanks) {
  expect_equal_after_resumes(binary(Numbers::bfloat16, false), {1, 5});
  expect_equal_after_resumes(binary(Numbers::float32, true), {2, 5});
}
TEST(Binarized, ScalesAreSeenByTheDigest) {
  SmallRun run;
  SmallJob job = binary(Numbers::float32, false);
  const std::string expected = run.digest_after(4, job, {});
  job.changes.push_back(inputs + "shared_parameters.signs=plain");
  EXPECT_NE(run.digest_after(4, job, {}), expected);
  EXPECT_NE(run.digest_after(4, binary(Numbers::float32, true), {}), expected);
}

// Of inputs: they begin with the ranges that were followed until the third update.
SmallJob with_learned_inputs(Numbers numbers) {
  return {.numbers = numbers,
          .changes = {inputs + "shared_parameters.enabled=true", inputs + "shared_parameters.schedule_offset=3",
                      inputs + "shared_parameters.range_calibration=static",
                      inputs + "shared_parameters.learned_step_sizes=true",
                      inputs + R"(different_groups={"all": {"params": {"bits": 4}}})"}};
}
TEST(LearnedStepSizes, OfInputsHaveEqualDigestsOverArrangements) {
  expect_equal_everywhere(with_learned_inputs(Numbers::float32), 8);
  expect_equal_everywhere(with_learned_inputs(Numbers::bfloat16), 8);
}
TEST(LearnedStepSizes, OfInputsHaveEqualDigestsAfterAResume) {
  expect_equal_after_resumes(with_learned_inputs(Numbers::float32), {1, 3, 6});
}
TEST(LearnedStepSizes, OfInputsAreSeenByTheDigest) {
  SmallRun run;
  SmallJob followed = with_learned_inputs(Numbers::float32);
  followed.changes.push_back(inputs + "shared_parameters.learned_step_sizes=false");
  EXPECT_NE(run.digest_after(6, followed, {}), run.digest_after(6, with_learned_inputs(Numbers::float32), {}));
}

// From a model that has none, and from one that has them.
TEST(LearnedStepSizes, BeginWithTheWeightsThatARunStartsFrom) {
  SmallRun run;
  run.digest_after(6, {}, {}, "float");
  run.digest_after(6, with_learned_steps(Numbers::float32), {}, "learned");
  for (const char* from : {"float", "learned"}) {
    SmallJob job = with_learned_steps(Numbers::float32, "0");
    job.changes.push_back("checkpoint.start_from=" + (run.folder() / from).string());
    const std::string expected = run.digest_after(3, job, {});
    EXPECT_EQ(run.digest_after(3, job, {.ranks = 4, .stage = 3}), expected) << from;
    EXPECT_NE(run.digest_after(3, with_learned_steps(Numbers::float32, "0"), {}), expected) << from;
  }
  SmallJob without{.changes = {"checkpoint.start_from=" + (run.folder() / "learned").string()}};
  EXPECT_THROW(run.digest_after(1, without, {}), Error);
}

// A model whose linears are products of two is a model like any other.
TEST(LowRank, DigestsAreEqualOverArrangements) {
  for (const Architecture architecture : {Architecture::gpt2, Architecture::llama})
    for (const Numbers numbers : {Numbers::float32, Numbers::bfloat16})
      expect_equal_everywhere({.numbers = numbers,
                               .architecture = architecture,
                               .changes = {R"(model.low_rank={"blocks.0.attention.qkv": 5, "blocks.0.mlp.down": 8,
                                              "blocks.1.mlp.up": 3, "blocks.1.attention.output": 7})"}},
                              8);
}

// So is one whose blocks differ in heads and neurons.
const std::vector<std::string> fewer{R"(model.pruned_to={"blocks.0.attention.heads": 1, "blocks.0.mlp.neurons": 40,
                                                          "blocks.1.mlp.neurons": 23})"};
TEST(PrunedStructure, DigestsAreEqualOverArrangements) {
  for (const Architecture architecture : {Architecture::gpt2, Architecture::llama}) {
    SmallJob job = quantized(Numbers::bfloat16, "dynamic");
    job.architecture = architecture;
    job.changes.insert(job.changes.end(), fewer.begin(), fewer.end());
    expect_equal_everywhere(job, 5);
  }
}

TEST(StartFrom, BeginsWithTheParametersAloneOnAnyNumberOfRanks) {
  SmallRun run;
  run.digest_after(10, {}, {}, "first");
  const double end = run.last().loss, begin = run.last().first_loss;
  const SmallJob job{.numbers = Numbers::bfloat16,
                     .changes = {"checkpoint.start_from=" + (run.folder() / "first").string()}};
  const std::string expected = run.digest_after(4, job, {});
  EXPECT_LT(run.last().first_loss, (begin + end) / 2);
  for (const Arrangement& each : some_arrangements)
    EXPECT_EQ(run.digest_after(4, job, each), expected) << name_of(each);
  EXPECT_THROW(run.digest_after(1, {.changes = {job.changes[0], "model.n_layer=1"}}, {}), Error);  // another model
}

}  // namespace
}  // namespace tranche
