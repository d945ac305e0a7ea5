#include "tests/runtime/comm/collectives.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "runtime/device/cpu/cpu_device.h"
#include "tests/ranks/session.h"

namespace tranche::testing {
namespace {

// How the ranks of this machine reach each other.
struct Way {
  const char* name;
  Sharing sharing;
  MpiOptions options;
  bool hidden = false;  // the last rank's memory file is not where its name says
};
const Way messages{"Messages", Sharing::nothing, {}};
const Way refused{"MessagesByOption", Sharing::with_host, {.shared_memory = false}};
const Way shared{"SharedMemory", Sharing::with_host, {}};
const Way two_hosts{"TwoHosts", Sharing::with_host, {.ranks_of_a_host = 2}};  // ranks 0 and 1, ranks 2 and 3
const Way in_pieces{"TwoHostsInPieces", Sharing::with_host, {.largest_message = 1000, .ranks_of_a_host = 2}};

const Way hidden{"MessagesForWantOfAFile", Sharing::with_host, {}, true};

class Mpi : public ::testing::TestWithParam<Way> {
 protected:
  // Ranks that read each other's memory.
  std::size_t together() const {
    if (GetParam().sharing == Sharing::nothing || !GetParam().options.shared_memory || GetParam().hidden) return 1;
    const std::size_t host = GetParam().options.ranks_of_a_host;
    return host == 0 ? world_.size() : std::min(host, world_.size() - world_.rank() / host * host);
  }

  std::unique_ptr<Communicator> join() {
    if (GetParam().hidden && session().rank() + 1 == session().size()) {
      const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      ::dup3(nothing, static_cast<int>(device_.memory_file()->name().descriptor), O_CLOEXEC);
      ::close(nothing);
    }
    return session().communicator(device_, GetParam().options);
  }

