// The training loop: reads, steps, reports, saves.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/train/trainer.h"

namespace tranche {

struct LoopHooks {
  // This rank's micro-batches of step `step` (counted from 0), in order.
  std::function<Batch(std::uint64_t step)> batch;
  // After each step; seconds: from reading its batch to its end.
  std::function<void(const StepReport& report, double seconds)> report;
  // Collective: writes a checkpoint of the trainer's state. Empty: none is written.
  std::function<void()> save;
  // Whether this rank was asked to stop; any rank's yes stops all after the same step.
  std::function<bool()> stop;
};

enum class LoopEnd { finished, stopped };

// Steps from where the trainer stands until `steps` are done, or until a rank is asked to stop. Saves every `every`
// steps (0: never in between), and at the end in both cases. Collective.
LoopEnd run_loop(Trainer& trainer, std::uint64_t steps, std::uint64_t every, Communicator& world,
                 const LoopHooks& hooks);

}  // namespace tranche
