// Ranks as processes: rows of the own host are read where they lie, others travel as MPI's messages.
#pragma once

#include <mpi.h>

#include <memory>

#include "runtime/comm/communicator.h"
#include "runtime/comm/host_team.h"
#include "runtime/comm/mpi.h"
#include "runtime/device/work_queue.h"

namespace tranche {

// Every collective begins with a meeting, in which ranks tell each other what they are in: that catches ranks in
// different collectives, and it is the place to wait for a late rank at leisure. Then the bytes move, at full speed.
//
// All ranks on one host meet in memory alone. Otherwise they meet by MPI, and then those of a host in its memory.
class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(std::size_t rank, std::size_t size, Device& device, const MpiOptions& options);
  ~MpiCommunicator() override;

  void abort(int exit_code) override;

 protected:
  Event do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string label) override;
  Event do_exchange(std::span<const std::byte> mine, Consume consume, std::string label) override;
  Event do_broadcast(std::span<std::byte> data, std::size_t root, std::string label) override;

 private:
  // posts: what the ranks of this host can read in `move`.
  template <class Move>
  Event issue(const CollectiveCall& call, std::string label, std::span<const std::byte> posts, Move move);
  void meet(const CollectiveCall& call);
  void among_host(const CollectiveCall& call, const std::string& label, const HostTeam::Posting& mine,
                  const std::function<void()>& move);

  bool shares_with(std::size_t peer) const { return host_ != nullptr && host_->has(peer); }
  bool one_host() const { return host_ != nullptr && host_->size() == size(); }
  std::vector<std::size_t> others() const;

  Device& device_;
  std::size_t largest_;
  MPI_Comm world_ = MPI_COMM_NULL;
  std::unique_ptr<HostTeam> host_;  // null: nobody shares memory with this rank
  std::uint64_t issued_ = 0;
  std::unique_ptr<WorkQueue> queue_;
};

}  // namespace tranche
