// Ranks as processes of the program itself, under mpirun: the same bits, also after a kill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "runtime/base/file.h"
#include "tests/support/small_job.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t steps = 40;

class Processes : public ::testing::TestWithParam<std::tuple<Numbers, Architecture>> {
 protected:
  SmallJob job() const { return {.numbers = std::get<0>(GetParam()), .architecture = std::get<1>(GetParam())}; }

  std::vector<std::string> command(const std::string& directory, const Arrangement& arrangement,
                                   std::vector<std::string> more) {
    std::vector<std::string> words{"mpirun",        "-np",   str(arrangement.ranks),
                                   TRANCHE_PROGRAM, "train", run_.write_job(job(), directory).string()};
    for (const std::string& each : run_.overrides(arrangement)) more.push_back("--set=" + each);
    more.push_back(str("--set=steps=", steps));
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  static pid_t start(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    return child;
  }
  static int finish(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string digest(const std::string& directory) {
    return checkpoint::digest(checkpoint::resolve(run_.folder() / directory));
  }

  SmallRun run_;
};

TEST_P(Processes, HaveTheBitsOfOneRankAsAThread) {
  const std::string expected = run_.digest_after(steps, job(), {});
  for (const auto& [ranks, stage] : {std::pair{1, 0}, {2, 1}, {3, 3}, {4, 2}}) {
    const Arrangement arrangement{.ranks = static_cast<std::size_t>(ranks), .stage = static_cast<std::size_t>(stage)};
    const std::string directory = str("processes-", ranks);
    ASSERT_EQ(finish(start(command(directory, arrangement, {}))), 0) << name_of(arrangement);
    EXPECT_EQ(digest(directory), expected) << name_of(arrangement);
  }
}

#ifdef TRANCHE_CLOSED_TO_PEERS
// As where the system forbids to look into other processes: the same bits through messages, and a word about the price.
TEST_P(Processes, ThatCannotReadEachOthersMemoryHaveTheSameBits) {
  const std::string expected = run_.digest_after(steps, job(), {});
  const Arrangement arrangement{.ranks = 2, .stage = 3};
  const auto said_by = [&](const std::string& directory, const std::string& second_rank) {
    const std::vector<std::string> words = command(directory, arrangement, {});
    std::string program;
    for (std::size_t i = 3; i < words.size(); ++i) program += " '" + words[i] + "'";
    const std::string errors = (run_.folder() / (directory + ".txt")).string();
    EXPECT_EQ(std::system(str("mpirun -np 1", program, " : -np 1 ", second_rank, program, " 2>", errors).c_str()), 0);
    return read_small_file(errors);
  };
  const std::string warning =
      "cannot read each other's memory, so their collectives go through MPI's messages, which is "
      "slower: the memory of process";
  EXPECT_THAT(said_by("closed", "env LD_PRELOAD=" TRANCHE_CLOSED_TO_PEERS), HasSubstr(warning));
  EXPECT_EQ(digest("closed"), expected);
  EXPECT_THAT(said_by("open", ""), Not(HasSubstr(warning)));
  EXPECT_EQ(digest("open"), expected);
}
#endif

TEST_P(Processes, ThatSaveBesideTheirStepsSaveWhatTheyWouldHaveAtOnce) {
  ASSERT_EQ(finish(start(command("at-once", {}, {"--set=checkpoint.every=10"}))), 0);
  const auto digest_of = [&](const std::string& directory, const char* step) {
    return checkpoint::digest(run_.folder() / directory / step);
  };
  for (const Arrangement& arrangement :
       {Arrangement{.ranks = 2, .stage = 2}, {.ranks = 3, .stage = 3, .offload = Offload::slices_to_disk}}) {
    const std::string directory = str("beside-", arrangement.ranks);
    ASSERT_EQ(finish(start(command(directory, arrangement,
                                   {"--set=checkpoint.every=10", "--set=checkpoint.asynchronous=true"}))),
              0);
    for (const char* step : {"step-000010", "step-000020", "step-000040"})
      EXPECT_EQ(digest_of(directory, step), digest_of("at-once", step)) << name_of(arrangement) << " " << step;
  }
}

TEST_P(Processes, KilledAndResumedOnAnotherNumberOfRanksHaveTheBitsOfAnUndisturbedRun) {
  const std::string expected = run_.digest_after(steps, job(), {});
  // Four ranks with their state and parameters on disk, killed as soon as the checkpoint of step 10 is complete.
  const pid_t mpirun = start(
      command("killed", {.ranks = 4, .stage = 3, .offload = Offload::slices_to_disk}, {"--set=checkpoint.every=10"}));
  const auto manifest = run_.folder() / "killed" / "step-000010" / "manifest.json";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!std::filesystem::exists(manifest)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "no checkpoint of step 10";
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  ASSERT_EQ(std::system(str("pkill -KILL --parent ", mpirun).c_str()), 0);
  finish(mpirun);
  ASSERT_FALSE(std::filesystem::exists(run_.folder() / "killed" / "step-000040")) << "it was killed too late";

  for (const auto& [ranks, offload] :
       {std::pair{3, Offload::slices_to_host}, {2, Offload::to_disk}, {1, Offload::nothing}}) {
    const std::string directory = str("resumed-", ranks);
    std::filesystem::copy(run_.folder() / "killed", run_.folder() / directory,
                          std::filesystem::copy_options::recursive);
    const Arrangement arrangement{.ranks = static_cast<std::size_t>(ranks), .stage = 3, .offload = offload};
    ASSERT_EQ(finish(start(command(directory, arrangement, {"--resume"}))), 0) << name_of(arrangement);
    EXPECT_EQ(digest(directory), expected) << name_of(arrangement);
  }
}

std::string parameters(const ::testing::TestParamInfo<std::tuple<Numbers, Architecture>>& info) {
  return std::get<1>(info.param) == Architecture::gpt2 ? "float16_gpt2" : "bfloat16_llama";
}
INSTANTIATE_TEST_SUITE_P(Jobs, Processes,
                         ::testing::Values(std::tuple{Numbers::float16, Architecture::gpt2},
                                           std::tuple{Numbers::bfloat16, Architecture::llama}),
                         parameters);

}  // namespace
}  // namespace tranche::testing
