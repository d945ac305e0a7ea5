// A flipped byte anywhere in a checkpoint is noticed by verify and on load, with file and tensor named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "runtime/base/file.h"
#include "runtime/checkpoint/regions.h"
#include "tests/faults/io_script.h"
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

class Damaged : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(save_sample(folder_.path(), 1, 2), Each(""));
    step_ = folder_.path() / "step-000100";
    ASSERT_THAT(verify(step_), IsEmpty());
  }
  // With one byte of a file of the checkpoint flipped while `look` looks.
  void with_flipped(const std::string& name, std::size_t at, const std::function<void()>& look) {
    const std::string good = read_small_file(step_ / name);
    std::string bad = good;
    bad.at(at) = static_cast<char>(bad[at] ^ 0x10);
    std::ofstream{step_ / name, std::ios::binary} << bad;
    look();
    std::ofstream{step_ / name, std::ios::binary} << good;
  }
  std::string load_error() const {
    Sample sample{0, 1};
    try {
      load(step_, sample.state(), Peers{});
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::checkpoint);
      return error.what();
    }
    return "no error";
  }
  std::string verify_error() const {
    try {
      return checkpoint::text_of(verify(step_));
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::checkpoint);
      return error.what();
    }
  }
  testing::TemporaryFolder folder_;
  fs::path step_;
};

TEST_F(Damaged, EveryFileIsNoticedAndNamed) {
  for (const char* name : {"state.h5", "tranche-0000-of-0002.h5", "tranche-0001-of-0002.h5", "manifest.json"}) {
    const std::size_t size = fs::file_size(step_ / name);
    for (std::size_t at = 0; at < size; at += 1 + size / 97)
      with_flipped(name, at, [&] {
        EXPECT_THAT(verify_error(), HasSubstr(name)) << at;
        EXPECT_THAT(load_error(), HasSubstr(name)) << at;
      });
    with_flipped(name, size - 1, [&] { EXPECT_THAT(verify_error(), HasSubstr(name)); });
  }
  EXPECT_EQ(load_error(), "no error");
}

TEST_F(Damaged, EveryTensorIsNamed) {
  const Manifest manifest = read_manifest(step_);
  std::size_t tried = 0;
  for (std::size_t rank = 0; rank < 2; ++rank) {
    const std::string name = tranche_name(rank, 2), bytes = read_small_file(step_ / name);
    for (std::size_t u = 0; u < manifest.units.size(); ++u) {
      const std::size_t first = manifest.boundaries[u][rank], count = manifest.boundaries[u][rank + 1] - first;
      for (const TensorRange& range : tensors_of_range(manifest.units[u], first, count))
        for (const std::string& kind : sample_kinds) {
          std::vector<float> values;
          for (std::size_t i = 0; i < range.count; ++i)
            values.push_back(sample_value(1, kind, range.tensor->name, range.first + i));
          std::string stored(4 * values.size(), '\0');
          std::memcpy(stored.data(), values.data(), stored.size());
          const std::size_t at = bytes.find(stored);  // one chunk, unfiltered but for its checksum
          ASSERT_NE(at, std::string::npos) << range.tensor->name;
          for (const std::size_t byte : {at, at + stored.size() / 2, at + stored.size() - 1})
            with_flipped(name, byte, [&] {
              const std::string where =
                  name + ": its checksum does not fit its content: in " + kind + "/" + range.tensor->name;
              EXPECT_EQ(verify_error(), where);
              EXPECT_THAT(load_error(), HasSubstr(where));
              ++tried;
            });
        }
    }
  }
  EXPECT_GT(tried, 80u);
}

TEST_F(Damaged, EveryByteOfTheManifestCounts) {
  const std::size_t size = fs::file_size(step_ / "manifest.json");
  for (std::size_t at = 0; at < size; at += 7)
    with_flipped("manifest.json", at,
                 [&] { EXPECT_THAT(verify_error(), HasSubstr("manifest.json is damaged")) << at; });
}

TEST_F(Damaged, MissingAndTruncatedFilesAreNamed) {
  const fs::path shard = step_ / "tranche-0001-of-0002.h5";
  const std::string good = read_small_file(shard);
  for (const std::size_t left : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
    std::ofstream{shard, std::ios::binary} << good.substr(0, left);
    EXPECT_THAT(verify_error(), AllOf(HasSubstr("tranche-0001-of-0002.h5: it has"), HasSubstr(str(left, " bytes"))))
        << left;
    EXPECT_THAT(load_error(), HasSubstr("tranche-0001-of-0002.h5")) << left;
  }
  fs::remove(shard);
  EXPECT_THAT(verify_error(), HasSubstr("tranche-0001-of-0002.h5: it is missing"));
  EXPECT_THAT(load_error(), HasSubstr("tranche-0001-of-0002.h5: it is missing"));
}

TEST_F(Damaged, EveryRankHearsOfItOnLoad) {
  with_flipped("tranche-0001-of-0002.h5", 20'000, [&] {
    EXPECT_THAT(on_ranks(3,
                         [&](const Peers& peers) {
                           Sample mine{peers.rank, peers.size};
                           load(step_, mine.state(), peers);
                         }),
                Each(HasSubstr("tranche-0001-of-0002.h5")));
  });
}

// Bytes read, by all threads.
class ReadCounter : public IoFaults {
 public:
  Verdict before(IoCall call, const fs::path&, std::size_t bytes) override {
    if (call == IoCall::read) bytes_ += bytes;
    return {};
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::atomic<std::size_t> bytes_ = 0;
};

TEST(Loading, ReadsOnlyWhatARankOwns) {
  const testing::TemporaryFolder folder;
  const std::vector<UnitLayout> units = {{"u", {{"a", {4, 1024, 1024}}, {"b", {3, 1024, 1024}}}}};
  std::size_t stored = 0;
  {
    Sample all{0, 1, units, {"parameters"}};
    save(folder.path(), 1, all.state(), {}, Peers{}, 0);
  }
  for (const StoredFile& file : read_manifest(folder.path() / "step-000001").files) stored += file.size;
  ReadCounter counter;
  const testing::WithFaults on{counter};
  EXPECT_THAT(on_ranks(4,
                       [&](const Peers& peers) {
                         Sample mine{peers.rank, peers.size, units, {"parameters"}};
                         load(folder.path() / "step-000001", mine.state(), peers);
                       }),
              Each(""));
  // Once for the checksums, which the ranks share, and once for the values; chunks of 1 MiB on boundaries twice.
  EXPECT_LT(counter.bytes(), 2 * stored + (std::size_t{8} << 20));
}

}  // namespace
}  // namespace tranche::checkpoint
