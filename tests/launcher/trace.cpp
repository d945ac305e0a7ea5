// `tranche train --trace`: the timeline of two ranks, read back.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "runtime/base/json.h"
#include "tests/launcher/program.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Span {
  std::string name, kind, row;  // row: of the thread
  int rank = 0;
  double begin = 0, end = 0;

  bool overlaps(const Span& other) const { return begin < other.end && other.begin < end; }
};

class Trace : public TrainingProgram {
 protected:
  const std::string two_ranks = "'" TRANCHE_MPIEXEC "' -np 2 '" TRANCHE_PROGRAM "' ";
  const std::string stage_3 =
      " --set zero_optimization.stage=3 --set model.n_layer=3 --set steps=4 --set device.threads=1"
      " --set zero_optimization.overlap_comm=";

  std::vector<Span> spans(const std::string& file) const {
    const Json json = read_json(folder.path() / file, Exit::internal);
    std::map<std::pair<int, int>, std::string> rows;
    for (const Json& each : json["traceEvents"])
      if (each["ph"] == "M" && each["name"] == "thread_name") rows[{each["pid"], each["tid"]}] = each["args"]["name"];
    std::vector<Span> all;
    for (const Json& each : json["traceEvents"]) {
      if (each["ph"] != "X") continue;
      const double begin = each["ts"], length = each["dur"];
      all.push_back(
          {each["name"], each["cat"], rows.at({each["pid"], each["tid"]}), each["pid"], begin, begin + length});
    }
    return all;
  }

  // Pairs of a collective under way and a unit's computing on the same rank at the same time, by what their names begin
  // with.
  static std::size_t overlaps(const std::vector<Span>& all, const std::string& collectives,
                              const std::string& computing) {
    std::size_t count = 0;
    for (const Span& collective : all)
      if (collective.row == "collectives" && collective.name.starts_with(collectives))
        for (const Span& unit : all)
          count += unit.name.starts_with(computing) && unit.rank == collective.rank && unit.overlaps(collective);
    return count;
  }
};

std::vector<std::string> names(const std::vector<Span>& all, int rank, const std::string& row) {
  std::vector<std::string> found;
  for (const Span& each : all)
    if (each.rank == rank && each.row == row) found.push_back(each.name);
  return found;
}

TEST_F(Trace, ShowsTheStepsOfBothRanksInOneFile) {
  const Result result = shell(two_ranks + "train job.json --trace trace.json" + stage_3 + "true");
  ASSERT_EQ(result.exit, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("wrote a trace of steps 2 to 3 to trace.json"));
  const std::vector<Span> all = spans("trace.json");
  for (const int rank : {0, 1}) {
    const std::vector<std::string> compute = names(all, rank, "compute"), collectives = names(all, rank, "collectives");
    EXPECT_EQ(std::ranges::count_if(compute, [](const std::string& name) { return name.starts_with("step "); }), 2);
    for (const char* name : {"step 2", "step 3", "read the batch", "forward blocks.0", "backward blocks.0",
                             "wait for the gather of blocks.1", "gradient norm", "update blocks.2"})
      EXPECT_THAT(compute, Contains(name));
    EXPECT_THAT(collectives, Contains("gather blocks.0"));
    EXPECT_THAT(collectives, Contains("reduce blocks.0"));
    EXPECT_THAT(collectives, Contains("copy rows"));
  }
}

TEST_F(Trace, SpansOfAThreadLieWithinOneAnotherOrApart) {
  ASSERT_EQ(shell(two_ranks + "train job.json --trace trace.json --trace-steps 1-4" + stage_3 + "true").exit, 0);
  std::vector<Span> all = spans("trace.json");
  std::ranges::sort(all, {}, [](const Span& span) { return std::tuple{span.rank, span.row, span.begin, -span.end}; });
  std::vector<Span> open;
  for (const Span& each : all) {
    if (!open.empty() && (open.front().rank != each.rank || open.front().row != each.row)) open.clear();
    while (!open.empty() && open.back().end <= each.begin) open.pop_back();
    if (!open.empty()) {
      EXPECT_LE(each.end, open.back().end + 0.002) << each.name << " within " << open.back().name;
    }
    open.push_back(each);
  }
}

// Units that take milliseconds: where ranks have no core to spare, the system must get to give a collective its turn.
TEST_F(Trace, CollectivesRunBehindBackwardIfTheyMay) {
  const std::string larger = " --set model.n_embd=256 --set train_batch_size=32 --set train_micro_batch_size_per_gpu=4";
  for (const bool overlap : {true, false}) {
    const std::string file = overlap ? "overlapping.json" : "apart.json";
    const Result result = shell("rm -rf runs && " + two_ranks + "train job.json --trace " + file + stage_3 +
                                (overlap ? "true" : "false") + larger);
    ASSERT_EQ(result.exit, 0) << result.errors;
    for (const char* kind : {"gather ", "reduce "})
      EXPECT_EQ(overlaps(spans(file), kind, "backward ") > 0, overlap) << kind << " with overlap_comm " << overlap;
  }
}

// Units' new values are gathered while units behind them are still updated: units that take several milliseconds.
TEST_F(Trace, PublishesBesideTheUpdate) {
  const std::string larger =
      " --trace trace.json --trace-steps 2-6 --set steps=6 --set model.n_layer=3 --set model.n_embd=512"
      " --set device.threads=1 --set zero_optimization.stage=2 --set zero_optimization.offload_optimizer.device=";
  for (const char* tier : {"none", "cpu"}) {
    const Result result = shell("rm -rf runs && " + two_ranks + "train job.json" + larger + tier);
    ASSERT_EQ(result.exit, 0) << result.errors;
    EXPECT_GT(overlaps(spans("trace.json"), "publish ", "update "), 0u) << tier;
  }
}

TEST_F(Trace, ChangesNothing) {
  ASSERT_EQ(shell(two_ranks + "train job.json --trace trace.json --trace-steps 1-2").exit, 0);
  EXPECT_THAT(names(spans("trace.json"), 0, "compute"), Contains(StartsWith("write ")));  // the checkpoint
  const std::string traced = run("checkpoint digest runs/job").output;
  ASSERT_EQ(shell(two_ranks + "train job.json --set checkpoint.directory=runs/plain").exit, 0);
  EXPECT_EQ(run("checkpoint digest runs/plain").output, traced);
  const auto collectives = [&](const std::string& directory) {
    std::ifstream stream{folder.path() / directory / "metrics.jsonl"};
    std::string line;
    std::getline(stream, line);
    return parse_json(line, directory, Exit::internal)["communicated_bytes"];
  };
  EXPECT_EQ(collectives("runs/job"), collectives("runs/plain"));
}

TEST_F(Trace, SaysWhatIsWrongBeforeItBegins) {
  for (const char* steps : {"0", "3-2", "2-", "x", "2-3-4"})
    EXPECT_THAT(run("train job.json --trace trace.json --trace-steps " + std::string{steps}).errors,
                HasSubstr("expected a step or a range of them"))
        << steps;
  EXPECT_THAT(run("train job.json --trace no/such/trace.json").errors, HasSubstr("in a folder that is not there"));
  EXPECT_EQ(run("train job.json --trace-steps 2").exit, 2);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "runs"));
  EXPECT_THAT(run("train job.json --trace trace.json --trace-steps 9").errors,
              HasSubstr("the run ended before step 9"));
}

}  // namespace
}  // namespace tranche
