// `tranche train` as its users meet it: what it leaves behind, and what it says when something is wrong.
#include <gmock/gmock.h>

#include <algorithm>

#include "runtime/base/json.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Training : public TrainingProgram {
 protected:
  const std::string tranche = "'" TRANCHE_PROGRAM "' ";
  const std::string two_ranks = "'" TRANCHE_MPIEXEC "' -np 1 ";

  std::string digest() const { return run("checkpoint digest runs/job").output; }
  // What a run that must fail says, when it has left nothing behind.
  std::string failure(const std::string& arguments, int exit) const {
    const Result result = run(arguments);
    EXPECT_EQ(result.exit, exit) << result.errors;
    EXPECT_THAT(result.errors, StartsWith("error: "));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs")) << "a failed start must write nothing";
    return result.errors;
  }
};

TEST_F(Training, LeavesACheckpointAndALineForEachStep) {
  const Result result = run("train job.json --set steps=4");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("step 4/4: loss "));
  const std::vector<Json> lines = metrics();
  ASSERT_EQ(lines.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(lines[i]["step"], i + 1);
  EXPECT_GT(lines[0]["loss"].get<double>(), 5);
  for (const char* key : {"learning_rate", "gradient_norm", "loss_scale", "tokens_per_second"})
    EXPECT_GT(lines[3][key].get<double>(), 0) << key;
  EXPECT_GT(lines[3]["peak_bytes"]["parameters"].get<std::size_t>(), 0u);
  EXPECT_EQ(run("checkpoint verify runs/job").exit, 0);
  EXPECT_THAT(run("checkpoint inspect runs/job").output, HasSubstr("4"));
  EXPECT_EQ(digest().size(), 65u);
}

TEST_F(Training, CalibratesToTheSameRangesOnAnyNumberOfRanks) {
  ASSERT_EQ(run("train job.json --set zero_optimization.stage=3").exit, 0);
  for (const std::string method : {"min-max", "least-squares"}) {
    const std::string rest = "calibrate runs/job --samples 7 --method " + method + " -o ";  // 4 micro-batches, one of 1
    ASSERT_EQ(run(rest + "one.json").exit, 0);
    const Result two = shell("'" TRANCHE_MPIEXEC "' -np 2 " + tranche + rest + "two.json");
    ASSERT_EQ(two.exit, 0) << two.errors;
    EXPECT_EQ(shell("cmp one.json two.json").exit, 0) << method;
  }
}

TEST_F(Training, GoesOnWhereItStoppedAsIfItHadNot) {
  ASSERT_EQ(run("train job.json --set steps=6").exit, 0);
  const std::string whole = digest();
  const std::vector<Json> whole_lines = metrics();
  std::filesystem::remove_all(folder.path() / "runs");
  ASSERT_EQ(run("train job.json --set steps=3").exit, 0);
  const Result resumed = run("train job.json --set steps=6 --set zero_optimization.stage=3 --resume");
  ASSERT_EQ(resumed.exit, 0) << resumed.errors;
  EXPECT_EQ(digest(), whole);
  const std::vector<Json> lines = metrics();
  ASSERT_EQ(lines.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(lines[i]["loss"], whole_lines[i]["loss"]);
}

TEST_F(Training, StopsAfterTheStepOnSigtermAndSavesIt) {
  const Result result = shell(tranche +
                              "train job.json --set steps=1000000 & pid=$!; "
                              "until [ -s runs/job/metrics.jsonl ]; do sleep 0.05; done; kill -TERM $pid; wait $pid");
  EXPECT_EQ(result.exit, 75) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("which is saved: go on with --resume"));
  EXPECT_EQ(run("checkpoint verify runs/job").exit, 0);
  const std::size_t done = metrics().size();
  EXPECT_EQ(run("train job.json --resume --set steps=" + std::to_string(done + 2)).exit, 0);
  EXPECT_EQ(metrics().size(), done + 2);
}

TEST_F(Training, EndsWhenSavingBesideItFails) {
  const std::string command = "'" TRANCHE_PROGRAM "' train job.json --set checkpoint.every=1 --set checkpoint.keep=1 ";
  ASSERT_EQ(shell(command + "--set checkpoint.asynchronous=true").exit, 0);
  EXPECT_EQ(run("checkpoint verify runs/job").exit, 0);
  const std::string before = digest();
  const Result full = shell("ulimit -f 20; " + command +
                            "--set checkpoint.asynchronous=true --set checkpoint.every=2 --resume --set steps=100000");
  EXPECT_EQ(full.exit, 8) << full.errors;
  EXPECT_THAT(full.errors, HasSubstr("step 4 could not be saved"));
  EXPECT_EQ(digest(), before);
}

