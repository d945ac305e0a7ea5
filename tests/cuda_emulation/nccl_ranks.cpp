// The product's communicator on the emulated NCCL: what every communicator promises (tests/runtime/comm), of memory of
// the device; and what a rank is told when NCCL or a peer fails. Runs under mpirun.
#include <gmock/gmock.h>

#include "runtime/comm/cuda/nccl_communicator.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/cuda/cuda_device.h"
#include "tests/ranks/session.h"
#include "tests/runtime/comm/collectives.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Brings what the host has to the device, and back what a collective brought there. What went wrong is told with the
// next thing that the host hears of the others.
class Carried : public Communicator {
 public:
  Carried(std::unique_ptr<Communicator> of_gpus, Device& device)
      : Communicator(of_gpus->rank(), of_gpus->size()), of_gpus_(std::move(of_gpus)), device_(device) {}
  void abort(int exit_code) override { of_gpus_->abort(exit_code); }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    const auto there = take(all.size());
    const std::span<std::byte> rows{there->data(), there->bytes()};
    const auto own = take(mine.size());
    std::span<std::byte> row{own->data(), own->bytes()};
    if (mine.data() == all.data() + rank() * mine.size()) row = rows.subspan(rank() * mine.size(), mine.size());
    device_.write(row.data(), mine);
    const Event arrived = of_gpus_->all_gather(row, rows, std::move(label));
    return Event::deferred([this, arrived, there, own, all] {
      arrived.wait();
      device_.read(there->data(), all);
      of_gpus_->barrier("told");
    });
  }
  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override {
    return carry(mine, [&](std::span<const std::byte> there) {
      return of_gpus_->exchange(there, reading(std::move(consume)), std::move(label));
    });
  }
  Event do_reduce(std::span<const std::byte> mine, DType type, Consume consume, std::string label) override {
    return carry(mine, [&](std::span<const std::byte> there) {
      return of_gpus_->reduce(there, type, reading(std::move(consume)), std::move(label));
    });
  }
  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override {
    const auto there = take(data.size());
    device_.write(there->data(), data);
    of_gpus_->broadcast({there->data(), there->bytes()}, root, std::move(label)).wait();
    device_.read(there->data(), data);
    return {};
  }
  void do_all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    of_gpus_->all_gather_staged(mine, all, std::move(label));
  }

 private:
  Consume reading(Consume consume) {
    return [this, consume = std::move(consume)](std::size_t from, std::span<const std::byte> row) {
      std::vector<std::byte> here(row.size());
      device_.read(row.data(), here);
      consume(from, here);
    };
  }
  Event carry(std::span<const std::byte> mine, const std::function<Event(std::span<const std::byte>)>& send) {
    const auto there = take(mine.size());
    device_.write(there->data(), mine);
    const Event done = send({there->data(), there->bytes()});
    return Event::deferred([this, done, there] {
      done.wait();
      of_gpus_->barrier("told");
    });
  }
  std::shared_ptr<Buffer> take(std::size_t bytes) {
    return std::make_shared<Buffer>(device_.allocate(bytes, Category::communication, "carried"));
  }

  std::unique_ptr<Communicator> of_gpus_;
  Device& device_;
};

class OnGpus : public ::testing::Test {
 protected:
  std::unique_ptr<Communicator> connect() { return cuda::nccl_communicator(session().communicator(host_), device_); }
  Buffer take(std::size_t bytes) {
    Buffer buffer = device_.allocate(bytes, Category::activations, "numbers");
    device_.fill_zero(buffer.data(), bytes);
    return buffer;
  }

  CpuDevice host_{1, Device::unlimited, Sharing::with_host};
  cuda::CudaDevice device_{0, "emulated", Device::unlimited};
};

using Promise = void (*)(Communicator&);
class Nccl : public OnGpus, public ::testing::WithParamInterface<std::pair<const char*, Promise>> {};

TEST_P(Nccl, Keeps) {
  Carried world{connect(), device_};
  GetParam().second(world);
}
INSTANTIATE_TEST_SUITE_P(Promises, Nccl,
                         ::testing::Values(std::pair{"gathers_every_rank_s_row", &gathers_every_rank_s_row},
                                           std::pair{"gathers_in_place", &gathers_in_place},
                                           std::pair{"exchanges_rows_in_rank_order", &exchanges_rows_in_rank_order},
                                           std::pair{"reduces_to_the_sum_of_rows", &reduces_to_the_sum_of_rows},
                                           std::pair{"broadcasts_from_every_root", &broadcasts_from_every_root},
                                           std::pair{"gathers_different_counts", &gathers_different_counts},
                                           std::pair{"gathers_texts", &gathers_texts},
                                           std::pair{"agrees_only_if_all_do", &agrees_only_if_all_do},
                                           std::pair{"records_what_was_issued", &records_what_was_issued},
                                           std::pair{"reports_different_sizes", &reports_different_sizes}),
                         [](const auto& param) { return std::string{param.param.first}; });

// The host gave everything, and waits for nothing of it; what comes next on the device comes after.
TEST_F(OnGpus, ManyAreUnderWayAtOnceAndTheDeviceGoesOnBehindThem) {
  const auto world = connect();
  constexpr std::size_t calls = 20, bytes = 1000;
  std::vector<Buffer> rows;
  std::vector<Event> events;
  for (std::size_t call = 0; call < calls; ++call) {
    rows.push_back(take(bytes * world->size()));
    const std::span<std::byte> all{rows.back().data(), rows.back().bytes()},
        mine = all.subspan(world->rank() * bytes, bytes);
    const std::vector<std::byte> values(bytes, pattern(world->rank(), call, 0));
    device_.write(mine.data(), values);
    events.push_back(world->all_gather(mine, all, str("number ", call)));
  }
  std::vector<std::byte> back(bytes * world->size());
  for (std::size_t call = 0; call < calls; ++call) {
    events[call].wait();
    device_.read(rows[call].data(), back);
    for (std::size_t rank = 0; rank < world->size(); ++rank)
      ASSERT_EQ(back[rank * bytes + bytes / 2], pattern(rank, call, 0));
  }
}

TEST_F(OnGpus, RanksInDifferentCollectivesAreAllTold) {
  const auto world = connect();
  const Buffer row = take(8), rows = take(8 * world->size());
  const std::span<std::byte> all{rows.data(), rows.bytes()};
  world->all_gather({row.data(), 8}, all, "agreed").wait();
  try {
    if (world->rank() == 0)
      world->all_gather({row.data(), 8}, all, "blocks.7").wait();
    else
      world
          ->exchange(
              all, [](auto, auto) {}, "blocks.6")
          .wait();
    world->barrier("later");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::ranks);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 0: number 1, all_gather of blocks.7, 8 bytes"),
                                    HasSubstr("rank 1: number 1, exchange of blocks.6")));
  }
  EXPECT_THROW(world->all_gather({row.data(), 8}, all, "after"), Error);
}

// A rank that ends before the others' collective: they are told, and no device waits for ever.
TEST_F(OnGpus, APeerThatLeftIsMissed) {
  auto world = connect();
  const Buffer row = take(8), rows = take(8 * world->size());
  if (world->rank() == 1) {
    world.reset();
    return;
  }
  try {
    world->all_gather({row.data(), 8}, {rows.data(), rows.bytes()}, "in vain").wait();
    std::vector<std::byte> back(rows.bytes());
    device_.read(rows.data(), back);  // would stand still
    world->barrier("in vain");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 1: number 1, all_gather of the end of NCCL"),
                                    HasSubstr("all_gather of in vain")));
  }
}

}  // namespace
}  // namespace tranche::testing
