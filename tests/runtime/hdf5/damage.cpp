// Files that are not what they should be: one clear error that names the file, never a crash or wrong values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "runtime/hdf5/file.h"
#include "tests/faults/io_script.h"
#include "tests/support/temporary_folder.h"

namespace tranche::hdf5 {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using tranche::testing::Fault;
using tranche::testing::IoScript;
using tranche::testing::TemporaryFolder;
using tranche::testing::WithFaults;

template <class Work> Error error_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return {Exit::success, "no error"};
}

std::vector<float> values_of_sample() {
  std::vector<float> values(5000);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

void write_sample(const std::filesystem::path& path) {
  File file = File::create(path);
  file.create_dataset("weights/a", Type::float32, {5000}, {1024}).write<float>(0, values_of_sample());
  file.set_attribute("step", std::int64_t{1});
  file.close();
}

std::vector<float> read_sample(const std::filesystem::path& path) {
  std::vector<float> values(5000);
  File::open(path, Exit::data).dataset("weights/a").read<float>(0, values);
  return values;
}

TEST(Hdf5Damage, MissingForeignAndTruncatedFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { read_sample(folder.path() / "none.h5"); }).what(),
              AllOf(HasSubstr("none.h5"), HasSubstr("No such file")));
  const Error foreign = error_of([&] { read_sample(folder.write("text.h5", "In the beginning")); });
  EXPECT_EQ(foreign.exit(), Exit::data);
  EXPECT_THAT(foreign.what(), HasSubstr("text.h5"));
  write_sample(folder.path() / "a.h5");
  const auto size = std::filesystem::file_size(folder.path() / "a.h5");
  for (const std::uintmax_t left : {std::uintmax_t{0}, std::uintmax_t{40}, size / 2, size - 1}) {
    std::filesystem::resize_file(folder.path() / "a.h5", left);
    const Error truncated = error_of([&] { read_sample(folder.path() / "a.h5"); });
    EXPECT_EQ(truncated.exit(), Exit::data) << left;
    EXPECT_THAT(truncated.what(), HasSubstr("a.h5"));
    write_sample(folder.path() / "a.h5");
  }
}

TEST(Hdf5Damage, MisuseIsNamed) {
  const TemporaryFolder folder;
  write_sample(folder.path() / "a.h5");
  const File file = File::open(folder.path() / "a.h5", Exit::data);
  EXPECT_THAT(error_of([&] { file.dataset("weights/b"); }).what(), AllOf(HasSubstr("weights/b"), HasSubstr("a.h5")));
  EXPECT_THAT(error_of([&] { file.dataset("weights"); }).what(), AllOf(HasSubstr("weights"), HasSubstr("a.h5")));
  std::vector<float> some(10);
  EXPECT_THAT(error_of([&] { file.dataset("weights/a").read<float>(4995, some); }).what(),
              AllOf(HasSubstr("weights/a"), HasSubstr("5000")));
  std::vector<double> doubles(10);
  EXPECT_THAT(error_of([&] { file.dataset("weights/a").read<double>(0, doubles); }).what(),
              AllOf(HasSubstr("float32"), HasSubstr("float64")));
}

// A flipped byte gives an error or the right values: never others.
TEST(Hdf5Damage, FlippedBytesNeverGiveOtherValues) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  write_sample(path);
  const std::string good = read_small_file(path);
  std::size_t noticed = 0;
  for (std::size_t at = 0; at < good.size(); at += 101) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    std::ofstream{path, std::ios::binary} << bad;
    try {
      EXPECT_EQ(read_sample(path), values_of_sample()) << at;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a.h5")) << at;
      ++noticed;
    }
  }
  EXPECT_GT(noticed, 5000u * 4 / 101 - 5);  // all those among the values, and more
}

TEST(Hdf5Damage, FailingDisksAreReportedOnceAndTheLibraryStaysUsable) {
  const TemporaryFolder folder;
  IoScript counting;
  {
    const WithFaults on{counting};
    write_sample(folder.path() / "counted.h5");
  }
  for (const Fault fault : {Fault::fail, Fault::full_disk})
    for (std::size_t at = 0; at < counting.calls(); ++at) {
      IoScript script{fault, at};
      const Error error = error_of([&] {
        const WithFaults on{script};
        write_sample(folder.path() / "a.h5");
      });
      if (error.exit() == Exit::success && fault == Fault::full_disk) continue;  // the calls left did not need room
      EXPECT_EQ(error.exit(), Exit::storage) << at << error.what();
      EXPECT_THAT(error.what(), AllOf(HasSubstr("a.h5"), AnyOf(HasSubstr("Input/output"), HasSubstr("No space"))))
          << at;
      write_sample(folder.path() / "b.h5");
      EXPECT_EQ(read_sample(folder.path() / "b.h5"), values_of_sample());
    }
}

TEST(Hdf5Damage, ShortWritesAreCompleted) {
  const TemporaryFolder folder;
  IoScript script{Fault::short_write, 0};
  {
    const WithFaults on{script};
    write_sample(folder.path() / "a.h5");
  }
  EXPECT_EQ(read_sample(folder.path() / "a.h5"), values_of_sample());
}

// Before the last write a file cannot be opened or lacks nothing.
TEST(Hdf5Damage, AKilledWriterLeavesNothingThatReadsWrong) {
  const TemporaryFolder folder;
  for (const Fault fault : {Fault::kill_before, Fault::tear}) {
    std::string fate = "killed";
    for (std::size_t at = 0; fate == "killed"; ++at) {
      const auto path = folder.path() / "a.h5";
      std::filesystem::remove(path);
      IoScript script{fault, at};
      fate = tranche::testing::fate_of_child(script, [&] { write_sample(path); });
      try {
        EXPECT_EQ(read_sample(path), values_of_sample()) << at;
      } catch (const Error&) {
        EXPECT_EQ(fate, "killed");
      }
    }
    EXPECT_EQ(fate, "done");
  }
}

}  // namespace
}  // namespace tranche::hdf5
