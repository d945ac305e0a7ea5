// Structured pruning, from a trained checkpoint to a smaller model that goes on.
#include <gmock/gmock.h>

#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;

class PrunedStructure : public TrainingProgram {
 protected:
  static constexpr const char* large = " --set model.n_layer=3 --set model.n_head=4 ";

  double loss(const std::string& arguments) const {
    const Result result = run("evaluate job.json --set data.validation=train.h5 --samples 20 " + arguments);
    EXPECT_EQ(result.exit, 0) << result.errors;
    return std::stod(result.output.substr(result.output.find("loss ") + 5));
  }
  void train_large() const {
    const Result result = run(std::string{"train job.json --set steps=30 --set optimizer.params.lr=0.01"} + large);
    ASSERT_EQ(result.exit, 0) << result.errors;
  }
};

TEST_F(PrunedStructure, ASmallerModelTrainsOnLearnsFromTheLargeOneAndIsPacked) {
  train_large();
  const double whole = loss(std::string{"--checkpoint runs/job"} + large);
  const Result all = run("compress prune-structure runs/job --heads 1 --neurons 1 --layers 1 -o all");
  ASSERT_EQ(all.exit, 0) << all.errors;
  EXPECT_EQ(loss("--checkpoint all --set model=all/model.json"), whole) << "nothing was removed";

  const Result pruned =
      run("compress prune-structure runs/job --heads 0.5 --neurons 0.5 --layers 0.67 --samples 16 -o small");
  ASSERT_EQ(pruned.exit, 0) << pruned.errors;
  EXPECT_THAT(pruned.output, HasSubstr("rows of qkv.weight, rows of qkv.bias, columns of output.weight"));
  const std::string small = " --set model=small/model.json ";
  const double before = loss("--checkpoint small" + small);
  EXPECT_EQ(run("generate small --prompt In --tokens 8").exit, 0);
  ASSERT_EQ(run("compress quantize small --scheme int8-weight -o small.packed").exit, 0);
  EXPECT_NEAR(loss("--checkpoint small.packed" + small), before, 0.02 * before);

  const std::string on =
      "train job.json --set checkpoint.start_from=small --set distillation.teacher=runs/job "
      "--set checkpoint.directory=on --set optimizer.params.lr=0.003" +
      small;
  const Result taught = run(on + "--set steps=10");
  ASSERT_EQ(taught.exit, 0) << taught.errors;
  EXPECT_EQ(run(on + "--set steps=20 --resume").exit, 0);
  EXPECT_LT(loss("--checkpoint on" + small), before);

  ASSERT_EQ(run("compress prune-structure on --neurons 0.1 --scope model --importance activation -o smaller").exit, 0);
  EXPECT_EQ(run("generate smaller --prompt In --tokens 8").exit, 0);
  ASSERT_EQ(run("compress low-rank small --size 0.9 -o low").exit, 0);
  ASSERT_EQ(run("compress prune-structure low --neurons 0.5 --importance l2 -o low-and-small").exit, 0);
  EXPECT_EQ(run("generate low-and-small --prompt In --tokens 8").exit, 0);
  const Result narrow = run("compress prune-structure low --heads 0.5 --importance l2 -o narrower-than-its-rank");
  EXPECT_EQ(narrow.exit, 3);
  EXPECT_THAT(narrow.errors, HasSubstr("a linear of low rank keeps its rank, so remove heads and neurons before"));
}

// What matters by the loss's slope is missed more than what does not.
TEST_F(PrunedStructure, ImportanceChoosesBetterThanChance) {
  train_large();
  const auto loss_by = [&](const std::string& importance) {
    EXPECT_EQ(shell("rm -rf small").exit, 0);
    const Result result =
        run("compress prune-structure runs/job --heads 0.5 --neurons 0.5 --importance " + importance + " -o small");
    EXPECT_EQ(result.exit, 0) << result.errors;
    return loss("--checkpoint small --set model=small/model.json");
  };
  const double chance = (loss_by("random --seed 1") + loss_by("random --seed 2") + loss_by("random --seed 3")) / 3;
  EXPECT_LT(loss_by("taylor"), chance);
  EXPECT_LT(loss_by("activation"), chance);
  ASSERT_EQ(
      run("compress prune-structure runs/job --heads 0.5 --layers 0.67 --importance shapley --samples 8 --orders 2 "
          "-o by-shares")
          .exit,
      0);
  EXPECT_EQ(run("generate by-shares --prompt In --tokens 8").exit, 0);
}

TEST_F(PrunedStructure, WhatCannotBeSaysSoAndWritesNothing) {
  ASSERT_EQ(run("train job.json").exit, 0);
  const auto refusal = [&](const std::string& arguments, int code = 2) {
    const Result result = run("compress prune-structure " + arguments);
    EXPECT_EQ(result.exit, code) << arguments;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "small")) << arguments;
    return result.errors;
  };
  EXPECT_THAT(refusal("runs/job -o small"), HasSubstr("give at least one of --heads"));
  for (const char* part : {"0", "-0.5", "1.5"})
    EXPECT_THAT(refusal(std::string{"runs/job -o small --heads "} + part), HasSubstr("above 0 and at most 1")) << part;
  EXPECT_THAT(refusal("runs/job -o small --heads 0.5 --importance magic"), HasSubstr("no importance 'magic'"));
  EXPECT_THAT(refusal("runs/job -o small --neurons 0.5 --importance shapley"), HasSubstr("neurons are too many"));
  EXPECT_THAT(refusal("runs/job -o small --heads 0.5 --importance shapley --orders 0"), HasSubstr("at least 1"));
  EXPECT_THAT(refusal("runs/job -o small --heads 0.5 --scope all"), HasSubstr("no scope 'all'"));
  EXPECT_THAT(refusal("runs/job -o small --heads 0.5 --data nothing.h5", 4), HasSubstr("nothing.h5"));
  EXPECT_THAT(refusal("nothing -o small --heads 0.5", 5), HasSubstr("nothing"));
  EXPECT_THAT(run("compress prune-structure runs/job -o runs/job --heads 0.5").errors,
              HasSubstr("holds checkpoints already"));
  folder.write("short.txt", "too short");
  ASSERT_EQ(run("tokenize --tokenizer byte -o short.h5 short.txt").exit, 0);
  EXPECT_THAT(refusal("runs/job -o small --heads 0.5 --data short.h5", 4), HasSubstr("short.h5"));
}

}  // namespace
}  // namespace tranche
