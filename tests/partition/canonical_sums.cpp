// Gradients are summed in the order of micro-batches, bit for bit, however many ranks there are and whoever owns what.
#include "tests/partition/sums.h"
#include "tests/support/ranks.h"

namespace tranche::testing {
namespace {

std::string name_of_case(const ::testing::TestParamInfo<SumCase>& info) {
  const SumCase& c = info.param;
  return str("ranks", c.ranks, "_stage", c.stage, "_block", c.block, c.overlap ? "_overlap_" : "_", name_of(c.dtype));
}

class CanonicalSums : public ::testing::TestWithParam<SumCase> {};

TEST_P(CanonicalSums, AreThoseOfTheDefinition) {
  on_ranks(GetParam().ranks, [&](Communicator& world) { sums_are_those_of_the_definition(world, GetParam()); });
}

std::vector<SumCase> cases() {
  std::vector<SumCase> all;
  for (const std::size_t ranks : {1u, 2u, 3u, 4u})
    for (const std::size_t stage : {0u, 1u, 2u, 3u})
      for (const std::size_t block : {1u, ranks == 3 ? 2u : 3u}) {  // whole rounds of 12 micro-batches
        if (block > 1 && stage > 1) continue;
        all.push_back({ranks, stage, block, ranks % 2 == 0, DType::float32});
        all.push_back({ranks, stage, block, ranks % 2 != 0, stage % 2 == 0 ? DType::bfloat16 : DType::float16});
      }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Arrangements, CanonicalSums, ::testing::ValuesIn(cases()), name_of_case);

// The plain sync of one rank keeps the same contract.
TEST(LocalSums, AreThoseOfTheDefinition) {
  for (const std::size_t block : {1u, 2u, 3u, 12u})
    for (const DType dtype : {DType::float32, DType::bfloat16}) {
      CpuDevice device;
      TwoUnits model;
      SumPlacement place;
      LocalSync sync{place, block};
      NoVisits none;
      for (std::size_t u = 0; u < 2; ++u) {
        const std::size_t flat = padded(model.units[u]->size(), 1024);
        const auto values = std::make_shared<Storage>(device, "values", Category::parameters, flat, dtype);
        model.units[u]->place(u, {values, 0, {1, flat}}, none.seams);
      }
      for (std::size_t micro = 0; micro < micro_batches; ++micro) {
        for (const std::size_t u : {1u, 0u})
          sync.reduce(*model.units[u],
                      gradient_of(device, *model.units[u], model.units[u]->values().size(), micro, dtype));
        sync.end_micro_batch();
      }
      const Shards shards = sync.finish();
      for (std::size_t u = 0; u < 2; ++u)
        expect_same_bits(shards[u].span<const float>(), sum_by_definition(device, *model.units[u], dtype, block),
                         *model.units[u], 0);
    }
}

TEST(CanonicalSync, RefusesBlocksWhereNoRankHoldsAWholeSum) {
  const auto world = alone();
  for (const std::size_t stage : {2u, 3u}) {
    ZeroConfig config;
    config.stage = stage;
    SumPlacement place;
    EXPECT_THROW((CanonicalSync{config, 2, place, *world}), Error);
  }
}

TEST(CanonicalSync, RefusesAStepThatEndsWithinABlock) {
  const auto world = alone();
  SumPlacement place;
  CanonicalSync sync{{}, 2, place, *world};
  sync.end_micro_batch();
  EXPECT_THROW(sync.finish(), Error);
}

TEST(Slicing, SlicesBeginOnBlocksAndCoverTheUnit) {
  for (const std::size_t size : {1u, 1023u, 1024u, 4097u, 1'000'000u})
    for (const std::size_t ranks : {1u, 2u, 3u, 7u, 64u}) {
      const Slicing slicing{size, ranks};
      EXPECT_GE(slicing.padded(), size);
      EXPECT_LT(slicing.padded(), size + ranks * 1024);
      EXPECT_EQ(slicing.slice() * ranks, slicing.padded());
      EXPECT_EQ(slicing.first(ranks - 1) % 1024, 0u);
    }
}

}  // namespace
}  // namespace tranche::testing
