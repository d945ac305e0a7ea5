// One rank of many, without the others: for plans.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/comm/communicator.h"

namespace tranche {

class Device;

// How ranks reach each other.
struct Reach {
  std::size_t ranks_on_host = 1;  // that share their memory, this one included
  bool adds_on_the_way = false;   // a reduce() brings one row, the sum
};

// Records every collective and moves no byte of a device: rows that others would bring never come, and an exchange
// consumes none. What the host gathers comes back as if every rank had said the same as this one.
//
// Buffers are MpiCommunicator's: an exchange receives into device memory from each rank that shares no memory with this
// one, and keeps it until its event was waited for, which is as long as a slow network could make it take. device must
// outlive it.
std::unique_ptr<Communicator> counting_communicator(std::size_t rank, std::size_t size, Reach reach, Device& device);

}  // namespace tranche
