// Which GPU a rank computes on.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/device/device.h"

namespace tranche::cuda {

// What this host has: "GPU 0 (name)". Throws no_gpu if the driver finds none, or is too old for the library.
std::vector<std::string> gpus();

// That of the rank's number among the ranks of its host. Throws no_gpu, with the reason: a driver too old for the
// library, fewer GPUs than ranks, a GPU that the kernels were not built for. capacity: bytes; architectures: as below.
std::unique_ptr<Device> make_device(std::size_t rank_on_host, std::size_t ranks_on_host, std::size_t capacity,
                                    std::string_view architectures);

// Whether kernels built for `architectures` ("80;90": compute capability 8.0, 9.0) run on a GPU of this capability:
// one of the same first number, and a second that is no higher.
bool built_for(std::string_view architectures, int major, int minor);

}  // namespace tranche::cuda
