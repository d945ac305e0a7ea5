// Ranks as threads, for tests.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/comm/thread_team.h"

namespace tranche::testing {

// body(Communicator&) on `size` ranks at once, each on a thread of its own. Throws what the first rank to fail threw;
// the others are stopped. wrap: makes of a rank's communicator the one that it is given.
template <class Body, class Wrap = std::identity> void on_ranks(std::size_t size, Body body, Wrap wrap = {}) {
  ThreadTeam team{size};
  std::mutex mutex;
  std::exception_ptr first;
  {
    std::vector<std::jthread> ranks;
    for (std::size_t rank = 0; rank < size; ++rank)
      ranks.emplace_back([&, rank] {
        const std::unique_ptr<Communicator> world = wrap(team.communicator(rank));
        try {
          body(*world);
        } catch (...) {
          {
            const std::lock_guard lock{mutex};
            if (!first) first = std::current_exception();
          }
          world->abort(1);
        }
      });
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace tranche::testing
