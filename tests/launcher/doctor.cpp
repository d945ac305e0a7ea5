// `tranche doctor`: what it says of a machine that lacks something, and what it makes of what it has measured.
#include <gmock/gmock.h>

#include <thread>

#include "launcher/doctor/cores.h"
#include "launcher/doctor/machine.h"
#include "launcher/doctor/rank_report.h"
#include "launcher/doctor/storage.h"
#include "tests/launcher/program.h"

namespace tranche::doctor {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::size_t gibibyte = std::size_t{1} << 30;

TEST(DoctorsQuota, IsTheLeastOfAllGroups) {
  const testing::TemporaryFolder folder;
  const auto quota = [&](const std::string& membership) {
    return cpu_quota(folder.write("membership", membership), folder.path());
  };
  EXPECT_FALSE(quota("0::/a/b\n"));
  for (const char* group : {"a/b", "cpu/job"}) std::filesystem::create_directories(folder.path() / group);
  folder.write("a/cpu.max", "150000 100000\n");
  folder.write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 1.5);
  EXPECT_EQ(quota("0::/a\n"), 1.5);
  EXPECT_FALSE(quota("0::/\n"));
  folder.write("cpu/cpu.cfs_quota_us", "-1\n");
  folder.write("cpu/cpu.cfs_period_us", "100000\n");
  folder.write("cpu/job/cpu.cfs_quota_us", "50000\n");
  folder.write("cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("4:memory:/other\n3:cpu,cpuacct:/job\n"), 0.5);
  EXPECT_FALSE(quota("3:cpuset:/job\nnonsense\n"));
}

TEST(Doctor, JudgesCores) {
  EXPECT_THAT(judge_cores({.hardware = 4, .usable = {0, 1, 2, 3}}).advice, IsEmpty());
  EXPECT_THAT(judge_cores({.hardware = 4, .usable = {0, 1, 2, 3}, .quota = 4.0}).advice, IsEmpty());
  const Finding few = judge_cores({.hardware = 4, .usable = {2}});
  EXPECT_THAT(few.text, HasSubstr("1 of the hardware's 4"));
  EXPECT_THAT(few.advice, HasSubstr("--cpus-per-task"));
  const Finding short_of_time = judge_cores({.hardware = 4, .usable = {0, 1, 2, 3}, .quota = 2.5});
  EXPECT_THAT(short_of_time.text, HasSubstr("the time of 2.5"));
  EXPECT_THAT(short_of_time.advice, AllOf(HasSubstr("cpu.max"), HasSubstr("are at most 2")));
}

TEST(Doctor, JudgesMemoryAndStorage) {
  EXPECT_THAT(judge_locked_memory(8 * gibibyte, 8 * gibibyte).advice, IsEmpty());
  EXPECT_THAT(judge_locked_memory(65536, gibibyte).advice,
              AllOf(HasSubstr("ulimit -l unlimited"), HasSubstr("LimitMEMLOCK"), HasSubstr("pinned")));

  EXPECT_THAT(judge_room({.folder = "runs", .free = 9 * gibibyte}).advice, IsEmpty());
  EXPECT_THAT(judge_room({.folder = "runs", .free = gibibyte / 2}).advice, HasSubstr("free some space"));
  EXPECT_THAT(judge_room({.folder = "runs", .free = 9 * gibibyte, .in_memory = true}).advice,
              HasSubstr("lies in memory"));

  EXPECT_THAT(judge_disk({.bytes = gibibyte, .write = 5e8, .read = 1e9}).advice, IsEmpty());
  EXPECT_THAT(judge_disk({.bytes = gibibyte, .write = 2e7, .read = 1e9}).advice,
              AllOf(HasSubstr("takes 600 s"), HasSubstr("checkpoint.asynchronous=true")));
  EXPECT_THAT(judge_disk({.bytes = gibibyte, .write = 5e8, .read = 1e7}).advice, HasSubstr("token files"));
  EXPECT_THAT(judge_disk({}).advice, HasSubstr("free some space"));

  EXPECT_THAT(judge_locks(true, "").advice, IsEmpty());
  EXPECT_THAT(judge_locks(false, "FALSE").advice, IsEmpty());
  EXPECT_THAT(judge_locks(false, "").advice, HasSubstr("export HDF5_USE_FILE_LOCKING=FALSE"));
}

RanksReport two_hosts() {
  const auto rank = [](const char* host, std::size_t core) {
    return RankReport{.host = host, .cores = {.hardware = 2, .usable = {core}}, .threads = 1, .rate = 3e9};
  };
  return {.mpi = "Open MPI v4.1.4, of standard 3.1",
          .thread_level = "MPI_THREAD_MULTIPLE",
          .ranks = {rank("a", 0), rank("a", 1), rank("b", 0), rank("b", 1)},
          .row = 16 << 20,
          .all_gather = 2e9,
          .latency = 25e-6};
}

TEST(DoctorsRanks, ReportComesThroughOthersOutput) {
  RanksReport sent = two_hosts();
  sent.ranks[1].cores.quota = 1.5;
  sent.ranks[2].host = "b\"\n";
  const std::optional<RanksReport> report = find_report("a warning of mpirun's\n" + line_of(sent) + "\nmore\n");
  ASSERT_TRUE(report);
  EXPECT_EQ(line_of(*report), line_of(sent));
  EXPECT_EQ(report->ranks[1].cores.quota, 1.5);
  EXPECT_EQ(report->ranks[2].host, "b\"\n");
  EXPECT_FALSE(find_report("nothing of the kind\n"));
  EXPECT_EQ(hosts_text(two_hosts()), "a (2), b (2)");
}

TEST(DoctorsRanks, AreJudged) {
  const RanksReport well = two_hosts();
  for (const Finding& finding : {judge_mpi(well), judge_threads(well), judge_links(well)})
    EXPECT_THAT(finding.advice, IsEmpty()) << finding.text;

  RanksReport serialized = well;
  serialized.thread_level = "MPI_THREAD_SERIALIZED";
  EXPECT_THROW(judge_mpi(serialized), Error);

  RanksReport crowded = well;
  for (RankReport& rank : crowded.ranks) rank.threads = 2;
  EXPECT_THAT(judge_threads(crowded).advice,
              AllOf(HasSubstr("of a take turns: export OMP_NUM_THREADS=1"), HasSubstr("--cpus-per-task")));
  RanksReport many = well;
  many.ranks[1].cores.usable = {0};
  EXPECT_THAT(judge_threads(many).advice, AllOf(HasSubstr("start no more ranks there than 1"), Not(HasSubstr("of b"))));
  RanksReport held_up = well;
  held_up.ranks[3].cores.quota = 1.0;
  EXPECT_THAT(judge_threads(held_up).advice, HasSubstr("of b take turns"));

  RanksReport slow = well;
  slow.ranks[2].rate = 1e8;
  EXPECT_THAT(judge_links(slow).text, HasSubstr("slowest is rank 2 on b, 95.37 MiB/s"));
  EXPECT_THAT(judge_links(slow).advice, AllOf(HasSubstr("btl_tcp_if_include"), HasSubstr("all wait for rank 2")));
}

class DoctorProgram : public Program {
 protected:
  const std::string with_ranks = "doctor --mpirun '" TRANCHE_MPIEXEC "' ";
  const std::string without_ranks = "'" TRANCHE_PROGRAM "' doctor --mpirun false ";
};

TEST_F(DoctorProgram, SaysWhatItFound) {
  const Result well = run(with_ranks);
  EXPECT_EQ(well.exit, 0) << well.output << well.errors;
  for (const char* name : {"processor", "threads", "memory", "locked memory", "shared memory", "GPU", "folder", "disk",
                           "HDF5", "ranks", "MPI", "rank threads", "links"})
    EXPECT_THAT(well.output, ContainsRegex(str("\n? +(ok|NOTE) +", name, "  "))) << well.output;
  EXPECT_THAT(well.output, AllOf(HasSubstr("written with fsync"), HasSubstr("serial; a file was written and read"),
                                 HasSubstr("2 on "), HasSubstr("provides MPI_THREAD_MULTIPLE"),
                                 HasSubstr("slowest is rank "), Not(HasSubstr("FAILED"))));
  EXPECT_EQ(files(), 0u);
}

TEST_F(DoctorProgram, RanksThatDoNotMeetFail) {
  const Result ill = run("doctor --mpirun false --folder nowhere");
  EXPECT_EQ(ill.exit, 8) << ill.output;
  EXPECT_THAT(ill.output, AllOf(HasSubstr("FAILED  folder"), HasSubstr("-> name one that is there"),
                                HasSubstr("FAILED  ranks"), HasSubstr("ended with 1"), HasSubstr("-> try that line")));
  const Result silent = run("doctor --mpirun true --folder nowhere");
  EXPECT_THAT(silent.output, HasSubstr("true ended well, but 0 ranks told of themselves"));
  const Result alone = run("doctor --as-rank");
  EXPECT_EQ(alone.exit, 9);
  EXPECT_THAT(alone.errors, HasSubstr("a rank found no other: what started it is no mpirun of "));
}

TEST_F(DoctorProgram, HostsAreThoseOfAHostfile) {
  folder.write("hosts", "localhost slots=3\n");
  const Result well = run(with_ranks + "--hostfile hosts");
  EXPECT_EQ(well.exit, 0) << well.output << well.errors;
  EXPECT_THAT(well.output, HasSubstr(" ranks          3 on "));
  EXPECT_EQ(run(with_ranks + "--hostfile nowhere").exit, 2);
}

TEST_F(DoctorProgram, WhatAProcessLacksIsTold) {
  // Root passes the limit unless it gives up the right to.
  const Result locked =
      shell(str("ulimit -l 64; drop=; [ $(id -u) = 0 ] && drop='setpriv --bounding-set=-ipc_lock'; "
                "$drop ",
                without_ranks));
  EXPECT_THAT(locked.output, AllOf(HasSubstr("NOTE    locked memory  at most 64.00 KiB"), HasSubstr("-> "),
                                   HasSubstr("ulimit -l unlimited")));
  const Result bound = shell("taskset -c $(taskset -cp $$ | sed 's/.*[ ,-]//') " + without_ranks);
  const std::string one = std::thread::hardware_concurrency() > 1 ? "NOTE    threads        1 of " : "threads";
  EXPECT_THAT(bound.output, HasSubstr(one));
  const Result instructions = shell("TRANCHE_INSTRUCTIONS=none " + without_ranks);
  EXPECT_EQ(instructions.exit, 2);
  EXPECT_THAT(instructions.output, AllOf(HasSubstr("FAILED  processor"), HasSubstr("-> unset TRANCHE_INSTRUCTIONS")));
  const Result plugin = shell("TRANCHE_CUDA_PLUGIN=nowhere.so " + without_ranks);
  EXPECT_THAT(plugin.output, HasSubstr("NOTE    GPU            none: no GPU can be used: "));
}

TEST_F(DoctorProgram, MoreThreadsThanCoresAreANote) {
  const Result crowded = shell("export OMP_NUM_THREADS=1000; '" TRANCHE_PROGRAM "' " + with_ranks);
  EXPECT_EQ(crowded.exit, 0) << crowded.output << crowded.errors;
  EXPECT_THAT(crowded.output,
              AllOf(HasSubstr("NOTE    rank threads"), HasSubstr("2 ranks of 2000 threads"), HasSubstr("take turns")));
}

TEST_F(DoctorProgram, AWriteThatFailsLeavesNothing) {
  const Result limited = shell("ulimit -f 1000; " + without_ranks);
  EXPECT_EQ(limited.exit, 8);
  EXPECT_THAT(limited.output, AllOf(HasSubstr("FAILED  disk"), HasSubstr("File too large"), HasSubstr("-> raise")));
  EXPECT_EQ(files(), 0u);
}

TEST_F(DoctorProgram, ASignalLeavesNothing) {
  const auto mpirun = folder.write("mpirun", "#!/bin/sh\nexec sleep 60\n");
  std::filesystem::permissions(mpirun, std::filesystem::perms::owner_all);
  const Result stopped = shell("'" TRANCHE_PROGRAM
                               "' doctor --mpirun ./mpirun > lines & pid=$!; "
                               "until grep -q HDF5 lines; do sleep 0.05; done; kill -TERM $pid; wait $pid");
  EXPECT_EQ(stopped.exit, 75) << stopped.errors;
  EXPECT_THAT(stopped.errors, HasSubstr("stopped by a signal; nothing is left behind"));
  EXPECT_EQ(files(), 2u);  // "mpirun" and "lines"
}

}  // namespace
}  // namespace tranche::doctor
