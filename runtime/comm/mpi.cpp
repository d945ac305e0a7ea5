#include "runtime/comm/mpi.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "runtime/base/error.h"
#include "runtime/comm/desync.h"
#include "runtime/device/device.h"
#include "runtime/device/work_queue.h"

namespace tranche {
namespace {

void succeed(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  fail(Exit::ranks, str(call, " failed: ", text));
}

[[noreturn]] void abort_job(int exit_code) {
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

// How long to look again and again before sleeping. Ranks may outnumber cores, so even looking gives way to others.
struct Patience {
  std::chrono::microseconds looking;
  std::chrono::microseconds longest_sleep;
};
// A peer may be computing for long: waiting must not take a core from anyone.
constexpr Patience for_peers{std::chrono::microseconds{20}, std::chrono::microseconds{200}};
// Every rank is there, and bytes move only while we look.
constexpr Patience for_bytes{std::chrono::milliseconds{200}, std::chrono::microseconds{50}};

// MPI makes progress only inside its calls, so finished() is what moves the bytes.
template <class Finished> void wait_for(const Patience& patience, Finished finished) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::chrono::microseconds sleep{10};
  while (!finished()) {
    if (Clock::now() - begin < patience.looking) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(sleep);
      sleep = std::min(sleep * 2, patience.longest_sleep);
    }
  }
}

void wait_for(const Patience& patience, MPI_Request& request, const char* call) {
  wait_for(patience, [&] {
    int done = 0;
    succeed(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
    return done != 0;
  });
}

// A row on its way to or from one peer: messages in one order, matched in that order.
class Transfer {
 public:
  void send(std::span<const std::byte> row, std::size_t to, std::size_t largest, MPI_Comm world) {
    pieces(row.size(), largest, [&](std::size_t begin, int bytes, MPI_Request* request) {
      succeed(MPI_Isend(row.data() + begin, bytes, MPI_BYTE, static_cast<int>(to), 0, world, request), "MPI_Isend");
    });
  }
  void receive(std::span<std::byte> row, std::size_t from, std::size_t largest, MPI_Comm world) {
    pieces(row.size(), largest, [&](std::size_t begin, int bytes, MPI_Request* request) {
      succeed(MPI_Irecv(row.data() + begin, bytes, MPI_BYTE, static_cast<int>(from), 0, world, request), "MPI_Irecv");
    });
  }
  void wait() {
    wait_for(for_bytes, [&] {
      int done = 0;
      succeed(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
              "MPI_Testall");
      return done != 0;
    });
  }

 private:
  template <class Start> void pieces(std::size_t bytes, std::size_t largest, Start start) {
    for (std::size_t begin = 0; begin < bytes; begin += largest)
      start(begin, static_cast<int>(std::min(largest, bytes - begin)), &requests_.emplace_back(MPI_REQUEST_NULL));
  }

  std::vector<MPI_Request> requests_;
};

// Every collective begins with a meeting, in which ranks tell each other what they are in: that catches ranks in
// different collectives, and it is the place to wait for a late rank at leisure. Then the bytes move, at full speed.
class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(std::size_t rank, std::size_t size, Device& device, std::size_t largest)
      : Communicator(rank, size), device_(device), largest_(largest) {
    succeed(MPI_Comm_dup(MPI_COMM_WORLD, &world_), "MPI_Comm_dup");
    succeed(MPI_Comm_set_errhandler(world_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    queue_ = std::make_unique<WorkQueue>();
  }
  ~MpiCommunicator() override {
    queue_.reset();
    MPI_Comm_free(&world_);
  }

  void abort(int exit_code) override { abort_job(exit_code); }

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override {
    return issue("all_gather", std::move(label), mine.size(), 0, [this, mine, all] {
      std::vector<Transfer> transfers(size());
      for (const std::size_t peer : others()) {
        transfers[peer].receive(all.subspan(peer * mine.size(), mine.size()), peer, largest_, world_);
        transfers[peer].send(mine, peer, largest_, world_);
      }
      std::byte* own = all.data() + rank() * mine.size();
      if (own != mine.data()) std::ranges::copy(mine, own);
      for (Transfer& each : transfers) each.wait();
    });
  }

  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override {
    const std::size_t row = mine.size() / size();
    // One row from each peer, in rank order; the rank's own is consumed where it lies.
    const auto received =
        std::make_shared<Buffer>(device_.allocate(row * (size() - 1), Category::communication, label + " received"));
    return issue("exchange", std::move(label), mine.size(), 0,
                 [this, mine, row, received, consume = std::move(consume)] {
                   const auto row_from = [&](std::size_t peer) {
                     return std::span{received->data() + (peer < rank() ? peer : peer - 1) * row, row};
                   };
                   std::vector<Transfer> in(size()), out(size());
                   for (const std::size_t peer : others()) {
                     in[peer].receive(row_from(peer), peer, largest_, world_);
                     out[peer].send(mine.subspan(peer * row, row), peer, largest_, world_);
                   }
                   for (std::size_t peer = 0; peer < size(); ++peer) {
                     in[peer].wait();
                     consume(peer, peer == rank() ? mine.subspan(peer * row, row) : row_from(peer));
                   }
                   for (Transfer& each : out) each.wait();
                 });
  }

  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override {
    return issue("broadcast", std::move(label), data.size(), root, [this, data, root] {
      for (std::size_t begin = 0; begin < data.size(); begin += largest_) {
        MPI_Request request = MPI_REQUEST_NULL;
        const int bytes = static_cast<int>(std::min(largest_, data.size() - begin));
        succeed(MPI_Ibcast(data.data() + begin, bytes, MPI_BYTE, static_cast<int>(root), world_, &request),
                "MPI_Ibcast");
        wait_for(for_bytes, request, "MPI_Ibcast");
      }
    });
  }

 private:
  template <class Move>
  Event issue(std::string_view op, std::string label, std::size_t bytes, std::size_t root, Move move) {
    const CollectiveCall call{issued_++, op, label, bytes, root};
    return queue_->run([this, call, label = std::move(label), move = std::move(move)] {
      const Doing frame{[&] { return str("in ", call.op, " of ", label, " on rank ", rank(), "/", size()); }};
      meet(call);
      move();
    });
  }

  void meet(const CollectiveCall& call) {
    std::vector<CollectiveCall> calls(size());
    calls[rank()] = call;
    MPI_Request request = MPI_REQUEST_NULL;
    succeed(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, calls.data(), static_cast<int>(sizeof call), MPI_BYTE,
                           world_, &request),
            "MPI_Iallgather");
    wait_for(for_peers, request, "MPI_Iallgather");
    if (const std::string text = disagreement(calls); !text.empty()) fail(Exit::ranks, text);
  }

  // Starting behind the own rank, so that not everyone sends to rank 0 first.
  std::vector<std::size_t> others() const {
    std::vector<std::size_t> ranks;
    for (std::size_t step = 1; step < size(); ++step) ranks.push_back((rank() + step) % size());
    return ranks;
  }

  Device& device_;
  std::size_t largest_;
  MPI_Comm world_ = MPI_COMM_NULL;
  std::uint64_t issued_ = 0;
  std::unique_ptr<WorkQueue> queue_;
};

std::size_t number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : static_cast<std::size_t>(std::strtoul(text, nullptr, 10));
}

// Variables that say that someone is there to connect this process with others.
bool has_launcher() {
  return std::ranges::any_of(
      std::initializer_list<const char*>{"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"},
      [](const char* name) { return std::getenv(name) != nullptr; });
}

constexpr const char* without_connection =
    "srun started several tasks, but MPI cannot connect them; each would train alone. Start them with srun --mpi=pmix, "
    "or "
    "with mpirun inside the batch script (configs/cluster)";

cpu_set_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) != 0) CPU_SET(0, &cores);
  return cores;
}

