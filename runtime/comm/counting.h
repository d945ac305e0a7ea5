// One rank of many, without the others: for plans.
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/comm/communicator.h"

namespace tranche {

class Device;

// Records every collective and moves no byte of a device: rows that others would bring never come, and an exchange
// consumes none. What the host gathers comes back as if every rank had said the same as this one.
//
// Buffers are MpiCommunicator's: an exchange receives into device memory from each rank that is not among the
// `ranks_on_host` that share this rank's memory (this one included), and keeps it until its event was waited for, which
// is as long as a slow network could make it take. device must outlive it.
std::unique_ptr<Communicator> counting_communicator(std::size_t rank, std::size_t size, std::size_t ranks_on_host,
                                                    Device& device);

}  // namespace tranche
