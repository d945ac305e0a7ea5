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
  bool fits() const { return peak <= capacity; }
  bool operator==(const PlannedMemory&) const = default;
};

using TrafficByOp = std::map<std::string_view, Traffic>;
// Of every tier that the job uses, the device first.
std::vector<PlannedMemory> peaks_of(const Job& job, const Memory& memory);
// What was sent between two moments.
TrafficByOp difference(const TrafficByOp& now, const TrafficByOp& before);

struct Plan {
  std::size_t ranks = 1, steps = 0;     // steps: how many were done until one was like the one before
  std::vector<PlannedMemory> memories;  // the device first
  TrafficByOp traffic;                  // of one steady step, sent by each rank

  const PlannedMemory& device() const { return memories.front(); }
  bool fits() const;
};

// job: settled. ranks_on_host: so many ranks share a host, and read each other's memory where it lies.
Plan make_plan(const Job& job, std::size_t ranks_on_host);

// A change of the job with which it fits, found by planning it.
struct Remedy {
  std::vector<std::string> overrides;  // as --set takes them
  std::size_t ranks = 1, stage = 0;
  std::size_t peak = 0;  // of the device
};

// For a job that does not fit: higher stages, recomputation and optimizer state in host memory on as many ranks; the
// lowest higher number of ranks for the job as it is; and where only more ranks help, a lower number of them with all
// of that. Empty: nothing of this fits.
std::vector<Remedy> find_remedies(const Job& job, std::size_t ranks_on_host);

// Throws Exit::out_of_memory with the plan and what would fit, if a memory that it limits does not hold it.
void refuse_if_too_large(const Job& job, std::size_t ranks_on_host);

}  // namespace tranche