  CpuDevice device_{1, Device::unlimited, GetParam().sharing};
  std::unique_ptr<Communicator> communicator_ = join();
  Communicator& world_ = *communicator_;
};

INSTANTIATE_TEST_SUITE_P(Ways, Mpi, ::testing::Values(messages, refused, shared, two_hosts, in_pieces, hidden),
                         [](const auto& way) { return way.param.name; });

TEST_P(Mpi, GathersEveryRanksRow) { gathers_every_rank_s_row(world_); }
TEST_P(Mpi, GathersInPlace) { gathers_in_place(world_); }
TEST_P(Mpi, ExchangesRowsInRankOrder) { exchanges_rows_in_rank_order(world_); }
TEST_P(Mpi, BroadcastsFromEveryRoot) { broadcasts_from_every_root(world_); }
TEST_P(Mpi, RunsBehindTheCaller) { runs_collectives_behind_the_caller(world_); }
TEST_P(Mpi, GathersDifferentCounts) { gathers_different_counts(world_); }
TEST_P(Mpi, GathersTexts) { gathers_texts(world_); }
TEST_P(Mpi, AgreesOnlyIfAllDo) { agrees_only_if_all_do(world_); }
TEST_P(Mpi, RecordsWhatWasIssued) { records_what_was_issued(world_); }
TEST_P(Mpi, ReportsDifferentCollectives) { reports_ranks_in_different_collectives(world_); }
TEST_P(Mpi, ReportsDifferentSizes) { reports_different_sizes(world_); }

// Tensors as training has them, in the device's memory; and some ranks' elsewhere, which peers must not notice.
TEST_P(Mpi, MovesTensorsWhereverTheyLie) {
  for (const std::size_t row : {std::size_t{0}, std::size_t{1}, std::size_t{4099}, (std::size_t{3} << 20) + 5})
    for (const bool mixed : {false, true}) {
      const std::size_t bytes = row * world_.size();
      const Category category = mixed && world_.rank() % 2 == 1 ? Category::activations : Category::gradients;
      const Buffer rows = device_.allocate(bytes, category, "rows");
      const Buffer gathered = device_.allocate(bytes, Category::parameters, "gathered");
      const std::span mine{rows.data(), bytes}, all{gathered.data(), bytes};
      for (std::size_t to = 0; to < world_.size(); ++to)
        for (std::size_t i = 0; i < row; ++i) mine[to * row + i] = pattern(world_.rank(), to, i);
      std::vector<std::size_t> order;
      const auto consume = [&](std::size_t from, std::span<const std::byte> theirs) {
        order.push_back(from);
        ASSERT_EQ(theirs.size(), row);
        for (std::size_t i = 0; i < row; ++i) ASSERT_EQ(theirs[i], pattern(from, world_.rank(), i));
      };
      world_.exchange(mine, consume, "tensor").wait();
      EXPECT_EQ(order.size(), world_.size());
      EXPECT_TRUE(std::ranges::is_sorted(order));

      world_.all_gather(mine.first(row), all, "first rows").wait();
      for (std::size_t from = 0; from < world_.size(); ++from)
        for (std::size_t i = 0; i < row; ++i) ASSERT_EQ(all[from * row + i], pattern(from, 0, i));
    }
}

TEST_P(Mpi, WhatIsReceivedOrCopiedIsOnTheLedgerWhileItIsNeeded) {
  constexpr std::size_t row = 8192;
  const std::size_t bytes = row * world_.size(), received = row * (world_.size() - together());
  const auto peak_of = [&](std::span<const std::byte> rows) {
    device_.ledger().reset_peaks();
    world_
        .exchange(
            rows, [](auto, auto) {}, "gradient")
        .wait();
    EXPECT_EQ(device_.ledger().live(Category::communication), 0u);
    return device_.ledger().peak(Category::communication);
  };
  const Buffer tensor = device_.allocate(bytes, Category::gradients, "gradient");
  EXPECT_EQ(peak_of({tensor.data(), bytes}), received);  // peers on the host read it where it lies
  EXPECT_EQ(peak_of(std::vector<std::byte>(bytes)), received + (together() > 1 ? bytes : 0));
}

TEST_P(Mpi, ManyCollectivesReuseTheSameMemory) {
  const std::size_t row = 10'000, bytes = row * world_.size();
  for (std::size_t round = 0; round < 100; ++round) {
    const Buffer rows = device_.allocate(bytes, Category::gradients, "rows");
    std::fill_n(rows.data(), bytes, pattern(world_.rank(), round, 0));
    world_
        .exchange(
            {rows.data(), bytes},
            [&](std::size_t from, std::span<const std::byte> theirs) {
              EXPECT_EQ(theirs.front(), pattern(from, round, 0));
              EXPECT_EQ(theirs.back(), pattern(from, round, 0));
            },
            "rows")
        .wait();
  }
}

TEST_P(Mpi, APeerOnTheHostIsToldWhoFailedAndWhy) {
  if (together() != world_.size() || world_.size() == 1) return;
  std::vector<std::byte> rows(10 * world_.size());
  const auto consume = [&](std::size_t from, auto) {
    ensure(Exit::numerics, world_.rank() != 1 || from != 1, "a bad row");
  };
  try {
    world_.exchange(rows, consume, "blocks.3").wait();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find(world_.rank() == 1 ? "a bad row" : "rank 1 failed in exchange of blocks.3: a bad row"),
              std::string::npos)
        << text;
    EXPECT_EQ(error.exit(), world_.rank() == 1 ? Exit::numerics : Exit::ranks);
  }
}

TEST_P(Mpi, APeerThatLeavesFailsThoseWhoNeedIt) {
  if (together() != world_.size() || world_.size() == 1) return;
  world_.barrier("begin");
  if (world_.rank() == 1) {
    communicator_.reset();
    return;
  }
  try {
    world_.barrier("in vain");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string{error.what()}.find("rank 1 left after 1 collectives"), std::string::npos) << error.what();
  }
}

TEST_P(Mpi, TwoCommunicatorsDoNotMeet) {
  const auto other = session().communicator(device_, GetParam().options);
  std::vector<std::byte> row(1000), rows(1000 * world_.size());
  const Event first = world_.all_gather(row, rows, "one");
  gathers_every_rank_s_row(*other);
  first.wait();
}

TEST_P(Mpi, TooSmallADeviceIsTheCallersError) {
  if (world_.size() == 1) return;
  CpuDevice small{1, 1000, GetParam().sharing};
  const auto world = session().communicator(small, GetParam().options);
  std::vector<std::byte> rows(4096 * world->size());
  EXPECT_THROW(world->exchange(
                   rows, [](auto, auto) {}, "gradient"),
               Error);
}

// A rank that waits leaves the cores to those that compute.
TEST_P(Mpi, WaitingCostsLittleProcessorTime) {
  if (world_.size() == 1) return;
  world_.barrier("begin");
  const std::clock_t before = std::clock();
  if (world_.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds{500});
  world_.barrier("end");
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.15);
}

TEST(Session, KnowsItsHost) {
  EXPECT_EQ(session().ranks_on_host(), session().size());
  EXPECT_EQ(session().rank_on_host(), session().rank());
  EXPECT_GE(session().threads_per_rank(), 1u);
}

}  // namespace
}  // namespace tranche::testing
