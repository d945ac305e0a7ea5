#include "runtime/comm/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "runtime/base/error.h"
#include "runtime/base/trace.h"
#include "runtime/comm/desync.h"
#include "runtime/comm/mpi_messages.h"

namespace tranche {
namespace {

trace::Kind kind_of(const CollectiveCall& call) {
  return std::string_view{call.op} == "exchange" ? trace::Kind::reduce : trace::Kind::gather;
}

void copy(std::span<const std::byte> from, std::byte* to) {
  if (!from.empty() && from.data() != to) std::memcpy(to, from.data(), from.size());
}

// Of those that share memory, or are made to be seen so.
std::unique_ptr<HostTeam> join_host(MPI_Comm world, std::size_t rank, Device& device, const MpiOptions& options) {
  MPI_Comm host = MPI_COMM_NULL;
  if (options.ranks_of_a_host == 0)
    succeed(MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, static_cast<int>(rank), MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  else
    succeed(MPI_Comm_split(world, static_cast<int>(rank / options.ranks_of_a_host), static_cast<int>(rank), &host),
            "MPI_Comm_split");
  int size = 0;
  MPI_Comm_size(host, &size);
  std::vector<std::uint64_t> numbers(static_cast<std::size_t>(size));
  const std::uint64_t mine = rank;
  succeed(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, numbers.data(), sizeof mine, MPI_BYTE, host), "MPI_Allgather");
  std::unique_ptr<HostTeam> team = HostTeam::join(host, {numbers.begin(), numbers.end()}, device);
  MPI_Comm_free(&host);
  return team;
}

}  // namespace

MpiCommunicator::MpiCommunicator(std::size_t rank, std::size_t size, Device& device, const MpiOptions& options)
    : Communicator(rank, size), device_(device), largest_(options.largest_message) {
  succeed(MPI_Comm_dup(MPI_COMM_WORLD, &world_), "MPI_Comm_dup");
  succeed(MPI_Comm_set_errhandler(world_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  if (options.shared_memory) host_ = join_host(world_, rank, device, options);
  queue_ = std::make_unique<WorkQueue>("collectives");
}

MpiCommunicator::~MpiCommunicator() {
  queue_.reset();
  try {
    if (host_) host_->leave(str("rank ", rank(), " left after ", issued_, " collectives, while others wait for it"));
  } catch (...) {  // someone is gone: whoever waits finds out by itself
  }
  MPI_Comm_free(&world_);
}

void MpiCommunicator::abort(int exit_code) { abort_job(exit_code); }

Event MpiCommunicator::do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) {
  const CollectiveCall call{issued_++, "all_gather", label, mine.size()};
  return issue(call, std::move(label), mine, [this, mine, all] {
    const auto row_of = [&](std::size_t peer) { return all.subspan(peer * mine.size(), mine.size()); };
    std::vector<Transfer> transfers(size());
    for (const std::size_t peer : others())
      if (!shares_with(peer)) {
        transfers[peer].receive(row_of(peer), peer, largest_, world_);
        transfers[peer].send(mine, peer, largest_, world_);
      }
    copy(mine, row_of(rank()).data());
    for (const std::size_t peer : others())
      if (shares_with(peer)) copy(host_->row(peer), row_of(peer).data());
    for (Transfer& each : transfers) each.wait();
  });
}

Event MpiCommunicator::do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) {
  const CollectiveCall call{issued_++, "exchange", label, mine.size()};
  const std::size_t row = mine.size() / size();
  // One row from each peer that shares no memory, in rank order; other rows are consumed where they lie.
  std::vector<std::size_t> places(size());
  std::size_t remote = 0;
  for (std::size_t peer = 0; peer < size(); ++peer)
    if (peer != rank() && !shares_with(peer)) places[peer] = remote++;
  const auto received =
      std::make_shared<Buffer>(device_.allocate(row * remote, Category::communication, label + " received"));
  return issue(call, std::move(label), mine,
               [this, mine, row, received, places = std::move(places), consume = std::move(consume)] {
                 const auto received_from = [&](std::size_t peer) {
                   return std::span{received->data() + places[peer] * row, row};
                 };
                 std::vector<Transfer> in(size()), out(size());
                 for (const std::size_t peer : others())
                   if (!shares_with(peer)) {
                     in[peer].receive(received_from(peer), peer, largest_, world_);
                     out[peer].send(mine.subspan(peer * row, row), peer, largest_, world_);
                   }
                 for (std::size_t peer = 0; peer < size(); ++peer) {
                   in[peer].wait();
                   if (peer == rank())
                     consume(peer, mine.subspan(peer * row, row));
                   else if (shares_with(peer))
                     consume(peer, host_->row(peer).subspan(rank() * row, row));
                   else
                     consume(peer, received_from(peer));
                 }
                 for (Transfer& each : out) each.wait();
               });
}

// Among several hosts it is MPI's own, which knows them.
Event MpiCommunicator::do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) {
  const CollectiveCall call{issued_++, "broadcast", label, data.size(), root};
  const std::span<const std::byte> posts = one_host() && rank() == root ? data : std::span<std::byte>{};
  return issue(call, std::move(label), posts, [this, data, root] {
    if (one_host()) {
      if (rank() != root) copy(host_->row(root), data.data());
      return;
    }
    for (std::size_t begin = 0; begin < data.size(); begin += largest_) {
      MPI_Request request = MPI_REQUEST_NULL;
      const int bytes = static_cast<int>(std::min(largest_, data.size() - begin));
      succeed(MPI_Ibcast(data.data() + begin, bytes, MPI_BYTE, static_cast<int>(root), world_, &request), "MPI_Ibcast");
      wait_for(for_bytes, request, "MPI_Ibcast");
    }
  });
}

