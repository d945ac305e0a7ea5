// Who holds parameters: the same values reach every visit at every stage, and bytes are there only while they may be.
#include "tests/partition/stores.h"

#include "tests/support/ranks.h"

namespace tranche::testing {
namespace {

class Stores : public ::testing::TestWithParam<StoreCase> {};

TEST_P(Stores, EveryVisitSeesTheNewestValues) {
  on_ranks(GetParam().ranks, [&](Communicator& world) { every_visit_sees_the_newest_values(world, GetParam()); });
}

TEST_P(Stores, OwnersTogetherHoldEachElementOnce) {
  on_ranks(GetParam().ranks, [&](Communicator& world) { owners_together_hold_each_element_once(world, GetParam()); });
}

TEST_P(Stores, BetweenStepsOnlyWhatTheStagePromisesIsAlive) {
  on_ranks(GetParam().ranks,
           [&](Communicator& world) { between_steps_only_what_the_stage_promises_is_alive(world, GetParam()); });
}

std::vector<StoreCase> cases() {
  std::vector<StoreCase> all;
  for (const std::size_t ranks : {1u, 2u, 3u, 4u})
    for (const std::size_t stage : {0u, 1u, 2u, 3u})
      all.push_back({ranks, stage, ranks % 2 ? DType::float32 : DType::bfloat16});
  all.push_back({2, 3, DType::float16, false});
  all.push_back({3, 3, DType::bfloat16, true, 0});
  all.push_back({3, 3, DType::float32, true, 5100});  // some units fit
  return all;
}
INSTANTIATE_TEST_SUITE_P(Arrangements, Stores, ::testing::ValuesIn(cases()), [](const auto& param) {
  const StoreCase& c = param.param;
  return str("ranks", c.ranks, "_stage", c.stage, "_", name_of(c.working), c.overlap ? "" : "_no_overlap", "_bucket",
             c.bucket);
});

constexpr StoreCase ahead{2, 3, DType::float32};

std::size_t gathers(const Communicator& world) { return world.traffic().at("all_gather").count; }

TEST(GathersAhead, TheNextUnitIsOnItsWayDuringAVisit) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{ahead, world};
    rank.micro_batch();
    rank.store->begin_micro_batch();
    rank.store->gather(rank.units[0]);
    EXPECT_TRUE(rank.units[1].values().storage().allocated());
    EXPECT_FALSE(rank.units[2].values().storage().allocated());  // one unit ahead, no more
    rank.store->release(rank.units[0]);
    EXPECT_FALSE(rank.units[0].values().storage().allocated());
  });
}

TEST(GathersAhead, AUnitLargerThanTheBucketWaitsForItsVisit) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{{2, 3, DType::float32, true, 5100}, world};
    rank.micro_batch();
    rank.store->begin_micro_batch();
    rank.store->gather(rank.units[0]);
    EXPECT_TRUE(rank.units[1].values().storage().allocated());
    rank.store->release(rank.units[0]);
    rank.store->gather(rank.units[1]);
    EXPECT_FALSE(rank.units[2].values().storage().allocated());
    rank.store->release(rank.units[1]);
  });
}

TEST(GathersAhead, NothingIsGatheredTwiceForIt) {
  on_ranks(3, [](Communicator& world) {
    StoreRank rank{{3, 3, DType::float32}, world};
    rank.micro_batch();
    EXPECT_EQ(gathers(world), 8u);
    rank.micro_batch();  // the last two visits of the forward are the first of the backward
    EXPECT_EQ(gathers(world), 8u + 6u);
    rank.store->publish();
    rank.micro_batch();
    EXPECT_EQ(gathers(world), 8u + 6u + 6u);
  });
}

TEST(GathersAhead, NeverMoreThanTwoUnitsAreThere) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{ahead, world};
    for (int time = 0; time < 3; ++time) {
      rank.store->begin_micro_batch();
      for (const std::size_t u : {0u, 1u, 2u, 3u, 3u, 2u, 1u, 0u}) {
        rank.store->gather(rank.units[u]);
        EXPECT_LE(std::ranges::count_if(rank.units.all, [](Unit& unit) { return unit.values().storage().allocated(); }),
                  2);
        rank.store->release(rank.units[u]);
      }
    }
  });
}

TEST(GathersAhead, WithoutOverlapOnlyTheVisitedUnitIsThere) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{{2, 3, DType::float32, false}, world};
    for (int time = 0; time < 2; ++time) {
      rank.store->begin_micro_batch();
      for (const std::size_t u : {0u, 1u, 2u, 3u, 3u, 2u, 1u, 0u}) {
        rank.store->gather(rank.units[u]);
        EXPECT_EQ(std::ranges::count_if(rank.units.all, [](Unit& unit) { return unit.values().storage().allocated(); }),
                  1);
        rank.store->release(rank.units[u]);
      }
    }
  });
}

TEST(GathersAhead, ASurpriseCostsAtMostWhatWasOnItsWay) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{ahead, world};
    rank.micro_batch();
    const std::size_t before = gathers(world);
    rank.store->begin_micro_batch();
    rank.visit({3, 2, 1, 0});
    EXPECT_EQ(gathers(world), before + 4);
    rank.micro_batch();
    EXPECT_EQ(gathers(world), before + 4 + 6);
  });
}

// An evaluation directly after the first micro-batch is recorded with it: that heals itself.
TEST(GathersAhead, ARecordThatWentOnIntoAnEvaluationIsCutOff) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{ahead, world};
    rank.micro_batch();
    rank.visit({0, 1, 2, 3});
    rank.store->publish();
    rank.micro_batch();  // expects the evaluation behind it, in vain
    rank.store->publish();
    const std::size_t before = gathers(world);
    rank.micro_batch();
    EXPECT_EQ(gathers(world), before + 6);
    EXPECT_FALSE(rank.units[0].values().storage().allocated());
  });
}

TEST(PartitionedStore, AUnitThatIsPublishedEarlyIsGatheredOnce) {
  on_ranks(2, [](Communicator& world) {
    for (const std::size_t stage : {1u, 2u, 3u}) {
      StoreRank rank{{2, stage, DType::bfloat16}, world};
      const std::size_t before = gathers(world);
      for (int updates = 1; updates <= 2; ++updates) {
        for (const Owned& owned : rank.store->owned()) {
          for (float& value : rank.placement->borrow(0, owned.unit->index()).span<float>()) value = 0.5f * value - 1;
          ops::convert(rank.placement->borrow(0, owned.unit->index()), owned.working);
          if (owned.unit->index() < 3) rank.store->begin_publish(*owned.unit);
        }
        rank.store->publish();
        EXPECT_EQ(gathers(world), before + (stage < 3 ? 4u * static_cast<std::size_t>(updates) : 0u));
        if (stage < 3)
          for (std::size_t u = 0; u < 4; ++u) expect_values(rank, u, DType::bfloat16, updates);
      }
    }
  });
}

TEST(PartitionedStore, ReadingAReleasedUnitIsAnError) {
  on_ranks(2, [](Communicator& world) {
    StoreRank rank{ahead, world};
    EXPECT_THROW(rank.units[1].values().data(), Error);
    rank.visit(1);
    EXPECT_THROW(rank.units[1].values().data(), Error);
  });
}

TEST(PartitionedStore, GatheringTwiceIsAnError) {
  on_ranks(1, [](Communicator& world) {
    StoreRank rank{{1, 3, DType::float32}, world};
    rank.store->gather(rank.units[1]);
    EXPECT_THROW(rank.store->gather(rank.units[1]), Error);
  });
}

}  // namespace
}  // namespace tranche::testing
