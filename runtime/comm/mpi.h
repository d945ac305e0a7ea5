// Ranks as processes that mpirun or srun started.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/comm/communicator.h"

namespace tranche {

class Device;

// How ranks reach each other; what is not the default is for tests.
struct MpiOptions {
  std::size_t largest_message = std::size_t{1} << 30;  // bytes in one of MPI's messages; longer rows travel in pieces
  bool shared_memory = true;                           // with ranks of the same host; false: MPI's messages alone
  std::size_t ranks_of_a_host = 0;  // take so many ranks each for those of one host; 0: see who shares memory
};

// The process's place among the ranks; one object for as long as the program runs. A program that nothing launched is
// one rank: then MPI is not initialised, and costs neither time nor daemons.
//
// It must be made and destroyed by the main thread. Errors have Exit::ranks.
class MpiSession {
 public:
  // Reads the launcher's environment; initialises MPI with full thread support if there is one. Throws when srun
  // started several tasks that MPI cannot connect, rather than train that many separate copies.
  MpiSession();
  ~MpiSession();  // finalises, together with every rank
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return size_; }
  std::size_t rank_on_host() const { return rank_on_host_; }
  std::size_t ranks_on_host() const { return ranks_on_host_; }  // that share this machine's memory and cores
  // How many threads a rank should compute with unless told otherwise: the cores it may use, divided among the ranks
  // that may use them; at least 1.
  std::size_t threads_per_rank() const { return threads_per_rank_; }

  // Collective: every rank, in the same order. Each communicator has a thread of its own, and its collectives do not
  // meet another's. Ranks of one host read each other's rows in the memory files of their devices, if every one of them
  // has one; receive buffers and copies come from `device` (Category::communication), which must outlive it.
  std::unique_ptr<Communicator> communicator(Device& device, const MpiOptions& options = {});

  // Ends every rank of the job with this exit code; does not return. From any thread.
  [[noreturn]] void abort(int exit_code);

 private:
  bool launched_ = false;
  std::size_t rank_ = 0, size_ = 1, rank_on_host_ = 0, ranks_on_host_ = 1, threads_per_rank_ = 1;
};

}  // namespace tranche
