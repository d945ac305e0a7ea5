// What a job will take, before it takes it: the real assembly does real steps for one rank of many, on a device that
// has shapes and no bytes, with a communicator that only counts (docs/planner.md). Nothing is estimated, and no formula
// is written twice.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/assemble.h"
#include "launcher/job.h"
#include "runtime/comm/communicator.h"
#include "runtime/device/ledger.h"

namespace tranche {

// One memory of a rank: its device, and every tier that it spills to.
struct PlannedMemory {
  Tier tier = Tier::device;
  std::array<std::size_t, category_count> peaks;  // bytes, by category
  std::size_t peak = 0;                           // of the sum
  std::size_t capacity = 0;                       // Device::unlimited: none was given
  std::string moment{};                           // of the peak: what was being done; "": nobody noted it
  bool fits() const { return peak <= capacity; }
};

using TrafficByOp = std::map<std::string_view, Traffic>;
// Of every tier that the job uses, the device first.
std::vector<PlannedMemory> peaks_of(const Job& job, const Memory& memory);
// What was sent between two moments.
TrafficByOp difference(const TrafficByOp& now, const TrafficByOp& before);
Disk::Traffic difference(const Disk::Traffic& now, const Disk::Traffic& before);

// Bytes of tensors in a checkpoint; names and checksums come on top.
struct CheckpointSize {
  std::size_t whole = 0, of_rank = 0;  // of_rank: the most that one rank writes
};

struct Plan {
  std::size_t ranks = 1, steps = 0;     // steps: how many were done until one was like the one before
  std::vector<PlannedMemory> memories;  // the device first
  TrafficByOp traffic;                  // of one steady step, sent by each rank
  Disk::Traffic disk{};                 // of one steady step, of each rank
  CheckpointSize checkpoint{};

  const PlannedMemory& device() const { return memories.front(); }
  std::size_t peak(Tier tier) const;  // 0: the job does not use it
  bool fits() const;
};

// job: settled; on GPUs where its device.type is "cuda", on the CPU for "auto" too. ranks_on_host: so many ranks share
// a host, and read each other's memory where it lies.
Plan make_plan(const Job& job, std::size_t ranks_on_host);

}  // namespace tranche
