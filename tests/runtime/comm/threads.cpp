#include <gmock/gmock.h>

#include <atomic>

#include "runtime/comm/staged.h"
#include "runtime/device/cpu/cpu_device.h"
#include "tests/runtime/comm/collectives.h"
#include "tests/support/ranks.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

struct Promise {
  const char* name;
  void (*body)(Communicator&);
};

class Threads : public ::testing::TestWithParam<std::tuple<std::size_t, Promise>> {};

constexpr std::size_t no_team = 0;

TEST_P(Threads, Keep) {
  const auto [ranks, promise] = GetParam();
  if (ranks == no_team)
    promise.body(*alone());
  else
    on_ranks(ranks, promise.body);
}

// What a device's memory needs that is not the host's: here the one stands for the other.
TEST_P(Threads, KeepThroughStagingMemory) {
  const auto [ranks, promise] = GetParam();
  CpuDevice device;
  const auto staged = [&](std::unique_ptr<Communicator> on_host) {
    return staged_communicator(std::move(on_host), device);
  };
  if (ranks == no_team)
    promise.body(*staged(alone()));
  else
    on_ranks(ranks, promise.body, staged);
}

INSTANTIATE_TEST_SUITE_P(
    Promises, Threads,
    ::testing::Combine(::testing::Values(no_team, 1u, 2u, 3u, 4u),
                       ::testing::Values(Promise{"gathers_every_rank_s_row", gathers_every_rank_s_row},
                                         Promise{"gathers_in_place", gathers_in_place},
                                         Promise{"exchanges_rows_in_rank_order", exchanges_rows_in_rank_order},
                                         Promise{"reduces_to_the_sum_of_rows", reduces_to_the_sum_of_rows},
                                         Promise{"broadcasts_from_every_root", broadcasts_from_every_root},
                                         Promise{"runs_behind_the_caller", runs_collectives_behind_the_caller},
                                         Promise{"gathers_different_counts", gathers_different_counts},
                                         Promise{"gathers_texts", gathers_texts},
                                         Promise{"agrees_only_if_all_do", agrees_only_if_all_do},
                                         Promise{"records_what_was_issued", records_what_was_issued},
                                         Promise{"keeps_the_newest_records", keeps_the_newest_records},
                                         Promise{"reports_different_collectives",
                                                 reports_ranks_in_different_collectives},
                                         Promise{"reports_different_sizes", reports_different_sizes})),
    [](const auto& param) { return str(std::get<1>(param.param).name, "_on_", std::get<0>(param.param)); });

// What every rank but `failing` was told.
std::vector<std::string> errors_of_others(std::size_t ranks, std::size_t failing, auto fail_here) {
  std::vector<std::string> errors(ranks);
  on_ranks(ranks, [&](Communicator& world) {
    world.barrier("begin");
    if (world.rank() == failing) return fail_here(world);
    try {
      world.barrier("in vain");
    } catch (const Error& error) {
      errors[world.rank()] = error.what();
    }
  });
  errors.erase(errors.begin() + static_cast<long>(failing));
  return errors;
}

TEST(ThreadTeam, TellsTheOthersWhoAborted) {
  for (const std::string& error : errors_of_others(4, 2, [](Communicator& world) { world.abort(6); })) {
    EXPECT_THAT(error, HasSubstr("rank 2 stopped the job with exit code 6"));
    EXPECT_THAT(error, HasSubstr("while in all_gather of in vain"));
  }
}

TEST(ThreadTeam, TellsTheOthersWhoLeft) {
  for (const std::string& error : errors_of_others(3, 1, [](Communicator&) {}))
    EXPECT_THAT(error, HasSubstr("rank 1 left after 1 collectives"));
}

TEST(ThreadTeam, TellsTheOthersWhoseConsumeFailed) {
  std::atomic<int> told = 0;
  on_ranks(3, [&](Communicator& world) {
    std::vector<std::byte> rows(30);
    const auto consume = [&](std::size_t from, auto) { check(world.rank() != 1 || from != 2, "a bad row"); };
    try {
      world.exchange(rows, consume, "blocks.3").wait();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 1 failed in exchange of blocks.3: a bad row"));
      ++told;
    }
  });
  EXPECT_EQ(told, 3);
}

TEST(ThreadTeam, LetsARankFinishBeforeTheOthers) {
  for (int time = 0; time < 200; ++time) on_ranks(4, [](Communicator& world) { world.barrier("end"); });
}

TEST(ThreadTeam, ThrowsWhatTheFirstRankToFailThrew) {
  try {
    on_ranks(3, [](Communicator& world) {
      ensure(Exit::numerics, world.rank() != 1, "rank 1 has its reasons");
      world.barrier("in vain");
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::numerics);
  }
}

TEST(Communicator, RefusesRowsThatDoNotFit) {
  std::vector<std::byte> rows(7);
  on_ranks(2, [&](Communicator& world) {
    EXPECT_THROW(world.exchange(
                     rows, [](auto, auto) {}, "odd"),
                 Error);
    EXPECT_THROW(world.all_gather(rows, rows, "short"), Error);
    EXPECT_THROW(world.broadcast(rows, 2, "nobody"), Error);
  });
}

}  // namespace
}  // namespace tranche::testing
