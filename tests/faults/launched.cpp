// Jobs that `tranche launch` keeps running under mpirun: whatever happens to their ranks, they end with the bits of a
// run that nothing happened to.
#include <gmock/gmock.h>

#include <tuple>

#include "runtime/base/error.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Launched : public Program {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "In the beginning was the word. ";
    folder.write("text.txt", text);
    ASSERT_EQ(run("tokenize --tokenizer byte --output train.h5 text.txt").exit, 0);
    write_job(R"(, "checkpoint": {"directory": "run", "every": 20, "keep": 2})");
  }
  // `tranche launch` of the job behind the scenes; then `then`, with $launch its process, `steps N` to wait until so
  // many are done, `rank I` for the process of one rank. Gives launch's exit code.
  Result launch(const std::string& arguments, const std::string& then) const {
    return shell(
        "steps() { until [ -e run/metrics.jsonl ] && [ $(wc -l < run/metrics.jsonl) -ge $1 ]; do sleep 0.02; "
        "done; }; "
        "children() { cat /proc/$1/task/*/children; }; "
        "rank() { children $(children $launch) | cut -d ' ' -f $(($1 + 1)); }; "
        "'" TRANCHE_PROGRAM "' launch --mpirun '" TRANCHE_MPIEXEC "' " +
        arguments + " job.json " + size + " & launch=$!; " + then + "; wait $launch");
  }
  std::string digest() const { return run("checkpoint digest run").output; }
  std::string undisturbed() const {
    static const std::string once = [&] {
      EXPECT_EQ(run("train job.json --set checkpoint.directory=whole " + sets).exit, 0);
      return run("checkpoint digest whole").output;
    }();
    return once;
  }

  const std::string size = "steps=400 train_batch_size=16 model.n_layer=4";
  const std::string sets = "--set steps=400 --set train_batch_size=16 --set model.n_layer=4";
};

struct Row {
  const char* name;
  const char* happens;
  int exit;
  const char* told;
};
class Faults : public Launched, public ::testing::WithParamInterface<std::tuple<Row, int>> {};

TEST_P(Faults, LeaveTheBitsAsTheyWere) {
  const auto& [row, stage] = GetParam();
  const Result result = launch("-n 2 --silence 2 --set zero_optimization.stage=" + std::to_string(stage),
                               std::string{"steps 50; "} + row.happens);
  EXPECT_EQ(result.exit, row.exit) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr(row.told));
  EXPECT_EQ(digest(), undisturbed());
}

INSTANTIATE_TEST_SUITE_P(
    Matrix, Faults,
    ::testing::Combine(::testing::Values(Row{"RankKilled", "kill -9 $(rank 1)", 0, "rank 1 was the first to go"},
                                         Row{"RankStopped", "kill -STOP $(rank 1)", 0,
                                             "rank 1 has not been heard of for 2 s"},
                                         Row{"SupervisorKilled",
                                             "mpirun=$(children $launch); kill -9 $launch; "
                                             "while kill -0 $mpirun 2>/dev/null; do sleep 0.05; done",
                                             137, "the supervisor is gone; training goes on without it"}),
                       ::testing::Values(0, 2, 3)),
    [](const auto& row) { return str(std::get<0>(row.param).name, "AtStage", std::get<1>(row.param)); });

TEST_F(Launched, ARankIsNotBlamedForASupervisorThatWasStopped) {
  const Result result = launch("-n 2 --silence 2",
                               "steps 50; kill -STOP $launch; kill -STOP $(rank 1); sleep 4; kill -CONT $(rank 1); "
                               "kill -CONT $launch");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, Not(HasSubstr("ending the ranks")));
}

TEST_F(Launched, FourRanksLoseOneAndTwoGoOn) {
  const Result result = launch("-n 4", "steps 30; kill -9 $(rank 0)");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("0 with 2 ranks in 1 s"), HasSubstr(", 2 ranks of ")));
  EXPECT_EQ(digest(), undisturbed());
}

TEST_F(Launched, AKilledMpirunIsNoticedAndItsRanksAreGoneBeforeOthersStart) {
  const Result result = launch("-n 2", "steps 30; kill -9 $(children $launch)");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("was itself killed by signal 9"));
  EXPECT_EQ(digest(), undisturbed());
}

TEST_F(Launched, StopsAndSavesWhenAskedTo) {
  const Result stopped = launch("-n 2", "steps 30; kill -TERM $launch");
  ASSERT_EQ(stopped.exit, 75) << stopped.errors;
  EXPECT_THAT(stopped.errors, HasSubstr("which is saved: go on with --resume"));
  const Result rest = launch("-n 2 --resume", "true");
  ASSERT_EQ(rest.exit, 0) << rest.errors;
  EXPECT_EQ(digest(), undisturbed());
}

TEST_F(Launched, WhatWouldFailAgainIsToldOnce) {
  const Result result = launch("-n 2 --set data.train=nowhere.h5", "true");
  EXPECT_EQ(result.exit, 4);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("nowhere.h5"), HasSubstr("starting again would change nothing")));
}

}  // namespace
}  // namespace tranche
