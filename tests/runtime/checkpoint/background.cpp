// Training waits for a copy of its state, not for the disk; and nothing is lost or told late by that.
#include "runtime/checkpoint/background.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/device/cpu/cpu_device.h"
#include "tests/runtime/checkpoint/sample.h"
#include "tests/support/temporary_folder.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using testing::Fault;
using ::testing::HasSubstr;
using testing::IoScript;
using testing::TemporaryFolder;
using testing::WithFaults;

// A disk on which nothing gets on until it is told to.
class StandingDisk : public testing::FastDisk {
 public:
  ~StandingDisk() override { go_on(); }
  Verdict before(IoCall call, const fs::path& path, std::size_t bytes) override {
    moves_.wait(false);
    return FastDisk::before(call, path, bytes);
  }
  void go_on() {
    moves_ = true;
    moves_.notify_all();
  }

 private:
  std::atomic<bool> moves_ = false;
};

class SavingBeside : public ::testing::Test {
 protected:
  // The version of the state that a checkpoint holds.
  int version_of(std::uint64_t step) {
    Sample loaded{0, 1};
    load(folder_.path() / step_name(step), loaded.state(), {});
    for (const int version : {1, 2, 3})
      if (loaded.differences(version) == 0) return version;
    return 0;
  }
  // The sample as state that somebody must bring to memory first.
  static ModelState away(const Sample& sample, std::atomic<int>& borrowed) {
    ModelState state = sample.state();
    for (auto& unit : state.slices)
      for (OwnedSlice& slice : unit) {
        slice.stays = false;
        slice.borrow = [&borrowed, where = slice.borrow] {
          ++borrowed;
          return where();
        };
      }
    return state;
  }

  TemporaryFolder folder_;
  CpuDevice host_;
  Sample sample_{0, 1};
};

TEST_F(SavingBeside, KeepsTheStateOfItsStepWhileTheNextOnesChangeIt) {
  StandingDisk disk;
  const WithFaults on{disk};
  BackgroundSaver saver{sample_.state(), host_, {}};
  sample_.fill(1);
  const Event read = saver.save(folder_.path(), 100, sample_job(1), 0);  // returns while the disk stands
  EXPECT_TRUE(read.happened());
  sample_.fill(2);
  EXPECT_FALSE(fs::exists(folder_.path() / step_name(100)));
  disk.go_on();
  saver.finish();
  EXPECT_EQ(version_of(100), 1);
}

TEST_F(SavingBeside, WaitsForTheSaveBefore) {
  BackgroundSaver saver{sample_.state(), host_, {}};
  for (const int version : {1, 2, 3}) {
    sample_.fill(version);
    saver.save(folder_.path(), 100u * static_cast<unsigned>(version), sample_job(version), 0);
  }
  saver.finish();
  for (const int version : {1, 2, 3}) EXPECT_EQ(version_of(100u * static_cast<unsigned>(version)), version);
}

TEST_F(SavingBeside, EndsWithWhatItBegan) {
  {
    BackgroundSaver saver{sample_.state(), host_, {}};
    sample_.fill(1);
    saver.save(folder_.path(), 100, sample_job(1), 0);
  }
  EXPECT_EQ(version_of(100), 1);
}

TEST_F(SavingBeside, TakesItsMemoryAtOnceAndNoMoreLater) {
  std::size_t state = 0;
  for (const auto& unit : sample_.state().slices)
    for (const OwnedSlice& slice : unit) state += 4 * slice.count;
  BackgroundSaver saver{sample_.state(), host_, {}};
  EXPECT_EQ(host_.ledger().live(Category::optimizer), state);
  sample_.fill(1);
  saver.save(folder_.path(), 100, sample_job(1), 0);
  saver.finish();
  EXPECT_EQ(host_.ledger().peak(), state);

  CpuDevice small{1, state - 4};
  EXPECT_THROW((BackgroundSaver{sample_.state(), small, {}}), Error);
}

TEST_F(SavingBeside, ReadsWhatIsNotInMemoryUntilItsEvent) {
  StandingDisk disk;
  const WithFaults on{disk};
  std::atomic<int> borrowed = 0;
  BackgroundSaver saver{away(sample_, borrowed), host_, {}};
  EXPECT_EQ(host_.ledger().peak(), 0u);
  sample_.fill(1);
  const Event read = saver.save(folder_.path(), 100, sample_job(1), 0);
  EXPECT_FALSE(read.happened());
  EXPECT_EQ(borrowed, 0);
  disk.go_on();
  read.wait();
  sample_.fill(2);
  saver.finish();
  EXPECT_EQ(version_of(100), 1);
}

TEST_F(SavingBeside, TellsOfAFailureWithTheNextSaveOnEveryRank) {
  {
    BackgroundSaver saver{sample_.state(), host_, {}};
    sample_.fill(1);
    saver.save(folder_.path(), 100, sample_job(1), 0);
  }
  IoScript script{Fault::fail, 3};
  const WithFaults on{script};
  const std::vector<std::string> errors = on_ranks(2, [&](const Peers& peers) {
    CpuDevice host;
    Sample mine{peers.rank, peers.size};
    mine.fill(2);
    BackgroundSaver saver{mine.state(), host, peers};
    const Event read = saver.save(folder_.path(), 200, sample_job(2), 0);
    read.wait();
    while (!saver.failed()) std::this_thread::yield();
    saver.save(folder_.path(), 300, sample_job(2), 0);
  });
  EXPECT_THAT(errors, Each(AllOf(HasSubstr("step 200 could not be saved"), HasSubstr("Input/output error"))));
  EXPECT_EQ(version_of(100), 1);
  EXPECT_FALSE(fs::exists(folder_.path() / step_name(200)));
  EXPECT_FALSE(fs::exists(folder_.path() / step_name(300)));
}

TEST_F(SavingBeside, LetsUpdatesGoOnWhereItFailed) {
  IoScript script{Fault::fail, 0};
  const WithFaults on{script};
  std::atomic<int> borrowed = 0;
  BackgroundSaver saver{away(sample_, borrowed), host_, {}};
  saver.save(folder_.path(), 100, sample_job(1), 0).wait();
  EXPECT_THROW(saver.finish(), Error);
}

}  // namespace
}  // namespace tranche::checkpoint
