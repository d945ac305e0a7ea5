#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/faults/io_script.h"
#include "tests/support/temporary_folder.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using testing::Fault;
using ::testing::HasSubstr;
using testing::IoScript;
using testing::WithFaults;

template <class Work> Error error_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return {Exit::success, "no error"};
}

TEST(SmallFiles, ComeBackAsWritten) {
  const testing::TemporaryFolder folder;
  write_small_file(folder.path() / "latest", "step-000500\n");
  EXPECT_EQ(read_small_file(folder.path() / "latest"), "step-000500\n");
}

TEST(SmallFiles, AreOldOrNewWheneverTheProcessDies) {
  for (const Fault fault : {Fault::kill_before, Fault::kill_after, Fault::tear}) {
    std::size_t at = 0;
    for (std::string fate = "killed"; fate == "killed"; ++at) {
      const testing::TemporaryFolder folder;
      const std::filesystem::path path = folder.path() / "latest";
      write_small_file(path, "old");
      IoScript script{fault, at};
      fate = testing::fate_of_child(script, [&] { write_small_file(path, "new and longer"); });
      const std::string text = read_small_file(path);
      EXPECT_TRUE(text == "old" || text == "new and longer") << text;
      if (fate != "killed") {
        EXPECT_EQ(fate, "done");
        EXPECT_EQ(text, "new and longer");
      }
    }
    // create, write, sync, rename, sync of the folder; and the one that lived
    EXPECT_EQ(at, fault == Fault::tear ? 2u : 6u);
  }
}

TEST(Files, WriteOnAfterShortWrites) {
  const testing::TemporaryFolder folder;
  IoScript script{Fault::short_write, 0};
  const WithFaults on{script};
  write_small_file(folder.path() / "text", "a text that takes several calls");
  EXPECT_EQ(read_small_file(folder.path() / "text"), "a text that takes several calls");
  EXPECT_GT(script.calls(), 7u);
}

TEST(Files, FullDiskNamesTheFileAndTheReason) {
  const testing::TemporaryFolder folder;
  IoScript script{Fault::full_disk, 1};
  const WithFaults on{script};
  const Error error = error_of([&] { write_small_file(folder.path() / "latest", "text"); });
  EXPECT_EQ(error.exit(), Exit::storage);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("latest.partial"), HasSubstr("No space left on device")));
}

TEST(Files, ReadingBeyondTheEndSaysWhere) {
  const testing::TemporaryFolder folder;
  const File file = File::open(folder.write("short", "12345"));
  std::array<std::byte, 4> bytes;
  const Error error = error_of([&] { file.read(3, bytes); });
  EXPECT_EQ(error.exit(), Exit::storage);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("short"), HasSubstr("ends at byte 5")));
}

TEST(Files, MissingOnesAreNamed) {
  const Error error = error_of([] { read_small_file("/nowhere/at/all"); });
  EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/at/all"), HasSubstr("No such file")));
}

TEST(Folders, AreMadeAndRemovedWhole) {
  const testing::TemporaryFolder folder;
  create_folder(folder.path() / "a/b/c");
  create_folder(folder.path() / "a/b/c");
  write_small_file(folder.path() / "a/b/text", "x");
  remove_folder(folder.path() / "a");
  remove_folder(folder.path() / "a");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a"));
}

}  // namespace
}  // namespace tranche
