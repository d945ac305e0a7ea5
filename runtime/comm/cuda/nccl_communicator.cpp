#include "runtime/comm/cuda/nccl_communicator.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <optional>
#include <stop_token>
#include <thread>

#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/trace.h"
#include "runtime/comm/cuda/nccl.h"
#include "runtime/comm/desync.h"
#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/work_queue.h"

namespace tranche::cuda {
namespace {

// What every rank says it is in, on its way over the host's communicator.
struct Agreement {
  std::vector<CollectiveCall> by_rank;
  Event arrived;
};

ncclUniqueId common_id(Communicator& on_host) {
  ncclUniqueId id{};
  if (on_host.rank() == 0) id = new_nccl_id();
  on_host.broadcast(std::as_writable_bytes(std::span{&id, 1}), 0, "NCCL's identifier").wait();
  return id;
}

// Of a floating type.
ncclDataType_t nccl_type(DType type) {
  if (type == DType::float32) return ncclFloat32;
  return type == DType::float16 ? ncclFloat16 : ncclBfloat16;
}

struct Failure {
  Exit exit;
  std::string text;
  bool peers_know = false;  // they fail as well
};

constexpr const char* advice =
    "\n  What another rank reports comes first. NCCL_DEBUG=WARN has NCCL say more; device.collectives \"host\" does "
    "without NCCL.";

class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> on_host, CudaDevice& device)
      : Communicator(on_host->rank(), on_host->size()), on_host_(std::move(on_host)), device_(device) {
    const Doing frame{[&] { return str("connecting the GPUs of ", size(), " ranks by ", nccl_version()); }};
    device_.stream();  // makes it the thread's GPU
    nccl_ = std::make_unique<Nccl>(common_id(*on_host_), rank(), size());
    beside_ = device_.side_stream();
    queue_ = std::make_unique<WorkQueue>("collectives");
    watcher_ = std::jthread{[this](const std::stop_token& stop) { watch(stop); }};
  }

  // Peers come to what this rank was in, and then end as it does; but not where it fails at something else. Where NCCL
  // failed they may stand in it for ever, and not even hear why: then the job is stopped from here. Before NCCL ends,
  // which waits for the others, they are met where one that is gone is found.
  ~NcclCommunicator() override {
    queue_.reset();
    try {
      beside_->run({}, [] {});  // all that it was given is done
      if (!failed() && std::uncaught_exceptions() == 0) {
        on_host_->barrier("the end of NCCL");
        nccl_->end();
      }
    } catch (...) {  // the device failed, which was told where it was met
    }
    watcher_.request_stop();
    watcher_.join();
    nccl_.reset();
    if (failure_ && !failure_->peers_know) {
      log::error(told_.empty() ? failure_->text : told_);
      on_host_->abort(static_cast<int>(failure_->exit));
    }
    on_host_.reset();  // it still writes agreements
  }

