// What a job file says about each rank's device ("device").
#pragma once

#include <cstddef>

#include "runtime/device/device.h"

namespace tranche {

class Section;

struct DeviceConfig {
  enum class Type { automatic, cpu, cuda } type = Type::cpu;
  std::size_t memory = 0;       // bytes a rank may hold; 0: no limit but the machine's
  std::size_t host_memory = 0;  // the same of what is offloaded to the host
  enum class Collectives { automatic, host } collectives = Collectives::automatic;  // of GPUs' memory
  bool cuda_graphs = false;
  std::size_t threads = 0;  // that compute, for each rank; 0: OMP_NUM_THREADS, or else the host's cores over its ranks

  std::size_t capacity() const { return memory == 0 ? Device::unlimited : memory; }
  std::size_t host_capacity() const { return host_memory == 0 ? Device::unlimited : host_memory; }
  void declare(Section& device);
};

}  // namespace tranche
