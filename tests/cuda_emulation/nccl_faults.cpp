// What the emulated NCCL carries between processes in every order of streams, and each planted mistake that it refuses
// or reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <vector>

#include "runtime/base/error.h"
#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/planted.h"
#include "tests/support/temporary_folder.h"

namespace tranche::cuda_emulation {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::size_t count = 100, ranks = 3;
constexpr int faulty = 1;

// One rank: its GPU, a stream and a connected communicator.
struct Rank {
  int number;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  float *mine = nullptr, *all = nullptr;

  Rank(int rank, const ncclUniqueId& id, int blocking) : number(rank) {
    cudaSetDevice(0);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaMalloc(reinterpret_cast<void**>(&mine), ranks * count * sizeof(float));
    cudaMalloc(reinterpret_cast<void**>(&all), ranks * count * sizeof(float));
    std::vector<float> values(ranks * count);
    std::iota(values.begin(), values.end(), static_cast<float>(1000 * rank));
    cudaMemcpyAsync(mine, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice, stream);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = blocking;
    ncclCommInitRankConfig(&comm, ranks, id, rank, &config);
    wait();
  }
  void wait() const {
    for (ncclResult_t state = ncclInProgress; state == ncclInProgress;) ncclCommGetAsyncError(comm, &state);
  }
  ncclResult_t gather(std::size_t n = count) const { return ncclAllGather(mine, all, n, ncclFloat32, comm, stream); }
  // Row r of mine to rank r; receives from each.
  ncclResult_t swap(const std::function<std::size_t(int peer)>& received) const {
    ncclGroupStart();
    for (int peer = 0; peer < static_cast<int>(ranks); ++peer) {
      if (peer == number) continue;
      const auto row = static_cast<std::size_t>(peer) * count;
      ncclSend(mine + row, count, ncclFloat32, peer, comm, stream);
      if (received(peer) != 0) ncclRecv(all + row, received(peer), ncclFloat32, peer, comm, stream);
    }
    return ncclGroupEnd();
  }
  float read(std::size_t at) const {
    float value = 0;
    cudaMemcpyAsync(&value, all + at, sizeof value, cudaMemcpyDeviceToHost, stream);
    return value;
  }
  void give_back() const {
    cudaFree(mine);
    cudaFree(all);
    cudaStreamDestroy(stream);
  }
};

// What each rank wrote to standard error and ended with: 0, or 1 where the emulator found a fault. Each is a process,
// since one has one device; and a fault stops the emulator for good.
struct Ended {
  int exit;
  std::string told;
};
// patience: seconds that one waits for another.
std::vector<Ended> on_ranks(const std::function<void(Rank&)>& body, int blocking = 0, const char* patience = "2") {
  ::setenv("TRANCHE_EMULATED_PATIENCE", patience, 1);
  const testing::TemporaryFolder folder;
  ncclUniqueId id;
  ncclGetUniqueId(&id);
  std::vector<pid_t> children;
  const auto log = [&](std::size_t rank) { return (folder.path() / std::to_string(rank)).string(); };
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    if (std::freopen(log(rank).c_str(), "w", stderr) == nullptr) ::_exit(2);
    int exit = 0;
    try {
      Rank here{static_cast<int>(rank), id, blocking};
      body(here);
    } catch (const Fault& fault) {
      std::fprintf(stderr, "%s\n", fault.what());
      exit = 1;
    }
    std::fflush(stderr);
    ::_exit(exit);
  }
  std::vector<Ended> ended;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    int status = 0;
    ::waitpid(children[rank], &status, 0);
    std::ostringstream text;
    text << std::ifstream{log(rank)}.rdbuf();
    ended.push_back({WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text.str()});
  }
  return ended;
}

void require(bool holds, const char* what) {
  if (!holds) throw Fault{what};
}

TEST(Nccl, CarriesRowsToTheRanksThatTheyAreFor) {
  for (const int blocking : {0, 1})
    for (const Ended& each : on_ranks(
             [](Rank& here) {
               for (int time = 0; time < 10; ++time) {
                 here.gather();
                 here.wait();
                 for (std::size_t peer = 0; peer < ranks; ++peer)
                   require(here.read(peer * count + 7) == static_cast<float>(1000 * peer + 7), "gathered");
                 here.swap([](int) { return count; });
                 here.wait();
                 for (std::size_t peer = 0; peer < ranks; ++peer)
                   require(static_cast<int>(peer) == here.number ||
                               here.read(peer * count + 7) ==
                                   static_cast<float>(1000 * peer + static_cast<std::size_t>(here.number) * count + 7),
                           "received");
               }
               require(ncclCommDestroy(here.comm) == ncclSuccess, "destroyed");
               here.give_back();
             },
             blocking, "30"))
      EXPECT_EQ(each.exit, 0) << each.told;
}

TEST(Nccl, CountsThatDifferBetweenRanksAreReported) {
  for (const Ended& each : on_ranks([](Rank& here) {
         here.gather(here.number == faulty ? count - 1 : count);
         here.wait();
         here.read(0);
       })) {
    EXPECT_EQ(each.exit, 1);
    EXPECT_THAT(each.told, HasSubstr("99"));
    EXPECT_THAT(each.told, HasSubstr("in ncclAllGather"));
  }
}

