// NCCL, with errors as exceptions and a handle that ends itself.
#pragma once

#include <nccl.h>

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace tranche::cuda {

// One rank's place in a communicator that does not block: a call returns before the others have come, so that a thread
// which waits for a peer can be told to stop. Thread-safe. Errors have Exit::ranks.
class Nccl {
 public:
  // Collective, on the calling thread's GPU; returns when every rank is there, or throws after ten minutes. id:
  // ncclGetUniqueId's, of one of them.
  Nccl(const ncclUniqueId& id, std::size_t rank, std::size_t size);
  // As abort(), unless end() came before.
  ~Nccl() { abort(); }
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  // Does `calls` as one group; on return its stream has them. what: for reports.
  void give(std::string_view what, const std::function<ncclResult_t(ncclComm_t)>& calls);
  // What went wrong since, behind the calls: empty if nothing did.
  std::string trouble();

  // Work under way ends, undone, on this rank. Later calls throw.
  void abort();
  // After all work is done, on every rank: those of a host wait for each other.
  void end();

 private:
  std::string why(ncclResult_t result);  // holding mutex_
  // Until what was called is done; between two looks, `patience` may throw.
  void settle(ncclResult_t result, std::string_view what, const std::function<void()>& patience = {});

  std::mutex mutex_;  // NCCL wants one thread at a time
  ncclComm_t comm_ = nullptr;
};

ncclUniqueId new_nccl_id();

}  // namespace tranche::cuda
