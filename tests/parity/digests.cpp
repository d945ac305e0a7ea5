// The promise: one job, every arrangement, the same bits.
#include <gtest/gtest.h>

#include "tests/parity/arrangements.h"
#include "tests/parity/pairwise.h"
#include "tests/support/small_job.h"

namespace tranche {
namespace {

using namespace testing;

TEST_P(Digests, AreEqualOverEveryPairOfSettings) { expect_equal_over(pairwise(settings)); }

// Four ranks stop after ten steps; others go on.
TEST_P(Digests, AreEqualAfterAResumeOnAnotherNumberOfRanks) {
  SmallRun run;
  const std::string whole = run.digest_after(steps, job(), {});
  for (const auto& [after, stage] : {std::pair{1, 0}, {2, 2}, {3, 3}}) {
    const std::string directory = str("resumed-", after);
    run.digest_after(10, job(), {.ranks = 4, .stage = 3}, directory);
    const Arrangement second{.ranks = static_cast<std::size_t>(after), .stage = static_cast<std::size_t>(stage)};
    EXPECT_EQ(run.digest_after(steps, job(), second, directory), whole) << name_of(second);
  }
}

INSTANTIATE_TEST_SUITE_P(Jobs, Digests, every_job, parameters);

// What must change the digest does: the oracle is not blind.
TEST(DigestsNotice, ASeedARateAndABlockOfMicroBatches) {
  SmallRun run;
  const std::string plain = run.digest_after(4, {}, {});
  EXPECT_EQ(run.digest_after(4, {}, {}), plain);
  EXPECT_NE(run.digest_after(4, {.changes = {"seed=6"}}, {}), plain);
  EXPECT_NE(run.digest_after(4, {.changes = {"optimizer.params.lr=0.0031"}}, {}), plain);
  EXPECT_NE(run.digest_after(4, {.changes = {"gradient_clipping=0.4"}}, {}), plain);
}

TEST(ReductionBlocks, ArePartOfTheNumbersAndIndependentOfRanks) {
  SmallRun run;
  const SmallJob job{.numbers = Numbers::bfloat16, .changes = {"reduction_block=3"}};
  const std::string one = run.digest_after(5, job, {});
  EXPECT_NE(one, run.digest_after(5, {.numbers = Numbers::bfloat16}, {}));
  for (const std::size_t count : {2u, 4u})
    for (const std::size_t stage : {0u, 1u})
      EXPECT_EQ(run.digest_after(5, job, {.ranks = count, .stage = stage}), one) << count << " ranks, stage " << stage;
}

TEST(FastReduction, IsCanonicalWhereNothingAddsOnTheWay) {
  SmallRun run;
  const SmallJob plain{.numbers = Numbers::bfloat16};
  const SmallJob fast{.numbers = Numbers::bfloat16, .changes = {"reduction=fast"}};
  EXPECT_EQ(run.digest_after(4, fast, {.ranks = 2, .stage = 2}), run.digest_after(4, plain, {}));
}

}  // namespace
}  // namespace tranche
