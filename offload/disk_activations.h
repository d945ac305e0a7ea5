// What recomputation keeps, on disk, through host memory: written while the next units compute, read two units ahead.
#pragma once

#include <cstdint>
#include <vector>

#include "offload/disk.h"
#include "offload/host_activations.h"

namespace tranche {

class DiskActivations : public HostActivations {
 public:
  // As HostActivations. Running throws Exit::storage for what the disk does, with the step.
  DiskActivations(Device& device, Device& host, Disk& disk) : HostActivations(device, host), disk_(disk) {}

 protected:
  void rest(Input& input) const override;
  void settle(Input& input) const override;
  void call(Input& input) const override;
  void await(Input& input) const override;

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::size_t bytes = 0;
  };
  Disk& disk_;
  mutable std::vector<Place> places_;  // by depth: the next micro-batch writes where the last one did
};

}  // namespace tranche