template <class Move>
Event MpiCommunicator::issue(const CollectiveCall& call, std::string label, std::span<const std::byte> posts,
                             Move move) {
  const auto mine = host_ ? std::make_shared<const HostTeam::Posting>(host_->bring(posts, label)) : nullptr;
  return queue_->run([this, call, label = std::move(label), mine, move = std::move(move)] {
    const Doing frame{[&] { return str("in ", call.op, " of ", label, " on rank ", rank(), "/", size()); }};
    const trace::Span span{kind_of(call), "", label, call.bytes};
    if (!one_host()) meet(call);
    if (host_)
      among_host(call, label, *mine, move);
    else
      move();  // by messages
  });
}

void MpiCommunicator::meet(const CollectiveCall& call) {
  const trace::Span span{trace::Kind::wait, "meet the other ranks"};
  std::vector<CollectiveCall> calls(size());
  calls[rank()] = call;
  MPI_Request request = MPI_REQUEST_NULL;
  succeed(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, calls.data(), static_cast<int>(sizeof call), MPI_BYTE,
                         world_, &request),
          "MPI_Iallgather");
  wait_for(for_peers, request, "MPI_Iallgather");
  if (const std::string text = disagreement(calls); !text.empty()) fail(Exit::ranks, text);
}

// A rank that fails says why in its own words; the others are told which rank it was.
void MpiCommunicator::among_host(const CollectiveCall& call, const std::string& label, const HostTeam::Posting& mine,
                                 const std::function<void()>& move) {
  {
    const trace::Span span{trace::Kind::wait, "meet the ranks of this host"};
    host_->begin(call, mine);
  }
  std::exception_ptr failure;
  std::string why_not;
  try {
    const trace::Span span{trace::Kind::copy, kind_of(call) == trace::Kind::reduce ? "add up rows" : "copy rows"};
    move();
  } catch (const std::exception& error) {
    failure = std::current_exception();
    why_not = str("rank ", rank(), " failed in ", call.op, " of ", label, ": ", error.what());
  }
  try {
    const trace::Span span{trace::Kind::wait, "let the others read"};
    host_->end(why_not);
  } catch (const Error&) {
    if (!failure) throw;
  }
  if (failure) std::rethrow_exception(failure);
}

// Starting behind the own rank, so that not everyone sends to rank 0, or reads from it, first.
std::vector<std::size_t> MpiCommunicator::others() const {
  std::vector<std::size_t> ranks;
  for (std::size_t step = 1; step < size(); ++step) ranks.push_back((rank() + step) % size());
  return ranks;
}

}  // namespace tranche
