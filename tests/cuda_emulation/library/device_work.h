// What the emulated libraries have the device do beside kernels: its accesses are looked up as a kernel's are.
#pragma once

#include <cstddef>

#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/streams.h"

namespace tranche::cuda_emulation {

// Each byte is an access.
inline void access(const void* data, std::size_t bytes, bool writes) {
  for (std::size_t i = 0; i < bytes; ++i) memory().access(static_cast<const std::byte*>(data) + i, 1, writes, nullptr);
}

// Work that is no kernel, under a launch number of its own. stop() may be called from it.
template <class Accesses> void as_copy(const char* name, const Accesses& accesses) {
  running = {.kernel = name, .launch = next_launch(), .thread = 1, .block = 1, .copies = true};
  accesses();
  running.copies = false;
  running.thread = 0;
}

}  // namespace tranche::cuda_emulation
