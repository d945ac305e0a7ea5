#include "runtime/comm/counting.h"

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/device/device.h"

namespace tranche {
namespace {

class Counting : public Communicator {
 public:
  Counting(std::size_t rank, std::size_t size, Reach reach, Device& device)
      : Communicator(rank, size), reach_(reach), remote_(size - std::min(size, reach.ranks_on_host)), device_(device) {}

  void abort(int exit_code) override { fail(Exit{exit_code}, "a rank that only counts was stopped"); }

 protected:
  Event do_all_gather(std::span<const std::byte>, std::span<std::byte>, std::string) override { return {}; }
  Event do_broadcast(std::span<std::byte>, std::size_t, std::string) override { return {}; }

  Event do_exchange(std::span<const std::byte> mine, Consume, std::string label) override {
    return remote_ == 0 ? Event{} : receive(mine.size() / size() * remote_, label);
  }

  bool adds_on_the_way() const override { return reach_.adds_on_the_way; }
  Event do_reduce(std::span<const std::byte> mine, DType type, Consume consume, std::string label) override {
    if (adds_on_the_way()) return receive(mine.size() / size(), label);
    return Communicator::do_reduce(mine, type, std::move(consume), std::move(label));
  }

  void do_gather_on_host(std::span<const std::byte> mine, std::span<std::byte> all, std::string) override {
    for (std::size_t peer = 0; peer < size(); ++peer) {
      std::byte* row = all.data() + peer * mine.size();
      if (row != mine.data()) std::ranges::copy(mine, row);
    }
  }

 private:
  Event receive(std::size_t bytes, const std::string& label) {
    auto received = std::make_shared<Buffer>(device_.allocate(bytes, Category::communication, label + " received"));
    return Event::deferred([received] { received->reset(); });
  }

  Reach reach_;
  std::size_t remote_;  // ranks that share no memory with this one
  Device& device_;
};

}  // namespace

std::unique_ptr<Communicator> counting_communicator(std::size_t rank, std::size_t size, Reach reach, Device& device) {
  check(rank < size && reach.ranks_on_host >= 1, "there is no rank ", rank, " among ", size);
  return std::make_unique<Counting>(rank, size, reach, device);
}

}  // namespace tranche
