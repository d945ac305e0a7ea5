// What a run measures of itself, in the form of its plan.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "launcher/plan.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/train/batches.h"
#include "runtime/train/loop.h"
#include "tests/support/small_job.h"

namespace tranche::testing {

// This rank's share of a real run of `steps` steps; traffic is that of the last one. Collective.
inline Plan measure(const Job& job, std::size_t steps, Communicator& world, const Memory& memory) {
  Assembly assembly{job, "", world, memory};
  assembly.begin();
  const TokenFile tokens{job.data.train};
  const BatchReader reader{tokens, job.batch, job.data.sequence_length, job.train.seed, memory.device};
  Plan measured{.ranks = world.size(), .steps = steps, .memories = {}, .traffic = {}};
  for (std::size_t step = 1; step <= steps; ++step) {
    const TrafficByOp before = world.traffic();
    const Disk::Traffic moved = memory.disk.traffic();
    run_loop(
        assembly.trainer(), step, 0, world,
        {.batch = [&](std::uint64_t at) { return reader.read(at, world.rank()); },
         .report = [&](const StepReport& report, double) { check(!report.skipped(), "a skipped step is not steady"); },
         .save = {},
         .stop = [] { return false; }});
    measured.traffic = difference(world.traffic(), before);
    measured.disk = difference(memory.disk.traffic(), moved);
  }
  measured.memories = peaks_of(job, memory);
  return measured;
}

inline std::string text_of(const TrafficByOp& traffic) {
  std::string text;
  for (const auto& [op, each] : traffic) text += str(op, " ", each.count, " times, ", each.bytes, " bytes; ");
  return text;
}
inline std::string text_of(const std::vector<PlannedMemory>& memories) {
  std::string text;
  for (const PlannedMemory& memory : memories) {
    text += str(name_of(memory.tier), ": total ", memory.peak);
    for (std::size_t c = 0; c < category_count; ++c)
      text += str(", ", name_of(static_cast<Category>(c)), " ", memory.peaks[c]);
    text += "; ";
  }
  return text;
}

}  // namespace tranche::testing
