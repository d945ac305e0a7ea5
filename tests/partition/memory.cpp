// A rank needs as many bytes as the plan says: at every stage, and what is in flight too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "tests/partition/measured_state.h"

namespace tranche::testing {
namespace {

struct Case {
  std::size_t ranks, stage;
  Numbers numbers;
  bool overlap;
  std::vector<std::string> changes{};
};

const char* name_of(Numbers numbers) {
  const char* names[] = {"float32", "bfloat16", "float16"};
  return names[static_cast<int>(numbers)];
}

class Memory : public ::testing::TestWithParam<Case> {};

TEST_P(Memory, IsWhatThePlanSays) {
  const Case c = GetParam();
  SmallRun run;
  SmallJob job{.numbers = c.numbers, .changes = c.changes};
  job.changes.push_back(str("zero_optimization.stage=", c.stage));
  job.changes.push_back(str("zero_optimization.overlap_comm=", c.overlap ? "true" : "false"));
  const MeasuredState state = measure_state(run, job, c.ranks);
  EXPECT_EQ(state.measured, state.planned.total());
}

INSTANTIATE_TEST_SUITE_P(
    Arrangements, Memory,
    ::testing::Values(Case{1, 0, Numbers::float16, false}, Case{4, 0, Numbers::bfloat16, true},
                      Case{3, 0, Numbers::float32, false}, Case{4, 1, Numbers::bfloat16, true},
                      Case{2, 1, Numbers::float16, false}, Case{4, 2, Numbers::bfloat16, false},
                      Case{3, 2, Numbers::float32, true}, Case{4, 3, Numbers::bfloat16, true},
                      Case{4, 3, Numbers::float16, false}, Case{2, 3, Numbers::float32, true},
                      Case{3, 3, Numbers::bfloat16, true, {"zero_optimization.stage3_prefetch_bucket_size=9000"}},
                      Case{2, 3, Numbers::bfloat16, true, {"model.tie_word_embeddings=false"}},
                      Case{2, 0, Numbers::bfloat16, true, {"reduction_block=3"}},
                      Case{2, 1, Numbers::bfloat16, true, {"reduction_block=3"}},
                      Case{1, 1, Numbers::bfloat16, true, {"reduction_block=3"}},
                      Case{2, 2, Numbers::bfloat16, true, {"model.n_layer=1", "model.vocab_size=2048"}},
                      Case{3, 3, Numbers::bfloat16, true, {"model.n_layer=1", "model.vocab_size=2048"}},
                      Case{2, 3, Numbers::bfloat16, false, {"model.n_layer=1", "model.vocab_size=2048"}},
                      Case{4, 3, Numbers::bfloat16, true, {"activation_checkpointing.enabled=true"}}),
    [](const auto& param) {
      const Case& c = param.param;
      std::string name = str("ranks", c.ranks, "_stage", c.stage, "_", name_of(c.numbers), c.overlap ? "_overlap" : "");
      for (const std::string& change : c.changes) name += "_" + change;
      std::ranges::replace_if(
          name, [](unsigned char letter) { return std::isalnum(letter) == 0; }, '_');
      return name;
    });

}  // namespace
}  // namespace tranche::testing