TEST_F(Training, ARunIsNotOverwrittenByAnother) {
  ASSERT_EQ(run("train job.json").exit, 0);
  const std::string before = digest();
  const Result again = run("train job.json");
  EXPECT_EQ(again.exit, 5);
  EXPECT_THAT(again.errors, AllOf(HasSubstr("runs/job holds step-000002"), HasSubstr("--resume")));
  EXPECT_EQ(digest(), before);
}

TEST_F(Training, ACheckpointOfAnotherModelIsRefused) {
  ASSERT_EQ(run("train job.json").exit, 0);
  const std::string before = digest();
  const Result other = run("train job.json --resume --set steps=9 --set model.n_layer=2");
  EXPECT_EQ(other.exit, 5);
  EXPECT_THAT(other.errors,
              HasSubstr("step-000002 is a checkpoint of another model: \"n_layer\" is 1 and 2 in this job"));
  const Result rate = run("train job.json --resume --set steps=9 --set optimizer.params.lr=0.5");
  EXPECT_EQ(rate.exit, 5);
  EXPECT_THAT(rate.errors, HasSubstr("\"optimizer.params.lr\" was 0.001 and is now 0.5"));
  EXPECT_EQ(digest(), before);
}

TEST_F(Training, AModelThatDoesNotFitItsDataIsRefused) {
  EXPECT_THAT(failure("train job.json --set data.sequence_length=65", 3),
              HasSubstr("longer than the model's 64 positions"));
  EXPECT_THAT(failure("train job.json --set model.vocab_size=128", 4),
              AllOf(HasSubstr("train.h5"), HasSubstr("256"), HasSubstr("128")));
}

TEST_F(Training, ADataFileThatIsNoneIsRefused) {
  EXPECT_THAT(failure("train job.json --set data.train=nowhere.h5", 4), HasSubstr("nowhere.h5"));
  EXPECT_THAT(failure("train job.json --set data.train=text.txt", 4), HasSubstr("text.txt"));
  std::filesystem::resize_file(folder.path() / "train.h5", std::filesystem::file_size(folder.path() / "train.h5") / 2);
  EXPECT_THAT(failure("train job.json", 4), HasSubstr("train.h5"));
}

TEST_F(Training, TooLittleDeviceMemoryIsToldWithThePlan) {
  for (const char* memory : {"50KiB", "100KiB", "300KiB", "500KiB"}) {  // for the parameters, ... for the first step
    const Result result = run(std::string{"train job.json --set device.memory="} + memory);
    EXPECT_EQ(result.exit, 6) << memory;
    EXPECT_THAT(result.errors, AllOf(HasSubstr("error: out of memory: the plan of this job does not fit"),
                                     HasSubstr("gradients"), HasSubstr("  exceeds "), HasSubstr(" fit")))
        << memory;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs")) << memory;
  }
  EXPECT_EQ(run("train job.json --set device.memory=10MiB").exit, 0);
}

TEST_F(Training, RanksThatWereStartedWithDifferentJobsAreTold) {
  const Result result =
      shell(two_ranks + tranche + "train job.json : -np 1 " + tranche + "train job.json --set seed=2");
  EXPECT_EQ(result.exit, 9) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("ranks were started with different jobs: \"seed\" is 1 and 2 on ranks 0 and 1"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs"));
}

TEST_F(Training, ManyRanksSayOnceWhatIsWrong) {
  const Result result =
      shell(two_ranks + tranche + "train job.json --set steps=0 : -np 1 " + tranche + "train job.json --set steps=0");
  EXPECT_EQ(result.exit, 3) << result.errors;
  const std::string message =
      "[rank 0/2] error: --set steps=0: \"steps\" must be a whole number of at least 1, found 0\n";
  EXPECT_THAT(result.errors, HasSubstr(message));
  EXPECT_EQ(result.errors.find("must be", result.errors.find("must be") + 1), result.errors.npos);
}

}  // namespace
}  // namespace tranche
