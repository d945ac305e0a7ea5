#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "runtime/comm/communicator.h"

namespace tranche {
namespace {

class Alone : public Communicator {
 public:
  Alone() : Communicator(0, 1) {}

  void abort(int exit_code) override {
    std::fflush(nullptr);
    std::_Exit(exit_code);
  }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string) override {
    if (mine.data() != all.data()) std::ranges::copy(mine, all.begin());
    return {};
  }
  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string) override {
    consume(0, mine);
    return {};
  }
  Event do_broadcast(std::span<std::byte>, std::size_t, std::string) override { return {}; }
};

}  // namespace

std::unique_ptr<Communicator> alone() { return std::make_unique<Alone>(); }

}  // namespace tranche
