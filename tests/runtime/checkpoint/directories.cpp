// What is found in a directory, what is kept, and what is said of the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/file.h"
#include "tests/runtime/checkpoint/sample.h"
#include "tests/support/temporary_folder.h"

namespace tranche::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator{directory}) names.push_back(entry.path().filename().string());
  return names;
}

template <class Work> Error error_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return {Exit::success, "no error"};
}

Resumption resume(const fs::path& directory, Sample& into) { return load_newest(directory, into.state(), Peers{}); }

TEST(StepNames, AreReadAsWritten) {
  EXPECT_EQ(step_name(500), "step-000500");
  EXPECT_EQ(step_name(12345678), "step-12345678");
  EXPECT_EQ(step_of_name("step-000500"), 500u);
  EXPECT_EQ(step_of_name("step-000500.replaced"), 500u);
  for (const char* name : {"step-000500.partial", "step-", "step-x", "step-5x", "latest", "step--5", "step-.replaced"})
    EXPECT_EQ(step_of_name(name), std::nullopt) << name;
}

TEST(Directories, HoldAFolderForEachStepAndTheNewestsName) {
  const testing::TemporaryFolder folder;
  ASSERT_THAT(save_sample(folder.path() / "new/runs", 1, 2), Each(""));
  ASSERT_THAT(save_sample(folder.path() / "new/runs", 2, 3), Each(""));
  EXPECT_THAT(names_in(folder.path() / "new/runs"), UnorderedElementsAre("step-000100", "step-000200", "latest"));
  EXPECT_THAT(names_in(folder.path() / "new/runs/step-000200"),
              UnorderedElementsAre("manifest.json", "state.h5", "tranche-0000-of-0003.h5", "tranche-0001-of-0003.h5",
                                   "tranche-0002-of-0003.h5"));
  EXPECT_EQ(read_small_file(folder.path() / "new/runs/latest"), "step-000200\n");
}

TEST(Directories, KeepTheNewest) {
  const testing::TemporaryFolder folder;
  for (const int version : {1, 2, 3, 4}) ASSERT_THAT(save_sample(folder.path(), version, 1, 2), Each(""));
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("step-000300", "step-000400", "latest"));
  // After going back to an older step, what was saved last stays, whatever lies ahead of it.
  ASSERT_THAT(save_sample(folder.path(), 2, 1, 1), Each(""));
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("step-000200", "latest"));
}

TEST(Directories, NeverDeleteAnIncompleteOneInPlaceOfAComplete) {
  const testing::TemporaryFolder folder;
  ASSERT_THAT(save_sample(folder.path(), 1, 1, 2), Each(""));
  fs::create_directory(folder.path() / "step-000900");  // newer, but nothing
  ASSERT_THAT(save_sample(folder.path(), 2, 1, 2), Each(""));
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("step-000100", "step-000200", "step-000900", "latest"));
}

TEST(Directories, LoseWhatADeadProcessLeft) {
  const testing::TemporaryFolder folder;
  fs::create_directories(folder.path() / "step-000050.partial");
  folder.write("step-000050.partial/tranche-0000-of-0001.h5", "half");
  folder.write("latest.partial", "ste");
  folder.write("notes.partial", "not ours");
  ASSERT_THAT(save_sample(folder.path(), 1, 1), Each(""));
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("step-000100", "latest", "notes.partial"));
}

TEST(Directories, TakeANewerStateOfTheSameStep) {
  const testing::TemporaryFolder folder;
  Sample old{0, 1}, young{0, 1}, loaded{0, 1};
  old.fill(1);
  young.fill(2);
  save(folder.path(), 100, old.state(), sample_job(1), Peers{}, 0);
  save(folder.path(), 100, young.state(), sample_job(1), Peers{}, 0);
  EXPECT_TRUE(resume(folder.path(), loaded).found);
  EXPECT_EQ(loaded.differences(2), 0u);
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("step-000100", "latest"));
}

TEST(Resuming, FindsNothingWhereThereIsNothing) {
  const testing::TemporaryFolder folder;
  Sample sample{0, 1};
  EXPECT_FALSE(resume(folder.path(), sample).found);
  EXPECT_FALSE(resume(folder.path() / "none", sample).found);
  EXPECT_THAT(resume(folder.path(), sample).skipped, IsEmpty());
}