TEST(Nccl, SumsOfDifferentTypesAreReported) {
  for (const Ended& each : on_ranks([](Rank& here) {
         ncclReduceScatter(here.mine, here.all, count / ranks, here.number == faulty ? ncclFloat16 : ncclFloat32,
                           ncclSum, here.comm, here.stream);
         here.wait();
         here.read(0);
       })) {
    EXPECT_EQ(each.exit, 1);
    EXPECT_THAT(each.told, HasSubstr("of type 6"));
    EXPECT_THAT(each.told, HasSubstr("in ncclReduceScatter"));
  }
}

TEST(Nccl, AMessageThatNobodyTakesIsReported) {
  const std::vector<Ended> ended = on_ranks([](Rank& here) {
    here.swap([&](int peer) { return here.number == faulty && peer == 2 ? 0 : count; });
    here.wait();
    here.read(0);
  });
  EXPECT_THAT(ended[2].told, HasSubstr("between ranks 2 and 1: rank 2 sends 100 of type 7, rank 1 expects nothing"));
  EXPECT_THAT(ended[faulty].told, HasSubstr("rank 1 expects nothing, rank 2 sends 100 of type 7"));
}

TEST(Nccl, RanksInDifferentCollectivesAreReported) {
  for (const Ended& each : on_ranks([](Rank& here) {
         here.number == faulty ? here.swap([](int) { return count; }) : here.gather();
         here.wait();
         here.read(0);
       }))
    EXPECT_THAT(each.told, HasSubstr("ncclSend and ncclRecv"));
}

TEST(Nccl, ARankThatDoesNotComeIsMissedByItsNumber) {
  const std::vector<Ended> ended = on_ranks([](Rank& here) {
    if (here.number == faulty) return;
    here.gather();
    here.wait();
    here.read(0);
  });
  EXPECT_EQ(ended[faulty].exit, 0);
  for (const std::size_t rank : {0u, 2u}) EXPECT_THAT(ended[rank].told, HasSubstr("waited in vain for rank 1"));
}

// By whom it is found first; the others may then miss that rank.
TEST(Nccl, WhatIsWrittenBesideACollectiveIsReported) {
  std::vector<std::string> told;
  for (const Ended& each : on_ranks([](Rank& here) {
         cudaStream_t other = nullptr;
         cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
         cudaStreamSynchronize(here.stream);
         here.gather();
         here.wait();
         cudaMemsetAsync(here.mine, 0, count * sizeof(float), other);
         cudaStreamSynchronize(other);
         here.read(0);
       })) {
    EXPECT_EQ(each.exit, 1);
    told.push_back(each.told);
  }
  EXPECT_THAT(told, Contains(HasSubstr("no order between two streams")));
}

TEST(Nccl, WhatNobodyAskedAboutIsNotThereYet) {
  for (const Ended& each : on_ranks([](Rank& here) {
         here.gather();  // and no wait
         here.read(0);
       }))
    EXPECT_THAT(each.told, HasSubstr("uninitialised read"));
}

TEST(Nccl, CallsThatCannotBeAreRefused) {
  for (const Ended& each : on_ranks([](Rank& here) {
         float* const data = here.mine;
         require(ncclSend(data, 1, ncclFloat32, 0, here.comm, here.stream) == ncclInvalidUsage, "outside of a group");
         require(ncclGroupEnd() == ncclInvalidUsage, "no group");
         ncclGroupStart();
         require(ncclRecv(data, 1, ncclFloat32, 7, here.comm, here.stream) == ncclInvalidArgument, "no such peer");
         require(ncclSend(data, 1, static_cast<ncclDataType_t>(3), 0, here.comm, here.stream) == ncclInvalidArgument,
                 "no such type");
         ncclGroupEnd();
         ncclCommAbort(here.comm);
         require(here.gather() == ncclInvalidArgument, "given up");
         require(ncclCommAbort(here.comm) == ncclInvalidArgument, "given up twice");
       }))
    EXPECT_EQ(each.exit, 0) << each.told;
}

TEST(Nccl, WhoGivesUpNeedNotWait) {
  for (const Ended& each : on_ranks([](Rank& here) {
         if (here.number == faulty) return;
         here.gather();
         here.wait();
         require(ncclCommDestroy(here.comm) == ncclInvalidUsage, "under way");
         ncclCommAbort(here.comm);
         here.read(0);
       }))
    EXPECT_EQ(each.exit, 0) << each.told;
}

TEST(Nccl, ACommunicatorThatIsLeftIsReported) {
  for (const Ended& each : on_ranks([](Rank& here) {
         here.give_back();
         std::exit(0);
       })) {
    EXPECT_EQ(each.exit, 70);
    EXPECT_THAT(each.told, HasSubstr("leaked 1 communicators"));
  }
}

}  // namespace
}  // namespace tranche::cuda_emulation
