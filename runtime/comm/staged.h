// Collectives of memory that the host cannot address, a GPU's: through memory of the host.
#pragma once

#include <memory>

#include "runtime/comm/communicator.h"

namespace tranche {

class Device;

// As `on_host`, which moves bytes of the host, for memory of `device`: what a rank brings is copied to
// device.staging(), and what the others bring from there, on a side stream and a thread of its own. Its record is its
// own; an exchange receives into the device's memory (Category::communication) from each other rank. device must
// outlive it.
std::unique_ptr<Communicator> staged_communicator(std::unique_ptr<Communicator> on_host, Device& device);

}  // namespace tranche
