// Every fault at every stage: found, named, and mended, so that the job ends with the bits of a run that nothing
// happened to. Prints a table with the time that each took (docs/launch.md).
#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <tuple>

#include "runtime/base/error.h"
#include "tests/faults/launched.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;

struct Fault {
  const char* name;
  const char* planted;  // in the program (faulty_tranche.cpp), or nothing
  const char* happens;  // to its processes, from outside
  int exit;             // launch's
  const char* told;
};

constexpr const char* nothing = "true";

const Fault faults[] = {
    {"RankKilled", "", "steps 50; kill -9 $(rank 1)", 0, "rank 1 was the first to go"},
    {"RankStopped", "stop:50", nothing, 0, "rank 1 has not been heard of for 2 s"},
    {"CollectiveSkipped", "skip:50", nothing, 0, "ranks are in different collectives, so none of them can go on:"},
    {"CountWrong", "count:50", nothing, 0, "all_gather of rows, 24 bytes"},
    {"OrderSwapped", "reorder:50", nothing, 0, "barrier of parameters"},
    {"BitFlippedInState", "flip:50", nothing, 0, "a bit has flipped: exp_avg_sq of "},
    {"BitFlippedInACopy", "copy:51", nothing, 0, "a bit has flipped: rank "},
    {"RankSlow", "slow:50", nothing, 0, "rank 1 is slow: its own work takes "},
    {"SupervisorKilled", "",
     "steps 50; mpirun=$(children $launch); kill -9 $launch; while kill -0 $mpirun 2>/dev/null; do sleep 0.05; done",
     137, "the supervisor is gone; training goes on without it"},
    {"DiskFull", "full:50", nothing, 8, "No space left on device"},
};

using Case = std::tuple<Fault, int>;

struct Outcome {
  std::string fault;
  int stage;
  double seconds;
  std::string report;
};
std::vector<Outcome>& outcomes() {
  static std::vector<Outcome> all;
  return all;
}

class PrintedTable : public ::testing::Environment {
 public:
  void TearDown() override {
    if (outcomes().empty()) return;
    std::printf("\n| fault | stage | seconds, start to end | what was said |\n|---|---|---|---|\n");
    for (const Outcome& each : outcomes())
      std::printf("| %s | %d | %.1f | %s |\n", each.fault.c_str(), each.stage, each.seconds, each.report.c_str());
  }
};
[[maybe_unused]] const auto* const table = ::testing::AddGlobalTestEnvironment(new PrintedTable);

class Faults : public Launched, public ::testing::WithParamInterface<Case> {
 protected:
  // The line of what launch and its ranks said that has these words.
  static std::string line_with(const std::string& words, const std::string& errors) {
    const std::size_t at = errors.find(words);
    if (at == errors.npos) return "-";
    const std::size_t begin = errors.rfind('\n', at) + 1;
    return errors.substr(begin, errors.find('\n', at) - begin);
  }
};

TEST_P(Faults, AreToldAndMended) {
  const auto& [fault, stage] = GetParam();
  const std::string whole = undisturbed();
  const std::string arguments = str("-n 2 --silence 2 --set zero_optimization.stage=", stage, " --pace 2 ");
  const auto begin = std::chrono::steady_clock::now();
  ::setenv("TRANCHE_FAULT", fault.planted, 1);
  const Result result = launch(arguments, fault.happens, TRANCHE_FAULTY_TRANCHE);
  ::unsetenv("TRANCHE_FAULT");
  EXPECT_EQ(result.exit, fault.exit) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr(fault.told));
  if (fault.exit == 8) {  // what there was before is whole, and goes on when there is room
    const Result rest = launch(arguments + " --resume", nothing);
    EXPECT_EQ(rest.exit, 0) << rest.errors;
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(digest(), whole);
  outcomes().push_back({fault.name, stage, time.count(), line_with(fault.told, result.errors)});
}

std::string name_of(const ::testing::TestParamInfo<Case>& each) {
  return str(std::get<0>(each.param).name, "AtStage", std::get<1>(each.param));
}

INSTANTIATE_TEST_SUITE_P(Matrix, Faults, ::testing::Combine(::testing::ValuesIn(faults), ::testing::Values(0, 2, 3)),
                         name_of);

// What only owners of the same can disagree on; found before the next checkpoint, with which it would go on.
INSTANTIATE_TEST_SUITE_P(Owners, Faults,
                         ::testing::Values(Case{{"RanksDiverged", "diverge:55", nothing, 0,
                                                 "ranks hold different parameters after the same updates"},
                                                0}),
                         name_of);

}  // namespace
}  // namespace tranche