TEST(Resuming, TakesTheNewestWholeOneAndSaysWhatItSkipped) {
  const testing::TemporaryFolder folder;
  for (const int version : {1, 2, 3, 4, 5}) ASSERT_THAT(save_sample(folder.path(), version, 2), Each(""));
  fs::remove(folder.path() / "step-000500/manifest.json");
  fs::remove(folder.path() / "step-000400/tranche-0001-of-0002.h5");
  const fs::path file = folder.path() / "step-000300/tranche-0000-of-0002.h5";
  std::string bytes = read_small_file(file);
  bytes[bytes.size() / 2] ^= 1;
  write_small_file(file, bytes);
  EXPECT_THAT(on_ranks(3,
                       [&](const Peers& peers) {
                         Sample mine{peers.rank, peers.size};
                         const Resumption resumption = load_newest(folder.path(), mine.state(), peers);
                         EXPECT_EQ(mine.differences(2), 0u);
                         ASSERT_THAT(resumption.skipped, SizeIs(3));
                         EXPECT_THAT(resumption.skipped[0].reason, HasSubstr("no manifest.json"));
                         EXPECT_THAT(resumption.skipped[1].reason, HasSubstr("tranche-0001-of-0002.h5: it is missing"));
                         EXPECT_THAT(resumption.skipped[2].reason, HasSubstr("tranche-0000-of-0002.h5: its checksum"));
                       }),
              Each(""));
  // The cheap search reads no tensors: it takes the one whose sizes are right.
  const Newest newest = find_newest_complete(folder.path());
  EXPECT_EQ(newest.folder, folder.path() / "step-000300");
  EXPECT_THAT(newest.skipped, SizeIs(2));
}

TEST(Paths, MeanAStepOrADirectorysNewest) {
  const testing::TemporaryFolder folder;
  for (const int version : {1, 2}) ASSERT_THAT(save_sample(folder.path(), version, 1), Each(""));
  EXPECT_EQ(resolve(folder.path()), folder.path() / "step-000200");
  EXPECT_EQ(resolve(folder.path() / "step-000100"), folder.path() / "step-000100");
  EXPECT_EQ(resolve(folder.path() / "step-000100/"), folder.path() / "step-000100/");
  EXPECT_EQ(error_of([&] { resolve(folder.path() / "none"); }).exit(), Exit::checkpoint);
  for (const int version : {1, 2})
    fs::remove(folder.path() / step_name(static_cast<std::size_t>(version) * 100) / "manifest.json");
  EXPECT_THAT(error_of([&] { resolve(folder.path()); }).what(),
              AllOf(HasSubstr("no complete checkpoint"), HasSubstr("step-000100: "), HasSubstr("no manifest.json")));
}

TEST(OtherModels, AreRefusedByTheFirstTensorThatDiffers) {
  const testing::TemporaryFolder folder;
  ASSERT_THAT(save_sample(folder.path(), 1, 2), Each(""));
  const auto error_with = [&](const std::function<void(std::vector<UnitLayout>&)>& change,
                              std::vector<std::string> kinds = sample_kinds) {
    std::vector<UnitLayout> units = sample_units();
    change(units);
    Sample sample{0, 1, units, std::move(kinds)};
    return error_of([&] { load(folder.path() / "step-000100", sample.state(), Peers{}); });
  };
  const Error shape = error_with([](auto& units) { units[1].tensors[0].shape = {3, 129, 7}; });
  EXPECT_EQ(shape.exit(), Exit::checkpoint);
  EXPECT_THAT(shape.what(), AllOf(HasSubstr("attn/qkv [3, 7, 129]"), HasSubstr("attn/qkv [3, 129, 7]")));
  EXPECT_THAT(error_with([](auto& units) { units[0].tensors[1].name = "wpe"; }).what(),
              AllOf(HasSubstr("another model"), HasSubstr("no tensor wpe [5, 64]")));
  EXPECT_THAT(error_with([](auto& units) { units.pop_back(); }).what(),
              AllOf(HasSubstr("another model"), HasSubstr("cube [2, 3, 5, 71]")));
  EXPECT_THAT(error_with([](auto&) {}, {"parameters", "momentum_buffer"}).what(), HasSubstr("no momentum_buffer"));
  EXPECT_EQ(error_with([](auto&) {}, {"parameters"}).exit(), Exit::success);  // inference needs no moments
  EXPECT_EQ(error_with([](auto& units) {                                      // the same tensors, cut otherwise
              units[0].tensors.push_back(units[1].tensors[0]);
              units[1].tensors.erase(units[1].tensors.begin());
            })
                .exit(),
            Exit::success);
}

TEST(Inspect, ShowsWhatIsThere) {
  const testing::TemporaryFolder folder;
  ASSERT_THAT(save_sample(folder.path(), 1, 2), Each(""));
  EXPECT_THAT(inspect(folder.path() / "step-000100"),
              AllOf(HasSubstr("step 100, written by 2 ranks"), HasSubstr("scaler.scale"), HasSubstr("65536"),
                    HasSubstr("attn/qkv     [3, 7, 129]"), HasSubstr("tranche-0001-of-0002.h5")));
}

}  // namespace
}  // namespace tranche::checkpoint
