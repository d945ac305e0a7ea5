// Ranks as threads of one process: for tests, for the thread sanitizer, and for a plan of many ranks on one machine.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/comm/communicator.h"

namespace tranche {

// Ranks read each other's memory where it lies, between two meetings: nothing is copied on the way. Ranks that meet in
// different collectives, a rank that aborts and one that leaves while others still need it make every rank's collective
// fail (Exit::ranks) and say which rank it was; nobody waits for ever.
class ThreadTeam {
 public:
  explicit ThreadTeam(std::size_t size);

  // One for each rank, used by one thread each. It may outlive the team. Destroying it waits for what it was issued,
  // and leaves the team. abort() fails the team and returns.
  std::unique_ptr<Communicator> communicator(std::size_t rank);

 private:
  std::shared_ptr<class TeamMemory> memory_;
  std::size_t size_;
};

}  // namespace tranche
