// What this machine gives to a process: instructions, memory, memory that processes share, GPUs. Processor time is
// cores.h.
#pragma once

#include <cstddef>

#include "launcher/doctor/finding.h"

namespace tranche::doctor {

Finding see_processor();
Finding see_memory();

// memory: bytes of the machine. may_lock: what this process may lock of it, bytes.
Finding judge_locked_memory(std::size_t may_lock, std::size_t memory);
Finding see_locked_memory();

// Throws Exit::out_of_memory or Exit::ranks where a process cannot make memory that another one maps.
Finding see_shared_memory(std::size_t ranks);

// No GPU is no failure.
Finding see_gpus();

}  // namespace tranche::doctor
