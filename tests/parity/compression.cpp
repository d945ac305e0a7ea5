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

const std::vector<Arrangement> arrangements{
    {.ranks = 2, .stage = 0},
    {.ranks = 1, .stage = 0, .recompute = true},
    {.ranks = 2, .stage = 3, .recompute = true, .threads = 2},
    {.ranks = 3, .stage = 2, .bucket = 1000},
    {.ranks = 4, .stage = 3, .bucket = 1000, .offload = Offload::slices_to_host},
    {.ranks = 4, .stage = 1, .offload = Offload::to_disk}};

void expect_equal_everywhere(const SmallJob& job, std::size_t steps) { expect_equal_in(arrangements, job, steps); }

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

// A student of one block; the teacher has two, and computes in bfloat16.
class Distilled : public ::testing::Test {
 protected:
  SmallRun run;
  const std::string teacher = run.digest_after(15, {}, {}, "teacher");

  SmallJob student(Numbers numbers, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> changes{"distillation.teacher=" + (run.folder() / "teacher").string(),
                                     "distillation.alpha=0.7", "distillation.temperature=2", "model.n_layer=1"};
    changes.insert(changes.end(), more.begin(), more.end());
    return {.numbers = numbers, .changes = changes};
  }
  void expect_equal_everywhere(const SmallJob& job, std::size_t steps) {
    const std::string expected = run.digest_after(steps, job, {});
    for (Arrangement each : arrangements) {
      EXPECT_EQ(run.digest_after(steps, job, each), expected) << name_of(each);
      if (each.stage != 3) continue;
      SmallJob offloaded = job;
      offloaded.changes.emplace_back("distillation.offload=cpu");
      EXPECT_EQ(run.digest_after(steps, offloaded, each), expected) << name_of(each) << ", the teacher in host memory";
    }
  }
};

TEST_F(Distilled, DigestsAreEqualOverArrangements) { expect_equal_everywhere(student(Numbers::float32), 8); }
TEST_F(Distilled, DigestsAreEqualInBfloat16WithTheReverseDivergence) {
  expect_equal_everywhere(student(Numbers::bfloat16, {"distillation.divergence=reverse"}), 6);
}
// Of a block of each, at a distance of their own.
SmallJob with_hidden_states(SmallJob job, const char* distance, const char* pairs = "[[0, 1]]") {
  const std::string hidden_states = "distillation.hidden_states.";
  for (const std::string& change : {"pairs=" + std::string{pairs}, "distance=" + std::string{distance}})
    job.changes.push_back(hidden_states + change);
  return job;
}
TEST_F(Distilled, DigestsAreEqualOverArrangementsWhereHiddenStatesTeach) {
  expect_equal_everywhere(with_hidden_states(student(Numbers::float32), "mse"), 5);
  expect_equal_everywhere(with_hidden_states(student(Numbers::bfloat16), "cosine"), 5);
  // A block follows the one that is compared.
  expect_equal_everywhere(with_hidden_states(student(Numbers::float32, {"model.n_layer=2"}), "mse"), 3);
}
TEST_F(Distilled, ResumesOnAnotherNumberOfRanksWhereHiddenStatesTeach) {
  const SmallJob job = with_hidden_states(student(Numbers::float32), "cosine");
  const std::string whole = run.digest_after(6, job, {});
  run.digest_after(3, job, {.ranks = 4, .stage = 3}, "resumed");
  EXPECT_EQ(run.digest_after(6, job, {.ranks = 2, .stage = 1}, "resumed"), whole);
  EXPECT_THROW(run.digest_after(7, with_hidden_states(student(Numbers::float32), "mse"), {}, "resumed"), Error);
}
TEST_F(Distilled, PairsDistanceAndWeightOfHiddenStatesAreSeenByTheDigest) {
  const SmallJob job = with_hidden_states(student(Numbers::float32), "mse");
  const std::string expected = run.digest_after(2, job, {});
  EXPECT_NE(run.digest_after(2, student(Numbers::float32), {}), expected);
  EXPECT_NE(run.digest_after(2, with_hidden_states(student(Numbers::float32), "cosine"), {}), expected);
  EXPECT_NE(run.digest_after(2, with_hidden_states(student(Numbers::float32), "mse", "[[0, 0]]"), {}), expected);
  EXPECT_NE(run.digest_after(2, with_hidden_states(student(Numbers::float32), "mse", "[[0, 0], [0, 1]]"), {}),
            expected);
  SmallJob heavier = job;
  heavier.changes.emplace_back("distillation.hidden_states.weight=2");
  EXPECT_NE(run.digest_after(2, heavier, {}), expected);
}
// One that already is its teacher has nothing to learn from it.
TEST_F(Distilled, HiddenStatesOfATeacherLikeTheStudentAddNothing) {
  const std::vector<std::string> like{"model.n_layer=2",
                                      "model.resid_pdrop=0",
                                      "model.attn_pdrop=0",
                                      "model.embd_pdrop=0",
                                      "distillation.precision=float32",
                                      "checkpoint.start_from=" + (run.folder() / "teacher").string()};
  run.digest_after(1, student(Numbers::float32, like), {});
  const double loss = run.last().first_loss;
  for (const char* distance : {"mse", "cosine"}) {
    run.digest_after(1, with_hidden_states(student(Numbers::float32, like), distance, "[[0, 0], [1, 1]]"), {});
    EXPECT_EQ(run.last().first_loss, loss) << distance;
    run.digest_after(1, with_hidden_states(student(Numbers::float32, like), distance, "[[0, 1]]"), {});
    EXPECT_GT(run.last().first_loss, loss) << distance;
  }
}

