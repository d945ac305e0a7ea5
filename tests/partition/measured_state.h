// The peak of parameters, gradients and optimizer state that a real run reaches, and what the plan says of it.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/device/cpu/cpu_device.h"
#include "runtime/train/batches.h"
#include "tests/partition/memory_plan.h"
#include "tests/support/ranks.h"
#include "tests/support/small_job.h"

namespace tranche::testing {

struct MeasuredState {
  std::size_t parameters = 0;  // of the model
  StateBytes planned;
  std::size_t ideal = 0, measured = 0;  // bytes; measured: the most of any rank
};

// Trains two steps, then two more under observation, with ranks as threads. changes: as --set takes them.
inline MeasuredState measure_state(SmallRun& run, const SmallJob& small, std::size_t ranks) {
  const std::filesystem::path file = run.write_job(small, "memory");
  MeasuredState result;
  std::mutex mutex;
  on_ranks(ranks, [&](Communicator& world) {
    Job job{read_job(file, small.changes)};
    job.settle(world.size());
    CpuDevice device, host;
    SwapDisk disk{job.offload};
    Assembly assembly{job, "", world, {device, host, disk}};
    const TokenFile tokens{job.data.train};
    const BatchReader reader{tokens, job.batch, job.data.sequence_length, job.train.seed, device};
    for (std::uint64_t step = 0; step < 4; ++step) {
      if (step == 2) device.ledger().reset_peaks();
      assembly.trainer().step(reader.read(step, world.rank()));
    }

    std::vector<PlannedUnit> units;
    for (const Unit& unit : assembly.replica().model().units()) units.push_back({unit.size()});
    if (job.model_config.tied) units.back().leased = {0};
    const StatePlan plan{job.zero, ranks, job.amp.precision(), 8, job.train.reduction_block};
    const std::lock_guard lock{mutex};
    result.parameters = assembly.replica().model().parameters();
    result.planned = state_bytes(plan, units);
    result.ideal = ideal_state_bytes(plan, result.parameters);
    result.measured = std::max(result.measured, device.ledger().peak_of_training_state());
  });
  return result;
}

}  // namespace tranche::testing
