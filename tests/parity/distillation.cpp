// The promise for students that learn from teachers: every arrangement, the same bits.
#include "tests/parity/distilled.h"

namespace tranche {
namespace {

using namespace testing;

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
// A student of another width, whose states go through learned linears; one block of it is compared twice.
SmallJob with_projections(SmallJob job, const char* pairs = "[[0, 0], [0, 1]]") {
  job = with_hidden_states(std::move(job), "mse", pairs);
  job.changes.emplace_back("distillation.hidden_states.projection=true");
  return job;
}
TEST_F(Distilled, DigestsAreEqualOverArrangementsWithProjections) {
  expect_equal_everywhere(with_projections(student(Numbers::float32, {"model.n_embd=48"})), 5);
  expect_equal_everywhere(with_projections(student(Numbers::bfloat16, {"model.n_embd=48", "model.n_layer=2"})), 4);
}
TEST_F(Distilled, ResumesOnAnotherNumberOfRanksWithItsProjections) {
  const SmallJob job = with_projections(student(Numbers::float16, {"model.n_embd=48"}));
  const std::string whole = run.digest_after(9, job, {});
  run.digest_after(4, job, {.ranks = 4, .stage = 3}, "resumed");
  EXPECT_EQ(run.digest_after(9, job, {.ranks = 2, .stage = 1}, "resumed"), whole);
  EXPECT_GT(run.last().skipped, 0u);
}
// They train, and are in the checkpoint; who goes on from the model leaves them, or begins with others.
TEST_F(Distilled, ProjectionsTrainAndBelongToNoModel) {
  const std::vector<std::string> other{"model.n_embd=48"};
  const SmallJob job = with_projections(student(Numbers::float32, other));
  run.digest_after(3, job, {.ranks = 2, .stage = 2}, "projected");
  const checkpoint::Manifest written = checkpoint::read_manifest(checkpoint::resolve(run.folder() / "projected"));
  EXPECT_EQ(written.units.back().tensors.front().name, "distillation.hidden_states.1.weight");
  EXPECT_EQ(written.units.back().tensors.front().shape, (Shape{32, 48}));
  const std::string from = "checkpoint.start_from=" + (run.folder() / "projected").string();
  const SmallJob plain{.changes = {"model.n_embd=48", "model.n_layer=1", from}};
  const std::string expected = run.digest_after(2, plain, {});
  EXPECT_EQ(run.digest_after(2, plain, {.ranks = 4, .stage = 3}), expected);
  SmallJob on = with_projections(student(Numbers::float32, other), "[[0, 1]]");
  on.changes.push_back(from);
  expect_equal_everywhere(on, 2);
  EXPECT_THROW(run.digest_after(1, {.changes = {"model.n_embd=48", from}}, {}), Error);  // a model of two blocks
}
// "*" means the model's weights.
TEST_F(Distilled, NobodyPrunesOrQuantizesProjections) {
  const std::string pruning = "compression_training.sparse_pruning.",
                    groups = "compression_training.weight_quantization.";
  expect_equal_everywhere(
      with_projections(
          student(Numbers::float32,
                  {"model.n_embd=48", pruning + "shared_parameters.enabled=true",
                   pruning + "shared_parameters.schedule_offset=1",
                   pruning + R"(different_groups={"all": {"params": {"dense_ratio": 0.5}}})",
                   groups + "shared_parameters.enabled=true", groups + "shared_parameters.learned_step_sizes=true",
                   groups + R"(different_groups={"all": {"params": {"start_bits": 4,
                                                                                      "target_bits": 4}}})"})),
      3);
}

// One that already is its teacher has nothing to learn from it.
TEST_F(Distilled, HiddenStatesOfATeacherLikeTheStudentAddNothing) {
  const std::vector<std::string> like = like_the_teacher();
  run.digest_after(1, student(Numbers::float32, like), {});
  const double loss = run.last().first_loss;
  for (const char* distance : {"mse", "cosine"}) {
    run.digest_after(1, with_hidden_states(student(Numbers::float32, like), distance, "[[0, 0], [1, 1]]"), {});
    EXPECT_EQ(run.last().first_loss, loss) << distance;
    run.digest_after(1, with_hidden_states(student(Numbers::float32, like), distance, "[[0, 1]]"), {});
    EXPECT_GT(run.last().first_loss, loss) << distance;
  }
}

// Of four samples to each other; widths of student and teacher differ.
SmallJob with_relations(SmallJob job, const std::vector<std::string>& more = {}) {
  for (const char* change : {"train_micro_batch_size_per_gpu=4", "train_batch_size=48", "distillation.alpha=0",
                             "distillation.relations.pairs=[[0, 1]]"})
    job.changes.emplace_back(change);
  job.changes.insert(job.changes.end(), more.begin(), more.end());
  return job;
}
TEST_F(Distilled, DigestsAreEqualOverArrangementsWhereRelationsTeach) {
  expect_equal_everywhere(with_relations(student(Numbers::float32, {"model.n_embd=48"})), 4);
  expect_equal_everywhere(with_relations(student(Numbers::bfloat16, {"model.n_layer=2"})), 3);
}
TEST_F(Distilled, EachWeightAndEveryPairOfRelationsIsSeenByTheDigest) {
  const auto digest = [&](const std::vector<std::string>& more) {
    return run.digest_after(2, with_relations(student(Numbers::float32), more), {});
  };
  const std::string relations = "distillation.relations.", expected = digest({});
  for (const char* change :
       {"distance=2", "distance=0", "angle=1", "angle=0", "pairs=[[0, 0]]", "pairs=[[0, 1], [0, 0]]"})
    EXPECT_NE(digest({relations + change}), expected) << change;
}
TEST_F(Distilled, ResumesOnAnotherNumberOfRanksWhereRelationsTeach) {
  const SmallJob job = with_relations(student(Numbers::float16));
  const std::string whole = run.digest_after(9, job, {});
  run.digest_after(4, job, {.ranks = 4, .stage = 3}, "resumed");
  EXPECT_EQ(run.digest_after(9, job, {.ranks = 2, .stage = 1}, "resumed"), whole);
  EXPECT_GT(run.last().skipped, 0u);
}

// Of queries, keys and values of a block of each, which are tapped within the block, recomputed or not.
const std::string attention = "distillation.attention.";
TEST_F(Distilled, DigestsAreEqualOverArrangementsWhereAttentionTeaches) {
  expect_equal_everywhere(
      student(Numbers::float32, {"model.n_embd=48", "model.n_head=4", attention + "pairs=[[0, 1]]"}), 4);
  expect_equal_everywhere(
      student(Numbers::bfloat16, {"model.n_layer=2", attention + "pairs=[[0, 1], [0, 0]]", attention + "heads=8"}), 3);
}
// Where positions turn queries and keys, and heads share keys and values; beside the other terms on the same block.
TEST_F(Distilled, ALlamaLearnsTheRelationsOfAGpt2sAttention) {
  SmallJob job{.numbers = Numbers::bfloat16,
               .architecture = Architecture::llama,
               .changes = {"distillation.teacher=" + (run.folder() / "teacher").string(),
                           attention + "pairs=[[0, 1], [1, 1]]", "distillation.hidden_states.pairs=[[0, 1]]"}};
  expect_equal_everywhere(with_relations(job), 3);
}
TEST_F(Distilled, ResumesOnAnotherNumberOfRanksWhereAttentionTeaches) {
  const SmallJob job = student(Numbers::float16, {attention + "pairs=[[0, 1]]"});
  const std::string whole = run.digest_after(9, job, {});
  run.digest_after(4, job, {.ranks = 4, .stage = 3}, "resumed");
  EXPECT_EQ(run.digest_after(9, job, {.ranks = 2, .stage = 1}, "resumed"), whole);
  EXPECT_GT(run.last().skipped, 0u);
}
TEST_F(Distilled, WhatOfAttentionTeachesIsSeenByTheDigest) {
  const auto digest = [&](const std::vector<std::string>& more) {
    std::vector<std::string> changes{attention + "pairs=[[0, 1]]"};
    changes.insert(changes.end(), more.begin(), more.end());
    return run.digest_after(2, student(Numbers::float32, changes), {});
  };
  const std::string expected = digest({});
  EXPECT_NE(run.digest_after(2, student(Numbers::float32), {}), expected);
  EXPECT_EQ(digest({attention + "heads=2"}), expected);  // as many as the student has
  for (const std::string& change : {str("heads=4"), str("weight=2"), str("pairs=[[0, 0]]"), str(R"(of=["queries"])"),
                                    str(R"(of=["queries", "keys"])")})
    EXPECT_NE(digest({attention + change}), expected) << change;
}
TEST_F(Distilled, AttentionOfATeacherLikeTheStudentAddsNothing) {
  const std::vector<std::string> like = like_the_teacher();
  const auto loss = [&](const std::string& pairs) {
    SmallJob job = student(Numbers::float32, like);
    job.changes.push_back(attention + "pairs=" + pairs);
    run.digest_after(1, job, {});
    return run.last().first_loss;
  };
  const double alone = loss("[]");
  EXPECT_NEAR(loss("[[0, 0], [1, 1]]"), alone, 1e-6);
  EXPECT_GT(loss("[[0, 1]]"), alone + 1e-4);
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

TEST_F(Distilled, AStudentWithFewerHeadsAndNeuronsHasEqualDigests) {
  expect_equal_everywhere(
      student(Numbers::float32, {"model.n_layer=2", R"(model.pruned_to={"blocks.0.attention.heads": 1,
      "blocks.0.mlp.neurons": 40, "blocks.1.mlp.neurons": 23})"}),
      5);
}

}  // namespace
}  // namespace tranche
