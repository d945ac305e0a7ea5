#include "tests/runtime/comm/collectives.h"

#include <chrono>
#include <ctime>
#include <thread>

#include "runtime/device/cpu/cpu_device.h"
#include "tests/ranks/session.h"

namespace tranche::testing {
namespace {

class Mpi : public ::testing::Test {
 protected:
  CpuDevice device_;
  std::unique_ptr<Communicator> communicator_ = session().communicator(device_);
  Communicator& world_ = *communicator_;
};

TEST_F(Mpi, GathersEveryRanksRow) { gathers_every_rank_s_row(world_); }
TEST_F(Mpi, GathersInPlace) { gathers_in_place(world_); }
TEST_F(Mpi, ExchangesRowsInRankOrder) { exchanges_rows_in_rank_order(world_); }
TEST_F(Mpi, BroadcastsFromEveryRoot) { broadcasts_from_every_root(world_); }
TEST_F(Mpi, RunsBehindTheCaller) { runs_collectives_behind_the_caller(world_); }
TEST_F(Mpi, GathersDifferentCounts) { gathers_different_counts(world_); }
TEST_F(Mpi, GathersTexts) { gathers_texts(world_); }
TEST_F(Mpi, AgreesOnlyIfAllDo) { agrees_only_if_all_do(world_); }
TEST_F(Mpi, RecordsWhatWasIssued) { records_what_was_issued(world_); }
TEST_F(Mpi, ReportsDifferentCollectives) { reports_ranks_in_different_collectives(world_); }
TEST_F(Mpi, ReportsDifferentSizes) { reports_different_sizes(world_); }

TEST_F(Mpi, RowsLargerThanAMessageTravelInPieces) {
  const auto small_messages = session().communicator(device_, 1000);
  gathers_every_rank_s_row(*small_messages);
  gathers_in_place(*small_messages);
  exchanges_rows_in_rank_order(*small_messages);
  broadcasts_from_every_root(*small_messages);
}

TEST_F(Mpi, TwoCommunicatorsDoNotMeet) {
  const auto other = session().communicator(device_);
  std::vector<std::byte> row(1000), rows(1000 * world_.size());
  const Event first = world_.all_gather(row, rows, "one");
  gathers_every_rank_s_row(*other);
  first.wait();
}

TEST_F(Mpi, ReceiveBuffersAreOnTheLedgerWhileTheyAreNeeded) {
  std::vector<std::byte> rows(4096 * world_.size());
  world_
      .exchange(
          rows, [](auto, auto) {}, "gradient")
      .wait();
  EXPECT_EQ(device_.ledger().peak(Category::communication), 4096 * (world_.size() - 1));
  EXPECT_EQ(device_.ledger().live(Category::communication), 0u);
}

TEST_F(Mpi, TooSmallADeviceIsTheCallersError) {
  if (world_.size() == 1) return;
  CpuDevice small{1, 1000};
  const auto world = session().communicator(small);
  std::vector<std::byte> rows(4096 * world->size());
  EXPECT_THROW(world->exchange(
                   rows, [](auto, auto) {}, "gradient"),
               Error);
}

// A rank that waits leaves the cores to those that compute.
TEST_F(Mpi, WaitingCostsLittleProcessorTime) {
  if (world_.size() == 1) return;
  world_.barrier("begin");
  const std::clock_t before = std::clock();
  if (world_.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds{500});
  world_.barrier("end");
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.15);
}

TEST_F(Mpi, KnowsItsHost) {
  EXPECT_EQ(session().ranks_on_host(), session().size());
  EXPECT_EQ(session().rank_on_host(), session().rank());
  EXPECT_GE(session().threads_per_rank(), 1u);
}

}  // namespace
}  // namespace tranche::testing
