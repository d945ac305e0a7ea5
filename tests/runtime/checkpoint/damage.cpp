// A flipped byte anywhere in a checkpoint is noticed by verify and on load, with file and tensor named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "runtime/base/checksum.h"
#include "runtime/base/file.h"
#include "runtime/checkpoint/regions.h"
#include "runtime/checkpoint/tranche_file.h"
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
          const std::size_t at = bytes.find(stored);
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

TEST_F(Damaged, AnotherVersionIsNamed) {
  std::string text = read_small_file(step_ / "manifest.json");
  const std::string version = "\"version\": 2";
  text.replace(text.find(version), version.size(), "\"version\": 1");
  const std::size_t at = text.size() - 36;  // of the 32 digits of its own checksum
  text.replace(at, 32, 32, '0');
  Checksum checksum;
  checksum.add(text);
  std::ofstream{step_ / "manifest.json", std::ios::binary} << text.replace(at, 32, checksum.hex());
  EXPECT_THAT(verify_error(), HasSubstr("manifest.json has format version 1, this program reads version 2"));
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

// A checksum of sums does not tell 0 from 65535.
TEST_F(Damaged, ZeroesInPlaceOfOnesAreNoticed) {
  const fs::path path = folder_.path() / "ones";
  std::vector<float> ones(3000, 1.0f);
  std::memset(ones.data() + 1000, 0xFF, 400);
  const OwnedSlice slice = OwnedSlice::resident(0, ones);
  write_tranche_file(path, 1, std::vector<SliceParts>{{slice, {{"parameters/a", 0, 0, 3000}}}});
  EXPECT_NO_THROW(TrancheFile{path}.check("parameters/a"));
  std::string bytes = read_small_file(path);
  const std::size_t at = bytes.find(std::string(400, '\xFF'));
  ASSERT_NE(at, std::string::npos);
  std::ofstream{path, std::ios::binary} << bytes.replace(at, 400, 400, '\0');
  EXPECT_THROW(TrancheFile{path}.check("parameters/a"), Error);
}

TEST_F(Damaged, WhatAJobDoesNotLoadCountsToo) {
  const std::string name = "tranche-0000-of-0002.h5", bytes = read_small_file(step_ / name);
  const float value = sample_value(1, "exp_avg_sq", "wte.weight", 0);
  const std::size_t at = bytes.find(std::string{reinterpret_cast<const char*>(&value), 4});
  ASSERT_NE(at, std::string::npos);
  with_flipped(name, at, [&] {
    Sample parameters{0, 1, sample_units(), {"parameters"}};
    try {
      load(step_, parameters.state(), Peers{});
      ADD_FAILURE() << "it loaded";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(name), HasSubstr("in exp_avg_sq/wte.weight"),
                                      HasSubstr("\n  while loading the checkpoint")));
    }
  });
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
  // Once; blocks of 1 MiB on boundaries twice.
  EXPECT_LT(counter.bytes(), stored + (std::size_t{8} << 20));
  EXPECT_GT(counter.bytes(), stored);
}

}  // namespace
}  // namespace tranche::checkpoint
