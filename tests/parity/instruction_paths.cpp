// A job on each instruction path: bfloat16 trains where the processor has no products of it, and ranks change nothing.
#include <gtest/gtest.h>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/ops/instruction_path.h"
#include "tests/support/small_job.h"

namespace tranche {
namespace {

using namespace testing;

constexpr std::size_t steps = 40;

double final_loss(Numbers numbers) {
  SmallRun run;
  run.digest_after(steps, {.numbers = numbers}, {});
  EXPECT_LT(run.last().loss, 0.75 * run.last().first_loss);
  return run.last().loss;
}

TEST(OnThisPath, BfloatTrainsAsFloatDoes) {
  EXPECT_NEAR(final_loss(Numbers::bfloat16) / final_loss(Numbers::float32), 1, 0.03);
}

TEST(OnThisPath, RanksGiveTheSameBits) {
  for (const Numbers numbers : {Numbers::bfloat16, Numbers::float16}) {
    SmallRun run;
    const std::string one = run.digest_after(10, {.numbers = numbers}, {});
    EXPECT_EQ(run.digest_after(10, {.numbers = numbers}, {.ranks = 2, .stage = 3, .threads = 2}), one);
  }
}

TEST(OnThisPath, TheCheckpointNamesIt) {
  SmallRun run;
  run.digest_after(1, {}, {}, "named");
  const auto manifest = checkpoint::read_manifest(checkpoint::resolve(run.folder() / "named"));
  EXPECT_EQ(checkpoint::get<std::string>(manifest.state.circumstances, "instruction_path"),
            ops::name_of(ops::instruction_path()));
}

}  // namespace
}  // namespace tranche
