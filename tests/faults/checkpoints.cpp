// Nothing is lost: a process killed at any write, fsync or rename leaves the old checkpoint or the new one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "runtime/device/cpu/cpu_device.h"
#include "tests/faults/io_script.h"
#include "tests/runtime/checkpoint/sample.h"
#include "tests/support/temporary_folder.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::Each;
using testing::Fault;
using ::testing::HasSubstr;
using testing::IoScript;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::WithFaults;

std::vector<UnitLayout> small_units() { return {{"u", {{"a", {33, 40}}, {"b", {1100}}, {"c", {1}}}}}; }
const std::vector<std::string> small_kinds = {"parameters", "exp_avg"};

// How a rank saves.
using Way = void (*)(const fs::path& directory, std::uint64_t step, const Sample& state, const JobState& job,
                     const Peers& peers, std::size_t keep);
void at_once(const fs::path& directory, std::uint64_t step, const Sample& state, const JobState& job,
             const Peers& peers, std::size_t keep) {
  save(directory, step, state.state(), job, peers, keep);
}
void beside_steps(const fs::path& directory, std::uint64_t step, const Sample& state, const JobState& job,
                  const Peers& peers, std::size_t keep) {
  CpuDevice host;
  BackgroundSaver saver{state.state(), host, peers};
  saver.save(directory, step, job, keep);
  saver.finish();
}

// Saves one version of the state. Throws what rank 0 throws.
void save_version(const fs::path& directory, int version, std::uint64_t step, std::size_t ranks, std::size_t keep,
                  Way way = at_once) {
  const auto errors = on_ranks(ranks, [&](const Peers& peers) {
    Sample mine{peers.rank, peers.size, small_units(), small_kinds};
    mine.fill(version);
    way(directory, step, mine, sample_job(version), peers, keep);
  });
  for (const std::string& error : errors)
    if (!error.empty()) throw Error(Exit::storage, error);
}

// Which version of the state loads, whole; 0 if there is none. Loading is done by one rank, whoever wrote.
int version_that_loads(const fs::path& directory) {
  Sample sample{0, 1, small_units(), small_kinds};
  const Resumption resumption = load_newest(directory, sample.state(), Peers{});
  EXPECT_THAT(resumption.skipped, IsEmpty());  // what has a step's name is whole
  if (!resumption.found) return 0;
  for (const int version : {1, 2, 3})
    if (resumption.found->manifest.state.logical == sample_job(version).logical) {
      EXPECT_EQ(sample.differences(version), 0u);
      return version;
    }
  ADD_FAILURE() << "a state that was never saved";
  return -1;
}

// A directory's history: what was saved before, and the save that goes wrong.
struct Story {
  std::string name;
  std::size_t ranks;
  bool has_old;        // version 1 at step 100
  std::uint64_t step;  // of version 2
  std::size_t keep;
  Way way = at_once;
};
void prepare(const Story& story, const fs::path& directory) {
  if (story.has_old) save_version(directory, 1, 100, story.ranks, 0);
}
void go_on(const Story& story, const fs::path& directory) {
  save_version(directory, 2, story.step, story.ranks, story.keep, story.way);
}

class Stories : public ::testing::TestWithParam<Story> {};

std::size_t calls_of(const Story& story) {
  const testing::TemporaryFolder folder;
  prepare(story, folder.path());
  IoScript counting;
  const WithFaults on{counting};
  go_on(story, folder.path());
  return counting.calls();
}

// Before every call (which is after the one before it), and in the middle of every write.
TEST_P(Stories, KilledAnywhereLeaveTheOldStateOrTheNew) {
  const Story story = GetParam();
  const int old = story.has_old ? 1 : 0;
  for (const Fault fault : {Fault::kill_before, Fault::tear}) {
    std::set<int> seen;
    std::string fate = "killed";
    std::size_t at = 0;
    for (int last = old; fate == "killed"; ++at) {
      const testing::TemporaryFolder folder;
      prepare(story, folder.path());
      IoScript script{fault, at};
      fate = testing::fate_of_child(script, [&] { go_on(story, folder.path()); });
      const int version = version_that_loads(folder.path());
      EXPECT_THAT(version, AnyOf(old, 2)) << "killed at call " << at;
      EXPECT_GE(version, last) << "the new state was there, then gone, at call " << at;
      seen.insert(last = version);
      if (at % 5 != 0) continue;
      // The next process finds its feet, and nothing of the dead one stays.
      save_version(folder.path(), 3, 300, story.ranks, 1);
      EXPECT_EQ(version_that_loads(folder.path()), 3) << at;
      for (const auto& entry : fs::directory_iterator{folder.path()})
        EXPECT_THAT(entry.path().filename().string(), AnyOf("step-000300", "latest")) << at;
    }
    EXPECT_EQ(fate, "done");
    EXPECT_EQ(seen, (std::set<int>{old, 2}));
    EXPECT_GT(at, fault == Fault::tear ? 8u : 20u);
  }
}

