// Ranks that stand still: the supervisor finds out in the time it was given, says who and where, and starts again.
#include <gmock/gmock.h>

#include "launcher/supervisor/supervisor.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Seconds = std::chrono::duration<double>;

struct Row {
  const char* fault;
  Exit exit;
  const char* report;
  const char* then = "with 2 ranks";
  const char* collective = "barrier of ";  // in the table, of a rank at least
  const char* where = "where they are";    // and of its functions or its process
};

class Watched : public ::testing::TestWithParam<Row> {
 protected:
  Supervised job(std::size_t restarts) const {
    Supervised launched;
    launched.place = find_place(TRANCHE_MPIEXEC, {});
    launched.ranks = launched.blocks = 2;
    launched.command = {TRANCHE_FAULTY_RANK, GetParam().fault};
    launched.restarts = restarts;
    launched.directory = folder.path();
    launched.patience = {.silence = std::chrono::milliseconds{1500},
                         .stall = std::chrono::milliseconds{2000},
                         .arrival = std::chrono::milliseconds{5000}};
    return launched;
  }
  testing::TemporaryFolder folder;
};

TEST_P(Watched, IsReportedInTimeWithACodeOfItsOwn) {
  ::testing::internal::CaptureStderr();
  const auto begin = std::chrono::steady_clock::now();
  try {
    supervise(job(0));
    ADD_FAILURE() << "it ended well";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), GetParam().exit) << error.what();
  }
  const std::string told = ::testing::internal::GetCapturedStderr();
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - begin).count(), 20);  // of which patience is two
  EXPECT_THAT(told, AllOf(HasSubstr(GetParam().report), HasSubstr("collective"), HasSubstr(GetParam().collective),
                          HasSubstr(GetParam().where)));
}

TEST_P(Watched, StartsAgainAndEndsWell) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(supervise(job(1)), Exit::success);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), AllOf(HasSubstr("restart 1 of 1"), HasSubstr(GetParam().then)));
}

INSTANTIATE_TEST_SUITE_P(Faults, Watched,
                         ::testing::Values(Row{"stop", Roll::silent, "rank 1 has not been heard of for 2 s",
                                               "with 1 rank in", "barrier of ", "was stopped by a signal: kill -CONT"},
                                           // That nobody is heard of says nothing about any one place.
                                           Row{"stopall", Roll::silent, "ranks 0, 1 have not been heard of for 2 s",
                                               "with 2 ranks", "barrier of ", "was stopped by a signal: kill -CONT"},
                                           Row{"hang", Roll::hang,
                                               "others wait in collective number 19, barrier of gradients, for rank 1",
                                               "with 2 ranks", "barrier of ", "nanosleep"},
                                           Row{"skip", Roll::disagree, "ranks 0 and 1 are in different collectives",
                                               "with 2 ranks", "barrier of ", ""},
                                           Row{"reorder", Roll::disagree, "ranks 0 and 1 are in different collectives",
                                               "with 2 ranks", "barrier of ", ""},
                                           // Before MPI has connected the ranks.
                                           Row{"absent", Roll::silent, "rank 1 has not connected within 5 s",
                                               "with 1 rank in", "joining", "rank 1: has never been heard of"},
                                           Row{"early", Roll::silent, "rank 1 has not been heard of for 2 s",
                                               "with 1 rank in", "joining", "was stopped by a signal: kill -CONT"}),
                         [](const auto& row) { return std::string{row.param.fault}; });

}  // namespace
}  // namespace tranche