// Launchers may give each rank cores of its own, or leave all to all: a core is divided among those who may use it.
std::size_t cores_for_each(std::vector<cpu_set_t> by_rank, std::size_t rank) {
  const auto shares = std::ranges::count_if(by_rank, [&](cpu_set_t& other) {
    cpu_set_t common;
    CPU_AND(&common, &other, &by_rank[rank]);
    return CPU_COUNT(&common) != 0;
  });
  return static_cast<std::size_t>(std::max(1L, CPU_COUNT(&by_rank[rank]) / shares));
}

}  // namespace

MpiSession::MpiSession() : launched_(has_launcher()) {
  const std::size_t tasks = number_in_environment("SLURM_STEP_NUM_TASKS");
  if (!launched_) {
    ensure(Exit::ranks, tasks <= 1, without_connection);
    threads_per_rank_ = cores_for_each({usable_cores()}, 0);
    return;
  }

  ::setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);  // ranks may outnumber cores
  int provided = 0;
  succeed(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  ensure(Exit::ranks, provided == MPI_THREAD_MULTIPLE, "this MPI library does not provide MPI_THREAD_MULTIPLE");
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  rank_ = static_cast<std::size_t>(rank);
  size_ = static_cast<std::size_t>(size);
  ensure(Exit::ranks, size_ > 1 || tasks <= 1, without_connection);

  MPI_Comm host = MPI_COMM_NULL;
  succeed(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &host), "MPI_Comm_split_type");
  MPI_Comm_rank(host, &rank);
  MPI_Comm_size(host, &size);
  rank_on_host_ = static_cast<std::size_t>(rank);
  ranks_on_host_ = static_cast<std::size_t>(size);
  std::vector<cpu_set_t> cores(ranks_on_host_);
  cores[rank_on_host_] = usable_cores();
  succeed(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, cores.data(), sizeof(cpu_set_t), MPI_BYTE, host),
          "MPI_Allgather");
  threads_per_rank_ = cores_for_each(cores, rank_on_host_);
  MPI_Comm_free(&host);
}

MpiSession::~MpiSession() {
  if (launched_) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiSession::communicator(Device& device, std::size_t largest_message) {
  if (size_ == 1) return alone();
  return std::make_unique<MpiCommunicator>(rank_, size_, device, largest_message);
}

void MpiSession::abort(int exit_code) {
  if (launched_) abort_job(exit_code);
  std::fflush(nullptr);
  std::_Exit(exit_code);
}

}  // namespace tranche