TEST_P(Stories, FailingDisksKeepTheOldStateAndSaySo) {
  const Story story = GetParam();
  const int old = story.has_old ? 1 : 0;
  const std::size_t calls = calls_of(story);
  for (const Fault fault : {Fault::fail, Fault::full_disk}) {
    for (std::size_t at = 0; at < calls; ++at) {
      const testing::TemporaryFolder folder;
      prepare(story, folder.path());
      IoScript script{fault, at};
      std::vector<std::string> errors;
      {
        const WithFaults on{script};
        errors = on_ranks(story.ranks, [&](const Peers& peers) {
          Sample mine{peers.rank, peers.size, small_units(), small_kinds};
          mine.fill(2);
          try {
            story.way(folder.path(), story.step, mine, sample_job(2), peers, story.keep);
          } catch (const Error& error) {
            EXPECT_EQ(error.exit(), Exit::storage) << error.what();
            throw;
          }
        });
      }
      const int version = version_that_loads(folder.path());
      if (errors[0].empty()) {  // the calls that were left need no room
        EXPECT_EQ(fault, Fault::full_disk) << at;
        EXPECT_EQ(version, 2) << at;
        EXPECT_THAT(errors, Each(IsEmpty()));
      } else {
        EXPECT_THAT(version, AnyOf(old, 2)) << at;
        EXPECT_THAT(errors, Each(AnyOf(HasSubstr("No space left on device"), HasSubstr("Input/output error")))) << at;
      }
      if (at % 5 == 0) {  // and once there is room again:
        save_version(folder.path(), 3, 300, story.ranks, 1);
        EXPECT_EQ(version_that_loads(folder.path()), 3) << at;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Stories,
                         ::testing::Values(Story{"FirstSave", 1, false, 200, 0}, Story{"NextSave", 1, true, 200, 1},
                                           Story{"SameStepAgain", 1, true, 100, 1}, Story{"TwoRanks", 2, true, 200, 1},
                                           Story{"BesideSteps", 1, true, 200, 1, beside_steps},
                                           Story{"TwoRanksBesideSteps", 2, true, 200, 1, beside_steps}),
                         [](const auto& story) { return story.param.name; });

// A machine that loses power keeps only what was synced: every name must be given to what is durable already.
class Durability : public IoFaults {
 public:
  explicit Durability(fs::path directory) : directory_(std::move(directory)) {}
  Verdict before(IoCall call, const fs::path& path, std::size_t) override {
    if (call == IoCall::rename) {
      const bool deletes = path.string().ends_with(".partial");
      EXPECT_THAT(files_, IsEmpty()) << "when " << path << " got its name";
      for (const fs::path& folder : folders_) EXPECT_EQ(folder, directory_) << "when " << path << " got its name";
      EXPECT_FALSE(names_pending_ && (path.filename() == "latest" || deletes)) << "when " << path << " got its name";
      ++renames_;
    }
    EXPECT_FALSE(names_pending_ && call == IoCall::remove) << "when " << path << " was removed";
    return {};
  }
  void after(IoCall call, const fs::path& path) override {
    switch (call) {
      case IoCall::create: folders_.insert(path.parent_path()); [[fallthrough]];
      case IoCall::write:
      case IoCall::truncate: files_.insert(path); break;
      case IoCall::create_folder: folders_.insert(path.parent_path()); break;
      case IoCall::rename: names_pending_ = true; break;
      case IoCall::sync:
        files_.erase(path);
        folders_.erase(path);
        if (path == directory_) names_pending_ = false;
        break;
      default: break;
    }
  }
  bool all_durable() const { return files_.empty() && !names_pending_; }
  std::size_t renames() const { return renames_; }

 private:
  fs::path directory_;
  std::set<fs::path> files_, folders_;
  bool names_pending_ = false;
  std::size_t renames_ = 0;
};

TEST(Durability, ComesBeforeEveryName) {
  const testing::TemporaryFolder folder;
  save_version(folder.path(), 1, 100, 1, 0);
  Durability durability{folder.path()};
  const WithFaults on{durability};
  save_version(folder.path(), 2, 200, 1, 1);
  EXPECT_TRUE(durability.all_durable());
  EXPECT_EQ(durability.renames(), 3u);  // the step's, latest's, and the old one's that goes
}

TEST(ShortWrites, AreCompleted) {
  const testing::TemporaryFolder folder;
  {
    IoScript script{Fault::short_write, 0};
    const WithFaults on{script};
    save_version(folder.path(), 1, 100, 2, 0);
  }
  EXPECT_EQ(version_that_loads(folder.path()), 1);
}

}  // namespace
}  // namespace tranche::checkpoint