// Two of them, of other sizes, in one's half precision: the mean of their logits.
TEST_F(Distilled, DigestsAreEqualOverArrangementsWithSeveralTeachers) {
  run.digest_after(6, {.architecture = Architecture::llama}, {}, "other");
  const auto several = [&](const std::vector<std::string>& names) {
    Json teachers = Json::array();
    for (const std::string& name : names) teachers.push_back((run.folder() / name).string());
    return student(Numbers::float32, {"distillation.teacher=" + teachers.dump()});
  };
  expect_equal_everywhere(several({"teacher", "other"}), 5);
  const std::string both = run.digest_after(3, several({"teacher", "other"}), {});
  EXPECT_NE(run.digest_after(3, several({"teacher"}), {}), both);
  EXPECT_NE(run.digest_after(3, several({"other"}), {}), both);
  // Twice the same one is that one: logits in half precision have room for their sum in float32.
  const auto loss_of = [&](const std::vector<std::string>& names) {
    run.digest_after(3, several(names), {});
    return run.last().loss;
  };
  EXPECT_EQ(loss_of({"teacher", "teacher"}), loss_of({"teacher"}));
}

TEST_F(Distilled, AStudentOfFewerBlocksBeginsWithTheTeachers) {
  const std::string reduction = "compression_training.layer_reduction.";
  const std::vector<std::string> reduced{reduction + "enabled=true", reduction + "keep_number_layer=1"};
  std::vector<std::string> second = reduced, first = reduced;
  second.push_back(reduction + "teacher_layer=[1]");
  first.push_back(reduction + "teacher_layer=[0]");
  expect_equal_everywhere(student(Numbers::float32, second), 3);
  const double loss = run.last().first_loss;
  EXPECT_NE(run.digest_after(3, student(Numbers::float32, first), {}),
            run.digest_after(3, student(Numbers::float32, second), {}));
  run.digest_after(1, student(Numbers::float32), {});
  EXPECT_LT(loss, run.last().first_loss);  // than from nothing
}

TEST_F(Distilled, ResumesOnAnotherNumberOfRanksWithItsTeacherAndNoOther) {
  const SmallJob job = student(Numbers::float32);
  const std::string whole = run.digest_after(8, job, {});
  run.digest_after(3, job, {.ranks = 4, .stage = 3}, "resumed");
  EXPECT_EQ(run.digest_after(8, job, {.ranks = 2, .stage = 1}, "resumed"), whole);
  run.digest_after(16, {}, {}, "teacher");  // it has learned on
  EXPECT_THROW(run.digest_after(9, job, {}, "resumed"), Error);
}

TEST_F(Distilled, TheTeacherAndEachTermAreSeenByTheDigest) {
  const std::string expected = run.digest_after(3, student(Numbers::float32), {});
  for (const char* change : {"distillation.alpha=0.6", "distillation.temperature=3", "distillation.divergence=reverse",
                             "distillation.precision=float32"}) {
    SmallJob job = student(Numbers::float32);
    job.changes.emplace_back(change);
    EXPECT_NE(run.digest_after(3, job, {}), expected) << change;
  }
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

TEST_F(Distilled, AStudentWithFewerHeadsAndNeuronsHasEqualDigests) {
  SmallJob job = student(Numbers::float32, {"model.n_layer=2"});
  job.changes.insert(job.changes.end(), fewer.begin(), fewer.end());
  expect_equal_everywhere(job, 5);
}

TEST(StartFrom, BeginsWithTheParametersAloneOnAnyNumberOfRanks) {
  SmallRun run;
  run.digest_after(10, {}, {}, "first");
  const double end = run.last().loss, begin = run.last().first_loss;
  const SmallJob job{.numbers = Numbers::bfloat16,
                     .changes = {"checkpoint.start_from=" + (run.folder() / "first").string()}};
  const std::string expected = run.digest_after(4, job, {});
  EXPECT_LT(run.last().first_loss, (begin + end) / 2);
  for (const Arrangement& each : arrangements) EXPECT_EQ(run.digest_after(4, job, each), expected) << name_of(each);
  EXPECT_THROW(run.digest_after(1, {.changes = {job.changes[0], "model.n_layer=1"}}, {}), Error);  // another model
}

}  // namespace
}  // namespace tranche
