#include "runtime/comm/staged.h"

#include <algorithm>

#include "runtime/base/trace.h"
#include "runtime/device/copy_stream.h"
#include "runtime/device/device.h"
#include "runtime/device/side_stream.h"
#include "runtime/device/work_queue.h"

namespace tranche {
namespace {

class Staged : public Communicator {
 public:
  Staged(std::unique_ptr<Communicator> on_host, Device& device)
      : Communicator(on_host->rank(), on_host->size()),
        on_host_(std::move(on_host)),
        device_(device),
        beside_(device.side_stream()),
        copies_(device.copy_stream()),
        queue_(std::make_unique<WorkQueue>("staged collectives")) {}

  void abort(int exit_code) override { on_host_->abort(exit_code); }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    return in_order([this, mine, all, label = std::move(label)] {
      const std::size_t row = mine.size();
      const Buffer staged = staging(size() == 1 ? 0 : all.size(), label);
      if (size() > 1) {
        const std::span own = row_of(staged, rank(), row);
        device_.read(mine.data(), own);
        on_host_->all_gather(own, {staged.data(), staged.bytes()}, label).wait();
      }
      const trace::Span span{trace::Kind::copy, "copy rows to the device", label, all.size()};
      for (std::size_t peer = 0; peer < size(); ++peer) {
        const std::span<std::byte> place = all.subspan(peer * row, row);
        if (peer != rank())
          device_.write(place.data(), row_of(staged, peer, row));
        else if (place.data() != mine.data())
          copies_->copy(mine, place).wait();
      }
    });
  }

  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override {
    const std::size_t row = mine.size() / size();
    const auto received =
        std::make_shared<Buffer>(device_.allocate(row * (size() - 1), Category::communication, label + " received"));
    return in_order([this, mine, row, received, consume = std::move(consume), label = std::move(label)] {
      const Buffer sent = staging(mine.size(), label), came = staging(mine.size(), label);
      device_.read(mine.data(), {sent.data(), sent.bytes()});
      on_host_
          ->exchange(
              {sent.data(), sent.bytes()},
              [&](std::size_t peer, std::span<const std::byte> theirs) {
                if (peer != rank()) std::ranges::copy(theirs, row_of(came, peer, row).begin());
              },
              label)
          .wait();
      std::byte* place = received->data();
      for (std::size_t peer = 0; peer < size(); ++peer) {
        if (peer == rank()) {
          consume(peer, mine.subspan(peer * row, row));
          continue;
        }
        device_.write(place, row_of(came, peer, row));
        consume(peer, {place, row});
        place += row;
      }
    });
  }

  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override {
    return in_order([this, data, root, label = std::move(label)] {
      const Buffer staged = staging(data.size(), label);
      const std::span<std::byte> bytes{staged.data(), staged.bytes()};
      if (rank() == root) device_.read(data.data(), bytes);
      on_host_->broadcast(bytes, root, label).wait();
      if (rank() != root) device_.write(data.data(), bytes);
    });
  }

  // Behind what was issued before: the other communicator hears of everything in the same order on every rank.
  void do_all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    queue_->run([&] { on_host_->all_gather(mine, all, label).wait(); }).wait();
  }

 private:
  // What the caller had the device do so far is done before `work` touches the device's memory.
  Event in_order(std::function<void()> work) {
    return queue_->run([this, place = beside_->here(), work = std::move(work)] { beside_->run(place, work); });
  }
  Buffer staging(std::size_t bytes, const std::string& label) {
    return device_.staging().allocate(bytes, Category::communication, label + " staged");
  }
  static std::span<std::byte> row_of(const Buffer& rows, std::size_t rank, std::size_t row) {
    return {rows.data() + rank * row, row};
  }

  std::unique_ptr<Communicator> on_host_;
  Device& device_;
  std::unique_ptr<SideStream> beside_;
  std::unique_ptr<CopyStream> copies_;
  std::unique_ptr<WorkQueue> queue_;  // last: what it was given uses the others
};

}  // namespace

std::unique_ptr<Communicator> staged_communicator(std::unique_ptr<Communicator> on_host, Device& device) {
  return std::make_unique<Staged>(std::move(on_host), device);
}

}  // namespace tranche
