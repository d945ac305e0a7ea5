// Any number of ranks loads what any number wrote, and the digest does not see who wrote it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include <set>

#include "tests/runtime/checkpoint/sample.h"
#include "tests/support/temporary_folder.h"

namespace tranche::checkpoint {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

using Ranks = std::pair<std::size_t, std::size_t>;
class Resharding : public ::testing::TestWithParam<Ranks> {};

TEST_P(Resharding, GivesEveryElementBack) {
  const auto [writers, readers] = GetParam();
  const testing::TemporaryFolder folder;
  ASSERT_THAT(save_sample(folder.path(), 5, writers), Each(""));
  EXPECT_THAT(on_ranks(readers,
                       [&](const Peers& peers) {
                         Sample mine{peers.rank, peers.size};
                         const Manifest manifest = load(folder.path() / "step-000500", mine.state(), peers);
                         EXPECT_EQ(mine.differences(5), 0u);
                         EXPECT_EQ(mine.touched_padding(), 0u);
                         EXPECT_EQ(manifest.step, 500u);
                         EXPECT_EQ(manifest.ranks, writers);
                         EXPECT_EQ(manifest.state.logical, sample_job(5).logical);
                         EXPECT_EQ(manifest.state.circumstances, sample_job(5).circumstances);
                         EXPECT_EQ(manifest.state.job, sample_job(5).job);
                       }),
              Each(""));
}
std::vector<Ranks> all_pairs() {
  std::vector<Ranks> pairs;
  for (std::size_t writers = 1; writers <= 5; ++writers)
    for (std::size_t readers = 1; readers <= 5; ++readers) pairs.emplace_back(writers, readers);
  return pairs;
}
INSTANTIATE_TEST_SUITE_P(Ranks, Resharding, ::testing::ValuesIn(all_pairs()),
                         [](const auto& pair) { return str(pair.param.first, "to", pair.param.second); });

TEST(Digest, IsTheSameForAnyNumberOfRanks) {
  std::set<std::string> digests;
  for (std::size_t ranks = 1; ranks <= 5; ++ranks) {
    const testing::TemporaryFolder folder;
    ASSERT_THAT(save_sample(folder.path(), 5, ranks), Each(""));
    digests.insert(digest(folder.path() / "step-000500"));
  }
  EXPECT_EQ(digests.size(), 1u);
}

TEST(Digest, SeesEveryElementAndEveryLogicalValue) {
  const auto digest_with = [](const std::function<void(Sample&, JobState&)>& change) {
    const testing::TemporaryFolder folder;
    Sample all{0, 1};
    all.fill(1);
    JobState job = sample_job(1);
    change(all, job);
    return digest(save(folder.path(), 100, all.state(), job, Peers{}, 0));
  };
  const std::string plain = digest_with([](Sample&, JobState&) {});
  std::set<std::string> others;
  const auto expect_seen = [&](const std::function<void(Sample&, JobState&)>& change) {
    EXPECT_TRUE(others.insert(digest_with(change)).second);
  };
  for (std::size_t unit = 0; unit < 3; ++unit)
    for (std::size_t kind = 0; kind < 3; ++kind) {
      const std::size_t last = sample_units()[unit].size() - 1;
      for (const std::size_t element : {std::size_t{0}, last / 2, last})
        expect_seen([&](Sample& sample, JobState&) {
          float& x = sample.state().slices[unit][kind].borrow().elements[element];
          x = std::nextafter(x, 2.0f);
        });
    }
  expect_seen([](Sample&, JobState& job) { job.logical["step"] = std::uint64_t{101}; });
  expect_seen([](Sample&, JobState& job) { job.logical["scaler.scale"] = 65537.0; });
  expect_seen([](Sample&, JobState& job) { job.logical["scaler.scale"] = std::uint64_t{65536}; });
  expect_seen([](Sample&, JobState& job) { job.logical["history"] = std::string{"x"}; });
  EXPECT_FALSE(others.contains(plain));
  EXPECT_EQ(plain, digest_with([](Sample&, JobState& job) {
              job.circumstances["stage"] = std::uint64_t{3};
              job.job["steps"] = 2;
            }));
}

TEST(Digest, TakesEveryNonFiniteValueForTheSame) {
  std::set<std::string> digests;
  for (const double value : {HUGE_VAL, -HUGE_VAL, std::numeric_limits<double>::quiet_NaN()}) {
    const testing::TemporaryFolder folder;
    Sample all{0, 1};
    all.fill(1);
    JobState job = sample_job(1);
    job.logical["scaler.scale"] = value;
    digests.insert(digest(save(folder.path(), 100, all.state(), job, Peers{}, 0)));
  }
  EXPECT_EQ(digests.size(), 1u);
}

// Stage 0: every rank holds everything, and writes its slice of it.
TEST(Saving, TakesFromRanksThatHoldEverythingASliceEach) {
  const testing::TemporaryFolder whole, sliced;
  ASSERT_THAT(save_sample(sliced.path(), 1, 3), Each(""));
  ASSERT_THAT(on_ranks(3,
                       [&](const Peers& peers) {
                         Sample all{0, 1};
                         all.fill(1);
                         save(whole.path(), 100, written_by(all.state(), peers.rank, peers.size), sample_job(1), peers,
                              0);
                       }),
              Each(""));
  const Manifest a = read_manifest(whole.path() / "step-000100"), b = read_manifest(sliced.path() / "step-000100");
  EXPECT_EQ(a.boundaries, b.boundaries);
  for (std::size_t f = 0; f < a.files.size(); ++f) EXPECT_EQ(a.files[f].checksum, b.files[f].checksum);
}

TEST(Saving, RefusesRanksThatLostStep) {
  const testing::TemporaryFolder folder;
  const auto errors = on_ranks(3, [&](const Peers& peers) {
    Sample mine{peers.rank, peers.size};
    save(folder.path(), 100, mine.state(), sample_job(peers.rank == 2 ? 2 : 1), peers, 0);
  });
  EXPECT_THAT(errors, Each(HasSubstr("rank 2 has other")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Saving, RefusesRangesThatLeaveGaps) {
  const testing::TemporaryFolder folder;
  const auto errors = on_ranks(3, [&](const Peers& peers) {
    Sample mine{peers.rank == 1 ? 2 : peers.rank, peers.size};
    save(folder.path(), 100, mine.state(), sample_job(1), peers, 0);
  });
  EXPECT_THAT(errors, Each(HasSubstr("unit embedding")));
}

TEST(History, IsOneTokenForWhatIsNotFinite) {
  const auto after = [](double loss, double norm) {
    History history{"abc"};
    history.add(loss, norm);
    return history.hex();
  };
  EXPECT_EQ(after(1, HUGE_VAL), after(1, std::nan("")));
  EXPECT_NE(after(1, 2), after(2, 1));
  EXPECT_NE(after(1, 2), after(1, std::nextafter(2, 3)));
  History whole, resumed;
  whole.add(1, 2);
  resumed = History{whole.hex()};
  whole.add(3, 4);
  resumed.add(3, 4);
  EXPECT_EQ(whole.hex(), resumed.hex());
}

}  // namespace
}  // namespace tranche::checkpoint
