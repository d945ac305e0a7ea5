// Collectives of GPUs' memory by NCCL: from GPU to GPU, without the host's memory and without a wait of the host.
#pragma once

#include <memory>
#include <string>

#include "runtime/comm/communicator.h"

namespace tranche {
class Device;
}

namespace tranche::cuda {

// What is there: "NCCL 2.28.9"; empty where the library was built without it (no_nccl.cpp).
std::string nccl_version();

// For memory of `device`, a GPU that no other rank has, among the ranks of `on_host`, which has more than one; NCCL's
// first meeting goes over it, and everything that the host gathers. Collective. device must outlive it.
//
// Rows are gathered as NCCL gathers them. An exchange receives each row as it was sent (Category::communication) and
// consumes them in rank order, so a sum has the bits that it has anywhere; reduce() brings NCCL's own sum. All of that
// is done on a side stream, behind what the device had been given when the collective was issued; waiting for an event
// orders the calling thread's later work behind it, and the host goes on.
//
// What ranks are in is agreed on behind the collectives, over `on_host`. A peer that is gone, ranks in different
// collectives and what NCCL reports make every later call, and every wait for an event, throw (Exit::ranks), at the
// latest the next gather of the host: until then what a collective brought may be anything.
std::unique_ptr<Communicator> nccl_communicator(std::unique_ptr<Communicator> on_host, Device& device);

}  // namespace tranche::cuda