  void abort(int exit_code) override { on_host_->abort(exit_code); }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    const CollectiveCall call{issued_++, "all_gather", label, mine.size()};
    const auto gather = [this, mine, all] {
      if (mine.empty()) return;
      nccl_->give("ncclAllGather", [&](ncclComm_t comm) {
        return ncclAllGather(mine.data(), all.data(), mine.size(), ncclUint8, comm, device_.stream());
      });
    };
    return issue(call, std::move(label), gather, nullptr);
  }

  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override {
    const CollectiveCall call{issued_++, "exchange", label, mine.size()};
    const std::size_t row = mine.size() / size();
    const auto received =
        std::make_shared<Buffer>(device_.allocate(row * (size() - 1), Category::communication, label + " received"));
    const auto reduce = [this, mine, row, place = received->data(), consume = std::move(consume)] {
      if (row != 0) nccl_->give("ncclSend and ncclRecv", [&](ncclComm_t comm) { return swap(mine, place, row, comm); });
      for (std::size_t peer = 0; peer < size(); ++peer)
        consume(peer, peer == rank() ? mine.subspan(peer * row, row)
                                     : std::span<const std::byte>{place_of(peer, place, row), row});
    };
    return issue(call, std::move(label), reduce, received);
  }

  bool adds_on_the_way() const override { return true; }
  Event do_reduce(std::span<const std::byte> mine, DType type, Consume consume, std::string label) override {
    const CollectiveCall call{issued_++, "reduce", label, mine.size()};
    const std::size_t row = mine.size() / size();
    const auto received = std::make_shared<Buffer>(device_.allocate(row, Category::communication, label + " received"));
    const auto reduce = [this, mine, row, type, place = received->data(), consume = std::move(consume)] {
      if (row != 0)
        nccl_->give("ncclReduceScatter", [&](ncclComm_t comm) {
          return ncclReduceScatter(mine.data(), place, row / bytes_of(type), nccl_type(type), ncclSum, comm,
                                   device_.stream());
        });
      consume(rank(), {place, row});
    };
    return issue(call, std::move(label), reduce, received);
  }

  // Rare, and small: through the host's memory, before it returns.
  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override {
    tell_failure();
    const Buffer staged = device_.staging().allocate(data.size(), Category::communication, label + " staged");
    const std::span<std::byte> bytes{staged.data(), staged.bytes()};
    if (rank() == root) device_.read(data.data(), bytes);
    on_host_->broadcast(bytes, root, std::move(label)).wait();
    if (rank() != root) device_.write(data.data(), bytes);
    return {};
  }

  // The agreements that were issued before it have arrived when it has.
  void do_all_gather_staged(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    tell_failure();
    on_host_->all_gather(mine, all, std::move(label)).wait();
    look_at_agreements();
    tell_failure();
  }

 private:
  // Received rows lie in rank order, without this rank's own.
  std::byte* place_of(std::size_t peer, std::byte* received, std::size_t row) const {
    return received + (peer < rank() ? peer : peer - 1) * row;
  }

  ncclResult_t swap(std::span<const std::byte> mine, std::byte* received, std::size_t row, ncclComm_t comm) const {
    const cudaStream_t stream = device_.stream();
    for (std::size_t step = 1; step < size(); ++step) {  // not everyone begins with rank 0
      const std::size_t peer = (rank() + step) % size();
      const int to = static_cast<int>(peer);
      if (const ncclResult_t sent = ncclSend(mine.data() + peer * row, row, ncclUint8, to, comm, stream);
          sent != ncclSuccess)
        return sent;
      if (const ncclResult_t came = ncclRecv(place_of(peer, received, row), row, ncclUint8, to, comm, stream);
          came != ncclSuccess)
        return came;
    }
    return ncclSuccess;
  }

  // kept: until the event was waited for.
  Event issue(const CollectiveCall& call, std::string label, std::function<void()> work, std::shared_ptr<Buffer> kept) {
    tell_failure();
    agree(call);
    const auto behind = std::make_shared<SideStream::Place>();
    const Event given =
        queue_->run([this, call, behind, label = std::move(label), place = beside_->here(), work = std::move(work)] {
          const trace::Span span{trace::Kind::copy, "give to NCCL", label, call.bytes};
          try {
            const Doing frame{[&] { return str("in ", call.op, " of ", label, " on rank ", rank(), "/", size()); }};
            *behind = beside_->give(place, work);
          } catch (const Error& error) {
            fail_with({error.exit(), error.what()});
            throw;
          } catch (const std::exception& error) {
            fail_with({Exit::internal, error.what()});
            throw;
          }
        });
    return Event::deferred([this, given, behind, kept = std::move(kept)] {
      try {
        given.wait();
      } catch (...) {  // what came first is told below
      }
      tell_failure();
      beside_->come_after(*behind);
      if (kept) kept->reset();
    });
  }

  void agree(const CollectiveCall& call) {
    const auto agreement = std::make_shared<Agreement>();
    agreement->by_rank.resize(size());
    CollectiveCall& mine = agreement->by_rank[rank()];
    mine = call;
    agreement->arrived =
        on_host_->all_gather(std::as_bytes(std::span{&mine, 1}), std::as_writable_bytes(std::span{agreement->by_rank}),
                             "what the GPUs do together");
    const std::lock_guard lock{mutex_};
    agreements_.push_back(agreement);
    newest_ = call;
  }

  // By one thread at a time: who finds none left knows that all others were right.
  void look_at_agreements() {
    const std::lock_guard looking{looking_};
    for (;;) {
      std::shared_ptr<Agreement> first;
      {
        const std::lock_guard lock{mutex_};
        if (agreements_.empty() || !agreements_.front()->arrived.happened()) return;
        first = agreements_.front();
        agreements_.pop_front();
      }
      try {
        first->arrived.wait();
      } catch (const std::exception& error) {
        return fail_with({Exit::ranks, str(error.what(), newest()), true});
      }
      if (const std::string text = disagreement(first->by_rank); !text.empty())
        return fail_with({Exit::ranks, text, true});
    }
  }

  // While the device or a thread waits for a peer, somebody must see that it does so in vain.
  void watch(const std::stop_token& stop) {
    constexpr std::chrono::milliseconds pause{20};
    std::mutex sleeping;
    std::condition_variable_any stopped;
    while (!stop.stop_requested() && !failed()) {
      look_at_agreements();
      if (const std::string trouble = nccl_->trouble(); !trouble.empty())
        fail_with({Exit::ranks, str("NCCL reports of rank ", rank(), "/", size(), ": ", trouble, newest(), advice)});
      std::unique_lock lock{sleeping};
      stopped.wait_for(lock, stop, pause, [] { return false; });
    }
  }

  std::string newest() {
    const std::lock_guard lock{mutex_};
    return str("\n  the newest collective of GPUs is number ", newest_.sequence, ", ", newest_.op, " of ",
               newest_.label, ", ", newest_.bytes, " bytes");
  }

  // The first is the one that is told. Nothing that the device has under way may go on waiting.
  void fail_with(const Failure& failure) {
    {
      const std::lock_guard lock{mutex_};
      if (!failure_) failure_ = failure;
    }
    nccl_->abort();
  }
  bool failed() {
    const std::lock_guard lock{mutex_};
    return failure_.has_value();
  }
  // On the thread that asks, with what it is doing.
  void tell_failure() {
    std::unique_lock lock{mutex_};
    if (!failure_) return;
    const Failure failure = *failure_;
    lock.unlock();
    try {
      fail(failure.exit, failure.text);
    } catch (const Error& error) {
      lock.lock();
      if (told_.empty()) told_ = error.what();
      throw;
    }
  }

  std::unique_ptr<Communicator> on_host_;  // called by the thread that issues, and by no other
  CudaDevice& device_;
  std::unique_ptr<Nccl> nccl_;
  std::unique_ptr<SideStream> beside_;
  std::uint64_t issued_ = 0;

  std::mutex looking_;  // before mutex_
  std::mutex mutex_;
  std::deque<std::shared_ptr<Agreement>> agreements_;  // that have not been looked at
  CollectiveCall newest_;
  std::optional<Failure> failure_;
  std::string told_;  // of it, with what was being done where it was told first

  std::unique_ptr<WorkQueue> queue_;  // what it was given uses all of these
  std::jthread watcher_;              // and so does it
};

}  // namespace

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return {};
  return str("NCCL ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator> on_host, Device& device) {
  return std::make_unique<NcclCommunicator>(std::move(on_host), static_cast<CudaDevice&>(device));
}

}  // namespace tranche::cuda
