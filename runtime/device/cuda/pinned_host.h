// Memory of the host that a GPU copies to and from by itself, beside what it computes.
#pragma once

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/cuda/kept_blocks.h"

namespace tranche::cuda {

// The CPU computes on it, too: what is offloaded is updated there.
class PinnedHost : public CpuDevice {
 public:
  explicit PinnedHost(std::size_t threads = 1, std::size_t capacity = unlimited);

 protected:
  std::byte* allocate_bytes(std::size_t bytes, Category category) override;
  void free_bytes(std::byte* data, std::size_t bytes) override;

 private:
  KeptBlocks blocks_;
};

}  // namespace tranche::cuda
