// The settings that a digest must not depend on, and the jobs it is compared for.
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/small_job.h"

namespace tranche::testing {

inline constexpr std::size_t ranks[] = {1, 2, 3, 4}, stages[] = {0, 1, 2, 3};
inline constexpr std::size_t buckets[] = {50'000'000, 1000}, threads[] = {1, 2};
inline constexpr std::size_t steps = 20;
inline constexpr Offload offloads[] = {Offload::nothing, Offload::to_host,        Offload::partly_to_host,
                                       Offload::to_disk, Offload::slices_to_host, Offload::slices_to_disk};
inline const std::vector<std::size_t> settings{std::size(ranks),   std::size(stages),  std::size(buckets), 2,
                                               std::size(threads), std::size(offloads)};

inline Arrangement arrangement_of(const std::vector<std::size_t>& row) {
  return {ranks[row[0]], stages[row[1]], buckets[row[2]], row[3] == 1, threads[row[4]], offloads[row[5]]};
}

// Every combination of all but the last setting, tiers, which take turns.
inline std::vector<std::vector<std::size_t>> every_row() {
  const std::vector<std::size_t> others{settings.begin(), settings.end() - 1};
  std::vector<std::vector<std::size_t>> rows;
  std::size_t count = 1;
  for (const std::size_t each : others) count *= each;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::size_t> row;
    std::size_t rest = i;
    for (const std::size_t each : others) {
      row.push_back(rest % each);
      rest /= each;
    }
    row.push_back(std::accumulate(row.begin(), row.end(), std::size_t{0}) % settings.back());
    rows.push_back(row);
  }
  return rows;
}

// A few that differ in everything, for jobs with one more feature.
inline const std::vector<Arrangement> some_arrangements{
    {.ranks = 2, .stage = 0},
    {.ranks = 1, .stage = 0, .recompute = true},
    {.ranks = 2, .stage = 3, .recompute = true, .threads = 2},
    {.ranks = 3, .stage = 2, .bucket = 1000},
    {.ranks = 4, .stage = 3, .bucket = 1000, .offload = Offload::slices_to_host},
    {.ranks = 4, .stage = 1, .offload = Offload::to_disk}};

// The same digest as on one rank, in each of these.
inline void expect_equal_in(const std::vector<Arrangement>& arrangements, const SmallJob& job, std::size_t count) {
  SmallRun run;
  const std::string expected = run.digest_after(count, job, {});
  EXPECT_LT(run.last().loss, run.last().first_loss);
  for (const Arrangement& each : arrangements) EXPECT_EQ(run.digest_after(count, job, each), expected) << name_of(each);
}

// Twelve steps at once, and begun on four ranks for so many, then gone on with by two at another stage.
inline void expect_equal_after_resumes(const SmallJob& job, const std::vector<std::size_t>& firsts) {
  SmallRun run;
  const std::string whole = run.digest_after(12, job, {});
  for (const std::size_t first : firsts) {
    const std::string directory = str("resumed-", first);
    run.digest_after(first, job, {.ranks = 4, .stage = 3}, directory);
    EXPECT_EQ(run.digest_after(12, job, {.ranks = 2, .stage = 2}, directory), whole) << "after " << first;
  }
}

class Digests : public ::testing::TestWithParam<std::tuple<Numbers, Architecture>> {
 protected:
  SmallJob job() const { return {.numbers = std::get<0>(GetParam()), .architecture = std::get<1>(GetParam())}; }

  void expect_equal_over(const std::vector<std::vector<std::size_t>>& rows) {
    SmallRun run;
    std::string expected;
    for (const auto& row : rows) {
      const Arrangement arrangement = arrangement_of(row);
      const std::string digest = run.digest_after(steps, job(), arrangement);
      if (expected.empty()) expected = digest;
      EXPECT_EQ(digest, expected) << name_of(arrangement);
      EXPECT_LT(run.last().loss, run.last().first_loss);  // it learns: the digest is not of nothing
      if (job().numbers == Numbers::float16) {
        EXPECT_GT(run.last().skipped, 0u);
      }
    }
  }
};

inline std::string parameters(const ::testing::TestParamInfo<std::tuple<Numbers, Architecture>>& info) {
  const char* numbers[] = {"float32", "bfloat16", "float16"};
  const char* architectures[] = {"gpt2", "llama"};
  return str(numbers[static_cast<int>(std::get<0>(info.param))], "_",
             architectures[static_cast<int>(std::get<1>(info.param))]);
}
inline const auto every_job =
    ::testing::Combine(::testing::Values(Numbers::float32, Numbers::bfloat16, Numbers::float16),
                       ::testing::Values(Architecture::gpt2, Architecture::llama));

}  // namespace tranche::testing
