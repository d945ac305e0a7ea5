// What happens to jobs under `tranche launch` beside the faults of matrix.cpp: whatever it is, they end with the bits
// of a run that nothing happened to.
#include "tests/faults/launched.h"

#include <gmock/gmock.h>

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST_F(Launched, APageForOtherMachinesHasATokenThatOnlyItsUserCanReadAndThatGoesWithIt) {
  const Result result = launch("-n 1 --port 0 --bind 0.0.0.0", "steps 5; stat -c 'token %a %s' run/page-token");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("token 600 64\n"));
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("/?token=$(cat run/page-token)"), HasSubstr("is not encrypted"), HasSubstr("ssh -L")));
  EXPECT_EQ(shell("ls run").output.find("page-token"), std::string::npos);
  EXPECT_EQ(digest(), undisturbed());

  const Result nowhere = launch("-n 1 --port 0 --bind nowhere", "true");
  EXPECT_EQ(nowhere.exit, 2);
  EXPECT_THAT(nowhere.errors, HasSubstr("'nowhere' is no address"));
  EXPECT_EQ(launch("-n 1 --bind 0.0.0.0", "true").exit, 2);
}

TEST_F(Launched, WhatWouldFailAgainIsToldOnce) {
  const Result result = launch("-n 2 --set data.train=nowhere.h5", "true");
  EXPECT_EQ(result.exit, 4);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("nowhere.h5"), HasSubstr("starting again would change nothing")));
}

}  // namespace
}  // namespace tranche
