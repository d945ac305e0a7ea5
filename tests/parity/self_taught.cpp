// Models that teach themselves, and each other: by their earlier checkpoint, their end, and a peer that trains along.
#include "tests/parity/distilled.h"

namespace tranche {
namespace {

using namespace testing;

const std::vector<std::string> without_dropout{"model.resid_pdrop=0", "model.attn_pdrop=0", "model.embd_pdrop=0"};

class SelfTaught : public Distilled {
 protected:
  // That goes on from the teacher's parameters, of two blocks, without a teacher.
  SmallJob alone(const std::vector<std::string>& more = {}) const {
    SmallJob job{.changes = without_dropout};
    job.changes.push_back("checkpoint.start_from=" + (run.folder() / "teacher").string());
    job.changes.insert(job.changes.end(), more.begin(), more.end());
    return job;
  }
  double first_loss(const SmallJob& job) {
    run.digest_after(1, job, {});
    return run.last().first_loss;
  }
};

TEST_F(SelfTaught, AModelIsTaughtByItsOwnEarlierCheckpoint) {
  const std::string earlier = (run.folder() / "teacher" / "step-000015").string();
  expect_equal_everywhere(student(Numbers::bfloat16, {"model.n_layer=2", "distillation.teacher=" + earlier,
                                                      "checkpoint.start_from=" + earlier}),
                          3);
}

// What the head makes of the first block is a model of one block; the whole one is its teacher.
TEST_F(SelfTaught, AnExitIsAShorterModelThatTheWholeOneTeaches) {
  const std::string reduction = "compression_training.layer_reduction.", exits = "distillation.exits.";
  const std::vector<std::string> shorter{"model.n_layer=1", reduction + "enabled=true",
                                         reduction + "keep_number_layer=1", reduction + "teacher_layer=[0]"};
  const double whole = first_loss(alone()), text = first_loss(alone(shorter));
  std::vector<std::string> taught = shorter;
  for (const std::string& change :
       {"distillation.teacher=" + (run.folder() / "teacher").string(), std::string{"distillation.precision=float32"},
        std::string{"distillation.alpha=1"}, std::string{"distillation.temperature=2"}})
    taught.push_back(change);
  const double divergence = first_loss(alone(taught));
  EXPECT_NEAR(first_loss(alone({exits + "blocks=[0]", exits + "weight=0.5", "distillation.alpha=0"})),
              whole + 0.5 * text, 1e-5);
  EXPECT_NEAR(first_loss(alone(
                  {exits + "blocks=[0]", exits + "weight=2", "distillation.alpha=1", "distillation.temperature=2"})),
              whole + 2 * divergence, 1e-5);
}

TEST_F(SelfTaught, DigestsAreEqualOverArrangementsWithExits) {
  const std::string exits = "distillation.exits.";
  expect_equal_in(some_arrangements, {.changes = {exits + "blocks=[0]"}}, 5);
  expect_equal_in(
      some_arrangements,
      {.numbers = Numbers::bfloat16,
       .architecture = Architecture::llama,
       .changes = {"model.num_hidden_layers=3", "model.tie_word_embeddings=false", exits + "blocks=[1, 0]"}},
      4);
  // Beside a teacher, whose hidden states are compared with those that an exit reads.
  expect_equal_everywhere(
      student(Numbers::float32, {"model.n_layer=2", exits + "blocks=[0]", "distillation.hidden_states.pairs=[[0, 1]]"}),
      3);
}
TEST_F(SelfTaught, ResumesOnAnotherNumberOfRanksWithExits) {
  expect_equal_after_resumes({.numbers = Numbers::float16, .changes = {"distillation.exits.blocks=[0]"}}, {5});
}
TEST_F(SelfTaught, WhatExitsTeachIsSeenByTheDigest) {
  const auto digest = [&](const std::vector<std::string>& more) {
    std::vector<std::string> changes{"model.n_layer=3", "distillation.exits.blocks=[0]"};
    changes.insert(changes.end(), more.begin(), more.end());
    return run.digest_after(2, {.changes = changes}, {});
  };
  const std::string expected = digest({});
  EXPECT_NE(run.digest_after(2, {.changes = {"model.n_layer=3"}}, {}), expected);
  for (const char* change : {"distillation.exits.blocks=[1]", "distillation.exits.blocks=[0, 1]",
                             "distillation.exits.weight=2", "distillation.alpha=1", "distillation.temperature=2"})
    EXPECT_NE(digest({change}), expected) << change;
}

const std::string peer = R"(distillation.peer={"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 2,
    "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 16, "vocab_size": 256})",
                  twin = R"(distillation.peer={"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 32,
    "n_positions": 16, "vocab_size": 256})";

TEST(MutualLearning, DigestsAreEqualOverArrangements) {
  expect_equal_in(some_arrangements, {.changes = {peer, "distillation.temperature=2"}}, 5);
  expect_equal_in(some_arrangements, {.numbers = Numbers::bfloat16, .changes = {twin, "distillation.exits.blocks=[0]"}},
                  4);
}
TEST(MutualLearning, DigestsAreEqualAfterAResumeOnAnotherNumberOfRanks) {
  expect_equal_after_resumes({.numbers = Numbers::float16, .changes = {peer}}, {5});
}

// With nothing to teach each other, and no common limit of their gradients, they are two models that train.
TEST(MutualLearning, OfModelsThatDoNotTeachIsTwoModels) {
  SmallRun run;
  const std::vector<std::string> apart{"gradient_clipping=0", "distillation.alpha=0"};
  std::vector<std::string> both = apart;
  both.push_back(twin);
  run.digest_after(4, {.changes = apart}, {}, "alone");
  const double loss = run.last().loss;
  run.digest_after(4, {.changes = both}, {}, "both");
  EXPECT_GT(run.last().loss, 1.5 * loss);
  const auto goes_on = [&](const char* from) {
    return run.digest_after(1, {.changes = {"checkpoint.start_from=" + (run.folder() / from).string()}}, {});
  };
  EXPECT_EQ(goes_on("both"), goes_on("alone"));
  both[1] = "distillation.alpha=0.5";
  run.digest_after(4, {.changes = both}, {}, "taught");
  EXPECT_NE(goes_on("taught"), goes_on("alone"));
}

// A twin begins elsewhere, and both are in the checkpoint.
TEST(MutualLearning, APeerHasParametersOfItsOwn) {
  SmallRun run;
  run.digest_after(1, {.changes = {twin}}, {.ranks = 2, .stage = 3}, "both");
  const checkpoint::Manifest written = checkpoint::read_manifest(checkpoint::resolve(run.folder() / "both"));
  EXPECT_EQ(written.units.size(), 8u);  // embedding, two blocks and head of each
  EXPECT_EQ(written.units[4].name, "distillation.peer.embedding");
  EXPECT_EQ(written.units.back().tensors.front().name.substr(0, 18), "distillation.peer.");
}

}  // namespace
}  // namespace tranche
